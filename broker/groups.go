package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describegroups"
)

// ErrGroupActive says that a group has members: what they commit and what somebody else does would contradict each other.
var ErrGroupActive = errors.New("the group has members")

// GroupMembers returns how many members a group has; a group that does not exist has none.
func (c *Client) GroupMembers(ctx context.Context, group string) (n int, err error) {
	op := "describe group " + group
	err = c.whileLoading(ctx, func() error {
		// The library's own call decodes every member's metadata, and fails on versions that it does not know.
		res, err := c.roundTrip(ctx, requestTimeout, op, &describegroups.Request{Groups: []string{group}})
		if err != nil {
			return err
		}
		answer := res.(*describegroups.Response)
		if len(answer.Groups) != 1 {
			return c.fail(ctx, op, fmt.Errorf("the answer holds %d groups, not one", len(answer.Groups)))
		}
		if code := kafka.Error(answer.Groups[0].ErrorCode); code != 0 && code != kafka.GroupIdNotFound {
			return c.fail(ctx, op, code)
		}
		n = len(answer.Groups[0].Members)
		return nil
	})
	return n, err
}

// CommitOffsets commits offsets by partition for a group without members. The broker itself refuses it for any other
// group, which is an error that wraps ErrGroupActive.
func (c *Client) CommitOffsets(ctx context.Context, group, topic string, offsets map[int]int64) error {
	op := fmt.Sprintf("commit offsets of group %s on %s", group, topic)
	if c.closed.Load() {
		return fmt.Errorf("%s: %w", op, ErrClosed)
	}
	commits := make([]kafka.OffsetCommit, 0, len(offsets))
	for partition, offset := range offsets {
		commits = append(commits, kafka.OffsetCommit{Partition: partition, Offset: offset})
	}
	return c.whileLoading(ctx, func() error {
		res, err := c.kafka.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: commits},
		})
		if err != nil {
			return c.fail(ctx, op, err)
		}
		for _, p := range res.Topics[topic] {
			switch {
			case errors.Is(p.Error, kafka.UnknownMemberId), errors.Is(p.Error, kafka.IllegalGeneration),
				errors.Is(p.Error, kafka.RebalanceInProgress):
				return fmt.Errorf("%s: %w", op, ErrGroupActive)
			case p.Error != nil:
				return c.fail(ctx, fmt.Sprintf("%s/%d", op, p.Partition), p.Error)
			}
		}
		return nil
	})
}

// OffsetsAt returns, for each of the partitions, the offset of the first record whose timestamp is at or after at: the
// log's end where there is none.
func (c *Client) OffsetsAt(ctx context.Context, topic string, partitions []int, at time.Time) (map[int]int64, error) {
	op := "list offsets by time of " + topic
	bounds, err := c.Offsets(ctx, topic, partitions)
	if err != nil || len(partitions) == 0 {
		return nil, err
	}
	requests := make([]kafka.OffsetRequest, 0, len(partitions))
	for _, p := range partitions {
		// A negative time would ask for something else.
		requests = append(requests, kafka.OffsetRequest{Partition: p, Timestamp: max(0, at.UnixMilli())})
	}
	res, err := c.kafka.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	out := make(map[int]int64, len(partitions))
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, c.fail(ctx, fmt.Sprintf("%s/%d", op, p.Partition), p.Error)
		}
		out[p.Partition] = bounds[p.Partition].Latest
		for offset := range p.Offsets { // one at most
			if offset >= 0 {
				out[p.Partition] = offset
			}
		}
	}
	return out, nil
}
