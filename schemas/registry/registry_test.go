package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const subject = "risk-results-value"

// server is a schema registry that counts requests.
type server struct {
	*srfake.Registry
	requests atomic.Int64
}

func serve(t *testing.T, options ...srfake.Option) *server {
	t.Helper()
	s := &server{Registry: srfake.New(options...)}
	t.Cleanup(s.Close)
	s.Intercept(func(http.ResponseWriter, *http.Request) bool {
		s.requests.Add(1)
		return false
	})
	return s
}

func open(t *testing.T, config registry.Config) *registry.Source {
	t.Helper()
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	s, err := registry.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func writePins(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pins.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRegisteredSchemaIsFetchedOnce(t *testing.T) {
	server := serve(t)
	s := open(t, registry.Config{URL: server.URL()})
	if _, err := s.Lookup(t.Context(), subject, schemas.RiskResultSchema); !errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("before it is registered: %v", err)
	}
	id, err := s.Register(t.Context(), subject, schemas.RiskResultSchema)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Register(t.Context(), subject, schemas.RiskResultSchema); err != nil || again != id {
		t.Errorf("registered again: %d, %v, want %d", again, err, id)
	}
	if found, err := s.Lookup(t.Context(), subject, schemas.RiskResultSchema); err != nil || found != id {
		t.Errorf("looked up: %d, %v, want %d", found, err, id)
	}
	before := server.requests.Load()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 10 {
				if text, err := s.Schema(context.Background(), id); err != nil || text != schemas.RiskResultSchema {
					t.Errorf("got %.40q, %v", text, err)
				}
			}
		})
	}
	group.Wait()
	if n := server.requests.Load() - before; n != 1 {
		t.Errorf("%d requests for one id, want 1", n)
	}
}

func TestUnknownIDIsAskedAgainWithinBounds(t *testing.T) {
	server := serve(t)
	s := open(t, registry.Config{URL: server.URL()})
	start := time.Now()
	for range 100 { // as many records of a broken producer
		if _, err := s.Schema(t.Context(), 4711); !errors.Is(err, schemas.ErrSchemaUnknown) {
			t.Fatalf("got %v", err)
		}
	}
	if n := server.requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	if d := time.Since(start); d > 2500*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

// As many ids, each unknown: a batch of them must not take minutes, which would look like a handler that hangs.
func TestManyUnknownIDsAreNotWaitedFor(t *testing.T) {
	server := serve(t)
	s := open(t, registry.Config{URL: server.URL()})
	start := time.Now()
	const ids = 200
	for id := range ids {
		if _, err := s.Schema(t.Context(), 4711+id); !errors.Is(err, schemas.ErrSchemaUnknown) {
			t.Fatalf("got %v", err)
		}
	}
	if d, n := time.Since(start), server.requests.Load(); d > 9*time.Second || n != ids+4*2 {
		t.Errorf("%d ids took %v and %d requests", ids, d, n)
	}
}

func TestLateSchemaIsFound(t *testing.T) {
	server := serve(t)
	s := open(t, registry.Config{URL: server.URL()})
	server.Intercept(func(http.ResponseWriter, *http.Request) bool {
		if server.requests.Load() == 2 {
			server.SeedSchema("orders-value", 1, 5, sr.Schema{Schema: `"string"`})
		}
		return false
	})
	if text, err := s.Schema(t.Context(), 5); err != nil || text != `"string"` {
		t.Errorf("got %q, %v", text, err)
	}
}

// Whatever is wrong with the service, no record is called bad for it, and nothing of it is remembered.
func TestBrokenServiceIsNotAnAnswer(t *testing.T) {
	server := serve(t)
	server.SeedSchema("orders-value", 1, 5, sr.Schema{Schema: `"string"`})
	var answer atomic.Pointer[http.HandlerFunc]
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		f := answer.Load()
		if f != nil {
			(*f)(w, r)
		}
		return f != nil
	})
	s := open(t, registry.Config{URL: server.URL(), Timeout: 200 * time.Millisecond})
	write := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	faults := map[string]http.HandlerFunc{
		"500":                write(500, `{"error_code":50001,"message":"store"}`),
		"503":                write(503, strings.Repeat("busy ", 10_000)),
		"401":                write(401, ``),
		"429":                write(429, `{"error_code":429}`),
		"404 of a proxy":     write(404, `<html>no such route</html>`),
		"404 of another API": write(404, `{"error_code":404,"message":"HTTP 404 Not Found"}`),
		"200 of a proxy":     write(200, `<html>please log in</html>`),
		"200 without end":    write(200, `{"schema":"`+strings.Repeat("x", 4<<20)+`"}`),
		"200 cut":            write(200, `{"schema":"`),
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // net/http sees that the client is gone only behind the body
			<-r.Context().Done()
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			answer.Store(&fault)
			_, err := s.Schema(t.Context(), 5)
			if err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
				t.Errorf("Schema: %v", err)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if _, err := s.Lookup(t.Context(), subject, schemas.RiskResultSchema); err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
				t.Errorf("Lookup: %v", err)
			}
			if _, err := s.Register(t.Context(), subject, schemas.RiskResultSchema); err == nil {
				t.Error("Register: no error")
			}
		})
	}
	answer.Store(nil)
	if text, err := s.Schema(t.Context(), 5); err != nil || text != `"string"` {
		t.Errorf("when it is well again: %q, %v", text, err)
	}
}

func TestServerDown(t *testing.T) {
	server := serve(t)
	url := server.URL()
	server.Close()
	s := open(t, registry.Config{URL: url})
	if _, err := s.Schema(t.Context(), 5); err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("got %v", err)
	}
	well := serve(t)
	well.SeedSchema("orders-value", 1, 5, sr.Schema{Schema: `"string"`})
	s = open(t, registry.Config{URL: url + ", " + well.URL()})
	if text, err := s.Schema(t.Context(), 5); err != nil || text != `"string"` {
		t.Errorf("the second URL: %q, %v", text, err)
	}
}

// One caller that gives up does not take the others with it.
func TestWaitersOutliveTheOneWhoFetches(t *testing.T) {
	server := serve(t)
	server.SeedSchema("orders-value", 1, 5, sr.Schema{Schema: `"string"`})
	arrived := make(chan struct{})
	var once sync.Once
	server.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		first := false
		once.Do(func() { first = true })
		if first {
			close(arrived)
			<-r.Context().Done()
		}
		return first
	})
	s := open(t, registry.Config{URL: server.URL()})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := s.Schema(ctx, 5); !errors.Is(err, context.Canceled) {
			t.Errorf("the one who gave up: %v", err)
		}
	})
	<-arrived
	for range 3 {
		group.Go(func() {
			if text, err := s.Schema(context.Background(), 5); err != nil || text != `"string"` {
				t.Errorf("a waiter: %q, %v", text, err)
			}
		})
	}
	impatient, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := s.Schema(impatient, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an impatient waiter: %v", err)
	}
	cancel()
	group.Wait()
}

func TestUnusableKindsOfSchemas(t *testing.T) {
	server := serve(t)
	server.SeedSchema("base", 1, 4, sr.Schema{Schema: `{"type":"fixed","name":"F","size":1}`})
	server.SeedSchema("json", 1, 5, sr.Schema{Schema: `{"type":"object"}`, Type: sr.TypeJSON})
	server.SeedSchema("references", 1, 6, sr.Schema{
		Schema:     `{"type":"record","name":"R","fields":[{"name":"f","type":"F"}]}`,
		References: []sr.SchemaReference{{Name: "F", Subject: "base", Version: 1}},
	})
	s := open(t, registry.Config{URL: server.URL()})
	for id := 5; id <= 6; id++ {
		if text, err := s.Schema(t.Context(), id); !errors.Is(err, schemas.ErrSchemaUnknown) {
			t.Errorf("id %d: %q, %v", id, text, err)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	server := serve(t, srfake.WithAuth("Basic dXNlcjpwYXNz"))
	server.SeedSchema("orders-value", 1, 5, sr.Schema{Schema: `"string"`})
	s := open(t, registry.Config{URL: server.URL(), User: "user", Password: "pass"})
	if _, err := s.Schema(t.Context(), 5); err != nil {
		t.Error(err)
	}
	s = open(t, registry.Config{URL: server.URL()})
	if _, err := s.Schema(t.Context(), 5); err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("without credentials: %v", err)
	}
}

func TestPins(t *testing.T) {
	quoted, err := json.Marshal(schemas.RiskResultSchema)
	if err != nil {
		t.Fatal(err)
	}
	path := writePins(t, `{"12":`+string(quoted)+`,"3":`+schemas.OrderFeaturesSchema+`,"9":`+schemas.RiskResultSchema+`,"0":"\"string\""}`)
	s := open(t, registry.Config{Pins: path})
	for id, want := range map[int]string{12: schemas.RiskResultSchema, 3: schemas.OrderFeaturesSchema, 0: `"string"`} {
		got, err := s.Schema(t.Context(), id)
		if err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("id %d: %.40q, %v", id, got, err)
		}
	}
	if id, err := s.Lookup(t.Context(), subject, schemas.RiskResultSchema); err != nil || id != 9 {
		t.Errorf("looked up %d, %v, want the least id 9", id, err)
	}
	if id, err := s.Lookup(t.Context(), subject, `{"type":"enum","name":"E","symbols":["A"]}`); !errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("looked up %d, %v", id, err)
	}
	if _, err := s.Schema(t.Context(), 4); err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("an id without pin: %v, want a broken service", err)
	}
	if _, err := s.Register(t.Context(), subject, `"string"`); err == nil {
		t.Error("pins took a registration")
	}
	server := serve(t)
	server.SeedSchema("orders-value", 1, 3, sr.Schema{Schema: `"string"`})
	server.SeedSchema("orders-value", 2, 4, sr.Schema{Schema: `"int"`})
	both := open(t, registry.Config{Pins: path, URL: server.URL()})
	if got, err := both.Schema(t.Context(), 3); err != nil || got == `"string"` {
		t.Errorf("the pin does not win: %q, %v", got, err)
	}
	if got, err := both.Schema(t.Context(), 4); err != nil || got != `"int"` {
		t.Errorf("an id without pin: %q, %v", got, err)
	}
}

func TestConfigMustMakeSense(t *testing.T) {
	if s, err := registry.New(registry.Config{}); s != nil || err != nil {
		t.Errorf("nothing configured: %v, %v", s, err)
	}
	for name, config := range map[string]registry.Config{
		"no file":           {Pins: filepath.Join(t.TempDir(), "absent")},
		"no JSON":           {Pins: writePins(t, `{`)},
		"one id twice":      {Pins: writePins(t, `{"1":"\"int\"","1":"\"int\""}`)},
		"no id":             {Pins: writePins(t, `{"one":"\"int\""}`)},
		"id with a zero":    {Pins: writePins(t, `{"01":"\"int\""}`)},
		"negative id":       {Pins: writePins(t, `{"-1":"\"int\""}`)},
		"large id":          {Pins: writePins(t, `{"2147483648":"\"int\""}`)},
		"no schema":         {Pins: writePins(t, `{"1":{"type":"record"}}`)},
		"not even a string": {Pins: writePins(t, `{"1":7}`)},
		"no URL":            {URL: "registry:8081", Timeout: time.Second},
		"another scheme":    {URL: "ftp://registry", Timeout: time.Second},
		"credentials":       {URL: "http://user:hunter2@registry", Timeout: time.Second},
		"no time":           {URL: "http://registry"},
	} {
		s, err := registry.New(config)
		if err == nil || s != nil || !strings.HasPrefix(err.Error(), "SCHEMA_") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestNilSourceHasNoSchemas(t *testing.T) {
	var s *registry.Source
	defer s.Close()
	if _, err := s.Schema(t.Context(), 1); err == nil || errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("Schema: %v", err)
	}
	if _, err := s.Lookup(t.Context(), subject, `"int"`); err == nil {
		t.Error("Lookup: no error")
	}
	if _, err := s.Register(t.Context(), subject, `"int"`); err == nil {
		t.Error("Register: no error")
	}
}
