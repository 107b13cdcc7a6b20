package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

func newDLQCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List, show and redrive dead letters",
		Long: `List, show and redrive dead letters: the order events that the stream refused, as they came. The connection and the
topics' names come from the service's own environment variables (KAFKA_BROKERS, DEAD_LETTERS_TOPIC, ...).`,
	}
	cmd.AddCommand(newDLQListCommand(), newDLQShowCommand(), newDLQRedriveCommand())
	return cmd
}

// letterFlags choose dead letters.
type letterFlags struct {
	classes      []string
	order        string
	since, until string
	partitions   []int
	limit        int
}

func (f *letterFlags) register(cmd *cobra.Command, limit int) {
	cmd.Flags().StringSliceVar(&f.classes, "class", nil, "only letters of this reject class (repeatable), for example feature_range")
	cmd.Flags().StringVar(&f.order, "order", "", "only letters of this order")
	cmd.Flags().StringVar(&f.since, "since", "", "only letters written since then: RFC 3339, a date, or a duration before now like 24h")
	cmd.Flags().StringVar(&f.until, "until", "", "only letters written before then")
	cmd.Flags().IntSliceVar(&f.partitions, "partition", nil, "only letters of this partition of the topic of dead letters (repeatable)")
	cmd.Flags().IntVar(&f.limit, "limit", limit, "at most so many letters; 0 is no limit")
}

func (f *letterFlags) filter() (deadletter.Filter, error) {
	out := deadletter.Filter{OrderID: f.order, Partitions: slices.Compact(slices.Sorted(slices.Values(f.partitions)))}
	for _, name := range f.classes {
		class := schemas.RejectClass(name)
		if !slices.Contains(schemas.RejectClasses(), class) {
			return out, usage(fmt.Errorf("--class %q is not one of %v", name, schemas.RejectClasses()))
		}
		out.Classes = append(out.Classes, class)
	}
	if f.limit < 0 {
		return out, usage(errors.New("--limit must not be negative"))
	}
	var err error
	if out.Since, err = parseTime("since", f.since); err != nil {
		return out, err
	}
	out.Until, err = parseTime("until", f.until)
	return out, err
}

// letters returns a reader of the topic of dead letters.
func (c *connection) letters(p *progress) *deadletter.Reader {
	r := deadletter.NewReader(c.client, c.Stream.DeadLettersTopic, schemas.NewViewer(c.schemas()))
	r.Progress = p.update
	return r
}

func newDLQListCommand() *cobra.Command {
	var (
		flags  letterFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, partition by partition and the oldest first",
		Long: `List dead letters, partition by partition and the oldest first. No feature's value is shown: a letter's text says what
was wrong with it and where. With --json there is one object a line.`,
		Example: "  riskctl dlq list --class feature_range --since 24h\n" +
			"  riskctl dlq list --order ORD_12345 --json | jq .detail",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := flags.filter()
			if err != nil {
				return err
			}
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				if err := c.checkPartitions(ctx, c.Stream.DeadLettersTopic, f.Partitions); err != nil {
					return err
				}
				var p progress
				defer p.finish()
				return listLetters(ctx, cmd.OutOrStdout(), c.letters(&p), f, flags.limit, asJSON)
			})
		},
	}
	flags.register(cmd, 100)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// letterColumns are of fixed width, so that a long list flows.
const letterColumns = "%-12s  %-20s  %-16s  %7s  %-24s  %s\n"

func listLetters(ctx context.Context, w io.Writer, r *deadletter.Reader, f deadletter.Filter, limit int, asJSON bool) error {
	spans, err := r.Spans(ctx, f)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }() // what was listed before an error; without one it is flushed below
	if !asJSON {
		fmt.Fprintf(out, letterColumns, "LETTER", "WRITTEN", "CLASS", "ATTEMPT", "ORDER", "WHAT")
	}
	n := 0
	for l, err := range r.Letters(ctx, spans, f) {
		if err != nil {
			return err
		}
		if err := printLetter(out, &l, asJSON); err != nil {
			return dependency(err)
		}
		if n++; n == limit {
			break
		}
	}
	return dependency(out.Flush())
}

func printLetter(w io.Writer, l *deadletter.Letter, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(newLetterView(l))
	}
	attempt, key := "-", "-"
	if l.Attempt > 0 {
		attempt = strconv.Itoa(l.Attempt)
	}
	if l.Key != nil {
		key = printable(string(l.Key), 24)
	}
	_, err := fmt.Fprintf(w, letterColumns, fmt.Sprintf("%d/%d", l.Partition, l.Offset), l.Time.UTC().Format(time.RFC3339),
		printable(string(l.Class), 16), attempt, key, printable(l.Detail, 200))
	return err
}

// letterView is a letter in JSON.
type letterView struct {
	Partition  int                 `json:"partition"`
	Offset     int64               `json:"offset"`
	Time       time.Time           `json:"time"`
	Class      schemas.RejectClass `json:"class"`
	Attempt    int                 `json:"attempt"`
	Key        *string             `json:"key"`               // null if the key is, or is no text
	KeyHex     string              `json:"key_hex,omitempty"` // of a key that is no text
	Source     *sourceView         `json:"source,omitempty"`
	Stage      string              `json:"stage,omitempty"`
	Detail     string              `json:"detail,omitempty"`
	ValueBytes int                 `json:"value_bytes"`
}

// sourceView names the record that was refused first.
type sourceView struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

func newLetterView(l *deadletter.Letter) letterView {
	v := letterView{
		Partition: l.Partition, Offset: l.Offset, Time: l.Time.UTC(), Class: l.Class, Attempt: l.Attempt,
		Stage: l.Stage, Detail: l.Detail, ValueBytes: len(l.Value),
	}
	switch {
	case l.Key == nil:
	case utf8.Valid(l.Key):
		key := string(l.Key)
		v.Key = &key
	default:
		v.KeyHex = hex.EncodeToString(l.Key)
	}
	if l.Source.Topic != "" {
		v.Source = &sourceView{l.Source.Topic, l.Source.Partition, l.Source.Offset}
	}
	return v
}
