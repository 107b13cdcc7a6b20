package client_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faulty is a listener that does to each request what it was told to.
type faulty struct {
	address string
	done    chan struct{} // closed when the test ends

	mu          sync.Mutex
	behaviours  []behaviour // the last one is for all requests that follow
	connections int
	requests    []*http.Request // without their bodies
}

// behaviour answers a request on its connection, and says whether the connection is kept.
type behaviour func(f *faulty, conn net.Conn, r *http.Request) bool

func misbehave(t *testing.T, behaviours ...behaviour) *faulty {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{address: listener.Addr().String(), behaviours: behaviours, done: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.connections++
			f.mu.Unlock()
			running.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(f.done)
		_ = listener.Close()
		running.Wait()
	})
	return f
}

func (f *faulty) serve(conn net.Conn) {
	ended := make(chan struct{})
	defer close(ended)
	go func() { // the test's end ends the connection
		select {
		case <-f.done:
		case <-ended:
		}
		_ = conn.Close()
	}()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !f.next(r)(f, conn, withBody(r, body)) {
			return
		}
	}
}

func (f *faulty) next(r *http.Request) behaviour {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	b := f.behaviours[0]
	if len(f.behaviours) > 1 {
		f.behaviours = f.behaviours[1:]
	}
	return b
}

// then replaces what is done from the next request on.
func (f *faulty) then(behaviours ...behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behaviours = behaviours
}

// seen returns how many connections and requests came.
func (f *faulty) seen() (connections, requests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections, len(f.requests)
}

// header returns a header of the n-th request.
func (f *faulty) header(n int, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[n].Header.Get(name)
}

// pass lets the real service answer.
func pass(s *service) behaviour {
	return func(_ *faulty, conn net.Conn, r *http.Request) bool {
		real, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		defer real.Close()
		if err := r.Write(real); err != nil {
			return false
		}
		resp, err := http.ReadResponse(bufio.NewReader(real), r)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.Write(conn) == nil
	}
}

// answer answers with a status, headers as they stand on the wire, and a body.
func answer(status int, header, body string) behaviour {
	return func(_ *faulty, conn net.Conn, _ *http.Request) bool {
		_, err := fmt.Fprintf(conn, "HTTP/1.1 %d x\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
		return err == nil
	}
}

// reset ends the connection with a TCP reset.
func reset(_ *faulty, conn net.Conn, _ *http.Request) bool {
	_ = conn.(*net.TCPConn).SetLinger(0)
	return false
}

// hangUp ends the connection without a word.
func hangUp(*faulty, net.Conn, *http.Request) bool { return false }

// cut ends the connection within the answer.
func cut(_ *faulty, conn net.Conn, _ *http.Request) bool {
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"order_id\":")
	return false
}

// silent never answers.
func silent(f *faulty, _ net.Conn, _ *http.Request) bool {
	<-f.done
	return false
}

// dribble sends a header, and then a byte every while.
func dribble(f *faulty, conn net.Conn, _ *http.Request) bool {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
	for err == nil {
		select {
		case <-f.done:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		_, err = io.WriteString(conn, " ")
	}
	return false
}

// endless sends a body without an end until the client has had enough, and counts its bytes.
func endless(sent *atomic.Int64) behaviour {
	return func(_ *faulty, conn net.Conn, _ *http.Request) bool {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		chunk := append(append([]byte("10000\r\n"), make([]byte, 1<<16)...), "\r\n"...)
		for err == nil {
			_, err = conn.Write(chunk)
			sent.Add(1 << 16)
		}
		return false
	}
}

func withBody(r *http.Request, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	return out
}
