package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/schemas"
)

// kind names a way in which a request is refused. It is the fragment of the problem's type, and a heading of
// docs/problems.md.
type kind string

const (
	syntax           kind = "syntax"
	invalidOrder     kind = "invalid-order"
	unauthorized     kind = "unauthorized"
	forbidden        kind = "forbidden"
	notFound         kind = "not-found"
	methodNotAllowed kind = "method-not-allowed"
	slowRequest      kind = "slow-request"
	tooLarge         kind = "too-large"
	mediaType        kind = "media-type"
	contentEncoding  kind = "content-encoding"
	internal         kind = "internal"
	notReady         kind = "not-ready"
	deadline         kind = "deadline"
	reloadRefused    kind = "reload-refused"
	unlogged         kind = "unlogged"
	badHeader        kind = "bad-header"
	rateLimited      kind = "rate-limited"
	overloaded       kind = "overloaded"
)

const problemTypes = "https://github.com/trendbuy/riskscorer/blob/main/docs/problems.md#"

// retryAfter is how long a client is asked to wait while there is no model, about the time that one takes to open, or
// no room: an overload that lasts is not over sooner.
const retryAfter = "1"

// status returns the kind's HTTP status and title.
func (k kind) status() (code int, title string) {
	switch k {
	case syntax:
		return http.StatusBadRequest, "The body is not valid JSON"
	case invalidOrder:
		return http.StatusUnprocessableEntity, "The order is against the contract"
	case unauthorized:
		return http.StatusUnauthorized, "The caller is not known"
	case forbidden:
		return http.StatusForbidden, "The caller may not come in here"
	case notFound:
		return http.StatusNotFound, "There is nothing at this path"
	case methodNotAllowed:
		return http.StatusMethodNotAllowed, "The path does not answer this method"
	case slowRequest:
		return http.StatusRequestTimeout, "The body did not arrive in time"
	case tooLarge:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	case mediaType:
		return http.StatusUnsupportedMediaType, "The body must be application/json"
	case contentEncoding:
		return http.StatusUnsupportedMediaType, "The body must not be encoded"
	case notReady:
		return http.StatusServiceUnavailable, "No model is loaded"
	case unlogged:
		return http.StatusServiceUnavailable, "The decision could not be logged"
	case deadline:
		return http.StatusGatewayTimeout, "The deadline has passed"
	case reloadRefused:
		return http.StatusConflict, "The model was not replaced"
	case badHeader:
		return http.StatusBadRequest, "A header is malformed"
	case rateLimited:
		return http.StatusTooManyRequests, "The client sends too many requests"
	case overloaded:
		return http.StatusServiceUnavailable, "The service is over its capacity"
	case internal:
	}
	return http.StatusInternalServerError, "The server failed"
}

// refusal is the error of a request that is refused before its order is judged.
type refusal struct {
	kind   kind
	detail string
}

func (e *refusal) Error() string { return string(e.kind) + ": " + e.detail }

// problem is an RFC 9457 problem document.
type problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail"`
	Instance string  `json:"instance"`
	OrderID  string  `json:"order_id,omitzero"` // of an item of a batch, where it could be read
	Errors   []fault `json:"errors"`
	Error    string  `json:"error,omitzero"` // the detail again, where clients of the Open Inference Protocol look for it
}

// fault is one thing wrong with a body: where, as an RFC 6901 pointer, and what.
type fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func newProblem(k kind, instance, detail string, faults []fault) *problem {
	code, title := k.status()
	return &problem{
		Type: problemTypes + string(k), Title: title, Status: code,
		Detail: detail, Instance: instance, Errors: faults,
	}
}

// problemOf turns a handler's error into what the client sees. The reject class is that of the
// refused order, "" where the order is not what is wrong.
func problemOf(err error, instance string) (*problem, schemas.RejectClass) {
	if refused, is := errors.AsType[*refusal](err); is { // first: under overload most are
		class := schemas.RejectClass("")
		if refused.kind == tooLarge {
			class = schemas.RejectTooLarge
		}
		return newProblem(refused.kind, instance, refused.detail, nil), class
	}
	if malformed, is := errors.AsType[*schemas.SyntaxError](err); is {
		faults := []fault{{Pointer: malformed.Pointer, Detail: malformed.Detail}}
		detail := fmt.Sprintf("at byte %d: %s", malformed.Offset, malformed.Detail)
		return newProblem(syntax, instance, detail, faults), schemas.RejectDecode
	}
	if invalid, is := errors.AsType[*schemas.Invalid](err); is {
		return invalidProblem(invalid, instance), invalid.Class()
	}
	return newProblem(internal, instance, "the failure was logged", nil), ""
}

func invalidProblem(invalid *schemas.Invalid, instance string) *problem {
	faults := make([]fault, len(invalid.Problems))
	for i, p := range invalid.Problems {
		faults[i] = fault{Pointer: p.Pointer, Detail: p.Detail}
	}
	detail := strings.TrimSpace(cut(faults[0].Pointer) + " " + faults[0].Detail)
	if n := len(faults) - 1; n > 0 {
		detail += " (and " + strconv.Itoa(n) + " more)"
	}
	return newProblem(invalidOrder, instance, detail, faults)
}

// refuse answers an error, once: it writes the problem, counts its class and logs it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, class := problemOf(err, instanceOf(r.URL))
	if class != "" {
		s.metrics.reject(class)
	}
	if inference(r.URL.Path) {
		p.Error = p.Detail
	}
	note := notes(w)
	note.class, note.problem = class, kind(strings.TrimPrefix(p.Type, problemTypes))
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	s.logRefusal(r, p, class, err)
	writeJSON(w, p.Status, problemType(r.URL.Path), appendProblem(nil, p))
}

// logRefusal logs the client's mistakes for who looks for them, and failures of our own for everybody, sampled: they
// come in floods. An error's text is logged only where it is ours: a body's may quote the body.
func (s *Server) logRefusal(r *http.Request, p *problem, class schemas.RejectClass, err error) {
	level, skipped := slog.LevelDebug, int64(0)
	if p.Status >= http.StatusInternalServerError {
		var ok bool
		if skipped, ok = s.failures.take(); !ok {
			return
		}
		level = slog.LevelWarn
	}
	if !s.parts.Logger.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", cut(r.Method)), slog.String("route", routeOf(r)),
		slog.Int("status", p.Status), slog.String("title", p.Title),
	}
	if class != "" {
		attrs = append(attrs, slog.String("class", string(class)))
	}
	if level == slog.LevelWarn {
		attrs = append(attrs, slog.Any("error", err), slog.Int64("not_logged_before", skipped))
	}
	s.parts.Logger.LogAttrs(r.Context(), level, "request refused", attrs...)
}

// appendProblem appends the problem as JSON; text from outside may be any bytes. It is written out because a server that
// refuses does little else.
func appendProblem(dst []byte, p *problem) []byte {
	text := func(name, value string) {
		dst = append(dst, name...)
		dst, _ = jsontext.AppendQuote(dst, value) // bytes that are no UTF-8 become U+FFFD
	}
	text(`{"type":`, p.Type)
	text(`,"title":`, p.Title)
	dst = strconv.AppendInt(append(dst, `,"status":`...), int64(p.Status), 10)
	text(`,"detail":`, p.Detail)
	text(`,"instance":`, p.Instance)
	if p.OrderID != "" {
		text(`,"order_id":`, p.OrderID)
	}
	dst = append(dst, `,"errors":[`...)
	for i, f := range p.Errors {
		if i > 0 {
			dst = append(dst, ',')
		}
		text(`{"pointer":`, f.Pointer)
		text(`,"detail":`, f.Detail)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if p.Error != "" {
		text(`,"error":`, p.Error)
	}
	return append(dst, '}')
}

func writeJSON(w http.ResponseWriter, code int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client has gone: nothing is left to tell it
}

// instanceOf is the request's path, bounded, as a URI reference: an escape is not cut in two.
func instanceOf(u *url.URL) string {
	const most, escape = 128, len("%20")
	path := u.EscapedPath()
	if len(path) <= most {
		return path
	}
	path = path[:most]
	if i := strings.LastIndexByte(path, '%'); i > most-escape {
		path = path[:i]
	}
	return path + "..."
}

// cut bounds text from outside that is echoed or logged.
func cut(s string) string {
	const most = 128
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
