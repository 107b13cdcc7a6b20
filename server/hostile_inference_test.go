package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// change is the example request with one tensor changed.
func change(i int, f func(*tensor)) string {
	q := exampleTensors(2)
	f(&q.Inputs[i])
	return q.String()
}

// tensorText is the example request with one text of it replaced.
func tensorText(old, replacement string) string {
	return strings.Replace(exampleTensors(2).String(), old, replacement, 1)
}

func data(values ...any) func(*tensor) { return func(t *tensor) { t.Data = values } }

func shape(dims ...int) func(*tensor) { return func(t *tensor) { t.Shape = dims } }

func datatype(name string) func(*tensor) { return func(t *tensor) { t.Datatype = name } }

// The inputs of the example request by index.
const (
	orderIDs  = 0
	discounts = 1
	velocity  = 2
	optional  = 4
	devices   = 8
)

// malformedInference bodies are not I-JSON.
func malformedInference() []hostile {
	return []hostile{
		{name: "empty", body: "", status: 400},
		{name: "cut short", body: tensorText("}]}", "}]"), status: 400},
		{name: "two documents", body: "{}{}", status: 400},
		{name: "byte order mark", body: "\ufeff" + tensorText("", ""), status: 400},
		{name: "comment", body: tensorText(`"inputs"`, `/* */ "inputs"`), status: 400},
		{name: "NaN", body: tensorText("[8420,", "[NaN,"), status: 400},
		{name: "Infinity", body: tensorText("[8420,", "[Infinity,"), status: 400},
		{name: "1e999", body: tensorText("[8420,", "[1e999,"), status: 400, pointer: "/inputs/2/data/0"},
		{name: "1e999 in a parameter", body: tensorText(`"inputs"`, `"parameters":{"x":1e999},"inputs"`), status: 400, pointer: "/parameters/x"},
		{name: "1e999 in a shape", body: tensorText(`"shape":[2]`, `"shape":[1e999]`), status: 400, pointer: "/inputs/0/shape/0"},
		{name: "two inputs members", body: tensorText(`"inputs"`, `"inputs":[],"inputs"`), status: 400},
		{name: "two inputs members, escaped", body: tensorText(`"inputs"`, `"\u0069nputs":[],"inputs"`), status: 400},
		{name: "two data members", body: tensorText(`"data"`, `"data":[],"data"`), status: 400},
		{name: "invalid UTF-8 in a value", body: tensorText("mobile", "mob\xffile"), status: 400},
		{name: "lone surrogate in a value", body: tensorText("mobile", `\ud800`), status: 400},
		{name: "deep data", body: tensorText("[8420,", "["+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+","), status: 400},
		{name: "trailing comma", body: tensorText("8420,8420]", "8420,8420,]"), status: 400},
	}
}

// invalidInference bodies are JSON, but no inference request under the contract.
func invalidInference() []hostile {
	const request = `{"inputs": [{"name": "feature_velocity_24h", "shape": [1], "datatype": "FP64", "data": [1]}]`
	return []hostile{
		{name: "null", body: "null", status: 422},
		{name: "array", body: "[]", status: 422},
		{name: "an order", body: example, status: 422, pointer: "/order_id"},
		{name: "no inputs", body: "{}", status: 422, pointer: "/inputs"},
		{name: "inputs null", body: `{"inputs": null}`, status: 422, pointer: "/inputs"},
		{name: "inputs an object", body: `{"inputs": {}}`, status: 422, pointer: "/inputs"},
		{name: "inputs empty", body: `{"inputs": []}`, status: 422, pointer: "/inputs"},
		{name: "an input is null", body: `{"inputs": [null]}`, status: 422, pointer: "/inputs/0"},
		{name: "an input without anything", body: `{"inputs": [{}]}`, status: 422, pointer: "/inputs/0/shape"},
		{name: "a member in another case", body: tensorText(`"inputs"`, `"Inputs"`), status: 422, pointer: "/Inputs"},
		{name: "unknown member", body: tensorText(`"inputs"`, `"instances":[],"inputs"`), status: 422, pointer: "/instances"},
		{name: "unknown member of a tensor", body: tensorText(`"shape"`, `"dtype":"f8","shape"`), status: 422, pointer: "/inputs/0/dtype"},
		{name: "unknown member of an output", body: request + `, "outputs": [{"name": "margin", "class": 1}]}`, status: 422, pointer: "/outputs/0/class"},
		{name: "id a number", body: tensorText(`"call-7"`, "7"), status: 422, pointer: "/id"},
		{name: "id of 257 bytes", body: tensorText("call-7", strings.Repeat("x", 257)), status: 422, pointer: "/id"},
		{name: "another model in the body", body: tensorText(`"inputs"`, `"model_name":"other","inputs"`), status: 422, pointer: "/model_name"},
		{name: "another version in the body", body: tensorText(`"inputs"`, `"model_version":"2","inputs"`), status: 422, pointer: "/model_version"},
		{name: "parameters an array", body: tensorText(`"inputs"`, `"parameters":[],"inputs"`), status: 422, pointer: "/parameters"},
		{name: "binary_data_output text", body: tensorText(`"inputs"`, `"parameters":{"binary_data_output":"yes"},"inputs"`), status: 422, pointer: "/parameters/binary_data_output"},

		{name: "an unnamed matrix", body: `{"inputs": [{"name": "input-0", "shape": [1, 8], "datatype": "FP64", "data": [0,0,0,0,0,0,0,0]}]}`, status: 422, pointer: "/inputs/0/shape"},
		{name: "a named matrix", body: change(velocity, shape(2, 2)), status: 422, pointer: "/inputs/2/shape"},
		{name: "a cube", body: change(velocity, shape(2, 1, 1)), status: 422, pointer: "/inputs/2/shape"},
		{name: "a shape without dimensions", body: change(velocity, shape()), status: 422, pointer: "/inputs/2/shape"},
		{name: "no shape", body: tensorText(`"shape":[2],"datatype":"BYTES"`, `"datatype":"BYTES"`), status: 422, pointer: "/inputs/0/shape"},
		{name: "shape null", body: tensorText(`"shape":[2]`, `"shape":null`), status: 422, pointer: "/inputs/0/shape"},
		{name: "shape text", body: tensorText(`"shape":[2]`, `"shape":["2"]`), status: 422, pointer: "/inputs/0/shape/0"},
		{name: "a row and a half", body: tensorText(`"shape":[2]`, `"shape":[1.5]`), status: 422, pointer: "/inputs/0/shape/0"},
		{name: "minus one row", body: change(velocity, shape(-1)), status: 422, pointer: "/inputs/2/shape/0"},
		{name: "no rows", body: change(orderIDs, shape(0)), status: 422, pointer: "/inputs/0/shape"},
		{name: "1,001 rows", body: exampleTensors(1001).String(), status: 422, pointer: "/inputs/0/shape"},
		{name: "2^63 rows", body: tensorText(`"shape":[2]`, `"shape":[9223372036854775808]`), status: 422, pointer: "/inputs/0/shape/0"},
		{name: "nine dimensions", body: change(velocity, shape(2, 1, 1, 1, 1, 1, 1, 1, 1)), status: 422, pointer: "/inputs/2/shape/8"},
		{name: "tensors of two lengths", body: change(velocity, shape(3)), status: 422, pointer: "/inputs/2/shape"},
		{name: "fewer values than rows", body: change(velocity, data(1)), status: 422, pointer: "/inputs/2/data"},
		{name: "more values than rows", body: change(velocity, data(1, 2, 3)), status: 422, pointer: "/inputs/2/data"},
		{name: "no data", body: change(velocity, func(t *tensor) { t.Data = nil }), status: 422, pointer: "/inputs/2/data"},
		{name: "data null", body: tensorText(`"data":["ORD_12345","ORD_12345"]`, `"data":null`), status: 422, pointer: "/inputs/0/data"},
		{name: "data a number", body: tensorText(`"data":["ORD_12345","ORD_12345"]`, `"data":1`), status: 422, pointer: "/inputs/0/data"},
		{name: "data an object", body: tensorText(`"data":["ORD_12345","ORD_12345"]`, `"data":{"0":1}`), status: 422, pointer: "/inputs/0/data"},
		{name: "nested data of a flat shape", body: change(velocity, data([]int{1}, []int{2})), status: 422, pointer: "/inputs/2/data/0"},

		{name: "no name", body: tensorText(`"name":"order_id",`, ""), status: 422, pointer: "/inputs/0/name"},
		{name: "name null", body: tensorText(`"name":"order_id"`, `"name":null`), status: 422, pointer: "/inputs/0/name"},
		{name: "unknown feature", body: change(optional, func(t *tensor) { t.Name = "input-0" }), status: 422, pointer: "/inputs/4/name"},
		{name: "feature in another case", body: change(optional, func(t *tensor) { t.Name = "Feature_creator_reliability" }), status: 422, pointer: "/inputs/4/name"},
		{name: "a feature twice", body: change(optional, func(t *tensor) { t.Name = "feature_velocity_24h" }), status: 422, pointer: "/inputs/4/name"},
		{name: "required feature absent", body: change(velocity, func(t *tensor) { t.Name = "event_version"; t.Datatype = "INT64" }), status: 422, pointer: "/inputs"},
		{name: "no datatype", body: tensorText(`"datatype":"BYTES",`, ""), status: 422, pointer: "/inputs/0/datatype"},
		{name: "BOOL", body: change(velocity, datatype("BOOL")), status: 422, pointer: "/inputs/2/datatype"},
		{name: "FP16", body: change(velocity, datatype("FP16")), status: 422, pointer: "/inputs/2/datatype"},
		{name: "datatype in another case", body: change(velocity, datatype("fp64")), status: 422, pointer: "/inputs/2/datatype"},
		{name: "BYTES for a number", body: change(velocity, datatype("BYTES")), status: 422, pointer: "/inputs/2/datatype"},
		{name: "FP64 for a category", body: change(devices, datatype("FP64")), status: 422, pointer: "/inputs/8/datatype"},
		{name: "INT64 order ids", body: change(orderIDs, datatype("INT64")), status: 422, pointer: "/inputs/0/datatype"},
		{name: "FP64 event versions", body: change(optional, func(t *tensor) { t.Name = "event_version" }), status: 422, pointer: "/inputs/4/datatype"},

		{name: "number as text", body: change(velocity, data(8420, "8420")), status: 422, pointer: "/inputs/2/data/1"},
		{name: "true", body: change(velocity, data(8420, true)), status: 422, pointer: "/inputs/2/data/1"},
		{name: "an object for a number", body: change(velocity, data(8420, map[string]int{"double": 1})), status: 422, pointer: "/inputs/2/data/1"},
		{name: "required feature null", body: change(velocity, data(8420, nil)), status: 422, pointer: "/inputs/2/data/1"},
		{name: "percent for a fraction", body: change(discounts, data(0.35, 35)), status: 422, pointer: "/inputs/1/data/1"},
		{name: "over FP32", body: change(velocity, func(t *tensor) { t.Datatype = "FP32"; t.Data = []any{1, 1e39} }), status: 422, pointer: "/inputs/2/data/1"},
		{name: "over the model's float32", body: change(velocity, data(1, 1e39)), status: 422, pointer: "/inputs/2/data/1"},
		{name: "over INT8", body: change(velocity, func(t *tensor) { t.Datatype = "INT8"; t.Data = []any{1, 128} }), status: 422, pointer: "/inputs/2/data/1"},
		{name: "below UINT8", body: change(velocity, func(t *tensor) { t.Datatype = "UINT8"; t.Data = []any{1, -1} }), status: 422, pointer: "/inputs/2/data/1"},
		{name: "fraction in INT64", body: change(velocity, func(t *tensor) { t.Datatype = "INT64"; t.Data = []any{1, 1.5} }), status: 422, pointer: "/inputs/2/data/1"},
		{name: "exponent in INT64", body: change(velocity, func(t *tensor) { t.Datatype = "INT64"; t.Data = []any{1, json.RawMessage("1e2")} }), status: 422, pointer: "/inputs/2/data/1"},
		{name: "unknown category", body: change(devices, data("mobile", "watch")), status: 422, pointer: "/inputs/8/data/1"},
		{name: "category by code", body: change(devices, data("mobile", 2)), status: 422, pointer: "/inputs/8/data/1"},
		{name: "order_id empty", body: change(orderIDs, data("a", "")), status: 422, pointer: "/inputs/0/data/1"},
		{name: "order_id null", body: change(orderIDs, data("a", nil)), status: 422, pointer: "/inputs/0/data/1"},
		{name: "order_id with a control", body: change(orderIDs, data("a", "\x07")), status: 422, pointer: "/inputs/0/data/1"},
		{name: "order_id of 257 bytes", body: change(orderIDs, data("a", strings.Repeat("x", 257))), status: 422, pointer: "/inputs/0/data/1"},
		{name: "event_version over 64 bits", body: change(optional, func(t *tensor) {
			*t = tensor{Name: "event_version", Shape: []int{2}, Datatype: "UINT64", Data: []any{1, json.RawMessage("9223372036854775808")}}
		}), status: 422, pointer: "/inputs/4/data/1"},

		{name: "bytes that are not there", body: tensorText(`"datatype":"BYTES",`, `"datatype":"BYTES","parameters":{"binary_data_size":8},`), status: 422, pointer: "/inputs/0/data"},
		{name: "binary_data_size below 0", body: tensorText(`"datatype":"BYTES",`, `"datatype":"BYTES","parameters":{"binary_data_size":-8},`), status: 422, pointer: "/inputs/0/parameters/binary_data_size"},
		{name: "binary_data_size text", body: tensorText(`"datatype":"BYTES",`, `"datatype":"BYTES","parameters":{"binary_data_size":"8"},`), status: 422, pointer: "/inputs/0/parameters/binary_data_size"},
		{name: "shared memory", body: tensorText(`"datatype":"BYTES",`, `"datatype":"BYTES","parameters":{"shared_memory_region":"x"},`), status: 422, pointer: "/inputs/0/parameters/shared_memory_region"},
		{name: "outputs an object", body: tensorText(`"inputs"`, `"outputs":{},"inputs"`), status: 422, pointer: "/outputs"},
		{name: "an output by its name alone", body: tensorText(`"inputs"`, `"outputs":["margin"],"inputs"`), status: 422, pointer: "/outputs/0"},
		{name: "an output without a name", body: tensorText(`"inputs"`, `"outputs":[{}],"inputs"`), status: 422, pointer: "/outputs/0/name"},
		{name: "unknown output", body: tensorText(`"inputs"`, `"outputs":[{"name":"margin"},{"name":"predict"}],"inputs"`), status: 422, pointer: "/outputs/1/name"},
		{name: "an output twice", body: tensorText(`"inputs"`, `"outputs":[{"name":"margin"},{"name":"margin"}],"inputs"`), status: 422, pointer: "/outputs/1/name"},
		{name: "65 outputs", body: tensorText(`"inputs"`, `"outputs":[`+strings.Repeat(`{"name":"margin"},`, 64)+`{"name":"margin"}],"inputs"`), status: 422, pointer: "/outputs/64"},
		{name: "a classification", body: tensorText(`"inputs"`, `"outputs":[{"name":"margin","parameters":{"classification":3}}],"inputs"`), status: 422, pointer: "/outputs/0/parameters/classification"},
		{name: "an output into shared memory", body: tensorText(`"inputs"`, `"outputs":[{"name":"margin","parameters":{"shared_memory_region":"x"}}],"inputs"`), status: 422, pointer: "/outputs/0/parameters/shared_memory_region"},
		{name: "10,000 inputs", body: `{"inputs":[` + strings.Repeat(`{},`, 9999) + `{}]}`, status: 422, pointer: "/inputs/4098"},
	}
}

func TestHostileInference(t *testing.T) {
	r := start(t)
	want := r.decide(t, example).PredictionID
	for _, h := range append(malformedInference(), invalidInference()...) {
		t.Run(h.name, func(t *testing.T) {
			a := r.post(t, inferPath, h.body)
			if a.status != h.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, h.status)
			}
			p := decode[struct {
				decision
				Error, Detail string
			}](t, a)
			if len(p.Errors) == 0 || p.Errors[0].Detail == "" || p.Error != p.Detail || p.Error == "" {
				t.Fatalf("%s names nothing", a.body)
			}
			if (h.pointer != "" || h.status == 422) && p.Errors[0].Pointer != h.pointer {
				t.Errorf("pointer %q, want %q: %s", p.Errors[0].Pointer, h.pointer, p.Errors[0].Detail)
			}
		})
	}
	if a := r.infer(t, exampleTensors(1).String()); column[string](t, &a, "prediction_id")[0] != want {
		t.Error("after them all the answer is another one")
	}
}

// TestHostileBytes sends tensors whose bytes are not what their JSON says.
func TestHostileBytes(t *testing.T) {
	r := start(t)
	nan := pack([]float64{8420, 0})
	copy(nan[8:], "\x00\x00\x00\x00\x00\x00\xf8\x7f")
	for _, c := range []struct {
		name    string
		input   int
		raw     []byte
		pointer string
		tail    string
	}{
		{"a byte short", velocity, make([]byte, 15), "/inputs/2/parameters/binary_data_size", ""},
		{"a byte long", velocity, make([]byte, 17), "/inputs/2/parameters/binary_data_size", ""},
		{"none", velocity, []byte{}, "/inputs/2/parameters/binary_data_size", ""},
		{"NaN", velocity, nan, "/inputs/2/data/1", ""},
		{"out of range", discounts, pack([]float64{0.35, 35}), "/inputs/1/data/1", ""},
		{"a length over the end", devices, []byte("\x06\x00\x00\x00mobile\x07\x00\x00\x00mobile"), "/inputs/8/data/1", ""},
		{"a length of 4 GiB", devices, []byte("\xff\xff\xff\xffmobile"), "/inputs/8/data/0", ""},
		{"half a length", devices, []byte("\x06\x00\x00\x00mobile\x06\x00"), "/inputs/8/data/1", ""},
		{"a text too many", devices, pack([]string{"app", "app", "app"}), "/inputs/8/parameters/binary_data_size", ""},
		{"invalid UTF-8", devices, pack([]string{"app", "\xff"}), "/inputs/8/data/1", ""},
		{"unknown category", devices, pack([]string{"app", "watch"}), "/inputs/8/data/1", ""},
		{"control in an order_id", orderIDs, pack([]string{"a", "\x00"}), "/inputs/0/data/1", ""},
		{"bytes of nobody", velocity, pack([]float64{1, 2}), "", "x"},
	} {
		q := exampleTensors(2)
		q.Inputs[c.input].Data, q.Inputs[c.input].Parameters = nil, map[string]any{"binary_data_size": len(c.raw)}
		text := q.String()
		a := r.inferHeader(t, strconv.Itoa(len(text)), "application/octet-stream", text+string(c.raw)+c.tail)
		p := decode[decision](t, a)
		if a.status != http.StatusUnprocessableEntity || len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer {
			t.Errorf("%s: %d %s, want 422 at %q", c.name, a.status, a.body, c.pointer)
		} else if detail := p.Errors[0].Detail; strings.Contains(detail, "UTF-8") != (c.name == "invalid UTF-8") {
			t.Errorf("%s: %s", c.name, detail)
		}
	}
}

// TestInferenceFaultsAreListed: structure first, then values row by row, up to the bound.
func TestInferenceFaultsAreListed(t *testing.T) {
	r := start(t)
	q := exampleTensors(1000)
	q.Inputs[discounts].Data = slices.Repeat([]float64{35}, 1000)
	if p := decode[decision](t, r.post(t, inferPath, q.String())); len(p.Errors) != 32 || p.Errors[31].Pointer != "/inputs/1/data/31" {
		t.Errorf("%d errors, the last %+v, want 32 in the order of rows", len(p.Errors), p.Errors[len(p.Errors)-1])
	}
	q.Inputs[velocity].Shape = []int{1000, 2}
	if p := decode[decision](t, r.post(t, inferPath, q.String())); len(p.Errors) != 1 || p.Errors[0].Pointer != "/inputs/2/shape" {
		t.Errorf("%+v, want the matrix alone", p.Errors)
	}
}
