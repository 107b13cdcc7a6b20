//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/kafka"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	checkoutOrders = 40 // a phase
	streamPatience = 2 * time.Second
	customersLimit = 5 * time.Second
)

// TestCheckoutGoesOn runs examples/checkout/decide, whose customers get the stream's decision, without Kafka that of
// /score, and without either none, in time. What was published meanwhile is decided once Kafka is back, as /score did.
func TestCheckoutGoesOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, bin, data, python := new(system), t.TempDir(), t.TempDir(), ""
	var broker *kafka.Node
	s.startParts(ctx, t, nil, func() (err error) {
		if broker, err = kafka.Start(ctx, data, filepath.Join(t.ArtifactDir(), "kafka.log")); err == nil {
			t.Cleanup(broker.Kill)
			s.seeds = []string{broker.Address()}
			s.product, s.replicas = s.seeds, 1
		}
		return err
	}, func() error {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./checkout/decide")
		cmd.Dir = filepath.Join(root, "examples")
		out, err := cmd.CombinedOutput()
		return attach(err, out)
	}, func() error {
		out, err := exec.CommandContext(ctx, filepath.Join(root, "training/venv.sh"), filepath.Join(root, "examples/requirements.txt"), "3.12").Output()
		python = strings.TrimSpace(string(out))
		return err
	})
	s.createTopics(ctx, t)
	first, door := s.startService(ctx, t, "first"), newRelay(ctx, t)
	first.awaitStream(ctx, t)
	door.Forward(first.address)
	url := "http://" + door.Address()
	c := s.startCheckout(ctx, t, filepath.Join(bin, "decide"), url)

	all := c.decide(ctx, t, "stream")
	compareScripts(ctx, t, python, url, c.events.Bytes(), all)

	broker.Kill()
	maps.Copy(all, c.decide(ctx, t, "score"))
	first.kill(t)
	maps.Copy(all, c.decide(ctx, t, "none"))
	if err := broker.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	second := s.startService(ctx, t, "second")
	second.awaitStream(ctx, t)
	door.Forward(second.address)
	maps.Copy(all, c.decide(ctx, t, "stream"))
	c.end(t)
	s.compareDecisions(ctx, t, all)
}

// attach adds a program's output to its failure.
func attach(err error, out []byte) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// verdict is a line of decide, without the order.
type verdict struct {
	from, band, predictionID string
}

// checkout is a running decide.
type checkout struct {
	orders *ordergen.Generator
	events bytes.Buffer // of the last phase, a line each
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan string // closed at the output's end
	log    string
}

func (s *system) startCheckout(ctx context.Context, t *testing.T, path, url string) *checkout {
	t.Helper()
	c := &checkout{orders: ordergen.New(ordergen.Config{Seed: 12}), lines: make(chan string, checkoutOrders)}
	c.cmd = exec.CommandContext(ctx, path, "--url", url, "--wait", streamPatience.String(), "--within", customersLimit.String())
	c.cmd.Env = s.environment()
	c.log = filepath.Join(t.ArtifactDir(), "decide.log")
	log, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	c.cmd.Stderr = log
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() }) // it has ended, unless the test failed
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	return c
}

// decide has a phase's orders decided. All decisions must come from the same place, in the customers' time.
func (c *checkout) decide(ctx context.Context, t *testing.T, from string) map[string]verdict {
	t.Helper()
	c.events.Reset()
	for range checkoutOrders {
		c.events.Write(append(c.orders.Next().AppendJSON(nil), '\n'))
	}
	begin := time.Now()
	if _, err := c.in.Write(c.events.Bytes()); err != nil {
		t.Fatal(err)
	}
	decisions, longest := map[string]verdict{}, time.Duration(0)
	for range checkoutOrders {
		var line string
		select {
		case line = <-c.lines:
		case <-time.After(2 * customersLimit):
		case <-ctx.Done():
		}
		var id, took string
		var version int64
		var d verdict
		if _, err := fmt.Sscan(line, &id, &version, &d.from, &d.band, &d.predictionID, &took); err != nil {
			t.Fatalf("decide printed %q after %v: %v", line, time.Since(begin), err)
		}
		waited, err := time.ParseDuration(took)
		if err != nil || waited > customersLimit+500*time.Millisecond {
			t.Errorf("%q: a customer waited longer than %v", line, customersLimit)
		}
		if d.from != from {
			t.Errorf("%q: want the decision from %s", line, from)
		}
		decisions[id], longest = d, max(longest, waited)
	}
	t.Logf("%d decisions from %s, the longest wait %v", len(decisions), from, longest)
	return decisions
}

// end closes the checkout. It must have published every order.
func (c *checkout) end(t *testing.T) {
	t.Helper()
	if err := c.in.Close(); err != nil {
		t.Fatal(err)
	}
	for line := range c.lines {
		t.Errorf("decide printed %q for no order", line)
	}
	if err := c.cmd.Wait(); err != nil {
		log, read := os.ReadFile(c.log)
		t.Errorf("decide ended with %v: %s (%v)", err, log, read)
	}
}

// compareScripts sends the orders through the Python program and the first one through the curl script.
func compareScripts(ctx context.Context, t *testing.T, python, url string, events []byte, want map[string]verdict) {
	t.Helper()
	dir := filepath.Join(root, "examples/score")
	run := func(in []byte, args ...string) []byte {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", args, err, out)
		}
		return out
	}
	scored := 0
	for line := range strings.Lines(string(run(events, python, filepath.Join(dir, "score.py"), "--url", url, "--within", "10"))) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if d := want[id]; rest != d.band+" "+d.predictionID {
			t.Errorf("score.py printed %q, the stream decided %+v", line, d)
		}
		scored++
	}
	if scored != checkoutOrders {
		t.Errorf("score.py scored %d orders, want %d", scored, checkoutOrders)
	}
	first, _, _ := bytes.Cut(events, []byte("\n"))
	var got answer
	if err := json.Unmarshal(run(first, filepath.Join(dir, "score.sh"), url, "10"), &got); err != nil {
		t.Fatal("score.sh:", err)
	}
	if d := want[got.OrderID]; got.PredictionID == "" || got.PredictionID != d.predictionID {
		t.Errorf("score.sh: %+v, the stream decided %+v", got, d)
	}
}

// compareDecisions reads a result for every order, those without a decision included, and compares prediction ids.
func (s *system) compareDecisions(ctx context.Context, t *testing.T, decisions map[string]verdict) {
	t.Helper()
	reader, decoder := s.reader(t), verify.NewDecoder(verify.RegistrySchemas(s.schemas))
	left := maps.Clone(decisions)
	for deadline := time.Now().Add(idleLimit); len(left) > 0; {
		if time.Now().After(deadline) || ctx.Err() != nil {
			t.Fatalf("%d orders have no result", len(left))
		}
		poll, cancel := context.WithTimeout(ctx, time.Second)
		records := reader.PollFetches(poll).Records()
		cancel()
		for _, record := range records {
			r, err := decoder.Decode(ctx, record.Value)
			if err != nil || record.Topic != topics.Results {
				t.Fatalf("%s: %v", record.Topic, err)
			}
			if d := decisions[r.OrderID]; d.from != "none" && (d.predictionID != r.PredictionID || d.band != r.RiskBand) {
				t.Errorf("%s: the customer's decision was %+v, the stream's %s %s", r.OrderID, d, r.RiskBand, r.PredictionID)
			}
			delete(left, r.OrderID)
		}
	}
}
