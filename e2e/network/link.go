// Package network provides a bad network: a TCP proxy on the loopback interface that delays, cuts and swallows.
package network

import (
	"context"
	"net"
	"sync"
	"time"
)

const chunk = 64 << 10

// Link forwards connections to one address. Its methods may be called from several goroutines.
type Link struct {
	target   string
	listener net.Listener
	ended    sync.WaitGroup

	mu      sync.Mutex
	delay   time.Duration // of each piece that is forwarded
	swallow bool
	cut     bool
	doomed  chan struct{} // closed when the connections of now are to be swallowed
	pairs   map[*pair]struct{}
}

// pair is a client's connection and the one to the target.
type pair struct {
	client, server net.Conn
	doomed         chan struct{}
	left           chan struct{} // closed when the client is gone
}

// Listen opens a link to target, on a port of its own, which the caller closes.
func Listen(ctx context.Context, target string) (*Link, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{target: target, listener: listener, doomed: make(chan struct{}), pairs: make(map[*pair]struct{})}
	l.ended.Go(l.accept)
	return l, nil
}

// Address is where the link listens.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Slow delays every piece of data by so much, each after the one before it: the rate falls with it. 0 ends it.
func (l *Link) Slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// Cut resets every connection, and every new one until Cut(false).
func (l *Link) Cut(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = on
	for p := range l.pairs {
		p.close()
	}
}

// Swallow makes the connections half-open: they stay open and take data, none arrives, and none ever will, also after
// Swallow(false). From then on only new connections work.
func (l *Link) Swallow(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on && !l.swallow {
		close(l.doomed)
	}
	if !on && l.swallow {
		l.doomed = make(chan struct{})
	}
	l.swallow = on
}

// Close ends the link and all its connections.
func (l *Link) Close() {
	_ = l.listener.Close()
	l.Cut(true)
	l.ended.Wait()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.ended.Go(func() { l.connect(client) })
	}
}

// connect refuses a client whose target does not listen, as the target's own host would.
func (l *Link) connect(client net.Conn) {
	server, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil {
		reset(client)
		return
	}
	p := &pair{client: client, server: server, left: make(chan struct{})}
	l.mu.Lock()
	if l.cut {
		l.mu.Unlock()
		p.close()
		return
	}
	p.doomed = l.doomed
	l.pairs[p] = struct{}{}
	l.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() {
		defer close(p.left)
		l.forward(p, p.server, p.client)
	})
	both.Go(func() { l.forward(p, p.client, p.server) })
	both.Wait()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// forward copies one direction until either side closes.
func (l *Link) forward(p *pair, to, from net.Conn) {
	defer p.close()
	buffer := make([]byte, chunk)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.mu.Lock()
			delay := l.delay
			l.mu.Unlock()
			time.Sleep(delay)
		}
		select {
		case <-p.doomed:
			if err == nil {
				continue
			}
			if from == p.server {
				<-p.left // a half-open connection does not say that its other end is gone
			}
			return
		default:
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *pair) close() {
	reset(p.client)
	reset(p.server)
}

// reset closes at once and without the words of an orderly end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
