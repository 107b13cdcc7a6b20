//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/chaos"
	"github.com/trendbuy/riskscorer/e2e/kafka"
)

const (
	// stormSize is how many processes come and go at once.
	stormSize = 3
	// slowness of one piece of data on its way, in one direction.
	slowness = 150 * time.Millisecond
	// inSyncLimit bounds the wait for replicas to catch up, after which the next broker may be taken away.
	inSyncLimit = 90 * time.Second
	// brokerEndLimit bounds how long a broker lives on a full disk.
	brokerEndLimit = 60 * time.Second
)

// strike does what the fault says, and mends it.
func (c *campaign) strike(ctx context.Context, t *testing.T, f chaos.Fault) {
	t.Helper()
	slot := f.Target % len(c.fleet)
	switch f.Kind {
	case chaos.Kill:
		c.fleet[slot].kill(t)
		c.replace(ctx, t, slot)
	case chaos.KillAt:
		c.fleet[slot].killAt(ctx, t, f.Point)
		c.replace(ctx, t, slot)
	case chaos.Terminate:
		c.fleet[slot].stop(t)
		c.replace(ctx, t, slot)
	case chaos.Pause:
		c.fleet[slot].process.Pause()
		pause(ctx, t, session+f.Lasts)
		c.fleet[slot].process.Resume()
	case chaos.Storm:
		c.storm(ctx, t, f)
	case chaos.Slow, chaos.Cut, chaos.HalfOpen:
		c.disturb(ctx, t, f)
	case chaos.Expansion:
		if _, err := c.admin.CreatePartitions(ctx, 1, topics.Orders, topics.Results); err != nil {
			t.Fatalf("add partitions: %v", err)
		}
	default:
		c.strikeBroker(ctx, t, f)
	}
}

// storm has processes join one after another, and leave again, every second one without a word.
func (c *campaign) storm(ctx context.Context, t *testing.T, f chaos.Fault) {
	t.Helper()
	var guests [stormSize]*service
	for i := range guests {
		guests[i] = c.startProcess(ctx, t)
		pause(ctx, t, f.Lasts/(2*stormSize))
	}
	for i, guest := range guests {
		if (i+f.Target)%2 == 0 {
			guest.kill(t)
		} else {
			guest.stop(t)
		}
		pause(ctx, t, f.Lasts/(2*stormSize))
	}
}

// disturb spoils the network between the product and the brokers, or one of them.
func (c *campaign) disturb(ctx context.Context, t *testing.T, f chaos.Fault) {
	t.Helper()
	links := c.system.links
	if f.Kind == chaos.HalfOpen && f.Target%2 == 0 {
		links = links[f.Target%len(links):][:1]
	}
	for _, link := range links {
		switch f.Kind {
		case chaos.Slow:
			link.Slow(slowness)
		case chaos.Cut:
			link.Cut(true)
		default:
			link.Swallow(true)
		}
	}
	pause(ctx, t, f.Lasts)
	for _, link := range links {
		switch f.Kind {
		case chaos.Slow:
			link.Slow(0)
		case chaos.Cut:
			link.Cut(false)
		default:
			link.Swallow(false)
		}
	}
}

// strikeBroker takes a broker away, or all of them. It never takes the last replica in sync of anything but on purpose.
func (c *campaign) strikeBroker(ctx context.Context, t *testing.T, f chaos.Fault) {
	t.Helper()
	c.awaitInSync(ctx, t)
	cluster := c.system.cluster
	switch f.Kind {
	case chaos.LeaderKill:
		c.bounce(ctx, t, c.leader(ctx, t, f.Target), f.Lasts)
	case chaos.CoordinatorKill:
		c.bounce(ctx, t, c.coordinator(ctx, t), f.Lasts)
	case chaos.BrokerPause:
		node := cluster.Nodes[f.Target%kafka.Nodes]
		node.Pause()
		pause(ctx, t, f.Lasts)
		node.Resume()
	case chaos.DiskFull:
		node := cluster.Nodes[f.Target%kafka.Nodes]
		if err := node.FillDisk(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-node.Done():
		case <-time.After(brokerEndLimit):
			t.Fatalf("broker %d lives on a full disk", node.ID())
		}
		c.restart(ctx, t, node)
	case chaos.RollingRestart:
		for _, node := range cluster.Nodes {
			c.awaitInSync(ctx, t)
			if err := node.Stop(); err != nil {
				t.Fatalf("stop broker %d: %v", node.ID(), err)
			}
			c.restart(ctx, t, node)
		}
	case chaos.Outage:
		cluster.Kill()
		pause(ctx, t, f.Lasts)
		c.restart(ctx, t, cluster.Nodes[:]...)
	default:
		t.Fatalf("no way to do %s", f)
	}
}

func (c *campaign) bounce(ctx context.Context, t *testing.T, node *kafka.Node, away time.Duration) {
	t.Helper()
	node.Kill()
	pause(ctx, t, away)
	c.restart(ctx, t, node)
}

func (c *campaign) restart(ctx context.Context, t *testing.T, nodes ...*kafka.Node) {
	t.Helper()
	if err := c.system.cluster.Restart(ctx, nodes...); err != nil {
		t.Fatalf("restart brokers: %v", err)
	}
}

// leader returns the broker that leads one of the partitions of all three topics.
func (c *campaign) leader(ctx context.Context, t *testing.T, target int) *kafka.Node {
	t.Helper()
	listed, err := c.admin.ListTopics(ctx, topics.Orders, topics.Results, topics.DeadLetters)
	if err != nil {
		t.Fatalf("list topics: %v", err)
	}
	var leaders []int32
	for _, topic := range listed.Sorted() {
		for _, p := range topic.Partitions.Sorted() {
			leaders = append(leaders, p.Leader)
		}
	}
	return c.node(t, leaders[target%len(leaders)])
}

func (c *campaign) coordinator(ctx context.Context, t *testing.T) *kafka.Node {
	t.Helper()
	found := c.admin.FindGroupCoordinators(ctx, group)
	if err := found.Error(); err != nil {
		t.Fatalf("find the coordinator: %v", err)
	}
	return c.node(t, found[group].NodeID)
}

func (c *campaign) node(t *testing.T, id int32) *kafka.Node {
	t.Helper()
	node := c.system.cluster.Node(id)
	if node == nil {
		t.Fatalf("no broker has the id %d", id)
	}
	return node
}

// awaitInSync waits until every replica of every partition is in sync.
func (c *campaign) awaitInSync(ctx context.Context, t *testing.T) {
	t.Helper()
	var why string
	for deadline := time.Now().Add(inSyncLimit); time.Now().Before(deadline); pause(ctx, t, 200*time.Millisecond) {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		why = c.lagging(limited)
		cancel()
		if why == "" {
			return
		}
	}
	t.Fatalf("replicas are not in sync after %s: %s", inSyncLimit, why)
}

// lagging names a partition that lacks replicas, or why that can't be told.
func (c *campaign) lagging(ctx context.Context) string {
	listed, err := c.admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return err.Error()
	}
	for _, topic := range listed {
		for _, p := range topic.Partitions {
			if len(p.ISR) < len(p.Replicas) || p.Leader < 0 {
				return fmt.Sprintf("%s-%d has %v of %v", topic.Topic, p.Partition, p.ISR, p.Replicas)
			}
		}
	}
	return ""
}
