package broker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/segmentio/kafka-go/protocol/fetch"
)

const abortMarker = 0

// aborted tells the records of aborted transactions from the others. The broker sends them even to a reader of committed
// records, with a list of which transactions to leave out.
type aborted struct {
	pending []fetch.ResponseTransaction // by first offset
	open    map[int64]struct{}          // producers inside an aborted transaction at the current offset
}

func newAborted(list []fetch.ResponseTransaction) aborted {
	slices.SortFunc(list, func(a, b fetch.ResponseTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return aborted{pending: list, open: make(map[int64]struct{})}
}

// covers reports whether a transactional batch belongs to an aborted transaction. Batches come in order of offset.
func (a *aborted) covers(base, producer int64) bool {
	for len(a.pending) > 0 && a.pending[0].FirstOffset <= base {
		a.open[a.pending[0].ProducerID] = struct{}{}
		a.pending = a.pending[1:]
	}
	_, open := a.open[producer]
	return open
}

// end takes a control record into account, by its key: an abort marker closes its producer's transaction.
func (a *aborted) end(producer int64, key []byte) error {
	if len(key) < 4 {
		return errors.New("control record without a key")
	}
	if binary.BigEndian.Uint16(key[2:]) == abortMarker {
		delete(a.open, producer)
	}
	return nil
}
