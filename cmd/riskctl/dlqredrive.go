package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

func newDLQRedriveCommand() *cobra.Command {
	var (
		flags  letterFlags
		order  deadletter.Redrive
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Publish dead letters to the topic of orders again",
		Long: `Publish dead letters to the topic of orders again, once what refused them is mended: key, value and headers as they
are. A letter that is refused again is a new dead letter with one attempt more; those that arrive after the start are
left, so that nothing goes round, and letters refused --max-attempts times are left for good.
A redrive removes nothing: it prints when it began, and --since with that time chooses the letters that came back.
A redrive that is interrupted and run again publishes letters a second time, which is harmless: results repeat byte
for byte. With --position it goes on where it was instead, and repeats one batch at most: the file is written after every
batch that Kafka acknowledged, and removed at the end.`,
		Example: "  riskctl dlq redrive --class feature_range --since 24h --dry-run\n" +
			"  riskctl dlq redrive --class feature_range --since 24h --rate 200 --position redrive.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := flags.filter()
			if err != nil {
				return err
			}
			if order.MaxAttempts < 1 || !(order.Rate > 0) {
				return usage(errors.New("--max-attempts must be at least 1, and --rate above 0"))
			}
			order.Limit = flags.limit
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				if err := c.checkPartitions(ctx, c.Stream.DeadLettersTopic, f.Partitions); err != nil {
					return err
				}
				order.Topic = c.OrdersTopic
				return redriveLetters(ctx, cmd, c, order, f, file, asJSON)
			})
		},
	}
	flags.register(cmd, 0)
	cmd.Flags().IntVar(&order.MaxAttempts, "max-attempts", 3, "leave letters that were refused so often")
	cmd.Flags().Float64Var(&order.Rate, "rate", 500, "letters a second")
	cmd.Flags().BoolVar(&order.DryRun, "dry-run", false, "only count")
	cmd.Flags().StringVar(&file, "position", "", "file that keeps the position, to go on after an interruption")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return cmd
}

func redriveLetters(ctx context.Context, cmd *cobra.Command, c *connection, order deadletter.Redrive, f deadletter.Filter, file string, asJSON bool) error {
	var p progress
	defer p.finish()
	reader := c.letters(&p)
	at, err := beginRedrive(ctx, c, reader, f, file)
	if err != nil {
		return err
	}
	begun := time.Now().UTC().Truncate(time.Millisecond)
	var saved func(*deadletter.Position) error
	if file != "" {
		saved = func(at *deadletter.Position) error { return at.Save(file) }
	}
	tallies, err := order.Run(ctx, reader, at, at.Filter, c.publisher(cmd), saved)
	p.finish()
	if printErr := printTallies(cmd.OutOrStdout(), tallies, begun, order.DryRun, asJSON); printErr != nil {
		return dependency(errors.Join(err, printErr))
	}
	switch {
	case err != nil && file != "":
		return fmt.Errorf("%w; run the same command again to go on", err)
	case err != nil:
		return err
	case file != "" && !order.DryRun && at.Done():
		return dependency(os.Remove(file))
	}
	return nil
}

// beginRedrive returns where to go on by the file, or else the beginning. The file's own time range holds, as one that is
// relative to now would be another now.
func beginRedrive(ctx context.Context, c *connection, r *deadletter.Reader, f deadletter.Filter, file string) (*deadletter.Position, error) {
	if file != "" {
		at, err := deadletter.Load(file)
		if err != nil {
			return nil, dependency(err)
		}
		if at != nil {
			f.Since, f.Until = at.Filter.Since, at.Filter.Until
			if !at.Filter.Equal(f) || at.Topic != c.Stream.DeadLettersTopic {
				return nil, usage(fmt.Errorf("--position: %s belongs to a redrive of topic %s with other filters; remove it to begin anew", file, at.Topic))
			}
			return at, nil
		}
	}
	spans, err := r.Spans(ctx, f)
	if err != nil {
		return nil, err
	}
	return deadletter.NewPosition(c.Stream.DeadLettersTopic, f, spans), nil
}

func printTallies(w io.Writer, tallies map[schemas.RejectClass]*deadletter.Tally, begun time.Time, dry, asJSON bool) error {
	var total deadletter.Tally
	for _, t := range tallies {
		total.Redriven += t.Redriven
		total.Exhausted += t.Exhausted
		total.TooLarge += t.TooLarge
	}
	if asJSON {
		return printJSON(w, struct {
			Begun   time.Time                                 `json:"begun"`
			DryRun  bool                                      `json:"dry_run"`
			Total   deadletter.Tally                          `json:"total"`
			Classes map[schemas.RejectClass]*deadletter.Tally `json:"classes"`
		}{begun, dry, total, tallies})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	done := "REDRIVEN"
	if dry {
		done = "WOULD BE REDRIVEN"
	}
	fmt.Fprintf(table, "%s\tEXHAUSTED\tTOO LARGE\t  CLASS\n", done)
	for _, class := range slices.Sorted(maps.Keys(tallies)) {
		t := tallies[class]
		fmt.Fprintf(table, "%d\t%d\t%d\t  %s\n", t.Redriven, t.Exhausted, t.TooLarge, printable(string(class), 40))
	}
	fmt.Fprintf(table, "%d\t%d\t%d\t  in all\n", total.Redriven, total.Exhausted, total.TooLarge)
	if err := table.Flush(); err != nil || total.Redriven == 0 || dry {
		return err
	}
	_, err := fmt.Fprintf(w, "what comes back: riskctl dlq list --since %s\n", begun.Format(time.RFC3339Nano))
	return err
}
