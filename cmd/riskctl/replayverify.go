package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/replay"
)

// verify prints whether recorded decisions are made again. An error says that one is not.
func (o *replayOptions) verify(ctx context.Context, cmd *cobra.Command, c *connection, r *replay.Reader) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	defer func() { _ = out.Flush() }() // what was found before an error; without one it is flushed below
	//nolint:contextcheck // the command's context is ctx
	models := replay.NewModels(func(digest, engine string) (*replay.Model, error) { return c.openRecorded(cmd, digest, engine) })
	counts := make(map[replay.Outcome]int)
	rows := 0
	for pairs, err := range o.events.pairs(ctx, c, r) {
		if err != nil {
			return err
		}
		verdicts, err := models.Verify(ctx, pairs)
		if err != nil {
			return err
		}
		for i := range verdicts {
			v := &verdicts[i]
			counts[v.Outcome]++
			switch {
			case o.asJSON:
				err = json.NewEncoder(out).Encode(newVerdictView(v))
			case !o.events.ranged() || v.Outcome == replay.Different && rows < o.rows:
				rows++
				err = printVerdict(out, v)
			}
			if err != nil {
				return dependency(err)
			}
		}
	}
	if err := o.printCounts(out, counts); err != nil {
		return dependency(errors.Join(err, out.Flush()))
	}
	if err := out.Flush(); err != nil {
		return dependency(err)
	}
	switch {
	case counts[replay.Different] > 0:
		return notHeld(fmt.Errorf("%d decisions are different", counts[replay.Different]))
	case !o.events.ranged() && counts[replay.NoResult] > 0 && counts[replay.Identical] == 0:
		return notHeld(errors.New("no result names the event: look for it with 'riskctl dlq list --order'"))
	}
	return nil
}

func (o *replayOptions) printCounts(w io.Writer, counts map[replay.Outcome]int) error {
	all := counts[replay.Identical] + counts[replay.Different] + counts[replay.NoResult] + counts[replay.Tombstone]
	if o.asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"summary": map[string]int{
			"events": all, "identical": counts[replay.Identical], "different": counts[replay.Different],
			"no_result": counts[replay.NoResult], "tombstones": counts[replay.Tombstone],
		}})
	}
	_, err := fmt.Fprintf(w, "%d events: %d identical, %d different, %d without a result, %d tombstones\n",
		all, counts[replay.Identical], counts[replay.Different], counts[replay.NoResult], counts[replay.Tombstone])
	return err
}

func printVerdict(w io.Writer, v *replay.Verdict) error {
	fmt.Fprintf(w, "%s  %s", eventText(&v.Pair), v.Outcome)
	if v.Result != nil {
		fmt.Fprintf(w, "  (%s/%d offset %d: %s, %s, risk %g %s)", v.Result.Topic, v.Result.Partition, v.Result.Offset,
			printable(v.Result.ModelVersion, 60), printable(v.Result.Engine, 20), v.Result.RiskScore, printable(v.Result.RiskBand, 10))
	}
	fmt.Fprintln(w)
	if v.Reject != nil {
		fmt.Fprintf(w, "  the model refuses the event: %s\n", printable(v.Reject.Error(), 400))
	}
	for _, d := range v.Differences {
		if _, err := fmt.Fprintf(w, "  %s: recorded %s, recomputed %s\n", printable(d.Field, 80), orNothing(d.Recorded), orNothing(d.Recomputed)); err != nil {
			return err
		}
	}
	return nil
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return printable(text, 120)
}

// eventText names an event and its order.
func eventText(p *replay.Pair) string {
	key := "order unknown"
	switch {
	case p.Result != nil:
		key = printable(p.Result.OrderID, 40)
	case p.Event.Key != nil:
		key = printable(string(p.Event.Key), 40)
	}
	return fmt.Sprintf("%s/%d offset %d  %s", p.Event.Topic, p.Event.Partition, p.Event.Offset, key)
}

// eventView is an event, and its result if there is one, in JSON.
type eventView struct {
	Topic     string      `json:"topic"`
	Partition int         `json:"partition"`
	Offset    int64       `json:"offset"`
	Key       string      `json:"key"` // empty if it is null; bytes that are no text are replaced
	Result    *resultView `json:"result"`
}

type resultView struct {
	Partition int             `json:"partition"`
	Offset    int64           `json:"offset"`
	Value     json.RawMessage `json:"value"`
}

func newEventView(p *replay.Pair) eventView {
	v := eventView{Topic: p.Event.Topic, Partition: p.Event.Partition, Offset: p.Event.Offset, Key: string(p.Event.Key)}
	if p.Result != nil {
		v.Result = &resultView{p.Result.Partition, p.Result.Offset, p.Result.View}
	}
	return v
}

type verdictView struct {
	eventView
	Outcome     replay.Outcome      `json:"outcome"`
	Differences []replay.Difference `json:"differences,omitempty"`
	Reject      string              `json:"reject,omitempty"`
}

func newVerdictView(v *replay.Verdict) verdictView {
	out := verdictView{eventView: newEventView(&v.Pair), Outcome: v.Outcome, Differences: v.Differences}
	if v.Reject != nil {
		out.Reject = v.Reject.Error()
	}
	return out
}
