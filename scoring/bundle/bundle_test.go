package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const demo = "../../models/trendbuy_xgb_v1.0.0"

// copyDemo copies the demo bundle into a directory that the test may spoil.
func copyDemo(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit rewrites a file of the bundle; reseal makes the digests right again, so that the next check is reached.
func edit(t *testing.T, dir, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(data)
	if bytes.Equal(changed, data) {
		t.Fatalf("the test changed nothing of %s", name)
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

func reseal(t *testing.T, dir string) {
	t.Helper()
	if _, err := bundle.WriteSums(dir); err != nil {
		t.Fatal(err)
	}
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// editManifest changes the manifest as a tree of values.
func editManifest(change func(m map[string]any)) func([]byte) []byte {
	return func(b []byte) []byte {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			panic(err)
		}
		change(m)
		out, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		return out
	}
}

func feature(m map[string]any, i int) map[string]any {
	return m["features"].([]any)[i].(map[string]any)
}

func TestDemoBundleOpens(t *testing.T) {
	b, err := bundle.Open(demo, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Manifest.Version != "trendbuy_xgb_v1.0.0" || len(b.Manifest.Features) != 8 || len(b.Forest.Trees) != 300 {
		t.Errorf("version %q, %d features, %d trees", b.Manifest.Version, len(b.Manifest.Features), len(b.Forest.Trees))
	}
	if b.Parity.MaxMargin != 0 {
		t.Errorf("margins differ from the training library's by %g", b.Parity.MaxMargin)
	}
	if b.Parity.MaxContribution > 1e-5 {
		t.Errorf("contributions differ by %g", b.Parity.MaxContribution)
	}
}

func TestBrokenBundlesAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(t *testing.T, dir string)
		sealed bool // digests are made right again
		check  string
		says   string
	}{
		{"one byte of the model changed", func(t *testing.T, dir string) {
			edit(t, dir, "model.ubj", func(b []byte) []byte { c := bytes.Clone(b); c[len(c)/2] ^= 1; return c })
		}, false, bundle.CheckDigests, "model.ubj changed"},
		{"unlisted file", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "model.json"), "{}")
		}, false, bundle.CheckDigests, "model.json is not listed"},
		{"foreign file", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "notes.txt"), "hello")
		}, false, bundle.CheckSizes, "notes.txt is not a file of a bundle"},
		{"missing golden rows", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "golden.jsonl")); err != nil {
				t.Fatal(err)
			}
		}, false, bundle.CheckSizes, "golden.jsonl is missing"},
		{"digests out of order", func(t *testing.T, dir string) {
			edit(t, dir, "SHA256SUMS", func(b []byte) []byte {
				lines := strings.SplitAfter(string(b), "\n")
				return []byte(lines[1] + lines[0] + strings.Join(lines[2:], ""))
			})
		}, false, bundle.CheckDigests, "not sorted"},
		{"manifest with an unknown member", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) { m["treshold"] = 1 }))
		}, true, bundle.CheckManifest, "treshold"},
		{"manifest with a member twice", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", replace(`"format"`, `"name": "x", "format"`))
		}, true, bundle.CheckManifest, "duplicate"},
		{"thresholds the wrong way round", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) {
				m["thresholds"] = map[string]any{"medium": 0.65, "high": 0.4}
			}))
		}, true, bundle.CheckManifest, "/thresholds"},
		{"a library that is not served", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) { m["model"].(map[string]any)["library"] = "catboost" }))
		}, true, bundle.CheckManifest, "/model/library"},
		{"a model that is no XGBoost file", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "model.ubj"), "PK\x03\x04 not a model")
		}, true, bundle.CheckModel, "it is compressed"},
		{"a model of another library", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "model.ubj"), "tree\nversion=v4\n")
		}, true, bundle.CheckModel, `manifest says library "xgboost", model.ubj is a file of lightgbm`},
		{"a library and another's file", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) { m["model"].(map[string]any)["library"] = "lightgbm" }))
		}, true, bundle.CheckManifest, "/model/file"},
		{"a shuffled feature list", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) {
				f := m["features"].([]any)
				f[0], f[1] = f[1], f[0]
			}))
		}, true, bundle.CheckContract, "feature 0: manifest says"},
		{"a feature left out", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) { m["features"] = m["features"].([]any)[1:] }))
		}, true, bundle.CheckContract, "7 features"},
		{"categories in another order", func(t *testing.T, dir string) {
			edit(t, dir, "manifest.json", editManifest(func(m map[string]any) {
				c := feature(m, 7)["categories"].([]any)
				c[0], c[1] = c[1], c[0]
			}))
		}, true, bundle.CheckContract, "category 0"},
		{"a wrong golden margin", func(t *testing.T, dir string) {
			edit(t, dir, "golden.jsonl", editGolden(func(g *bundle.GoldenRow) { g.Margin += 1e-6 }))
		}, true, bundle.CheckGolden, "row 1: margin"},
		{"a wrong golden score", func(t *testing.T, dir string) {
			edit(t, dir, "golden.jsonl", editGolden(func(g *bundle.GoldenRow) { g.Score += 1e-6 }))
		}, true, bundle.CheckGolden, "row 1: score"},
		{"a wrong golden contribution", func(t *testing.T, dir string) {
			edit(t, dir, "golden.jsonl", editGolden(func(g *bundle.GoldenRow) { g.Contributions[2] += 0.01 }))
		}, true, bundle.CheckGolden, "row 1: contribution 2"},
		{"golden rows left out", func(t *testing.T, dir string) {
			edit(t, dir, "golden.jsonl", func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] })
		}, true, bundle.CheckGolden, "the manifest says"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyDemo(t)
			tt.spoil(t, dir)
			if tt.sealed {
				reseal(t, dir)
			}
			_, err := bundle.Open(dir, bundle.Options{})
			var check *bundle.CheckError
			if !errors.As(err, &check) {
				t.Fatalf("error is %v, want a *CheckError", err)
			}
			if check.Check != tt.check || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("check %q says %q, want check %q saying %q", check.Check, err, tt.check, tt.says)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// editGolden changes the first golden row.
func editGolden(change func(*bundle.GoldenRow)) func([]byte) []byte {
	return func(b []byte) []byte {
		first, rest, _ := bytes.Cut(b, []byte("\n"))
		var g bundle.GoldenRow
		if err := json.Unmarshal(first, &g); err != nil {
			panic(err)
		}
		change(&g)
		out, err := json.Marshal(g)
		if err != nil {
			panic(err)
		}
		return append(append(out, '\n'), rest...)
	}
}

func TestPackIsRepeatableAndOpens(t *testing.T) {
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := bundle.Pack(w, demo); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two packs of one bundle differ")
	}
	path := filepath.Join(t.TempDir(), "bundle.tar")
	write(t, path, first.String())
	packed, err := bundle.Open(path, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	open, err := bundle.Open(demo, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if packed.Digest != open.Digest {
		t.Errorf("digest %s packed, %s as a directory", packed.Digest, open.Digest)
	}
}

func TestSignature(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := minisign.EncryptKey("a password", private)
	if err != nil {
		t.Fatal(err)
	}
	dir := copyDemo(t)
	open := func(keys ...minisign.PublicKey) (*bundle.Bundle, error) {
		var texts []string
		for _, k := range keys {
			texts = append(texts, k.String())
		}
		return bundle.Open(dir, bundle.Options{PublicKeys: texts})
	}
	if _, err := open(public); err == nil || !strings.Contains(err.Error(), "SHA256SUMS.minisig is missing") {
		t.Errorf("unsigned: %v", err)
	}
	if err := bundle.Sign(dir, secret, "a password"); err != nil {
		t.Fatal(err)
	}
	if b, err := open(other, public); err != nil || !b.Signed {
		t.Errorf("signed by the second key: %v", err)
	}
	if _, err := open(other); err == nil || !strings.Contains(err.Error(), "no configured public key") {
		t.Errorf("signed by another key: %v", err)
	}
	edit(t, dir, "golden.jsonl", editGolden(func(g *bundle.GoldenRow) { g.Score = 0 }))
	reseal(t, dir)
	if _, err := open(public); err == nil || !strings.Contains(err.Error(), "no configured public key") {
		t.Errorf("resealed after signing: %v", err)
	}
}
