package main

import (
	"context"
	"strings"
	"syscall"
	"testing"
)

// TestAHangUpReloadsTheModel: SIGHUP is no end, and the log says what came of it.
func TestAHangUpReloadsTheModel(t *testing.T) {
	setenv(t, map[string]string{"MODEL_POLL": "0"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var log lines
	go func() { done <- run(ctx, nil, &log, &log) }()
	log.await(t, `"running"`)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if line := log.await(t, "the bundle is the one that serves"); !strings.Contains(line, `"outcome":"unchanged"`) {
		t.Errorf("the log says %s", line)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("the service ended with exit code %d", code)
	}
}
