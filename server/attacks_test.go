package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// attack is what a hostile client does with one connection, again and again.
type attack struct {
	name    string
	at      int // connections at once
	conduct func(conn net.Conn, stop <-chan struct{})
}

// drip writes a text slowly, one byte at a time.
func drip(head, text string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, stop <-chan struct{}) {
		if _, err := io.WriteString(conn, head); err != nil {
			return
		}
		for i := range text {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
		}
	}
}

// pour writes a text over and over until the server has had enough.
func pour(head, text string, times int) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, stop <-chan struct{}) {
		if _, err := io.WriteString(conn, head); err != nil {
			return
		}
		for range times {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<16))
	}
}

// refuseToRead asks for much, and takes none of it.
func refuseToRead(conn net.Conn, stop <-chan struct{}) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	for range 8 {
		_, _ = io.WriteString(conn, "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	<-stop
}

// oldHello offers TLS 1.0 and nothing newer.
func oldHello(conn net.Conn, _ <-chan struct{}) {
	_ = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}).Handshake()
}

func attacks() []attack {
	post := "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine
	long := strings.Repeat("x", 1<<14)
	return []attack{
		{"slow headers", 600, drip("POST /score HTTP/1.1\r\nHost: x\r\nX-Slow: ", long)},
		{"slow bodies", 600, drip(post+"Content-Length: 1000\r\n\r\n", long)},
		{"slow chunks", 600, drip(post+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 1000))},
		{"bodies not wanted, slow", 600, drip("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", long)},
		{"answers not taken", 600, refuseToRead},
		{"silent connections", 600, drip("", long)},
		{"a body of a GiB", 4, pour(post+"Content-Length: 1073741824\r\n\r\n", strings.Repeat(" ", 1<<16), 1<<14)},
		{"a body of a GiB in chunks", 4, pour(post+"Transfer-Encoding: chunked\r\n\r\n", "10000\r\n"+strings.Repeat(" ", 1<<16)+"\r\n", 1<<14)},
		{"a header flood", 4, pour("POST /score HTTP/1.1\r\nHost: x\r\n", "X-Flood: "+strings.Repeat("x", 4000)+"\r\n", 1<<14)},
		{"one endless header line", 4, pour("POST /score HTTP/1.1\r\nX-Long: ", long, 1<<14)},
	}
}

func secureAttacks() []attack {
	return []attack{
		{"garbage for a hello", 4, pour("", strings.Repeat("\x16\x03\x01\xff\xff garbage", 1000), 1)},
		{"noise for a hello", 4, pour("", "\x00\x01\x02\x03 noise", 1000)},
		{"a hello that never ends", 600, drip("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("x", 1<<14))},
		{"clear text", 4, pour(liveLine, liveLine, 3)},
		{"TLS 1.0", 4, oldHello},
	}
}

// TestAttacksLeaveOthersAlone conducts each attack while somebody else sends orders: all of them are scored, in time,
// and memory stays within bounds. An attack gets three tries: a door that is shut stays so, a busy machine does not.
func TestAttacksLeaveOthersAlone(t *testing.T) {
	a := newAuthority(t)
	s := newStore(t, files(a.issue(t, nil)))
	for scheme, list := range map[string][]attack{"http": attacks(), "https": secureAttacks()} {
		options := []func(*server.Config, *server.Parts){atMost(300)}
		if scheme == "https" {
			options = append(options, encrypted(s))
		}
		r := start(t, options...)
		client := a.client(t, nil, true) // a new connection for each order is hardest hit
		for _, attack := range append([]attack{{name: "nobody", conduct: drip("", "")}}, list...) {
			tries := 1
			for !attack.leavesAlone(t, r.Scoring, scheme, client) {
				if tries++; tries > 3 {
					t.Errorf("%s: others are not left alone", attack.name)
					break
				}
			}
		}
		if err := r.stop(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		r.stop = func() error { return nil }
	}
}

// leavesAlone conducts the attack once while orders are sent, logs the figures and says whether they are within bounds.
func (a attack) leavesAlone(t *testing.T, address, scheme string, client *http.Client) bool {
	t.Helper()
	const (
		lasts      = 300 * time.Millisecond
		mostMemory = 24 << 20
		mostMedian = 250 * time.Millisecond
		mostTime   = 3 * time.Second
	)
	before := inUse()
	end := a.conductAt(t, address)
	defer end()
	var took []time.Duration
	for begin := time.Now(); time.Since(begin) < lasts || len(took) < 20 && time.Since(begin) < mostTime; {
		sent := time.Now()
		if err := order(client, scheme+"://"+address, jsonHeader()); err != nil {
			t.Logf("%s: an order failed: %v", a.name, err)
			return false
		}
		took = append(took, time.Since(sent))
	}
	grown := max(0, int64(inUse())-int64(before))
	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)-1]
	t.Logf("%-26s %4d orders, median %8v, slowest %8v, memory +%5d KiB", a.name, len(took),
		median.Round(time.Microsecond), slowest.Round(time.Microsecond), grown>>10)
	return median <= mostMedian && slowest <= mostTime && grown <= mostMemory
}

// conductAt begins the attack, and returns what ends it.
func (a attack) conductAt(tb testing.TB, address string) func() {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	var group sync.WaitGroup
	for range a.at {
		group.Go(func() {
			for ctx.Err() == nil {
				if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
					cut := context.AfterFunc(ctx, func() { _ = conn.Close() })
					a.conduct(conn, ctx.Done())
					cut()
					_ = conn.Close()
				}
				select {
				case <-ctx.Done():
				case <-time.After(500 * time.Millisecond): // what is closed comes back
				}
			}
		})
	}
	if a.at > 0 {
		time.Sleep(300 * time.Millisecond) // all of them are there
	}
	return func() {
		cancel()
		group.Wait()
	}
}
