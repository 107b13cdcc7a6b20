package passthrough

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
	"golang.org/x/sync/errgroup"
)

const (
	answerLimit = 30 * time.Second // of one request, on a machine that is short of cores
	idTries     = 20               // at a coordinator that still loads
	buffers     = 3                // of a worker's fetches: one read into, one waiting, one in work
)

// Raw copies with as little as a copy by key can do: no group membership, no retry (any error ends it), no check of
// checksums, no decompression, buffers that are used again. It bounds from above what a client on kafka-go's connections
// can reach.
func Raw(ctx context.Context, job Job) error {
	transport := &kafka.Transport{ClientID: "raw", MetadataTTL: time.Second, MetadataTopics: []string{job.From, job.To}, Context: ctx}
	defer transport.CloseIdleConnections()
	r := &raw{job: job, transport: transport, address: kafka.TCP(job.Broker), done: make([]atomic.Int64, job.Partitions)}
	if err := r.awaitLeaders(ctx); err != nil {
		return stopped(err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for p := range job.Partitions {
		g.Go(func() error { return r.copy(ctx, p) })
	}
	g.Go(func() error { return r.commit(ctx) })
	return stopped(g.Wait())
}

// stopped makes the end of a context no error.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type raw struct {
	job       Job
	transport *kafka.Transport
	address   net.Addr
	done      []atomic.Int64 // by partition: offset after the last record whose copy is acknowledged
}

// awaitLeaders waits until the transport knows where to send: its requests fail before that.
func (r *raw) awaitLeaders(ctx context.Context) error {
	client := &kafka.Client{Addr: r.address, Transport: r.transport, Timeout: answerLimit}
	for {
		known := 0
		if layout, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{r.job.From, r.job.To}}); err == nil {
			for _, topic := range layout.Topics {
				for _, p := range topic.Partitions {
					if p.Error == nil && p.Leader.Port != 0 {
						known++
					}
				}
			}
		}
		if known == 2*r.job.Partitions {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// copy moves one partition, one fetch ahead. A batch of each output partition is unacknowledged at most.
func (r *raw) copy(ctx context.Context, partition int) error {
	id, epoch, err := r.producerID(ctx)
	if err != nil {
		return err
	}
	outs := make([]*outBatch, r.job.Partitions)
	for i := range outs {
		outs[i] = &outBatch{producer: id, epoch: epoch}
	}
	g, ctx := errgroup.WithContext(ctx)
	fetched := make(chan fetched)
	free := make(chan []byte, buffers)
	for range buffers {
		free <- nil
	}
	g.Go(func() error { return r.fetch(ctx, partition, free, fetched) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case f := <-fetched:
				if err := spread(f.set, outs); err != nil {
					return err
				}
				if err := r.produce(ctx, outs); err != nil {
					return err
				}
				r.done[partition].Store(f.next)
				free <- f.buffer
			}
		}
	})
	return g.Wait()
}

// fetched is an answer: its record set lies in buffer.
type fetched struct {
	buffer, set []byte
	next        int64
}

func (r *raw) fetch(ctx context.Context, partition int, free <-chan []byte, out chan<- fetched) error {
	offset := int64(0)
	for {
		var buffer []byte
		select {
		case <-ctx.Done():
			return ctx.Err()
		case buffer = <-free:
		}
		for {
			answer, err := r.ask(ctx, newRawFetch(r.job.From, partition, offset, buffer))
			if err != nil {
				return fmt.Errorf("fetch: %w", err)
			}
			a := answer.(*rawAnswer)
			set, err := a.records()
			if err != nil {
				return fmt.Errorf("fetch: %w", err)
			}
			buffer = a.body
			next, whole := nextOffset(set, offset)
			if next == offset {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case out <- fetched{buffer: buffer, set: set[:whole], next: next}:
				offset = next
			}
			break
		}
	}
}

func (r *raw) ask(ctx context.Context, request kafka.Request) (kafka.Response, error) {
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answer, err := r.transport.RoundTrip(limited, r.address, request)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return answer, err
}

func (r *raw) producerID(ctx context.Context) (id int64, epoch int16, err error) {
	for range idTries {
		var answer kafka.Response
		if answer, err = r.ask(ctx, &initproducerid.Request{ProducerID: -1, ProducerEpoch: -1}); err == nil {
			a := answer.(*initproducerid.Response)
			if a.ErrorCode == 0 && a.ProducerID >= 0 {
				return a.ProducerID, a.ProducerEpoch, nil
			}
			err = kafka.Error(a.ErrorCode)
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return 0, 0, fmt.Errorf("ask for a producer id: %w", err)
}

// produce sends every batch that has records and waits for all acknowledgements.
func (r *raw) produce(ctx context.Context, outs []*outBatch) error {
	errs := make([]error, len(outs))
	var sending sync.WaitGroup
	for p, out := range outs {
		if out.count == 0 {
			continue
		}
		sending.Go(func() {
			errs[p] = r.send(ctx, p, out.seal(time.Now()))
			out.begin()
		})
	}
	sending.Wait()
	return errors.Join(errs...)
}

func (r *raw) send(ctx context.Context, partition int, batch []byte) error {
	answer, err := r.ask(ctx, &rawproduce.Request{
		Acks: -1, Timeout: int32(answerLimit / time.Millisecond),
		Topics: []rawproduce.RequestTopic{{Topic: r.job.To, Partitions: []rawproduce.RequestPartition{{
			Partition: int32(partition), RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
		}}}},
	})
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if code := answer.(*produce.Response).Topics[0].Partitions[0].ErrorCode; code != 0 {
		return fmt.Errorf("produce: %w", kafka.Error(code))
	}
	return nil
}

// commit stores the offsets of what is acknowledged, as a consumer without a group protocol does.
func (r *raw) commit(ctx context.Context) error {
	client := &kafka.Client{Addr: r.address, Transport: r.transport, Timeout: answerLimit}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(commitEvery):
		}
		offsets := make([]kafka.OffsetCommit, len(r.done))
		for p := range r.done {
			offsets[p] = kafka.OffsetCommit{Partition: p, Offset: r.done[p].Load()}
		}
		// The first attempts may meet a coordinator that still loads; the next follows in a moment.
		_, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: r.job.Group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{r.job.From: offsets},
		})
		if err != nil && ctx.Err() == nil && !errors.As(err, new(kafka.Error)) {
			return fmt.Errorf("commit: %w", err)
		}
	}
}
