package server

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/trendbuy/riskscorer/schemas"
)

// The bodies that are read; a larger one is refused.
const (
	maxOrderBytes = schemas.MaxEventBytes
	maxBatchBytes = 1 << 20
)

// firstChunk is what is set aside for a body before any of it has come; most orders fit.
const firstChunk = 2 << 10

// readBody returns the request's JSON, unparsed, or a *refusal. What the headers tell is judged before a byte is read.
// Memory is taken as the body comes, so that a claim alone costs nothing.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, take func(bytes int64) error) ([]byte, error) {
	if err := checkHeaders(w, r.Header); err != nil {
		return nil, err
	}
	oversized := &refusal{tooLarge, fmt.Sprintf("a body may have %d bytes", limit)}
	if r.ContentLength > limit {
		return nil, oversized
	}
	// One byte over the limit tells a body that is too large. What is left of it is net/http's to drain, within its
	// own bound, so that the connection stays usable.
	most := limit + 1
	if r.ContentLength > 0 {
		most = r.ContentLength
	}
	var body []byte
	for size := min(most, firstChunk); ; size = min(most, 2*size) {
		if err := take(size - int64(len(body))); err != nil {
			return nil, err
		}
		had := len(body)
		body = append(make([]byte, 0, size), body...)[:size]
		n, err := io.ReadFull(r.Body, body[had:])
		body = body[:had+n]
		switch {
		case r.ContentLength <= 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
			return body, nil
		case err != nil:
			return nil, readError(err)
		case int64(len(body)) > limit:
			return nil, oversized
		case int64(len(body)) == most:
			return body, nil
		}
	}
}

func checkHeaders(w http.ResponseWriter, h http.Header) error {
	if len(h.Values("Content-Encoding")) > 0 {
		w.Header().Set("Accept-Encoding", "identity")
		return &refusal{contentEncoding, "send the body as it is, without Content-Encoding"}
	}
	if !isJSON(h.Values("Content-Type")) {
		w.Header().Set("Accept", "application/json")
		return &refusal{mediaType, "Content-Type must be application/json, in UTF-8"}
	}
	return nil
}

func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	if contentTypes[0] == "application/json" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || media != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{slowRequest, fmt.Sprintf("a request has %v to arrive", readTimeout)}
	default:
		// The transport's own words may quote what was sent.
		return &refusal{syntax, "the body ended early or was framed wrongly"}
	}
}
