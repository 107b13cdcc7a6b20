package server_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

// TestInferenceIsScore sends the golden orders by both doors.
func TestInferenceIsScore(t *testing.T) {
	r := start(t)
	rows := golden(t)
	want := r.scoreAll(t, rows)
	a := r.infer(t, tensorsOf(t, rows).String())
	scores, ids := column[float64](t, &a, "risk_score"), column[string](t, &a, "prediction_id")
	bands, texts := column[string](t, &a, "risk_band"), column[string](t, &a, "top_contributors")
	margins, bases := column[float64](t, &a, "margin"), column[float64](t, &a, "base_value")
	phi, explained := column[float64](t, &a, "contributions"), column[string](t, &a, "explanation")
	width := len(rows[0].Row)
	for i, d := range want {
		top := slices.DeleteFunc(slices.Clone(texts[3*i:3*i+3]), func(s string) bool { return s == "" })
		if scores[i] != d.RiskScore || ids[i] != d.PredictionID || bands[i] != d.RiskBand || explained[i] != d.Explanation ||
			!slices.Equal(top, d.TopContributors) {
			t.Fatalf("order %d: %v %s %s %q, /score says %+v", i, scores[i], ids[i], bands[i], top, d)
		}
		full := decode[decision](t, r.post(t, "/score?explain=full", orderOf(t, i, rows[i].Row)))
		sum := bases[i]
		for _, x := range phi[i*width : (i+1)*width] {
			sum += x
		}
		if margins[i] != full.Margin || bases[i] != full.Base || math.Abs(sum-margins[i]) > 1e-5 {
			t.Fatalf("order %d: margin %v, base %v, sum %v; /score says %v, %v", i, margins[i], bases[i], sum, full.Margin, full.Base)
		}
	}
}

// TestInferenceInBytes sends and asks for the same tensors as JSON and as bytes.
func TestInferenceInBytes(t *testing.T) {
	r := start(t)
	want := r.decide(t, example)
	q := exampleTensors(3)
	q.Parameters = map[string]any{"binary_data_output": true, "priority": 1}
	a := r.inferBinary(t, q)
	if a.ID != "call-7" || a.Model != "trendbuy_xgb" || a.Version != want.ModelVersion || len(a.Parameters.Digest) != 64 || a.Parameters.Engine == "" {
		t.Errorf("the answer says it is %+v", a)
	}
	if got := column[string](t, &a, "prediction_id"); !slices.Equal(got, slices.Repeat([]string{want.PredictionID}, 3)) {
		t.Errorf("prediction ids %q, want %q", got, want.PredictionID)
	}
	if got := column[string](t, &a, "top_contributors"); !slices.Equal(got, slices.Repeat(want.TopContributors, 3)) {
		t.Errorf("top contributors %q, want %q", got, want.TopContributors)
	}
	if got := column[float64](t, &a, "risk_score"); !slices.Equal(got, slices.Repeat([]float64{want.RiskScore}, 3)) {
		t.Errorf("scores %v, want %v", got, want.RiskScore)
	}
	q.Outputs = []map[string]any{
		{"name": "risk_band", "parameters": map[string]any{"binary_data": false}}, {"name": "margin"},
	}
	a = r.inferBinary(t, q)
	if len(a.Outputs) != 2 || a.Outputs[0].Data == nil || a.Outputs[1].Data != nil || column[string](t, &a, "risk_band")[2] != want.RiskBand {
		t.Errorf("outputs %+v, want risk_band in JSON and margin in bytes", a.Outputs)
	}
}

// TestInferenceDatatypes writes one order in every datatype that can hold it.
func TestInferenceDatatypes(t *testing.T) {
	r := start(t)
	want := r.decide(t, strings.Replace(strings.Replace(example, "6.5", "6", 1), `"order_id"`, `"event_version": 7, "order_id"`, 1))
	for _, kind := range []string{"FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"} {
		q := exampleTensors(1)
		q.Inputs[3].Datatype, q.Inputs[3].Data = kind, []int{6}
		q.Inputs[1].Datatype = "FP32"
		version := tensor{Name: "event_version", Shape: []int{1}, Datatype: "INT64", Data: []int{7}}
		if !strings.HasPrefix(kind, "FP") {
			version.Datatype = kind
		}
		q.Inputs = append(q.Inputs, version)
		if a := r.infer(t, q.String()); column[string](t, &a, "prediction_id")[0] != want.PredictionID {
			t.Errorf("%s: another prediction id than /score's", kind)
		}
	}
}

// TestInferenceDatatypesInBytes sends one order's hours in the bytes of every datatype, below 0 where it has a sign.
func TestInferenceDatatypesInBytes(t *testing.T) {
	r := start(t)
	for kind, value := range map[string]any{
		"FP32": float32(-6.5), "FP64": -6.5, "INT8": int8(-6), "INT16": int16(-600), "INT32": int32(-70000), "INT64": int64(-3e9),
		"UINT8": uint8(200), "UINT16": uint16(60000), "UINT32": uint32(4e9), "UINT64": uint64(1 << 63),
	} {
		raw, err := binary.Append(nil, binary.LittleEndian, value)
		if err != nil {
			t.Fatal(err)
		}
		q := exampleTensors(1)
		q.Inputs[3] = tensor{Name: q.Inputs[3].Name, Shape: []int{1}, Datatype: kind, Parameters: map[string]any{"binary_data_size": len(raw)}}
		text := q.String()
		a := decode[inferAnswer](t, r.inferHeader(t, strconv.Itoa(len(text)), "application/octet-stream", text+string(raw)))
		if want := r.decide(t, with("6.5", fmt.Sprint(value))).PredictionID; column[string](t, &a, "prediction_id")[0] != want {
			t.Errorf("%s: another prediction id than /score has for %v", kind, value)
		}
	}
}

// TestInferenceRoundsFP32: as JSON a tensor is what it is in bytes, so that a discount a hair above 1 is 1 in 32 bits.
func TestInferenceRoundsFP32(t *testing.T) {
	r := start(t)
	q := exampleTensors(1)
	for kind, want := range map[string]int{"FP32": http.StatusOK, "FP64": http.StatusUnprocessableEntity} {
		q.Inputs[discounts].Datatype, q.Inputs[discounts].Data = kind, []float64{1.00000001}
		if a := r.post(t, inferPath, q.String()); a.status != want {
			t.Errorf("%s: %d %s, want %d", kind, a.status, a.body, want)
		}
	}
}

// TestInferenceMissing leaves a feature out, by null and without its tensor.
func TestInferenceMissing(t *testing.T) {
	r := start(t)
	want := r.decide(t, with("0.31", "null")).PredictionID
	null, absent := exampleTensors(1), exampleTensors(1)
	null.Inputs[5].Data = []any{nil}
	absent.Inputs = slices.Delete(absent.Inputs, 5, 6)
	for name, q := range map[string]inferRequest{"null": null, "absent": absent} {
		if a := r.infer(t, q.String()); column[string](t, &a, "prediction_id")[0] != want {
			t.Errorf("%s: another prediction id than /score's", name)
		}
	}
}

// TestInferenceWithoutOrderID: the id is made of the features, so that the prediction id can be asked for at /score.
func TestInferenceWithoutOrderID(t *testing.T) {
	r := start(t)
	q := exampleTensors(2)
	q.Inputs = slices.Clone(q.Inputs[1:])
	q.Inputs[0].Data = []float64{0.35, 0.36}
	a := r.infer(t, q.String())
	ids := column[string](t, &a, "order_id")
	if ids[0] == ids[1] || len(ids[0]) != len("features-")+32 || !strings.HasPrefix(ids[0], "features-") {
		t.Fatalf("order ids %q, want two of the form features-...", ids)
	}
	if ids[0] != "features-116522e176ef3a3f3b22fa99c03ede2c" {
		t.Errorf("the example's id is %s: it must never change", ids[0])
	}
	q.Inputs[0].Data = []any{json.RawMessage("0"), json.RawMessage("-0")}
	zeros := r.infer(t, q.String())
	if same := column[string](t, &zeros, "order_id"); same[0] != same[1] {
		t.Errorf("order ids %q of 0 and -0, want one", same)
	}
	if got := r.decide(t, id(strconv.Quote(ids[0]))).PredictionID; got != column[string](t, &a, "prediction_id")[0] {
		t.Errorf("/score has another prediction id for %s", ids[0])
	}
}

func TestInferenceMetadata(t *testing.T) {
	r := start(t)
	get := func(path string, want int) answer {
		a := r.do(t, http.MethodGet, path, nil, http.NoBody)
		if a.status != want {
			t.Errorf("%s: %d %s, want %d", path, a.status, a.body, want)
		}
		return a
	}
	for _, path := range []string{
		"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/trendbuy_xgb", "/v2/models/trendbuy_xgb/ready",
		"/v2/models/trendbuy_xgb/versions/trendbuy_xgb_v1.0.0", "/v2/models/trendbuy_xgb/versions/trendbuy_xgb_v1.0.0/ready",
	} {
		get(path, http.StatusOK)
	}
	for _, path := range []string{
		"/v2/models/other", "/v2/models/other/ready", "/v2/models/trendbuy_xgb/versions/1", "/v2/models/trendbuy_xgb/versions/1/ready",
	} {
		if p := decode[struct{ Error, Detail string }](t, get(path, http.StatusNotFound)); p.Error == "" || p.Error != p.Detail {
			t.Errorf("%s: no error for clients of the protocol: %+v", path, p)
		}
	}
	var model struct {
		Inputs, Outputs []struct {
			Name, Datatype string
			Shape          []int
			Parameters     struct{ Required bool }
		}
	}
	if err := json.Unmarshal([]byte(get("/v2/models/trendbuy_xgb", http.StatusOK).body), &model); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, in := range model.Inputs {
		kinds[in.Name] = fmt.Sprint(in.Datatype, in.Parameters.Required)
	}
	if len(kinds) != 10 || kinds["feature_device_type"] != "BYTEStrue" || kinds["feature_velocity_24h"] != "FP64true" ||
		kinds["feature_creator_reliability"] != "FP64false" || kinds["order_id"] != "BYTESfalse" || kinds["event_version"] != "INT64false" {
		t.Errorf("inputs %v", kinds)
	}
	// What the metadata says of outputs is what an answer has.
	a := r.infer(t, exampleTensors(2).String())
	for i, o := range model.Outputs {
		got := a.Outputs[i]
		if got.Name != o.Name || got.Datatype != o.Datatype || o.Shape[0] != -1 || got.Shape[0] != 2 || !slices.Equal(got.Shape[1:], o.Shape[1:]) {
			t.Errorf("output %d is %s %s %v, the metadata says %+v", i, got.Name, got.Datatype, got.Shape, o)
		}
	}
}

// TestInferenceNotReady: no model, no name; what the service says is the reason.
func TestInferenceNotReady(t *testing.T) {
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Models = serving{} })
	for _, path := range []string{"/v2/health/ready", "/v2/models/trendbuy_xgb", "/v2/models/trendbuy_xgb/ready"} {
		a := r.do(t, http.MethodGet, path, nil, http.NoBody)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, want 503 with Retry-After", path, a.status, a.body)
		}
	}
	if a := r.post(t, inferPath, exampleTensors(1).String()); a.status != http.StatusServiceUnavailable {
		t.Errorf("infer: %d %s, want 503", a.status, a.body)
	}
	if a := r.do(t, http.MethodGet, "/v2/health/live", nil, http.NoBody); a.status != http.StatusOK {
		t.Errorf("live: %d, want 200", a.status)
	}
}

func TestInferenceHeaderLength(t *testing.T) {
	r := start(t)
	body := exampleTensors(1).String()
	whole := strconv.Itoa(len(body))
	for _, c := range []struct {
		length, kind string
		status       int
	}{
		{whole, "application/octet-stream", 200},
		{whole, "application/json", 200},
		{"0", "application/octet-stream", 400},
		{strconv.Itoa(len(body) + 1), "application/octet-stream", 400},
		{strconv.Itoa(len(body) - 1), "application/octet-stream", 400},
		{"-1", "application/octet-stream", 400},
		{"", "application/octet-stream", 400},
		{"0x10", "application/octet-stream", 400},
		{"99999999999999999999", "application/octet-stream", 400},
		{whole, "text/plain", 415},
		{whole, "", 415},
	} {
		if a := r.inferHeader(t, c.length, c.kind, body); a.status != c.status {
			t.Errorf("length %q, %q: %d %s, want %d", c.length, c.kind, a.status, a.body, c.status)
		}
	}
	for _, c := range []struct {
		header http.Header
		status int
	}{
		{http.Header{"Content-Type": {"application/octet-stream"}}, 415},
		{http.Header{"Content-Type": {"text/plain"}}, 415},
		{http.Header{"Content-Type": {"application/json", "application/json"}}, 415},
		{http.Header{"Content-Encoding": {"gzip"}}, 415},
		{http.Header{"Inference-Header-Content-Length": {whole, whole}}, 400},
		// Triton's client sends no Content-Type.
		{nil, 200},
		{http.Header{"Inference-Header-Content-Length": {whole}}, 200},
	} {
		if a := r.do(t, http.MethodPost, inferPath, c.header, strings.NewReader(body)); a.status != c.status {
			t.Errorf("%v: %d %s, want %d", c.header, a.status, a.body, c.status)
		}
	}
}
