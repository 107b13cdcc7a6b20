package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server"
)

func atMost(n int) func(*server.Config, *server.Parts) {
	return func(c *server.Config, _ *server.Parts) { c.HTTP.MaxConnections = n }
}

const liveLine = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

// TestIdleConnectionsAreBounded keeps ten times as many connections open as may be: those that wait longest make room,
// and one that has just been used stays.
func TestIdleConnectionsAreBounded(t *testing.T) {
	r := start(t, atMost(50))
	var all []*wire
	for range 500 {
		conn := dial(t, r.Scoring)
		conn.write(liveLine)
		if a := conn.read(); a.status != http.StatusOK {
			t.Fatalf("%d", a.status)
		}
		all = append(all, conn)
		if n := r.metric(t, "riskscorer_http_connections", "door=scoring"); n > 50 {
			t.Fatalf("%v connections are open, want at most 50", n)
		}
	}
	last := all[len(all)-40:] // two fewer would do: start's own client has one
	for _, conn := range last {
		conn.write(liveLine)
		if a := conn.read(); a.status != http.StatusOK {
			t.Errorf("a connection that was used lately: %d", a.status)
		}
	}
	for _, conn := range all[:400] {
		if n, err := conn.in.Read(make([]byte, 1)); err == nil {
			t.Fatalf("%d bytes on a connection that had to make room", n)
		}
	}
	if n := r.metric(t, "riskscorer_http_evicted_connections_total", "door=scoring"); n < 450 || n > 452 {
		t.Errorf("%v connections are counted as closed, want 450 and those of the test's own client", n)
	}
}

// TestWhatAnIdleConnectionCosts bounds what a kept connection takes of memory, with and without TLS.
func TestWhatAnIdleConnectionCosts(t *testing.T) {
	const n = 400
	a := newAuthority(t)
	for name, c := range map[string]struct {
		secure bool
		most   uint64
	}{"clear text": {false, 40 << 10}, "TLS, with the client's half": {true, 160 << 10}} {
		options := []func(*server.Config, *server.Parts){atMost(2 * n)}
		if c.secure {
			options = append(options, encrypted(newStore(t, files(a.issue(t, nil)))))
		}
		r := start(t, options...)
		before := inUse()
		for range n {
			conn := dial(t, r.Scoring)
			if c.secure {
				secure := tls.Client(conn.Conn, &tls.Config{InsecureSkipVerify: true})
				conn.Conn = secure
				conn.in.Reset(secure)
			}
			conn.write(liveLine)
			conn.read()
		}
		each := (inUse() - before) / n
		if open := r.metric(t, "riskscorer_http_connections", "door=scoring"); open < n {
			t.Errorf("%s: %v connections are open, want %d", name, open, n)
		}
		if each > c.most {
			t.Errorf("%s: an idle connection takes %d bytes, want at most %d", name, each, c.most)
		}
		t.Logf("%s: an idle connection takes %d bytes", name, each)
	}
}

// inUse is the memory that is reachable, and the stacks.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// busy keeps requests at work until its gate is opened.
type busy struct {
	serving
	gate atomic.Pointer[chan struct{}]
}

func (b *busy) Scorer() *scoring.Scorer {
	if gate := b.gate.Load(); gate != nil {
		<-*gate
	}
	return b.serving.Scorer()
}

// startBusy starts a server of few connections, all of which have a request at work until the gate is closed.
func startBusy(t *testing.T, most int) (r *running, working []*wire, gate chan struct{}) {
	t.Helper()
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	models := &busy{serving: model}
	r = start(t, atMost(most), func(_ *server.Config, p *server.Parts) { p.Models = models })
	r.client.CloseIdleConnections()
	awaitInFlight(t, r, 0)
	gate = make(chan struct{})
	models.gate.Store(&gate)
	for i := range most {
		conn := dial(t, r.Scoring)
		conn.write(request(jsonLine, example))
		awaitInFlight(t, r, float64(i+1))
		working = append(working, conn)
	}
	return r, working, gate
}

// TestFullOfRequestsMakesTheNextOneWait: a request at work is never cut for a new connection.
func TestFullOfRequestsMakesTheNextOneWait(t *testing.T) {
	r, working, gate := startBusy(t, 2)
	next := dial(t, r.Scoring)
	next.write(request(jsonLine, example))
	_ = next.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // over the grace
	if _, err := next.in.Peek(1); err == nil {
		t.Fatal("a third connection was answered while two requests were at work and two may be")
	}
	close(gate)
	_ = next.SetReadDeadline(time.Now().Add(10 * time.Second))
	next.in.Reset(next.Conn)
	for _, conn := range append(working, next) {
		if a := conn.read(); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := r.metric(t, "riskscorer_http_evicted_connections_total"); n > 2 { // one of start's client, one that was done
		t.Errorf("%v connections were made to go", n)
	}
}

// TestStopWhileAConnectionWaitsForAPlace: neither hangs.
func TestStopWhileAConnectionWaitsForAPlace(t *testing.T) {
	r, working, gate := startBusy(t, 1)
	waiting := dial(t, r.Scoring)
	waiting.write(request(jsonLine, example))
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	if _, err := waiting.in.ReadByte(); err == nil {
		t.Error("a connection without a place was answered after the stop")
	}
	close(gate)
	if a := working[0].read(); a.status != http.StatusOK {
		t.Errorf("the request in flight: %d", a.status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestBrokenHandshakesAreAnswered: what is no TLS gets an alert or a bare 400, and is counted.
func TestBrokenHandshakesAreAnswered(t *testing.T) {
	a := newAuthority(t)
	r := start(t, encrypted(newStore(t, files(a.issue(t, nil)))))
	for i, c := range []struct{ sent, got string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 400 Bad Request"},
		{"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x15\x03"}, // a hello of one byte: an alert
		{"\x80\x2e\x01\x00\x02 SSL 2", "\x15\x03"},
	} {
		conn := dial(t, r.Scoring)
		conn.write(c.sent)
		text, _ := io.ReadAll(conn.in)
		if !strings.HasPrefix(string(text), c.got) {
			t.Errorf("%q is answered by %q, want %q", c.sent, text, c.got)
		}
		await(t, fmt.Sprintf("failed handshake %d", i+1), func() bool {
			return r.metric(t, "riskscorer_http_failed_handshakes_total", "door=scoring") == float64(i+1)
		})
	}
}
