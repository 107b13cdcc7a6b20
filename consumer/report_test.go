package consumer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trendbuy/riskscorer/broker"
)

// text is what a log has written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *text) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *text) count(words string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.b.String(), words)
}

// What a partition waits for may change while it is paused. The operator reads the log, and must not act on what was.
func TestPauseIsLoggedAgainWhenItsCauseChanges(t *testing.T) {
	cluster := startCluster(t)
	l := newLedger(t)
	var attempts, mended atomic.Int32
	var cause atomic.Pointer[string]
	results, letters := "no right to results", "no right to dead letters"
	cause.Store(&results)
	l.before = func(context.Context, int, []broker.Record) error {
		if mended.Load() > 0 {
			return nil
		}
		return fmt.Errorf("%s, port %d", *cause.Load(), attempts.Add(1))
	}
	out := new(text)
	joinLogging(t, cluster.ListenAddrs(), config(), l, slog.NewTextHandler(out, nil))
	write(t, cluster).to(t, 1, 0)
	eventually(t, "some attempts", func() bool { return attempts.Load() >= 4 })
	if n := out.count(results); n != 1 {
		t.Errorf("one cause is logged %d times", n)
	}
	cause.Store(&letters)
	eventually(t, "the other cause in the log", func() bool { return out.count(letters) > 0 })
	mended.Store(1)
	eventually(t, "the record", func() bool { return l.through(0) == 1 })
	if n := out.count(results) + out.count(letters); n != 2 {
		t.Errorf("two causes are logged %d times", n)
	}
}
