package simulation_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// network joins hosts and brokers in memory, on the bubble's clock. Its methods are safe for concurrent use.
//
// A link's lock is taken before the network's, never after it.
type network struct {
	// observe sees every request of a host, whole, before anything happens to it.
	observe func(host string, request kmsg.Request)

	mu        sync.Mutex
	random    *rand.Rand
	listeners map[string]*listener
	links     map[*link]struct{}
	dead      map[string]bool // hosts that were killed
	rules     map[*rule]struct{}
	ports     int
}

// rule is a fault of the network between hosts and brokers, until it is lifted. Empty names mean every host but the
// faultless one, and every broker.
type rule struct {
	host, broker string
	key          int16 // the only kind of request that cut hits; negative is every kind

	refuse bool          // connections cannot be made
	vanish bool          // no bytes arrive, and nothing says so
	until  time.Time     // what is sent before arrives only then, as TCP sends again
	slow   time.Duration // each message takes up to so much longer
	cut    float64       // share of requests that are cut off at any byte, of theirs or their answers
}

// faultless is the host of those who judge.
const faultless = "judge"

func newNetwork(seed uint64) *network {
	return &network{
		observe:   func(string, kmsg.Request) {},
		random:    rand.New(rand.NewPCG(seed, 0x4e7)), //nolint:gosec // the same seed must give the same faults
		listeners: make(map[string]*listener), links: make(map[*link]struct{}),
		dead: make(map[string]bool), rules: make(map[*rule]struct{}), ports: 9091,
	}
}

// impose lets a rule hold and returns what lifts it.
func (n *network) impose(r *rule) (lift func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules[r] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.rules, r)
	}
}

func (r *rule) covers(host, broker string) bool {
	return host != faultless && (r.host == "" || r.host == host) && (r.broker == "" || r.broker == broker)
}

// each calls do for every open connection that r covers.
func (n *network) each(r *rule, do func(*link)) {
	n.mu.Lock()
	var covered []*link
	for l := range n.links {
		if r.covers(l.host, l.broker) {
			covered = append(covered, l)
		}
	}
	n.mu.Unlock()
	for _, l := range covered {
		l.mu.Lock()
		do(l)
		l.mu.Unlock()
	}
}

// kill cuts a host off for good, as its end does. What it sent last arrives, or not.
func (n *network) kill(host string, arrives bool) {
	n.mu.Lock()
	n.dead[host] = true
	n.mu.Unlock()
	n.each(&rule{host: host}, func(l *link) {
		if arrives {
			l.cutOff(l.server)
		} else {
			l.reset()
		}
		n.forget(l)
	})
}

func (n *network) forget(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}

// delay says how much longer than usual the next message of a link takes.
func (n *network) delay(l *link) time.Duration {
	if l.host == faultless {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d := 100*time.Microsecond + time.Duration(n.random.Int64N(int64(900*time.Microsecond)))
	for r := range n.rules {
		if r.covers(l.host, l.broker) {
			d = max(d, time.Until(r.until))
			if r.slow > 0 {
				d += time.Duration(n.random.Int64N(int64(r.slow)))
			}
		}
	}
	return d
}

// fate of a message on a link: whether it vanishes, or at which of its bytes it is cut; negative is not at all.
func (n *network) fate(l *link, key int16, size int) (vanish bool, cut int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cut = -1
	for r := range n.rules {
		if !r.covers(l.host, l.broker) {
			continue
		}
		vanish = vanish || r.vanish
		if r.cut > 0 && (r.key < 0 || r.key == key) && n.random.Float64() < r.cut/2 {
			cut = n.random.IntN(size + 1)
		}
	}
	return vanish, cut
}

// ask carries a whole request. The link's lock is held.
func (n *network) ask(l *link, frame []byte) {
	l.key = int16(binary.BigEndian.Uint16(frame[4:])) //nolint:gosec // as the protocol has it
	if l.host != faultless {
		if request := parse(frame[4:]); request != nil {
			n.observe(l.host, request)
		}
	}
	if kmsg.Key(l.key) == kmsg.Fetch && l.host != faultless {
		widen(frame)
	}
	if kmsg.Key(l.key) == kmsg.JoinGroup {
		hasten(frame)
	}
	vanish, cut := n.fate(l, l.key, len(frame))
	switch {
	case vanish:
		l.lose()
	case cut >= 0:
		l.deliver(l.server, frame[:cut], cut == len(frame))
		l.cutOff(l.server)
	default:
		l.deliver(l.server, frame, true)
	}
}

// emptyAnswer is the length of an answer that holds one empty list: size, correlation id, length.
const emptyAnswer = 12

// widen lifts a fetch's bound of the whole answer and leaves the equal one of its only partition. kfake leaves the aborted
// transactions unsaid where the first of the two is reached, which makes their records look committed.
func widen(frame []byte) {
	replica := behind(frame, clientID)
	maxBytes := replica + 12 // behind replica, longest wait and fewest bytes
	binary.BigEndian.PutUint32(frame[maxBytes:], 1<<30)
}

// hasten lets a rebalance run out before the sessions of those who wait for its end, and before they give up: after twice the
// session it would be behind both. kfake ends the session of a member that waits for the others to join or to sync, which no
// broker does, and counts one joined member too few from then on: the group may never settle again.
func hasten(frame []byte) {
	session := behind(frame, behind(frame, clientID)) // the group's name stands before it
	rebalance := session + 4
	millis := binary.BigEndian.Uint32(frame[session:])
	binary.BigEndian.PutUint32(frame[session:], millis+2000)
	binary.BigEndian.PutUint32(frame[rebalance:], millis+1000)
}

// clientID is where a request names its client: behind size, key, version and correlation id.
const clientID = 12

// behind returns where the string that begins at an offset of a request ends.
func behind(frame []byte, at int) int { return at + 2 + int(binary.BigEndian.Uint16(frame[at:])) }

// answer carries a whole answer. The link's lock is held.
func (n *network) answer(l *link, frame []byte) {
	vanish, cut := n.fate(l, l.key, len(frame))
	if kmsg.Key(l.key) == kmsg.OffsetFetch && len(frame) <= emptyAnswer {
		// kfake refuses an old version of this request with an empty list, which no broker does: it reads as if nothing had
		// ever been committed. Its answer is lost instead.
		cut = 0
	}
	switch {
	case vanish:
		l.lose()
	case cut >= 0:
		l.deliver(l.client, frame[:cut], cut == len(frame))
		l.cutOff(l.client)
	default:
		l.deliver(l.client, frame, true)
	}
}

// parse reads the requests that a judge looks at; others are nil.
func parse(body []byte) kmsg.Request {
	r := kbin.Reader{Src: body}
	key, version := r.Int16(), r.Int16()
	if kmsg.Key(key) != kmsg.OffsetCommit {
		return nil
	}
	r.Int32()
	r.NullableString()
	request := kmsg.RequestForKey(key)
	request.SetVersion(version)
	if request.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := request.ReadFrom(r.Src); err != nil {
		return nil
	}
	return request
}

// dial returns the dialler of a host.
func (n *network) dial(host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, to string) (net.Conn, error) {
		for {
			refuse, vanish := n.reachable(host, to)
			if refuse {
				return nil, &net.OpError{Op: "dial", Net: "memory", Addr: address(to), Err: syscall.ECONNREFUSED}
			}
			if !vanish {
				return n.connect(ctx, host, to)
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second): // as TCP tries again
			}
		}
	}
}

func (n *network) reachable(host, broker string) (refuse, vanish bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	refuse = n.dead[host] || n.listeners[broker] == nil
	for r := range n.rules {
		if r.covers(host, broker) {
			refuse, vanish = refuse || r.refuse, vanish || r.vanish || time.Until(r.until) > 0
		}
	}
	return refuse, vanish
}

func (n *network) connect(ctx context.Context, host, to string) (net.Conn, error) {
	l := &link{network: n, host: host, broker: to, changed: make(chan struct{})}
	n.mu.Lock()
	n.ports++
	l.client = &end{link: l, address: address(net.JoinHostPort("10.0.0.1", strconv.Itoa(n.ports)))}
	l.server = &end{link: l, address: address(to)}
	n.links[l] = struct{}{}
	listener := n.listeners[to]
	n.mu.Unlock()
	select {
	case listener.accept <- l.server:
		return l.client, nil
	case <-listener.closed:
	case <-ctx.Done():
	}
	n.forget(l)
	return nil, &net.OpError{Op: "dial", Net: "memory", Addr: address(to), Err: syscall.ECONNREFUSED}
}

// listen is net.Listen on this network.
func (n *network) listen(_, _ string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports++
	l := &listener{
		address: address(net.JoinHostPort("10.0.0.9", strconv.Itoa(n.ports))),
		accept:  make(chan net.Conn), closed: make(chan struct{}),
	}
	n.listeners[l.address.String()] = l
	return l, nil
}

type listener struct {
	address address
	accept  chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *listener) Addr() net.Addr { return l.address }

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
