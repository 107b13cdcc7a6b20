package server_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const inferPath = "/v2/models/trendbuy_xgb/infer"

// tensor is one of a request or an answer.
type tensor struct {
	Name       string         `json:"name"`
	Shape      []int          `json:"shape"`
	Datatype   string         `json:"datatype"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Data       any            `json:"data,omitempty"`
}

type inferRequest struct {
	ID         string           `json:"id,omitempty"`
	Parameters map[string]any   `json:"parameters,omitempty"`
	Inputs     []tensor         `json:"inputs"`
	Outputs    []map[string]any `json:"outputs,omitempty"`
}

func (q inferRequest) String() string {
	text, err := json.Marshal(q)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// clone is a request whose tensors can be changed.
func (q inferRequest) clone() inferRequest {
	q.Inputs = slices.Clone(q.Inputs)
	return q
}

// inferAnswer is the answer to a request, its tensors by name.
type inferAnswer struct {
	Model      string `json:"model_name"`
	Version    string `json:"model_version"`
	ID         string `json:"id"`
	Parameters struct {
		Digest string `json:"model_digest"`
		Engine string `json:"engine"`
	} `json:"parameters"`
	Outputs []struct {
		Name, Datatype string
		Shape          []int
		Parameters     struct {
			Size int `json:"binary_data_size"`
		}
		Data json.RawMessage
	} `json:"outputs"`
	tail []byte
}

// column returns an output, whose data may be JSON or bytes.
func column[T float64 | string](tb testing.TB, a *inferAnswer, name string) []T {
	tb.Helper()
	rest := a.tail
	for i := range a.Outputs {
		o := &a.Outputs[i]
		var out []T
		raw := rest[:o.Parameters.Size]
		rest = rest[o.Parameters.Size:]
		switch {
		case o.Name != name:
			continue
		case o.Parameters.Size == 0:
			if err := json.Unmarshal(o.Data, &out); err != nil {
				tb.Fatal(err)
			}
		default:
			out = unpack[T](raw)
		}
		n := 1
		for _, d := range o.Shape {
			n *= d
		}
		if len(out) != n {
			tb.Fatalf("%s has %d values, its shape says %v", name, len(out), o.Shape)
		}
		return out
	}
	tb.Fatalf("no output %s", name)
	return nil
}

// unpack reads the protocol's bytes.
func unpack[T float64 | string](raw []byte) (out []T) {
	for len(raw) > 0 {
		var v any
		switch any(*new(T)).(type) {
		case float64:
			v, raw = math.Float64frombits(binary.LittleEndian.Uint64(raw)), raw[8:]
		case string:
			n := 4 + binary.LittleEndian.Uint32(raw)
			v, raw = string(raw[4:n]), raw[n:]
		}
		out = append(out, v.(T))
	}
	return out
}

// pack writes it, as FP64 or BYTES.
func pack(column any) (raw []byte) {
	switch column := column.(type) {
	case []float64:
		for _, x := range column {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		}
	case []string:
		for _, s := range column {
			raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(s))), s...)
		}
	}
	return raw
}

func (r *running) infer(tb testing.TB, request string) inferAnswer {
	tb.Helper()
	a := r.post(tb, inferPath, request)
	if a.status != http.StatusOK {
		tb.Fatalf("%d %s, want 200\n%s", a.status, a.body, request)
	}
	return decode[inferAnswer](tb, a)
}

// inferBinary sends a request whose tensors have their data behind the JSON.
func (r *running) inferBinary(tb testing.TB, q inferRequest) inferAnswer {
	tb.Helper()
	var tail []byte
	q = q.clone()
	for i := range q.Inputs {
		raw := pack(q.Inputs[i].Data)
		q.Inputs[i].Data, q.Inputs[i].Parameters = nil, map[string]any{"binary_data_size": len(raw)}
		tail = append(tail, raw...)
	}
	text := q.String()
	h := http.Header{"Content-Type": {"application/octet-stream"}, "Inference-Header-Content-Length": {strconv.Itoa(len(text))}}
	a := r.do(tb, http.MethodPost, inferPath, h, strings.NewReader(text+string(tail)))
	if a.status != http.StatusOK {
		tb.Fatalf("%d %s, want 200\n%s", a.status, a.body, text)
	}
	n, err := strconv.Atoi(a.header.Get("Inference-Header-Content-Length"))
	if err != nil {
		n = len(a.body)
	}
	out := decode[inferAnswer](tb, answer{body: a.body[:n]})
	out.tail = []byte(a.body[n:])
	return out
}

// tensorsOf writes golden rows by column; a tensor for a feature that is missing somewhere needs JSON.
func tensorsOf(tb testing.TB, rows []bundle.GoldenRow) (q inferRequest) {
	tb.Helper()
	model, err := demo()
	if err != nil {
		tb.Fatal(err)
	}
	n := len(rows)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "ORD_" + strconv.Itoa(i)
	}
	q.Inputs = []tensor{{Name: "order_id", Shape: []int{n}, Datatype: "BYTES", Data: ids}}
	for f, feature := range model.scorer.Contract().Features() {
		t := tensor{Name: feature.Name, Shape: []int{n, 1}, Datatype: "FP64"}
		data := make([]any, n)
		for i := range rows {
			switch v := rows[i].Row[f]; {
			case v == nil:
			case feature.Type == bundle.Category:
				t.Datatype, data[i] = "BYTES", feature.Categories[int(*v)]
			default:
				data[i] = *v
			}
		}
		t.Data = data
		q.Inputs = append(q.Inputs, t)
	}
	return q
}

// exampleTensors is the example order, n times, in typed columns.
func exampleTensors(n int) inferRequest {
	q := inferRequest{ID: "call-7"}
	number := func(name string, x float64) {
		q.Inputs = append(q.Inputs, tensor{Name: name, Shape: []int{n}, Datatype: "FP64", Data: slices.Repeat([]float64{x}, n)})
	}
	text := func(name, s string) {
		q.Inputs = append(q.Inputs, tensor{Name: name, Shape: []int{n}, Datatype: "BYTES", Data: slices.Repeat([]string{s}, n)})
	}
	text("order_id", "ORD_12345")
	number("feature_discount_pct", 0.35)
	number("feature_velocity_24h", 8420)
	number("feature_hours_since_trend_peak", 6.5)
	number("feature_creator_reliability", 0.22)
	number("feature_cust_prior_return_rate_90d", 0.31)
	number("feature_cust_avg_order_value_90d", 127.5)
	number("feature_prod_size_fit_rate", 0.18)
	text("feature_device_type", "mobile")
	return q
}

// inferHeader sends a body of which the first n bytes are said to be JSON.
func (r *running) inferHeader(tb testing.TB, length, kind, body string) answer {
	tb.Helper()
	h := http.Header{"Content-Type": {kind}, "Inference-Header-Content-Length": {length}}
	return r.do(tb, http.MethodPost, inferPath, h, io.MultiReader(strings.NewReader(body)))
}
