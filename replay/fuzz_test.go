package replay

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/trendbuy/riskscorer/broker"
)

// FuzzSource holds that the source which a result's last headers name is read back, whatever headers stand before them; that
// headers without one name none; and that a source which is read is what the headers say.
func FuzzSource(f *testing.F) {
	f.Add([]byte("a\x00b"), "order-features", 3, int64(77))
	f.Add([]byte(broker.HeaderSourceOffset+"\x00x\x00"+broker.HeaderSourceTopic+"\x00t"), "", -1, int64(-1))
	f.Add([]byte(broker.HeaderSourceOffset+"\x005\x00"+broker.HeaderSourceTopic+"\x00t\x00"+broker.HeaderSourcePartition+"\x002"), "t", 0, int64(0))
	f.Add([]byte(broker.HeaderSourcePartition+"\x0099999999999999999999"), "t", 1<<31-1, int64(1)<<62)
	f.Fuzz(func(t *testing.T, data []byte, topic string, partition int, offset int64) {
		var came []broker.Header
		last := map[string]string{}
		for parts := bytes.Split(data, []byte{0}); len(parts) > 1; parts = parts[2:] {
			came = append(came, broker.Header{Key: string(parts[0]), Value: parts[1]})
			last[string(parts[0])] = string(parts[1])
		}
		if p, ok := sourceOf(&broker.Record{Headers: came}); ok {
			n, err := strconv.Atoi(last[broker.HeaderSourcePartition])
			at, atErr := strconv.ParseInt(last[broker.HeaderSourceOffset], 10, 64)
			if err != nil || atErr != nil || p != (place{last[broker.HeaderSourceTopic], n, at}) {
				t.Errorf("%v are read as %+v", last, p)
			}
		}
		came = append(came,
			broker.Header{Key: broker.HeaderSourceTopic, Value: []byte(topic)},
			broker.Header{Key: broker.HeaderSourcePartition, Value: strconv.AppendInt(nil, int64(partition), 10)},
			broker.Header{Key: broker.HeaderSourceOffset, Value: strconv.AppendInt(nil, offset, 10)},
		)
		if p, ok := sourceOf(&broker.Record{Headers: came}); !ok || p != (place{topic, partition, offset}) {
			t.Errorf("%s/%d at %d, after %v, is read as %+v, %v", topic, partition, offset, last, p, ok)
		}
	})
}
