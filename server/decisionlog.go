package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/scoring"
)

// What becomes of decisions when the decision log's queue is full.
const (
	LogDrop   = "drop"   // they are answered, and the missing lines are counted
	LogRefuse = "refuse" // they are not answered: no decision leaves without its line
)

// DecisionLogConfig is where the decisions over HTTP are logged. Those of the stream are its results.
type DecisionLogConfig struct {
	Path     string `env:"DECISION_LOG" help:"file that gets a line of JSON for each decision over HTTP; none by default"`
	MaxBytes int64  `env:"DECISION_LOG_MAX_BYTES, default=104857600" help:"size at which the decision log is rotated"`
	Files    int    `env:"DECISION_LOG_FILES, default=10" help:"decision log files that are kept, the current one included"`
	Queue    int    `env:"DECISION_LOG_QUEUE, default=8192" help:"decisions that may wait for the decision log's disk"`
	WhenFull string `env:"DECISION_LOG_WHEN_FULL, default=drop" help:"where the disk is slower than the decisions: drop lines and count them, or refuse orders with 503"`
}

func (c DecisionLogConfig) validate() error {
	switch {
	case c.Path == "":
		return nil
	case c.MaxBytes < 1<<16:
		return fmt.Errorf("DECISION_LOG_MAX_BYTES is %d, want at least 65536", c.MaxBytes)
	case c.Files < 1:
		return fmt.Errorf("DECISION_LOG_FILES is %d, want at least 1", c.Files)
	case c.Queue < 1:
		return fmt.Errorf("DECISION_LOG_QUEUE is %d, want at least 1", c.Queue)
	case c.WhenFull != LogDrop && c.WhenFull != LogRefuse:
		return fmt.Errorf("DECISION_LOG_WHEN_FULL is %q, want %s or %s", c.WhenFull, LogDrop, LogRefuse)
	}
	return nil
}

// logEntry is a line of the decision log.
type logEntry struct {
	Time         time.Time `json:"time"`
	OrderID      string    `json:"order_id"`
	Version      int64     `json:"event_version"`
	PredictionID string    `json:"prediction_id"`
	InputDigest  string    `json:"input_digest"`
	ModelVersion string    `json:"model_version"`
	ModelDigest  string    `json:"model_digest"`
	Engine       string    `json:"engine"`
	Score        float64   `json:"score"` // unrounded
	Band         string    `json:"risk_band"`
	Explanation  string    `json:"explanation"`
	Caller       string    `json:"caller,omitzero"`
	TraceID      string    `json:"trace_id,omitzero"`
}

// decisionLog queues entries for one goroutine, which writes them. The nil *decisionLog logs nothing.
type decisionLog struct {
	config  DecisionLogConfig
	log     *slog.Logger
	entries *prometheus.CounterVec
	file    *logFile // after open

	mu      sync.Mutex
	waiting []logEntry
	held    int // entries that wait or are being written; at most config.Queue

	wake  chan struct{} // has room for one
	stop  chan struct{}
	ended chan struct{}
	next  time.Time // of the next line about failures in the process's log
}

func newDecisionLog(c DecisionLogConfig, log *slog.Logger, r prometheus.Registerer) (*decisionLog, error) {
	if c.Path == "" {
		return nil, nil
	}
	l := &decisionLog{
		config: c, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_decision_log_entries_total",
			Help: "Lines of the decision log: written, dropped because the queue was full, failed because the file could not be written, refused with their orders.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{"written", "dropped", "failed", "refused"} {
		l.entries.WithLabelValues(outcome)
	}
	return l, r.Register(l.entries)
}

// open opens the file and begins to write; close ends both.
func (l *decisionLog) open() (err error) {
	if l == nil {
		return nil
	}
	if l.file, err = openLogFile(l.config.Path, l.config.MaxBytes, l.config.Files); err != nil {
		return fmt.Errorf("DECISION_LOG: %w", err)
	}
	go l.write()
	return nil
}

// close writes what waits, for as long as it is given, and closes the file. An error says that lines are missing.
func (l *decisionLog) close(wait time.Duration) error {
	if l == nil || l.file == nil {
		return nil
	}
	close(l.stop)
	select {
	case <-l.ended:
		return nil
	case <-time.After(wait):
		return errors.New("DECISION_LOG: the disk did not take the last decisions")
	}
}

// logDecisions queues a line for each decision, all or none. A refusal says that the decisions must not be answered.
func (s *Server) logDecisions(w http.ResponseWriter, m *model, orders []scoring.Order, decisions []scoring.Decision) error {
	if s.decisions == nil {
		return nil
	}
	note := notes(w)
	now, caller, traceID := time.Now().UTC(), cut(note.caller), note.traceID()
	entries := make([]logEntry, len(decisions))
	for i := range decisions {
		d := &decisions[i]
		entries[i] = logEntry{
			Time: now, OrderID: d.OrderID, Version: orders[i].Version, PredictionID: d.PredictionID, InputDigest: m.scorer.InputDigest(&orders[i]),
			ModelVersion: m.wire.Version, ModelDigest: m.wire.Digest, Engine: m.wire.Engine,
			Score: d.Score, Band: string(d.Band), Explanation: string(d.Explanation), Caller: caller, TraceID: traceID,
		}
	}
	return s.decisions.add(entries)
}

func (l *decisionLog) add(entries []logEntry) error {
	l.mu.Lock()
	full := l.held+len(entries) > l.config.Queue
	if !full {
		l.waiting = append(l.waiting, entries...)
		l.held += len(entries)
	}
	l.mu.Unlock()
	switch {
	case !full:
		select {
		case l.wake <- struct{}{}:
		default: // it is awake already
		}
		return nil
	case l.config.WhenFull == LogRefuse:
		l.count("refused", len(entries))
		return &refusal{unlogged, "the decision log takes no more for now"}
	default:
		l.count("dropped", len(entries))
		return nil
	}
}

func (l *decisionLog) count(outcome string, n int) {
	l.entries.WithLabelValues(outcome).Add(float64(n))
}

// write writes what is queued until close, and the rest then.
func (l *decisionLog) write() {
	defer close(l.ended)
	for running := true; running; {
		select {
		case <-l.wake:
		case <-l.stop:
			running = false
		}
		l.mu.Lock()
		entries := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		l.writeAll(entries)
	}
	if err := l.file.close(); err != nil {
		l.fail(err)
	}
}

// writeAll writes entries in pieces. A piece that fails is lost where lines may be dropped; else it is tried again until
// it works or the process ends, and meanwhile the queue fills and orders are refused.
func (l *decisionLog) writeAll(entries []logEntry) {
	const piece = 32 // lines, under the least size of a file
	for len(entries) > 0 {
		n := min(len(entries), piece)
		outcome := "written"
		if err := l.writePiece(entries[:n]); err != nil {
			l.fail(err)
			if l.config.WhenFull == LogRefuse && l.pause(time.Second) {
				continue
			}
			outcome = "failed"
		}
		l.count(outcome, n)
		entries = entries[n:]
		l.mu.Lock()
		l.held -= n
		l.mu.Unlock()
	}
}

func (l *decisionLog) writePiece(entries []logEntry) error {
	var lines []byte
	for i := range entries {
		line, err := json.Marshal(&entries[i], jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	return l.file.write(lines)
}

// pause waits, and says whether the process goes on.
func (l *decisionLog) pause(d time.Duration) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// fail logs a failure of the file, once a minute.
func (l *decisionLog) fail(err error) {
	if now := time.Now(); now.After(l.next) {
		l.next = now.Add(time.Minute)
		l.log.Error("the decision log cannot be written", "when_full", l.config.WhenFull, "error", err)
	}
}
