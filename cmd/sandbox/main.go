// Command sandbox is the whole system in one process: an in-memory broker, an order generator and the service in
// both roles, with an account of every order.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes, which scripts rely on.
const (
	exitDone       = 0
	exitNotHeld    = 1 // sent is not results + dead letters
	exitUsage      = 2
	exitDependency = 3
)

// options are the command line.
type options struct {
	rate   float64
	orders int
	http   string
	model  string
	seed   uint64
	json   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(stderr, "sandbox:", err)
		return exitUsage
	}
	screen := newScreen(stdout, stderr, o.json)
	s, err := newSandbox(ctx, o, screen)
	if err != nil {
		fmt.Fprintln(stderr, "sandbox:", err)
		return exitDependency
	}
	summary, err := s.run(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "sandbox:", err)
		return exitDependency
	}
	if o.json {
		err = json.NewEncoder(stdout).Encode(summary)
	} else {
		err = summary.print(stdout)
	}
	if err != nil {
		return exitDependency
	}
	if !summary.balances() {
		return exitNotHeld
	}
	return exitDone
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{model: "models/trendbuy_xgb_v1.0.0"}
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Float64Var(&o.rate, "rate", 200, "orders a second")
	flags.IntVar(&o.orders, "orders", 0, "stop after this many orders; 0 goes on until Ctrl-C")
	flags.StringVar(&o.http, "http", "127.0.0.1:8000", "address of POST /score")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the orders")
	flags.BoolVar(&o.json, "json", false, "print the summary as JSON, and nothing else on standard output")
	if path, set := os.LookupEnv("MODEL_PATH"); set {
		o.model = path
	}
	flags.Usage = func() {
		fmt.Fprint(stderr, `Run the whole system in one process: an in-memory Kafka broker, an order generator and the service.
Ctrl-C drains it and prints an account of every order. The exit code is 0 if sent = results + dead letters.
MODEL_PATH names another bundle than models/trendbuy_xgb_v1.0.0.

Example:
  sandbox --rate 500 --orders 10000 --json

Flags:
`)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	case !(o.rate > 0 && o.rate <= 1e6):
		return o, errors.New("--rate must be above 0 and at most 1000000")
	case o.orders < 0:
		return o, errors.New("--orders must not be negative")
	}
	return o, nil
}
