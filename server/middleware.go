package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// observe is around every request: it counts and times it by route and code, turns a panic into a problem, and
// logs what became of it.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		rec := &recorder{ResponseWriter: w}
		r = s.trace(rec, r)
		defer func() {
			v := recover()
			if v != nil && rec.code == 0 && v != http.ErrAbortHandler { //nolint:errorlint // panics with this very value
				s.panicked(rec, r, v)
				v = nil
			}
			s.metrics.request(routeOf(r), rec.code, time.Since(start), rec.traceID())
			rec.end(r)
			s.logAccess(rec, r, start)
			if v != nil { // half an answer is out: only cutting the connection tells the client
				s.metrics.panics.Inc()
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// panicked answers a handler's panic. Its text is logged only from the runtime, which quotes indices and types: any
// other may hold a feature's value.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, v any) {
	s.metrics.panics.Inc()
	what := fmt.Sprintf("%T", v)
	var fromRuntime interface {
		error
		RuntimeError()
	}
	if err, ok := v.(error); ok && errors.As(err, &fromRuntime) {
		what = fromRuntime.Error()
	}
	s.parts.Logger.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("route", routeOf(r)), slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	s.refuse(w, r, &refusal{internal, "the failure was logged"})
}

// recorder remembers the status that was written.
type recorder struct {
	http.ResponseWriter
	code int // 0 before anything is written
	noted
}

// WriteHeader keeps the first status and passes it on.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write passes the body on; without a status before it, that is 200.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// routeOf names a request's route for metrics and logs: a pattern of ours, never the client's path.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == unrouted {
		return "other"
	}
	return r.Pattern
}

// sampler lets one event a second through and counts the others. The zero value is ready.
type sampler struct{ next, skipped atomic.Int64 }

// take says whether to log, and how many were not logged since the last that was.
func (s *sampler) take() (skipped int64, ok bool) {
	now, next := time.Now().UnixNano(), s.next.Load()
	if now < next || !s.next.CompareAndSwap(next, now+int64(time.Second)) {
		s.skipped.Add(1)
		return 0, false
	}
	return s.skipped.Swap(0), true
}
