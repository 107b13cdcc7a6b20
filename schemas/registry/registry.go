// Package registry provides the schemas of Avro values by their id: from a schema registry with Confluent's REST
// interface, and from a file of pinned schemas for when there is none or it is down.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/schemas"
)

const (
	// A schema id can reach a reader before its schema has reached all of the schema registry's replicas, so "not
	// found" is asked again: tries in all, pause apart.
	tries = 3
	pause = 500 * time.Millisecond
	// notFoundFor is how long "not found" is then believed: records of one unknown id come in numbers, and must not
	// cost a second each.
	notFoundFor = 10 * time.Second
	// patience is how many ids are asked for again within notFoundFor. More of them come from broken producers, not from
	// slow replicas: they are believed to be unknown at once, or a batch of them would take minutes.
	patience = 4

	maxAnswers       = 1024
	maxResponseBytes = 2 << 20
	maxMessageBytes  = 200
)

// Source is the schemas' source. It is safe for concurrent use. A nil Source has no schemas.
type Source struct {
	pins      map[int]string
	client    *sr.Client // nil without a schema registry
	transport *http.Transport

	mu      sync.Mutex
	answers map[int]answer // by schema id, at most maxAnswers
	flights map[int]*flight
	waited  []time.Time // when ids were asked for again, the last patience of them
}

// answer is what the schema registry said of an id: a text for good, or an error until a time.
type answer struct {
	text  string
	err   error
	until time.Time
}

// flight is a fetch in progress. Its fields are read after done is closed.
type flight struct {
	done      chan struct{}
	answer    answer
	abandoned bool // by the one who fetched, so the answer says nothing
}

var _ schemas.SchemaSource = (*Source)(nil)

// New returns the source that the configuration describes, or nil if it names neither a schema registry nor pins. It
// reads the pins and sends nothing.
func New(config Config) (*Source, error) {
	if config.URL == "" && config.Pins == "" {
		return nil, nil
	}
	s := &Source{answers: map[int]answer{}, flights: map[int]*flight{}}
	if config.Pins != "" {
		var err error
		if s.pins, err = readPins(config.Pins); err != nil {
			return nil, fmt.Errorf("SCHEMA_PINS: %w", err)
		}
	}
	if config.URL != "" {
		if err := s.connect(config); err != nil {
			return nil, fmt.Errorf("SCHEMA_REGISTRY_URL: %w", err)
		}
	}
	return s, nil
}

func (s *Source) connect(config Config) error {
	urls := strings.Split(config.URL, ",")
	for i, text := range urls {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil:
			return errors.New("is not a URL")
		case u.User != nil: // it would be in the client's error messages
			return errors.New("must not hold credentials: they go into SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD")
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return errors.New("must be like http://host:8081")
		}
		urls[i] = u.String()
	}
	if config.Timeout <= 0 {
		return errors.New("needs a SCHEMA_REGISTRY_TIMEOUT above 0")
	}
	s.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 2, // schemas are fetched once each
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	options := []sr.ClientOpt{
		sr.URLs(urls...),
		sr.UserAgent("riskscorer"),
		sr.HTTPClient(&http.Client{Timeout: config.Timeout, Transport: bounded{s.transport}}),
	}
	if config.User != "" || config.Password != "" {
		options = append(options, sr.BasicAuth(config.User, string(config.Password)))
	}
	var err error
	s.client, err = sr.NewClient(options...)
	return err
}

// Close lets go of idle connections.
func (s *Source) Close() {
	if s != nil && s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// bounded bounds the bodies of answers, which the client reads whole.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponseBytes)
	}
	return response, err
}

// Schema implements schemas.SchemaSource. "Not found" is an answer only in the schema registry's own words, that is
// with its error code: a 404 of something else, like a proxy, is a broken service, and must not turn a topic into
// dead letters.
func (s *Source) Schema(ctx context.Context, id int) (string, error) {
	if s == nil {
		return "", errors.New("neither a schema registry nor pinned schemas are configured")
	}
	if text, ok := s.pins[id]; ok {
		return text, nil
	}
	if s.client == nil {
		return "", errors.New("the id is not pinned, and no schema registry is configured")
	}
	for {
		s.mu.Lock()
		if a, ok := s.answers[id]; ok && (a.err == nil || time.Now().Before(a.until)) {
			s.mu.Unlock()
			return a.text, a.err
		}
		f := s.flights[id]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			s.flights[id] = f
			s.mu.Unlock()
			s.fly(ctx, id, f)
			return f.answer.text, f.answer.err
		}
		s.mu.Unlock()
		select {
		case <-f.done:
			if !f.abandoned {
				return f.answer.text, f.answer.err
			}
		case <-ctx.Done():
			return "", fmt.Errorf("wait for schema: %w", ctx.Err())
		}
	}
}

// fly fetches, remembers what is worth it, and tells those who wait.
func (s *Source) fly(ctx context.Context, id int, f *flight) {
	f.answer.text, f.answer.err = s.fetch(ctx, id)
	f.abandoned = ctx.Err() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flights, id)
	close(f.done)
	unknown := errors.Is(f.answer.err, schemas.ErrSchemaUnknown)
	if f.answer.err != nil && !unknown {
		return
	}
	f.answer.until = time.Now().Add(notFoundFor)
	if len(s.answers) >= maxAnswers {
		for other := range s.answers { // any: so many ids mean broken producers, not a working set
			delete(s.answers, other)
			break
		}
	}
	s.answers[id] = f.answer
}

func (s *Source) fetch(ctx context.Context, id int) (string, error) {
	for try := 1; ; try++ {
		schema, err := s.client.SchemaByID(ctx, id)
		switch {
		case err == nil:
			return avroText(schema)
		case !notFound(err):
			return "", fmt.Errorf("fetch schema: %w", brief(err))
		case try == tries || try == 1 && !s.mayWait():
			return "", fmt.Errorf("%w: the schema registry does not have id %d", schemas.ErrSchemaUnknown, id)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return "", fmt.Errorf("fetch schema: %w", ctx.Err())
		}
	}
}

// mayWait says whether an id that is not found may be asked for again.
func (s *Source) mayWait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.waited) == patience {
		if now.Sub(s.waited[0]) < notFoundFor {
			return false
		}
		s.waited = s.waited[1:]
	}
	s.waited = append(s.waited, now)
	return true
}

// avroText returns the text of a schema that this reader can use by itself.
func avroText(schema sr.Schema) (string, error) {
	switch {
	case schema.Type != sr.TypeAvro:
		return "", fmt.Errorf("%w: its type is %s, not Avro", schemas.ErrSchemaUnknown, schema.Type)
	case len(schema.References) > 0:
		return "", fmt.Errorf("%w: it refers to other subjects, which is not supported", schemas.ErrSchemaUnknown)
	default:
		return schema.Schema, nil
	}
}

// Lookup returns the id of a schema under a subject like "risk-results-value": the least pinned id with the same
// canonical form, or what the schema registry says. It registers nothing. An error that wraps
// schemas.ErrSchemaUnknown says that the schema has to be registered first.
func (s *Source) Lookup(ctx context.Context, subject, schema string) (int, error) {
	if s == nil {
		return 0, errors.New("neither a schema registry nor pinned schemas are configured")
	}
	id, err := s.pinned(schema)
	if err == nil || s.client == nil {
		return id, err
	}
	found, err := s.client.LookupSchema(ctx, subject, sr.Schema{Schema: schema})
	switch {
	case notFound(err):
		return 0, fmt.Errorf("%w: the schema registry does not have it under subject %s", schemas.ErrSchemaUnknown, subject)
	case err != nil:
		return 0, fmt.Errorf("look up schema of %s: %w", subject, brief(err))
	}
	return found.ID, nil
}

// notFound says whether the schema registry itself does not know the subject, version or schema.
func notFound(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && sr.IsNotFoundError(answer.ErrorCode)
}

// brief bounds an error's text: a proxy's answer can be a whole page.
func brief(err error) error {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	return fmt.Errorf("the schema registry answered %d: %q", answer.StatusCode, shorten(answer.Error()))
}

func shorten(message string) string {
	if len(message) > maxMessageBytes {
		message = strings.ToValidUTF8(message[:maxMessageBytes], "") + "…"
	}
	return message
}
