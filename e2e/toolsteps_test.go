//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

// groupState is what 'offsets show' says.
type groupState struct {
	Members    int
	Partitions []struct{ Committed, End, Lag int64 }
}

// awaitLag waits until the group has committed all that is there.
func (s *tools) awaitLag(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		state := lines[groupState](ctx, t, s, "offsets", "show", "--json")[0]
		done := state.Members == 1
		for _, p := range state.Partitions {
			done = done && p.Committed == p.End && p.Lag == 0
		}
		if done {
			return
		}
		pause(ctx, t, 200*time.Millisecond)
	}
}

// toolLetter is a line of 'dlq list'.
type toolLetter struct {
	Partition, Attempt int
	Offset             int64
	Class              string
	Key                *string
	Source             struct {
		Partition int32
		Offset    int64
	}
	Bytes int `json:"value_bytes"`
}

// listLetters holds the list against the records that must have become dead letters.
func (s *tools) listLetters(ctx context.Context, t *testing.T) {
	t.Helper()
	want := make(map[verify.Source]string)
	for _, r := range s.records {
		if r.Want != verify.Result && r.Want != verify.Skipped {
			want[r.Source] = string(r.Want)
		}
	}
	got := lines[toolLetter](ctx, t, s, "dlq", "list", "--json", "--limit", "0")
	for _, l := range got {
		source := verify.Source{Partition: l.Source.Partition, Offset: l.Source.Offset}
		if want[source] != l.Class || l.Attempt != 1 {
			t.Errorf("letter %+v, want class %q", l, want[source])
		}
		delete(want, source)
	}
	if len(want) > 0 {
		t.Errorf("%d dead letters are not in the list of %d", len(want), len(got))
	}
}

// showLetter looks at one order's letter; the discount is shown on request only.
func (s *tools) showLetter(ctx context.Context, t *testing.T) {
	t.Helper()
	letters := lines[toolLetter](ctx, t, s, "dlq", "list", "--json", "--order", "ORD_MISPRICED_3")
	if len(letters) != 1 || *letters[0].Key != "ORD_MISPRICED_3" {
		t.Fatalf("letters of one order: %+v", letters)
	}
	name := fmt.Sprintf("%d/%d", letters[0].Partition, letters[0].Offset)
	const value = `"feature_discount_pct": 35`
	if out := s.exits(ctx, t, 0, "dlq", "show", name); bytes.Contains(out, []byte(value)) || !bytes.Contains(out, []byte("feature_range")) {
		t.Errorf("dlq show:\n%s", out)
	}
	if out := s.exits(ctx, t, 0, "dlq", "show", name, "--value"); !bytes.Contains(out, []byte(value)) {
		t.Errorf("dlq show --value:\n%s", out)
	}
}

// redriven is the summary of 'dlq redrive'.
type redriven struct {
	Begun time.Time
	Total struct{ Redriven, Exhausted int }
}

// redriveInVain redrives what the same model refuses again, and sees it stop. It returns when the redrive began.
func (s *tools) redriveInVain(ctx context.Context, t *testing.T) (begun string) {
	t.Helper()
	before := lines[toolLetter](ctx, t, s, "dlq", "list", "--json", "--class", "feature_range", "--limit", "0")
	position := filepath.Join(t.TempDir(), "position.json")
	if dry := lines[redriven](ctx, t, s, "dlq", "redrive", "--class", "feature_range", "--dry-run", "--json")[0]; dry.Total.Redriven != len(before) {
		t.Fatalf("dry run: %+v of %d letters", dry, len(before))
	}
	// In two goes, the second of which takes up the position.
	some := lines[redriven](ctx, t, s, "dlq", "redrive", "--class", "feature_range", "--limit", "7", "--position", position, "--json")[0]
	rest := lines[redriven](ctx, t, s, "dlq", "redrive", "--class", "feature_range", "--position", position, "--json")[0]
	if some.Total.Redriven != 7 || rest.Total.Redriven != len(before)-7 {
		t.Fatalf("redriven %+v, then %+v, of %d", some, rest, len(before))
	}
	s.awaitLag(ctx, t)
	begun = some.Begun.Format(time.RFC3339Nano)
	type identity struct {
		partition int32
		offset    int64
		bytes     int
	}
	first := make(map[identity]bool)
	for _, l := range before {
		first[identity{l.Source.Partition, l.Source.Offset, l.Bytes}] = true
	}
	again := lines[toolLetter](ctx, t, s, "dlq", "list", "--json", "--class", "feature_range", "--since", begun, "--limit", "0")
	if len(again) != len(before) {
		t.Errorf("%d letters came back of %d", len(again), len(before))
	}
	for _, l := range again {
		if id := (identity{l.Source.Partition, l.Source.Offset, l.Bytes}); l.Attempt != 2 || !first[id] {
			t.Errorf("letter that came back: %+v", l)
		}
	}
	stopped := lines[redriven](ctx, t, s, "dlq", "redrive", "--since", begun, "--max-attempts", "2", "--json")[0]
	if stopped.Total.Redriven != 0 || stopped.Total.Exhausted != len(before) {
		t.Errorf("after two attempts: %+v", stopped)
	}
	return begun
}

// redriveMended redrives under a model that takes any discount.
func (s *tools) redriveMended(ctx context.Context, t *testing.T, begun string) {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	s.exits(ctx, t, 0, "dlq", "redrive", "--since", begun, "--until", now, "--max-attempts", "5")
	s.awaitLag(ctx, t)
	for _, l := range lines[toolLetter](ctx, t, s, "dlq", "list", "--json", "--since", now, "--limit", "0") {
		if l.Key != nil && strings.HasPrefix(*l.Key, "ORD_MISPRICED_") || l.Attempt != 3 {
			t.Errorf("refused again: %+v", l)
		}
	}
	// The order's first two events became dead letters, the third has its result.
	out := s.exits(ctx, t, 0, "replay", "--order-id", "ORD_MISPRICED_3")
	if !bytes.Contains(out, []byte("3 events: 1 identical, 0 different, 2 without a result")) {
		t.Errorf("replay of a redriven order:\n%s", out)
	}
}

// moveGroup sets a partition back and on again.
func (s *tools) moveGroup(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, to := range []string{"earliest", "latest"} {
		s.exits(ctx, t, 0, "offsets", "set", "--partition", "2", "--to", to)
		p := lines[groupState](ctx, t, s, "offsets", "show", "--json")[0].Partitions[2]
		if want := map[string]int64{"earliest": 0, "latest": p.End}[to]; p.Committed != want {
			t.Errorf("set to %s: %+v", to, p)
		}
	}
}

// replayed is a line of 'replay'.
type replayed struct {
	Partition   int32
	Offset      int64
	Outcome     string
	BandChanged bool `json:"band_changed"`
	Result      *struct {
		Value struct {
			RiskScore float64 `json:"risk_score"`
			RiskBand  string  `json:"risk_band"`
		}
	}
	Decision *struct {
		RiskScore float64 `json:"risk_score"`
		RiskBand  string  `json:"risk_band"`
	}
	Summary *struct {
		Events, Identical, Different, Changed int
		NoResult                              int `json:"no_result"`
		Bands                                 [3][3]int
	}
}

// replayOrders recomputes the decisions about random orders, and then about all.
func (s *tools) replayOrders(ctx context.Context, t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 3))
	args := []string{"replay", "--json"}
	chosen := make(map[string]bool)
	for len(chosen) < 100 {
		r := s.records[random.IntN(len(s.records))]
		if r.Want != verify.Result || r.Key == nil || chosen[string(r.Key)] {
			continue
		}
		chosen[string(r.Key)] = true
		args = append(args, "--order-id", string(r.Key))
	}
	out := lines[replayed](ctx, t, s, args...)
	if sum := out[len(out)-1].Summary; sum == nil || sum.Identical < 100 || sum.Identical != sum.Events {
		t.Errorf("100 orders: %+v", sum)
	}
	good := 0
	for _, r := range s.records {
		if r.Want == verify.Result {
			good++
		}
	}
	all := lines[replayed](ctx, t, s, "replay", "--since", "1h", "--json")
	if sum := all[len(all)-1].Summary; sum.Different != 0 || sum.Identical < good+mispriced {
		t.Errorf("all: %+v, want %d identical and more", sum, good+mispriced)
	}
}

// compareModels counts the bands that the mended model's lower threshold changes.
func (s *tools) compareModels(ctx context.Context, t *testing.T) {
	t.Helper()
	out := lines[replayed](ctx, t, s, "replay", "--since", "1h", "--json", "--bundle", s.mended)
	changed := 0
	for _, l := range out[:len(out)-1] {
		if !l.BandChanged {
			continue
		}
		changed++
		if score := l.Result.Value.RiskScore; l.Result.Value.RiskBand != "LOW" || l.Decision.RiskBand != "MEDIUM" || score != l.Decision.RiskScore || score < 0.3 || score > 0.4 {
			t.Errorf("changed: %+v", l)
		}
	}
	sum := out[len(out)-1].Summary
	if changed == 0 || sum.Changed != changed || sum.Bands[0][1] != changed || sum.Bands[0][0] == 0 || sum.Bands[1][1] == 0 {
		t.Errorf("%d bands changed: %+v", changed, sum)
	}
}

// backfillPartition publishes a partition's results anew and compares them with those that the service wrote.
func (s *tools) backfillPartition(ctx context.Context, t *testing.T) {
	t.Helper()
	if _, err := kadm.NewClient(s.client(t)).CreateTopic(ctx, 3, 1, nil, backfill); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for _, r := range s.records {
		if r.Partition == 0 {
			end = max(end, r.Offset+1)
		}
	}
	s.exits(ctx, t, 0, "replay", "--partition", "0", "--from", "0", "--end", strconv.FormatInt(end, 10), "--bundle", filepath.Join(root, bundle), "--to", backfill)
	want, got := s.results(ctx, t, topics.Results, end), s.results(ctx, t, backfill, end)
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("%d results in the backfill, %d in the original", len(got), len(want))
	}
	for offset, r := range want {
		if other := got[offset]; other == nil || !bytes.Equal(r.Key, other.Key) || !bytes.Equal(r.Value, other.Value) || fmt.Sprint(r.Headers) != fmt.Sprint(other.Headers) {
			t.Errorf("result of offset %s: %+v, in the backfill %+v", offset, r, other)
		}
	}
}

// results reads a topic and returns the first result of each event of partition 0 below end.
func (s *tools) results(ctx context.Context, t *testing.T, topic string, end int64) map[string]*kgo.Record {
	t.Helper()
	client := s.client(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	out := make(map[string]*kgo.Record)
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			left--
			partition := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "riskscorer.source.partition" })
			offset := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "riskscorer.source.offset" })
			at := string(r.Headers[offset].Value)
			if n, err := strconv.ParseInt(at, 10, 64); err != nil || n >= end || string(r.Headers[partition].Value) != "0" {
				continue
			}
			if out[at] == nil {
				out[at] = r
			}
		}
	}
	return out
}

// checkSchemas has somebody break the results' subject.
func (s *tools) checkSchemas(ctx context.Context, t *testing.T) {
	t.Helper()
	subject := topics.Results + "-value"
	if err := s.schemas.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, subject)[0].Err; err != nil {
		t.Fatal(err)
	}
	const other = `{"type":"record","name":"RiskResult","namespace":"trendbuy.risk","fields":[{"name":"order_id","type":"int"}]}`
	if _, err := s.schemas.RegisterSchema(ctx, subject, sr.Schema{Schema: other}, 0, 0); err != nil {
		t.Fatal(err)
	}
	check := []string{"topics", "check", "--partitions", strconv.Itoa(partitions), "--replication", "1"}
	if out := s.exits(ctx, t, 1, check...); !bytes.Contains(out, []byte("NONE")) {
		t.Errorf("topics check:\n%s", out)
	}
	if err := s.schemas.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackward}, subject)[0].Err; err != nil {
		t.Fatal(err)
	}
	if out := s.exits(ctx, t, 1, check...); !bytes.Contains(out, []byte("not compatible")) {
		t.Errorf("topics check:\n%s", out)
	}
}
