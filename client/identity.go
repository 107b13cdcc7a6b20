package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// TLS are the files of TLS 1.3 connections. They are read again for each new connection, so that a certificate or an
// authority that is rotated holds from the next one on; connections that are open stay open. While files are being
// replaced and do not fit each other, those of before hold.
type TLS struct {
	// CAFile holds the authorities of the service, in PEM. "" means the system's.
	CAFile string
	// CertFile and KeyFile are the client's own certificate and key, in PEM, for a service that asks for one.
	CertFile, KeyFile string
	// ServerName is the name in the service's certificate. "" means the URL's host.
	ServerName string
}

// identity is who the service has to be and who the client is. It is safe for concurrent use.
type identity struct {
	files TLS

	mu   sync.Mutex
	last *tls.Config // of the files when they were last sound
}

func newIdentity(files *TLS) (*identity, error) {
	if files == nil {
		files = &TLS{}
	}
	i := &identity{files: *files}
	var err error
	i.last, err = i.files.load()
	return i, err
}

// current returns the configuration of the files as they are now, or as they were when they were last sound.
func (i *identity) current(host string) *tls.Config {
	now, err := i.files.load()
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.last = now
	}
	out := i.last.Clone()
	if out.ServerName == "" {
		out.ServerName = host
	}
	return out
}

func (t TLS) load() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CAFile: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CAFile: no certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("CertFile, KeyFile: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// A token is read again after tokenAge, and has to fit a request's headers.
const (
	tokenAge = time.Second
	maxToken = 8 << 10
)

// token is a bearer token in a file. It is safe for concurrent use.
type token struct {
	path string

	mu   sync.Mutex
	read time.Time
	last string // when the file was last sound
}

func newToken(path string) (*token, error) {
	value, err := readToken(path)
	return &token{path: path, read: time.Now(), last: value}, err
}

// current returns the token: while the file is being replaced, and holds none, that of before.
func (t *token) current(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.read) < tokenAge {
		return t.last
	}
	t.read = now
	if value, err := readToken(t.path); err == nil {
		t.last = value
	}
	return t.last
}

func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("TokenFile: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("TokenFile: %w", err)
	}
	value := strings.TrimSpace(string(data))
	notPrintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if value == "" || len(data) > maxToken || strings.ContainsFunc(value, notPrintable) {
		return "", errors.New("TokenFile: not one token of printable ASCII, of up to 8 KiB")
	}
	return value, nil
}

// loopback says whether a host is this machine.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
