package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// riskctl runs the command as main does and returns its exit code and what it wrote.
func riskctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&errs)
	code = run(t.Context(), root, args)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, 0},
		{nil, 0},
		{[]string{"no-such-command"}, 2},
		{[]string{"generate", "--no-such-flag"}, 2},
		{[]string{"generate", "--orders", "many"}, 2},
		{[]string{"generate", "--orders", "-1"}, 2},
		{[]string{"generate", "extra"}, 2},
		{[]string{"generate", "--output", filepath.Join(t.TempDir(), "no", "such", "directory")}, 3},
	} {
		code, _, stderr := riskctl(t, test.args...)
		if code != test.want {
			t.Errorf("riskctl %s: exit code %d, want %d (%s)", strings.Join(test.args, " "), code, test.want, stderr)
		}
		if (code == 0) != (stderr == "") {
			t.Errorf("riskctl %s: exit code %d, and says %q", strings.Join(test.args, " "), code, stderr)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() && (cmd.Example == "" || cmd.Short == "") {
			t.Errorf("%s has no example, or does not say what it does", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

func TestErrorsKeepTheirClass(t *testing.T) {
	cause := errors.New("cause")
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{notHeld(cause), 1},
		{fmt.Errorf("verify: %w", notHeld(cause)), 1},
		{usage(cause), 2},
		{dependency(cause), 3},
		{cause, 3},
		{dependency(nil), 0},
	} {
		cmd := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return test.err }}
		cmd.SetErr(&bytes.Buffer{})
		if got := run(t.Context(), cmd, nil); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}

func TestARequiredFlagLeftOutIsAUsageError(t *testing.T) {
	root := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true}
	sub := &cobra.Command{Use: "sub", RunE: func(*cobra.Command, []string) error { return nil }}
	sub.Flags().String("input", "", "")
	if err := sub.MarkFlagRequired("input"); err != nil {
		t.Fatal(err)
	}
	root.AddCommand(sub)
	root.SetErr(&bytes.Buffer{})
	if got := run(t.Context(), root, []string{"sub"}); got != exitUsage {
		t.Errorf("exit code %d, want %d", got, exitUsage)
	}
}

func TestGenerateWritesTheSameOrdersToFileAndOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.jsonl")
	if code, _, stderr := riskctl(t, "generate", "--orders", "2000", "--seed", "7", "--output", file); code != 0 {
		t.Fatal(stderr)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, printed, _ := riskctl(t, "generate", "--orders", "2000", "--seed", "7")
	if printed != string(written) {
		t.Error("file and standard output differ")
	}
	if lines := strings.Count(printed, "\n"); lines != 2000 {
		t.Errorf("%d lines, want 2000", lines)
	}
	if _, other, _ := riskctl(t, "generate", "--orders", "2000", "--seed", "8"); other == printed {
		t.Error("seeds 7 and 8 make the same orders")
	}
}

func TestGenerateKeepsOutcomesOutOfTheOrder(t *testing.T) {
	_, plain, _ := riskctl(t, "generate", "--orders", "50", "--seed", "7")
	_, outcomes, _ := riskctl(t, "generate", "--orders", "50", "--seed", "7", "--outcomes")
	withOutcome := strings.Split(outcomes, "\n")
	for i, order := range strings.Split(strings.TrimSpace(plain), "\n") {
		line := withOutcome[i]
		if line != `{"order":`+order+`,"regret":0}` && line != `{"order":`+order+`,"regret":1}` {
			t.Fatalf("line %d = %s, order %s", i, line, order)
		}
	}
}
