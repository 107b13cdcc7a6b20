package server

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// accessLog writes a line a request while there are few, and samples them when there are many: errors and successes have
// quotas of their own, so that neither hides the other.
type accessLog struct{ successes, failures quota }

// quota lets so many events a second through and counts the others. It is safe for concurrent use.
type quota struct {
	perSecond int

	mu      sync.Mutex
	second  int64
	taken   int
	skipped int64
}

// take says whether to log, and how many were not logged since the last that was.
func (q *quota) take(now time.Time) (skipped int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := now.Unix(); s != q.second {
		q.second, q.taken = s, 0
	}
	if q.taken >= q.perSecond {
		q.skipped++
		return 0, false
	}
	q.taken++
	skipped, q.skipped = q.skipped, 0
	return skipped, true
}

// logAccess logs a request. Nothing of its body is in the line but the order's id, nothing of its path but the route.
func (s *Server) logAccess(rec *recorder, r *http.Request, start time.Time) {
	q := &s.accessLog.failures
	if rec.code != 0 && rec.code < http.StatusBadRequest {
		if quiet(r.URL.Path) {
			return
		}
		q = &s.accessLog.successes
	}
	now := time.Now()
	skipped, ok := q.take(now)
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("method", cut(r.Method)), slog.String("route", routeOf(r)), slog.Int("status", rec.code),
		slog.Float64("seconds", now.Sub(start).Seconds()))
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, cut(value)))
		}
	}
	add("problem", string(rec.problem))
	add("class", string(rec.class))
	add("order_id", rec.orderID)
	if rec.orders > 1 {
		attrs = append(attrs, slog.Int("orders", rec.orders))
	}
	add("trace_id", rec.traceID())
	add("caller", rec.caller)
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		add("address", host)
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int64("not_logged_before", skipped))
	}
	s.parts.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}
