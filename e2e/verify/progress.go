package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// deposed is how long a broker that was paused may answer for a group that is no longer its own: an offset that goes back
// for less is its memory, not the group's.
const deposed = 2 * time.Second

// Recovery is how long the group took to commit what had piled up when a fault ended.
type Recovery struct {
	Fault       string
	Took, Limit time.Duration
}

// Recover keeps a recovery for Check.
func (l *Ledger) Recover(r Recovery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recovered = append(l.recovered, r)
}

// LongestGap is the longest time between two outputs of one orders partition, duplicates aside, by when they were produced.
// It tells something of a run in which orders came without a pause.
func (l *Ledger) LongestGap() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	produced := make(map[int32][]time.Time)
	for source, o := range l.outputs {
		produced[source.Partition] = append(produced[source.Partition], o.produced)
	}
	var longest time.Duration
	for _, times := range produced {
		slices.SortFunc(times, time.Time.Compare)
		for i, at := range times[1:] {
			longest = max(longest, at.Sub(times[i]))
		}
	}
	return longest
}

func (l *Ledger) judgeRecoveries(report *Report) {
	for _, r := range l.recovered {
		report.Longest = max(report.Longest, r.Took)
		if r.Took > r.Limit {
			report.add(RuleRecovery, fmt.Sprintf("%s: lag did not return to 0 within %s", r.Fault, r.Limit))
		}
	}
}

// judgeCommits judges every look at every partition.
func (l *Ledger) judgeCommits(inputs []Input, report *Report) {
	ordered := make(map[int32][]*Input)
	for i := range inputs {
		in := &inputs[i]
		ordered[in.Partition] = append(ordered[in.Partition], in)
	}
	for _, c := range l.commits {
		for partition := range c.Committed {
			if _, ok := ordered[partition]; !ok {
				ordered[partition] = nil
			}
		}
	}
	for partition, of := range ordered {
		slices.SortFunc(of, func(a, b *Input) int { return cmp.Compare(a.Offset, b.Offset) })
		l.judgeEarly(partition, of, report)
		l.judgeForward(partition, report)
	}
}

// judgeEarly checks that no look saw an offset committed past the end of a partition, or past a record whose output was
// not there. A look needs to judge only the records that no look before it saw committed: outputs stay where they are.
func (l *Ledger) judgeEarly(partition int32, ordered []*Input, report *Report) {
	end := int64(0)
	if n := len(ordered); n > 0 {
		end = ordered[n-1].Offset + 1
	}
	judged := 0
	for _, c := range l.commits {
		committed := c.Committed[partition]
		// A paused broker that is no longer the leader may tell an old end.
		if end := max(end, c.InputEnds[partition]); committed > end {
			report.add(RuleCommit, fmt.Sprintf("partition %d: %d is committed, the end is %d", partition, committed, end))
		}
		for ; judged < len(ordered) && ordered[judged].Offset < committed; judged++ {
			in := ordered[judged]
			if in.Want != Skipped && !l.stoodBefore(in.Source, c) {
				report.add(RuleCommit, fmt.Sprintf("%s: committed up to %d before its output was there", in, committed))
			}
		}
	}
}

// judgeForward checks that no committed offset went back and stayed there.
func (l *Ledger) judgeForward(partition int32, report *Report) {
	highest := int64(0)
	var back time.Time // since when
	for _, c := range l.commits {
		committed := c.Committed[partition]
		switch {
		case committed >= highest:
			highest, back = committed, time.Time{}
		case back.IsZero():
			back = c.At
		case c.At.Sub(back) >= deposed:
			report.add(RuleForward, fmt.Sprintf("partition %d: committed went back from %d to %d", partition, highest, committed))
			highest, back = committed, time.Time{}
		}
	}
}

// stoodBefore says whether an output of the source is older than the ends that c saw.
func (l *Ledger) stoodBefore(source Source, c Commit) bool {
	o := l.outputs[source]
	return o != nil && (o.seen.Before(c.At) ||
		slices.ContainsFunc(o.places, func(p place) bool { return p.offset < c.OutputEnds[p.topic][p.partition] }))
}
