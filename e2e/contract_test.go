//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestContract lets schemathesis make requests of the document that the real binary serves, right ones and wrong ones,
// and hold each answer against it. CONTRACT_CASES is how many at least, CONTRACT_SEED another choice of them.
func TestContract(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cases := number(t, "CONTRACT_CASES", 1000)
	python := locked(ctx, t, "contract/schemathesis.txt")
	s := startServing(ctx, t, "contract")
	settings, err := filepath.Abs("contract")
	if err != nil {
		t.Fatal(err)
	}
	// Most cases are of the four operations that take a body; the others soon have no new ones.
	args := []string{
		"-m", "schemathesis.cli", "--config-file", filepath.Join(settings, "schemathesis.toml"), "run", "http://" + s.address + "/openapi.json",
		"--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color",
		"--max-examples", strconv.Itoa(max(cases/12, 1)), "--seed", strconv.Itoa(number(t, "CONTRACT_SEED", 1)),
	}
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Dir = t.TempDir() // it writes there
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS="+filepath.Join(settings, "hooks.py"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := regexp.MustCompile(`(\d+) generated`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no number of cases:\n%s", out)
	}
	if generated, _ := strconv.Atoi(string(found[1])); generated < cases { // digits
		t.Errorf("%d cases, want at least %d", generated, cases)
	}
	t.Logf("%s cases", found[1])
	s.mustRun(t)
}

// number is a setting of a test.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// locked returns the Python that has the packages of a lock.
func locked(ctx context.Context, t *testing.T, lock string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "training/venv.sh"), lock, "3.12")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// startServing builds the service and starts it without Kafka.
func startServing(ctx context.Context, t *testing.T, name string) *service {
	t.Helper()
	s := &system{binaries: t.TempDir()}
	if err := build(ctx, s.binaries); err != nil {
		t.Fatal(err)
	}
	return s.startService(ctx, t, name, "ROLE=serve")
}
