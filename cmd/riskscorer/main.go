// Command riskscorer is the service: it scores and explains orders from Kafka and over HTTP with one model.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/service"
)

// Exit codes, which scripts rely on.
const (
	exitDone       = 0
	exitNotHeld    = 1 // the bundle may not serve, or the process is not healthy
	exitUsage      = 2 // a setting or an argument is wrong
	exitDependency = 3 // something that the service needs failed
)

// version is the build's, set by the linker.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot() //nolint:contextcheck // cobra hands each command the context of ExecuteContext
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "riskscorer:", err)
	var check *bundle.CheckError
	switch {
	case errors.As(err, &check), errors.Is(err, errUnhealthy):
		return exitNotHeld
	case errors.Is(err, service.ErrConfig), errors.Is(err, errUsage):
		return exitUsage
	default:
		return exitDependency
	}
}

var errUsage = errors.New("usage")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "riskscorer",
		Short: "Score and explain orders from Kafka and over HTTP",
		Long: `Score and explain orders from Kafka and over HTTP. All settings are environment variables:
'riskscorer config' prints them with their effective values.`,
		Example:       "  MODEL_PATH=models/trendbuy_xgb_v1.0.0 KAFKA_BROKERS=localhost:9092 riskscorer",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: unknown command %q; see riskscorer --help", errUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), cmd.ErrOrStderr()) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(newConfigCommand(), newHealthcheckCommand())
	return root
}

func serve(ctx context.Context, stderr io.Writer) error {
	config, err := service.Load(ctx, envconfig.OsLookuper())
	if err != nil {
		return err
	}
	// While every core computes, one thread more than there are cores looks at the network (docs/decisions/0026).
	config.Cores = runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(config.Cores + 1))
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
		config.SoftLimit = func(bytes int64) { debug.SetMemoryLimit(bytes) }
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: config.LogLevel}))
	s, err := service.New(ctx, config, version, log)
	if err != nil {
		return err
	}
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)
	running, stop := context.WithCancel(ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() { reloadOn(running, hangUps, s) })
	err = s.Run(ctx)
	stop()
	reloading.Wait()
	return err
}

// reloadOn makes the service look at its bundle at every signal until ctx ends. The service logs what comes of it.
func reloadOn(ctx context.Context, signals <-chan os.Signal, s *service.Service) {
	for {
		select {
		case <-signals:
			_, _ = s.Reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}
