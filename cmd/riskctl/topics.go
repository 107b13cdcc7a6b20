package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/stream"
)

func newTopicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Create and check the topics of orders, results and dead letters",
		Long: `Create and check the topics of orders, results and dead letters. The connection and the topics' names
come from the service's own environment variables (KAFKA_BROKERS, ORDERS_TOPIC, ...; see 'riskscorer config').`,
	}
	cmd.AddCommand(newTopicsCreateCommand(), newTopicsCheckCommand())
	return cmd
}

// topicFlags are the properties of the topics that depend on the cluster.
type topicFlags struct {
	partitions, replication int
	asJSON                  bool
}

func (f *topicFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.partitions, "partitions", 12, "partitions of each topic: the most workers that can share the work")
	cmd.Flags().IntVar(&f.replication, "replication", 3, "replicas of each partition; 1 on a single broker")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// topicsCall creates or checks topics.
type topicsCall func(*broker.Client, context.Context, []broker.TopicSpec) ([]broker.TopicReport, error)

// run makes the call for the three topics.
func (f *topicFlags) run(ctx context.Context, c *connection, call topicsCall) ([]broker.TopicReport, error) {
	return call(c.client, ctx, stream.Topics(c.OrdersTopic, c.Stream, f.partitions, f.replication))
}

func newTopicsCreateCommand() *cobra.Command {
	var (
		flags    topicFlags
		register bool
	)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that are missing; those that exist are left as they are",
		Long: `Create the topics that are missing; those that exist are left as they are.
With --register the schemas of orders and results are registered too, each under <topic>-value, whose compatibility is set
to BACKWARD: the service itself never registers. A schema that breaks it is refused, and the exit code is 1.`,
		Example: "  KAFKA_BROKERS=kafka:9092 riskctl topics create --partitions 12 --replication 3\n" +
			"  SCHEMA_REGISTRY_URL=http://registry:8081 riskctl topics create --register",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				if register && c.Registry.URL == "" {
					return usage(errors.New("--register needs SCHEMA_REGISTRY_URL"))
				}
				ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
				defer cancel()
				reports, err := flags.run(ctx, c, (*broker.Client).CreateTopics)
				if err != nil {
					return err
				}
				if err := printStanding(cmd.OutOrStdout(), standing{Topics: reports}, flags.asJSON); err != nil || !register {
					return dependency(err)
				}
				return registerSchemas(ctx, cmd.ErrOrStderr(), c)
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&register, "register", false, "also register the schemas of orders and results in the schema registry")
	return cmd
}

func newTopicsCheckCommand() *cobra.Command {
	var flags topicFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare the topics and schemas with what they should be; exit 1 if one differs",
		Long: `Compare the topics with what they should be and, where SCHEMA_REGISTRY_URL is set, the schemas of orders and results:
whether they are registered, whether the subject demands BACKWARD compatibility, and whether they have it with the latest
schema. Exit 1 if one differs.`,
		Example: "  KAFKA_BROKERS=kafka:9092 riskctl topics check --partitions 12 --replication 3",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
				defer cancel()
				reports, err := flags.run(ctx, c, (*broker.Client).CheckTopics)
				if err != nil {
					return err
				}
				all := standing{Topics: reports}
				if all.Schemas, err = schemaReports(ctx, c); err != nil {
					return err
				}
				if err := printStanding(cmd.OutOrStdout(), all, flags.asJSON); err != nil {
					return dependency(err)
				}
				return notHeld(all.err())
			})
		},
	}
	flags.register(cmd)
	return cmd
}

// standing is how topics and schemas stand.
type standing struct {
	Topics  []broker.TopicReport `json:"topics"`
	Schemas []schemaReport       `json:"schemas,omitempty"`
}

// err says what is not as it should be.
func (s standing) err() error {
	var errs []error
	if slices.ContainsFunc(s.Topics, func(r broker.TopicReport) bool { return !r.Exists || len(r.Differences) > 0 }) {
		errs = append(errs, errors.New("topics are not as they should be"))
	}
	if slices.ContainsFunc(s.Schemas, func(r schemaReport) bool { return !r.Holds() }) {
		errs = append(errs, errors.New("schemas are not as they should be: 'riskctl topics create --register' registers them"))
	}
	return errors.Join(errs...)
}

func printStanding(w io.Writer, s standing, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOPIC\tSTATE\tPARTITIONS\tREPLICAS\tDIFFERENCES")
	for i := range s.Topics {
		r := &s.Topics[i]
		state := "missing"
		switch {
		case r.Created:
			state = "created"
		case r.Exists:
			state = "exists"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t", r.Name, state, r.Partitions, r.Replication)
		for _, d := range r.Differences {
			fmt.Fprintf(table, "%s is %s, want %s; ", d.Setting, d.Have, d.Want)
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil || len(s.Schemas) == 0 {
		return err
	}
	return printSchemas(w, s.Schemas)
}
