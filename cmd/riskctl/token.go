package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/server"
)

func newTokenCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a bearer token for the scoring, admin or metrics door",
		Long: `Make a bearer token for the scoring, admin or metrics door. The token is printed once, to standard error; its line
for the file (HTTP_TOKENS_FILE, ADMIN_TOKENS_FILE, METRICS_TOKENS_FILE) goes to standard output and holds a SHA-256 of
it only. To change a client's token, add a line of the same name, hand the new token over, then take the old line out.`,
		Example: "  riskctl token --name checkout >> tokens",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, line, err := server.NewToken(name)
			if err != nil {
				return usage(fmt.Errorf("--name: %w", err))
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whom the token lets in; metrics, limits and logs use this name")
	_ = cmd.MarkFlagRequired("name") // the flag is there
	return cmd
}
