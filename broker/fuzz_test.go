package broker

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/protocol/fetch"
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

// FuzzRecordSet compresses what the fuzzer makes of a batch's records, so that what is behind the decompression is reached,
// and holds that every codec gives what the uncompressed batch gives: within a transaction or not, aborted or not, from
// any offset on.
func FuzzRecordSet(f *testing.F) {
	records := []*Record{
		{Key: []byte("k"), Value: []byte("value"), Headers: []Header{{Key: "h", Value: []byte("x")}, {Key: "n"}}},
		{Value: bytes.Repeat([]byte("long "), 2000)},
		{Key: []byte{0, 0, 0, 0}},
		{Key: []byte{}, Value: []byte{}},
	}
	b, err := new(Buffers).EncodeBatch(ProducerID{ID: 7}, 3, time.UnixMilli(1_700_000_000_000), records)
	if err != nil {
		f.Fatal(err)
	}
	body := b.Bytes()[batchHeader:]
	for _, attributes := range []byte{0, logAppendTime, transactional, transactional | controlBatch} {
		for from := range int64(4) {
			for codec := byte(1); codec <= javaSnappy; codec++ {
				f.Add(body, int16(len(records)), attributes|codec, from, from%2 == 0)
			}
		}
	}
	f.Add(body[:len(body)-1], int16(len(records)), byte(1), int64(0), false)
	p := newPacker(f)
	codecs := new(codecs)
	f.Fuzz(func(t *testing.T, body []byte, count int16, attributes byte, from int64, abort bool) {
		from = max(from, 0)
		read := func(codec byte, body []byte) Fetched {
			set := append(make([]byte, batchHeader), body...)
			set[magicAt] = 2
			set[attributesAt+1] = attributes&^codecMask | codec
			binary.BigEndian.PutUint32(set[batchLengthAt:], uint32(len(set)-batchLengthAt-4))
			binary.BigEndian.PutUint32(set[lastDeltaAt:], uint32(max(count, 1)-1))
			binary.BigEndian.PutUint32(set[countAt:], uint32(count))
			binary.BigEndian.PutUint32(set[crcAt:], crc32.Checksum(set[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
			out := Fetched{Next: from}
			r := reader{codecs: codecs, from: from, out: &out, aborted: newAborted(nil), budget: 1 << 30}
			if abort {
				r.aborted = newAborted([]fetch.ResponseTransaction{{ProducerID: 0, FirstOffset: 0}})
			}
			if err := r.readSet(set); err != nil && len(out.Records) > 0 {
				t.Errorf("codec %d: %d records and %v", codec, len(out.Records), err)
			}
			return out
		}
		plain := read(0, body)
		codec := attributes&codecMask%javaSnappy + 1
		id := codec
		if codec == javaSnappy {
			id = 2
		}
		got := read(id, p.pack(t, codec, body))
		if len(plain.Records)+len(got.Records) > 0 && !reflect.DeepEqual(got.Records, plain.Records) {
			t.Errorf("codec %d: %+v, uncompressed %+v", codec, got.Records, plain.Records)
		}
		// Bytes after the last record are a fault of an uncompressed batch only: Next may be further on.
		if got.Next < plain.Next || got.Skipped < plain.Skipped {
			t.Errorf("codec %d: to %d past %d, uncompressed to %d past %d", codec, got.Next, got.Skipped, plain.Next, plain.Skipped)
		}
	})
}

// javaSnappy is not a codec of its own: it is snappy in Java's framing, here two blocks of it.
const javaSnappy = 5

// packer compresses batches' records. Its writers are used again: making one costs more than what it compresses here.
type packer struct {
	gzip *gzip.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
}

func newPacker(tb testing.TB) *packer {
	tb.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		tb.Fatal(err)
	}
	return &packer{gzip: gzip.NewWriter(nil), lz4: lz4.NewWriter(nil), zstd: z}
}

func (p *packer) pack(t *testing.T, codec byte, body []byte) []byte {
	var packed bytes.Buffer
	var w io.WriteCloser
	switch codec {
	case 1:
		p.gzip.Reset(&packed)
		w = p.gzip
	case 2:
		return snappy.Encode(nil, body)
	case 3:
		p.lz4.Reset(&packed)
		w = p.lz4
	case 4:
		return p.zstd.EncodeAll(body, nil)
	default:
		framed := append(bytes.Clone(xerialHeader), make([]byte, 8)...)
		for _, half := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
			block := snappy.Encode(nil, half)
			framed = append(binary.BigEndian.AppendUint32(framed, uint32(len(block))), block...)
		}
		return framed
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
