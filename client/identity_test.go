package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/client"
)

// authority signs certificates, for names and for 127.0.0.1.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *authority) pem() []byte { return block("CERTIFICATE", a.certificate.Raw) }

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// pair returns a certificate and its key, in PEM.
func (a *authority) pair(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.certificate, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}

func (a *authority) tls(t *testing.T, clients *authority) *tls.Config {
	t.Helper()
	own, err := tls.X509KeyPair(a.pair(t, "service"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool(),
	}
}

// terminator speaks TLS before the real service, and remembers whom it spoke to.
type terminator struct {
	address string
	config  atomic.Pointer[tls.Config]
	mu      sync.Mutex
	clients []string // common names, a connection each
}

func terminate(t *testing.T, s *service, config *tls.Config) *terminator {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &terminator{address: listener.Addr().String()}
	f.config.Store(config)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.join(ctx, tls.Server(conn, f.config.Load()), s.address) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	})
	return f
}

// join carries bytes both ways until either side ends.
func (f *terminator) join(ctx context.Context, conn *tls.Conn, address string) {
	defer conn.Close()
	if err := conn.HandshakeContext(ctx); err != nil {
		return
	}
	f.mu.Lock()
	f.clients = append(f.clients, conn.ConnectionState().PeerCertificates[0].Subject.CommonName)
	f.mu.Unlock()
	plain, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = plain.Close(); _ = conn.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(plain, conn); _ = plain.Close() })
	both.Go(func() { _, _ = io.Copy(conn, plain); _ = conn.Close() })
	both.Wait()
}

func (f *terminator) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.clients)
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificatesRotate(t *testing.T) {
	s, first, second := start(t), newAuthority(t), newAuthority(t)
	f := terminate(t, s, first.tls(t, first))
	dir := t.TempDir()
	files := client.TLS{CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	rotate := func(a *authority, name string) {
		certificate, key := a.pair(t, name)
		put(t, files.CertFile, certificate)
		put(t, files.KeyFile, key)
	}
	put(t, files.CAFile, first.pem())
	rotate(first, "before")
	c := connect(t, "", client.Config{URL: "https://" + f.address, TLS: &files})
	ask := func() error { // on a new connection
		c.Close()
		_, err := c.Score(t.Context(), example())
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	put(t, files.CertFile, []byte("half of a")) // while the files are replaced, those of before hold
	if err := ask(); err != nil {
		t.Error("while the files are replaced:", err)
	}
	rotate(first, "after")
	if err := ask(); err != nil {
		t.Error(err)
	}
	f.config.Store(second.tls(t, second)) // another authority on the service's side
	if err := ask(); err == nil {
		t.Error("a service of an unknown authority was believed")
	}
	put(t, files.CAFile, append(first.pem(), second.pem()...))
	rotate(second, "other authority")
	if err := ask(); err != nil {
		t.Error(err)
	}
	if want := []string{"before", "before", "after", "other authority"}; !slices.Equal(f.names(), want) {
		t.Errorf("the service spoke to %q, want %q", f.names(), want)
	}
	if _, err := c.Score(t.Context(), example()); err != nil || len(f.names()) != 4 {
		t.Errorf("%v, %d connections; want the open one to be used", err, len(f.names()))
	}
}

// A certificate that is not trusted will not be so the next moment either.
func TestUntrustedServiceIsAskedOnce(t *testing.T) {
	s, a := start(t), newAuthority(t)
	f := terminate(t, s, a.tls(t, a))
	var changes atomic.Int64
	c := connect(t, "", client.Config{URL: "https://" + f.address, Breaker: client.Breaker{
		MinRequests: 2, OnChange: func(string, string) { changes.Add(1) },
	}})
	if _, err := c.Score(t.Context(), example()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v, want one about the certificate", err)
	}
	if changes.Load() != 0 {
		t.Error("the service was asked twice")
	}
}

func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	f := misbehave(t, pass(start(t)))
	file := filepath.Join(t.TempDir(), "token")
	put(t, file, []byte("first\n"))
	c := connect(t, f.address, client.Config{TokenFile: file})
	for n, step := range []struct{ file, want string }{{"first", "first"}, {"", "first"}, {"two words", "first"}, {"second\n", "second"}} {
		put(t, file, []byte(step.file))
		time.Sleep(1010 * time.Millisecond)
		if _, err := c.Score(t.Context(), example()); err != nil {
			t.Fatal(err)
		}
		if got := f.header(n, "Authorization"); got != "Bearer "+step.want {
			t.Errorf("file %q: sent %q, want %q", step.file, got, step.want)
		}
	}
}

type traceKey struct{}

func TestHeadersOfTheContext(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f := misbehave(t, reset, pass(start(t)))
	c := connect(t, f.address, client.Config{Header: func(ctx context.Context, h http.Header) {
		h.Set("Traceparent", ctx.Value(traceKey{}).(string))
		h.Set("Content-Type", "text/plain") // what the contract says is not for the hook to change
	}})
	if _, err := c.Score(context.WithValue(t.Context(), traceKey{}, parent), example()); err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // the retry as well
		if got := f.header(n, "traceparent"); got != parent {
			t.Errorf("request %d: traceparent %q, want %q", n+1, got, parent)
		}
	}
}
