package scoring

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const (
	predictionDomain = "riskscorer/prediction/1\x00"
	inputDomain      = "riskscorer/input/1\x00"
	canonicalNaN     = 0x7ff8000000000000
)

// PredictionID identifies what a decision was made of: lower-case hex of the first 16 bytes of SHA-256 over the
// domain "riskscorer/prediction/1" and a zero byte; the engine id and the order id, each with its length (u32) before it;
// the order's version (i64); the model digest; the row's length (u32) and its values' bits (u64 each), all big-endian.
// Values are rounded to float32 first where single says that the forest does so; every NaN is one NaN, and -0 is 0.
func PredictionID(engine string, digest bundle.Digest, o *Order, single bool) string {
	b := make([]byte, 0, 512)
	b = append(b, predictionDomain...)
	b = appendText(b, engine)
	b = appendText(b, o.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Version)) // #nosec G115 -- two's complement is the format
	b = append(b, digest[:]...)
	sum := sha256.Sum256(appendRow(b, o.Row, single))
	return hex.EncodeToString(sum[:16])
}

// InputDigest identifies what a model sees of an order: lower-case hex of SHA-256 over the domain "riskscorer/input/1" and a
// zero byte, and then the row as PredictionID has it: its length (u32) and its values' bits (u64 each), big-endian.
func InputDigest(row []float64, single bool) string {
	b := make([]byte, 0, 256)
	b = append(b, inputDomain...)
	sum := sha256.Sum256(appendRow(b, row, single))
	return hex.EncodeToString(sum[:])
}

// InputDigest returns the digest of an order's row as this scorer's model sees it.
func (s *Scorer) InputDigest(o *Order) string { return InputDigest(o.Row, !s.contract.wide) }

func appendRow(b []byte, row []float64, single bool) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(row))) // #nosec G115 -- at most 4,096 features
	for _, x := range row {
		b = binary.BigEndian.AppendUint64(b, rowBits(x, single))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) // #nosec G115 -- order ids and engine ids are short
	return append(b, s...)
}

func rowBits(x float64, single bool) uint64 {
	if math.IsNaN(x) {
		return canonicalNaN
	}
	if single {
		x = float64(float32(x))
	}
	if x == 0 {
		return 0
	}
	return math.Float64bits(x)
}
