//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/maven"
	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/ordergen"
)

// exampleOrders is how many orders each language publishes.
const exampleOrders = 400

// TestExamplesActOnce runs the programs of examples/ as they stand: checkouts in three languages publish, two models are
// live at once, and interventions in three languages, each killed once, act on the same results. All must have acted on
// what the rule says, and on nothing else.
func TestExamplesActOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	s := startSystem(ctx, t)
	x := installExamples(ctx, t)
	s.startService(ctx, t, "first").awaitStream(ctx, t)
	s.startService(ctx, t, "second", "MODEL_PATH="+secondBundle(t), "KAFKA_GROUP=second").awaitStream(ctx, t)

	events, pairs := exampleEvents()
	for i, checkout := range x.checkouts {
		cmd := exec.CommandContext(ctx, checkout[0], checkout[1:]...)
		cmd.Env, cmd.Stdin, cmd.Dir = s.environment(), bytes.NewReader(events[i]), x.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", checkout, err, out)
		}
	}
	want := s.decided(ctx, t, 2*bytes.Count(slices.Concat(events[:]...), []byte("\n")))
	if len(want.Interventions) != pairs {
		t.Fatalf("the results are to be acted on %d times, want %d", len(want.Interventions), pairs)
	}
	t.Logf("%d results, %d of them distinct, to be acted on %d times", want.read, len(want.Results), len(want.Interventions))

	var languages errgroup.Group
	for _, intervention := range x.interventions {
		languages.Go(func() error { return x.compare(ctx, t, s, intervention, want) })
	}
	if err := languages.Wait(); err != nil {
		t.Error(err)
	}
}

// exampleEvents returns each language's events, a line each, and how many of them are to be acted on. Every fifth order
// changes: odd ones are published in order, of the even ones the newer version comes first and is the only one to act on.
// Every seventh event comes twice.
func exampleEvents() (events [3][]byte, pairs int) {
	orders := ordergen.New(ordergen.Config{Seed: 11})
	for language := range events {
		for i := range exampleOrders {
			first := orders.Next()
			first.EventVersion = 1
			second := first
			second.EventVersion, second.Features.DiscountPct = 2, 0.9
			versions := []ordergen.Order{first}
			switch {
			case i%10 == 0:
				versions = []ordergen.Order{second, first}
			case i%5 == 0:
				versions = []ordergen.Order{first, second}
				pairs++
			case i%7 == 0:
				versions = []ordergen.Order{first, first}
			}
			pairs++
			for _, o := range versions {
				events[language] = append(o.AppendJSON(events[language]), '\n')
			}
		}
	}
	return events, pairs
}

// secondBundle is the demo bundle under another version and with other bands, as a second model would decide otherwise.
func secondBundle(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, bundle))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "manifest.json")
	manifest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(manifest, []byte(`"version": "v1.0.0"`), []byte(`"version": "v2.0.0"`), 1)
	changed = bytes.Replace(changed, []byte("0.65"), []byte("0.5"), 1)
	if bytes.Equal(changed, manifest) {
		t.Fatal("the manifest has no version to change")
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(data []byte) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(data)) }
	sums = bytes.Replace(sums, sum(manifest), sum(changed), 1)
	for path, data := range map[string][]byte{path: changed, filepath.Join(dir, "SHA256SUMS"): sums} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// acts are the tables of rule.sql, a row a line.
type acts struct {
	Results, Interventions []string
	read                   int // results, with those that came again
}

// decided reads count results and does what rule.sql says, in the words of Go.
func (s *system) decided(ctx context.Context, t *testing.T, count int) (a acts) {
	t.Helper()
	reader, decoder := s.reader(t), verify.NewDecoder(verify.RegistrySchemas(s.schemas))
	highest, recorded := map[string]int64{}, map[string]bool{}
	for deadline := time.Now().Add(idleLimit); a.read < count; {
		if time.Now().After(deadline) {
			t.Fatalf("%d results, want %d", a.read, count)
		}
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, record := range fetches.Records() {
			r, err := decoder.Decode(ctx, record.Value)
			if err != nil || record.Topic != topics.Results {
				t.Fatalf("%s: %v", record.Topic, err)
			}
			a.read++
			line := fmt.Sprint(r.OrderID, " ", r.EventVersion, " ", r.PredictionID, " ", r.ModelVersion, " ", r.RiskBand)
			if !recorded[line] {
				recorded[line] = true
				a.Results = append(a.Results, line)
			}
			if r.EventVersion > highest[r.OrderID] {
				highest[r.OrderID] = r.EventVersion
				action := map[string]string{"HIGH": "ask", "MEDIUM": "remind", "LOW": "none"}[r.RiskBand]
				a.Interventions = append(a.Interventions, line+" "+action)
			}
		}
	}
	slices.Sort(a.Results)
	slices.Sort(a.Interventions)
	return a
}

// examples are the command lines of the programs; an intervention's takes its database's file and its group.
type examples struct {
	dir, python   string
	checkouts     [3][]string
	interventions [3]func(file, group string) []string
}

func installExamples(ctx context.Context, t *testing.T) *examples {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	bin, lib := t.TempDir(), ""
	x := &examples{dir: dir}
	var parts errgroup.Group
	parts.Go(func() error {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./intervention", "./checkout")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the examples: %w: %s", err, out)
		}
		return nil
	})
	parts.Go(func() (err error) {
		lib, err = installJars(ctx, dir)
		return err
	})
	parts.Go(func() error {
		out, err := exec.CommandContext(ctx, filepath.Join(root, "training/venv.sh"), filepath.Join(dir, "requirements.txt"), "3.12").Output()
		x.python = strings.TrimSpace(string(out))
		return err
	})
	if err := parts.Wait(); err != nil {
		t.Fatal(err)
	}
	java := []string{"java", "-cp", lib + "/*"}
	x.checkouts = [3][]string{
		{filepath.Join(bin, "checkout"), "--format", "avro"},
		{x.python, "checkout/checkout.py", "--format", "json"},
		append(slices.Clone(java), "checkout/Checkout.java", "avro"),
	}
	// A killed member's session of 10 s must end before its partitions come to the next one.
	const topic, idle = "risk-results", "20"
	x.interventions = [3]func(file, group string) []string{
		func(file, group string) []string {
			return []string{filepath.Join(bin, "intervention"), "--db", file, "--group", group, "--exit-when-idle", idle + "s"}
		},
		func(file, group string) []string {
			return []string{x.python, "intervention/intervention.py", "--db", file, "--group", group, "--exit-when-idle", idle}
		},
		func(file, group string) []string {
			return append(slices.Clone(java), "intervention/Intervention.java", file, topic, group, idle)
		},
	}
	return x
}

// installJars returns the folder of what examples/pom.xml names.
func installJars(ctx context.Context, dir string) (string, error) {
	pom, err := os.ReadFile(filepath.Join(dir, "pom.xml"))
	if err != nil {
		return "", err
	}
	return maven.Cached(ctx, fmt.Sprintf("examples-%x", sha256.Sum256(pom)), func(ctx context.Context, into string) error {
		return maven.Run(ctx, dir, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+into)
	})
}

// compare runs an intervention, kills it once it has acted, runs it to the end and compares its tables.
func (x *examples) compare(ctx context.Context, t *testing.T, s *system, command func(file, group string) []string, want acts) error {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "acts.db"), filepath.Join(dir, "log")
	line := command(file, "intervention-"+filepath.Base(dir))
	spec := process.Spec{Path: line[0], Args: line[1:], Dir: x.dir, Env: s.environment(), Log: log}
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	defer p.Kill()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(p.Tail(1), "acted on"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not act: %s", line, p.Tail(20))
		}
	}
	p.Kill()
	before, err := x.acts(ctx, file)
	if err != nil {
		return err
	}
	t.Logf("%s: killed after acting on %d", filepath.Base(line[0]), len(before.Interventions))
	if p, err = process.Start(spec); err != nil {
		return err
	}
	defer p.Kill()
	select {
	case <-p.Done():
	case <-ctx.Done():
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, p.Tail(20))
	}
	got, err := x.acts(ctx, file)
	if err != nil {
		return err
	}
	if !slices.Equal(got.Results, want.Results) {
		return fmt.Errorf("%s recorded %d results, want %d, or others", line, len(got.Results), len(want.Results))
	}
	if !slices.Equal(got.Interventions, want.Interventions) {
		return fmt.Errorf("%s acted on %d results, want %d, or on others", line, len(got.Interventions), len(want.Interventions))
	}
	return nil
}

// acts reads the tables, as decided has them.
func (x *examples) acts(ctx context.Context, file string) (a acts, err error) {
	const script = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
columns = "order_id, event_version, prediction_id, model_version, risk_band"
read = lambda query: sorted(" ".join(map(str, row)) for row in db.execute(query))
print(json.dumps({"Results": read(f"SELECT {columns} FROM results"), "Interventions": read(f"SELECT {columns}, action FROM interventions")}))`
	out, err := exec.CommandContext(ctx, x.python, "-c", script, file).Output()
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(out, &a)
}
