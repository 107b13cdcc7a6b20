package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
)

// authority issues certificates for 127.0.0.1.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := new(authority)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = issue(t, template, nil)
	return a
}

// issue signs the template, by itself if there is no authority.
func issue(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// pair issues a certificate that serves and identifies.
func (a *authority) pair(t *testing.T) (certificate, key []byte) {
	t.Helper()
	c, k := issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// server is the configuration of a broker of this authority, which wants to know its clients.
func (a *authority) server(t *testing.T) *tls.Config {
	t.Helper()
	own, err := tls.X509KeyPair(a.pair(t))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.certificate)
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
}

// files are those of a client, in one directory.
type files struct{ ca, certificate, key string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	return files{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines are the connections of a client, which can be cut.
type lines struct {
	mu   sync.Mutex
	open []net.Conn
}

func (l *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.open = append(l.open, conn)
	}
	return conn, err
}

func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// reaches returns the error that remains of asking the cluster for something that no cache has.
func reaches(t *testing.T, c *broker.Client) error {
	t.Helper()
	var err error
	for range 30 { // the library finds out by and by that its connections are cut
		if _, err = c.Offsets(deadline(t), topic, []int{0}); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func TestCertificatesRotateWithoutRestart(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	var serving atomic.Pointer[tls.Config]
	serving.Store(first.server(t))
	cluster := startCluster(t, kfake.TLS(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return serving.Load(), nil }}))
	f, l := newFiles(t), new(lines)
	certificate, key := first.pair(t)
	put(t, f.ca, first.pem())
	put(t, f.certificate, certificate)
	put(t, f.key, key)
	c := connect(t, broker.Config{
		Brokers: cluster.ListenAddrs(), Dial: l.dial,
		TLSEnabled: true, TLSCAFile: f.ca, TLSCertFile: f.certificate, TLSKeyFile: f.key,
	})
	if err := reaches(t, c); err != nil {
		t.Fatal(err)
	}

	// Half of the client's own pair is there: the one of before holds.
	certificate, key = second.pair(t)
	put(t, f.certificate, certificate)
	l.cut()
	if err := reaches(t, c); err != nil {
		t.Errorf("while the files are being replaced: %v", err)
	}

	// The brokers have gone over to another authority, the client's file has not.
	serving.Store(second.server(t))
	l.cut()
	if err := reaches(t, c); broker.KindOf(err) != broker.KindTLS {
		t.Errorf("an authority that the client does not know: %v (%v)", err, broker.KindOf(err))
	}
	put(t, f.key, key)
	put(t, f.ca, append(first.pem(), second.pem()...))
	l.cut()
	if err := reaches(t, c); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	// The group's connections, which the library makes by itself, go the same way.
	conn, err := c.Dialer().DialContext(deadline(t), "tcp", cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Brokers(); err != nil {
		t.Errorf("the group's connection: %v", err)
	}
}

// bearer makes the in-memory broker, which knows no OAUTHBEARER, take the one token that it is told.
type bearer struct {
	mu    sync.Mutex
	token string
	seen  int
}

func (b *bearer) accept(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token = token
}

func (b *bearer) control(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		res := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		if r.(*kmsg.SASLHandshakeRequest).Mechanism != "OAUTHBEARER" {
			res.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return res, nil, true
	})
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen++
		res := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		if got := r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes; !bytes.Equal(got, []byte("n,,\x01auth=Bearer "+b.token+"\x01\x01")) {
			res.SASLAuthBytes = []byte(`{"status":"invalid_token"}`)
		}
		return res, nil, true
	})
}

func TestTokenIsReadForEachConnection(t *testing.T) {
	ca, server := certificate(t)
	cluster := startCluster(t, kfake.TLS(server))
	gate := &bearer{token: "eyJhbGciOi.first-_~+/=="}
	gate.control(cluster)
	file, l := filepath.Join(t.TempDir(), "token"), new(lines)
	put(t, file, []byte("eyJhbGciOi.first-_~+/==\n"))
	c := connect(t, broker.Config{
		Brokers: cluster.ListenAddrs(), Dial: l.dial, TLSEnabled: true, TLSCAFile: ca, SASLMechanism: "OAUTHBEARER", SASLTokenFile: file,
	})
	if err := reaches(t, c); err != nil {
		t.Fatal(err)
	}
	gate.accept("eyJhbGciOi.second")
	l.cut()
	err := reaches(t, c)
	if broker.KindOf(err) != broker.KindNotAuthorized || !strings.Contains(err.Error(), "invalid_token") || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("an old token: %v (%v)", err, broker.KindOf(err))
	}
	put(t, file, []byte("eyJhbGciOi.second"))
	if err := reaches(t, c); err != nil {
		t.Errorf("a token that was renewed: %v", err)
	}
	conn, err := c.Dialer().DialContext(deadline(t), "tcp", cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatalf("the group's connection: %v", err)
	}
	_ = conn.Close()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l.cut()
	if err := reaches(t, c); broker.KindOf(err) != broker.KindNotAuthorized || !strings.Contains(err.Error(), "KAFKA_SASL_TOKEN_FILE") {
		t.Errorf("no token: %v (%v)", err, broker.KindOf(err))
	}
}

func TestTokenSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	sound := broker.Config{
		Brokers: []string{"localhost:9092"}, TLSEnabled: true, SASLMechanism: "OAUTHBEARER", SASLTokenFile: file,
	}
	for _, text := range []string{"", " \n", "two words", "bad\x01byte", strings.Repeat("x", 1<<17)} {
		put(t, file, []byte(text))
		if _, err := broker.NewClient(sound); err == nil || !strings.Contains(err.Error(), "KAFKA_SASL_TOKEN_FILE") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for want, change := range map[string]func(*broker.Config){
		"KAFKA_TLS_ENABLED":                     func(c *broker.Config) { c.TLSEnabled = false },
		"KAFKA_SASL_TOKEN_FILE: needed":         func(c *broker.Config) { c.SASLTokenFile = "" },
		"not with KAFKA_SASL_MECHANISM=OAUTHBE": func(c *broker.Config) { c.SASLPassword = "p" },
		"KAFKA_SASL_MECHANISM: needed":          func(c *broker.Config) { c.SASLMechanism = "" },
		"only with":                             func(c *broker.Config) { c.SASLMechanism, c.SASLUsername, c.SASLPassword = "PLAIN", "u", "p" },
	} {
		cfg := sound
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
