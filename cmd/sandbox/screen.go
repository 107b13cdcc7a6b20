package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// screen writes for people: a live line on a terminal, a line now and then elsewhere. With quiet it keeps standard
// output free and only passes on the log. It is safe for concurrent use.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	log      io.Writer
	quiet    bool
	terminal bool
	onLine   bool // the live line stands there, without an end
	lines    int
}

// plainEvery is how many live lines make one line where there is no terminal.
const plainEvery = 5

func newScreen(out, log io.Writer, quiet bool) *screen {
	s := &screen{out: out, log: log, quiet: quiet}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// welcome prints where everything is and what to try.
func (s *screen) welcome(a server.Addrs) {
	s.print(`riskscorer sandbox: in-memory Kafka, generated orders, the service in both roles

  score     http://%[1]s/score
  docs      http://%[1]s/docs/
  metrics   http://%[2]s/metrics
  admin     http://%[3]s/

Try it:
  curl -s http://%[1]s/score -H 'Content-Type: application/json' -d '{"order_id": "ORD_12345", "features": {"feature_discount_pct": 0.35, "feature_velocity_24h": 8420, "feature_hours_since_trend_peak": 6.5, "feature_creator_reliability": 0.22, "feature_cust_prior_return_rate_90d": 0.31, "feature_cust_avg_order_value_90d": 127.5, "feature_prod_size_fit_rate": 0.18, "feature_device_type": "mobile"}}'

Ctrl-C drains and prints the account.

`, a.Scoring, a.Metrics, a.Admin)
}

// note prints one line.
func (s *screen) note(text string) { s.print("%s\n", text) }

func (s *screen) print(format string, args ...any) {
	if s.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newLine()
	fmt.Fprintf(s.out, format, args...)
}

// live renews the live line.
func (s *screen) live(c counts, rate int, lag int64) {
	if s.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	line := fmt.Sprintf("%5d orders/s   p50 %s   p99 %s   LOW %d  MEDIUM %d  HIGH %d   dead letters %d   lag %d",
		rate, milliseconds(c.P50), milliseconds(c.P99), c.Bands["LOW"], c.Bands["MEDIUM"], c.Bands["HIGH"], c.DeadLetters, lag)
	switch {
	case s.terminal:
		fmt.Fprintf(s.out, "\r\x1b[K%s", line)
		s.onLine = true
	case s.lines%plainEvery == 1:
		fmt.Fprintln(s.out, line)
	}
}

// end leaves the live line.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newLine()
}

func (s *screen) newLine() {
	if s.onLine {
		fmt.Fprintln(s.out)
		s.onLine = false
	}
}

// Write passes on the log.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newLine()
	return s.log.Write(p)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}
