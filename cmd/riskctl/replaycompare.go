package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/trendbuy/riskscorer/replay"
	"github.com/trendbuy/riskscorer/scoring"
)

// compare prints what another model would have decided.
func (o *replayOptions) compare(ctx context.Context, w io.Writer, c *connection, r *replay.Reader, model *replay.Model) error {
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }() // what was found before an error; without one it is flushed below
	var tally replay.Tally
	rows := 0
	for pairs, err := range o.events.pairs(ctx, c, r) {
		if err != nil {
			return err
		}
		comparisons, err := model.Compare(ctx, pairs)
		if err != nil {
			return err
		}
		for i := range comparisons {
			each := &comparisons[i]
			tally.Add(each)
			switch {
			case o.asJSON:
				err = json.NewEncoder(out).Encode(newComparisonView(each))
			case !o.events.ranged() || each.BandChanged() && rows < o.rows:
				rows++
				err = printComparison(out, each, !o.events.ranged())
			}
			if err != nil {
				return dependency(err)
			}
		}
	}
	var err error
	if o.asJSON {
		err = json.NewEncoder(out).Encode(map[string]any{"summary": &tally})
	} else {
		err = printTally(out, &tally, model.Version())
	}
	return dependency(errors.Join(err, out.Flush()))
}

func printComparison(w io.Writer, c *replay.Comparison, reasons bool) error {
	before, after := "no result", "tombstone"
	if c.Result != nil {
		before = fmt.Sprintf("%s %g (%s)", printable(c.Result.RiskBand, 10), c.Result.RiskScore, printable(c.Result.ModelVersion, 60))
	}
	switch {
	case c.Reject != nil:
		after = "refused, " + printable(c.Reject.Error(), 400)
	case c.Decision != nil:
		after = fmt.Sprintf("%s %g", c.Decision.Band, c.Decision.RiskScore)
	}
	_, err := fmt.Fprintf(w, "%s  %s -> %s\n", eventText(&c.Pair), before, after)
	if c.Decision != nil && reasons {
		for _, r := range c.Decision.Reasons {
			_, err = fmt.Fprintf(w, "  %-40s %s %+.4f\n", r.Text, r.Feature, r.Contribution)
		}
	}
	return err
}

func printTally(w io.Writer, t *replay.Tally, version string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "recorded \\ %s\t", printable(version, 60))
	for _, band := range replay.Bands() {
		fmt.Fprintf(table, "%s\t", band)
	}
	for i, band := range replay.Bands() {
		fmt.Fprintf(table, "\n%s\t", band)
		for _, n := range t.Bands[i] {
			fmt.Fprintf(table, "%d\t", n)
		}
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d events: %d bands changed, %d refused, %d without a result, %d tombstones; risk score changes by %+.4f on average, %.4f at most\n",
		t.Events, t.Changed, t.Refused, t.NoResult, t.Tombstones, t.MeanDiff, t.MaxScore)
	return err
}

type comparisonView struct {
	eventView
	BandChanged bool          `json:"band_changed"`
	Decision    *decisionView `json:"decision"` // null for a tombstone, and where the model refuses
	Reject      string        `json:"reject,omitempty"`
}

// decisionView is a decision with the names of a result's fields.
type decisionView struct {
	PredictionID string              `json:"prediction_id"`
	RiskScore    float64             `json:"risk_score"`
	Margin       float64             `json:"margin"`
	RiskBand     scoring.Band        `json:"risk_band"`
	Reasons      []reasonView        `json:"reasons"`
	Explanation  scoring.Explanation `json:"explanation"`
}

type reasonView struct {
	Code         string  `json:"code"`
	Text         string  `json:"text"`
	Feature      string  `json:"feature"`
	Contribution float64 `json:"contribution"`
}

func newComparisonView(c *replay.Comparison) comparisonView {
	out := comparisonView{eventView: newEventView(&c.Pair), BandChanged: c.BandChanged()}
	if c.Reject != nil {
		out.Reject = c.Reject.Error()
	}
	if d := c.Decision; d != nil {
		out.Decision = &decisionView{d.PredictionID, d.RiskScore, d.Margin, d.Band, nil, d.Explanation}
		for _, r := range d.Reasons {
			out.Decision.Reasons = append(out.Decision.Reasons, reasonView(r))
		}
	}
	return out
}
