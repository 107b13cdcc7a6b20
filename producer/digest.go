package producer

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/trendbuy/riskscorer/broker"
)

type digest [sha256.Size]byte

func digests(records []broker.Record) []digest {
	out := make([]digest, len(records))
	for i := range records {
		out[i] = digestOf(&records[i])
	}
	return out
}

// digestOf identifies a record by all that matters of it: not its time, nor the trace that one attempt ran under, nor
// whether its event has become stale between two attempts.
func digestOf(r *broker.Record) digest {
	h := sha256.New()
	writeField(h, []byte(r.Topic))
	writeField(h, r.Key)
	writeField(h, r.Value)
	for _, header := range r.Headers {
		if header.Key != broker.HeaderTraceparent && header.Key != broker.HeaderStale {
			writeField(h, []byte(header.Key))
			writeField(h, header.Value)
		}
	}
	return digest(h.Sum(nil))
}

// writeField writes a length, with null apart from empty, before the bytes, so that fields cannot run together.
func writeField(h hash.Hash, b []byte) {
	n := int64(len(b))
	if b == nil {
		n = -1
	}
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(n))
	h.Write(size[:])
	h.Write(b)
}
