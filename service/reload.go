package service

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
	"weak"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/server"
)

const (
	// settle is how long files have to stay as they are before they are read.
	settle = 300 * time.Millisecond
	// retryEvery is when what may mend by itself is tried again: files that cannot be read, a model that is still held.
	retryEvery = 10 * time.Second
)

// errHeld postpones a reload.
var errHeld = errors.New("the model before the one that serves is still in use: a paused partition may have published a part of a batch " +
	"under it, or a handler hangs; no third model is loaded beside the two")

// reloader replaces the model that serves when another bundle lies at MODEL_PATH. One goroutine does it, in run; Reload
// and LastReload may be called by any.
type reloader struct {
	service  *Service
	log      *slog.Logger
	metrics  *reloadMetrics
	watch    *watch
	requests chan chan server.Reload
	ended    chan struct{} // closed when run returns
	last     atomic.Pointer[server.Reload]

	examined string    // fingerprint of what was judged last
	seen     string    // fingerprint at the last look
	since    time.Time // of the look that saw it first
	again    bool      // what was judged may be judged otherwise without a change of the files
	reported string    // fingerprint and text of the failure that was logged last
	retired  weak.Pointer[scoring.Scorer]
}

func newReloader(s *Service) *reloader {
	r := &reloader{
		service: s, log: s.log, metrics: newReloadMetrics(s), requests: make(chan chan server.Reload), ended: make(chan struct{}),
		examined: fingerprint(s.config.ModelPath),
	}
	return r
}

// Reload makes run look at the bundle now, changed or not, and returns what came of it.
func (r *reloader) Reload(ctx context.Context) (server.Reload, error) {
	reply := make(chan server.Reload, 1)
	requests := r.requests
	for {
		select {
		case requests <- reply:
			requests = nil
		case report := <-reply:
			return report, nil
		case <-r.ended:
			return server.Reload{}, errors.New("the service is stopping")
		case <-ctx.Done():
			return server.Reload{}, ctx.Err()
		}
	}
}

// LastReload returns what came of the last attempt, nil before the first.
func (r *reloader) LastReload() *server.Reload { return r.last.Load() }

// run watches MODEL_PATH until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	r.watch = newWatch(r.service.config.ModelPath, r.log)
	defer r.watch.close()
	defer close(r.ended)
	events, failures := r.watch.events()
	var polls <-chan time.Time // nil where polling is off
	if every := r.service.config.ModelPoll; every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		polls = ticker.C
	}
	due := time.NewTimer(0) // the first look begins the watch
	defer due.Stop()
	armed := true
	for {
		wait := time.Duration(0)
		select {
		case <-ctx.Done():
			return nil
		case reply := <-r.requests:
			reply <- r.attempt(ctx, true)
			if !r.again {
				continue
			}
			wait = retryEvery
		case <-events:
			wait = settle
		case err := <-failures:
			r.log.Debug("not every change at MODEL_PATH was told", "error", err)
			wait = settle
		case <-polls:
		case <-due.C:
			armed = false
		}
		if wait == 0 {
			wait = r.look(ctx)
		}
		if wait > 0 && !armed {
			due.Reset(wait)
			armed = true
		}
	}
}

// look judges what lies at MODEL_PATH, if it changed and has settled. It returns when to look again, 0
// for whenever something happens.
func (r *reloader) look(ctx context.Context) time.Duration {
	if now := r.watch.look(); now != r.seen {
		r.seen, r.since = now, time.Now()
	}
	if r.seen == r.examined && !r.again {
		return 0
	}
	if unsettled := settle - time.Since(r.since); unsettled > 0 {
		return unsettled
	}
	r.attempt(ctx, false)
	switch {
	case r.seen != r.examined:
		return settle
	case r.again:
		return retryEvery
	}
	return 0
}

// attempt opens the bundle beside the model that serves and swaps the two, or says why not. What fails while its files
// change is a copy that is under way: unless somebody asked, nothing is said of it, and the next look finds it changed.
func (r *reloader) attempt(ctx context.Context, asked bool) server.Reload {
	path := r.service.config.ModelPath
	r.examined = fingerprint(path)
	outcome, err := r.replace(ctx)
	serving := r.service.current.Load().scorer
	report := server.Reload{
		Time: time.Now().UTC(), Outcome: outcome,
		ModelVersion: serving.Manifest().Version, ModelDigest: serving.Digest().String(),
	}
	r.again = outcome == server.ReloadFailed || outcome == server.ReloadPostponed
	if err != nil {
		report.Error = err.Error()
		if check, ok := errors.AsType[*bundle.CheckError](err); ok {
			report.Check = check.Check
		}
		if ctx.Err() != nil {
			return report
		}
		if !asked && fingerprint(path) != r.examined {
			r.examined = ""
			return report
		}
	}
	r.last.Store(&report)
	r.tell(&report, asked)
	return report
}

// replace swaps the model, and returns the outcome and, where it is not replaced, why.
func (r *reloader) replace(ctx context.Context) (string, error) {
	serving := r.service.current.Load()
	if r.held() {
		return server.ReloadPostponed, errHeld
	}
	next, err := r.service.models.open(ctx, serving)
	switch {
	case errors.Is(err, bundle.ErrKnown):
		return server.ReloadUnchanged, nil
	case err != nil:
		return outcomeOf(err), err
	}
	r.retired = weak.Make(serving.scorer)
	r.service.use(next)
	r.service.server.ModelChanged()
	return server.ReloadLoaded, nil
}

// held says whether the model before the one that serves is still in use. Pools let go of what they hold at the second
// collection.
func (r *reloader) held() bool {
	for range 3 {
		if r.retired.Value() == nil {
			return false
		}
		runtime.GC()
	}
	return r.retired.Value() != nil
}

// outcomeOf tells a bundle that may not serve from one that could not be read.
func outcomeOf(err error) string {
	_, check := errors.AsType[*bundle.CheckError](err)
	_, memory := errors.AsType[*forest.MemoryError](err)
	if check || memory || errors.Is(err, ErrConfig) {
		return server.ReloadRefused
	}
	return server.ReloadFailed
}

// tell counts an attempt and logs it: a failure once, however often the same files fail in the same way.
func (r *reloader) tell(report *server.Reload, asked bool) {
	r.metrics.attempts.WithLabelValues(report.Outcome).Inc()
	attrs := []any{"outcome", report.Outcome, "model_version", report.ModelVersion, "model_digest", report.ModelDigest}
	if report.Error == "" {
		r.metrics.failing.Set(0)
		r.reported = ""
		if report.Outcome == server.ReloadLoaded {
			logLoaded(r.log, r.service.current.Load())
		} else if asked {
			r.log.Info("the bundle is the one that serves", attrs...)
		}
		return
	}
	r.metrics.failing.Set(1)
	if what := r.examined + report.Error; asked || what != r.reported {
		r.reported = what
		r.log.Error("the model was not replaced, the one before goes on", append(attrs, "check", report.Check, "error", report.Error)...)
	}
}

func logLoaded(log *slog.Logger, m *model) {
	log.Info("model loaded", "model_version", m.scorer.Manifest().Version, "model_digest", m.scorer.Digest().String(),
		"engine", m.scorer.EngineID(), "golden_rows", m.rows)
}
