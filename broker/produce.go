package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

const (
	acksAll = -1
	// ackTimeout is what the broker may spend waiting for its replicas; the client waits longer, so that the broker's
	// own answer comes first.
	ackTimeout = requestTimeout / 2
)

// InitProducerID asks for a new idempotent producer id. It retries a coordinator that is still loading, a bounded
// number of times; the id that it returns is never negative.
func (c *Client) InitProducerID(ctx context.Context) (id ProducerID, err error) {
	err = c.whileLoading(ctx, func() (err error) {
		id, err = c.initProducerID(ctx)
		return err
	})
	return id, err
}

func (c *Client) initProducerID(ctx context.Context) (ProducerID, error) {
	const op = "ask for a producer id"
	res, err := c.roundTrip(ctx, requestTimeout, op, &initproducerid.Request{ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return ProducerID{}, err
	}
	answer := res.(*initproducerid.Response)
	if answer.ErrorCode != 0 {
		return ProducerID{}, c.fail(ctx, op, kafka.Error(answer.ErrorCode))
	}
	if answer.ProducerID < 0 || answer.ProducerEpoch < 0 {
		return ProducerID{}, c.fail(ctx, op, ErrNoProducerID)
	}
	return ProducerID{ID: answer.ProducerID, Epoch: answer.ProducerEpoch}, nil
}

// Produce appends a batch to a partition and waits until every replica in sync has it; it returns the offset of the
// first record. A batch that the log already holds is a success, with the offset -1 if the broker no longer knows it.
// After an error of KindUnreachable or KindTimeout the outcome is unknown: send the same batch again.
func (c *Client) Produce(ctx context.Context, topic string, partition int, batch Batch) (int64, error) {
	offset, err := c.produce(ctx, topic, partition, batch)
	return offset, MissingRight("WRITE on topic "+topic, err)
}

func (c *Client) produce(ctx context.Context, topic string, partition int, batch Batch) (int64, error) {
	op := fmt.Sprintf("produce to %s/%d", topic, partition)
	if len(batch.raw) < sizePrefix+batchHeader || int64(binary.BigEndian.Uint64(batch.Bytes()[producerIDAt:])) < 0 {
		return 0, c.fail(ctx, op, ErrNoProducerID)
	}
	// Each attempt reads the batch through a reader of its own: an abandoned one may still be read by its connection.
	res, err := c.roundTrip(ctx, requestTimeout, op, &rawproduce.Request{
		Acks:    acksAll,
		Timeout: int32(ackTimeout / time.Millisecond),
		Topics: []rawproduce.RequestTopic{{Topic: topic, Partitions: []rawproduce.RequestPartition{{
			Partition: int32(partition),
			RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(batch.raw)},
		}}}},
	})
	if err != nil {
		return 0, err
	}
	answer := res.(*produce.Response)
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return 0, c.fail(ctx, op, fmt.Errorf("the answer holds %d topics, not one", len(answer.Topics)))
	}
	p := &answer.Topics[0].Partitions[0]
	switch code := kafka.Error(p.ErrorCode); code {
	case 0:
		return p.BaseOffset, nil
	case kafka.DuplicateSequenceNumber:
		return -1, nil
	default:
		if p.ErrorMessage != "" {
			return 0, c.fail(ctx, op, fmt.Errorf("%w: %s", code, p.ErrorMessage))
		}
		return 0, c.fail(ctx, op, code)
	}
}
