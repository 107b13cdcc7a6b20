// Package ordergen provides seeded, believable TrendBuy orders with a known regret outcome: for the
// sandbox, the end-to-end tests, benchmarks, and the demo model's training data.
//
// The world behind the orders and the formula of regret are told in docs/world.md. One seed and one
// Config give the same orders on every machine: randomness comes from PCG alone, and no arithmetic is
// used that compilers may fuse or processors may round differently.
package ordergen

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// firstOrderNumber makes the first order ORD_10000, so that ids look like those of a shop that has been open for a while.
const firstOrderNumber = 10000

// Config says which orders a Generator makes. The zero value is usable.
type Config struct {
	// Seed chooses the world and all that happens in it.
	Seed uint64
	// Start is the time of the world's beginning, just before the first order; zero means 2026-01-01 UTC.
	Start time.Time
	// Interval is the mean time between two orders; zero means 45 s. Shorter ones slow the trends' lives
	// as seen over a number of orders, and leave the mix of features as it is.
	Interval time.Duration
}

// Generator makes orders one after another. It is not safe for concurrent use.
type Generator struct {
	world    *world
	orders   source // what an order draws
	outcomes source // who regrets, so that the formula never changes the orders
	breaks   source // which events NextBroken breaks, and how
	start    time.Time
	interval float64 // hours
	hours    float64 // since start
	made     int64
}

// New returns a Generator at the beginning of the world that cfg describes.
func New(cfg Config) *Generator {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 45 * time.Second
	}
	return &Generator{
		world:    newWorld(newSource(cfg.Seed, 1)),
		orders:   newSource(cfg.Seed, 2),
		outcomes: newSource(cfg.Seed, 3),
		breaks:   newSource(cfg.Seed, 4),
		start:    cfg.Start.UTC().Truncate(time.Millisecond),
		interval: cfg.Interval.Seconds() / 3600,
	}
}

// Next returns the next order. Its id is unique for the generator, and OccurredAt never goes back.
func (g *Generator) Next() Order {
	g.hours += float64(2 * g.orders.uniform() * g.interval)
	features := g.world.order(g.hours, g.orders)
	probability := RegretProbability(features)
	o := Order{
		ID:                "ORD_" + strconv.FormatInt(firstOrderNumber+g.made, 10),
		EventVersion:      g.eventVersion(),
		OccurredAt:        g.start.Add(time.Duration(g.hours*3600*1000) * time.Millisecond),
		Features:          features,
		RegretProbability: probability,
		Regret:            g.outcomes.uniform() < probability,
	}
	g.made++
	return o
}

// eventVersion is 0 but for the few orders whose features upstream had to correct before they were sent.
func (g *Generator) eventVersion() int64 {
	switch u := g.orders.uniform(); {
	case u < 0.005:
		return 2
	case u < 0.03:
		return 1
	default:
		return 0
	}
}

// source is a stream of random numbers that is the same on every machine and under every Go version:
// PCG is specified bit by bit, and what is made from its bits is made here.
type source struct{ pcg *rand.PCG }

func newSource(seed, stream uint64) source { return source{pcg: rand.NewPCG(seed, stream)} }

// uniform returns a number in [0,1).
func (s source) uniform() float64 { return float64(s.pcg.Uint64()>>11) / (1 << 53) }

// between returns a number in [low,high).
func (s source) between(low, high float64) float64 {
	return low + float64((high-low)*s.uniform())
}

// index returns a number in 0..n-1.
func (s source) index(n int) int { return int(s.uniform() * float64(n)) }

// bell returns a number of mean 0 and standard deviation 1, at most 3.5 from 0.
func (s source) bell() float64 {
	const sqrt3 = 1.7320508075688772
	return (s.uniform() + s.uniform() + s.uniform() + s.uniform() - 2) * sqrt3
}
