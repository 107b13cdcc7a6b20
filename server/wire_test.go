package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// wire is a connection on which a test writes what no HTTP client would.
type wire struct {
	tb testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(tb testing.TB, addr string) *wire {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return &wire{tb, conn, bufio.NewReader(conn)}
}

func (w *wire) write(s string) {
	w.tb.Helper()
	if _, err := io.WriteString(w.Conn, s); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *wire) read() answer {
	w.tb.Helper()
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return read(w.tb, response)
}

// request writes POST /score with extra header lines, each with its line end, and a body of known length.
func request(headers, body string) string {
	return fmt.Sprintf("POST /score HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", headers, len(body), body)
}

const jsonLine = "Content-Type: application/json\r\n"

// TestConnectionSurvivesRefusals sends every refusal that HTTP lets a connection survive, then an order, on one connection.
func TestConnectionSurvivesRefusals(t *testing.T) {
	r := start(t)
	conn := dial(t, r.Scoring)
	for _, c := range []struct {
		name, text string
		status     int
	}{
		{"no content type", request("", example), http.StatusUnsupportedMediaType},
		{"two content types", request(jsonLine+jsonLine, example), http.StatusUnsupportedMediaType},
		{"empty content encoding", request(jsonLine+"Content-Encoding:\r\n", example), http.StatusUnsupportedMediaType},
		{"not JSON", request(jsonLine, "{"), http.StatusBadRequest},
		{"not an order", request(jsonLine, "{}"), http.StatusUnprocessableEntity},
		{"declared too large", request(jsonLine, strings.Repeat(" ", 64<<10+1)), http.StatusRequestEntityTooLarge},
		{"chunked too large", chunked("/score", jsonLine, strings.Repeat(" ", 64<<10+1)), http.StatusRequestEntityTooLarge},
		{"wrong method", "DELETE /score HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusMethodNotAllowed},
		{"wrong path", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNotFound},
		{"path with dots", "GET /health/../score HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNotFound},
		{"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNotFound},
		{"no body at all", "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "\r\n", http.StatusBadRequest},
	} {
		conn.write(c.text)
		a := conn.read()
		if a.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.status)
		}
		if err := r.document.checkProblem(a); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	conn.write(request(jsonLine, example))
	if a := conn.read(); a.status != http.StatusOK {
		t.Errorf("the order after the refusals: %d %s, want 200", a.status, a.body)
	}
}

// TestPipelining sends good and bad requests without waiting: the answers come in order.
func TestPipelining(t *testing.T) {
	r := start(t)
	conn := dial(t, r.Scoring)
	conn.write(request(jsonLine, example) + request(jsonLine, "[") + request("", example) + chunked("/score", jsonLine, example) +
		request(jsonLine, "null") + request(jsonLine, example))
	for i, want := range []int{200, 400, 415, 200, 422, 200} {
		if a := conn.read(); a.status != want {
			t.Errorf("answer %d: %d %s, want %d", i+1, a.status, a.body, want)
		}
	}
}

func chunked(path, headers, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n", path, headers)
	for len(body) > 0 {
		n := min(len(body), 5000)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// TestBodyLimits tries bodies at and over each limit, of known length and chunked. White space makes up the size.
func TestBodyLimits(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		path  string
		body  string
		limit int
	}{
		{"/score", example, 64 << 10},
		{"/score/batch", "[" + example + "]", 1 << 20},
	} {
		for _, over := range []int{0, 1} {
			body := c.body + strings.Repeat(" ", c.limit+over-len(c.body))
			want := []int{http.StatusOK, http.StatusRequestEntityTooLarge}[over]
			if a := r.post(t, c.path, body); a.status != want {
				t.Errorf("%s with %d bytes: %d %s, want %d", c.path, len(body), a.status, a.body, want)
			}
			conn := dial(t, r.Scoring)
			go func() { _, _ = io.WriteString(conn.Conn, chunked(c.path, jsonLine, body)) }()
			if a := conn.read(); a.status != want {
				t.Errorf("%s with %d bytes in chunks: %d %s, want %d", c.path, len(body), a.status, a.body, want)
			}
		}
	}
}

// TestHugeBodyIsNotRead declares and streams a body of a GiB: the answer comes before more than a little was read.
func TestHugeBodyIsNotRead(t *testing.T) {
	r := start(t)
	for _, framing := range []string{"Content-Length: 1073741824", "Transfer-Encoding: chunked"} {
		conn := dial(t, r.Scoring)
		conn.write("POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + framing + "\r\n\r\n")
		sent := make(chan int, 1)
		go func() {
			block, total := strings.Repeat(" ", 1<<16), 0
			if strings.HasPrefix(framing, "Transfer") {
				block = "10000\r\n" + block + "\r\n"
			}
			for range 1 << 14 {
				n, err := io.WriteString(conn.Conn, block)
				total += n
				if err != nil {
					break
				}
			}
			sent <- total
		}()
		if a := conn.read(); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s, want 413", framing, a.status, a.body)
		}
		// Socket buffers hold some megabytes that nobody reads.
		if total := <-sent; total > 64<<20 {
			t.Errorf("%s: the server took %d bytes before it closed", framing, total)
		}
	}
}

// TestBrokenFraming sends bodies that HTTP itself cannot read to their end.
func TestBrokenFraming(t *testing.T) {
	r := start(t)
	for name, text := range map[string]string{
		"chunk length":      "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"body ends early":   "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "Content-Length: 100\r\n\r\n{\"order_id\"",
		"two lengths":       "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"negative length":   "POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "Content-Length: -1\r\n\r\n{}",
		"no host":           "POST /score HTTP/1.1\r\n" + jsonLine + "Content-Length: 2\r\n\r\n{}",
		"NUL in a header":   "POST /score HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
		"space before name": "POST /score HTTP/1.1\r\n Host: x\r\nContent-Length: 2\r\n\r\n{}",
	} {
		conn := dial(t, r.Scoring)
		conn.write(text)
		if tcp, ok := conn.Conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		if a := conn.read(); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, want 400", name, a.status, a.body)
		}
	}
	if a := r.post(t, "/score", example); a.status != http.StatusOK {
		t.Errorf("afterwards: %d, want 200", a.status)
	}
}

// TestHeaderFlood sends more header than the server keeps.
func TestHeaderFlood(t *testing.T) {
	r := start(t)
	conn := dial(t, r.Scoring)
	conn.write("POST /score HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Flood: "+strings.Repeat("x", 500)+"\r\n", 60) + "\r\n")
	if a := conn.read(); a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d, want 431", a.status)
	}
}

// TestDeadline gives an order less time than its body takes to arrive.
func TestDeadline(t *testing.T) {
	r := start(t, func(c *server.Config, _ *server.Parts) { c.ScoreDeadline = 20 * time.Millisecond })
	conn := dial(t, r.Scoring)
	text := request(jsonLine, example)
	conn.write(text[:len(text)-1])
	time.Sleep(40 * time.Millisecond)
	conn.write(text[len(text)-1:])
	a := conn.read()
	if a.status != http.StatusGatewayTimeout {
		t.Errorf("%d %s, want 504", a.status, a.body)
	}
	if err := r.document.checkProblem(a); err != nil {
		t.Error(err)
	}
}

// TestExpectContinue asks before it sends: a refusal by header comes without the body.
func TestExpectContinue(t *testing.T) {
	r := start(t)
	conn := dial(t, r.Scoring)
	conn.write("POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n")
	if a := conn.read(); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s, want 415", a.status, a.body)
	}
}

// TestSlowClients sends a header and a body that do not arrive: each connection ends within its time-out.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	r := start(t)
	header, body := dial(t, r.Scoring), dial(t, r.Scoring)
	header.write("POST /score HTTP/1.1\r\nHost: x\r\nContent-")
	body.write("POST /score HTTP/1.1\r\nHost: x\r\n" + jsonLine + "Content-Length: 100\r\n\r\n{")
	before := time.Now()
	if text, err := io.ReadAll(header.in); err != nil || time.Since(before) > 9*time.Second {
		t.Errorf("the slow header ended with %q, %v after %v, want the connection's end after 5 s", text, err, time.Since(before))
	}
	a := body.read()
	if a.status != http.StatusRequestTimeout || time.Since(before) > 15*time.Second {
		t.Errorf("the slow body: %d %s after %v, want 408 after 10 s", a.status, a.body, time.Since(before))
	}
	if err := r.document.checkProblem(a); err != nil {
		t.Error(err)
	}
}
