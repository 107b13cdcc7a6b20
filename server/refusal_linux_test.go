package server_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trendbuy/riskscorer/server"
)

// BenchmarkRefusal is what one refusal costs the server: of a busy gate, of a client over its rate, and, for
// comparison, of a handler that writes a bare 503 and does not read the body. server-us is the CPU of the process
// without that of the client's thread.
func BenchmarkRefusal(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		bare := &http.Server{
			ReadHeaderTimeout: time.Second,
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- bare.Serve(listener) }()
		refusals(b, listener.Addr().String(), http.StatusServiceUnavailable)
		_ = bare.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	quiet := func(_ *server.Config, p *server.Parts) { p.Logger = slog.New(slog.DiscardHandler) }
	b.Run("busy", func(b *testing.B) {
		r, free := occupied(b, quiet)
		refusals(b, r.Scoring, http.StatusServiceUnavailable)
		free()
	})
	b.Run("rate", func(b *testing.B) {
		r := start(b, quiet, func(c *server.Config, _ *server.Parts) { c.Limits = server.Limits{Rate: 1e-3, Burst: 1} })
		r.post(b, "/score", example)
		refusals(b, r.Scoring, http.StatusTooManyRequests)
	})
}

// refusals posts the example on one connection by blocking system calls of one thread, whose CPU is known.
func refusals(b *testing.B, addr string, status int) {
	b.Helper()
	at := netip.MustParseAddrPort(addr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var (
		text   = []byte(request(jsonLine, example))
		answer = make([]byte, 4096)
		want   = []byte("HTTP/1.1 " + http.StatusText(status))
	)
	want = append(want[:9], []byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}...)
	mine, all := cpu(b, unix.RUSAGE_THREAD), cpu(b, unix.RUSAGE_SELF)
	for b.Loop() {
		if _, err := unix.Write(fd, text); err != nil {
			b.Fatal(err)
		}
		n, err := unix.Read(fd, answer)
		if err != nil || !bytes.HasPrefix(answer[:n], want) {
			b.Fatalf("%q, %v, want %s", answer[:n], err, want)
		}
	}
	took := cpu(b, unix.RUSAGE_SELF) - all - (cpu(b, unix.RUSAGE_THREAD) - mine)
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "server-us")
}

func cpu(tb testing.TB, who int) time.Duration {
	tb.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(who, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// occupied returns a server whose gate turns orders away, until free is called.
func occupied(tb testing.TB, option func(*server.Config, *server.Parts)) (r *running, free func()) {
	tb.Helper()
	blocked := make(chan struct{})
	hold := 100 * time.Millisecond
	r = start(tb, option, explaining(tb, func() {
		select {
		case <-blocked:
		case <-time.After(hold):
		}
	}))
	r.post(tb, "/score", example) // the gate learns that orders take long
	hold = time.Hour
	const clients = 64
	done := make(chan struct{}, clients)
	for range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			response, err := r.client.Post("http://"+r.Scoring+"/score", "application/json", bytes.NewReader([]byte(example)))
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}()
	}
	for r.metric(tb, "riskscorer_http_refused_requests_total", "class=order", "reason=busy") == 0 {
		time.Sleep(time.Millisecond)
	}
	return r, func() {
		close(blocked)
		for range clients {
			<-done
		}
	}
}
