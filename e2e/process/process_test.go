package process_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/e2e/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func waitForLog(t *testing.T, p *process.Process, line string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(p.Tail(10), line); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in the log: %s", line, p.Tail(10))
		}
	}
}

func TestStopReturnsTheExit(t *testing.T) {
	p := start(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	waitForLog(t, p, "up")
	if err := p.Stop(5 * time.Second); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if got := p.Tail(1); got != "bye" {
		t.Errorf("last log line %q, want bye", got)
	}
}

func TestStopKillsAfterTheLimit(t *testing.T) {
	p := start(t, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	waitForLog(t, p, "up")
	if err := p.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within") {
		t.Errorf("Stop of a deaf child: %v", err)
	}
	<-p.Done()
}

func TestKillEndsGrandchildren(t *testing.T) {
	p := start(t, `sleep 300 & echo "$!"; wait`)
	for deadline := time.Now().Add(10 * time.Second); p.Tail(1) == "" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	pid := p.Tail(1)
	p.Kill()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, err := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", pid).Output()
		if err != nil || strings.HasPrefix(string(state), "Z") {
			break // gone, or dead and not yet collected by its new parent
		}
		if time.Now().After(deadline) {
			t.Fatalf("grandchild %s still runs", pid)
		}
	}
	var exit *exec.ExitError
	if err := p.Err(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v, want SIGKILL", err)
	}
}

func TestFindNamesWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := process.Find("java", "the Kafka broker"); err == nil || err.Error() != "java is not in PATH: the Kafka broker needs it" {
		t.Errorf("error %v", err)
	}
}
