package verify

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Rule is one of the promises that Check proves.
type Rule string

// The rules, in the words of a report, under the numbers that docs/reliability.md gives the invariants.
const (
	RuleLost      Rule = "I1 every input has an output"
	RuleEither    Rule = "I1 a result or a dead letter, not both"
	RuleOutcome   Rule = "I1 the outcome is the expected one"
	RuleDecision  Rule = "I2 results are the training library's"
	RuleUntouched Rule = "I2 dead letters are the input, with its reason"
	RuleIdentical Rule = "I3 duplicates are identical"
	RuleVersion   Rule = "I4 the highest version of an order is its last word"
	RuleCommit    Rule = "I5 offsets are committed after the output"
	RuleForward   Rule = "I5 committed offsets never go back"
	RuleFromInput Rule = "I6 every output has an input"
	RuleRecovery  Rule = "I7 lag returns to 0 in bounded time"
)

const (
	maxExamples    = 10 // kept of each rule
	maxExampleText = 600
)

// Report is what Check found.
type Report struct {
	Orders      int             // inputs, tombstones included
	Results     int             // distinct
	Duplicates  int             // results and dead letters beyond the first of their input
	Skipped     int             // tombstones
	Longest     time.Duration   // recovery from a fault
	DeadLetters map[Outcome]int // distinct, by reject class
	Faults      map[Rule]int    // how often each broken rule was broken
	Examples    map[Rule][]string
}

func (r *Report) add(rule Rule, example string) {
	r.Faults[rule]++
	if len(r.Examples[rule]) < maxExamples {
		r.Examples[rule] = append(r.Examples[rule], example[:min(len(example), maxExampleText)])
	}
}

// Err is nil if every rule held, and else names the broken ones with examples.
func (r *Report) Err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	var text strings.Builder
	for _, rule := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(&text, "\n%q broken %d times, for example:\n\t%s", rule, r.Faults[rule], strings.Join(r.Examples[rule], "\n\t"))
	}
	return fmt.Errorf("promises broken:%s", text.String())
}

// String is the report in one line.
func (r *Report) String() string {
	letters := 0
	classes := make([]string, 0, len(r.DeadLetters))
	for _, class := range slices.Sorted(maps.Keys(r.DeadLetters)) {
		letters += r.DeadLetters[class]
		classes = append(classes, fmt.Sprintf("%s %d", class, r.DeadLetters[class]))
	}
	return fmt.Sprintf("%d orders = %d results + %d dead letters (%s) + %d skipped; %d duplicates",
		r.Orders, r.Results, letters, strings.Join(classes, ", "), r.Skipped, r.Duplicates)
}

// String names the input in messages.
func (in *Input) String() string {
	return fmt.Sprintf("%s at partition %d offset %d", in.Kind, in.Partition, in.Offset)
}

// Check judges everything observed against the inputs, which are all that the broker acknowledged.
func (l *Ledger) Check(ctx context.Context, inputs []Input, decoder *Decoder) *Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	report := &Report{
		Orders: len(inputs), DeadLetters: make(map[Outcome]int),
		Faults: make(map[Rule]int), Examples: make(map[Rule][]string),
	}
	known := make(map[Source]bool, len(inputs))
	orders := make(versions)
	for i := range inputs {
		in := &inputs[i]
		known[in.Source] = true
		l.judge(ctx, in, decoder, orders, report)
	}
	orders.judge(report)
	for source, o := range l.outputs {
		if !known[source] {
			report.add(RuleFromInput, fmt.Sprintf("%v is made of partition %d offset %d, which was never acknowledged",
				o.places[0], source.Partition, source.Offset))
		}
	}
	for _, what := range l.unmatched {
		report.add(RuleFromInput, what)
	}
	l.judgeCommits(inputs, report)
	l.judgeRecoveries(report)
	return report
}

// judge applies the rules about one input and what was made of it.
func (l *Ledger) judge(ctx context.Context, in *Input, decoder *Decoder, orders versions, report *Report) {
	o := l.outputs[in.Source]
	if in.Want == Result {
		orders.send(in.Decision)
	}
	if in.Want == Skipped {
		report.Skipped++
		if o != nil {
			report.add(RuleOutcome, fmt.Sprintf("%s: %d outputs, want none", in, len(o.places)))
		}
		return
	}
	if o == nil {
		report.add(RuleLost, in.String())
		return
	}
	report.Duplicates += len(o.places) - 1
	if o.results > 0 && len(o.letters) > 0 {
		report.add(RuleEither, in.String())
		return
	}
	for _, at := range o.differing {
		report.add(RuleIdentical, fmt.Sprintf("%s: the result at %v differs from that at %v", in, at, o.places[0]))
	}
	if o.results > 0 {
		report.Results++
		l.judgeResult(ctx, in, o, decoder, orders, report)
	}
	if len(o.letters) > 0 {
		judgeLetters(in, o.letters, report)
	}
}

func (l *Ledger) judgeResult(ctx context.Context, in *Input, o *output, decoder *Decoder, orders versions, report *Report) {
	if in.Want != Result {
		report.add(RuleOutcome, fmt.Sprintf("%s: a result, want a dead letter of class %s", in, in.Want))
		return
	}
	result, err := decoder.Decode(ctx, o.value)
	if err != nil {
		report.add(RuleDecision, fmt.Sprintf("%s: %v", in, err))
		return
	}
	orders.decide(&result)
	differences := in.Decision.Differences(&result)
	if string(o.key) != in.Decision.OrderID {
		differences = append(differences, fmt.Sprintf("key is %q, want %q", o.key, in.Decision.OrderID))
	}
	if occurred := timeOf(result.OccurredAt); !occurred.Equal(in.OccurredAt) {
		differences = append(differences, fmt.Sprintf("occurred_at is %v, want %v", occurred, in.OccurredAt))
	}
	if trace := traceOf(in.Headers); !bytes.Equal(o.trace, trace) {
		differences = append(differences, fmt.Sprintf("header %s is %q, want %q", traceparent, o.trace, trace))
	}
	if len(differences) > 0 {
		report.add(RuleDecision, fmt.Sprintf("%s: %s", in, strings.Join(differences, "; ")))
	}
}

func traceOf(headers []kgo.RecordHeader) []byte {
	value, _ := header(&kgo.Record{Headers: headers}, traceparent)
	return value
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func judgeLetters(in *Input, letters []*kgo.Record, report *Report) {
	for i, letter := range letters {
		class, err := requiredHeader(letter, "riskscorer.reject.class")
		if err != nil {
			report.add(RuleUntouched, fmt.Sprintf("%s: %v", in, err))
			continue
		}
		if i == 0 {
			report.DeadLetters[Outcome(class)]++
		}
		if Outcome(class) != in.Want {
			report.add(RuleOutcome, fmt.Sprintf("%s: a dead letter of class %s, want %s", in, class, in.Want))
		}
		for _, difference := range letterDifferences(in, letter) {
			report.add(RuleUntouched, fmt.Sprintf("%s: %s", in, difference))
		}
	}
}

// letterDifferences says where a dead letter is not its input, or lacks the words that explain it.
func letterDifferences(in *Input, letter *kgo.Record) []string {
	var out []string
	if !bytes.Equal(letter.Key, in.Key) || (letter.Key == nil) != (in.Key == nil) {
		out = append(out, "the key was changed")
	}
	if !bytes.Equal(letter.Value, in.Value) || (letter.Value == nil) != (in.Value == nil) {
		out = append(out, "the value was changed")
	}
	if !beginsWith(letter.Headers, in.Headers) {
		out = append(out, "the headers were changed")
	}
	for _, name := range []string{"__connect.errors.stage", "__connect.errors.exception.class.name", "__connect.errors.exception.message"} {
		if _, err := requiredHeader(letter, name); err != nil {
			out = append(out, err.Error())
		}
	}
	if attempt, _ := header(letter, "riskscorer.attempt"); string(attempt) != "1" {
		out = append(out, fmt.Sprintf("header riskscorer.attempt is %q, want 1", attempt))
	}
	return out
}

// beginsWith says whether the first headers are those of the input, in order and byte for byte.
func beginsWith(headers, first []kgo.RecordHeader) bool {
	return len(headers) >= len(first) && slices.EqualFunc(headers[:len(first)], first, func(a, b kgo.RecordHeader) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
	})
}
