package kafka

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// Relay is an address that clients are told, in front of a listener: its connections can be cut, so that new ones are made.
// Its methods may be called from several goroutines.
type Relay struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	to     string
	open   map[net.Conn]struct{}
	closed bool
}

// NewRelay listens on a free port of the loopback interface. The caller closes the relay.
func NewRelay(ctx context.Context) (*Relay, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a relay: %w", err)
	}
	r := &Relay{listener: listener, open: make(map[net.Conn]struct{})}
	r.running.Go(r.accept)
	return r, nil
}

// Address is what clients are told, localhost:port.
func (r *Relay) Address() string {
	return net.JoinHostPort("localhost", strconv.Itoa(r.listener.Addr().(*net.TCPAddr).Port))
}

// Forward says where new connections lead.
func (r *Relay) Forward(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// Cut closes all connections, and returns how many there were.
func (r *Relay) Cut() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.Close()
	}
	return len(r.open) / 2
}

// Close stops listening, closes all connections and waits for their end.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.listener.Close()
	r.Cut()
	r.running.Wait()
}

func (r *Relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.carry(conn) })
	}
}

// carry copies both ways until either end closes.
func (r *Relay) carry(in net.Conn) {
	defer in.Close()
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	if !r.hold(in, out) {
		return
	}
	defer r.release(in, out)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, out)
		_ = in.Close()
	})
	_, _ = io.Copy(out, in)
	_ = out.Close()
	back.Wait()
}

func (r *Relay) hold(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.closed {
			return false
		}
		r.open[c] = struct{}{}
	}
	return true
}

func (r *Relay) release(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.open, c)
	}
}
