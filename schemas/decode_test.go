package schemas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/trendbuy/riskscorer/schemas"
)

const (
	orderID  = 7  // the schema id of OrderFeaturesSchema
	absentID = 99 // no schema has it
)

// textFeatures is a writer's schema with features as a map, which can hold every type that a feature must not have.
const textFeatures = `{"type":"record","name":"Order","namespace":"shop","fields":[
	{"name":"order_id","type":["null","string"]},
	{"name":"event_version","type":["null","int"],"default":null},
	{"name":"features","type":{"type":"map","values":["null","boolean","int","long","float","double","bytes","string",
		{"type":"fixed","name":"Two","size":2},{"type":"enum","name":"Device","symbols":["mobile","app","fridge"]},
		{"type":"array","items":"double"},{"type":"record","name":"Nested","fields":[{"name":"x","type":"double"}]}]}},
	{"name":"warehouse","type":"string","default":"north"}]}`

func TestDecodeSameOrderFromEitherWire(t *testing.T) {
	d := newDecoder(pin(t, map[int]string{orderID: schemas.OrderFeaturesSchema, 8: textFeatures}), schemas.RefuseExtra)
	values := map[string][]byte{
		"json": []byte(exampleOrder),
		"avro": frame(orderID, encode(t, schemas.OrderFeaturesSchema, exampleRecord())),
	}
	for name, value := range values {
		for _, key := range [][]byte{nil, []byte("ORD_12345")} {
			o, err := d.Decode(t.Context(), key, value)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkExample(t, &o)
		}
	}
	// Another writer's schema: a map, ints, a float, an enum, no time, fields of its own.
	value := frame(8, encode(t, textFeatures, map[string]any{
		"order_id": "ORD_12345", "event_version": int32(3), "warehouse": "south",
		"features": map[string]any{
			"feature_discount_pct": float32(0.5), "feature_velocity_24h": int32(8420), "feature_hours_since_trend_peak": int64(-6),
			"feature_creator_reliability": nil, "feature_device_type": "app",
		},
	}))
	o, err := d.Decode(t.Context(), nil, value)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	if o.ID != "ORD_12345" || o.Version != 3 || !o.OccurredAt.IsZero() || !sameRow(o.Row, []float64{0.5, 8420, -6, nan, nan, nan, nan, 3}) {
		t.Errorf("got %+v", o)
	}
}

// oneFeature is a writer's schema whose features are of one type.
func oneFeature(avroType string) string {
	return `{"type":"record","name":"R","fields":[{"name":"order_id","type":"string"},
		{"name":"features","type":{"type":"record","name":"Fs","fields":[{"name":"feature_discount_pct","type":` + avroType + `}]}}]}`
}

// change returns the example record with one part changed; features are reached by their names.
func change(name string, value any) map[string]any {
	r := exampleRecord()
	features := r["features"].(map[string]any)
	if _, ok := features[name]; ok {
		features[name] = value
	} else {
		r[name] = value
	}
	return r
}

func TestDecodeRejectsAvro(t *testing.T) {
	d := newDecoder(pin(t, map[int]string{
		orderID: schemas.OrderFeaturesSchema, 8: textFeatures, 9: `"string"`,
		10: `{"type":"record","name":"R","fields":[{"name":"order_id","type":"string"}]}`,
		11: `{"type":"record","name":"R","fields":[{"name":"order_id","type":"bytes"},{"name":"features","type":"string"}]}`,
		12: oneFeature(`{"type":"fixed","name":"F","size":4}`),
		13: oneFeature(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`),
		14: oneFeature(`{"type":"long","logicalType":"timestamp-millis"}`),
	}), schemas.RefuseExtra)
	good := encode(t, schemas.OrderFeaturesSchema, exampleRecord())
	ours := func(name string, value any) []byte {
		return frame(orderID, encode(t, schemas.OrderFeaturesSchema, change(name, value)))
	}
	theirs := func(name string, value any) []byte {
		r := change(name, value)
		delete(r, "occurred_at")
		delete(r, "event_version")
		return frame(8, encode(t, textFeatures, r))
	}
	tests := []struct {
		name  string
		value []byte
		class schemas.RejectClass
		in    string // of the detail
	}{
		{"empty", []byte{}, schemas.RejectFrame, ""},
		{"short frame", []byte{0, 0, 0, 0}, schemas.RejectFrame, ""},
		{"wrong magic", append([]byte{1}, frame(orderID, good)[1:]...), schemas.RejectFrame, ""},
		{"bare avro", good, schemas.RejectFrame, ""},
		{"too large", frame(orderID, make([]byte, schemas.MaxEventBytes)), schemas.RejectTooLarge, "65541"},
		{"no value", frame(orderID, nil), schemas.RejectDecode, "too early"},
		{"truncated", frame(orderID, good[:len(good)-1]), schemas.RejectDecode, "schema 7"},
		{"trailing", frame(orderID, append(bytes.Clone(good), 0)), schemas.RejectDecode, "left over"},
		{"no record", frame(9, []byte{2, 'x'}), schemas.RejectDecode, "must be a record"},
		{"no features", frame(10, []byte{2, 'x'}), schemas.RejectDecode, "/features is required"},
		{"features as text", frame(11, []byte{2, 'x', 0}), schemas.RejectOrderID, "/order_id must be a string"},
		{"no order id", theirs("order_id", nil), schemas.RejectOrderID, "/order_id is required"},
		{"empty order id", ours("order_id", ""), schemas.RejectOrderID, "empty"},
		{"long order id", ours("order_id", strings.Repeat("x", 257)), schemas.RejectOrderID, "256"},
		{"control character", ours("order_id", "a\u0085b"), schemas.RejectOrderID, "control"},
		{"not utf-8", ours("order_id", "ORD\xff"), schemas.RejectOrderID, "UTF-8"},
		{"far time", ours("occurred_at", int64(math.MaxInt64)), schemas.RejectDecode, "/occurred_at"},
		{"missing", ours("feature_velocity_24h", nil), schemas.RejectFeatureMissing, "/features/feature_velocity_24h"},
		{"category", ours("feature_device_type", "fridge"), schemas.RejectFeatureCategory, "mobile"},
		{"nan", ours("feature_discount_pct", math.NaN()), schemas.RejectFeatureRange, "finite"},
		{"infinite", ours("feature_hours_since_trend_peak", math.Inf(-1)), schemas.RejectFeatureRange, "finite"},
		{"over float32", ours("feature_hours_since_trend_peak", 1e39), schemas.RejectFeatureRange, "32-bit"},
		{"out of range", ours("feature_discount_pct", 35.0), schemas.RejectFeatureRange, "[0, 1]"},
		{"text for number", theirs("feature_discount_pct", "0.35"), schemas.RejectFeatureType, "/features/feature_discount_pct"},
		{"number for category", theirs("feature_device_type", 1.0), schemas.RejectFeatureType, "/features/feature_device_type"},
		{"boolean", theirs("feature_discount_pct", true), schemas.RejectFeatureType, "a boolean"},
		{"bytes", theirs("feature_discount_pct", []byte{1}), schemas.RejectFeatureType, "is bytes"},
		{"array", theirs("feature_discount_pct", []any{0.5}), schemas.RejectFeatureType, "an array"},
		{"record", theirs("feature_discount_pct", map[string]any{"x": 0.5}), schemas.RejectFeatureType, "a record"},
		{"fixed", frame(12, []byte{2, 'x', 1, 2, 3, 4}), schemas.RejectFeatureType, "a fixed"},
		{"decimal", frame(13, []byte{2, 'x', 4, 2, 3}), schemas.RejectFeatureType, "bytes"},
		{"time", frame(14, []byte{2, 'x', 2}), schemas.RejectFeatureType, "a timestamp-millis"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rejectOf(t, d, nil, tt.value)
			if r.Class != tt.class || !strings.Contains(r.Detail, tt.in) || r.Stage == "" {
				t.Errorf("got %+v, want class %s and %q", r, tt.class, tt.in)
			}
		})
	}
}

func TestDecodeRejectsJSON(t *testing.T) {
	d := newDecoder(nil, schemas.RefuseExtra)
	with := func(old, new string) []byte {
		if !strings.Contains(exampleOrder, old) {
			t.Fatalf("the example does not have %s", old)
		}
		return []byte(strings.Replace(exampleOrder, old, new, 1))
	}
	tests := []struct {
		name  string
		value []byte
		class schemas.RejectClass
	}{
		{"bom", []byte("\ufeff" + exampleOrder), schemas.RejectFrame},
		{"leading space", []byte(" " + exampleOrder), schemas.RejectFrame},
		{"an array", []byte("[" + exampleOrder + "]"), schemas.RejectFrame},
		{"syntax", []byte(exampleOrder[:len(exampleOrder)-1]), schemas.RejectDecode},
		{"trailing", []byte(exampleOrder + "{}"), schemas.RejectDecode},
		{"unknown field", with(`"order_id"`, `"orderid":1,"order_id"`), schemas.RejectDecode},
		{"case of a field", with(`"event_version"`, `"Event_Version"`), schemas.RejectDecode},
		{"fractional version", with(`"event_version":3`, `"event_version":3.0`), schemas.RejectDecode},
		{"bad time", with(`2026-11-21T`, `2026-11-21 `), schemas.RejectDecode},
		{"features null", []byte(`{"order_id":"a","features":null}`), schemas.RejectDecode},
		{"no order id", []byte(`{"features":{}}`), schemas.RejectOrderID},
		{"order id number", with(`"ORD_12345"`, `12345`), schemas.RejectOrderID},
		{"control character", with(`ORD_`, `ORD\u0000`), schemas.RejectOrderID},
		{"missing", with(`"feature_velocity_24h":8420,`, ``), schemas.RejectFeatureMissing},
		{"null", with(`8420`, `null`), schemas.RejectFeatureMissing},
		{"unknown feature", with(`feature_creator_reliability`, `feature_creator_reliabilty`), schemas.RejectFeatureUnknown},
		{"string number", with(`8420`, `"8420"`), schemas.RejectFeatureType},
		{"boolean", with(`0.35`, `true`), schemas.RejectFeatureType},
		{"avro-json", with(`0.35`, `{"double":0.35}`), schemas.RejectFeatureType},
		{"category", with(`"mobile"`, `"Mobile"`), schemas.RejectFeatureCategory},
		{"range", with(`0.35`, `35`), schemas.RejectFeatureRange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := rejectOf(t, d, nil, tt.value); r.Class != tt.class {
				t.Errorf("got %+v, want class %s", r, tt.class)
			}
		})
	}
}

func TestDecodeIgnoresExtraFeaturesWhereToldTo(t *testing.T) {
	value := []byte(strings.Replace(exampleOrder, `"features":{`, `"features":{"feature_new":[1,{}],`, 1))
	o, err := newDecoder(nil, schemas.IgnoreExtra).Decode(t.Context(), nil, value)
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, &o)
	if r := rejectOf(t, newDecoder(nil, schemas.RefuseExtra), nil, value); r.Class != schemas.RejectFeatureUnknown {
		t.Errorf("got %+v", r)
	}
}

func TestDecodeOneClassOfSeveral(t *testing.T) {
	d := newDecoder(nil, schemas.RefuseExtra)
	tests := []struct {
		key, value string
		class      schemas.RejectClass
	}{
		{"other", exampleOrder, schemas.RejectKeyMismatch},
		{"", exampleOrder, schemas.RejectKeyMismatch}, // empty is not null
		{"other", strings.Replace(exampleOrder, "0.35", "35", 1), schemas.RejectKeyMismatch},
		{"other", strings.Replace(exampleOrder, "ORD_12345", "", 1), schemas.RejectOrderID},
		{"ORD_12345", strings.Replace(exampleOrder, "0.35", "35", 1), schemas.RejectFeatureRange},
	}
	for _, tt := range tests {
		if r := rejectOf(t, d, []byte(tt.key), []byte(tt.value)); r.Class != tt.class {
			t.Errorf("key %q: got %+v, want %s", tt.key, r, tt.class)
		}
	}
}

// A feature's value must not be in what gets logged and written to dead letter headers.
func TestRejectHoldsNoValue(t *testing.T) {
	d := newDecoder(pin(t, map[int]string{8: textFeatures}), schemas.RefuseExtra)
	features := map[string]any{}
	for _, f := range demoContract().Features() {
		features[f.Name] = "S3CR3T"
	}
	avroValue := frame(8, encode(t, textFeatures, map[string]any{"order_id": "a", "features": features, "warehouse": ""}))
	values := []string{string(avroValue)}
	for _, secret := range []string{`"S3CR3T"`, `["S3CR3T"]`, `"S3CR3T\uD800"`, `"S3CR3T" x`, `73.73`, `7e999`} {
		values = append(values, strings.Replace(exampleOrder, "0.35", secret, 1), strings.Replace(exampleOrder, `"mobile"`, secret, 1))
	}
	for _, value := range values {
		r := rejectOf(t, d, nil, []byte(value))
		for _, secret := range []string{"S3CR3T", "73.73", "7e999"} {
			if strings.Contains(r.Error(), secret) {
				t.Errorf("the value %s is in %q", secret, r.Error())
			}
		}
	}
}

func TestDecodeSchemaSource(t *testing.T) {
	value := frame(absentID, []byte{0})
	var rejected *schemas.Reject
	if _, err := newDecoder(nil, schemas.RefuseExtra).Decode(t.Context(), nil, value); err == nil || errors.As(err, &rejected) {
		t.Errorf("no source: got %v, want a broken service", err)
	}
	pinned := newDecoder(pin(t, map[int]string{orderID: schemas.OrderFeaturesSchema}), schemas.RefuseExtra)
	if _, err := pinned.Decode(t.Context(), nil, value); err == nil || errors.As(err, &rejected) {
		t.Errorf("pins without the id: got %v, want a broken service", err)
	}
}

// texts is a schema source that, unlike pins, does not check what it serves; an id without text is unknown.
type texts map[int]string

func (s texts) Schema(_ context.Context, id int) (string, error) {
	if text, ok := s[id]; ok {
		return text, nil
	}
	return "", fmt.Errorf("%w: no such id", schemas.ErrSchemaUnknown)
}

func TestDecodeUnusableSchemas(t *testing.T) {
	source := texts{
		1: `{`, 2: `{"type":"record","name":"R"}`, 3: `"Elsewhere"`, 4: `[]`, 5: `{"type":"fixed","name":"F","size":1e9}`,
		6: strings.Repeat(`{"type":"array","items":`, 100) + `"int"` + strings.Repeat(`}`, 100),
		7: `["int","int"]`, 8: `{"type":"enum","name":"E","symbols":["not a name"]}`, 9: `{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}`,
		10: strings.Repeat(" ", 1<<20) + `"int"`, 11: `{"type":"enum","name":"E"}`, 12: `null`, 13: `{"type":"map"}`,
	}
	d := newDecoder(source, schemas.RefuseExtra)
	for id := range 15 {
		for range 2 { // the second time from the cache
			if r := rejectOf(t, d, nil, frame(uint32(id), []byte{0})); r.Class != schemas.RejectSchemaUnknown {
				t.Errorf("schema %d: got %+v", id, r)
			}
		}
	}
}

// More ids than the codec cache holds, from several goroutines.
func TestDecodeManySchemasConcurrently(t *testing.T) {
	source := texts{}
	for id := range 1500 {
		source[id] = schemas.OrderFeaturesSchema
	}
	d := newDecoder(source, schemas.RefuseExtra)
	body := encode(t, schemas.OrderFeaturesSchema, exampleRecord())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for id := range uint32(1500) {
				if _, err := d.Decode(context.Background(), nil, frame(id, body)); err != nil {
					t.Errorf("schema %d: %v", id, err)
				}
			}
		})
	}
	group.Wait()
}

func TestUnknownAvroFeaturesAreLoggedOncePerSchema(t *testing.T) {
	extended := strings.Replace(schemas.OrderFeaturesSchema, `"fields": [
          {`, `"fields": [
          {"name": "feature_new", "type": "double", "default": 0}, {`, 1)
	record := exampleRecord()
	record["features"].(map[string]any)["feature_new"] = 73.73
	var log bytes.Buffer
	d := schemas.NewDecoder(demoContract(), pin(t, map[int]string{1: extended, 2: extended}), schemas.RefuseExtra, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		for id := range uint32(2) {
			o, err := d.Decode(t.Context(), nil, frame(id+1, encode(t, extended, record)))
			if err != nil {
				t.Fatal(err)
			}
			checkExample(t, &o)
		}
	}
	if n := strings.Count(log.String(), "feature_new"); n != 2 || strings.Contains(log.String(), "73.73") {
		t.Errorf("want one line for each schema and no value, got:\n%s", log.String())
	}
}

// The server that this replaces turned every device type into category 0 once its 500 was fixed, and took unknown ones.
func TestDeviceTypesAreDistinctCategories(t *testing.T) {
	d := newDecoder(nil, schemas.RefuseExtra)
	for code, name := range []string{"mobile", "desktop", "tablet", "app"} {
		o, err := d.Decode(t.Context(), nil, []byte(strings.Replace(exampleOrder, `"mobile"`, `"`+name+`"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Row[len(o.Row)-1]; got != float64(code) {
			t.Errorf("%s has the code %v, want its place in the training list, %d", name, got, code)
		}
	}
	for _, name := range []string{"fridge", "MOBILE", "mobile ", "", "mobil"} {
		r := rejectOf(t, d, nil, []byte(strings.Replace(exampleOrder, `"mobile"`, `"`+name+`"`, 1)))
		if r.Class != schemas.RejectFeatureCategory {
			t.Errorf("%q: got %+v", name, r)
		}
	}
}
