package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

const viewSchema = `{"type": "record", "name": "R", "fields": [
	{"name": "order_id", "type": "string"},
	{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
	{"name": "when", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
	{"name": "ok", "type": "boolean"},
	{"name": "raw", "type": "bytes"},
	{"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
	{"name": "single", "type": "float"},
	{"name": "list", "type": {"type": "array", "items": ["null", "double"]}},
	{"name": "features", "type": {"type": "map", "values": ["null", "int", "string"]}}]}`

func TestViewShowsAvroByItsWritersSchema(t *testing.T) {
	codec, err := goavro.NewCodec(viewSchema)
	if err != nil {
		t.Fatal(err)
	}
	value, err := codec.BinaryFromNative([]byte{0, 0, 0, 0, 7}, map[string]any{
		"order_id": "ORD_\"1\"", "at": time.UnixMilli(1_700_000_000_123), "when": nil, "ok": true, "raw": []byte{0xff, 1}, "kind": "B", "single": float32(0.1),
		"list":     []any{goavro.Union("double", 0.1), nil, goavro.Union("double", math.NaN()), goavro.Union("double", math.Inf(-1))},
		"features": map[string]any{"b": goavro.Union("int", 1), "a": goavro.Union("string", "x"), "c": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	viewer := schemas.NewViewer(texts{7: viewSchema})
	view, err := viewer.View(t.Context(), value)
	want := `{"order_id":"ORD_\"1\"","at":"2023-11-14T22:13:20.123Z","when":null,"ok":true,"raw":"ff01","kind":"B","single":0.1,` +
		`"list":[0.1,null,"NaN","-Inf"],"features":{"a":"x","b":1,"c":null}}`
	if err != nil || string(view) != want {
		t.Errorf("got  %s, %v\nwant %s", view, err, want)
	}
	if id, err := viewer.OrderID(t.Context(), value); err != nil || id != `ORD_"1"` {
		t.Errorf("order %q, %v", id, err)
	}
}

func TestViewTellsValuesFromServices(t *testing.T) {
	viewer := schemas.NewViewer(texts{7: `"string"`, 8: `"long"`})
	for _, test := range []struct {
		value string
		want  error
	}{
		{"", schemas.ErrOpaque},
		{"text", schemas.ErrOpaque},
		{`{"a":1`, schemas.ErrOpaque},
		{`{"a":1,"a":2}`, schemas.ErrOpaque},
		{"\x00\x00\x00\x00\x07\x06ab", schemas.ErrOpaque},
		{"\x00\x00\x00\x00\x09\x06abc", schemas.ErrSchemaUnknown},
	} {
		if view, err := viewer.View(t.Context(), []byte(test.value)); !errors.Is(err, test.want) {
			t.Errorf("%q: %s, %v", test.value, view, err)
		}
		if id, err := viewer.OrderID(t.Context(), []byte(test.value)); id != "" || err != nil {
			t.Errorf("order of %q: %q, %v", test.value, id, err)
		}
	}
	if view, err := viewer.View(t.Context(), []byte("\x00\x00\x00\x00\x07\x06abc")); err != nil || string(view) != `"abc"` {
		t.Errorf("a bare string: %s, %v", view, err)
	}
	if id, err := viewer.OrderID(t.Context(), []byte(`{"order_id":7}`)); id != "" || err != nil {
		t.Errorf("a number for an id: %q, %v", id, err)
	}
	_, err := schemas.NewViewer(nil).View(t.Context(), []byte("\x00\x00\x00\x00\x07\x06abc"))
	if err == nil || errors.Is(err, schemas.ErrOpaque) || errors.Is(err, schemas.ErrSchemaUnknown) {
		t.Errorf("without a source: %v", err)
	}
}

// TestAResultIsViewedAlikeInBothFormats holds the view of an Avro result to the JSON result, on which field-by-field
// comparisons rely.
func TestAResultIsViewedAlikeInBothFormats(t *testing.T) {
	model := schemas.Model{Version: "v1", Digest: strings.Repeat("ab", 32), Engine: "forest/2"}
	for _, occurred := range []time.Time{{}, time.UnixMilli(1_700_000_000_120).UTC()} {
		o := scoring.Order{ID: "ORD_ü", Version: 3, OccurredAt: occurred}
		d := scoring.Decision{
			PredictionID: "p", Margin: -0.1234567890123, RiskScore: 0.4691, Band: scoring.Medium, Explanation: scoring.Exact,
			Reasons: []scoring.Reason{{Code: "C", Text: "Deep \"discount\"", Feature: "f", Contribution: 1e-9}, {Code: "D", Feature: "g", Contribution: -2}},
		}
		avro, err := schemas.NewAvroResults(7, model)
		if err != nil {
			t.Fatal(err)
		}
		framed, err := avro.AppendTo(nil, &o, &d)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := schemas.NewJSONResults(model).AppendTo(nil, &o, &d)
		if err != nil {
			t.Fatal(err)
		}
		viewer := schemas.NewViewer(texts{7: schemas.RiskResultSchema})
		view, err := viewer.View(t.Context(), framed)
		if err != nil || string(view) != string(plain) {
			t.Errorf("Avro %s, %v\nJSON %s", view, err, plain)
		}
		r, err := schemas.ParseResult(view)
		if err != nil || fmt.Sprint(r) != fmt.Sprint(schemas.Result{"ORD_ü", 3, "p", 0.4691, "MEDIUM", "v1", model.Digest, "forest/2"}) {
			t.Errorf("%+v, %v", r, err)
		}
		for _, recorded := range [][]byte{framed, plain} {
			same, err := schemas.SameFrame(recorded, model)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := same.AppendTo(nil, &o, &d); err != nil || string(again) != string(recorded) {
				t.Errorf("again %q, %v, want %q", again, err, recorded)
			}
		}
	}
	if _, err := schemas.SameFrame([]byte("text"), model); !errors.Is(err, schemas.ErrOpaque) {
		t.Errorf("SameFrame of text: %v", err)
	}
	for _, text := range []string{`{}`, `[]`, `{"order_id":"x","model_digest":1,"engine":"e"}`} {
		if r, err := schemas.ParseResult([]byte(text)); !errors.Is(err, schemas.ErrOpaque) {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}

// FuzzView holds that the view of any value is JSON, and that no value is more than a value's fault.
func FuzzView(f *testing.F) {
	viewer := schemas.NewViewer(texts{1: schemas.OrderFeaturesSchema, 2: schemas.RiskResultSchema, 3: viewSchema})
	f.Add([]byte(`{"order_id":"A"}`))
	f.Add([]byte("\x00\x00\x00\x00\x01\x02A\x00\x00"))
	f.Add(append([]byte("\x00\x00\x00\x00\x03\x02A\x00\x00\x01\x00\x00\x00\x00\x80\x7f\x00\x02\x02\xff\x02\x02"), 0))
	f.Fuzz(func(t *testing.T, value []byte) {
		view, err := viewer.View(t.Context(), value)
		switch {
		case err == nil && !json.Valid(view):
			t.Errorf("no JSON: %q", view)
		case err != nil && !errors.Is(err, schemas.ErrOpaque) && !errors.Is(err, schemas.ErrSchemaUnknown):
			t.Error(err)
		}
		if _, err := viewer.OrderID(t.Context(), value); err != nil {
			t.Error(err)
		}
		if _, err := schemas.ParseResult(view); err != nil && !errors.Is(err, schemas.ErrOpaque) {
			t.Error(err)
		}
	})
}
