package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// OffsetRange is what a partition's log holds: [Earliest, Latest).
type OffsetRange struct {
	Earliest int64
	Latest   int64
}

// Offsets asks for the bounds of the given partitions' logs. With an error, the map still holds those that answered.
func (c *Client) Offsets(ctx context.Context, topic string, partitions []int) (map[int]OffsetRange, error) {
	op := "list offsets of " + topic
	if c.closed.Load() {
		return nil, fmt.Errorf("%s: %w", op, ErrClosed)
	}
	out := make(map[int]OffsetRange, len(partitions))
	if len(partitions) == 0 {
		return out, nil
	}
	requests := make([]kafka.OffsetRequest, 0, 2*len(partitions))
	for _, p := range partitions {
		requests = append(requests, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
	}
	res, err := c.kafka.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return out, c.fail(ctx, op, err)
	}
	var errs []error
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			errs = append(errs, c.fail(ctx, fmt.Sprintf("%s/%d", op, p.Partition), p.Error))
			continue
		}
		out[p.Partition] = OffsetRange{Earliest: p.FirstOffset, Latest: p.LastOffset}
	}
	return out, errors.Join(errs...)
}

// PartitionLag is how far a group is behind in one partition.
type PartitionLag struct {
	Partition int
	Committed int64 // -1 if the group never committed here
	OffsetRange
	Lag int64 // Latest - Committed; all that the log holds if nothing was committed
}

// Lag compares a group's committed offsets with the ends of a topic's partitions.
func (c *Client) Lag(ctx context.Context, group, topic string) ([]PartitionLag, error) {
	op := fmt.Sprintf("lag of group %s on %s", group, topic)
	n, err := c.PartitionCount(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("lag of group %s: %w", group, err)
	}
	partitions := make([]int, n)
	for i := range partitions {
		partitions[i] = i
	}
	bounds, err := c.Offsets(ctx, topic, partitions)
	if err != nil {
		return nil, fmt.Errorf("lag of group %s: %w", group, err)
	}
	out := make([]PartitionLag, n)
	for i := range out {
		out[i] = PartitionLag{Partition: i, Committed: -1, OffsetRange: bounds[i]}
	}
	if err := c.whileLoading(ctx, func() error { return c.committed(ctx, op, group, topic, partitions, out) }); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Lag = max(0, out[i].Latest-max(out[i].Committed, out[i].Earliest))
	}
	return out, nil
}

// committed fills in what the group committed.
func (c *Client) committed(ctx context.Context, op, group, topic string, partitions []int, out []PartitionLag) error {
	res, err := c.kafka.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: partitions}})
	if err != nil {
		return c.fail(ctx, op, err)
	}
	if res.Error != nil && !errors.Is(res.Error, kafka.GroupIdNotFound) { // a group that never was has committed nothing
		return c.fail(ctx, op, res.Error)
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return c.fail(ctx, fmt.Sprintf("%s/%d", op, p.Partition), p.Error)
		}
		if p.Partition >= 0 && p.Partition < len(out) {
			out[p.Partition].Committed = p.CommittedOffset
		}
	}
	return nil
}
