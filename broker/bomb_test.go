package broker_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
)

// compressors are the codecs by their number in a batch's attributes.
var compressors = map[string]struct {
	codec byte
	open  func(io.Writer) (io.WriteCloser, error)
}{
	"gzip":   {1, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }},
	"snappy": {2, func(w io.Writer) (io.WriteCloser, error) { return &snappyBlock{w: w}, nil }},
	"lz4":    {3, func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil }},
	"zstd":   {4, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }},
}

// snappyBlock collects what is written and encodes it as one block.
type snappyBlock struct {
	bytes.Buffer
	w io.Writer
}

func (s *snappyBlock) Close() error {
	_, err := s.w.Write(snappy.Encode(nil, s.Bytes()))
	return err
}

// pack makes a batch of count records out of the bytes that write writes.
func pack(t *testing.T, name string, count uint32, write func(io.Writer)) []byte {
	t.Helper()
	var body bytes.Buffer
	c, err := compressors[name].open(&body)
	if err != nil {
		t.Fatal(err)
	}
	write(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return batchOf(t, compressors[name].codec, count, body.Bytes())
}

// batchOf makes a batch of what its records are, or are said to be, as they stand in it.
func batchOf(t *testing.T, codec byte, count uint32, body []byte) []byte {
	t.Helper()
	raw := bytes.Clone(encode(t, broker.ProducerID{ID: 1}, 0, broker.Record{}).Bytes()[:61])
	raw = append(raw, body...)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	raw[22] = codec
	binary.BigEndian.PutUint32(raw[23:], count-1)
	binary.BigEndian.PutUint32(raw[57:], count)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// appendRecord appends a record with an empty key and n zeros for its value, as it stands in a batch.
func appendRecord(b []byte, delta, n int64) []byte {
	body := []byte{0, 0}
	body = binary.AppendVarint(body, delta)
	body = binary.AppendVarint(body, 0)
	body = binary.AppendVarint(body, n)
	body = append(body, make([]byte, n)...)
	body = append(body, 0)
	return append(binary.AppendVarint(b, int64(len(body))), body...)
}

// serve lets the cluster answer every fetch with the set.
func serve(cluster *kfake.Cluster, set []byte, high int64) {
	cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return fetchResponse(r, set, high), nil, true
	})
}

// fetchMeasured fetches once and returns the bytes that were allocated for it, by the in-memory broker too.
func fetchMeasured(t *testing.T, c *broker.Client, at int64) (broker.Fetched, uint64, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Offset: at, MaxBytes: 1 << 20, MaxWait: 10 * time.Millisecond})
	runtime.ReadMemStats(&after)
	return f, after.TotalAlloc - before.TotalAlloc, err
}

// A batch that is little as it travels must not become much in memory: neither many records, nor one.
func TestBombsAreDefused(t *testing.T) {
	const whole = 64 << 20
	for name := range compressors {
		t.Run(name, func(t *testing.T) {
			size := whole
			if name == "snappy" {
				size = 12 << 20 // what 1 MiB of snappy can be at most is some 21 times as much
			}
			cluster := startCluster(t)
			c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
			const each = 1000
			count := int64(size / each)
			many := pack(t, name, uint32(count), func(w io.Writer) {
				var b []byte
				for i := range count {
					if b = appendRecord(b, i, each-20); len(b) > 1<<20 {
						_, _ = w.Write(b)
						b = b[:0]
					}
				}
				_, _ = w.Write(b)
			})
			serve(cluster, many, count)
			next := int64(0)
			for range 3 { // it goes on where it stopped
				f, allocated, err := fetchMeasured(t, c, next)
				if err != nil || len(f.Records) == 0 || f.Next != next+int64(len(f.Records)) || f.Records[0].Offset != next {
					t.Fatalf("%d records at %d, next %d: %v", len(f.Records), next, f.Next, err)
				}
				if held := len(f.Records) * each; held > broker.FetchExpansion<<20 {
					t.Errorf("%d bytes of records were taken", held)
				}
				if allocated > 24<<20 {
					t.Errorf("a batch of %d bytes that holds %d cost %d", len(many), size, allocated)
				}
				next = f.Next
			}

			one := pack(t, name, 1, func(w io.Writer) { _, _ = w.Write(appendRecord(nil, 0, int64(size))) })
			cluster = startCluster(t)
			c = connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
			serve(cluster, one, 1)
			if f, allocated, err := fetchMeasured(t, c, 0); broker.KindOf(err) != broker.KindTooLarge || allocated > 24<<20 {
				t.Errorf("one record of %d bytes: %d records for %d bytes, %v", size, len(f.Records), allocated, err)
			}
		})
	}
}

// What a batch says of itself is not believed before there is something to it.
func TestFalseClaimsCostNothing(t *testing.T) {
	hugeWindow := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3} // a zstd frame with a window of 2 GiB
	for name, set := range map[string][]byte{
		"two thousand million records": batchOf(t, 0, 1<<31-1, appendRecord(nil, 0, 5)),
		"the same, compressed":         batchOf(t, 4, 1<<31-1, zstdOf(t, appendRecord(nil, 0, 5))),
		"a snappy block of 4 GiB":      batchOf(t, 2, 1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}),
		"a framed snappy block":        batchOf(t, 2, 1, append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"), 0xff, 0xff, 0xff, 0xff, 1)),
		"a zstd window of 2 GiB":       batchOf(t, 4, 1, hugeWindow),
		"a zstd window of 32 MiB":      batchOf(t, 4, 1, wideWindow(t, appendRecord(nil, 0, 5))),
		"a thousand million headers":   batchOf(t, 0, 1, binary.AppendVarint([]byte{2 * 11, 0, 0, 0, 1, 1}, 1<<30)),
		"a record beyond its batch":    batchOf(t, 0, 1, []byte{100, 0, 0, 0, 1, 1, 0}),
		"a codec that there is not":    batchOf(t, 7, 1, appendRecord(nil, 0, 5)),
		"no gzip":                      batchOf(t, 1, 1, []byte("not gzip")),
		"no lz4":                       batchOf(t, 3, 1, []byte("not lz4")),
	} {
		t.Run(name, func(t *testing.T) {
			cluster := startCluster(t)
			c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
			serve(cluster, set, 1)
			var last error
			for next := int64(0); next < 3 && last == nil; { // what is sound before it is read
				f, allocated, err := fetchMeasured(t, c, next)
				if allocated > 24<<20 {
					t.Fatalf("cost %d bytes", allocated)
				}
				if last = err; err == nil && f.Next == next {
					break
				}
				next = f.Next
			}
			if broker.KindOf(last) != broker.KindCorrupt {
				t.Errorf("got %v (%v)", last, broker.KindOf(last))
			}
		})
	}
}

// wideWindow makes a sound frame for which a decoder would have to keep 32 MiB.
func wideWindow(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{b[:1], b[1:]} { // in parts, so that the frame does not have its size in its header
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Records of a few bytes take far more to describe: they come in parts, too.
func TestTinyRecordsComeInParts(t *testing.T) {
	const count = 60_000
	var body []byte
	for i := range int64(count) {
		body = appendRecord(body, i, 0)
	}
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	serve(cluster, batchOf(t, 0, count, body), count)
	next := int64(0)
	for fetches := 1; next < count; fetches++ {
		f, allocated, err := fetchMeasured(t, c, next)
		if err != nil || len(f.Records) == 0 || f.Next != next+int64(len(f.Records)) {
			t.Fatalf("%d records at %d, next %d: %v", len(f.Records), next, f.Next, err)
		}
		if len(f.Records) > broker.FetchExpansion<<20/100 || allocated > 24<<20 {
			t.Errorf("%d bytes became %d records, which cost %d", len(body), len(f.Records), allocated)
		}
		next = f.Next
	}
}

func zstdOf(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}
