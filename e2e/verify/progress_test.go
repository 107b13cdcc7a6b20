package verify_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

func broken(report *verify.Report) []verify.Rule { return slices.Sorted(maps.Keys(report.Faults)) }

// TestVersions gives an order a second version, of which the result must be the last word.
func TestVersions(t *testing.T) {
	corrected := func(t *testing.T, change func(*verify.RiskResult)) *verify.Report {
		t.Helper()
		r := goodRun(t)
		in := order(1, 2, "ORD_2")
		in.Decision.EventVersion, in.Decision.PredictionID = 2, "id of the correction"
		result := riskResult(&in)
		result.EventVersion = 2
		change(result)
		r.inputs = append(r.inputs, in)
		r.outputs = append(r.outputs, at(3, resultRecord(t, &in, result)))
		return r.check(t)
	}
	if err := corrected(t, func(*verify.RiskResult) {}).Err(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*verify.RiskResult){
		"lower version":      func(r *verify.RiskResult) { r.EventVersion = 0 },
		"higher version":     func(r *verify.RiskResult) { r.EventVersion = 3 },
		"another prediction": func(r *verify.RiskResult) { r.PredictionID = "id of ORD_2" },
	} {
		if got := broken(corrected(t, change)); !slices.Equal(got, []verify.Rule{verify.RuleDecision, verify.RuleVersion}) {
			t.Errorf("%s: broken rules %q", name, got)
		}
	}
}

func TestCommittedOffsetsGoForward(t *testing.T) {
	begin := time.Now()
	looks := func(partition0 ...int64) []verify.Rule {
		r := goodRun(t)
		r.commits = nil
		for i, committed := range partition0 {
			c := look(map[int32]int64{0: committed}, 3, 1)
			c.At = begin.Add(time.Duration(i) * time.Second)
			r.commits = append(r.commits, c)
		}
		return broken(r.check(t))
	}
	if got := looks(0, 1, 1, 2, 2); got != nil {
		t.Errorf("forward: broken rules %q", got)
	}
	if got := looks(2, 1, 1, 2); got != nil {
		t.Errorf("what a paused coordinator says for a moment: broken rules %q", got)
	}
	if got := looks(2, 1, 1, 1); !slices.Equal(got, []verify.Rule{verify.RuleForward}) {
		t.Errorf("gone back for good: broken rules %q", got)
	}
}

// TestObservedBeforeTheLook believes its own eyes where a paused broker tells an old end.
func TestObservedBeforeTheLook(t *testing.T) {
	r := goodRun(t)
	ledger := verify.NewLedger(topics)
	for _, record := range r.outputs {
		ledger.Observe(record)
	}
	c := look(map[int32]int64{0: 2, 1: 2}, 0, 0)
	c.InputEnds = nil
	c.At = time.Now().Add(time.Second)
	ledger.Commit(c)
	if err := ledger.Check(t.Context(), r.inputs, r.decoder).Err(); err != nil {
		t.Error(err)
	}
}

func TestRecoveries(t *testing.T) {
	r := goodRun(t)
	ledger := verify.NewLedger(topics)
	for _, record := range r.outputs {
		ledger.Observe(record)
	}
	ledger.Recover(verify.Recovery{Fault: "leader killed", Took: 4 * time.Second, Limit: time.Minute})
	ledger.Recover(verify.Recovery{Fault: "total outage", Took: 61 * time.Second, Limit: time.Minute})
	report := ledger.Check(t.Context(), r.inputs, r.decoder)
	if got := broken(report); !slices.Equal(got, []verify.Rule{verify.RuleRecovery}) || report.Faults[verify.RuleRecovery] != 1 {
		t.Errorf("broken rules %q", got)
	}
	if report.Longest != 61*time.Second {
		t.Errorf("longest recovery %s", report.Longest)
	}
}

func TestLongestGap(t *testing.T) {
	ledger := verify.NewLedger(topics)
	begin := time.UnixMilli(1_700_000_000_000)
	for _, o := range []struct {
		partition int32
		offset    int64
		at        time.Duration
	}{{0, 0, 0}, {0, 2, 900}, {0, 1, 400}, {1, 0, 5000}, {0, 1, 9000}} { // the last one repeats
		r := letterRecord(&verify.Input{Source: verify.Source{Partition: o.partition, Offset: o.offset}}, "decode")
		r.Timestamp = begin.Add(o.at * time.Millisecond)
		ledger.Observe(r)
	}
	if got := ledger.LongestGap(); got != 500*time.Millisecond {
		t.Errorf("longest gap %s", got)
	}
}

func TestReached(t *testing.T) {
	earlier := verify.Commit{InputEnds: map[int32]int64{0: 4, 1: 0, 2: 1}}
	for committed, want := range map[int64]bool{3: false, 4: true, 9: true} {
		now := verify.Commit{Committed: map[int32]int64{0: committed, 2: 1}}
		if got := now.Reached(earlier); got != want {
			t.Errorf("committed %d: reached %v", committed, got)
		}
	}
}
