package schemas_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

var demoModel = schemas.Model{
	Version: "trendbuy_xgb_v1.0.0", Digest: strings.Repeat("ab", 32), Engine: "forest/1",
}

func exampleDecision() (*scoring.Order, *scoring.Decision) {
	reasons := []scoring.Reason{
		{Code: "TREND_VELOCITY", Text: "High trend velocity", Feature: "feature_velocity_24h", Contribution: 0.75},
		{Code: "DISCOUNT", Text: "Deep \"discount\" < 1 \u2028", Feature: "feature_discount_pct", Contribution: -1e-7},
	}
	return &scoring.Order{ID: "ORD_é\"\\", Version: -3, OccurredAt: exampleTime, Row: exampleRow}, &scoring.Decision{
		OrderID: "ORD_é\"\\", PredictionID: "00112233445566778899aabbccddeeff", Margin: 1.5, Score: 0.8175744761936437,
		RiskScore: 0.8176, Band: scoring.High, Reasons: reasons, Explanation: scoring.Exact, Base: -0.25,
	}
}

const (
	resultJSON = `{"order_id":"ORD_é\"\\","event_version":-3,"occurred_at":"2026-11-21T08:15:30.123Z",` +
		`"prediction_id":"00112233445566778899aabbccddeeff","risk_score":0.8176,"margin":1.5,"risk_band":"HIGH",` +
		`"model_version":"trendbuy_xgb_v1.0.0","model_digest":"abababababababababababababababababababababababababababababababab",` +
		`"engine":"forest/1","top_contributors":["High trend velocity","Deep \"discount\" < 1 ` + "\u2028" + `"],"reasons":[` +
		`{"code":"TREND_VELOCITY","text":"High trend velocity","feature":"feature_velocity_24h","contribution":0.75},` +
		`{"code":"DISCOUNT","text":"Deep \"discount\" < 1 ` + "\u2028" + `","feature":"feature_discount_pct","contribution":-1e-7}],"explanation":"EXACT"}`
	answerJSON = `{"order_id":"ORD_é\"\\","risk_score":0.8176,"risk_band":"HIGH","model_version":"trendbuy_xgb_v1.0.0",` +
		`"top_contributors":["High trend velocity","Deep \"discount\" < 1 ` + "\u2028" + `"],` +
		`"prediction_id":"00112233445566778899aabbccddeeff","explanation":"EXACT"`
	fullJSON = `,"margin":1.5,"base_value":-0.25,"engine":"forest/1",` +
		`"model_digest":"abababababababababababababababababababababababababababababababab","reasons":[` +
		`{"code":"DISCOUNT","text":"Deep","feature":"feature_discount_pct","contribution":0.1}]`
)

func TestJSONResult(t *testing.T) {
	o, d := exampleDecision()
	r := schemas.NewJSONResults(demoModel)
	got, err := r.AppendTo([]byte("before"), o, d)
	if err != nil || string(got) != "before"+resultJSON {
		t.Errorf("got %s, %v\nwant %s", got, err, resultJSON)
	}
	if !json.Valid(got[len("before"):]) {
		t.Error("the result is not JSON")
	}
	o.OccurredAt, d.Reasons, d.Explanation = time.Time{}, nil, scoring.None
	got, err = r.AppendTo(nil, o, d)
	for _, part := range []string{`"occurred_at":null`, `"top_contributors":[]`, `"reasons":[]`, `"explanation":"NONE"`} {
		if err != nil || !strings.Contains(string(got), part) {
			t.Errorf("got %s, %v, want %s", got, err, part)
		}
	}
}

func TestAnswer(t *testing.T) {
	o, d := exampleDecision()
	if got := string(schemas.AppendAnswer(nil, demoModel, o, d, nil)); got != answerJSON+"}" {
		t.Errorf("got %s\nwant %s", got, answerJSON+"}")
	}
	full := []scoring.Reason{{Code: "DISCOUNT", Text: "Deep", Feature: "feature_discount_pct", Contribution: 0.1}}
	if got := string(schemas.AppendAnswer([]byte("x"), demoModel, o, d, full)); got != "x"+answerJSON+fullJSON+"}" {
		t.Errorf("got %s\nwant %s", got, answerJSON+fullJSON+"}")
	}
	if got := string(schemas.AppendAnswer(nil, demoModel, o, d, []scoring.Reason{})); !strings.HasSuffix(got, `"reasons":[]}`) {
		t.Errorf("no reasons of all features: got %s", got)
	}
}

// goldenResult is the example's Avro value without its frame, as first written and checked with another library.
const goldenResult = "104f52445fc3a9225c050296f5e5d2bf68403030313132323333343435353636373738383939616162626363646465656666" +
	"0bb5a679c729ea3f000000000000f83f04267472656e646275795f7867625f76312e302e3080016162616261626162616261" +
	"6261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261" +
	"62616210666f726573742f31042648696768207472656e642076656c6f636974792e446565702022646973636f756e742220" +
	"3c203120e280a800041c5452454e445f56454c4f434954592648696768207472656e642076656c6f63697479286665617475" +
	"72655f76656c6f636974795f323468000000000000e83f10444953434f554e542e446565702022646973636f756e7422203c" +
	"203120e280a828666561747572655f646973636f756e745f70637448afbc9af2d77abe0000"

func TestAvroResult(t *testing.T) {
	o, d := exampleDecision()
	r, err := schemas.NewAvroResults(0x01020304, demoModel)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.AppendTo([]byte("before"), o, d)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\x00\x01\x02\x03\x04"; string(got[:len(want)]) != want {
		t.Errorf("got the frame %x, want %x", got[:len(want)], want)
	}
	body := got[len("before")+5:]
	if hex.EncodeToString(body) != goldenResult {
		t.Errorf("got %x\nwant %s", body, goldenResult)
	}
	var fields map[string]any
	decodeResult(t, body, &fields)
	want := map[string]any{
		"order_id": "ORD_é\"\\", "event_version": int64(-3), "occurred_at": exampleTime,
		"prediction_id": "00112233445566778899aabbccddeeff", "risk_score": 0.8176, "margin": 1.5, "risk_band": "HIGH",
		"model_version": "trendbuy_xgb_v1.0.0", "model_digest": demoModel.Digest, "engine": "forest/1",
		"top_contributors": []any{"High trend velocity", "Deep \"discount\" < 1 \u2028"},
		"reasons": []any{
			map[string]any{"code": "TREND_VELOCITY", "text": "High trend velocity", "feature": "feature_velocity_24h", "contribution": 0.75},
			map[string]any{"code": "DISCOUNT", "text": "Deep \"discount\" < 1 \u2028", "feature": "feature_discount_pct", "contribution": -1e-7},
		},
		"explanation": "EXACT",
	}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("got %v\nwant %v", fields, want)
	}
	o.OccurredAt, d.Reasons, d.Explanation = time.Time{}, nil, scoring.Global
	if got, err = r.AppendTo(nil, o, d); err != nil {
		t.Fatal(err)
	}
	fields = nil
	decodeResult(t, got[5:], &fields)
	if fields["occurred_at"] != nil || len(fields["reasons"].([]any)) != 0 || fields["explanation"] != "GLOBAL" {
		t.Errorf("got %v", fields)
	}
}

// decodeResult reads a result with a library that the product does not use.
func decodeResult(t *testing.T, body []byte, into any) {
	t.Helper()
	s, err := avro.Parse(schemas.RiskResultSchema)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := s.Decode(body, into)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes left over", err, len(rest))
	}
}

func TestResultsAreDeterministic(t *testing.T) {
	avroResults, err := schemas.NewAvroResults(1, demoModel)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*schemas.Results{avroResults, schemas.NewJSONResults(demoModel)} {
		o, d := exampleDecision()
		first, err := r.AppendTo(nil, o, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			o, d := exampleDecision()
			// Where the time came from must not matter.
			o.OccurredAt = o.OccurredAt.In(time.FixedZone("", 3600))
			if again, err := r.AppendTo(nil, o, d); err != nil || !bytes.Equal(again, first) {
				t.Fatalf("got %q, %v\nbefore %q", again, err, first)
			}
		}
	}
}

func TestResultsRefuseWhatIsNotFinite(t *testing.T) {
	r := schemas.NewJSONResults(demoModel)
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		for _, change := range []func(*scoring.Decision){
			func(d *scoring.Decision) { d.Margin = x },
			func(d *scoring.Decision) { d.RiskScore = x },
			func(d *scoring.Decision) { d.Reasons[1].Contribution = x },
		} {
			o, d := exampleDecision()
			change(d)
			if got, err := r.AppendTo([]byte("before"), o, d); err == nil || string(got) != "before" {
				t.Errorf("got %s, %v", got, err)
			}
		}
	}
}

func TestSchemaIDsMustFit(t *testing.T) {
	for _, id := range []int{-1, math.MaxInt32 + 1} {
		if _, err := schemas.NewAvroResults(id, demoModel); err == nil {
			t.Errorf("results take the schema id %d", id)
		}
		if _, err := schemas.NewAvroOrders(id); err == nil {
			t.Errorf("orders take the schema id %d", id)
		}
	}
}

func TestAvroOrders(t *testing.T) {
	orders, err := schemas.NewAvroOrders(orderID)
	if err != nil {
		t.Fatal(err)
	}
	event := schemas.OrderEvent{OrderID: "ORD_12345", Version: 3, OccurredAt: exampleTime.Add(999 * time.Microsecond)}
	for i, f := range demoContract().Features()[:7] {
		event.Features = append(event.Features, schemas.FeatureValue{Name: f.Name, Number: exampleRow[i]})
	}
	event.Features = append(event.Features, schemas.FeatureValue{Name: "feature_device_type", Text: "mobile"})
	value, err := orders.AppendTo([]byte("before"), &event)
	if err != nil {
		t.Fatal(err)
	}
	if want := frame(orderID, encode(t, schemas.OrderFeaturesSchema, exampleRecord())); !bytes.Equal(value, append([]byte("before"), want...)) {
		t.Errorf("got %x\nwant %x as another library writes it", value[6:], want)
	}
	d := newDecoder(pin(t, map[int]string{orderID: schemas.OrderFeaturesSchema}), schemas.RefuseExtra)
	event.Features[3].Number = math.NaN() // missing
	event.Features = append(event.Features[:4], event.Features[7:]...)
	if value, err = orders.AppendTo(nil, &event); err != nil {
		t.Fatal(err)
	}
	o, err := d.Decode(t.Context(), []byte("ORD_12345"), value)
	nan := math.NaN()
	if err != nil || !sameRow(o.Row, []float64{0.35, 8420, 6.5, nan, nan, nan, nan, 0}) {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, f := range []schemas.FeatureValue{{Name: "feature_new", Number: 1}, {Name: "feature_discount_pct", Text: "0.35"}} {
		bad := schemas.OrderEvent{OrderID: "a", OccurredAt: exampleTime, Features: []schemas.FeatureValue{f}}
		if got, err := orders.AppendTo([]byte("before"), &bad); err == nil || string(got) != "before" {
			t.Errorf("%+v: got %q, %v", f, got, err)
		}
	}
}

// What the embedded schemas promise to those who read results and write orders.
func TestOwnSchemasAreBackwardCompatible(t *testing.T) {
	orders := avro.MustParse(schemas.OrderFeaturesSchema)
	// A producer that has not heard of event_version or of all features is read with the defaults.
	old := avro.MustParse(`{"type":"record","name":"OrderFeatures","namespace":"trendbuy.risk","fields":[
		{"name":"order_id","type":"string"},{"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"features","type":{"type":"record","name":"Features","fields":[{"name":"feature_discount_pct","type":["null","double"]}]}}]}`)
	if err := avro.CheckCompatibility(old, orders); err != nil {
		t.Error(err)
	}
	if _, err := avro.Parse(schemas.RiskResultSchema); err != nil {
		t.Error(err)
	}
}
