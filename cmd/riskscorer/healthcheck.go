package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/service"
)

var errUnhealthy = errors.New("not healthy")

func newHealthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the service in this container whether it is ready; exit 0 if so, 1 if not",
		Long: `Ask the service in this container whether it is ready; exit 0 if so, 1 if not. It asks the metrics
listener (METRICS_ADDR), which every role opens.`,
		Example: "  riskscorer healthcheck",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := service.Load(cmd.Context(), envconfig.OsLookuper())
			if err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(config.Server.MetricsAddr)
			if err != nil {
				return fmt.Errorf("%w: METRICS_ADDR: %w", service.ErrConfig, err)
			}
			if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			scheme := "http"
			if config.Server.Metrics.CertFile != "" {
				scheme = "https"
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/health/ready", nil)
			if err != nil {
				return err
			}
			// The certificate is for the names that others call this service by, not for this address. It is the process next
			// door that answers, and nothing is told to it.
			client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
			}}
			resp, err := client.Do(req)
			if err != nil {
				return fmt.Errorf("%w: %w", errUnhealthy, err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%w: status %d", errUnhealthy, resp.StatusCode)
			}
			return nil
		},
	}
}
