// Package client asks a riskscorer service for decisions while a customer waits.
//
// Every call ends within its deadline, repeats only what is safe and useful to repeat, stops asking a service that does
// not stand, and can be turned off by a flag. What it never does is make up a decision: without one it returns an
// error, and the caller goes on as it does without a risk score.
package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/sony/gobreaker/v2"
)

// MaxBatch is the most orders that one call of ScoreBatch takes.
const MaxBatch = 1000

// DefaultFlag is the name of the flag of Config.Flags unless Config.Flag is set.
const DefaultFlag = "riskscorer-score"

// The defaults of Config.
const (
	defaultTimeout     = 2 * time.Second // SCORE_DEADLINE's default: the service gives up at the same moment
	defaultAttempts    = 3
	defaultConnections = 64
)

// ErrOff is the error of a call that the flag turns off. Nothing was sent, or nothing more.
var ErrOff = errors.New("scoring is turned off by its flag")

// Flags evaluates feature flags; *openfeature.Client does. Its methods must be safe for concurrent use and quick: it is
// asked before every request, so its provider should evaluate in the process.
type Flags interface {
	// Boolean returns the flag's value, and defaultValue where it cannot be evaluated.
	Boolean(ctx context.Context, flag string, defaultValue bool, evalCtx openfeature.EvaluationContext, options ...openfeature.Option) bool
}

// Config is where the service is and how it is asked. A zero value of a field means what the field says.
type Config struct {
	// URL is the scoring door without a path of a route, such as https://riskscorer:8000. Required.
	URL string
	// Timeout bounds every call, its retries and waits included, also where the context allows more. Zero means 2 s.
	Timeout time.Duration
	// Attempts is how many requests one call makes at most. Zero means 3, 1 means no retry.
	Attempts int
	// Connections is how many connections are open at most; calls beyond wait for one, within their deadline. They are
	// kept open between calls. Zero means 64.
	Connections int
	// Breaker is when to stop asking for a while.
	Breaker Breaker
	// Flags, if not nil, is asked for the flag named Flag before every request: false turns it off, with ErrOff. A flag
	// that cannot be evaluated is true: the loss of a flag service must not be a loss of risk scores.
	Flags Flags
	// Flag is the flag's name. "" means DefaultFlag.
	Flag string
	// TLS are the files of an https URL; nil means the system's authorities and no certificate of the client's own.
	TLS *TLS
	// TokenFile, if not "", holds the bearer token. It is read again every second. A token goes over https only, or to
	// the loopback.
	TokenFile string
	// Header, if not nil, adds headers to each request from the call's context, such as traceparent. It must be safe
	// for concurrent use. With OpenTelemetry it is
	//
	//	func(ctx context.Context, h http.Header) {
	//		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	//	}
	Header func(ctx context.Context, h http.Header)
}

// Client asks one service. It is safe for concurrent use; make one for a process and share it, for the connections, the
// breaker and the retry budget are its own.
type Client struct {
	config    Config
	single    string
	explained string
	batch     string
	token     *token // nil where there is none
	transport *http.Transport
	breaker   *gobreaker.CircuitBreaker[[]byte]
	budget    budget
}

// New returns a client. It does not connect, but the files that the config names must be there and sound.
func New(config Config) (*Client, error) {
	base, err := config.fill()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{
		config: config,
		single: base.JoinPath("score").String(),
		batch:  base.JoinPath("score", "batch").String(),
		budget: budget{tokens: budgetMax},
	}
	c.explained = c.single + "?explain=full"
	if c.breaker, err = config.Breaker.build(); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if config.TokenFile != "" {
		if c.token, err = newToken(config.TokenFile); err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
	}
	if c.transport, err = newTransport(config); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return c, nil
}

// fill sets the defaults, and returns the URL or what is wrong with the config.
func (c *Config) fill() (*url.URL, error) {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Attempts == 0 {
		c.Attempts = defaultAttempts
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Flag == "" {
		c.Flag = DefaultFlag
	}
	if c.Timeout < 0 || c.Attempts < 0 || c.Connections < 0 {
		return nil, errors.New("a negative Timeout, Attempts or Connections")
	}
	base, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "":
		return nil, errors.New("URL must begin with http:// or https:// and name a host")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("URL must have no user, query or fragment")
	case base.Scheme == "http" && c.TLS != nil:
		return nil, errors.New("TLS needs a URL of https")
	case base.Scheme == "http" && c.TokenFile != "" && !loopback(base.Hostname()):
		return nil, errors.New("TokenFile needs a URL of https: everybody on the way could read the token")
	}
	return base, nil
}

// Close closes the connections that no call uses. Calls in flight go on, and a later call opens connections anew.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Score returns the decision on one order.
//
// Its error is a *Problem where the service answered with one: 422 and 400 say what is wrong with the order, and asking
// again does not help. ErrOff and ErrOpen say that the service was not asked, context.DeadlineExceeded that the time
// was up, ErrAnswer that what came is no decision. Everything else is a connection's failure, or an order that is no
// JSON. An error holds no feature's value.
func (c *Client) Score(ctx context.Context, o Order) (Decision, error) {
	e, err := c.one(ctx, c.single, o)
	return e.Decision, err
}

// Explain is Score with the contribution of every feature.
func (c *Client) Explain(ctx context.Context, o Order) (Explained, error) {
	return c.one(ctx, c.explained, o)
}

func (c *Client) one(ctx context.Context, to string, o Order) (Explained, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Explained{}, fmt.Errorf("order: %w", err)
	}
	var e Explained
	err = c.call(ctx, request{to, body, maxAnswer}, func(answer []byte) (err error) {
		e, err = parseDecision(answer, o.OrderID)
		return err
	})
	return e, err
}

// ScoreBatch returns the decisions or problems of 1 to MaxBatch orders, in their order: a bad one does not harm its
// neighbours. The error is that of the whole call, as Score's. The service takes bodies of up to 1 MiB.
func (c *Client) ScoreBatch(ctx context.Context, orders []Order) ([]Item, error) {
	if len(orders) == 0 || len(orders) > MaxBatch {
		return nil, fmt.Errorf("a batch has 1 to %d orders, not %d", MaxBatch, len(orders))
	}
	body, err := json.Marshal(orders)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	var items []Item
	err = c.call(ctx, request{c.batch, body, maxBatchAnswer}, func(answer []byte) (err error) {
		items, err = parseItems(answer, orders)
		return err
	})
	return items, err
}

// on says whether the flag lets the call be made.
func (c *Client) on(ctx context.Context) bool {
	return c.config.Flags == nil || c.config.Flags.Boolean(ctx, c.config.Flag, true, openfeature.EvaluationContext{})
}

// timeoutHeader returns what X-Request-Timeout says of the time that is left: seconds, rounded down to a millisecond so
// that the service gives up no later than the caller, and at least one.
func timeoutHeader(left time.Duration) string {
	return fmt.Sprintf("%.3f", math.Max(float64(left.Milliseconds()), 1)/1000)
}
