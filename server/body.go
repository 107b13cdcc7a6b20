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

// readBody returns the request's JSON, unparsed, or a *refusal. What the headers tell is judged before a byte is read.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if err := checkHeaders(w, r.Header); err != nil {
		return nil, err
	}
	oversized := &refusal{tooLarge, fmt.Sprintf("a body may have %d bytes", limit)}
	if r.ContentLength > limit {
		return nil, oversized
	}
	if r.ContentLength > 0 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, readError(err)
	}
	// One byte over the limit tells a body that is too large. What is left of it is net/http's to drain, within its
	// own bound, so that the connection stays usable.
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, oversized
	}
	return body, readError(err)
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
