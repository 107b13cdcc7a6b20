package consumer

import (
	"context"
	"net"
	"sync"

	"github.com/segmentio/kafka-go"
)

// assignor gives out contiguous ranges of partitions, and remembers how many it saw when this member did it for the
// group: only that member then watches for new ones, so that an expansion makes one rebalance.
type assignor struct {
	kafka.RangeGroupBalancer
	topic string

	mu         sync.Mutex
	led        bool
	partitions int
}

// AssignGroups is called on the member that the coordinator chose as leader.
func (a *assignor) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	n := 0
	for _, p := range partitions {
		if p.Topic == a.topic {
			n++
		}
	}
	a.mu.Lock()
	a.led, a.partitions = true, n
	a.mu.Unlock()
	return a.RangeGroupBalancer.AssignGroups(members, partitions)
}

// take returns whether this member led the assignment of the generation that has just begun, and of how many partitions.
func (a *assignor) take() (led bool, partitions int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	led, partitions = a.led, a.partitions
	a.led, a.partitions = false, 0
	return led, partitions
}

// conns knows the group's connections, open or on the way, so that they can be cut: the library takes no context for them.
type conns struct {
	dialer *kafka.Dialer
	ended  context.Context // with close
	end    context.CancelFunc

	mu   sync.Mutex
	open map[*tracked]struct{}
}

func newConns(dialer *kafka.Dialer) *conns {
	c := &conns{dialer: dialer, open: make(map[*tracked]struct{})}
	c.ended, c.end = context.WithCancel(context.Background())
	dial := dialer.DialFunc
	dialer.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// A broker that does not answer takes the dialer's whole patience, and the library tries them all.
		stop := context.AfterFunc(c.ended, cancel) //nolint:contextcheck // it ends with all of the group's connections, too
		defer stop()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		t := &tracked{Conn: conn, owner: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended.Err() != nil {
			_ = conn.Close()
			return nil, net.ErrClosed
		}
		c.open[t] = struct{}{}
		return t, nil
	}
	return c
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
	for t := range c.open {
		_ = t.Conn.Close()
	}
}

type tracked struct {
	net.Conn
	owner *conns
}

// Close forgets the connection and closes it.
func (t *tracked) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.open, t)
	t.owner.mu.Unlock()
	return t.Conn.Close()
}
