package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sandboxRun runs the command as main does until the context ends and returns what it said.
func sandboxRun(ctx context.Context, t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("MODEL_PATH", "../../models/trendbuy_xgb_v1.0.0")
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"--http", "127.0.0.1:0"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// TestTheAccountBalancesWheneverItIsStopped stops sandboxes at several moments, the start among them.
func TestTheAccountBalancesWheneverItIsStopped(t *testing.T) {
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 400 * time.Millisecond, 1500 * time.Millisecond} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			code, stdout, stderr := sandboxRun(ctx, t, "--rate", "300", "--json")
			var s summary
			if err := json.Unmarshal([]byte(stdout), &s); err != nil {
				t.Fatalf("exit code %d, %q, %q: %v", code, stdout, stderr, err)
			}
			if code != 0 || s.Sent != s.Results+s.DeadLetters || s.Duplicates != 0 {
				t.Errorf("exit code %d, %+v, %s", code, s, stderr)
			}
		})
	}
}

func TestASetNumberOfOrders(t *testing.T) {
	code, stdout, stderr := sandboxRun(t.Context(), t, "--orders", "300", "--rate", "2000")
	if code != 0 || !strings.Contains(stdout, "every order is accounted for") || !strings.Contains(stdout, "curl ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = sandboxRun(t.Context(), t, "--orders", "300", "--rate", "2000", "--json")
	var s summary
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	if code != 0 || s.Sent != 300 || s.DeadLetters != 3 || s.Results != 297 || s.P50 <= 0 || s.P99 < s.P50 || s.EventsPerSecond <= 0 {
		t.Errorf("exit code %d, %+v", code, s)
	}
}

func TestAnAccountThatDoesNotBalanceSaysSo(t *testing.T) {
	var out strings.Builder
	s := &summary{Sent: 3, Results: 1, DeadLetters: 1}
	if err := s.print(&out); err != nil || s.balances() || !strings.Contains(out.String(), "1 ORDERS ARE NOT ACCOUNTED FOR") {
		t.Errorf("%v %s", err, out.String())
	}
}

func TestUsage(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, 0, "Example:"},
		{[]string{"--rate", "0"}, 2, "--rate"},
		{[]string{"--orders", "-1"}, 2, "--orders"},
		{[]string{"extra"}, 2, "extra"},
		{[]string{"--http", "nowhere:port"}, 3, "listen"},
		{[]string{"--http", taken.Addr().String()}, 3, "choose another address with --http"},
	} {
		code, _, stderr := sandboxRun(t.Context(), t, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, says %q; want %d and %q", tt.args, code, stderr, tt.code, tt.says)
		}
	}
}
