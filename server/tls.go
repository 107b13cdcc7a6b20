package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// keyring is a door's side of TLS: its certificate, and the authorities that it believes about clients. It is safe
// for concurrent use; a handshake takes what is current, and a connection keeps what it was made with.
type keyring struct {
	version uint16
	mtls    bool
	current atomic.Pointer[tls.Config]
	expiry  func(time.Time) // told of each certificate that comes into use
}

// config is the listener's: each handshake asks for the current one.
func (k *keyring) config() *tls.Config {
	return &tls.Config{
		MinVersion:         k.version,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current.Load(), nil },
	}
}

// use takes certificate, key and, for mTLS, the clients' authorities into use.
func (k *keyring) use(contents [][]byte) error {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return fmt.Errorf("certificate and key: %w", err)
	}
	now, before := time.Now(), k.current.Load()
	if before != nil && now.After(pair.Leaf.NotAfter) && now.Before(before.Certificates[0].Leaf.NotAfter) {
		return fmt.Errorf("the certificate ended at %s", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	next := &tls.Config{
		MinVersion:   k.version,
		Certificates: []tls.Certificate{pair},
		// HTTP/2 has bounds of its own, which none of the doors' limits would hold.
		NextProtos: []string{"http/1.1"},
	}
	if k.mtls {
		if next.ClientCAs, err = authorities(contents[2]); err != nil {
			return fmt.Errorf("clients' authorities: %w", err)
		}
		// Probes have no certificate: who needs one is judged by the route. One that is shown must hold.
		next.ClientAuth = tls.VerifyClientCertIfGiven
		// A ticket would bring a client in by authorities that may be gone.
		next.SessionTicketsDisabled = true
	}
	k.current.Store(next)
	k.expiry(pair.Leaf.NotAfter)
	return nil
}

// authorities reads certificates. One that does not parse is an error: a pool would leave it out without a word.
func authorities(text []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), false
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a PEM block is a %q, want certificates only", cut(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(c)
		found = true
	}
	if !found {
		return nil, errors.New("there is no certificate")
	}
	return pool, nil
}

// secure reads the door's files, and has it speak TLS if it has a certificate.
func (s *Server) secure(d *door, prefix string, a *Access) error {
	if d == nil {
		return nil // the role opens no such door
	}
	if a.encrypted() {
		k := &keyring{version: tls.VersionTLS13, mtls: a.auth() == AuthMTLS, expiry: func(at time.Time) {
			s.access.expiry.WithLabelValues(d.name).Set(float64(at.Unix()))
		}}
		if a.MinVersion == "1.2" {
			k.version = tls.VersionTLS12
		}
		paths := []string{a.CertFile, a.KeyFile}
		if k.mtls {
			paths = append(paths, a.ClientCAFile)
		}
		if err := d.open(&files{door: d.name, what: filesCertificate, paths: paths, use: k.use}); err != nil {
			return fmt.Errorf("%sTLS_CERT_FILE and the files that go with it: %w", prefix, err)
		}
		d.tls = k.config()
		if end := k.current.Load().Certificates[0].Leaf.NotAfter; time.Now().After(end) {
			s.parts.Logger.Error("the certificate has ended, and clients will refuse it", "door", d.name, "ended", end)
		}
	}
	if a.auth() == AuthBearer {
		if err := d.open(&files{door: d.name, what: filesTokens, paths: []string{a.TokensFile}, use: d.keeper.tokens.use}); err != nil {
			return fmt.Errorf("%sTOKENS_FILE: %w", prefix, err)
		}
		if !a.encrypted() && !onLoopback(d.http.Addr) {
			s.parts.Logger.Warn("tokens come in clear text: give the door a certificate, unless TLS ends in front of it", "door", d.name)
		}
	}
	return nil
}

func (d *door) open(f *files) error {
	d.files = append(d.files, f)
	return f.load()
}
