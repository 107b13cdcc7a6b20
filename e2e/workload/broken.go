package workload

import (
	"bytes"
	"math"
	"strings"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/ordergen"
)

// unknownSchemaID is far above the ids that a fresh schema registry gives.
const unknownSchemaID = 987654

// breaker makes a broken record of an order.
type breaker struct {
	kind  string
	class verify.Outcome // the reject class that it must get
	apply func(r *Record, o ordergen.Order, c *codec) error
}

// breakers are all kinds of broken records, each with one fault.
func breakers() []breaker {
	kinds := []breaker{
		{"empty value", "frame", func(r *Record, _ ordergen.Order, _ *codec) error { r.Value = []byte{}; return nil }},
		{"wrong magic byte", "frame", bytesOf(func(v []byte) []byte { v[0] = 1; return v })},
		{"frame cut off", "frame", bytesOf(func(v []byte) []byte { return v[:3] })},
		{"unknown schema id", "schema_unknown", func(r *Record, o ordergen.Order, c *codec) error {
			unknown := codec{id: unknownSchemaID, schema: c.schema}
			return encodeInto(r, &unknown, event(o))
		}},
		{"Avro body missing", "decode", bytesOf(func(v []byte) []byte { return v[:5] })},
		{"Avro body truncated", "decode", bytesOf(func(v []byte) []byte { return v[:len(v)-4] })},
		{"bytes after the Avro body", "decode", bytesOf(func(v []byte) []byte { return append(v, 0) })},
		{"Avro string longer than the record", "decode", bytesOf(func(v []byte) []byte { return append(v[:5], 0xfe, 0xff, 0x7f, 'x') })},
		{"Avro string of negative length", "decode", bytesOf(func(v []byte) []byte { v[5] = 0x03; return v })},

		{"another order's key", "key_mismatch", func(r *Record, o ordergen.Order, c *codec) error {
			r.Key = []byte(o.ID + "0")
			return encodeInto(r, c, event(o))
		}},
		{"empty key", "key_mismatch", func(r *Record, o ordergen.Order, c *codec) error {
			r.Key = []byte{}
			return encodeInto(r, c, event(o))
		}},
		{"empty order_id", "order_id", orderID("")},
		{"oversized order_id", "order_id", orderID(strings.Repeat("x", 257))},
		{"control character in order_id", "order_id", orderID("ORD\n1")},

		{"NaN", "feature_range", avroFeature("feature_discount_pct", math.NaN())},
		{"infinity", "feature_range", avroFeature("feature_velocity_24h", math.Inf(1))},
		{"negative infinity", "feature_range", avroFeature("feature_hours_since_trend_peak", math.Inf(-1))},
		{"no float32", "feature_range", avroFeature("feature_hours_since_trend_peak", 1e39)},
		{"discount of 35", "feature_range", avroFeature("feature_discount_pct", 35.0)},
		{"negative velocity", "feature_range", avroFeature("feature_velocity_24h", -1.0)},
		{"optional feature out of range", "feature_range", avroFeature("feature_creator_reliability", 1.0000000000000002)},
		{"unknown category", "feature_category", avroFeature(ordergen.DeviceTypeName, "fridge")},
		{"category in capitals", "feature_category", avroFeature(ordergen.DeviceTypeName, "MOBILE")},
		{"required feature null", "feature_missing", avroFeature("feature_velocity_24h", nil)},
		{"required category null", "feature_missing", avroFeature(ordergen.DeviceTypeName, nil)},
	}
	return append(kinds, jsonBreakers()...)
}

// jsonBreakers are ordergen's own kinds, and some that it has no name for.
func jsonBreakers() []breaker {
	kinds := []breaker{
		{"data after the JSON", "decode", textOf(func(v []byte) []byte { return append(v, " 1"...) })},
		{"JSON name twice, escaped", "decode", textOf(replacing(`"features":{`, `"features":{"feature_device_t\u0079pe":"app",`))},
		{"unknown field of the event", "decode", textOf(replacing(`"features":{`, `"feature":1,"features":{`))},
		{"byte order mark", "frame", textOf(func(v []byte) []byte { return append([]byte("\xef\xbb\xbf"), v...) })},
		{"more than 64 KiB", "too_large", textOf(func(v []byte) []byte { return append(v, bytes.Repeat([]byte{' '}, 64<<10)...) })},
	}
	for _, b := range ordergen.Breaks() {
		kinds = append(kinds, breaker{"JSON " + b.String(), verify.Outcome(b.RejectClass()), func(r *Record, o ordergen.Order, _ *codec) error {
			broken := o.Broken(b)
			r.Key, r.Value = broken.Key, broken.Value
			return nil
		}})
	}
	return kinds
}

func encodeInto(r *Record, c *codec, event map[string]any) (err error) {
	r.Value, err = c.encode(event)
	return err
}

// bytesOf breaks the bytes of a framed Avro record.
func bytesOf(change func([]byte) []byte) func(*Record, ordergen.Order, *codec) error {
	return func(r *Record, o ordergen.Order, c *codec) error {
		if err := encodeInto(r, c, event(o)); err != nil {
			return err
		}
		r.Value = change(r.Value)
		return nil
	}
}

// textOf breaks the text of a JSON event.
func textOf(change func([]byte) []byte) func(*Record, ordergen.Order, *codec) error {
	return func(r *Record, o ordergen.Order, _ *codec) error {
		r.Value = change(o.AppendJSON(nil))
		return nil
	}
}

func replacing(old, with string) func([]byte) []byte {
	return func(v []byte) []byte { return bytes.Replace(v, []byte(old), []byte(with), 1) }
}

// orderID sets the id. The key is null, so that the id is the only fault.
func orderID(id string) func(*Record, ordergen.Order, *codec) error {
	return func(r *Record, o ordergen.Order, c *codec) error {
		r.Key = nil
		e := event(o)
		e["order_id"] = id
		return encodeInto(r, c, e)
	}
}

func avroFeature(name string, value any) func(*Record, ordergen.Order, *codec) error {
	return func(r *Record, o ordergen.Order, c *codec) error {
		e := event(o)
		e["features"].(map[string]any)[name] = value
		return encodeInto(r, c, e)
	}
}
