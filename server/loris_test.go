package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
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
	r := start(t, func(c *server.Config, _ *server.Parts) { c.ScoreDeadline = 4 * time.Second })
	alone := r.honest(t)
	before := heap()
	post := func(path string, claimed, sent int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, jsonLine, claimed, strings.Repeat(" ", sent))
	}
	batch := "[" + strings.Repeat(example+",", 999) + example + "]"
	attacks := []string{
		"POST /score HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("x", 8<<10),
		post("/score", 64<<10, 60<<10),
		post("/score/batch", 1<<20, 300<<10),
		fmt.Sprintf("POST /score/batch HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", jsonLine, len(batch), batch),
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
			_, _ = io.WriteString(conn, attacks[i%len(attacks)]) // a batch may be refused before it is sent
		})
	}
	beside := r.honest(t)
	opening.Wait()
	if held := r.metric(t, "riskscorer_http_body_memory_bytes"); held > 64<<20 {
		t.Errorf("%v bytes of bodies are held, want at most 64 MiB", held)
	}
	grown := int64(heap()) - int64(before)
	t.Logf("orders: p50 %v alone, %v beside; memory grew by %d MiB, %v MiB of it bodies", alone, beside, grown>>20,
		r.metric(t, "riskscorer_http_body_memory_bytes")/(1<<20))
	if grown > 128<<20 {
		t.Errorf("memory grew by %d MiB for %d connections", grown>>20, lorises)
	}
	if beside > 5*alone+20*time.Millisecond {
		t.Errorf("an order takes %v, %v before", beside, alone)
	}
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	r.idle(t)
}

// honest sends orders one after the other for a while, each of which must be answered, and returns their median time.
func (r *running) honest(tb testing.TB) time.Duration {
	tb.Helper()
	var took []time.Duration
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		begin := time.Now()
		if a := r.post(tb, "/score", example); a.status != http.StatusOK {
			tb.Fatalf("an order: %d %s", a.status, a.body)
		}
		took = append(took, time.Since(begin))
	}
	return quantile(took, 0.5)
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
