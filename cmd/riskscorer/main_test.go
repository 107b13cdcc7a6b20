package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const demo = "../../models/trendbuy_xgb_v1.0.0"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setenv sets loopback addresses on free ports, and then the test's own settings.
func setenv(t *testing.T, settings map[string]string) {
	t.Helper()
	for _, name := range []string{"HTTP_ADDR", "ADMIN_ADDR", "METRICS_ADDR"} {
		t.Setenv(name, "127.0.0.1:0")
	}
	t.Setenv("MODEL_PATH", demo)
	t.Setenv("ROLE", "serve")
	for name, value := range settings {
		t.Setenv(name, value)
	}
}

func riskscorer(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestAStartThatCannotBeSaysWhyByItsExitCode(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(broken, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "model.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, tt := range map[string]struct {
		settings map[string]string
		args     []string
		code     int
		says     string
	}{
		"an unlisted file in the bundle": {map[string]string{"MODEL_PATH": broken}, nil, 1, "model.json is not listed"},
		"another version demanded":       {map[string]string{"MODEL_VERSION": "v9"}, nil, 1, `MODEL_VERSION demands "v9"`},
		"no bundle there":                {map[string]string{"MODEL_PATH": "/nowhere"}, nil, 3, "MODEL_PATH /nowhere"},
		"an address that is taken":       {map[string]string{"HTTP_ADDR": taken.Addr().String()}, nil, 3, "listen"},
		"an unknown role":                {map[string]string{"ROLE": "reader"}, nil, 2, "ROLE"},
		"an unknown engine":              {map[string]string{"SCORING_ENGINE": "abacus"}, nil, 2, "SCORING_ENGINE"},
		"a duration that is none":        {map[string]string{"SCORE_DEADLINE": "soon"}, nil, 2, "SCORE_DEADLINE"},
		"a deadline of nothing":          {map[string]string{"SCORE_DEADLINE": "0s"}, nil, 2, "SCORE_DEADLINE"},
		"an unknown policy":              {map[string]string{"EXTRA_FEATURES": "perhaps"}, nil, 2, "EXTRA_FEATURES"},
		"a log level that is none":       {map[string]string{"LOG_LEVEL": "loud"}, nil, 2, "LOG_LEVEL"},
		"avro without schemas":           {map[string]string{"ROLE": "both", "RESULTS_FORMAT": "avro"}, nil, 2, "RESULTS_FORMAT"},
		"a drain above the session":      {map[string]string{"ROLE": "both", "DRAIN_TIMEOUT": "11s"}, nil, 2, "DRAIN_TIMEOUT"},
		"a broker without a port":        {map[string]string{"ROLE": "both", "KAFKA_BROKERS": "kafka"}, nil, 2, "KAFKA_BROKERS"},
		"a password without a mechanism": {map[string]string{"ROLE": "both", "KAFKA_SASL_PASSWORD": "x"}, nil, 2, "KAFKA_SASL_MECHANISM"},
		"administration for everybody":   {map[string]string{"ADMIN_ADDR": "0.0.0.0:0"}, nil, 2, "ADMIN_AUTH"},
		"a certificate that is not here": {map[string]string{"HTTP_TLS_CERT_FILE": "/nowhere", "HTTP_TLS_KEY_FILE": "/nowhere"}, nil, 2, "HTTP_TLS_CERT_FILE"},
		"an unknown command":             {nil, []string{"score"}, 2, `unknown command "score"`},
		"an unknown flag":                {nil, []string{"--port", "1"}, 2, "--port"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, tt.settings)
			// A start that succeeds against expectation must not hang the test.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			code, _, stderr := riskscorer(ctx, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.says) {
				t.Errorf("exit code %d, says %q; want %d and %q", code, stderr, tt.code, tt.says)
			}
		})
	}
}

func TestConfigPrintsEffectiveSettingsAndHidesSecrets(t *testing.T) {
	setenv(t, map[string]string{
		"ROLE": "both", "KAFKA_BROKERS": "a:1,b:2", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "user",
		"KAFKA_SASL_PASSWORD": "hunter2", "SCHEMA_REGISTRY_URL": "http://r", "SCHEMA_REGISTRY_USER": "u", "SCHEMA_REGISTRY_PASSWORD": "hunter2",
	})
	code, stdout, stderr := riskscorer(t.Context(), "config")
	if code != 0 || !strings.Contains(stdout, "KAFKA_BROKERS=a:1,b:2") || !strings.Contains(stdout, "KAFKA_SASL_USERNAME=user") ||
		!strings.Contains(stdout, "RESULTS_FORMAT=avro") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if strings.Contains(stdout, "hunter2") {
		t.Errorf("a secret is shown:\n%s", stdout)
	}
	code, stdout, _ = riskscorer(t.Context(), "config", "--json")
	var settings []struct{ Name, Value string }
	if err := json.Unmarshal([]byte(stdout), &settings); err != nil || code != 0 || len(settings) < 25 || strings.Contains(stdout, "hunter2") {
		t.Errorf("exit code %d, %v\n%s", code, err, stdout)
	}
}

// lines is a log that a test can wait for.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) await(t *testing.T, what string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.Contains(line, what) {
				return line
			}
		}
	}
	t.Fatalf("the log never said %q", what)
	return ""
}

func TestHealthcheckAsksTheRunningService(t *testing.T) {
	certificate, key := keyPair(t)
	for name, settings := range map[string]map[string]string{
		"clear text": {},
		"TLS":        {"METRICS_TLS_CERT_FILE": certificate, "METRICS_TLS_KEY_FILE": key},
	} {
		t.Run(name, func(t *testing.T) {
			free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			settings["METRICS_ADDR"] = free.Addr().String()
			if err := free.Close(); err != nil {
				t.Fatal(err)
			}
			setenv(t, settings)
			if code, _, stderr := riskscorer(t.Context(), "healthcheck"); code != 1 || !strings.Contains(stderr, "not healthy") {
				t.Errorf("without a service: exit code %d, %s", code, stderr)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan int, 1)
			var log lines
			go func() { done <- run(ctx, nil, &log, &log) }()
			log.await(t, `"running"`)
			if code, _, stderr := riskscorer(t.Context(), "healthcheck"); code != 0 {
				t.Errorf("with a service: exit code %d, %s", code, stderr)
			}
			stop()
			if code := <-done; code != 0 {
				t.Errorf("the service ended with exit code %d", code)
			}
		})
	}
}

// keyPair writes a certificate for nobody in particular, and its key.
func keyPair(t *testing.T) (certificate, key string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Close()
	pair := s.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
