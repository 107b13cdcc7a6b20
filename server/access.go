package server

import (
	"errors"
	"fmt"
	"net"
	"slices"
)

// How a door learns who calls.
const (
	// AuthNone asks nobody: for the loopback, and where something in front of the door asks.
	AuthNone = "none"
	// AuthBearer wants one of the tokens of a file.
	AuthBearer = "bearer"
	// AuthMTLS wants a client certificate with one of the names of a list.
	AuthMTLS = "mtls"
)

// defaultConnections bounds a door's connections where nothing else is set. An idle one takes 17 KB, with TLS under
// 26 KB (TestWhatAnIdleConnectionCosts measures it): a full door costs some 26 MB.
const defaultConnections = 1024

// Access is how a door is secured: its certificate, whom it lets in, and how many at once. The zero value is the
// default: clear text, everybody. Files are read anew when they change.
type Access struct {
	// CertFile and KeyFile are the door's certificate, with its chain, and private key, in PEM.
	CertFile string `env:"TLS_CERT_FILE" help:"certificate chain in PEM: this door then speaks TLS and nothing else; read anew when it changes"`
	KeyFile  string `env:"TLS_KEY_FILE" help:"private key of that certificate, in PEM"`
	// MinVersion is the oldest TLS that is spoken: 1.3 or 1.2.
	MinVersion string `env:"TLS_MIN_VERSION, default=1.3" help:"oldest version of TLS: 1.3 or 1.2"`
	// ClientCAFile holds the authorities of client certificates, in PEM; for AuthMTLS.
	ClientCAFile string `env:"TLS_CLIENT_CA_FILE" help:"authorities of client certificates in PEM, for mtls"`
	// Auth is AuthNone, AuthBearer or AuthMTLS.
	Auth string `env:"AUTH, default=none" help:"who may come in: none (everybody), bearer (a token of the file) or mtls (a name of the list)"`
	// TokensFile holds a line name:digest for each token; for AuthBearer. See riskctl token.
	TokensFile string `env:"TOKENS_FILE" help:"tokens for bearer, a line name:sha256 each as riskctl token prints it; read anew when it changes"`
	// ClientNames are the names that may come in; for AuthMTLS.
	ClientNames []string `env:"CLIENT_NAMES" help:"names of client certificates for mtls, comma-separated: DNS names, URIs such as SPIFFE ids, and spiffe://domain/path/* for all below a path"`
	// MaxConnections bounds the connections that are open at once.
	MaxConnections int `env:"MAX_CONNECTIONS, default=1024" help:"connections open at once; beyond it the one that has waited longest for its client is closed"`
}

// encrypted says whether the door speaks TLS.
func (a *Access) encrypted() bool { return a.CertFile != "" }

func (a *Access) auth() string {
	if a.Auth == "" {
		return AuthNone
	}
	return a.Auth
}

func (a *Access) connections() int {
	if a.MaxConnections == 0 {
		return defaultConnections
	}
	return a.MaxConnections
}

// validate returns everything that is wrong, by the variables' names.
func (a *Access) validate(prefix string) error {
	var errs []error
	must := func(holds bool, format string, args ...any) {
		if !holds {
			errs = append(errs, fmt.Errorf(prefix+format, args...))
		}
	}
	auth := a.auth()
	must(slices.Contains([]string{AuthNone, AuthBearer, AuthMTLS}, auth), "AUTH is %q, want none, bearer or mtls", auth)
	must((a.CertFile == "") == (a.KeyFile == ""), "TLS_CERT_FILE and TLS_KEY_FILE: one is set without the other")
	must(slices.Contains([]string{"", "1.2", "1.3"}, a.MinVersion), "TLS_MIN_VERSION is %q, want 1.2 or 1.3", a.MinVersion)
	must(a.MaxConnections >= 0, "MAX_CONNECTIONS is %d, must be above 0", a.MaxConnections)
	must((auth == AuthBearer) == (a.TokensFile != ""), "TOKENS_FILE: needed for AUTH=bearer, and for nothing else")
	must((auth == AuthMTLS) == (a.ClientCAFile != ""), "TLS_CLIENT_CA_FILE: needed for AUTH=mtls, and for nothing else")
	must((auth == AuthMTLS) == (len(a.ClientNames) > 0), "CLIENT_NAMES: needed for AUTH=mtls, and for nothing else")
	must(auth != AuthMTLS || a.encrypted(), "TLS_CERT_FILE: needed for AUTH=mtls")
	if _, err := newClientNames(a.ClientNames); err != nil {
		errs = append(errs, fmt.Errorf("%sCLIENT_NAMES: %w", prefix, err))
	}
	return errors.Join(errs...)
}

// Validate returns everything that is wrong with the doors' settings, by the variables' names.
func (c *Config) Validate() error {
	errs := []error{c.HTTP.validate("HTTP_"), c.Admin.validate("ADMIN_"), c.Metrics.validate("METRICS_"), validateOrigins(c.CORSOrigins), c.Limits.validate()}
	if c.Admin.auth() == AuthNone && !onLoopback(c.AdminAddr) {
		errs = append(errs, fmt.Errorf("ADMIN_ADDR is %q, which others than this host can reach: set ADMIN_AUTH, or an address on the loopback", c.AdminAddr))
	}
	return errors.Join(errs...)
}

// onLoopback says whether only this host can reach an address.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
