// Package verify provides the judge of a run: from what the broker acknowledged, what it holds afterwards, and what the
// training library computes for the same orders, it proves riskscorer's promises or names the record that breaks one.
//
// It shares no client, codec or type with the product. Records are matched by the source that outputs name in their
// headers, never by order or time.
package verify

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Source is the place of an input record in the orders topic.
type Source struct {
	Partition int32
	Offset    int64
}

// traceparent is the header that carries a trace from an order event to its result.
const traceparent = "traceparent"

// Outcome is what a record becomes: Result, Skipped, or the reject class of its dead letter.
type Outcome string

// The outcomes that are not reject classes.
const (
	Result  Outcome = "result"
	Skipped Outcome = "skipped" // a tombstone: no output at all
)

// Input is one record that the broker acknowledged, and what must become of it.
type Input struct {
	Source
	Kind    string // how the record was made, for messages
	Key     []byte // nil is Kafka's null, as in Value
	Value   []byte
	Headers []kgo.RecordHeader
	Want    Outcome
	// The rest is set where Want is Result.
	OccurredAt time.Time
	Decision   *Decision
}

// Topics are the three topics of a run.
type Topics struct {
	Orders, Results, DeadLetters string
}

// place is where an output stands.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// output is all that was made of one input record.
type output struct {
	places    []place
	seen      time.Time // when the first one was observed
	produced  time.Time // by the first one's own timestamp
	key       []byte    // of the first result
	value     []byte
	trace     []byte // the first result's traceparent; nil is none
	results   int
	letters   []*kgo.Record
	differing []place // results whose key or value differ from the first one's
}

// Ledger collects the outputs of a run while it goes on. Its methods may be called from several goroutines.
type Ledger struct {
	topics Topics

	mu        sync.Mutex
	outputs   map[Source]*output
	observed  int64
	unmatched []string // outputs that name no source
	commits   []Commit
	recovered []Recovery
}

// NewLedger returns an empty Ledger for a run on these topics.
func NewLedger(topics Topics) *Ledger {
	return &Ledger{topics: topics, outputs: make(map[Source]*output)}
}

// Seen returns of how many input records an output was observed.
func (l *Ledger) Seen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outputs)
}

// Observed returns how many outputs were observed, duplicates included.
func (l *Ledger) Observed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.observed
}

// Value returns the value of an input's first result, nil without one. The caller must not change it.
func (l *Ledger) Value(s Source) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.outputs[s]; o != nil {
		return o.value
	}
	return nil
}

// Observe takes a record of the results or dead letters topic, and keeps it.
func (l *Ledger) Observe(r *kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observed++
	prefix := "riskscorer.source."
	if r.Topic == l.topics.DeadLetters {
		prefix = "__connect.errors."
	}
	source, err := sourceOf(r, prefix, l.topics.Orders)
	if err != nil {
		l.unmatched = append(l.unmatched, fmt.Sprintf("%s-%d offset %d: %v", r.Topic, r.Partition, r.Offset, err))
		return
	}
	o := l.outputs[source]
	if o == nil {
		o = &output{seen: time.Now(), produced: r.Timestamp}
		l.outputs[source] = o
	}
	at := place{r.Topic, r.Partition, r.Offset}
	o.places = append(o.places, at)
	switch {
	case r.Topic == l.topics.DeadLetters:
		o.letters = append(o.letters, r)
		return
	case o.results == 0:
		o.key, o.value = r.Key, r.Value
		o.trace, _ = header(r, traceparent)
	case !bytes.Equal(o.key, r.Key) || !bytes.Equal(o.value, r.Value):
		o.differing = append(o.differing, at)
	}
	o.results++
}

// sourceOf reads the input record that an output's headers name.
func sourceOf(r *kgo.Record, prefix, topic string) (Source, error) {
	named, err := requiredHeader(r, prefix+"topic")
	if err != nil {
		return Source{}, err
	}
	if string(named) != topic {
		return Source{}, fmt.Errorf("header %stopic is %q, want %q", prefix, named, topic)
	}
	partition, err := number(r, prefix+"partition", 32)
	if err != nil {
		return Source{}, err
	}
	offset, err := number(r, prefix+"offset", 64)
	return Source{int32(partition), offset}, err //nolint:gosec // parsed as 32 bits
}

func number(r *kgo.Record, name string, bits int) (int64, error) {
	text, err := requiredHeader(r, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("header %s: %w", name, err)
	}
	return n, nil
}

// header returns a header's value. Of several the last one holds: the first may be the event's own.
func header(r *kgo.Record, name string) (value []byte, found bool) {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == name {
			return h.Value, true
		}
	}
	return nil, false
}

func requiredHeader(r *kgo.Record, name string) ([]byte, error) {
	value, found := header(r, name)
	if !found || len(value) == 0 {
		return nil, fmt.Errorf("header %s is absent or empty", name)
	}
	return value, nil
}
