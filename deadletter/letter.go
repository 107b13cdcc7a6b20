// Package deadletter provides dead letters to operators: it lists and shows them, and redrives them into the topic of
// orders. It reads a topic once, in order and a fetch at a time: nothing of it is collected.
package deadletter

import (
	"slices"
	"strconv"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

// Letter is a dead letter: the record as it stands in the topic of dead letters, key and value as upstream sent them, and
// what its headers say of why it is there.
type Letter struct {
	broker.Record
	Class   schemas.RejectClass // of its last refusal; empty if the record does not say
	Attempt int                 // 1 for a first dead letter, one more for each redrive; 0 if the record does not say
	Source  Source              // of its first refusal
	Stage   string
	Detail  string // what was wrong at its first refusal, without a feature's value
}

// Source is the record that was refused; the zero Topic says that the letter does not name it.
type Source struct {
	Topic     string
	Partition int
	Offset    int64
}

// Read reads the headers of a record of the topic of dead letters. Of several headers of one name the last holds: the
// others came with the event. The largest count of attempts holds.
func Read(r broker.Record) Letter {
	l := Letter{Record: r, Attempt: broker.Attempt(r.Headers)}
	seen := make(map[string]bool, len(r.Headers))
	for _, h := range slices.Backward(r.Headers) {
		if seen[h.Key] {
			continue
		}
		seen[h.Key] = true
		text := string(h.Value)
		switch h.Key {
		case broker.HeaderRejectClass:
			l.Class = schemas.RejectClass(text)
		case broker.HeaderErrorTopic:
			l.Source.Topic = text
		case broker.HeaderErrorPartition:
			l.Source.Partition, _ = strconv.Atoi(text) // one that is no number was not ours, and is only shown
		case broker.HeaderErrorOffset:
			l.Source.Offset, _ = strconv.ParseInt(text, 10, 64) // as above
		case broker.HeaderErrorStage:
			l.Stage = text
		case broker.HeaderErrorExceptionMessage:
			l.Detail = text
		}
	}
	return l
}

// redriven is the letter as a record for the topic of orders: key, value and headers unchanged, and a count of attempts
// where the letter has none.
func (l *Letter) redriven(topic string) broker.Record {
	headers := l.Headers
	if l.Attempt == 0 {
		headers = append(slices.Clone(headers), broker.Header{Key: broker.HeaderAttempt, Value: []byte("1")})
	}
	return broker.Record{Topic: topic, Key: l.Key, Value: l.Value, Headers: headers}
}
