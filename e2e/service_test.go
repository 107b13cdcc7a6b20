//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/sabotage"
)

// readyLimit bounds a start: the bundle's golden rows, then the group, which may wait for a killed member's session.
const readyLimit = 60 * time.Second

// pointLimit bounds the wait for a process to come to a point: it may have to join a group first that waits for another.
const pointLimit = 60 * time.Second

// service is one riskscorer process.
type service struct {
	name    string
	address string // of the scoring listener
	armed   string // the file of sabotage.FileVariable
	metrics string // address of the metrics listener
	log     string // file
	process *process.Process
}

// startService starts a process in both roles; more are settings that differ from the usual ones.
func (s *system) startService(ctx context.Context, t *testing.T, name string, more ...string) *service {
	t.Helper()
	model, err := filepath.Abs(filepath.Join(root, bundle))
	if err != nil {
		t.Fatal(err)
	}
	ports, err := process.FreePorts(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	address := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	armed := filepath.Join(t.TempDir(), "armed")
	log := filepath.Join(t.ArtifactDir(), "riskscorer-"+name+".log")
	p, err := process.Start(process.Spec{
		Path: filepath.Join(s.binaries, "riskscorer"),
		Log:  log,
		Env: append(s.environment(
			sabotage.FileVariable+"="+armed,
			"ROLE=both", "MODEL_PATH="+model, "RESULTS_FORMAT=avro", "KAFKA_GROUP="+group,
			"HTTP_ADDR="+address(ports[0]), "ADMIN_ADDR="+address(ports[1]), "METRICS_ADDR="+address(ports[2]),
			"SCORE_DEADLINE=30s", // batches of 1,000 on a busy machine; the deadline has tests of its own
		), more...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of process %s:\n%s", name, p.Tail(30))
		}
	})
	service := &service{name: name, address: address(ports[0]), metrics: address(ports[2]), log: log, armed: armed, process: p}
	service.await(ctx, t, "/health/ready")
	return service
}

// awaitStream waits until the process has joined the group and nothing is paused.
func (s *service) awaitStream(ctx context.Context, t *testing.T) {
	t.Helper()
	s.await(ctx, t, "/health/ready/stream")
}

func (s *service) await(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for deadline := time.Now().Add(readyLimit); ; {
		status, body := get(ctx, client, "http://"+s.address+path)
		if status == http.StatusOK {
			return
		}
		s.mustRun(t)
		if time.Now().After(deadline) {
			t.Fatalf("process %s: no 200 from %s within %s: %d %s", s.name, path, readyLimit, status, body)
		}
		pause(ctx, t, 50*time.Millisecond)
	}
}

// get returns status 0 and the error's text while nobody answers.
func get(ctx context.Context, client *http.Client, url string) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// killAt has the process end itself when it next comes to the point, and waits for that.
func (s *service) killAt(ctx context.Context, t *testing.T, p sabotage.Point) {
	t.Helper()
	s.mustRun(t)
	if err := os.WriteFile(s.armed, []byte(p), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.process.Done():
		if state := s.process.State(); state != "signal: killed" {
			t.Fatalf("process %s ended by itself: %s", s.name, state)
		}
	case <-time.After(pointLimit):
		t.Fatalf("process %s did not come to %s within %s", s.name, p, pointLimit)
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// peak is the most memory that the process ever had resident, in bytes.
func (s *service) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	t.Fatalf("process %s: no VmHWM in %s", s.name, text)
	return 0
}

func (s *service) kill(t *testing.T) {
	t.Helper()
	s.mustRun(t)
	s.process.Kill()
	t.Logf("process %s killed", s.name)
}

// stop ends the process with SIGTERM: it must drain and exit 0 in time.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.mustRun(t)
	begin := time.Now()
	if err := s.process.Stop(stopLimit); err != nil {
		t.Fatalf("process %s after SIGTERM: %v", s.name, err)
	}
	t.Logf("process %s stopped in %s", s.name, time.Since(begin).Round(time.Millisecond))
}

// mustRun fails the test if the process has ended by itself.
func (s *service) mustRun(t *testing.T) {
	t.Helper()
	select {
	case <-s.process.Done():
		t.Fatalf("process %s ended by itself: %s", s.name, s.process.State())
	default:
	}
}
