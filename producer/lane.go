package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
)

// idSource gives a worker's lanes their producer id, and a new one to the lane whose id the broker no longer takes.
type idSource struct {
	// turn holds the turn to ask. It is no mutex because an answer may be long in coming, and those who wait for their turn
	// must stop when their ctx ends.
	turn chan struct{}
	id   broker.ProducerID
	ok   bool
}

func newIDSource() *idSource { return &idSource{turn: make(chan struct{}, 1)} }

// get returns the worker's id. If that is the refused one, or there is none yet, it asks for a new one.
func (s *idSource) get(ctx context.Context, c *broker.Client, refused *broker.ProducerID) (broker.ProducerID, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return broker.ProducerID{}, ctx.Err()
	}
	if s.ok && (refused == nil || *refused != s.id) {
		return s.id, nil
	}
	id, err := c.InitProducerID(ctx)
	if err != nil {
		return broker.ProducerID{}, err
	}
	s.id, s.ok = id, true
	return id, nil
}

// lane is one worker's sequence of batches to one output partition.
type lane struct {
	p *Producer
	output
	ids *idSource

	id      broker.ProducerID
	hasID   bool
	refused *broker.ProducerID // the id to replace
	next    int32              // sequence number of the next record
	limit   int                // records a batch, after the broker refused a larger one; 0 is no limit
	batch   []*broker.Record   // working memory of encode
}

// reset makes the next batch start a new sequence under a new id.
func (l *lane) reset() {
	if l.hasID {
		old := l.id
		l.refused, l.hasID = &old, false
	}
}

func (l *lane) identify(ctx context.Context) error {
	if l.hasID {
		return nil
	}
	id, err := l.ids.get(ctx, l.p.client, l.refused)
	if err != nil {
		return broker.MissingRight("WRITE on topic "+l.topic, err) // on any topic, as Kafka has it
	}
	l.id, l.hasID, l.refused, l.next = id, true, nil, 0
	return nil
}

// flight is an encoded batch that is not acknowledged yet.
type flight struct {
	batch   broker.Batch
	indexes []int
	// uncertain says that an attempt ended without the broker's word: the batch may be in the log.
	uncertain bool
}

// part is one publication's share of a lane.
type part struct {
	lane   *lane
	queue  []int // records not yet encoded
	flight *flight

	tooLarge    []int
	tooLargeErr error
}

func (p *part) run(ctx context.Context, records []broker.Record) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 2*time.Second
	moved := time.Now()
	for p.flight != nil || len(p.queue) > 0 {
		err := p.step(ctx, records)
		if err == nil {
			moved = time.Now()
			wait.Reset()
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("publish to %s/%d: %w", p.lane.topic, p.lane.partition, ctx.Err())
		}
		p.lane.p.metrics.fail(err)
		pause := wait.NextBackOff()
		if broker.KindOf(err) == broker.KindRefused || time.Since(moved)+pause > p.lane.p.cfg.StallAfter {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// step encodes a batch if none is under way and sends it once.
func (p *part) step(ctx context.Context, records []broker.Record) error {
	if p.flight == nil {
		if err := p.encode(ctx, records); err != nil || p.flight == nil {
			return err
		}
	}
	err := p.send(ctx)
	switch broker.KindOf(err) {
	case broker.KindTooLarge:
		return p.split(err)
	case broker.KindSequence:
		p.lane.p.log.Warn("producer id no longer accepted, taking a new one",
			slog.String("topic", p.lane.topic), slog.Int("partition", p.lane.partition), slog.Any("error", err))
		p.unsend()
		p.lane.reset()
		return err
	case broker.KindNoLeader, broker.KindTopicMissing:
		p.lane.p.forget(p.lane.topic)
	default:
	}
	if err != nil {
		return err
	}
	if !sabotage.On(sabotage.ReusedSequence) {
		p.lane.next = broker.NextSequence(p.lane.next, p.flight.batch.Count())
	}
	p.lane.p.metrics.acknowledged(p.lane.topic, p.flight.batch)
	if !p.flight.uncertain && !sabotage.On(sabotage.NoAcks) {
		p.lane.p.buffers.Release(p.flight.batch)
	}
	p.flight = nil
	return nil
}

// encode makes a batch of the next records of the queue, as many as fit.
func (p *part) encode(ctx context.Context, records []broker.Record) error {
	if err := p.lane.identify(ctx); err != nil {
		return err
	}
	batch := slices.Grow(p.lane.batch[:0], len(p.queue))
	size, taken := 0, 0
	for _, i := range p.queue {
		n := broker.RecordSize(&records[i])
		if n > maxRecordBytes {
			if taken == 0 {
				p.refuse(i, errors.New("above the largest request that a broker takes"))
				return nil
			}
			break
		}
		if taken > 0 && (size+n > p.lane.p.cfg.MaxBatchBytes || taken == p.lane.limit) {
			break
		}
		batch = append(batch, &records[i])
		size += n
		taken++
	}
	encoded, err := p.lane.p.buffers.EncodeBatch(p.lane.id, p.lane.next, time.Now(), batch)
	if err != nil {
		return fmt.Errorf("publish to %s/%d: %w", p.lane.topic, p.lane.partition, err)
	}
	p.lane.batch = batch
	p.flight = &flight{batch: encoded, indexes: p.queue[:taken:taken]}
	p.queue = p.queue[taken:]
	return nil
}

func (p *part) send(ctx context.Context) error {
	select {
	case p.lane.p.inFlight <- struct{}{}:
		defer func() { <-p.lane.p.inFlight }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if batch := p.flight.batch; sabotage.On(sabotage.NoAcks) {
		go func() { _, _ = p.lane.p.client.Produce(ctx, p.lane.topic, p.lane.partition, batch) }()
		return nil
	}
	_, err := p.lane.p.client.Produce(ctx, p.lane.topic, p.lane.partition, p.flight.batch)
	sabotage.At(sabotage.Sent)
	if err != nil && broker.KindOf(err) != broker.KindTooLarge {
		p.flight.uncertain = true
	}
	return err
}

// split halves a batch that the topic refuses for its size, down to one record, which is then set aside.
func (p *part) split(err error) error {
	f := p.flight
	p.unsend()
	if f.uncertain {
		p.lane.reset()
	}
	if len(f.indexes) == 1 {
		p.refuse(f.indexes[0], err)
		return nil
	}
	p.lane.limit = (len(f.indexes) + 1) / 2
	p.lane.p.metrics.fail(err)
	return nil
}

// refuse sets the first record of the queue aside for good.
func (p *part) refuse(index int, err error) {
	p.queue = p.queue[1:]
	p.tooLarge, p.tooLargeErr = append(p.tooLarge, index), err
	p.lane.limit = 0
}

// unsend puts the batch's records back to the head of the queue, to be encoded anew.
func (p *part) unsend() {
	p.queue = append(append([]int(nil), p.flight.indexes...), p.queue...)
	p.flight = nil
}
