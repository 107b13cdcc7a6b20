package verify_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

// resultSchema has the fields that the contract of results lists.
const resultSchema = `{"type": "record", "name": "RiskResult", "namespace": "trendbuy.risk", "fields": [
	{"name": "order_id", "type": "string"},
	{"name": "event_version", "type": "long"},
	{"name": "occurred_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
	{"name": "prediction_id", "type": "string"},
	{"name": "risk_score", "type": "double"},
	{"name": "margin", "type": "double"},
	{"name": "risk_band", "type": {"type": "enum", "name": "RiskBand", "symbols": ["LOW", "MEDIUM", "HIGH"]}},
	{"name": "model_version", "type": "string"},
	{"name": "model_digest", "type": "string"},
	{"name": "engine", "type": "string"},
	{"name": "top_contributors", "type": {"type": "array", "items": "string"}},
	{"name": "reasons", "type": {"type": "array", "items": {"type": "record", "name": "Reason", "fields": [
		{"name": "code", "type": "string"}, {"name": "text", "type": "string"},
		{"name": "feature", "type": "string"}, {"name": "contribution", "type": "double"}]}}},
	{"name": "explanation", "type": {"type": "enum", "name": "Explanation", "symbols": ["EXACT", "GLOBAL", "NONE"]}}]}`

const schemaID = 7

var topics = verify.Topics{Orders: "orders", Results: "results", DeadLetters: "letters"}

// run is a whole small run: what went in and what came out.
type run struct {
	inputs  []verify.Input
	outputs []*kgo.Record
	commits []verify.Commit
	decoder *verify.Decoder
}

// goodRun is a run without a fault: two orders, one of them with two identical results, a broken order and a tombstone.
func goodRun(t *testing.T) *run {
	t.Helper()
	trace := kgo.RecordHeader{Key: "traceparent", Value: []byte("00-1-2-01")}
	inputs := []verify.Input{
		order(0, 0, "ORD_1", trace), order(1, 0, "ORD_2"),
		{
			Source: verify.Source{Partition: 0, Offset: 1}, Kind: "truncated", Key: nil, Value: []byte{0, 0, 0, 0, 7, 2}, Want: "decode",
			Headers: []kgo.RecordHeader{{Key: "upstream", Value: []byte{0xff}}, {Key: "empty"}},
		},
		{Source: verify.Source{Partition: 1, Offset: 1}, Kind: "tombstone", Key: []byte("ORD_9"), Want: verify.Skipped},
	}
	return &run{
		inputs: inputs,
		outputs: []*kgo.Record{
			at(0, resultRecord(t, &inputs[0], riskResult(&inputs[0]), trace)),
			at(1, resultRecord(t, &inputs[0], riskResult(&inputs[0]), trace)),
			at(2, resultRecord(t, &inputs[1], riskResult(&inputs[1]))),
			at(0, letterRecord(&inputs[2], "decode")),
		},
		commits: []verify.Commit{
			look(map[int32]int64{}, 0, 0),
			look(map[int32]int64{0: 1}, 1, 0),
			look(map[int32]int64{0: 2, 1: 2}, 3, 1),
		},
		decoder: verify.NewDecoder(func(_ context.Context, id int) (string, error) {
			if id != schemaID {
				return "", errors.New("unknown schema")
			}
			return resultSchema, nil
		}),
	}
}

func (r *run) check(t *testing.T) *verify.Report {
	t.Helper()
	ledger := verify.NewLedger(topics)
	for _, record := range r.outputs {
		ledger.Observe(record)
	}
	for _, c := range r.commits {
		ledger.Commit(c)
	}
	return ledger.Check(t.Context(), r.inputs, r.decoder)
}

func order(partition int32, offset int64, id string, headers ...kgo.RecordHeader) verify.Input {
	return verify.Input{
		Source: verify.Source{Partition: partition, Offset: offset}, Kind: "order", Want: verify.Result,
		Key: []byte(id), Value: []byte("value of " + id), Headers: headers,
		OccurredAt: time.UnixMilli(1_700_000_000_123),
		Decision: &verify.Decision{
			OrderID: id, EventVersion: 1, PredictionID: "id of " + id, RiskScore: 0.8125, Margin: 1.5, RiskBand: "HIGH",
			ModelVersion: "1.0.0", ModelDigest: "00", Engine: "forest/1",
			Features:      []string{"discount", "velocity", "fit", "returns"},
			Contributions: []float64{0.5, 0.9, -0.1, 0.3},
			Reasons: []verify.Reason{
				{Code: "V", Text: "fast", Feature: "velocity", Contribution: 0.9},
				{Code: "D", Text: "cheap", Feature: "discount", Contribution: 0.5},
				{Code: "R", Text: "returner", Feature: "returns", Contribution: 0.3},
			},
		},
	}
}

func riskResult(in *verify.Input) *verify.RiskResult {
	occurred := in.OccurredAt
	return &verify.RiskResult{
		OrderID: in.Decision.OrderID, EventVersion: 1, OccurredAt: &occurred,
		PredictionID: in.Decision.PredictionID, RiskScore: 0.8125, Margin: 1.5, RiskBand: "HIGH",
		ModelVersion: "1.0.0", ModelDigest: "00", Engine: "forest/1", Explanation: "EXACT",
		TopContributors: []string{"fast", "cheap", "returner"},
		Reasons: []verify.Reason{
			{Code: "V", Text: "fast", Feature: "velocity", Contribution: 0.900001},
			{Code: "D", Text: "cheap", Feature: "discount", Contribution: 0.5},
			{Code: "R", Text: "returner", Feature: "returns", Contribution: 0.3},
		},
	}
}

func resultRecord(t *testing.T, in *verify.Input, result *verify.RiskResult, more ...kgo.RecordHeader) *kgo.Record {
	t.Helper()
	framed, err := new(sr.ConfluentHeader).AppendEncode(nil, schemaID, nil)
	if err != nil {
		t.Fatal(err)
	}
	value, err := avro.MustParse(resultSchema).AppendEncode(framed, result)
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{
		Topic: topics.Results, Key: []byte(result.OrderID), Value: value,
		Headers: append(sourceHeaders("riskscorer.source.", in.Source), more...),
	}
}

func letterRecord(in *verify.Input, class string) *kgo.Record {
	headers := append(slices.Clone(in.Headers), sourceHeaders("__connect.errors.", in.Source)...)
	for _, h := range [][2]string{
		{"riskscorer.reject.class", class},
		{"riskscorer.attempt", "1"},
		{"__connect.errors.stage", "decode"},
		{"__connect.errors.exception.class.name", class},
		{"__connect.errors.exception.message", "ends early"},
	} {
		headers = append(headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return &kgo.Record{Topic: topics.DeadLetters, Key: in.Key, Value: in.Value, Headers: headers}
}

func sourceHeaders(prefix string, s verify.Source) []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: prefix + "topic", Value: []byte(topics.Orders)},
		{Key: prefix + "partition", Value: strconv.AppendInt(nil, int64(s.Partition), 10)},
		{Key: prefix + "offset", Value: strconv.AppendInt(nil, s.Offset, 10)},
	}
}

func at(offset int64, r *kgo.Record) *kgo.Record {
	r.Offset = offset
	return r
}

func look(committed map[int32]int64, results, letters int64) verify.Commit {
	return verify.Commit{
		Committed:  committed,
		InputEnds:  map[int32]int64{0: 2, 1: 2},
		OutputEnds: map[string]map[int32]int64{topics.Results: {0: results}, topics.DeadLetters: {0: letters}},
	}
}

func TestGoodRunPasses(t *testing.T) {
	report := goodRun(t).check(t)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	const want = "4 orders = 2 results + 1 dead letters (decode 1) + 1 skipped; 1 duplicates"
	if got := report.String(); got != want {
		t.Errorf("report %q, want %q", got, want)
	}
}

// TestPlantedFaultsAreCaught plants one fault a case into a good run: exactly its rule must be found broken.
func TestPlantedFaultsAreCaught(t *testing.T) {
	// result replaces the second order's only result by one that change has made wrong.
	result := func(change func(*verify.RiskResult)) func(*testing.T, *run) {
		return func(t *testing.T, r *run) {
			t.Helper()
			wrong := riskResult(&r.inputs[1])
			change(wrong)
			r.outputs[2] = at(2, resultRecord(t, &r.inputs[1], wrong))
		}
	}
	letter := func(change func(*kgo.Record)) func(*testing.T, *run) {
		return func(_ *testing.T, r *run) { change(r.outputs[3]) }
	}
	cases := []struct {
		name  string
		plant func(*testing.T, *run)
		want  verify.Rule
	}{
		{"missing result", func(_ *testing.T, r *run) { r.outputs = slices.Delete(r.outputs, 2, 3); r.commits = nil }, verify.RuleLost},
		{"missing dead letter", func(_ *testing.T, r *run) { r.outputs = r.outputs[:3]; r.commits = nil }, verify.RuleLost},
		{"result and dead letter", func(_ *testing.T, r *run) {
			r.outputs = append(r.outputs, at(1, letterRecord(&r.inputs[1], "decode")))
		}, verify.RuleEither},
		{"differing duplicate", func(t *testing.T, r *run) {
			t.Helper()
			other := riskResult(&r.inputs[0])
			other.Reasons[0].Contribution = 0.9
			r.outputs[1] = at(1, resultRecord(t, &r.inputs[0], other))
		}, verify.RuleIdentical},
		{"duplicate under another key", func(_ *testing.T, r *run) { r.outputs[1].Key = []byte("ORD_3") }, verify.RuleIdentical},
		{"wrong class", func(_ *testing.T, r *run) { r.outputs[3] = letterRecord(&r.inputs[2], "frame") }, verify.RuleOutcome},
		{"second class", func(_ *testing.T, r *run) {
			r.outputs = append(r.outputs, at(1, letterRecord(&r.inputs[2], "frame")))
		}, verify.RuleOutcome},
		{"result of a broken order", func(t *testing.T, r *run) {
			t.Helper()
			wrong := order(0, 1, "ORD_3")
			r.outputs[3] = at(0, resultRecord(t, &wrong, riskResult(&wrong)))
		}, verify.RuleOutcome},
		{"dead letter of a good order", func(_ *testing.T, r *run) {
			r.outputs[2] = at(0, letterRecord(&r.inputs[1], "decode"))
		}, verify.RuleOutcome},
		{"output of a tombstone", func(_ *testing.T, r *run) {
			r.outputs = append(r.outputs, at(1, letterRecord(&r.inputs[3], "decode")))
		}, verify.RuleOutcome},
		{"altered value", letter(func(r *kgo.Record) { r.Value = append(slices.Clone(r.Value), 0) }), verify.RuleUntouched},
		{"null key became empty", letter(func(r *kgo.Record) { r.Key = []byte{} }), verify.RuleUntouched},
		{"altered header", letter(func(r *kgo.Record) { r.Headers[0].Value = []byte{0xfe} }), verify.RuleUntouched},
		{"dropped header", letter(func(r *kgo.Record) { r.Headers = r.Headers[1:] }), verify.RuleUntouched},
		{"no message", letter(func(r *kgo.Record) {
			r.Headers = slices.DeleteFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "__connect.errors.exception.message" })
		}), verify.RuleUntouched},
		{"result without an input", func(t *testing.T, r *run) {
			t.Helper()
			ghost := order(0, 77, "ORD_77")
			r.outputs = append(r.outputs, at(3, resultRecord(t, &ghost, riskResult(&ghost))))
		}, verify.RuleFromInput},
		{"result without a source", func(_ *testing.T, r *run) {
			r.outputs = append(r.outputs, &kgo.Record{Topic: topics.Results, Key: []byte("ORD_1")})
		}, verify.RuleFromInput},
		{"wrong score", result(func(r *verify.RiskResult) { r.RiskScore = 0.8126 }), verify.RuleDecision},
		{"margin one bit off", result(func(r *verify.RiskResult) { r.Margin = 1.5000001192092896 }), verify.RuleDecision},
		{"margin that is no float32", result(func(r *verify.RiskResult) { r.Margin = 1.5000000000000002 }), verify.RuleDecision},
		{"wrong band", result(func(r *verify.RiskResult) { r.RiskBand = "MEDIUM" }), verify.RuleDecision},
		{"wrong order id", result(func(r *verify.RiskResult) { r.OrderID = "ORD_1" }), verify.RuleDecision},
		{"wrong code", result(func(r *verify.RiskResult) { r.Reasons[1].Code = "X" }), verify.RuleDecision},
		{"wrong model", result(func(r *verify.RiskResult) { r.ModelDigest = "01" }), verify.RuleDecision},
		{"wrong time", result(func(r *verify.RiskResult) { r.OccurredAt = nil }), verify.RuleDecision},
		{"explanation shed", result(func(r *verify.RiskResult) { r.Explanation = "NONE" }), verify.RuleDecision},
		{"contribution off", result(func(r *verify.RiskResult) { r.Reasons[1].Contribution = 0.50003 }), verify.RuleDecision},
		{"reasons swapped", result(func(r *verify.RiskResult) {
			r.Reasons[0], r.Reasons[1] = r.Reasons[1], r.Reasons[0]
			r.TopContributors = []string{"cheap", "fast", "returner"}
		}), verify.RuleDecision},
		{"fourth reason for the third", result(func(r *verify.RiskResult) {
			r.Reasons[2] = verify.Reason{Code: "F", Text: "fits", Feature: "fit", Contribution: -0.1}
			r.TopContributors[2] = "fits"
		}), verify.RuleDecision},
		{"reason left out", result(func(r *verify.RiskResult) {
			r.Reasons, r.TopContributors = r.Reasons[:2], r.TopContributors[:2]
		}), verify.RuleDecision},
		{"wrong text", result(func(r *verify.RiskResult) { r.Reasons[1].Text = "dear"; r.TopContributors[1] = "dear" }), verify.RuleDecision},
		{"top contributor is no reason", result(func(r *verify.RiskResult) { r.TopContributors[1] = "dear" }), verify.RuleDecision},
		{"trace lost", func(_ *testing.T, r *run) { r.outputs[0].Headers = r.outputs[0].Headers[:3] }, verify.RuleDecision},
		{"bytes after the body", func(_ *testing.T, r *run) { r.outputs[2].Value = append(r.outputs[2].Value, 0) }, verify.RuleDecision},
		{"unknown schema", func(_ *testing.T, r *run) { r.outputs[2].Value[4]++ }, verify.RuleDecision},
		{"committed past the end", func(_ *testing.T, r *run) { r.commits[2].Committed[0] = 3 }, verify.RuleCommit},
		{"committed before the output", func(_ *testing.T, r *run) { r.commits[1].Committed[0] = 2 }, verify.RuleCommit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun(t)
			c.plant(t, r)
			report := r.check(t)
			if broken := slices.Collect(maps.Keys(report.Faults)); !slices.Equal(broken, []verify.Rule{c.want}) {
				t.Errorf("broken rules %q, want only %q: %v", broken, c.want, report.Err())
			}
		})
	}
}

func TestNearlyEqualReasonsMaySwap(t *testing.T) {
	r := goodRun(t)
	r.inputs[1].Decision.Contributions[0] = 0.300001
	swapped := riskResult(&r.inputs[1])
	swapped.Reasons[1] = verify.Reason{Code: "R", Text: "returner", Feature: "returns", Contribution: 0.3000005}
	swapped.Reasons[2] = verify.Reason{Code: "D", Text: "cheap", Feature: "discount", Contribution: 0.3000004}
	swapped.TopContributors = []string{"fast", "returner", "cheap"}
	r.outputs[2] = at(2, resultRecord(t, &r.inputs[1], swapped))
	if err := r.check(t).Err(); err != nil {
		t.Error(err)
	}
}

func TestReadDecisions(t *testing.T) {
	const line = `{"order_id":"ORD_1","event_version":2,"prediction_id":"ab","risk_score":0.5,"score":0.50001,"margin":1.5,` +
		`"reasons":[{"code":"D","text":"cheap","feature":"discount","contribution":0.5}],"contributions":[0.5,-0.25,3]}` + "\n"
	decisions, err := verify.ReadDecisions(strings.NewReader(line+line), []string{"discount", "fit"})
	if err != nil || len(decisions) != 2 {
		t.Fatalf("%d decisions, error %v", len(decisions), err)
	}
	d := decisions[1]
	if d.OrderID != "ORD_1" || d.EventVersion != 2 || d.Margin != 1.5 || !slices.Equal(d.Contributions, []float64{0.5, -0.25}) || d.Reasons[0].Text != "cheap" {
		t.Errorf("decision %+v", d)
	}
	if _, err := verify.ReadDecisions(strings.NewReader(line), []string{"discount"}); err == nil {
		t.Error("a decision with a contribution too many was taken")
	}
}

func TestExamplesAreBounded(t *testing.T) {
	r := goodRun(t)
	for i := range 1000 {
		r.inputs = append(r.inputs, order(2, int64(i), fmt.Sprintf("ORD_%d", 1000+i)))
	}
	report := r.check(t)
	if report.Faults[verify.RuleLost] != 1000 || len(report.Examples[verify.RuleLost]) > 10 {
		t.Errorf("%d faults, %d examples", report.Faults[verify.RuleLost], len(report.Examples[verify.RuleLost]))
	}
}
