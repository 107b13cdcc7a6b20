package broker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol"
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

// covers reports whether the batch belongs to an aborted transaction. Batches come in order of offset.
func (a *aborted) covers(b *protocol.RecordBatch) bool {
	for len(a.pending) > 0 && a.pending[0].FirstOffset <= b.BaseOffset {
		a.open[a.pending[0].ProducerID] = struct{}{}
		a.pending = a.pending[1:]
	}
	_, open := a.open[b.ProducerID]
	return open && b.Attributes.Transactional()
}

// end takes a control record into account: an abort marker closes its producer's transaction.
func (a *aborted) end(producer int64, rec *protocol.Record) error {
	if rec.Key == nil {
		return errors.New("control record without a key")
	}
	var key [4]byte
	if _, err := io.ReadFull(rec.Key, key[:]); err != nil {
		return fmt.Errorf("control record's key: %w", err)
	}
	if binary.BigEndian.Uint16(key[2:]) == abortMarker {
		delete(a.open, producer)
	}
	return nil
}
