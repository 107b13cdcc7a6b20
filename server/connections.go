package server

import (
	"container/ring"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is how long a connection may wait for its client before it can be made to go: enough for a handshake, a header
// and a body, so that a flood of new connections makes an honest one wait its turn and does not cut it.
const grace = 100 * time.Millisecond

// socketBuffer is what the system may keep of a connection in each direction, in bytes: far more than an order and its
// decision. Linux doubles it for its own books.
const socketBuffer = 128 << 10

// connections bounds the connections of a door. When there are as many as may be, a new one takes the place of the
// one that has waited longest for its client: for a handshake, a header, a body, for an answer to be taken, or for the
// next request. So nothing that a client does slowly, or not at all, shuts the door to others. Where every one is at
// work or within its grace, a new one waits for a place. It is safe for concurrent use.
type connections struct {
	most int
	note connectionNotes

	mu      sync.Mutex
	changed sync.Cond // a connection began to wait or has gone, or the listener is closed
	open    map[net.Conn]*guest
	waiting *ring.Ring // root of the guests that wait, the longest first
	closed  bool
}

// guest is an open connection. Its place is in the ring while it waits for its client, else alone.
type guest struct {
	place *ring.Ring
	conn  net.Conn
	since time.Time // when it began to wait
}

// connectionNotes are told of what happens to connections.
type connectionNotes struct {
	open      func(n int)
	evicted   func()
	handshake func() // ended without one
}

func newConnections(most int, note connectionNotes) *connections {
	c := &connections{most: most, note: note, open: map[net.Conn]*guest{}, waiting: ring.New(1)}
	c.changed.L = &c.mu
	return c
}

// state follows a connection; it is the http.Server's ConnState.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateActive:
		c.works(conn)
	case http.StateIdle:
		c.waits(conn)
	case http.StateHijacked, http.StateClosed:
		if secure, ok := conn.(*tls.Conn); ok && !secure.ConnectionState().HandshakeComplete {
			c.note.handshake()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forget(conn)
	}
}

func (c *connections) add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := &guest{place: ring.New(1), conn: conn}
	g.place.Value = g
	c.open[conn] = g
	c.enqueue(g)
	c.note.open(len(c.open))
}

// waits notes that a connection waits for its client from now on.
func (c *connections) waits(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.open[conn]; g != nil {
		c.dequeue(g)
		c.enqueue(g)
		c.changed.Signal()
	}
}

// works notes that a connection waits no more.
func (c *connections) works(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.open[conn]; g != nil {
		c.dequeue(g)
	}
}

func (c *connections) enqueue(g *guest) {
	g.since = time.Now()
	c.waiting.Prev().Link(g.place)
}

func (c *connections) dequeue(g *guest) { g.place.Prev().Unlink(1) }

// forget gives a connection's place away; the caller has the lock.
func (c *connections) forget(conn net.Conn) {
	g := c.open[conn]
	if g == nil {
		return // it was made to go
	}
	c.dequeue(g)
	delete(c.open, conn)
	c.note.open(len(c.open))
	c.changed.Signal()
}

// makeRoom waits until there is a place for one more, or the listener is closed.
func (c *connections) makeRoom() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= c.most && !c.closed {
		g, some := c.waiting.Next().Value.(*guest)
		if !some { // the root: none waits
			c.changed.Wait()
			continue
		}
		if left := grace - time.Since(g.since); left > 0 {
			c.waitAtMost(left)
			continue
		}
		c.forget(g.conn)
		c.note.evicted()
		_ = bare(g.conn).Close() // it ends by this; what the client has not said does not matter
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
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without bounds the system would keep megabytes for a client that sends what nobody reads, or does not take its
		// answers. A connection that is gone already says so when it is used.
		_, _ = tcp.SetReadBuffer(socketBuffer), tcp.SetWriteBuffer(socketBuffer)
	}
	return conn, nil
}

// Close also wakes an Accept that waits for a place.
func (l *boundedListener) Close() error {
	l.connections.close()
	return l.Listener.Close()
}

// connectionKey is the context's key of a request's connection.
type connectionKey struct{}

// remember is the http.Server's ConnContext.
func remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// follow has requests say when they wait for their client.
func (c *connections) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connectionKey{}).(net.Conn)
		e := &exchange{ResponseWriter: w, body: r.Body, connections: c, conn: conn}
		if r.ContentLength != 0 {
			r = r.WithContext(r.Context()) // the server knows its own body by its type, and does without it where it may
			r.Body = e
		}
		next.ServeHTTP(e, r)
		c.waits(conn) // for the rest of a body that was not read, and of the answer to be taken
	})
}

// exchange is a request's body and its answer, of one goroutine.
type exchange struct {
	http.ResponseWriter
	body        io.ReadCloser
	connections *connections
	conn        net.Conn
	arriving    bool // the body, from its first byte to its last
}

// Read counts the wait for a body from the first call on: bytes that come one by one do not renew the grace.
func (e *exchange) Read(p []byte) (int, error) {
	if !e.arriving {
		e.arriving = true
		e.connections.waits(e.conn)
	}
	n, err := e.body.Read(p)
	if err != nil {
		e.connections.works(e.conn)
	}
	return n, err
}

// Close closes the body.
func (e *exchange) Close() error { return e.body.Close() }

// Write waits until the client has taken what its window does not hold.
func (e *exchange) Write(p []byte) (int, error) {
	e.connections.waits(e.conn)
	defer e.connections.works(e.conn)
	return e.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }
