package simulation_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// link is one connection: two ends, and a direction of bytes to each of them.
//
// At most one request is under way, as if every client waited for its answer before it sends the next. That is what Kafka
// clients mostly do; and where kafka-go does not, it waits for one answer while it holds the mutex that the next caller
// needs, which a bubble takes for work in progress: its clock would stand still.
type link struct {
	network        *network
	host, broker   string
	client, server *end

	// All below is guarded by mu, and changed is closed and replaced whenever it changes.
	mu       sync.Mutex
	changed  chan struct{}
	request  []byte // begun by the client, not yet whole
	awaiting bool   // a request was sent, its answer was not read yet
	key      int16  // of the last request
	busy     bool   // the broker has read a request and not answered it
	lost     bool   // nobody hears from anybody any more, and nobody is told
}

// chunk is what arrives at once: bytes, or the end of the stream.
type chunk struct {
	at    time.Time
	bytes []byte
	err   error
	last  bool // ends a request or an answer
}

// end is a net.Conn.
type end struct {
	*link
	address  address // of this end
	incoming []chunk
	closed   bool
	readBy   time.Time
	writeBy  time.Time
}

type address string

func (a address) Network() string { return "memory" }
func (a address) String() string  { return string(a) }

func (e *end) LocalAddr() net.Addr  { return e.address }
func (e *end) RemoteAddr() net.Addr { return e.peer().address }

func (e *end) peer() *end {
	if e == e.client {
		return e.server
	}
	return e.client
}

// wait sleeps until something changes or the earliest of the instants; a zero instant never comes. mu is held around it.
func (l *link) wait(instants ...time.Time) {
	changed := l.changed
	var first time.Time
	for _, t := range instants {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	l.mu.Unlock()
	defer l.mu.Lock()
	if first.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(first))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func (l *link) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (e *end) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		now := time.Now()
		var arrives time.Time
		if len(e.incoming) > 0 {
			arrives = e.incoming[0].at
		}
		switch {
		case e.closed:
			return 0, net.ErrClosed
		case !e.readBy.IsZero() && !now.Before(e.readBy):
			return 0, os.ErrDeadlineExceeded
		case !arrives.IsZero() && !arrives.After(now):
			if !e.deaf() {
				return e.take(b)
			}
			arrives = time.Time{}
		}
		e.wait(e.readBy, arrives)
	}
}

// deaf says whether this is a broker that has a request in hand: it does not listen to the connection meanwhile, and so does
// not hear of its end. A member of a group that dies while it joins is therefore a member, until its session is over.
func (e *end) deaf() bool { return e == e.server && e.busy && e.incoming[0].err != nil }

// take reads from what has arrived.
func (e *end) take(b []byte) (int, error) {
	c := &e.incoming[0]
	if c.err != nil {
		return 0, c.err
	}
	n := copy(b, c.bytes)
	c.bytes = c.bytes[n:]
	if len(c.bytes) == 0 {
		if c.last {
			e.awaiting, e.busy = e == e.server, e == e.server
		}
		e.incoming = e.incoming[1:]
		e.change()
	}
	return n, nil
}

func (e *end) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return 0, net.ErrClosed
	case e == e.server:
		e.busy = false
		e.change()
		if !e.broken() {
			e.network.answer(e.link, b)
		}
		return len(b), nil
	case e.broken():
		return 0, syscall.EPIPE
	}
	for e.awaiting && len(e.request) == 0 {
		now := time.Now()
		switch {
		case e.closed:
			return 0, net.ErrClosed
		case e.broken():
			return 0, syscall.EPIPE
		case !e.writeBy.IsZero() && !now.Before(e.writeBy):
			return 0, os.ErrDeadlineExceeded
		}
		e.wait(e.writeBy)
	}
	e.request = append(e.request, b...)
	for len(e.request) >= 4 {
		size := 4 + int(binary.BigEndian.Uint32(e.request))
		if len(e.request) < size {
			break
		}
		whole := e.request[:size:size]
		e.request = e.request[size:]
		e.awaiting = true
		e.network.ask(e.link, whole)
	}
	return len(b), nil
}

// broken says whether the other side's end, or a reset, was seen by this one.
func (e *end) broken() bool {
	for _, c := range e.incoming {
		if c.err != nil && !c.at.After(time.Now()) {
			return true
		}
	}
	return false
}

// Close ends the stream for the peer, after what was written.
func (e *end) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.finish(e.peer(), io.EOF)
	e.change()
	e.network.forget(e.link)
	return nil
}

// deliver lets bytes arrive at an end, in order. mu is held.
func (l *link) deliver(to *end, b []byte, last bool) {
	if l.lost || len(b) == 0 {
		return
	}
	to.incoming = append(to.incoming, chunk{at: l.arrival(to), bytes: append([]byte(nil), b...), last: last})
	l.change()
}

// finish lets the end of the stream arrive after all that was sent. mu is held.
func (l *link) finish(to *end, err error) {
	if !l.lost {
		to.incoming = append(to.incoming, chunk{at: l.arrival(to), err: err})
	}
}

// arrival says when what is sent now arrives: never before what was sent earlier.
func (l *link) arrival(to *end) time.Time {
	at := time.Now().Add(l.network.delay(l))
	if n := len(to.incoming); n > 0 && to.incoming[n-1].at.After(at) {
		return to.incoming[n-1].at
	}
	return at
}

// reset breaks the connection at once, for both ends. What has not been read is gone. mu is held.
func (l *link) reset() {
	for _, e := range []*end{l.client, l.server} {
		e.incoming = []chunk{{at: time.Now(), err: syscall.ECONNRESET}}
	}
	l.change()
}

// cutOff breaks the connection behind what is under way to one end. mu is held.
func (l *link) cutOff(to *end) {
	l.finish(to, syscall.ECONNRESET)
	to.peer().incoming = []chunk{{at: time.Now(), err: syscall.ECONNRESET}}
	l.change()
}

// lose makes a black hole of the connection, for good: half open, as behind a router that forgot it. mu is held.
func (l *link) lose() {
	l.lost = true
	l.client.incoming, l.server.incoming = nil, nil
}

func (e *end) SetDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readBy, e.writeBy = t, t
	e.change()
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readBy = t
	e.change()
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writeBy = t
	e.change()
	return nil
}
