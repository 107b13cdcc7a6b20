package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/stream"
)

// topicsTimeout bounds a command that talks to Kafka.
const topicsTimeout = time.Minute

// kafkaSettings are the service's own environment variables, as far as commands that talk to Kafka need them.
type kafkaSettings struct {
	OrdersTopic string `env:"ORDERS_TOPIC, default=order-features"`
	Broker      broker.Config
	Stream      stream.Config
	Registry    registry.Config
}

func loadKafkaSettings(ctx context.Context) (kafkaSettings, error) {
	var s kafkaSettings
	if err := envconfig.Process(ctx, &s); err != nil {
		return s, usage(err)
	}
	return s, usage(s.Broker.Validate())
}

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

// run connects, makes the call for the three topics, and prints what it reports.
func (f *topicFlags) run(ctx context.Context, w io.Writer, s kafkaSettings, call topicsCall) ([]broker.TopicReport, error) {
	client, err := broker.NewClient(s.Broker)
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	reports, err := call(client, ctx, stream.Topics(s.OrdersTopic, s.Stream, f.partitions, f.replication))
	if err != nil {
		return nil, dependency(err)
	}
	return reports, dependency(printTopics(w, reports, f.asJSON))
}

func newTopicsCreateCommand() *cobra.Command {
	var (
		flags    topicFlags
		register bool
	)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that are missing; those that exist are left as they are",
		Example: "  KAFKA_BROKERS=kafka:9092 riskctl topics create --partitions 12 --replication 3\n" +
			"  SCHEMA_REGISTRY_URL=http://registry:8081 riskctl topics create --register",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			s, err := loadKafkaSettings(ctx)
			if err != nil {
				return err
			}
			if _, err := flags.run(ctx, cmd.OutOrStdout(), s, (*broker.Client).CreateTopics); err != nil || !register {
				return err
			}
			return registerSchemas(ctx, cmd.ErrOrStderr(), s)
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&register, "register", false, "also register the schemas of orders and results in the schema registry")
	return cmd
}

func newTopicsCheckCommand() *cobra.Command {
	var flags topicFlags
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Compare the topics with what they should be; exit 1 if one differs",
		Example: "  KAFKA_BROKERS=kafka:9092 riskctl topics check --partitions 12 --replication 3",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			s, err := loadKafkaSettings(ctx)
			if err != nil {
				return err
			}
			reports, err := flags.run(ctx, cmd.OutOrStdout(), s, (*broker.Client).CheckTopics)
			for i := range reports {
				if !reports[i].Exists || len(reports[i].Differences) > 0 {
					return notHeld(errors.New("topics are not as they should be"))
				}
			}
			return err
		},
	}
	flags.register(cmd)
	return cmd
}

func printTopics(w io.Writer, reports []broker.TopicReport, asJSON bool) error {
	if asJSON {
		return printJSON(w, reports)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOPIC\tSTATE\tPARTITIONS\tREPLICAS\tDIFFERENCES")
	for i := range reports {
		r := &reports[i]
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
	return table.Flush()
}

func registerSchemas(ctx context.Context, w io.Writer, s kafkaSettings) error {
	source, err := registry.New(s.Registry)
	if err != nil {
		return usage(err)
	}
	if s.Registry.URL == "" {
		return usage(errors.New("--register needs SCHEMA_REGISTRY_URL"))
	}
	for _, subject := range []struct{ topic, schema string }{
		{s.OrdersTopic, schemas.OrderFeaturesSchema},
		{s.Stream.ResultsTopic, schemas.RiskResultSchema},
	} {
		id, err := source.Register(ctx, subject.topic+"-value", subject.schema)
		if err != nil {
			return dependency(fmt.Errorf("register %s-value: %w", subject.topic, err))
		}
		fmt.Fprintf(w, "schema of %s registered with id %d\n", subject.topic, id)
	}
	return nil
}
