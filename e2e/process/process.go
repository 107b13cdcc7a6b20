// Package process provides child processes that log into a file and never outlive the program that started them.
// It ends only what it started, by process group. Unix only.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Spec says what to start.
type Spec struct {
	Path string   // the executable, looked up in PATH unless it holds a slash
	Args []string // without the executable's own name
	Dir  string   // working directory; empty is the caller's
	Env  []string // NAME=value, the whole environment; nil is the caller's
	Log  string   // file that gets standard output and error, appended to
}

// Process is a running or ended child. Its methods may be called from several goroutines.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; readable once done is closed
}

// Start starts the child in a process group of its own.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()                            // the child holds its own descriptor
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:gosec // what to start is the caller's choice, and its end is Kill and Stop
	cmd.Dir, cmd.Env = spec.Dir, spec.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()

	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	return p, nil
}

// run starts the child and waits for it on one thread: the kernel sends the parent-death signal when the *thread* that
// forked ends, so that thread must live as long as the child.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// ID is the child's process id, for what the kernel counts of it. It may be another's once Done is closed.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended: nil is exit code 0. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// State says how the child ended, also for exit code 0. It waits for the end.
func (p *Process) State() string {
	<-p.done
	return p.cmd.ProcessState.String()
}

// Kill sends SIGKILL to the child's process group and waits for its end. Killing an ended child does nothing.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Stop sends SIGTERM and waits for the end. The error is the child's own, or says that it took longer than limit; then
// the child is killed.
func (p *Process) Stop(limit time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.spec.Path, limit)
	}
}

// Pause sends SIGSTOP: the process keeps its memory and connections and does nothing, until Resume or Kill.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume sends SIGCONT.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// PID is the child's process number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// signal reaches the whole group, and nothing once the child was waited for: its number may be another's by then.
func (p *Process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // fails only if the group has just ended, which is what is asked for
	}
}

// Tail returns up to n last lines of the log, for a failure's message.
func (p *Process) Tail(n int) string {
	text, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Find returns the path of an executable, or an error of one sentence that says what it is needed for.
func Find(name, purpose string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not in PATH: %s needs it", name, purpose)
	}
	return path, err
}
