// Command http measures riskscorer's synchronous door beside a bare handler, the server that it replaces and ready-made
// model servers, and writes docs/benchmarks-http.md: what an order costs, how fast answers are, and what becomes of them
// when too many come. Every contender is a process of its own, and they take turns under the same generator.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `bench-http measures the synchronous door and writes docs/benchmarks-http.md with its plot.

  make bench-http
  make bench-http ARGS='-rounds 1 -seconds 2 -only floor,riskscorer -parts turns,latency -docs /tmp'
  make bench-http ARGS='-parts soak -soak 30m -docs ""'

Contenders: floor, riskscorer, riskscorerpurego, replaced, replaced-shap, kserve-v1, kserve-v2, mlserver.
Parts: turns, latency, start, batch, overload, refusal, stream (needs Java 17 and Maven), and soak where -soak says how long.

`

// settings are the command's flags.
type settings struct {
	rounds, seconds   int
	only, parts, docs string
	json              bool
	soak              time.Duration
}

// length is how long a turn takes.
func (s *settings) length() time.Duration { return time.Duration(s.seconds) * time.Second }

func among(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// chosen says whether a contender takes part.
func (s *settings) chosen(name string) bool { return among(s.only, name) }

// part says whether something is measured.
func (s *settings) part(name string) bool { return among(s.parts, name) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := measureAll
	args := os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "floor":
			run, args = serveFloor, args[1:]
		case "stages":
			run, args = printStages, args[1:]
		}
	}
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench/http:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*settings, error) {
	s := new(settings)
	flags := flag.NewFlagSet("bench-http", flag.ExitOnError)
	flags.IntVar(&s.rounds, "rounds", 5, "turns of each contender, of which the medians are taken")
	flags.IntVar(&s.seconds, "seconds", 5, "seconds a turn")
	flags.StringVar(&s.only, "only", "", "names of contenders, with commas (default all)")
	flags.StringVar(&s.parts, "parts", "", "names of parts, with commas (default all)")
	flags.StringVar(&s.docs, "docs", "docs", "folder of the page and the plot; empty prints the page")
	flags.BoolVar(&s.json, "json", false, "print what was measured as JSON")
	flags.DurationVar(&s.soak, "soak", 0, "also load riskscorer at 0.7 of its capacity for so long")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(args) // it exits by itself
	if s.rounds < 1 || s.seconds < 1 || flags.NArg() > 0 || s.soak < 0 {
		return nil, errors.New("-rounds and -seconds must be positive, -soak not negative, and nothing follows the flags")
	}
	return s, nil
}

func measureAll(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	// The generator's sleeping thread must not keep one of only two processors' contexts.
	runtime.GOMAXPROCS(max(4, runtime.NumCPU()))
	b, err := newBench(s)
	if err != nil {
		return err
	}
	say("logs are in %s", b.dir)
	if err := b.build(ctx); err != nil {
		return err
	}
	r := newResults(strings.Join(args, " "))
	err = b.measure(ctx, r)
	b.stop()
	if err != nil {
		return err
	}
	if s.json {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	if s.docs == "" {
		if !s.json {
			fmt.Print(r.page())
		}
		return nil
	}
	if err := os.WriteFile(filepath.Join(s.docs, "benchmarks-http.svg"), []byte(r.plot()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.docs, "benchmarks-http.md"), []byte(r.page()), 0o644)
}

// measure lets the contenders take their turns, part by part.
func (b *bench) measure(ctx context.Context, r *results) error {
	contenders := slices.DeleteFunc(b.contenders(), func(c *contender) bool { return !b.chosen(c.name) })
	for _, part := range []struct {
		name string
		run  func(context.Context, *results, []*contender) error
	}{
		{"turns", b.turns},
		{"latency", b.latencies},
		{"batch", b.batch},
		{"overload", b.overload},
		{"refusal", b.refusal},
		{"start", b.starts},
		{"stream", b.mixed},
		{"soak", b.soak},
	} {
		if !b.part(part.name) || part.name == "soak" && b.settings.soak == 0 {
			continue
		}
		if err := part.run(ctx, r, contenders); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say("%s: %v", part.name, err)
			r.Failed = append(r.Failed, failure{part.name, err.Error()})
		}
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
