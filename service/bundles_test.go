package service_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

// goldenRows are enough for a bundle of a test: what libraries say is shown elsewhere.
const goldenRows = 16

// writeBundle makes a bundle of the demo model with another version and another base score, and so with other margins,
// scores and digest. Its golden rows are this engine's own.
func writeBundle(t *testing.T, dir, version string, baseScore float64) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "manifest.json", func(b []byte) []byte {
		b = bytes.Replace(b, []byte(`"version": "trendbuy_xgb_v1.0.0"`), fmt.Appendf(nil, `"version": %q`, version), 1)
		return bytes.Replace(b, []byte(`"rows": 512`), fmt.Appendf(nil, `"rows": %d`, goldenRows), 1)
	})
	var model *forest.Forest
	edit(t, dir, "model.ubj", func(b []byte) []byte {
		const old = "[2.9551667E-1]"
		b = bytes.Replace(b, []byte(old), fmt.Appendf(nil, "[%.*f]", len(old)-4, baseScore), 1)
		var err error
		if model, err = bundle.LoadModel(b, false, forest.Options{}); err != nil {
			t.Fatal(err)
		}
		return b
	})
	edit(t, dir, "golden.jsonl", func(b []byte) []byte { return regild(t, b, model) })
	if _, err := bundle.WriteSums(dir); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file of a directory, in place.
func edit(t *testing.T, dir, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(bytes.Clone(data))
	if bytes.Equal(data, changed) {
		t.Fatalf("%s is as before", name)
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// regild gives the first golden rows the model's own numbers.
func regild(t *testing.T, golden []byte, f *forest.Forest) []byte {
	t.Helper()
	var out []byte
	for _, line := range bytes.Split(golden, []byte("\n"))[:goldenRows] {
		var g bundle.GoldenRow
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatal(err)
		}
		margin, score := make([]float64, 1), make([]float64, 1)
		f.MarginsTo(margin, g.Features())
		f.PredictionsTo(score, margin)
		f.ContributionsTo(g.Contributions, g.Features())
		g.Margin, g.Score = margin[0], score[0]
		line, err := json.Marshal(&g)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// versioned are bundles in directories of their own, by version, and what each says of the same orders.
type versioned struct {
	dirs    map[string]string
	bodies  []string          // the orders, as requests and events
	ids     []string          // their order ids
	answers map[string]string // by version and request, over HTTP
	results map[string]string // by version and order id, on Kafka
}

// newVersioned makes bundles of the versions, which decide some orders.
func newVersioned(t *testing.T, versions ...string) *versioned {
	t.Helper()
	v := &versioned{dirs: map[string]string{}, answers: map[string]string{}, results: map[string]string{}}
	orders := ordergen.New(ordergen.Config{Seed: 200})
	for range 40 {
		o := orders.Next()
		v.bodies, v.ids = append(v.bodies, string(o.AppendJSON(nil))), append(v.ids, o.ID)
	}
	root := t.TempDir()
	for i, version := range versions {
		dir := filepath.Join(root, version)
		writeBundle(t, dir, version, 0.25+0.1*float64(i))
		v.dirs[version] = dir
		b, err := bundle.Open(dir, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v.expect(t, version, scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry())))
	}
	if a, b := v.answers[versions[0]+v.bodies[0]], v.answers[versions[1]+v.bodies[0]]; a == b {
		t.Fatalf("two versions answer alike: %s", a)
	}
	return v
}

func (v *versioned) expect(t *testing.T, version string, s *scoring.Scorer) {
	t.Helper()
	wire := schemas.Model{Version: version, Digest: s.Digest().String(), Engine: s.EngineID()}
	for i, body := range v.bodies {
		order, err := schemas.ParseOrder([]byte(body), s.Contract(), schemas.RefuseExtra)
		if err != nil {
			t.Fatal(err)
		}
		decisions := s.Decide(nil, []scoring.Order{order})
		v.answers[version+body] = string(schemas.AppendAnswer(nil, wire, &order, &decisions[0], nil))
		result, err := schemas.NewJSONResults(wire).AppendTo(nil, &order, &decisions[0])
		if err != nil {
			t.Fatal(err)
		}
		v.results[version+v.ids[i]] = string(result)
	}
}

// volume is a directory as Kubernetes projects it: links to files in ..data, which is a link that is swapped.
type volume struct{ dir string }

func newVolume(t *testing.T, bundleDir string) volume {
	t.Helper()
	v := volume{filepath.Join(t.TempDir(), "volume")}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v.put(t, bundleDir)
	for _, name := range []string{"manifest.json", "model.ubj", "golden.jsonl", "baseline.json", "SHA256SUMS"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// put swaps ..data.
func (v volume) put(t *testing.T, bundleDir string) {
	link(t, bundleDir, filepath.Join(v.dir, "..data"))
}

// link makes or swaps a link in one step.
func link(t *testing.T, target, path string) {
	t.Helper()
	next := path + "_tmp"
	if err := os.Symlink(target, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}
