package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/service"
)

func newConfigCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Print the effective settings, secrets hidden",
		Example: "  KAFKA_BROKERS=kafka:9092 riskscorer config",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := service.Load(cmd.Context(), envconfig.OsLookuper())
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(config.Settings())
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range config.Settings() {
				fmt.Fprintf(table, "%s=%s\t# %s\n", s.Name, s.Value, s.Help)
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
