// Package chaos provides the plan of a run's faults: which, when and for how long, all from one seed.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trendbuy/riskscorer/sabotage"
)

// Kind is a kind of fault, in the words of a report.
type Kind string

// The kinds: what happens to a process of the service, to a broker, and to the network between the two.
const (
	Kill            Kind = "SIGKILL of a process at any moment"
	KillAt          Kind = "SIGKILL of a process at a step"
	Terminate       Kind = "SIGTERM of a process"
	Pause           Kind = "SIGSTOP of a process past its session"
	Storm           Kind = "join and leave storm"
	LeaderKill      Kind = "SIGKILL of a partition's leader"
	CoordinatorKill Kind = "SIGKILL of the group's coordinator"
	BrokerPause     Kind = "SIGSTOP of a broker"
	RollingRestart  Kind = "rolling restart of the brokers"
	DiskFull        Kind = "a broker's disk takes no more"
	Outage          Kind = "total outage"
	Slow            Kind = "slow network"
	Cut             Kind = "connections cut"
	HalfOpen        Kind = "half-open connections"
	Expansion       Kind = "partition expansion"
)

// Kinds returns all kinds, in the order of a report.
func Kinds() []Kind {
	return []Kind{
		Kill, KillAt, Terminate, Pause, Storm, LeaderKill, CoordinatorKill, BrokerPause, RollingRestart, DiskFull, Outage,
		Slow, Cut, HalfOpen, Expansion,
	}
}

// Fault is one fault of a plan.
type Fault struct {
	Kind   Kind
	Point  sabotage.Point // of KillAt
	Target int            // which process, partition or broker: any number, to be taken modulo their count
	After  time.Duration  // since the orders of this fault began to flow
	Lasts  time.Duration  // until it is mended; of Pause: beyond the session
	// Together says that the next fault strikes before the group has recovered from this one.
	Together bool
}

// String names the fault in messages.
func (f Fault) String() string {
	text := string(f.Kind)
	if f.Point != "" {
		text = fmt.Sprintf("%s (%s)", text, f.Point)
	}
	if f.Lasts > 0 {
		text += " for " + f.Lasts.String()
	}
	return text
}

// togetherShare is the share of faults that overlap with the next one.
const togetherShare = 0.2

// Plan returns count faults, the same for the same seed. It goes through all kinds and all points in a random order
// before it repeats one. outage is how long its first total outage lasts; others are shorter.
func Plan(seed uint64, count int, outage time.Duration) []Fault {
	random := rand.New(rand.NewPCG(seed, 0xc4a05)) //nolint:gosec // the same seed must give the same plan
	var plan, round []Fault
	outages := 0
	for len(plan) < count {
		if len(round) == 0 {
			round = everything()
			random.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		f := round[0]
		round = round[1:]
		f.Target = random.IntN(1 << 16)
		f.After = between(random, 0, 1500*time.Millisecond)
		shortest, longest := f.Kind.lasts()
		f.Lasts = between(random, shortest, longest)
		f.Together = random.Float64() < togetherShare
		if f.Kind == Outage {
			if outages == 0 {
				f.Lasts = outage
			}
			outages++
		}
		plan = append(plan, f)
	}
	return plan
}

// everything is one of each kind, two of those that kill a broker for its role, and of KillAt one for each point.
func everything() []Fault {
	var all []Fault
	for _, kind := range Kinds() {
		if kind != KillAt {
			all = append(all, Fault{Kind: kind})
			if kind == LeaderKill || kind == CoordinatorKill {
				all = append(all, Fault{Kind: kind}) // what differs most with who is hit
			}
			continue
		}
		for _, point := range sabotage.Points() {
			all = append(all, Fault{Kind: KillAt, Point: point})
		}
	}
	return all
}

// lasts bounds how long a fault of the kind lasts; 0 is one that is over at once, or takes as long as it takes.
func (k Kind) lasts() (shortest, longest time.Duration) {
	switch k {
	case Pause:
		return time.Second, 5 * time.Second
	case Storm:
		return 3 * time.Second, 6 * time.Second
	case LeaderKill, CoordinatorKill:
		return 0, 5 * time.Second
	case BrokerPause:
		return 2 * time.Second, 12 * time.Second
	case Outage:
		return 5 * time.Second, 20 * time.Second
	case Slow, HalfOpen:
		return 3 * time.Second, 12 * time.Second
	case Cut:
		return time.Second, 3 * time.Second
	default:
		return 0, 0
	}
}

// between returns a duration in [low, high], in whole milliseconds.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64((high-low)/time.Millisecond)+1))*time.Millisecond
}
