package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// authority issues certificates for servers on 127.0.0.1 and for their clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{serial: 1}
	a.certificate, a.key = sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "authority"},
		IsCA:    true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

func sign(tb testing.TB, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c, key
}

// pair is a certificate and its key, in PEM.
type pair struct {
	certificate, key []byte
	serial           int64
}

// issue makes a certificate with a serial number of its own; change, if not nil, changes its template.
func (a *authority) issue(tb testing.TB, change func(*x509.Certificate)) pair {
	tb.Helper()
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * time.Minute),
		Subject: pkix.Name{CommonName: "riskscorer"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	c, k := sign(tb, template, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		serial:      a.serial,
	}
}

// named issues a client's certificate with URIs and DNS names.
func (a *authority) named(tb testing.TB, names ...string) pair {
	tb.Helper()
	return a.issue(tb, func(c *x509.Certificate) {
		for _, name := range names {
			if u, err := url.Parse(name); err == nil && u.Scheme != "" {
				c.URIs = append(c.URIs, u)
			} else {
				c.DNSNames = append(c.DNSNames, name)
			}
		}
	})
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// client trusts the authority, and shows the certificate if there is one. Each of its connections is its own if fresh.
func (a *authority) client(tb testing.TB, own *pair, fresh bool) *http.Client {
	tb.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	config := &tls.Config{RootCAs: roots}
	if own != nil {
		c, err := tls.X509KeyPair(own.certificate, own.key)
		if err != nil {
			tb.Fatal(err)
		}
		// Shown whatever authorities the server names: what it says of a stranger is the server's to say.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: fresh, DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// store is a door's directory, replaced as Kubernetes does: files are links through a link to the directory that is
// current.
type store struct {
	dir  string
	tick int
}

func newStore(tb testing.TB, files map[string][]byte) *store {
	tb.Helper()
	s := &store{dir: tb.TempDir()}
	s.put(tb, files)
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), s.path(name)); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// put replaces all files at once.
func (s *store) put(tb testing.TB, files map[string][]byte) {
	tb.Helper()
	s.tick++
	version := "..version" + string(rune('a'+s.tick))
	if err := os.Mkdir(s.path(version), 0o700); err != nil {
		tb.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, version, name), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink(version, s.path("..next")); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(s.path("..next"), s.path("..data")); err != nil {
		tb.Fatal(err)
	}
}

func files(p pair) map[string][]byte {
	return map[string][]byte{"tls.crt": p.certificate, "tls.key": p.key}
}

// encrypted gives the scoring door a certificate.
func encrypted(s *store) func(*server.Config, *server.Parts) {
	return func(c *server.Config, _ *server.Parts) {
		c.HTTP.CertFile, c.HTTP.KeyFile = s.path("tls.crt"), s.path("tls.key")
	}
}

// await waits until something holds.
func await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}
