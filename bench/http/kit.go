package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/bench/http/load"
	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	distinctOrders = 500
	startLimit     = 2 * time.Minute // Python on a busy machine
	stopLimit      = 15 * time.Second
)

// bench is what the parts share.
type bench struct {
	*settings
	root, dir string // of the repository, and of what is built
	self      string // this program, which is the floor as well
	model     string // the bundle
	orders    []ordergen.Order
	running   map[string]*server // by contender
}

func newBench(s *settings) (*bench, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-http-")
	if err != nil {
		return nil, err
	}
	return &bench{
		settings: s, root: root, dir: dir, self: self, model: filepath.Join(root, "models/trendbuy_xgb_v1.0.0"),
		orders: completeOrders(distinctOrders), running: make(map[string]*server),
	}, nil
}

// completeOrders returns orders that miss no feature: the peers take no null.
func completeOrders(n int) []ordergen.Order {
	all := make([]ordergen.Order, 0, n)
	for g := ordergen.New(ordergen.Config{Seed: 6}); len(all) < n; {
		o := g.Next()
		complete := true
		for _, x := range o.Features.Numbers() {
			complete = complete && x.Value == x.Value
		}
		if complete {
			all = append(all, o)
		}
	}
	return all
}

// build compiles the service as the chosen contenders need it.
func (b *bench) build(ctx context.Context) error {
	for _, tags := range []string{"", "purego"} {
		if !b.chosen("riskscorer" + tags) {
			continue
		}
		say("building riskscorer %s", tags)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-o", b.binary(tags), "./cmd/riskscorer")
		cmd.Dir = b.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build riskscorer: %w: %s", err, out)
		}
	}
	return nil
}

func (b *bench) binary(tags string) string { return filepath.Join(b.dir, "riskscorer"+tags) }

// server is a running contender.
type server struct {
	process  *process.Process
	address  string
	metrics  string        // of riskscorer: host:port
	first    time.Duration // until the first answer
	idle     float64       // MB after the first answer
	requests [][]byte
}

// launch starts a contender and waits for its first answer to a request like those that it will get.
func (b *bench) launch(ctx context.Context, c *contender) (*server, error) {
	ports, err := process.FreePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	address := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	s := &server{address: address(ports[0]), metrics: address(ports[2])}
	for i := range b.orders {
		request, err := load.Post(s.address, c.path, c.body(&b.orders[i]))
		if err != nil {
			return nil, err
		}
		s.requests = append(s.requests, request)
	}
	spec, err := c.spec(ctx, place{port: ports[0], address: s.address, admin: address(ports[1]), metrics: s.metrics})
	if err != nil {
		return nil, err
	}
	spec.Log = filepath.Join(b.dir, c.name+".log")
	begin := time.Now()
	if s.process, err = process.Start(spec); err != nil {
		return nil, err
	}
	if err := s.await(ctx, cmp.Or(c.first, http.StatusOK)); err != nil {
		s.process.Kill()
		return nil, fmt.Errorf("%w: %s", err, s.process.Tail(5))
	}
	s.first = time.Since(begin)
	now, _, err := s.process.Memory()
	s.idle = float64(now) / (1 << 20)
	return s, err
}

// await sends one request until it is answered with the status.
func (s *server) await(ctx context.Context, status int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		r, err := load.Run(ctx, load.Target{Address: s.address, Requests: s.requests[:1]}, load.Plan{Rate: 1000, Connections: 1, For: time.Millisecond}) // one
		if err == nil && r.Answers[status] > 0 {
			return nil
		}
		select {
		case <-s.process.Done():
			return errors.New("it ended: " + s.process.State())
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startLimit, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// get returns a contender's process, started when it is first asked for.
func (b *bench) get(ctx context.Context, r *results, c *contender) (*server, error) {
	if s := b.running[c.name]; s != nil {
		return s, nil
	}
	s, err := b.launch(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.label, err)
	}
	b.running[c.name] = s
	l := r.line(c)
	l.First, l.Idle = append(l.First, s.first.Seconds()), s.idle
	say("%s: first answer after %.2f s, %.0f MB", c.label, s.first.Seconds(), s.idle)
	return s, nil
}

// stop ends what runs.
func (b *bench) stop() {
	for _, s := range b.running {
		_ = s.process.Stop(stopLimit) // it has done its work; how it ends does not matter
	}
}
