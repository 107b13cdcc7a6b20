package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

func newDLQShowCommand() *cobra.Command {
	var value, asHex, asJSON bool
	cmd := &cobra.Command{
		Use:   "show PARTITION/OFFSET",
		Short: "Show one dead letter, with its headers",
		Long: `Show one dead letter, with its headers; the name is that of the first column of 'riskctl dlq list'.
Features are shown only on request: --value decodes the event, which takes the schema registry or pins if it is Avro,
and --hex shows its bytes.`,
		Example: "  riskctl dlq show 3/1742\n  riskctl dlq show 3/1742 --value",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			partition, offset, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				if err := c.checkPartitions(ctx, c.Stream.DeadLettersTopic, []int{partition}); err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
				defer cancel()
				l, err := c.letters(&progress{}).Get(ctx, partition, offset)
				if errors.Is(err, broker.ErrNoRecord) {
					return notHeld(err)
				}
				if err != nil {
					return err
				}
				shown := shownLetter{letterView: newLetterView(&l), Headers: headerViews(l.Headers)}
				if value {
					if shown.Value, shown.Opaque, err = viewOf(ctx, c, l.Value); err != nil {
						return err
					}
				}
				if asHex {
					shown.ValueHex = hex.EncodeToString(l.Value)
				}
				if asJSON {
					return dependency(printJSON(cmd.OutOrStdout(), shown))
				}
				return dependency(printShown(cmd.OutOrStdout(), &shown, &l))
			})
		},
	}
	cmd.Flags().BoolVar(&value, "value", false, "decode and show the event, features and all")
	cmd.Flags().BoolVar(&asHex, "hex", false, "show the event's bytes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// parsePlace reads PARTITION/OFFSET.
func parsePlace(text string) (partition int, offset int64, err error) {
	first, second, _ := strings.Cut(text, "/")
	partition, err = strconv.Atoi(first)
	if err == nil {
		offset, err = strconv.ParseInt(second, 10, 64)
	}
	if err != nil || partition < 0 || offset < 0 {
		return 0, 0, usage(fmt.Errorf("%q is not PARTITION/OFFSET, like 3/1742", text))
	}
	return partition, offset, nil
}

// viewOf decodes an event, or says why it cannot be.
func viewOf(ctx context.Context, c *connection, value []byte) (view json.RawMessage, opaque string, err error) {
	view, err = schemas.NewViewer(c.schemas()).View(ctx, value)
	if errors.Is(err, schemas.ErrOpaque) || errors.Is(err, schemas.ErrSchemaUnknown) {
		return nil, err.Error() + "; --hex shows its bytes", nil
	}
	return view, "", err
}

// shownLetter is a letter with what 'list' leaves out.
type shownLetter struct {
	letterView
	Headers  []headerView    `json:"headers"`
	Value    json.RawMessage `json:"value,omitempty"`
	Opaque   string          `json:"opaque,omitempty"` // why the value cannot be decoded
	ValueHex string          `json:"value_hex,omitempty"`
}

// headerView is a header: its text, or the hex of a value that is no text, or neither for null.
type headerView struct {
	Name string  `json:"name"`
	Text *string `json:"text,omitempty"`
	Hex  string  `json:"hex,omitempty"`
}

func headerViews(headers []broker.Header) []headerView {
	out := make([]headerView, len(headers))
	for i, h := range headers {
		out[i].Name = h.Key
		if utf8.Valid(h.Value) && h.Value != nil {
			text := string(h.Value)
			out[i].Text = &text
		} else {
			out[i].Hex = hex.EncodeToString(h.Value)
		}
	}
	return out
}

func printShown(w io.Writer, shown *shownLetter, l *deadletter.Letter) error {
	const wide = 2000
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...), wide))
	}
	row("letter", "%s partition %d offset %d", l.Topic, l.Partition, l.Offset)
	row("written", "%s", l.Time.UTC().Format(time.RFC3339Nano))
	row("class", "%s", l.Class)
	row("attempt", "%d", l.Attempt)
	row("what", "%s", l.Detail)
	if l.Source.Topic != "" {
		row("refused", "%s partition %d offset %d, stage %s", l.Source.Topic, l.Source.Partition, l.Source.Offset, l.Stage)
	}
	switch {
	case shown.Key != nil:
		row("key", "%s", *shown.Key)
	case shown.KeyHex != "":
		row("key", "hex %s", shown.KeyHex)
	default:
		row("key", "null")
	}
	row("value", "%s", describeValue(l.Value))
	for _, h := range shown.Headers {
		switch {
		case h.Text != nil:
			row("header "+h.Name, "%s", *h.Text)
		case h.Hex != "":
			row("header "+h.Name, "hex %s", h.Hex)
		default:
			row("header "+h.Name, "null or empty")
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if shown.Value != nil {
		var indented bytes.Buffer
		if err := json.Indent(&indented, shown.Value, "", "  "); err != nil {
			return err
		}
		fmt.Fprintf(w, "\n%s\n", indented.Bytes())
	}
	if shown.Opaque != "" {
		fmt.Fprintf(w, "\n%s\n", printable(shown.Opaque, wide))
	}
	if shown.ValueHex != "" {
		fmt.Fprintf(w, "\n%s", hex.Dump(l.Value))
	}
	return nil
}

// describeValue says what a value is, not what is in it.
func describeValue(value []byte) string {
	switch {
	case value == nil:
		return "null"
	case len(value) > 0 && value[0] == '{':
		return fmt.Sprintf("JSON, %d bytes", len(value))
	case len(value) >= 5 && value[0] == 0:
		return fmt.Sprintf("Avro of schema %d, %d bytes", binary.BigEndian.Uint32(value[1:5]), len(value))
	default:
		return fmt.Sprintf("neither framed Avro nor JSON, %d bytes", len(value))
	}
}
