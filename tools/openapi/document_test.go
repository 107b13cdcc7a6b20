package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	current   = "../../server/openapi.json"
	announced = "announced.json"
)

var update = flag.Bool("update", false, "announce the current document, which must break nothing or have a new major version")

// TestNothingBreaksUnannounced compares the document with the announced one. What breaks a caller is announced by a new
// major version, apiVersion in server/, and a line in the changelog.
func TestNothingBreaksUnannounced(t *testing.T) {
	text := read(t, current)
	if major(t, text) > major(t, read(t, announced)) {
		t.Log("a new major version: what breaks is announced")
	} else if report := breaking(t, announced, current); report != "" {
		t.Fatalf("callers of the announced document break:\n%s", report)
	}
	if *update {
		if err := os.WriteFile(announced, text, 0o644); err != nil { //nolint:gosec // meant to be read
			t.Fatal(err)
		}
	}
}

// TestBreakingChangesAreSeen spoils the document in ways that break callers, and in ways that don't.
func TestBreakingChangesAreSeen(t *testing.T) {
	text := read(t, announced)
	for _, c := range []struct {
		name, old, replacement string
		breaks                 bool
	}{
		{"a field of the answer has another name", `"risk_band"`, `"band"`, true},
		{"a path has gone", `"/score/batch"`, `"/score/many"`, true},
		{"a feature is required", `"feature_discount_pct",`, `"feature_creator_reliability","feature_discount_pct",`, true},
		{"a batch is shorter", `"maxItems": 1000`, `"maxItems": 500`, true},
		{"another summary", `"Score one order"`, `"Scores an order"`, false},
	} {
		changed := bytes.ReplaceAll(text, []byte(c.old), []byte(c.replacement))
		if bytes.Equal(changed, text) {
			t.Fatalf("%s: the document has no %s", c.name, c.old)
		}
		file := filepath.Join(t.TempDir(), "openapi.json")
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := breaking(t, announced, file); (report != "") != c.breaks {
			t.Errorf("%s: the comparison says %q", c.name, report)
		}
	}
}

// breaking returns what in the second document breaks callers of the first.
func breaking(t *testing.T, from, to string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "tool", "oasdiff", "breaking", from, to, "--fail-on", "ERR").CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return string(out)
	}
	t.Fatalf("oasdiff: %v: %s", err, out)
	return ""
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func major(t *testing.T, text []byte) int {
	t.Helper()
	var document struct{ Info struct{ Version string } }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(document.Info.Version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
