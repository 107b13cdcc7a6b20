package server

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server/admission"
)

// Limits is what one client may ask for. What all of them may is not set but measured.
type Limits struct {
	// Rate is in requests a second, 0 to 1,000,000. A batch is one request.
	Rate float64 `env:"RATE_LIMIT, default=0" help:"requests a second that one client may send to scoring, by its identity, else by its address (IPv6: its /64); a batch is one; at most 1000000; 0 is no limit"`
	// Burst is 0 to 1,000,000.
	Burst int `env:"RATE_LIMIT_BURST, default=0" help:"requests that a client may send at once after a pause; at most 1000000; 0 is one second's"`
}

const maxRate = 1_000_000

func (l Limits) validate() error {
	switch {
	case !(l.Rate >= 0 && l.Rate <= maxRate):
		return fmt.Errorf("RATE_LIMIT is %v, want 0 to %d", l.Rate, maxRate)
	case l.Burst < 0 || l.Burst > maxRate:
		return fmt.Errorf("RATE_LIMIT_BURST is %d, want 0 to %d", l.Burst, maxRate)
	case l.Burst > 0 && l.Rate == 0:
		return errors.New("RATE_LIMIT_BURST is set, but RATE_LIMIT is not")
	}
	return nil
}

func (l Limits) clients() (*admission.Clients, error) {
	if l.Rate == 0 {
		return nil, nil //nolint:nilnil // nobody is limited
	}
	burst := l.Burst
	if burst == 0 {
		burst = int(math.Ceil(l.Rate))
	}
	return admission.NewClients(l.Rate, burst)
}

// bodyMemory bounds the bodies and answers of each size class that are on their way: 500 of the largest orders fit, and
// 30 of the largest batches. Each class has its own, so that slow batches do not keep orders out.
const bodyMemory = 32 << 20

// answerTimeout is how long a client may take to read a batch's answer.
const answerTimeout = 5 * time.Second

// sliceOrders is how many orders of a batch are scored before others have a turn. Engines work on blocks of as many.
const sliceOrders = 64

// Calls is told of the synchronous calls that compute, so that other work of the process can give way to them. Its
// methods are safe for concurrent use and do not wait.
type Calls interface {
	Begin()
	End()
}

// guard is what stands before the work of the scoring door.
type guard struct {
	gate    *admission.Gate
	clients *admission.Clients // nil for no limit
	memory  [2]*admission.Memory
}

func newGuard(l Limits, cores int) (*guard, error) {
	clients, err := l.clients()
	if err != nil {
		return nil, err
	}
	return &guard{
		gate:    admission.New(cmp.Or(cores, runtime.GOMAXPROCS(0))),
		clients: clients,
		memory:  [2]*admission.Memory{admission.NewMemory(bodyMemory), admission.NewMemory(bodyMemory)},
	}, nil
}

// call is a scoring request on its way: arrive, receive, decide, answer. End it with end, whatever happens.
type call struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	class   admission.Class
	insists bool
	due     time.Time
	held    int64           // of the class's memory
	turn    *admission.Turn // nil before receive and after answer
}

// arrive judges a request by its header alone: the client's rate, the time it has, and whether there is room for it.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request, class admission.Class, insists bool) (*call, error) {
	now := time.Now()
	c := &call{Server: s, w: w, r: r, class: class, insists: insists}
	if err := c.rate(); err != nil {
		return nil, err
	}
	most, err := timeout(r.Header, s.config.ScoreDeadline)
	if err != nil {
		return nil, err
	}
	c.due = now.Add(most)
	size := r.ContentLength
	if size < 0 || size > maxBatchBytes {
		size = maxBatchBytes // unknown; what is known to be larger is refused by its size
	}
	return c, c.refused(s.guard.gate.Expect(c.request(size)))
}

func (c *call) request(bytes int64) admission.Request {
	r := admission.Request{Class: c.class, Size: 1, Due: c.due, Insists: c.insists}
	if c.class == admission.Batch {
		r.Size = int(max(bytes, 1))
	}
	return r
}

func (c *call) rate() error {
	if c.guard.clients == nil {
		return nil
	}
	client := identityOf(c.r.Context())
	if client == "" {
		client = admission.AddressKey(c.r.RemoteAddr)
	} else {
		client = "identity " + client // no address
	}
	wait, ok := c.guard.clients.Take(client)
	if ok {
		return nil
	}
	c.metrics.refused(c.class, refusedRate)
	c.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return &refusal{rateLimited, "this client sends more requests than it may"}
}

// refused turns an error of the gate or the connection into what the client sees.
func (c *call) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, admission.ErrLate):
		c.metrics.refused(c.class, refusedLate)
		return &refusal{deadline, "such a request takes longer than the time it has"}
	case errors.Is(err, admission.ErrBusy):
		c.metrics.refused(c.class, refusedBusy)
		return &refusal{overloaded, "more is asked for than can be done"}
	default: // of the request's context or its connection: nobody reads this
		c.metrics.refused(c.class, refusedGone)
		return &refusal{overloaded, "the client has gone"}
	}
}

// take charges bytes to the memory of the class, until the call ends.
func (c *call) take(bytes int64) error {
	if !c.guard.memory[c.class].Take(bytes) {
		c.metrics.refused(c.class, refusedMemory)
		return &refusal{overloaded, "too many bodies are on their way"}
	}
	c.held += bytes
	return nil
}

// body reads the request's body, as long as the request has time.
func (c *call) body(limit int64) ([]byte, error) {
	control := http.NewResponseController(c.w)
	arrive := min(time.Until(c.due), readTimeout)
	if err := control.SetReadDeadline(time.Now().Add(arrive)); err != nil {
		return nil, c.refused(fmt.Errorf("bound the body's time: %w", err))
	}
	body, err := readBody(c.w, c.r, limit, c.take)
	if err != nil && !time.Now().Before(c.due) {
		return nil, c.late()
	}
	if err != nil {
		return nil, err
	}
	// What is watched for from here on is that the client goes, and for that there is time.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, c.refused(fmt.Errorf("lift the body's bound: %w", err))
	}
	return body, nil
}

// receive reads the request's body and waits for the call's turn to compute.
func (c *call) receive(limit int64) ([]byte, error) {
	body, err := c.body(limit)
	if err != nil {
		return nil, err
	}
	return body, c.enter(body)
}

// enter waits for the call's turn to compute.
func (c *call) enter(body []byte) error {
	c.beginCall()
	turn, err := c.guard.gate.Enter(c.r.Context(), c.request(int64(len(body))))
	if err != nil {
		c.endCall()
		return c.refused(err)
	}
	c.turn = turn
	return nil
}

func (c *call) beginCall() {
	if c.parts.Calls != nil {
		c.parts.Calls.Begin()
	}
}

func (c *call) endCall() {
	if c.parts.Calls != nil {
		c.parts.Calls.End()
	}
}

// decide scores the orders and logs the decisions. Decisions that come too late are not answered.
func (c *call) decide(m *model, orders []scoring.Order) ([]scoring.Decision, error) {
	end := c.traceDecision(c.r, m, len(orders))
	decisions, err := c.compute(m, orders)
	end()
	if err != nil {
		return nil, err
	}
	if time.Now().After(c.due) {
		return nil, c.late()
	}
	for i := range decisions {
		c.metrics.decided(decisions[i].Band, m.wire.Version)
		if decisions[i].Explanation == scoring.None {
			c.metrics.shed.Inc()
		}
	}
	return decisions, c.logDecisions(c.w, m, orders, decisions)
}

// compute scores the orders in slices, between which others have a turn. A slice is not interrupted: it is bounded by its
// size.
func (c *call) compute(m *model, orders []scoring.Order) ([]scoring.Decision, error) {
	score := m.scorer.Decide
	if c.turn.Sheds() {
		score = m.scorer.DecideUnexplained
	}
	decisions := make([]scoring.Decision, 0, len(orders))
	for from := 0; from < len(orders); from += sliceOrders {
		if from > 0 {
			if err := c.turn.Yield(c.r.Context()); err != nil {
				return nil, c.refused(err)
			}
		}
		decisions = score(decisions, orders[from:min(from+sliceOrders, len(orders))])
	}
	return decisions, nil
}

func (c *call) late() error {
	c.metrics.refused(c.class, refusedLate)
	return &refusal{deadline, "the decision was not ready in time"}
}

// answer answers with JSON.
func (c *call) answer(body []byte) error { return c.answerAs("application/json", body) }

// answerAs ends the call's turn, so that a client that reads slowly holds no core, and writes.
func (c *call) answerAs(contentType string, body []byte) error {
	c.turn.Done()
	c.turn = nil
	c.endCall()
	if c.class == admission.Batch {
		if err := c.take(int64(len(body))); err != nil {
			return err
		}
		if err := http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
			return c.refused(fmt.Errorf("bound the answer's time: %w", err))
		}
	}
	writeJSON(c.w, http.StatusOK, contentType, body)
	return nil
}

// end gives back what the call still holds. It is for defer, so that a panic gives back too.
func (c *call) end() {
	if c.turn != nil {
		c.turn.Leave()
		c.endCall()
	}
	c.guard.memory[c.class].Give(c.held)
}
