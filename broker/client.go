// Package broker provides the connection to Kafka: TLS and SASL, fetching and producing of raw record batches,
// the partitioner, topics, offsets and lag, and the names of record headers.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	clientID       = "riskscorer"
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second
	// metadataTTL bounds how long a moved leader goes unnoticed; it is also the deadline of one metadata request.
	metadataTTL = 2 * time.Second
	// loadingTries bounds the attempts at a coordinator: a fresh cluster takes a moment to make and load its topics.
	loadingTries = 8
)

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("broker client is closed")

// Client talks to one Kafka cluster. It is safe for concurrent use. It connects on the first call, and a cluster
// that is away is an error of that call, never of NewClient.
type Client struct {
	cfg       Config
	addr      net.Addr
	topics    []string
	transport *kafka.Transport
	kafka     *kafka.Client
	dialer    *kafka.Dialer
	stop      context.CancelFunc
	closed    atomic.Bool
	codecs    codecs
	memories  memories
}

// NewClient checks cfg and reads its files, but does not connect. With topics, only their metadata is kept up to
// date and only they can be used; with none, those of the whole cluster. The caller owns the client and closes it.
func NewClient(cfg Config, topics ...string) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	mechanism, err := cfg.sasl()
	if err != nil {
		return nil, err
	}
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	}
	if cfg.TLSEnabled {
		who, err := newIdentity(cfg)
		if err != nil {
			return nil, err
		}
		dial = who.dial(dial)
	}
	ctx, stop := context.WithCancel(context.Background())
	transport := &kafka.Transport{
		Dial: dial, DialTimeout: dialTimeout, IdleTimeout: idleTimeout,
		MetadataTTL: metadataTTL, MetadataTopics: topics,
		ClientID: clientID, SASL: mechanism, Context: ctx,
	}
	addr := kafka.TCP(cfg.Brokers...)
	return &Client{
		cfg: cfg, addr: addr, topics: topics, transport: transport,
		kafka:  &kafka.Client{Addr: addr, Timeout: requestTimeout, Transport: transport},
		dialer: &kafka.Dialer{ClientID: clientID, Timeout: dialTimeout, DialFunc: dial, SASLMechanism: mechanism},
		stop:   stop,
	}, nil
}

// Close releases the connections. Calls in flight end by their own deadlines.
func (c *Client) Close() {
	if c.closed.CompareAndSwap(false, true) {
		c.stop()
		c.transport.CloseIdleConnections()
	}
}

// Brokers returns the configured addresses.
func (c *Client) Brokers() []string { return c.cfg.Brokers }

// Dialer returns a copy of the dialer behind the client, for the group protocol, which keeps a connection of its own.
func (c *Client) Dialer() *kafka.Dialer {
	d := *c.dialer
	return &d
}

// roundTrip sends one request and waits at most timeout for its answer.
func (c *Client) roundTrip(ctx context.Context, timeout time.Duration, op string, req kafka.Request) (kafka.Response, error) {
	if c.closed.Load() {
		return nil, fmt.Errorf("%s: %w", op, ErrClosed)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := c.transport.RoundTrip(limited, c.addr, req)
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	return res, nil
}

// whileLoading calls a coordinator until it is there, a bounded number of times over some four seconds.
func (c *Client) whileLoading(ctx context.Context, call func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, time.Second
	for try := 1; ; try++ {
		err := call()
		if KindOf(err) != KindNoLeader || try == loadingTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// unrouted replaces "no such topic" by the reason why the cluster's layout is unknown: a transport that never reached
// a broker knows of no topic either, nor does it know one that it may not see.
func (c *Client) unrouted(ctx context.Context, err error) error {
	for _, target := range []error{protocol.ErrNoTopic, protocol.ErrNoPartition, protocol.ErrNoLeader, kafka.BrokerNotAvailable} {
		if !errors.Is(err, target) {
			continue
		}
		res, cause := c.kafka.Metadata(ctx, &kafka.MetadataRequest{Topics: c.topics})
		if cause != nil {
			return cause
		}
		if cause := refusedTopic(res.Topics, err); cause != nil {
			return cause
		}
	}
	return err
}

// refusedTopic returns why the topic that err misses is not shown to this client, nil if that is no matter of rights.
func refusedTopic(topics []kafka.Topic, err error) error {
	var missed string
	if e, ok := errors.AsType[*protocol.TopicError](err); ok {
		missed = e.Topic
	}
	if e, ok := errors.AsType[*protocol.TopicPartitionError](err); ok {
		missed = e.Topic
	}
	for _, t := range topics {
		if t.Name == missed && errors.Is(t.Error, kafka.TopicAuthorizationFailed) {
			return t.Error
		}
	}
	return nil
}
