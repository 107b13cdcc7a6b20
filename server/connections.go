package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is how long a connection may be without a request before it can be made to go: enough for a handshake and a
// header, so that a flood of new connections makes an honest one wait its turn and does not cut it.
const grace = 100 * time.Millisecond

// connections bounds the connections of a door. When there are as many as may be, a new one takes the place of the
// one that has gone longest without a request under way: idle, in its handshake, or slow with its header. So neither
// connections that are kept open nor headers that trickle shut the door. Where every one has a request under way, or
// is within its grace, a new one waits for a place. It is safe for concurrent use.
type connections struct {
	most int
	note connectionNotes

	mu      sync.Mutex
	changed sync.Cond // a connection became idle or has gone, or the listener is closed
	open    map[net.Conn]*list.Element
	waiting list.List // of waiter, the longest first; an element that is out of the list has a request under way
	closed  bool
}

// waiter is a connection without a request under way.
type waiter struct {
	conn  net.Conn
	since time.Time
}

// connectionNotes are told of what happens to connections.
type connectionNotes struct {
	open      func(n int)
	evicted   func()
	handshake func() // ended without one
}

func newConnections(most int, note connectionNotes) *connections {
	c := &connections{most: most, note: note, open: map[net.Conn]*list.Element{}}
	c.changed.L = &c.mu
	return c
}

// state follows a connection; it is the http.Server's ConnState.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok && state == http.StateClosed && !secure.ConnectionState().HandshakeComplete {
		c.note.handshake()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open[conn] = c.waiting.PushBack(waiter{conn, time.Now()})
		c.note.open(len(c.open))
	case http.StateActive:
		if e := c.open[conn]; e != nil {
			c.waiting.Remove(e)
		}
	case http.StateIdle:
		if c.open[conn] != nil {
			c.open[conn] = c.waiting.PushBack(waiter{conn, time.Now()})
			c.changed.Signal()
		}
	case http.StateHijacked, http.StateClosed:
		c.forget(conn)
	}
}

// forget gives a connection's place away; the caller has the lock.
func (c *connections) forget(conn net.Conn) {
	e := c.open[conn]
	if e == nil {
		return // it was evicted
	}
	c.waiting.Remove(e)
	delete(c.open, conn)
	c.note.open(len(c.open))
	c.changed.Signal()
}

// makeRoom waits until there is a place for one more, or the listener is closed.
func (c *connections) makeRoom() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= c.most && !c.closed {
		oldest := c.waiting.Front()
		if oldest == nil {
			c.changed.Wait()
			continue
		}
		w, _ := oldest.Value.(waiter)
		if left := grace - time.Since(w.since); left > 0 {
			c.waitAtMost(left)
			continue
		}
		c.forget(w.conn)
		c.note.evicted()
		_ = bare(w.conn).Close() // it ends by this; what the client has not said does not matter
	}
	if c.closed {
		return net.ErrClosed
	}
	return nil
}

// waitAtMost waits for a change, or for a time; the caller has the lock.
func (c *connections) waitAtMost(d time.Duration) {
	timer := time.AfterFunc(d, func() {
		c.mu.Lock() // the waiting one holds it until it waits
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.changed.Wait()
}

// bare is the connection beneath TLS: to close that does not wait for the client.
func bare(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
}

// boundedListener makes room before it hands a connection on.
type boundedListener struct {
	net.Listener
	connections *connections
}

// Accept returns the next connection once there is a place for it.
func (l *boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := l.connections.makeRoom(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Close also wakes an Accept that waits for a place.
func (l *boundedListener) Close() error {
	l.connections.close()
	return l.Listener.Close()
}
