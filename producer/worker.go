package producer

import (
	"context"
	"fmt"
	"slices"

	"github.com/trendbuy/riskscorer/broker"
)

// TooLargeError names the records that their topic takes in no batch. Every other record of the call is acknowledged.
type TooLargeError struct {
	Index   int   // of the first such record in the slice given to Publish
	Indexes []int // of all of them, ascending
	Err     error // the broker's answer
}

// Error counts the records and gives the broker's words.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%d records too large, the first at index %d: %v", len(e.Indexes), e.Index, e.Err)
}

// RecordTooLarge returns Index: a caller can ask for it through an interface of its own.
func (e *TooLargeError) RecordTooLarge() int { return e.Index }

// RecordsTooLarge returns Indexes, likewise.
func (e *TooLargeError) RecordsTooLarge() []int { return e.Indexes }

// Unwrap returns the broker's answer.
func (e *TooLargeError) Unwrap() error { return e.Err }

// Worker publishes for one partition worker. It is not safe for concurrent use.
type Worker struct {
	p     *Producer
	lanes map[output]*lane
	ids   *idSource
	turn  int      // counts publications: null keys take partitions in turn
	all   []int    // working memory of begin: 0, 1, 2 and so on
	of    []*share // working memory of assign: of each record
	// held is a publication that ended with an error, kept so that a repeated call goes on where it stopped.
	held *publication
}

type output struct {
	topic     string
	partition int
}

// Publish returns nil once every record is acknowledged by all replicas in sync. Records of one output partition keep
// their order; output partitions go in parallel, one unacknowledged batch each. The records are only read, and only
// until Publish returns.
//
// What may have failed in passing is sent again, byte for byte and with its sequence number, until it is acknowledged,
// ctx ends, or nothing moved for Config.StallAfter: then the error says what it waits for. A *TooLargeError names
// records that will not go at all. After either, call Publish again with equal records (times and traceparent apart),
// those that were too large replaced or not: it goes on with exactly what is missing. Publishing anything else instead
// is safe, but may leave duplicates.
func (w *Worker) Publish(ctx context.Context, records []broker.Record) error {
	if len(records) == 0 {
		return nil
	}
	stop := w.p.metrics.timer()
	pub, err := w.begin(ctx, records)
	if err != nil {
		w.p.metrics.fail(err)
		return err
	}
	if err = pub.run(ctx); err == nil {
		stop()
		err = pub.tooLarge()
	}
	if err != nil {
		pub.digests = digests(records)
		w.held = pub
	}
	return err
}

// begin takes up the held publication if these are its records again, else starts a new one.
func (w *Worker) begin(ctx context.Context, records []broker.Record) (*publication, error) {
	held := w.held
	if held != nil && held.sameAs(records) {
		assigned, err := w.assign(ctx, records, held.refused())
		if err != nil {
			return nil, err
		}
		held.forgetRefused()
		held.records = records
		w.add(held, assigned)
		w.held = nil
		return held, nil
	}
	for i := len(w.all); i < len(records); i++ {
		w.all = append(w.all, i)
	}
	assigned, err := w.assign(ctx, records, w.all[:len(records)])
	if err != nil {
		return nil, err
	}
	if held != nil {
		held.abandon()
		w.held = nil
	}
	pub := &publication{records: records}
	w.add(pub, assigned)
	return pub, nil
}

// add queues records to the lanes of their output partitions.
func (w *Worker) add(pub *publication, assigned map[output][]int) {
	for out, indexes := range assigned {
		l := w.lanes[out]
		if l == nil {
			l = &lane{p: w.p, output: out, ids: w.ids}
			w.lanes[out] = l
		}
		l.limit = 0
		i := slices.IndexFunc(pub.parts, func(p *part) bool { return p.lane == l })
		if i < 0 {
			i = len(pub.parts)
			pub.parts = append(pub.parts, &part{lane: l})
		}
		if part := pub.parts[i]; len(part.queue) == 0 {
			part.queue = indexes
		} else {
			part.queue = append(part.queue, indexes...)
		}
	}
}

// assign gives each record its output partition. Null keys of one publication share a partition, the next take the
// next: whole batches, evenly spread.
func (w *Worker) assign(ctx context.Context, records []broker.Record, indexes []int) (map[output][]int, error) {
	spreads := make(map[string]*spread, 2)
	var s *spread // of the record before, which mostly is of the same topic
	w.turn++
	w.of = slices.Grow(w.of[:0], len(indexes))[:len(indexes)]
	for k, i := range indexes {
		if topic := records[i].Topic; s == nil || s.topic != topic {
			if s = spreads[topic]; s == nil {
				n, err := w.p.partitions(ctx, topic)
				if err != nil {
					return nil, err
				}
				s = &spread{topic: topic, shares: make([]share, n)}
				spreads[topic] = s
			}
		}
		p := w.turn % len(s.shares)
		if key := records[i].Key; key != nil {
			p = broker.PartitionOf(key, len(s.shares))
		}
		w.of[k] = &s.shares[p]
		w.of[k].count++
	}
	for k, i := range indexes {
		to := w.of[k]
		if to.indexes == nil {
			to.indexes = make([]int, 0, to.count)
		}
		to.indexes = append(to.indexes, i)
	}
	clear(w.of)
	assigned := make(map[output][]int)
	for _, s := range spreads {
		for p := range s.shares {
			if indexes := s.shares[p].indexes; len(indexes) > 0 {
				assigned[output{topic: s.topic, partition: p}] = indexes
			}
		}
	}
	return assigned, nil
}

// spread is a topic's records by partition.
type spread struct {
	topic  string
	shares []share
}

// share is the records of one partition: how many, counted first, and their indexes, ascending.
type share struct {
	count   int
	indexes []int
}
