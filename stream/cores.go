package stream

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// sliceRecords is how many records a core works on before it lets others have a turn: about a millisecond's work.
const sliceRecords = 32

// cores shares the machine's cores among the partitions. A batch is worked on in slices: by its own goroutine, and by
// others on the cores that are idle. Between slices each gives way, so that a partition with one record does not wait
// for another's hundreds.
type cores struct {
	total int64
	busy  atomic.Int64 // goroutines at work; more than total when there are more partitions than cores
	turns *Turns       // nil to give way to nobody
}

// spread calls do for the slices of [0, n), each once, in any order, by as many goroutines as there are idle cores.
func (c *cores) spread(n int, do func(from, to int)) {
	count := int64((n + sliceRecords - 1) / sliceRecords)
	var next atomic.Int64
	work := func() {
		defer c.busy.Add(-1)
		for {
			i := next.Add(1) - 1
			if i >= count {
				return
			}
			from := int(i) * sliceRecords
			c.turns.slice(func() { do(from, min(n, from+sliceRecords)) })
			if i < count-1 {
				runtime.Gosched()
			}
		}
	}
	c.busy.Add(1)
	var helpers sync.WaitGroup
	for h := int64(1); h < count && c.idle(); h++ {
		helpers.Go(work)
	}
	work()
	helpers.Wait()
}

// idle takes an idle core, if there is one.
func (c *cores) idle() bool {
	for {
		n := c.busy.Load()
		if n >= c.total {
			return false
		}
		if c.busy.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
