package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func directContract() *scoring.Contract {
	zero := 0.0
	return scoring.NewContract(&bundle.Manifest{Features: []bundle.Feature{
		{Name: "feature_discount_pct", Type: bundle.Number, Policy: bundle.Required, Allowed: bundle.Range{Min: &zero}},
		{Name: "feature_velocity_24h", Type: bundle.Number, Policy: bundle.Optional},
		{Name: "feature_device_type", Type: bundle.Category, Policy: bundle.Optional, Categories: []string{"app", "mobile"}},
	}})
}

// writersSchema has the fields of an order with types that the source chooses: those that a field may have, and others.
func writersSchema(random *rand.Rand) string {
	types := []string{
		`"null"`, `"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"bytes"`, `"string"`,
		`{"type":"long","logicalType":"timestamp-millis"}`, `{"type":"long","logicalType":"timestamp-micros"}`,
		`{"type":"double","logicalType":"date"}`, `{"type":"null","logicalType":"date"}`, `{"type":"int","logicalType":"date"}`,
		`{"type":"array","items":"null"}`,
	}
	named := 0
	choose := func() string {
		named++
		of := append(slices.Clone(types), fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["app","car"]}`, named),
			fmt.Sprintf(`{"type":"fixed","name":"X%d","size":3}`, named),
			fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":"int"},{"name":"r","type":["null","R%d"]}]}`, named, named))
		random.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		if random.IntN(2) == 0 {
			return of[0]
		}
		var union []string
		kinds := map[string]bool{}
		for _, t := range of[:4] {
			if s, err := parseShape(t); err == nil && !kinds[s.kind] {
				kinds[s.kind], union = true, append(union, t)
			}
		}
		return "[" + strings.Join(union, ",") + "]"
	}
	field := func(name, of string) string { return fmt.Sprintf(`{"name":%q,"type":%s}`, name, of) }
	features := fmt.Sprintf(`{"type":"record","name":"F","fields":[%s,%s,%s,%s]}`, field("feature_discount_pct", choose()),
		field("feature_velocity_24h", choose()), field("feature_device_type", choose()), field("feature_other", choose()))
	if random.IntN(4) == 0 {
		features = "[" + features + `,"null","int"]`
	}
	fields := []string{
		field("order_id", choose()), field("event_version", choose()), field("occurred_at", choose()), field("other", choose()),
		field("features", features),
	}
	random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return `{"type":"record","name":"O","fields":[` + strings.Join(fields, ",") + "]}"
}

// randomValue appends a value of the shape.
func randomValue(dst []byte, s *shape, random *rand.Rand) []byte {
	text := []string{"", "app", "mobile", "ORD_1", "\xff", "a\n"}
	switch s.kind {
	case "boolean":
		return append(dst, byte(random.IntN(2)))
	case "int":
		return binary.AppendVarint(dst, int64(int32(random.Uint32())>>random.IntN(32)))
	case "long":
		return binary.AppendVarint(dst, int64(random.Uint64())>>random.IntN(64))
	case "float":
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(random.NormFloat64())))
	case "double":
		special := []float64{math.NaN(), math.Inf(1), 1e39, -1, math.Copysign(0, -1), random.Float64()}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(special[random.IntN(len(special))]))
	case "bytes", "string":
		t := text[random.IntN(len(text))]
		return append(binary.AppendVarint(dst, int64(len(t))), t...)
	case "fixed":
		return append(dst, "abc"[:s.size]...)
	case "enum":
		return binary.AppendVarint(dst, int64(random.IntN(len(s.symbols))))
	case "union":
		i := random.IntN(len(s.union))
		return randomValue(binary.AppendVarint(dst, int64(i)), s.union[i], random)
	case "record":
		for i := range s.fields {
			dst = randomValue(dst, s.fields[i].shape, random)
		}
		return dst
	case "array":
		return append(dst, 4, 0) // two nulls
	default:
		return dst
	}
}

// FuzzDirect holds that the direct reading of any value, under writers' schemas with fields of every type, is goavro's: the
// same order, or the same faults. Each input is tried as it is and beside a valid value of the schema.
func FuzzDirect(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, []byte{})
	}
	f.Add(uint64(1), []byte{2, 'x', 2, 0, 0, 0, 0, 0, 0, 0, 0})
	c := directContract()
	f.Fuzz(func(t *testing.T, seed uint64, value []byte) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := writersSchema(random)
		w, err := newWriter(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !w.direct {
			t.Fatalf("%s is not read directly", text)
		}
		for _, v := range [][]byte{value, randomValue(nil, w.shape, random)} {
			want, wantErr := w.readNative(v, c)
			got, err := w.read(v, c)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s\n%x: got %v, want %v", text, v, err, wantErr)
			}
			if err == nil && describe(got) != describe(want) {
				t.Fatalf("%s\n%x:\ngot  %s\nwant %s", text, v, describe(got), describe(want))
			}
		}
	})
}

// describe tells all that a reading comes to.
func describe(r *reading) string {
	unknown := slices.Sorted(slices.Values(r.features.Unknown()))
	o := r.order
	return fmt.Sprintf("%q %d %v %x %q %v", o.ID, o.Version, o.OccurredAt, o.Row, unknown, r.problems())
}

// Schemas with a map anywhere are goavro's: it refuses a key that comes twice.
func TestMapsAreReadByGoavro(t *testing.T) {
	for other, want := range map[string]bool{
		`{"type":"map","values":"double"}`: false, `["null",{"type":"array","items":{"type":"map","values":"int"}}]`: false, `["null","O"]`: true,
	} {
		w, err := newWriter(`{"type":"record","name":"O","fields":[{"name":"other","type":` + other + `}]}`)
		if err != nil {
			t.Fatal(err)
		}
		if w.direct != want {
			t.Errorf("%s: direct is %v", other, w.direct)
		}
	}
}
