package broker

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"
)

// FuzzAnswer gives the decoder the body of an answer to a fetch. The batches in it get the lengths and checksums that
// fit, so that what is behind the checksum is reached as well.
func FuzzAnswer(f *testing.F) {
	for _, records := range [][]*Record{
		{{Value: []byte("value")}},
		{{Key: []byte("k"), Headers: []Header{{Key: "h", Value: []byte("x")}}}, {Value: []byte{}}, {}},
	} {
		b, err := new(Buffers).EncodeBatch(ProducerID{ID: 7}, 3, time.UnixMilli(1_700_000_000_000), records)
		if err != nil {
			f.Fatal(err)
		}
		for codec := range byte(5) {
			f.Add(b.Bytes(), codec, int64(0), true)
		}
		f.Add(append(b.Bytes(), b.Bytes()...), byte(transactional), int64(1), false)
		f.Add(b.Bytes(), byte(controlBatch), int64(0), true)
	}
	codecs := new(codecs)
	f.Fuzz(func(t *testing.T, set []byte, attributes byte, from int64, mend bool) {
		if from = max(from, 0); mend && len(set) > batchHeader {
			set = append([]byte(nil), set...)
			set[attributesAt+1] = attributes
			binary.BigEndian.PutUint32(set[batchLengthAt:], uint32(len(set)-batchLengthAt-4))
			binary.BigEndian.PutUint32(set[crcAt:], crc32.Checksum(set[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
		}
		const budget = 1 << 20
		out := Fetched{Next: from}
		r := reader{codecs: codecs, from: from, out: &out, aborted: newAborted(nil), budget: budget}
		err := r.readSet(set)
		held := 0
		for i := range out.Records {
			rec := &out.Records[i]
			if rec.Offset < from || rec.Offset >= out.Next {
				t.Errorf("record %d of a fetch from %d to %d has the offset %d", i, from, out.Next, rec.Offset)
			}
			held += recordOverhead + len(rec.Headers)*recordHeaderOverhead
		}
		if held > budget && len(out.Records) > 1 {
			t.Errorf("%d records take %d bytes", len(out.Records), held)
		}
		if out.Next < from || err != nil && len(out.Records) > 0 {
			t.Errorf("from %d to %d with %d records: %v", from, out.Next, len(out.Records), err)
		}
		a := rawAnswer{version: 4 + int16(attributes%8), memory: &memory{body: set}}
		if p, _, err := a.decode(); err == nil && len(p.set) > len(set) {
			t.Errorf("%d bytes out of %d", len(p.set), len(set))
		}
	})
}
