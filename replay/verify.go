package replay

import (
	"bytes"
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

// Outcome says what became of the replay of one event.
type Outcome string

// The outcomes.
const (
	Identical Outcome = "identical" // key and value of the result are the same, byte for byte
	Different Outcome = "different"
	NoResult  Outcome = "no result" // no result names the event: it became a dead letter, or is not processed yet
	Tombstone Outcome = "tombstone" // the event has no value, so nothing becomes of it
)

// Verdict compares a recorded result with the same decision made anew.
type Verdict struct {
	Pair
	Outcome     Outcome
	Reject      *schemas.Reject // why the model refuses the event today; nil if it does not
	Differences []Difference    // none if it is refused
}

// Difference is one field of a result, by its pointer (RFC 6901) in the result's JSON form; empty text is no such field.
type Difference struct {
	Field      string `json:"field"`
	Recorded   string `json:"recorded"`
	Recomputed string `json:"recomputed"`
}

// Verify decides each event again, with the model and engine that its result names, and compares.
func (m *Models) Verify(ctx context.Context, pairs []Pair) ([]Verdict, error) {
	out := make([]Verdict, len(pairs))
	byModel := make(map[*Model][]int)
	for i := range pairs {
		out[i].Pair = pairs[i]
		switch {
		case pairs[i].Event.Value == nil:
			out[i].Outcome = Tombstone
		case pairs[i].Result == nil:
			out[i].Outcome = NoResult
		default:
			model, err := m.get(pairs[i].Result)
			if err != nil {
				return nil, err
			}
			byModel[model] = append(byModel[model], i)
		}
	}
	for model, indexes := range byModel {
		events := make([]*broker.Record, len(indexes))
		for n, i := range indexes {
			events[n] = &pairs[i].Event
		}
		decisions, err := model.decide(ctx, events)
		if err != nil {
			return nil, err
		}
		for n, i := range indexes {
			if out[i].Reject = decisions[n].reject; out[i].Reject != nil {
				out[i].Outcome = Different
				continue
			}
			if err := model.judge(&out[i], &decisions[n]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// judge compares the recorded result with a decision about the same event.
func (m *Model) judge(v *Verdict, d *decided) error {
	v.Outcome = Different
	encoder, err := m.encoder(v.Result.Value)
	if err != nil {
		return err
	}
	value, err := encoder.AppendTo(nil, &d.order, &d.decision)
	if err != nil {
		return err
	}
	if bytes.Equal(value, v.Result.Value) && string(v.Result.Key) == d.order.ID {
		v.Outcome = Identical
		return nil
	}
	view, err := schemas.NewJSONResults(m.name).AppendTo(nil, &d.order, &d.decision)
	if err != nil {
		return err
	}
	v.Differences = append(differences(v.Result.View, view), keyDifference(v.Result.Key, d.order.ID)...)
	if len(v.Differences) == 0 {
		v.Differences = []Difference{{"value", fmt.Sprintf("%d bytes", len(v.Result.Value)), fmt.Sprintf("%d bytes of other coding, field by field the same", len(value))}}
	}
	return nil
}

func keyDifference(recorded []byte, id string) []Difference {
	if string(recorded) == id {
		return nil
	}
	return []Difference{{"key", string(recorded), id}}
}

// differences compares two JSON objects by their leaves: those of the first in its order, then what only the second has.
func differences(recorded, recomputed []byte) []Difference {
	before, after := leaves(recorded), leaves(recomputed)
	texts := make(map[string]string, len(after))
	for _, l := range after {
		texts[l.pointer] = l.text
	}
	var out []Difference
	for _, l := range before {
		text := texts[l.pointer]
		delete(texts, l.pointer)
		if text != l.text {
			out = append(out, Difference{l.pointer, l.text, text})
		}
	}
	for _, l := range after {
		if text, only := texts[l.pointer]; only {
			out = append(out, Difference{l.pointer, "", text})
		}
	}
	return out
}

// leaf is a value that has no parts, or an empty array or object.
type leaf struct{ pointer, text string }

func leaves(view []byte) []leaf {
	var out []leaf
	dec := jsontext.NewDecoder(bytes.NewReader(view))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return out // the end: a view is JSON
		}
		switch kind := token.Kind(); kind {
		case '{', '[':
			if next := dec.PeekKind(); next == '}' || next == ']' {
				out = append(out, leaf{string(dec.StackPointer()), string(kind) + string(next)})
			}
		case '}', ']':
		default:
			// A member's name comes as a token, too: its place in the object is even.
			if in, n := dec.StackIndex(dec.StackDepth()); in == '{' && n%2 == 1 {
				continue
			}
			out = append(out, leaf{string(dec.StackPointer()), token.String()})
		}
	}
}
