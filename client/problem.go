package client

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Problem is an answer of the service that is no decision: a problem document of RFC 9457, as docs/problems.md lists
// them. An answer of another kind, such as a gateway's page, becomes one of type about:blank.
type Problem struct {
	// Type names the kind, as a URI that does not change.
	Type  string `json:"type"`
	Title string `json:"title"`
	// Status is the HTTP status, and for an item of a batch the one that the order alone would have had.
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	// OrderID is set for an item of a batch, where it could be read.
	OrderID string `json:"order_id"`
	// Errors are the faults of the order, up to a bound of the service's.
	Errors []Fault `json:"errors"`
	// RetryAfter is how long the service asks to wait, zero where it doesn't.
	RetryAfter time.Duration `json:"-"`
}

// Fault is one thing wrong with an order.
type Fault struct {
	// Pointer is the place in the body (RFC 6901), such as /features/feature_discount_pct.
	Pointer string `json:"pointer"`
	// Detail is a text for people.
	Detail string `json:"detail"`
}

// maxText bounds the text of a problem in an error: it may be a stranger's.
const maxText = 512

// Error returns status, title and detail.
func (p *Problem) Error() string {
	s := strconv.Itoa(p.Status) + " " + p.Title
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.ToValidUTF8(s, "")
}

// parseProblem reads an answer whose status is not 200.
func parseProblem(status int, header http.Header, body []byte, now time.Time) *Problem {
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Title == "" {
		p = &Problem{Type: "about:blank", Title: http.StatusText(status)}
	}
	p.Status = status // what decides is the protocol's, whatever the document says
	p.RetryAfter = parseRetryAfter(header.Get("Retry-After"), now)
	return p
}

// maxRetryAfter bounds what is believed; no call waits that long.
const maxRetryAfter = 24 * time.Hour

// parseRetryAfter reads seconds or a date (RFC 9110, 10.2.3); what is neither is no wish.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// check returns what keeps an item of a batch from being a problem.
func (p *Problem) check() error {
	if p.Title == "" || p.Status < 400 || p.Status > 599 {
		return fmt.Errorf("%w: an item is neither a decision nor a problem", ErrAnswer)
	}
	return nil
}
