package network_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/e2e/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every byte with itself, through a link.
func echo(t *testing.T) *network.Link {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	link, err := network.Listen(context.Background(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		link.Close()
		listener.Close()
	})
	return link
}

func dial(t *testing.T, link *network.Link) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", link.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask returns how long the echo of one byte took, or why it did not come within the limit.
func ask(t *testing.T, conn net.Conn, limit time.Duration) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return time.Since(begin), err
}

func TestSlow(t *testing.T) {
	link := echo(t)
	conn := dial(t, link)
	if took, err := ask(t, conn, 5*time.Second); err != nil || took > 90*time.Millisecond {
		t.Errorf("a good link took %v, error %v", took, err)
	}
	link.Slow(50 * time.Millisecond)
	if took, err := ask(t, conn, 5*time.Second); err != nil || took < 100*time.Millisecond {
		t.Errorf("a slow link took %v, error %v", took, err)
	}
}

func TestCut(t *testing.T) {
	link := echo(t)
	conn := dial(t, link)
	if _, err := ask(t, conn, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	link.Cut(true)
	if _, err := ask(t, conn, 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v of a connection that was cut", err)
	}
	refused(t, link)
	link.Cut(false)
	if _, err := ask(t, dial(t, link), 5*time.Second); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestSwallow(t *testing.T) {
	link := echo(t)
	before := dial(t, link)
	if _, err := ask(t, before, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	link.Swallow(true)
	during := dial(t, link)
	for name, conn := range map[string]net.Conn{"before": before, "during": during} {
		if _, err := ask(t, conn, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: error %v, want silence", name, err)
		}
	}
	link.Swallow(false)
	if _, err := ask(t, before, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want silence for good", err)
	}
	if _, err := ask(t, dial(t, link), 5*time.Second); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestTargetAway(t *testing.T) {
	link, err := network.Listen(t.Context(), "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	refused(t, link)
}

func refused(t *testing.T, link *network.Link) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", link.Address())
	if err == nil { // the reset may be as fast as the dial
		defer conn.Close()
		_, err = ask(t, conn, 5*time.Second)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want a refusal", err)
	}
}
