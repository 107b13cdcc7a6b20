package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lookLimit bounds one look, which a broker that is away would hold up.
const lookLimit = 3 * time.Second

// Commit is one look at the group while it works: the offsets it had committed, and then, never earlier, the ends of
// the output topics. An output of a committed record must stand before these ends.
type Commit struct {
	At         time.Time                  // between the two
	Committed  map[int32]int64            // orders partition to the next offset to read
	InputEnds  map[int32]int64            // orders partition to its end
	OutputEnds map[string]map[int32]int64 // results and dead letters topic to partition to its end
}

// Commit keeps a look at the group for Check.
func (l *Ledger) Commit(c Commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits = append(l.commits, c)
}

// Look reads a Commit from the broker.
func Look(ctx context.Context, admin *kadm.Client, group string, topics Topics) (Commit, error) {
	responses, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return Commit{}, fmt.Errorf("fetch the offsets of %s: %w", group, err)
	}
	if err := responses.Error(); err != nil {
		return Commit{}, fmt.Errorf("fetch the offsets of %s: %w", group, err)
	}
	at := time.Now()
	ends, err := admin.ListEndOffsets(ctx, topics.Orders, topics.Results, topics.DeadLetters)
	if err != nil {
		return Commit{}, fmt.Errorf("list end offsets: %w", err)
	}
	if err := ends.Error(); err != nil {
		return Commit{}, fmt.Errorf("list end offsets: %w", err)
	}
	byTopic := make(map[string]map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if byTopic[o.Topic] == nil {
			byTopic[o.Topic] = make(map[int32]int64)
		}
		byTopic[o.Topic][o.Partition] = o.Offset
	})
	c := Commit{At: at, Committed: make(map[int32]int64), InputEnds: byTopic[topics.Orders], OutputEnds: byTopic}
	delete(byTopic, topics.Orders)
	responses.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topics.Orders && o.At >= 0 {
			c.Committed[o.Partition] = o.At
		}
	})
	return c, nil
}

// Lag returns how many records of the orders topic are not committed.
func (c Commit) Lag() int64 {
	var lag int64
	for partition, end := range c.InputEnds {
		lag += end - c.Committed[partition]
	}
	return lag
}

// Reached says whether everything is committed that stood in the orders topic at an earlier look.
func (c Commit) Reached(earlier Commit) bool {
	for partition, end := range earlier.InputEnds {
		if c.Committed[partition] < end {
			return false
		}
	}
	return true
}

// Outputs returns how many records the output topics hold, as long as none was deleted and none is a transaction's mark.
func (c Commit) Outputs() int64 {
	var n int64
	for _, ends := range c.OutputEnds {
		for _, end := range ends {
			n += end
		}
	}
	return n
}

// Watch looks at the group every interval and keeps what it sees, until ctx ends. The group may not exist yet and the
// broker may be away: a look that fails is left out.
func (l *Ledger) Watch(ctx context.Context, admin *kadm.Client, group string, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			limited, cancel := context.WithTimeout(ctx, lookLimit)
			if c, err := Look(limited, admin, group, l.topics); err == nil {
				l.Commit(c)
			}
			cancel()
		}
	}
}

// Follow reads the results and dead letters topics from their beginning and observes every record, until ctx ends. The
// client must consume both topics directly, without a group. An error that the client does not retry is returned.
func (l *Ledger) Follow(ctx context.Context, client *kgo.Client) error {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that the caller asked for
		}
		var failed error
		fetches.EachError(func(topic string, partition int32, err error) {
			failed = errors.Join(failed, fmt.Errorf("read %s-%d: %w", topic, partition, err))
		})
		if failed != nil {
			return failed
		}
		fetches.EachRecord(l.Observe)
	}
}
