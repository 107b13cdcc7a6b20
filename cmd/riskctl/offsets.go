package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
)

func newOffsetsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "offsets",
		Short: "Show and set where a consumer group reads on",
		Long: `Show and set where a consumer group reads on. Group and topic are the service's own (KAFKA_GROUP, ORDERS_TOPIC), unless
--group or --topic say otherwise.`,
	}
	cmd.AddCommand(newOffsetsShowCommand(), newOffsetsSetCommand())
	return cmd
}

// groupFlags name a group and what it reads.
type groupFlags struct {
	group, topic string
	asJSON       bool
}

func (f *groupFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.group, "group", "", "consumer group, by default KAFKA_GROUP")
	cmd.Flags().StringVar(&f.topic, "topic", "", "topic, by default ORDERS_TOPIC")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// on calls work within the time of a short command, with the defaults filled in.
func (f *groupFlags) on(ctx context.Context, work func(context.Context, *connection) error) error {
	return onKafka(ctx, func(ctx context.Context, c *connection) error {
		if f.group == "" {
			f.group = c.Group
		}
		if f.topic == "" {
			f.topic = c.OrdersTopic
		}
		ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
		defer cancel()
		return work(ctx, c)
	})
}

func newOffsetsShowCommand() *cobra.Command {
	var flags groupFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show what a group has committed, what the log holds, and the lag, by partition",
		Example: "  riskctl offsets show\n  riskctl offsets show --group other --json | jq '[.partitions[].lag] | add'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.on(cmd.Context(), func(ctx context.Context, c *connection) error {
				members, err := c.client.GroupMembers(ctx, flags.group)
				if err != nil {
					return err
				}
				lag, err := c.client.Lag(ctx, flags.group, flags.topic)
				if err != nil {
					return err
				}
				return dependency(printOffsets(cmd.OutOrStdout(), newOffsetsView(&flags, members, lag), flags.asJSON))
			})
		},
	}
	flags.register(cmd)
	return cmd
}

// offsetsView is how a group stands.
type offsetsView struct {
	Group      string       `json:"group"`
	Topic      string       `json:"topic"`
	Members    int          `json:"members"`
	Partitions []offsetView `json:"partitions"`
}

type offsetView struct {
	Partition int   `json:"partition"`
	Committed int64 `json:"committed"` // -1 if nothing is
	Start     int64 `json:"start"`     // the log holds [start, end)
	End       int64 `json:"end"`
	Lag       int64 `json:"lag"`
}

func newOffsetsView(f *groupFlags, members int, lag []broker.PartitionLag) offsetsView {
	v := offsetsView{Group: f.group, Topic: f.topic, Members: members}
	for _, l := range lag {
		v.Partitions = append(v.Partitions, offsetView{l.Partition, l.Committed, l.Earliest, l.Latest, l.Lag})
	}
	return v
}

func printOffsets(w io.Writer, v offsetsView, asJSON bool) error {
	if asJSON {
		return printJSON(w, v)
	}
	fmt.Fprintf(w, "group %s on %s, %d members\n", v.Group, v.Topic, v.Members)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "PARTITION\tCOMMITTED\tSTART\tEND\tLAG\t")
	var lag int64
	for _, p := range v.Partitions {
		committed := "none"
		if p.Committed >= 0 {
			committed = strconv.FormatInt(p.Committed, 10)
		}
		fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%d\t\n", p.Partition, committed, p.Start, p.End, p.Lag)
		lag += p.Lag
	}
	fmt.Fprintf(table, "in all\t\t\t\t%d\t\n", lag)
	return table.Flush()
}

func newOffsetsSetCommand() *cobra.Command {
	var (
		flags      groupFlags
		target     string
		partitions []int
		dryRun     bool
	)
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set where a group without members reads on",
		Long: `Set where a group reads on, in the partitions named. The group must have no members: stop every process of it first,
else what they commit would undo it, and it is refused with exit code 1. What lies between the old and the new offset is
read a second time, which is harmless, or not at all, which is not: look at it with --dry-run first.`,
		Example: "  riskctl offsets set --partition 3 --to earliest --dry-run\n" +
			"  riskctl offsets set --partition 0 --partition 1 --to 2026-05-01T12:00:00Z",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			find, err := parseTarget(target)
			if err != nil {
				return err
			}
			partitions = slices.Compact(slices.Sorted(slices.Values(partitions)))
			return flags.on(cmd.Context(), func(ctx context.Context, c *connection) error {
				if err := c.checkPartitions(ctx, flags.topic, partitions); err != nil {
					return err
				}
				moves, err := planMoves(ctx, c, &flags, partitions, find)
				if err != nil {
					return err
				}
				if !dryRun {
					if err := moveOffsets(ctx, c, &flags, moves); err != nil {
						return err
					}
				}
				return dependency(printMoves(cmd.OutOrStdout(), moves, dryRun, flags.asJSON))
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&target, "to", "", "earliest, latest, an offset, or a time (RFC 3339, a date, or a duration before now like 24h)")
	cmd.Flags().IntSliceVar(&partitions, "partition", nil, "partition to set (repeatable)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be set")
	required(cmd, "to", "partition")
	return cmd
}

// target finds the offset to set in each of the partitions of a topic, whose logs hold bounds.
type target func(ctx context.Context, client *broker.Client, topic string, bounds map[int]broker.OffsetRange) (map[int]int64, error)

// each is a target that depends on the log's bounds alone.
func each(of func(partition int, b broker.OffsetRange) (int64, error)) target {
	return func(_ context.Context, _ *broker.Client, _ string, bounds map[int]broker.OffsetRange) (map[int]int64, error) {
		out := make(map[int]int64, len(bounds))
		for p, b := range bounds {
			var err error
			if out[p], err = of(p, b); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

func parseTarget(text string) (target, error) {
	switch text {
	case "earliest":
		return each(func(_ int, b broker.OffsetRange) (int64, error) { return b.Earliest, nil }), nil
	case "latest":
		return each(func(_ int, b broker.OffsetRange) (int64, error) { return b.Latest, nil }), nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil {
		return each(func(p int, b broker.OffsetRange) (int64, error) {
			if offset < b.Earliest || offset > b.Latest {
				return 0, usage(fmt.Errorf("--to %d is outside partition %d, which holds [%d, %d)", offset, p, b.Earliest, b.Latest))
			}
			return offset, nil
		}), nil
	}
	at, err := parseTime("to", text)
	if err != nil || at.IsZero() {
		return nil, usage(fmt.Errorf("--to %q is neither earliest, latest, an offset, a time, nor a duration before now", text))
	}
	return func(ctx context.Context, client *broker.Client, topic string, bounds map[int]broker.OffsetRange) (map[int]int64, error) {
		partitions := make([]int, 0, len(bounds))
		for p := range bounds {
			partitions = append(partitions, p)
		}
		return client.OffsetsAt(ctx, topic, partitions, at)
	}, nil
}

// offsetMove is one partition's change.
type offsetMove struct {
	Partition int   `json:"partition"`
	From      int64 `json:"from"` // -1 if nothing is committed
	To        int64 `json:"to"`
}

func planMoves(ctx context.Context, c *connection, f *groupFlags, partitions []int, find target) ([]offsetMove, error) {
	lag, err := c.client.Lag(ctx, f.group, f.topic)
	if err != nil {
		return nil, err
	}
	bounds := make(map[int]broker.OffsetRange, len(partitions))
	for _, p := range partitions {
		bounds[p] = lag[p].OffsetRange
	}
	to, err := find(ctx, c.client, f.topic, bounds)
	if err != nil {
		return nil, err
	}
	moves := make([]offsetMove, len(partitions))
	for i, p := range partitions {
		moves[i] = offsetMove{p, lag[p].Committed, to[p]}
	}
	return moves, nil
}

func moveOffsets(ctx context.Context, c *connection, f *groupFlags, moves []offsetMove) error {
	members, err := c.client.GroupMembers(ctx, f.group)
	if err != nil {
		return err
	}
	if members > 0 {
		return notHeld(fmt.Errorf("group %s has %d members: stop its processes first, and wait for the session time-out of those that were killed", f.group, members))
	}
	offsets := make(map[int]int64, len(moves))
	for _, m := range moves {
		offsets[m.Partition] = m.To
	}
	err = c.client.CommitOffsets(ctx, f.group, f.topic, offsets)
	if errors.Is(err, broker.ErrGroupActive) {
		return notHeld(err)
	}
	return err
}

func printMoves(w io.Writer, moves []offsetMove, dryRun, asJSON bool) error {
	if asJSON {
		return printJSON(w, struct {
			DryRun bool         `json:"dry_run"`
			Set    []offsetMove `json:"set"`
		}{dryRun, moves})
	}
	verb := "set"
	if dryRun {
		verb = "would be set"
	}
	for _, m := range moves {
		from := "none"
		if m.From >= 0 {
			from = strconv.FormatInt(m.From, 10)
		}
		fmt.Fprintf(w, "partition %d %s from %s to %d: %s\n", m.Partition, verb, from, m.To, meaning(m))
	}
	return nil
}

// meaning says what a move does to the records between.
func meaning(m offsetMove) string {
	switch n := m.To - m.From; {
	case m.From < 0:
		return "the group starts there"
	case n > 0:
		return fmt.Sprintf("%d offsets are not read", n)
	case n < 0:
		return fmt.Sprintf("%d offsets are read again", -n)
	default:
		return "nothing changes"
	}
}
