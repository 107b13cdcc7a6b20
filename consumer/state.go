package consumer

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/trendbuy/riskscorer/broker"
)

// Status is a snapshot of a consumer.
type Status struct {
	Joined     bool   // a member of the group, with its partitions (possibly none)
	Reason     string // in plain words why it is not joined
	Generation int32  // of the group, while joined
	Partitions []PartitionStatus
}

// PartitionStatus is a snapshot of one assigned partition.
type PartitionStatus struct {
	Partition     int
	Next          int64 // first offset that is not acknowledged, -1 before the start is known
	Committed     int64 // last committed offset, -1 if none
	HighWatermark int64 // end of the log as last seen, -1 before that
	Lag           int64 // records of the log that are not committed; 0 before HighWatermark is known
	// Paused says in plain words why the partition does not move, since when, and of which kind that is.
	Paused string
	Kind   string
	Since  time.Time
}

// Reasons to be paused that are not the broker's.
const (
	kindHandler = "handler" // the handler failed with an error of its own
	kindNoStart = "no_committed_offset"
	kindWedged  = "wedged" // the handler does not return
)

// state is what Status and the metrics read.
type state struct {
	mu         sync.Mutex
	joined     bool
	reason     string
	generation int32
	partitions []*position
}

func newState() *state { return &state{reason: "starting"} }

func (s *state) join(generation int32, partitions []*position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined, s.reason, s.generation, s.partitions = true, "", generation, partitions
}

func (s *state) leave(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined, s.reason, s.generation, s.partitions = false, reason, 0, nil
}

func (s *state) snapshot() Status {
	s.mu.Lock()
	partitions := s.partitions
	out := Status{Joined: s.joined, Reason: s.reason, Generation: s.generation}
	s.mu.Unlock()
	for _, p := range partitions {
		out.Partitions = append(out.Partitions, p.status())
	}
	slices.SortFunc(out.Partitions, func(a, b PartitionStatus) int { return cmp.Compare(a.Partition, b.Partition) })
	return out
}

// position is how far one partition of one generation got. The worker moves it, the committer and Status read it.
type position struct {
	partition int

	mu        sync.Mutex
	next      int64 // acknowledged up to here, contiguously; -1 unknown
	committed int64 // -1 none
	low, high int64 // bounds of the log; -1 unknown
	fetching  pause
	handling  pause
}

type pause struct {
	reason string
	kind   string
	since  time.Time
}

func (p *position) status() PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := PartitionStatus{Partition: p.partition, Next: p.next, Committed: p.committed, HighWatermark: p.high}
	if p.high >= 0 {
		out.Lag = max(0, p.high-max(p.committed, p.low, 0)) // what is no longer in the log cannot be read either
	}
	why := p.handling
	if why.reason == "" {
		why = p.fetching
	}
	out.Paused, out.Kind, out.Since = why.reason, why.kind, why.since
	return out
}

// acknowledge says that every record before next is done with.
func (p *position) acknowledge(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, next)
}

// uncommitted returns the offset to commit, if there is a new one.
func (p *position) uncommitted() (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next, p.next > p.committed
}

func (p *position) commit(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = offset
}

// seen takes the bounds of the log into account, which both only grow.
func (p *position) seen(low, high int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.low, p.high = max(p.low, low), max(p.high, high)
}

func (p *position) pauseFetching(kind, reason string) { p.set(&p.fetching, kind, reason) }
func (p *position) pauseHandling(kind, reason string) { p.set(&p.handling, kind, reason) }
func (p *position) resumeFetching()                   { p.set(&p.fetching, "", "") }
func (p *position) resumeHandling()                   { p.set(&p.handling, "", "") }
func (p *position) set(to *pause, kind, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := to.since
	if to.reason == "" {
		since = time.Now()
	}
	if reason == "" {
		since = time.Time{}
	}
	*to = pause{reason: reason, kind: kind, since: since}
}

// kindOf returns the label of a handler's error, which may name its kind itself, from a closed set of its own.
func kindOf(err error) string {
	if named, ok := errors.AsType[interface {
		error
		PauseKind() string
	}](err); ok {
		return named.PauseKind()
	}
	if k := broker.KindOf(err); k != broker.KindOther {
		return k.String()
	}
	return kindHandler
}
