package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// What a connection may take beside the deadline of the call that opens it: net/http finishes a dial that its call no
// longer waits for, so that the next call can have it.
const (
	dialTimeout    = time.Second
	idleTimeout    = 90 * time.Second // below the service's 2 minutes: the client closes first
	maxHeaderBytes = 16 << 10
)

// newTransport returns the connections of a client: HTTP/1.1, kept open, without a proxy, for orders are nobody else's.
func newTransport(config Config) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	identity, err := newIdentity(config.TLS)
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:   &protocols,
		DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return identity.dial(ctx, dialer, network, address)
		},
		MaxConnsPerHost:        config.Connections,
		MaxIdleConnsPerHost:    config.Connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // answers are small, and a compressed one has no bound
	}, nil
}

// dial opens a connection with the handshake behind it, under the files as they are now.
func (i *identity) dial(ctx context.Context, dialer *net.Dialer, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, i.current(host))
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // nothing was sent on it
		return nil, err
	}
	return secure, nil
}

// header returns the headers of one request.
func (c *Client) header(ctx context.Context) http.Header {
	h := http.Header{}
	if c.config.Header != nil {
		c.config.Header(ctx, h)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, application/problem+json")
	if c.token != nil {
		h.Set("Authorization", "Bearer "+c.token.current(time.Now()))
	}
	if due, ok := ctx.Deadline(); ok {
		h.Set("X-Request-Timeout", timeoutHeader(time.Until(due)))
	}
	// Not sent: it tells net/http that a request may go out again where a kept connection turns out to be closed.
	h["Idempotency-Key"] = nil
	return h
}

// send makes one request and returns the body of its answer, or a *Problem for every status but 200. Redirects are not
// followed: an order and a token go to the configured host alone.
func (c *Client) send(ctx context.Context, r request, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, inTime(ctx, fmt.Errorf("ask %s: %w", req.URL.Host, err))
	}
	defer func() { _ = resp.Body.Close() }() // what was needed of it is read
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	switch {
	case err != nil:
		return nil, inTime(ctx, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err))
	case int64(len(body)) > r.limit:
		return nil, fmt.Errorf("%w: it has over %d bytes", ErrAnswer, r.limit)
	case resp.StatusCode != http.StatusOK:
		return nil, parseProblem(resp.StatusCode, resp.Header, body, time.Now())
	}
	return body, nil
}

// inTime makes an error of the end of the context one that says so, whatever the connection made of it.
func inTime(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
