package schemas_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/trendbuy/riskscorer/schemas"
)

// Values that make an Avro reader allocate by what they claim, recurse without end, or read what is not there.
func TestHostileAvroIsRefusedWithoutAllocation(t *testing.T) {
	long := func(values ...int64) []byte {
		var b []byte
		for _, v := range values {
			b = binary.AppendVarint(b, v)
		}
		return b
	}
	id := []byte{2, 'x'}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	sources := map[int]string{
		1: oneFeature(`{"type":"array","items":"double"}`),
		2: oneFeature(`{"type":"array","items":"null"}`),
		3: oneFeature(`{"type":"map","values":"double"}`),
		4: oneFeature(`"string"`),
		5: `{"type":"record","name":"R","fields":[{"name":"again","type":"R"}]}`,
		6: `{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}`,
		7: oneFeature(`["null","double"]`),
		8: oneFeature(`{"type":"enum","name":"E","symbols":["a"]}`),
		9: oneFeature(`"int"`), 10: oneFeature(`"boolean"`), 11: oneFeature(`"long"`),
		12: oneFeature(`{"type":"array","items":{"type":"record","name":"Wide","fields":[
			{"name":"a","type":"null"},{"name":"b","type":"null"},{"name":"c","type":"null"},{"name":"d","type":"null"}]}}`),
	}
	tests := []struct {
		name  string
		id    uint32
		value []byte
	}{
		{"array of 2^31 doubles", 1, cat(id, long(math.MaxInt32))},
		{"array of 2^62 doubles", 1, cat(id, long(1<<62))},
		{"array of 2^63-1 doubles", 1, cat(id, long(math.MaxInt64))},
		{"array of -2^63 doubles", 1, cat(id, long(math.MinInt64, 8))},
		{"array with a block of -1 bytes", 1, cat(id, long(-1, -1))},
		{"array with a block of 2^62 bytes", 1, cat(id, long(-1, 1<<62))},
		{"array with a wrong block length", 1, cat(id, long(-1, 7), make([]byte, 8), long(0))},
		{"array without an end", 1, cat(id, long(1), make([]byte, 8))},
		{"array of 2^31 nulls", 2, cat(id, long(math.MaxInt32, 0))},
		{"blocks of many nulls", 2, cat(id, bytes.Repeat(long(200_000), 100), long(0))},
		{"many wide records of nulls", 12, cat(id, long(200_000, 0))},
		{"map of 2^62", 3, cat(id, long(1<<62))},
		{"map of 2^31", 3, cat(id, long(math.MaxInt32))},
		{"map with a key of 2^62 bytes", 3, cat(id, long(1, 1<<62))},
		{"map with one key twice", 3, cat(id, long(2), []byte{2, 'a'}, make([]byte, 8), []byte{2, 'a'}, make([]byte, 8), long(0))},
		{"text of 2^62 bytes", 4, cat(id, long(1<<62))},
		{"text of -1 bytes", 4, cat(id, long(-1))},
		{"record in itself", 5, nil},
		{"list of 60,000", 6, append(bytes.Repeat([]byte{2}, 60_000), 0)},
		{"union index 2", 7, cat(id, long(2))},
		{"union index -1", 7, cat(id, long(-1))},
		{"enum index 1", 8, cat(id, long(1))},
		{"int of 33 bits", 9, cat(id, long(1<<32))},
		{"boolean of 2", 10, cat(id, []byte{2})},
		{"long of 11 bytes", 11, cat(id, bytes.Repeat([]byte{0x80}, 10), []byte{0})},
		{"long without an end", 11, cat(id, bytes.Repeat([]byte{0xff}, 60_000))},
	}
	d := newDecoder(pin(t, sources), schemas.RefuseExtra)
	for schema := range sources { // compile them all, which may allocate
		_ = rejectOf(t, d, nil, frame(uint32(schema), []byte{0xff}))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value := frame(tt.id, tt.value)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := rejectOf(t, d, nil, value)
			runtime.ReadMemStats(&after)
			if r.Class != schemas.RejectDecode {
				t.Errorf("got %+v, want class decode", r)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
				t.Errorf("%d bytes of value made the decoder allocate %d bytes", len(value), n)
			}
		})
	}
}
