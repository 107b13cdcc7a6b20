package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trendbuy/riskscorer/broker"
)

// membership is one stay in the group, over any number of generations. It ends with the process, or because a handler
// hangs: the library heartbeats all the same and has no bound on the work itself, so nobody else would ever get that
// handler's partition. A process with a worker that hangs stays outside until it has returned, and so has at most the
// workers of one generation too many.
type membership struct {
	*Consumer
	leave context.CancelFunc

	mu    sync.Mutex
	busy  map[*worker]struct{}
	empty chan struct{} // closed when the last busy worker has returned; nil while nobody waits
}

// run is in the group until ctx ends or a handler hangs.
func (m *membership) run(ctx context.Context) error {
	joined, leave := context.WithCancel(ctx)
	defer leave()
	m.leave, m.busy = leave, make(map[*worker]struct{})
	return m.join(joined, m)
}

// work runs a worker and knows until when.
func (m *membership) work(polling, handling context.Context, w *worker) {
	m.mu.Lock()
	m.busy[w] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.busy, w)
		if len(m.busy) == 0 && m.empty != nil {
			close(m.empty)
			m.empty = nil
		}
	}()
	w.run(polling, handling)
}

// stuck returns the partitions whose workers have not returned, and what is closed once they have, nil if none is.
func (m *membership) stuck() ([]int, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.busy) == 0 {
		return nil, nil
	}
	var partitions []int
	for w := range m.busy {
		partitions = append(partitions, w.position.partition)
	}
	if m.empty == nil {
		m.empty = make(chan struct{})
	}
	slices.Sort(partitions)
	return partitions, m.empty
}

// awaitStuck stays outside the group, and says so once a minute, until every worker has returned or ctx ends.
func (m *membership) awaitStuck(ctx context.Context) {
	partitions, empty := m.stuck()
	if empty == nil {
		return
	}
	begin := time.Now()
	names := strings.Trim(fmt.Sprint(partitions), "[]")
	reason := "left the group: the handler of partition " + names + " has not returned; it joins again when it has, or after a restart"
	m.state.leave(reason)
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		m.log.Error("left the group because a handler hangs: restart this process if it does not end",
			slog.String("partitions", names), slog.Duration("for", time.Since(begin)))
		select {
		case <-empty:
			m.log.Info("the handler returned: joining again", slog.String("partitions", names), slog.Duration("after", time.Since(begin)))
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// drained waits for the generation's workers until the handling has ended and they had their time to return. Those left
// are abandoned: their records were never acknowledged, so whoever reads them next gives the same results. It reports
// whether all have returned; if not, the member leaves the group.
func (m *membership) drained(handling context.Context, workers *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		workers.Wait()
	}()
	select {
	case <-done:
		return true
	case <-handling.Done():
	}
	limit := time.NewTimer(returnWithin)
	defer limit.Stop()
	select {
	case <-done:
		return true
	case <-limit.C:
		m.leave()
		return false
	}
}

// attempt hands the records to the handler once, with the watchdog at its side.
func (w *worker) attempt(handling context.Context, h Handler, records []broker.Record) error {
	if w.cfg.HandleTimeout > 0 {
		first, n := records[0].Offset, len(records) // the handler may do with records what it likes
		watchdog := time.AfterFunc(w.cfg.HandleTimeout, func() {
			w.metrics.wedged.Inc()
			w.position.pauseHandling(kindWedged, fmt.Sprintf("the handler has not returned within HANDLE_TIMEOUT, %v", w.cfg.HandleTimeout))
			w.log.Error("the handler does not return: leaving the group, so that another member takes over",
				slog.Int("partition", w.position.partition), slog.Int64("offset", first), slog.Int("records", n),
				slog.Duration("timeout", w.cfg.HandleTimeout))
			w.leave()
		})
		defer watchdog.Stop()
	}
	return h.Handle(handling, records)
}
