package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/server"
)

// traffic sends orders until it is stopped, and keeps what failed.
type traffic struct {
	sent  atomic.Int64
	stop  chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex
	fault error
	count int
}

// drive has each client send orders, one after the other.
func drive(url string, header http.Header, clients ...*http.Client) *traffic {
	l := &traffic{stop: make(chan struct{})}
	for _, c := range clients {
		l.group.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				err := order(c, url, header)
				l.sent.Add(1)
				l.mu.Lock()
				if err != nil {
					l.fault, l.count = err, l.count+1
				}
				l.mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	return l
}

// end stops the traffic, and fails the test for every order that was not scored.
func (l *traffic) end(tb testing.TB, what string) {
	tb.Helper()
	close(l.stop)
	l.group.Wait()
	if l.count > 0 || l.sent.Load() < 100 {
		tb.Errorf("%s: %d of %d orders failed, the last with: %v", what, l.count, l.sent.Load(), l.fault)
	}
	tb.Logf("%s: %d orders, none failed", what, l.sent.Load())
}

// order sends the example; anything but its decision is an error.
func order(c *http.Client, url string, header http.Header) error {
	request, err := http.NewRequest(http.MethodPost, url+"/score", strings.NewReader(example))
	if err != nil {
		return err
	}
	request.Header = header.Clone()
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s %w", response.StatusCode, body, err)
	}
	return nil
}

// serial returns the number of the certificate that a new connection is shown, 0 if there is none.
func serial(address string) int64 {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return 0
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificatesRotateUnderLoad changes the certificate 24 times while orders come on kept and on new connections.
func TestCertificatesRotateUnderLoad(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := newStore(t, files(a.issue(t, nil)))
	r := start(t, encrypted(s))
	l := drive("https://"+r.Scoring, jsonHeader(), a.client(t, nil, false), a.client(t, nil, false), a.client(t, nil, true), a.client(t, nil, true))
	for range 24 {
		next := a.issue(t, nil)
		s.put(t, files(next))
		await(t, "the next certificate", func() bool { return serial(r.Scoring) == next.serial })
	}
	l.end(t, "24 rotations")
	if n := r.metric(t, "riskscorer_http_file_reloads_total", "door=scoring", "what=certificate", "outcome=used"); n != 24 {
		t.Errorf("%v reloads are counted, want 24", n)
	}
	if n := r.metric(t, "riskscorer_http_file_reloads_total", "outcome=refused"); n != 0 {
		t.Errorf("%v refused reloads are counted, want none", n)
	}
}

// TestBrokenCertificateLeavesTheOneBefore puts what is no certificate, or not this key's, where one was.
func TestBrokenCertificateLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	first := a.issue(t, nil)
	s := newStore(t, files(first))
	r := start(t, encrypted(s))
	other := a.issue(t, nil)
	ended := a.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for i, broken := range []struct {
		files map[string][]byte
		says  string
	}{
		{map[string][]byte{"tls.crt": []byte("no PEM"), "tls.key": first.key}, "failed to find any PEM data"},
		{map[string][]byte{"tls.crt": other.certificate, "tls.key": first.key}, "does not match"},
		{map[string][]byte{"tls.crt": first.certificate}, "no such file"},
		{map[string][]byte{"tls.crt": first.certificate, "tls.key": make([]byte, 1<<20)}, "over 262144 bytes"},
		{files(ended), "the certificate ended at"},
	} {
		s.put(t, broken.files)
		await(t, broken.says, func() bool {
			return r.metric(t, "riskscorer_http_file_reloads_total", "door=scoring", "outcome=refused") == float64(i+1)
		})
		if text := r.logs.String(); !strings.Contains(text, broken.says) || strings.Contains(text, "PRIVATE") {
			t.Errorf("the log says %s\nwant %q in it", text, broken.says)
		}
		if got := serial(r.Scoring); got != first.serial {
			t.Errorf("%s: certificate %d serves, want that of before", broken.says, got)
		}
	}
	s.put(t, files(other))
	await(t, "a sound pair after the broken ones", func() bool { return serial(r.Scoring) == other.serial })
}

func TestCertificateExpiryIsAMetric(t *testing.T) {
	a := newAuthority(t)
	until := time.Now().Add(17 * time.Minute)
	s := newStore(t, files(a.issue(t, func(c *x509.Certificate) { c.NotAfter = until })))
	r := start(t, encrypted(s))
	if got := r.metric(t, "riskscorer_http_certificate_expiry_timestamp_seconds", "door=scoring"); got != float64(until.Unix()) {
		t.Errorf("the certificate ends at %v, want %v", got, until.Unix())
	}
}

// TestExpiredCertificateDoesNotStopAStart: the stream of the same process needs none.
func TestExpiredCertificateDoesNotStopAStart(t *testing.T) {
	a := newAuthority(t)
	p := a.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	r := start(t, encrypted(newStore(t, files(p))))
	if got := serial(r.Scoring); got != p.serial {
		t.Errorf("certificate %d serves, want %d", got, p.serial)
	}
	if text := r.logs.String(); !strings.Contains(text, "the certificate has ended") {
		t.Errorf("the log says nothing of it:\n%s", text)
	}
}

// TestTLSVersions: 1.3 by default, 1.2 where it is set, never less.
func TestTLSVersions(t *testing.T) {
	a := newAuthority(t)
	s := newStore(t, files(a.issue(t, nil)))
	for setting, taken := range map[string]map[uint16]bool{
		"":    {tls.VersionTLS13: true, tls.VersionTLS12: false, tls.VersionTLS11: false, tls.VersionTLS10: false},
		"1.3": {tls.VersionTLS13: true, tls.VersionTLS12: false},
		"1.2": {tls.VersionTLS13: true, tls.VersionTLS12: true, tls.VersionTLS11: false, tls.VersionTLS10: false},
	} {
		r := start(t, encrypted(s), func(c *server.Config, _ *server.Parts) { c.HTTP.MinVersion = setting })
		for version, want := range taken {
			conn, err := tls.Dial("tcp", r.Scoring, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
			if (err == nil) != want {
				t.Errorf("TLS_MIN_VERSION %q: %s: %v, want it taken: %v", setting, tls.VersionName(version), err, want)
			}
			if err == nil {
				if protocol := conn.ConnectionState().NegotiatedProtocol; protocol == "h2" {
					t.Error("HTTP/2 is spoken, whose limits nothing here holds")
				}
				_ = conn.Close()
			}
		}
	}
}

// TestEveryDoorSpeaksTLS gives each door a certificate; health answers on each, clear text gets a bare 400.
func TestEveryDoorSpeaksTLS(t *testing.T) {
	a := newAuthority(t)
	s := newStore(t, files(a.issue(t, nil)))
	r := start(t, encrypted(s), func(c *server.Config, _ *server.Parts) {
		c.Admin.CertFile, c.Admin.KeyFile = c.HTTP.CertFile, c.HTTP.KeyFile
		c.Metrics.CertFile, c.Metrics.KeyFile = c.HTTP.CertFile, c.HTTP.KeyFile
	})
	client := a.client(t, nil, false)
	for _, door := range []string{r.Scoring, r.Admin, r.Metrics} {
		response, err := client.Get("https://" + door + "/health/live")
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, response)
		_ = response.Body.Close()
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Strict-Transport-Security"), "max-age=31536000") {
			t.Errorf("%d %v", got.status, got.header)
		}
		conn := dial(t, door)
		conn.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
		if clear := conn.read(); clear.status != http.StatusBadRequest || clear.header.Get("Location") != "" {
			t.Errorf("clear text: %d %v, want 400 and no redirect", clear.status, clear.header)
		}
	}
}

// TestStartNeedsSoundFiles: what cannot be read names its variable.
func TestStartNeedsSoundFiles(t *testing.T) {
	a := newAuthority(t)
	s := newStore(t, files(a.issue(t, nil)))
	if err := os.WriteFile(s.path("tokens"), []byte("checkout:not-a-digest"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*server.Config){
		"HTTP_TLS_CERT_FILE":  func(c *server.Config) { c.HTTP.CertFile, c.HTTP.KeyFile = "/nowhere", s.path("tls.key") },
		"ADMIN_TLS_CERT_FILE": func(c *server.Config) { c.Admin.CertFile, c.Admin.KeyFile = s.path("tls.key"), s.path("tls.key") },
		"METRICS_TLS_CERT_FILE": func(c *server.Config) {
			c.Metrics = server.Access{
				CertFile: s.path("tls.crt"), KeyFile: s.path("tls.key"), Auth: server.AuthMTLS,
				ClientCAFile: s.path("tls.key"), ClientNames: []string{"prometheus"},
			}
		},
		"HTTP_TOKENS_FILE: line 1": func(c *server.Config) { c.HTTP.Auth, c.HTTP.TokensFile = server.AuthBearer, s.path("tokens") },
	} {
		_, err := newServer(change)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not-a-digest") {
			t.Errorf("error %v, want one that names %s", err, want)
		}
	}
}

// newServer makes a server, with settings changed, that is not started.
func newServer(change func(*server.Config)) (*server.Server, error) {
	c := server.Config{HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", ScoreDeadline: time.Second}
	change(&c)
	registry := prometheus.NewRegistry()
	return server.New(c, server.Parts{
		Models: serving{}, Readiness: readiness{}, Scoring: true, Drain: time.Second, Registerer: registry, Gatherer: registry, Logger: slog.New(slog.DiscardHandler),
	})
}
