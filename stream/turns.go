package stream

import (
	"cmp"
	"runtime"
	"sync"
	"time"
)

// linger is how long the stream goes on giving way after the last call. A call is in flight for a tenth of a
// millisecond, and before that it lies in a socket, which the runtime looks at when a core has nothing else to do, or
// every 10 ms: between the calls of a busy door one core has to stay free.
const linger = 100 * time.Millisecond

// How much of its cores the stream takes while calls come: it takes more until it is woken late from a pause, which says
// that others wanted the core, and then less, as TCP takes of a network. (CockroachDB's elastic CPU does so by the
// latency of Go's scheduler.)
const (
	minShare = 0.05
	// A pause after which nobody wanted the core adds more, one that ended late keeps less: where one in 30 ends late, the
	// share stays at a third. A tenfold more made a third of them late, and calls with them.
	shareMore = 0.002
	shareLess = 0.8
	// Go's timers are up to a millisecond late where nobody wants the core.
	maxLate  = 1500 * time.Microsecond
	minPause = 50 * time.Microsecond
	maxPause = 20 * time.Millisecond
)

// Turns makes the stream give way to synchronous calls of the same process: while they come, the stream works on one
// core less than there are, at least on one. A stream can wait, its queue is Kafka; a customer cannot. It is safe for
// concurrent use.
type Turns struct {
	cores int

	mu     sync.Mutex
	free   sync.Cond
	calls  int // in flight
	last   time.Time
	slices int     // at work or pausing
	share  float64 // of a core that a slice's place may take
}

// NewTurns returns turns for so many cores; 0 is GOMAXPROCS.
func NewTurns(cores int) *Turns {
	t := &Turns{cores: cmp.Or(cores, runtime.GOMAXPROCS(0)), share: minShare}
	t.free.L = &t.mu
	return t
}

// Begin says that a call is in flight. It does not wait: slices are short.
func (t *Turns) Begin() {
	t.mu.Lock()
	t.calls++
	t.mu.Unlock()
}

// End says that a call has ended, one for each Begin.
func (t *Turns) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls--
	t.last = time.Now()
}

// slice does one slice of the stream's work when it is its turn, and pauses after it while calls come.
func (t *Turns) slice(do func()) {
	if t == nil {
		do()
		return
	}
	t.mu.Lock()
	for t.slices >= max(1, t.cores-1) && t.called() {
		t.await()
	}
	t.slices++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.slices--
		t.free.Signal()
		t.mu.Unlock()
	}()
	begin := time.Now()
	do()
	t.pause(time.Since(begin))
}

// pause waits after a slice, so that the stream takes no more than its share of a core, and learns from how late it is
// woken whether anybody else wanted the core meanwhile.
func (t *Turns) pause(worked time.Duration) {
	t.mu.Lock()
	called, share := t.called(), t.share
	t.mu.Unlock()
	if !called {
		return
	}
	rest := min(minPause+time.Duration(float64(worked)*(1/share-1)), maxPause)
	begin := time.Now()
	time.Sleep(rest)
	late := time.Since(begin) - rest
	t.mu.Lock()
	defer t.mu.Unlock()
	if late > maxLate {
		t.share = max(minShare, t.share*shareLess)
	} else {
		t.share = min(1, t.share+shareMore)
	}
}

// called says whether calls come. The caller holds the lock.
func (t *Turns) called() bool { return t.calls > 0 || time.Since(t.last) < linger }

// await waits until a slice has ended, or calls may have. The caller holds the lock.
func (t *Turns) await() {
	quiet := time.AfterFunc(linger, t.free.Broadcast)
	t.free.Wait()
	quiet.Stop()
}
