//go:build planted

package simulation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPlanted proves the simulation: it builds it with one bug after another and expects one of the quick seeds, or of the
// next after them, to find it.
func TestPlanted(t *testing.T) {
	const seeds = 20
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	broken := regexp.MustCompile(`(?m)^ +(\S+_test.go:\d+: .*(?:\n +\S.*){0,2})`)
	for _, p := range plants() {
		t.Run(p.name, func(t *testing.T) {
			binary := build(t, root, p)
			for seed := 1; seed <= seeds; seed++ {
				cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestHours$", "-test.timeout", "3m")
				cmd.Env = append(os.Environ(), "SIM_HOURS=1", fmt.Sprintf("SIM_SEED=%d", seed))
				out, err := cmd.CombinedOutput()
				if err == nil {
					continue
				}
				what := broken.FindString(string(out))
				if what == "" {
					t.Fatalf("seed %d: %v\n%s", seed, err, out)
				}
				t.Logf("found by seed %d: %s", seed, cut(what, 300))
				return
			}
			t.Errorf("%d seeds did not find it", seeds)
		})
	}
}

func cut(s string, n int) string { return strings.TrimSpace(s[:min(len(s), n)]) }

// build builds this test with the bug in it.
func build(t *testing.T, root string, p plant) string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(root, p.file)
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(source, []byte(p.text)) != 1 {
		t.Fatalf("%s does not hold once %q", p.file, p.text)
	}
	planted := filepath.Join(dir, "planted.go")
	if err := os.WriteFile(planted, bytes.Replace(source, []byte(p.text), []byte(p.instead), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {name: planted}})
	if err != nil {
		t.Fatal(err)
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "planted.test")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}
