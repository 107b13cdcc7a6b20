package server_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server"
)

// wellFormed is what another decoder says of a text: that it is I-JSON whose numbers doubles can hold.
func wellFormed(text []byte) bool {
	if !jsontext.Value(text).IsValid() {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		if n, ok := t.(json.Number); ok {
			if _, err := n.Float64(); err != nil {
				return false
			}
		}
		if err != nil { // only that it nests deeper than encoding/json goes
			return true
		}
	}
}

func quiet(_ *server.Config, p *server.Parts) { p.Logger = slog.New(slog.DiscardHandler) }

// FuzzBatch: a text is refused as no JSON where another decoder says so, and as a whole where it is no array of 1 to
// 1,000; else each item has the answer that POST /score gives it, and a prediction id that can be recomputed.
func FuzzBatch(f *testing.F) {
	bad := strings.Replace(example, "0.35", "35", 1)
	for _, text := range []string{
		"[" + example + "]", "[" + example + "," + bad + "," + example + "]", "[1,null,{},[],\"\",true]", "[]", "null", "[" + example, "[{\"a\":1,\"a\":1}]",
		"[1e999]", "[" + strings.Replace(example, `"order_id"`, `"event_version": -7, "order_id"`, 1) + "]", "[\"\xff\"]", "[" + strings.Replace(example, "0.31", "null", 1) + "] ",
	} {
		f.Add([]byte(text))
	}
	r := start(f, quiet)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 64<<10 {
			return // what one order may have
		}
		a := r.post(t, "/score/batch", string(text))
		var items []json.RawMessage
		err := json.Unmarshal(text, &items)
		want := http.StatusOK
		switch {
		case !wellFormed(text):
			want = http.StatusBadRequest
		case err != nil, len(items) < 1, len(items) > 1000:
			want = http.StatusUnprocessableEntity
		}
		if a.status != want {
			t.Fatalf("%q: %d %s, want %d", text, a.status, a.body, want)
		}
		if want != http.StatusOK {
			return
		}
		answers := decode[[]json.RawMessage](t, a)
		if len(answers) != len(items) {
			t.Fatalf("%q: %d answers to %d items", text, len(answers), len(items))
		}
		for i := range items {
			checkItem(t, r, items[i], answers[i])
		}
	})
}

// checkItem compares an item's answer with that of POST /score, and recomputes its prediction id.
func checkItem(t *testing.T, r *running, item, got json.RawMessage) {
	t.Helper()
	alone := r.post(t, "/score", string(item))
	p := decode[decision](t, answer{body: string(got)})
	if alone.status != http.StatusOK {
		want := decode[decision](t, alone)
		if p.Status != alone.status || len(p.Errors) != len(want.Errors) || p.Errors[0] != want.Errors[0] {
			t.Fatalf("%q in a batch: %s, alone: %s", item, got, alone.body)
		}
		return
	}
	if string(got) != alone.body {
		t.Fatalf("%q in a batch: %s, alone: %s", item, got, alone.body)
	}
	if want := recompute(t, item); p.PredictionID != want {
		t.Fatalf("%q has the prediction id %s, want %s", item, p.PredictionID, want)
	}
}

// recompute is the prediction id of an order, as encoding/json reads it.
func recompute(t *testing.T, text []byte) string {
	t.Helper()
	var event struct {
		OrderID  string         `json:"order_id"`
		Version  *int64         `json:"event_version"`
		Features map[string]any `json:"features"`
	}
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatalf("%q was scored, but encoding/json says %v", text, err)
	}
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	o := scoring.Order{ID: event.OrderID}
	if event.Version != nil {
		o.Version = *event.Version
	}
	for _, feature := range model.scorer.Contract().Features() {
		x := math.NaN()
		switch v := event.Features[feature.Name].(type) {
		case float64:
			x = v
		case string:
			for code, name := range feature.Categories {
				if name == v {
					x = float64(code)
				}
			}
		}
		o.Row = append(o.Row, x)
	}
	return scoring.PredictionID(model.scorer.EngineID(), model.scorer.Digest(), &o, true)
}

// FuzzOIP: a request whose JSON another decoder refuses is no JSON, any other is scored or refused by the contract; one
// that is scored has the scores and prediction ids that its orders, written row by row, have at /score/batch. The JSON
// ends after length bytes, and tensors in bytes follow; below 0 it is the whole body.
func FuzzOIP(f *testing.F) {
	three := exampleTensors(3)
	three.Inputs[discounts].Data, three.Inputs[devices].Data = []float64{0.1, 0.2, 0.3}, []string{"app", "tablet", "desktop"}
	for _, q := range []inferRequest{exampleTensors(1), three} {
		f.Add([]byte(q.String()), -1)
		var tail []byte
		for i := range q.Inputs {
			raw := pack(q.Inputs[i].Data)
			q.Inputs[i].Data, q.Inputs[i].Parameters = nil, map[string]any{"binary_data_size": len(raw)}
			tail = append(tail, raw...)
		}
		text := q.String()
		f.Add(append([]byte(text), tail...), len(text))
	}
	for _, h := range append(malformedInference(), invalidInference()...) {
		f.Add([]byte(h.body), -1)
	}
	small := exampleTensors(1)
	small.Inputs[velocity] = tensor{Name: "feature_velocity_24h", Shape: []int{1, 1}, Datatype: "INT16", Data: []any{[]int{300}}}
	small.Inputs[discounts].Datatype = "FP32"
	small.Inputs[orderIDs] = tensor{Name: "event_version", Shape: []int{1}, Datatype: "UINT32", Data: []any{7}}
	f.Add([]byte(small.String()), -1)
	r := start(f, quiet)
	f.Fuzz(func(t *testing.T, body []byte, length int) {
		if len(body) > 64<<10 || length > len(body) {
			return
		}
		text, tail, header := body, []byte(nil), http.Header{}
		if length >= 0 {
			text, tail = body[:length], body[length:]
			header.Set("Inference-Header-Content-Length", strconv.Itoa(length))
		}
		a := r.do(t, http.MethodPost, inferPath, header, bytes.NewReader(body))
		switch {
		case (a.status == http.StatusBadRequest) == wellFormed(text):
			t.Fatalf("%q: %d %s, well-formed: %v", text, a.status, a.body, wellFormed(text))
		case a.status == http.StatusOK:
			checkRows(t, r, text, tail, header)
		case a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest:
			t.Fatalf("%q: %d %s", text, a.status, a.body)
		}
	})
}

// checkRows asks again for all outputs, as JSON, and compares them with /score/batch.
func checkRows(t *testing.T, r *running, text, tail []byte, header http.Header) {
	t.Helper()
	var q map[string]json.RawMessage
	if err := json.Unmarshal(text, &q); err != nil {
		t.Fatal(err)
	}
	delete(q, "outputs")
	delete(q, "parameters")
	again, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) > 0 {
		header.Set("Inference-Header-Content-Length", strconv.Itoa(len(again)))
	}
	a := r.do(t, http.MethodPost, inferPath, header, bytes.NewReader(append(again, tail...)))
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s, but with its outputs it was answered", again, a.status, a.body)
	}
	got := decode[inferAnswer](t, a)
	ids, scores := column[string](t, &got, "prediction_id"), column[float64](t, &got, "risk_score")
	rows := transpose(t, q["inputs"], tail, column[string](t, &got, "order_id"))
	want := decode[[]decision](t, r.post(t, "/score/batch", rows))
	for i, w := range want {
		if len(ids) != len(want) || w.PredictionID != ids[i] || w.RiskScore != scores[i] {
			t.Fatalf("%s: %q %v, as rows %s: %+v", again, ids, scores, rows, w)
		}
	}
}

// transpose writes the orders of tensors row by row, as a batch.
func transpose(t *testing.T, inputs json.RawMessage, tail []byte, ids []string) string {
	t.Helper()
	var tensors []struct {
		Name, Datatype string
		Data           []json.RawMessage
		Parameters     map[string]any // a struct would take its names in any case
	}
	if err := json.Unmarshal(inputs, &tensors); err != nil {
		t.Fatal(err)
	}
	type order struct {
		ID       string                     `json:"order_id"`
		Version  json.RawMessage            `json:"event_version,omitempty"`
		Features map[string]json.RawMessage `json:"features"`
	}
	orders := make([]order, len(ids))
	for i := range orders {
		orders[i] = order{ID: ids[i], Features: map[string]json.RawMessage{}}
	}
	for _, tensor := range tensors {
		values := tensor.Data
		if size, ok := tensor.Parameters["binary_data_size"].(float64); ok {
			values, tail = inBytes(t, tensor.Datatype, tail[:int(size)]), tail[int(size):]
		}
		for i, v := range values {
			v = bytes.TrimRight(bytes.TrimLeft(v, "[ \t\r\n"), "] \t\r\n")
			switch {
			case tensor.Name == "order_id":
				continue
			case tensor.Name == "event_version":
				orders[i].Version = v
				continue
			case tensor.Datatype == "FP32" && string(v) != "null":
				x, err := strconv.ParseFloat(string(v), 32)
				if err != nil {
					t.Fatal(err)
				}
				v = strconv.AppendFloat(nil, x, 'g', -1, 64)
			}
			orders[i].Features[tensor.Name] = v
		}
	}
	text, err := json.Marshal(orders)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// inBytes reads a tensor's bytes with encoding/binary, as JSON values.
func inBytes(t *testing.T, datatype string, raw []byte) (values []json.RawMessage) {
	t.Helper()
	if datatype == "BYTES" {
		for _, s := range unpack[string](raw) {
			v, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return values
	}
	kinds := map[string]func(n int) any{
		"FP32": func(n int) any { return make([]float32, n/4) }, "FP64": func(n int) any { return make([]float64, n/8) },
		"INT8": func(n int) any { return make([]int8, n) }, "INT16": func(n int) any { return make([]int16, n/2) },
		"INT32": func(n int) any { return make([]int32, n/4) }, "INT64": func(n int) any { return make([]int64, n/8) },
		"UINT8": func(n int) any { return make([]uint8, n) }, "UINT16": func(n int) any { return make([]uint16, n/2) },
		"UINT32": func(n int) any { return make([]uint32, n/4) }, "UINT64": func(n int) any { return make([]uint64, n/8) },
	}
	column := kinds[datatype](len(raw))
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, column); err != nil {
		t.Fatal(err)
	}
	if bytes, ok := column.([]uint8); ok { // JSON would take it for a text
		wide := make([]uint16, len(bytes))
		for i, b := range bytes {
			wide[i] = uint16(b)
		}
		column = wide
	}
	text, err := json.Marshal(column)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}
