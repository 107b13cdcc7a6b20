package broker

import (
	"math/bits"
	"sync"
)

// answerHead is above what an answer without aborted transactions holds beside its record set: numbers and a topic's name.
const answerHead = 1 << 10

// memory is what the records of one fetch lie in.
type memory struct {
	body    []byte   // the answer
	records []Record // views into it
	keep    bool     // it serves other fetches later
}

// memories keeps the memory of fetches for later ones. A memory has one owner: the connection while it writes the answer
// into it, then whoever has the Fetched, until Release. What is never released is left to the collector: an abandoned
// connection may still write into its memory, and a handler that hangs still read from its. It is safe for concurrent use.
type memories struct{ pool sync.Pool }

// take returns memory for an answer of size bytes to a fetch of at most limit. Only answers of about that size, those of
// a backlog, share theirs: so what is kept fits the next, and nothing small holds something large.
func (m *memories) take(size, limit int) *memory {
	whole := limit + answerHead
	if size < limit/2 || size > whole {
		return &memory{body: make([]byte, size)}
	}
	if old, _ := m.pool.Get().(*memory); old != nil && cap(old.body) == whole { // of another size before a rebalance
		old.body = old.body[:size]
		return old
	}
	return &memory{body: make([]byte, size, whole), keep: true}
}

// Release gives the records' memory to later fetches. Call it once at most, and only when nobody will read a record, or a
// slice of one, again; without the call the collector takes the memory.
func (f *Fetched) Release() {
	old := f.memory
	if old == nil || !old.keep {
		return
	}
	clear(f.Records) // so that a reader who should be gone sees nothing rather than another fetch's records
	old.records = f.Records[:0]
	f.Records, f.memory = nil, nil
	f.memories.pool.Put(old)
}

// Buffers keeps the memory of batches for later ones, by powers of two: a batch has less than twice what it needs. It is
// safe for concurrent use; the zero value is ready.
type Buffers struct{ classes [32]sync.Pool }

// take returns empty memory for size bytes, which are below 2^31.
func (p *Buffers) take(size int) []byte {
	class := bits.Len(uint(size))
	if old, _ := p.classes[class].Get().(*[]byte); old != nil {
		return (*old)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// Release gives a batch's memory to later ones. Call it once at most, and only if every attempt to send the batch was
// answered: the connection of one that was abandoned may still read it. Bytes must not be called, nor what it returned
// be read, after that.
func (p *Buffers) Release(b Batch) {
	p.classes[bits.Len(uint(cap(b.raw)))-1].Put(&b.raw)
}
