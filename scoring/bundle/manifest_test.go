package bundle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func demoManifest(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(demo, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func publishedSchema(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	var schema jsonschema.Schema
	if err := json.Unmarshal(bundle.ManifestSchema, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// TestManifestsThatBothRefuse shows that what the published schema refuses the parser refuses too, member by member.
func TestManifestsThatBothRefuse(t *testing.T) {
	schema := publishedSchema(t)
	changes := map[string]func(m map[string]any){
		"format":            func(m map[string]any) { m["format"] = "riskscorer.bundle/2" },
		"empty version":     func(m map[string]any) { m["version"] = "" },
		"no name":           func(m map[string]any) { delete(m, "name") },
		"no features":       func(m map[string]any) { m["features"] = []any{} },
		"feature type":      func(m map[string]any) { feature(m, 0)["type"] = "text" },
		"feature policy":    func(m map[string]any) { feature(m, 0)["policy"] = "maybe" },
		"feature name":      func(m map[string]any) { feature(m, 0)["name"] = "" },
		"importance":        func(m map[string]any) { feature(m, 0)["importance"] = 2 },
		"reason code":       func(m map[string]any) { delete(feature(m, 0)["reason"].(map[string]any), "code") },
		"reason text":       func(m map[string]any) { feature(m, 0)["reason"].(map[string]any)["lowers"] = "" },
		"category twice":    func(m map[string]any) { feature(m, 7)["categories"] = []any{"app", "app"} },
		"empty category":    func(m map[string]any) { feature(m, 7)["categories"] = []any{""} },
		"golden rows":       func(m map[string]any) { m["golden"].(map[string]any)["rows"] = 0 },
		"golden tolerance":  func(m map[string]any) { m["golden"].(map[string]any)["margin_tolerance"] = 0.1 },
		"model file":        func(m map[string]any) { m["model"].(map[string]any)["file"] = "../model.ubj" },
		"trees":             func(m map[string]any) { m["model"].(map[string]any)["trees"] = "most" },
		"unknown in model":  func(m map[string]any) { m["model"].(map[string]any)["sha"] = "" },
		"text for a number": func(m map[string]any) { m["thresholds"].(map[string]any)["medium"] = "0.4" },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			data := editManifest(change)(demoManifest(t))
			var value any
			if err := json.Unmarshal(data, &value); err != nil {
				t.Fatal(err)
			}
			if schema.Validate(value) == nil {
				t.Error("the published schema accepts it")
			}
			if _, err := bundle.ParseManifest(data); err == nil {
				t.Error("the parser accepts it")
			}
		})
	}
}

// FuzzManifest: whatever the parser accepts, the published schema accepts, and it reads back as the same manifest.
func FuzzManifest(f *testing.F) {
	data := demoManifest(f)
	f.Add(data)
	f.Add([]byte(`{"format":"riskscorer.bundle/1"}`))
	f.Add([]byte(`{"features":[{"allowed":{"min":1,"max":0}}]}`))
	f.Add(bytes.ReplaceAll(data, []byte("category"), []byte("number")))
	schema := publishedSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := bundle.ParseManifest(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(written, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Fatalf("the published schema refuses what the parser accepts: %v", err)
		}
		again, err := bundle.ParseManifest(written)
		if err != nil {
			t.Fatalf("read back: %v", err)
		}
		rewritten, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, rewritten) {
			t.Fatalf("read back as %s, written as %s", rewritten, written)
		}
	})
}
