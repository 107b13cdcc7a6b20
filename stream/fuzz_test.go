package stream_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
)

// headersOf reads names and values in turn, between zeros; a name without a value has null.
func headersOf(data []byte) (all []broker.Header) {
	parts := bytes.Split(data, []byte{0})
	for i := 0; i < len(parts); i += 2 {
		h := broker.Header{Key: string(parts[i])}
		if i+1 < len(parts) {
			h.Value = parts[i+1]
		}
		all = append(all, h)
	}
	return all
}

// FuzzHeaders redrives a bad record with any headers again and again, and sends a good one: what came stays, what is written
// is read back, attempts only grow, up to the largest count, and headers do not.
func FuzzHeaders(f *testing.F) {
	for _, text := range []string{
		"", "a=b", broker.HeaderAttempt + "=1", broker.HeaderAttempt + "=3=" + broker.HeaderAttempt + "=1", broker.HeaderAttempt + "=x",
		broker.HeaderAttempt + "=9223372036854775807", broker.HeaderAttempt + "=99999999999999999999", broker.HeaderAttempt + "=-1",
		broker.HeaderAttempt + "=2=" + broker.HeaderAttempt + "=x", broker.HeaderRejectClass + "=decode=" + broker.HeaderTraceparent + "=00-1-2-03",
		broker.HeaderErrorTopic + "=t=" + broker.HeaderErrorPartition + "=2=" + broker.HeaderErrorOffset + "=5",
		broker.HeaderErrorPartition + "=7=" + broker.HeaderErrorTopic, broker.HeaderSourceOffset + "=4=" + broker.HeaderStale + "=true",
	} {
		f.Add([]byte(strings.ReplaceAll(text, "=", "\x00")), int64(3))
	}
	s := newSetup(f)
	order := ordergen.New(ordergen.Config{Seed: 8}).Next()
	good := order.AppendJSON(nil)
	handle := func(t *testing.T, r broker.Record) broker.Record {
		s.published.records = nil
		if err := s.worker.Handle(t.Context(), []broker.Record{r}); err != nil || len(s.published.records) != 1 {
			t.Fatalf("%d records, %v", len(s.published.records), err)
		}
		return s.published.records[0]
	}
	f.Fuzz(func(t *testing.T, data []byte, offset int64) {
		came := headersOf(data)
		checkResult(t, handle(t, record(offset, nil, good, came...)), came, offset)
		_, redriven := headers(broker.Record{Headers: came})[broker.HeaderErrorTopic]
		before, size := attempts(came), len(came)+8
		for i := range int64(3) {
			letter := deadletter.Read(handle(t, record(offset+i, nil, []byte("bad"), came...)))
			if letter.Attempt < min(before, math.MaxInt32-1)+1 {
				t.Errorf("attempt %d after %d", letter.Attempt, before)
			}
			if letter.Class != schemas.RejectFrame || string(letter.Value) != "bad" {
				t.Errorf("class %q, value %q", letter.Class, letter.Value)
			}
			if first := (deadletter.Source{Topic: "orders", Partition: 3, Offset: offset}); !redriven && letter.Source != first {
				t.Errorf("refusal %d: source %+v, want %+v", i+1, letter.Source, first)
			}
			if got, want := fmt.Sprint(others(letter.Headers)), fmt.Sprint(others(came)); got != want || len(letter.Headers) > size {
				t.Errorf("refusal %d: %d headers, %s, want at most %d, %s", i+1, len(letter.Headers), got, size, want)
			}
			before, size, came = letter.Attempt, len(letter.Headers), letter.Headers
		}
	})
}

// checkResult holds that a result says which record it came from, and carries that one's trace.
func checkResult(t *testing.T, result broker.Record, came []broker.Header, offset int64) {
	t.Helper()
	trace := slices.IndexFunc(came, func(h broker.Header) bool { return h.Key == broker.HeaderTraceparent })
	want := map[string]string{
		broker.HeaderSourceTopic: "orders", broker.HeaderSourcePartition: "3", broker.HeaderSourceOffset: strconv.FormatInt(offset, 10),
	}
	if trace >= 0 {
		want[broker.HeaderTraceparent] = string(came[trace].Value)
	}
	if got := headers(result); !maps.Equal(got, want) || len(result.Headers) != len(want) {
		t.Errorf("a result with %v, want %v", got, want)
	}
}

// attempts is the largest count that the headers name, as far as an int32 goes; 0 is none.
func attempts(all []broker.Header) (most int) {
	for _, h := range all {
		n, ok := new(big.Int).SetString(string(h.Value), 10)
		if h.Key == broker.HeaderAttempt && ok && n.Sign() > 0 {
			if n.BitLen() > 31 {
				return math.MaxInt32
			}
			most = max(most, int(n.Int64()))
		}
	}
	return most
}

// others are the headers that a dead letter has no names of.
func others(all []broker.Header) []broker.Header {
	return slices.DeleteFunc(slices.Clone(all), func(h broker.Header) bool {
		return h.Key == broker.HeaderAttempt || h.Key == broker.HeaderRejectClass || strings.HasPrefix(h.Key, "__connect.errors.")
	})
}
