package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/process"
)

// Nodes is the size of a Cluster: it goes on without one of its nodes, and not without two.
const Nodes = 3

const portsPerNode = 3

// Cluster is three nodes with three replicas of everything, of which two must be in sync to acknowledge.
type Cluster struct {
	Nodes [Nodes]*Node
}

// StartCluster formats three nodes under dir and starts them; node n logs to logs/kafka-n.log. Each node listens a second
// time, at an address for which advertise returns the one that clients get to know instead: a proxy's, that forwards there.
// Every client of that listener then stays behind the proxies. StartCluster returns when every node answers.
func StartCluster(ctx context.Context, dir, logs string, advertise func(node int, listens string) (string, error)) (*Cluster, error) {
	java, libs, err := program(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := process.FreePorts(ctx, Nodes*portsPerNode)
	if err != nil {
		return nil, err
	}
	voters := make([]string, Nodes)
	for i := range voters {
		voters[i] = voter(i+1, ports[i*portsPerNode+1])
	}
	c, cluster := new(Cluster), newClusterID()
	var formats errgroup.Group
	for i := range c.Nodes {
		own := ports[i*portsPerNode : (i+1)*portsPerNode]
		s := settings{
			ID: i + 1, Replicas: Nodes, InSync: Nodes - 1, Voters: strings.Join(voters, ","),
			BrokerPort: own[0], ControllerPort: own[1], OutsidePort: own[2],
		}
		if s.Advertised, err = advertise(i, net.JoinHostPort("127.0.0.1", strconv.Itoa(own[2]))); err != nil {
			return nil, fmt.Errorf("advertise node %d: %w", s.ID, err)
		}
		n := &Node{
			java: java, libs: libs, cluster: cluster, settings: s,
			dir: filepath.Join(dir, fmt.Sprintf("node-%d", s.ID)), log: filepath.Join(logs, fmt.Sprintf("kafka-%d.log", s.ID)),
		}
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			return nil, err
		}
		c.Nodes[i] = n
		formats.Go(func() error { return n.prepare(ctx) })
	}
	if err := formats.Wait(); err != nil {
		return nil, err
	}
	if err := c.Restart(ctx, c.Nodes[:]...); err != nil {
		c.Kill()
		return nil, err
	}
	return c, nil
}

// Restart starts nodes that were killed or stopped, together, and waits until each of them answers: of three, none does
// before a second one is there.
func (c *Cluster) Restart(ctx context.Context, nodes ...*Node) error {
	for _, n := range nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	var all errgroup.Group
	for _, n := range nodes {
		all.Go(func() error { return n.await(ctx) })
	}
	return all.Wait()
}

// Kill ends every node that was started with SIGKILL.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		if n.process != nil {
			n.Kill()
		}
	}
}

// Addresses are the nodes' own addresses, past any proxy.
func (c *Cluster) Addresses() []string {
	out := make([]string, Nodes)
	for i, n := range c.Nodes {
		out[i] = n.Address()
	}
	return out
}

// Node returns the node of an id, nil if there is none.
func (c *Cluster) Node(id int32) *Node {
	for _, n := range c.Nodes {
		if n.ID() == id {
			return n
		}
	}
	return nil
}
