// Command riskctl is the operator's and data scientist's tool. It is thin: each subcommand hands over to the package that does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, which scripts rely on.
const (
	exitDone       = 0
	exitNotHeld    = 1 // the thing checked does not hold
	exitUsage      = 2
	exitDependency = 3 // a file, a broker or another service failed
)

// codedError is an error together with the exit code that it ends the command with.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// notHeld says that the thing checked does not hold.
func notHeld(err error) error { return withCode(exitNotHeld, err) }

// usage says that the command was called wrongly.
func usage(err error) error { return withCode(exitUsage, err) }

// dependency says that a file, a broker or another service failed.
func dependency(err error) error { return withCode(exitDependency, err) }

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: code, err: err}
}

// version is the build's, set by the linker.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, newRoot(), os.Args[1:])
	stop()
	os.Exit(code)
}

// newRoot returns the command with all its subcommands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "riskctl",
		Short:         "Score, check and operate riskscorer's models and streams",
		Version:       version,
		SilenceErrors: true, // run prints them, once
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.AddCommand(
		newPredictCommand(),
		newBenchCommand(),
		newScoreCommand(),
		newBundleCommand(),
		newTopicsCommand(),
		newDLQCommand(),
		newOffsetsCommand(),
		newReplayCommand(),
		newGenerateCommand(),
		newTokenCommand(),
	)
	return root
}

// run executes root with args and returns the exit code. What cobra itself refuses is a usage error; an
// error that a subcommand has not classed is a failed dependency.
func run(ctx context.Context, root *cobra.Command, args []string) int {
	started := false
	noteStart(root, &started)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(root.ErrOrStderr(), "riskctl:", err)
	var coded *codedError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case !started:
		return exitUsage
	default:
		return exitDependency
	}
}

// noteStart has every command below cmd say that it has begun its own work. Cobra's hooks run before it has
// checked for required flags, and so come too early to tell a usage error.
func noteStart(cmd *cobra.Command, started *bool) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return work(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteStart(sub, started)
	}
}
