package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// TestSlowLoris keeps 500 connections busy with headers, orders and batches that never end, and with answers that are
// never read: orders of others go on as before, memory stays within its bounds, and in the end nothing is held.
func TestSlowLoris(t *testing.T) {
	r := start(t, func(c *server.Config, _ *server.Parts) { c.ScoreDeadline = 9 * time.Second })
	before := heap()
	post := func(path string, claimed, sent int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, jsonLine, claimed, strings.Repeat(" ", sent))
	}
	batch := "[" + strings.Repeat(example+",", 999) + example + "]"
	unread := fmt.Sprintf("POST /score/batch HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", jsonLine, len(batch), batch)
	attacks := []string{
		"POST /score HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("x", 8<<10),
		post("/score", 64<<10, 60<<10),
		post("/score/batch", 1<<20, 300<<10),
	}
	const lorises = 500
	conns := make([]net.Conn, lorises)
	var opening sync.WaitGroup
	for i := range conns {
		opening.Go(func() {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Scoring)
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = conn
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			text := attacks[i%len(attacks)]
			if i%20 == 0 {
				text = unread
			}
			_, _ = io.WriteString(conn, text) // a batch may be refused before it is sent
		})
	}
	opening.Wait()
	order, control := r.honest(t)
	if held := r.metric(t, "riskscorer_http_body_memory_bytes"); held > 64<<20 {
		t.Errorf("%v bytes of bodies are held, want at most 64 MiB", held)
	}
	grown := int64(heap()) - int64(before)
	t.Logf("p50 of an order %v, of a handler that does nothing %v; memory grew by %d MiB, %v MiB of it bodies", order, control, grown>>20,
		r.metric(t, "riskscorer_http_body_memory_bytes")/(1<<20))
	if grown > 128<<20 {
		t.Errorf("memory grew by %d MiB for %d connections", grown>>20, lorises)
	}
	if order > 5*control+20*time.Millisecond {
		t.Errorf("an order takes %v, a handler that does nothing %v", order, control)
	}
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	r.idle(t)
}

// honest sends orders, each of which must be answered, and in between asks a handler of the same process that does nothing:
// what the machine costs. It returns the median time of each.
func (r *running) honest(tb testing.TB) (order, control time.Duration) {
	tb.Helper()
	bare := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer bare.Close()
	var orders, controls []time.Duration
	for range 500 {
		begin := time.Now()
		if a := r.post(tb, "/score", example); a.status != http.StatusOK {
			tb.Fatalf("an order: %d %s", a.status, a.body)
		}
		between := time.Now()
		r.send(tb, http.MethodGet, bare.URL, nil, http.NoBody)
		orders, controls = append(orders, between.Sub(begin)), append(controls, time.Since(between))
	}
	r.client.CloseIdleConnections()
	return quantile(orders, 0.5), quantile(controls, 0.5)
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
