package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// dialer opens a connection.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// identity is who the brokers have to be and who this client is. Its files are read for each connection, so that a
// certificate or an authority that is rotated holds from the next one on. It is safe for concurrent use.
type identity struct {
	cfg Config

	mu   sync.Mutex
	last *tls.Config // of the files when they were last sound
}

func newIdentity(cfg Config) (*identity, error) {
	i := &identity{cfg: cfg}
	var err error
	i.last, err = cfg.tls()
	return i, err
}

// current returns the configuration of the files as they are now; while they are being replaced, and do not fit each
// other, as they were before.
func (i *identity) current() *tls.Config {
	now, err := i.cfg.tls()
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.last = now
	}
	return i.last.Clone()
}

// dial returns a dialer whose connections have the handshake behind them. The library would take one configuration for
// its whole life.
func (i *identity) dial(plain dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		conn, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		cfg := i.current()
		cfg.ServerName = host
		secure := tls.Client(conn, cfg)
		limited, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(limited); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secure, nil
	}
}

// tls reads the files.
func (c Config) tls() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCAFile != "" {
		pem, err := os.ReadFile(c.TLSCAFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: no certificate in %s", c.TLSCAFile)
		}
	}
	if c.TLSCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CERT_FILE, KAFKA_TLS_KEY_FILE: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
