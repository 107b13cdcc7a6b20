package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// hostileWire is a request that only a connection of one's own can send.
type hostileWire struct {
	name, text string
	status     int
	kind       string // of the problem; "" for a bare answer of net/http, which ends the connection, and for a good one
	keep       bool   // the connection is usable afterwards
}

// raw is a request with header lines as given.
func raw(line string, headers ...string) string {
	return line + "\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

func hostilePaths() []hostileWire {
	var out []hostileWire
	for _, path := range []string{
		"/Score", "/score/", "//score", "///score", "/score//", "/./score", "/../score", "/health/../score", "/score/.", "/score/..%2f",
		"/score%2f", "/%2fscore", "/score%00", "/score%20", "/score%0d%0a", "/score;v=1", "/score.json", "/v2/", "/v2//health/live",
		"/v2/models", "/v2/models/", "/v2/models//infer", "/v2/models/trendbuy_xgb/", "/v2/models/trendbuy_xgb/versions",
		"/v2/models/trendbuy_xgb/versions//infer", "/v2/models/trendbuy_xgb%2Finfer", "/v2/repository/index", "/v2/health", "/v1/models/trendbuy_xgb:predict",
		"/v2/models/%2e%2e/infer", "/v2/models/trendbuy_xgb/explain", "/%5cscore", "/\\score", "/score%ff", "/" + strings.Repeat("a", 8000),
		"/" + strings.Repeat("../", 1000) + "etc/passwd", "/score/batch/1", "/admin", "/debug/pprof/cmdline", "/metrics", "/bundle",
	} {
		out = append(out, hostileWire{"path " + path[:min(len(path), 60)], raw("GET "+path+" HTTP/1.1", "Host: x"), 404, "not-found", true})
	}
	// net/http answers these in its own words: they are no requests.
	for _, target := range []string{"score", "/%zz", "/score%2", "/a b", "\x00", "/\x7f"} {
		out = append(out, hostileWire{"target " + fmt.Sprintf("%q", target), raw("GET "+target+" HTTP/1.1", "Host: x"), 400, "", false})
	}
	return out
}

func hostileMethods() []hostileWire {
	var out []hostileWire
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post", "QUERY", "X", "GET_"} {
		for _, path := range []string{"/score", inferPath} {
			kind := "method-not-allowed"
			if method == "HEAD" {
				kind = "" // the answer to HEAD has no body
			}
			out = append(out, hostileWire{method + " " + path, raw(method+" "+path+" HTTP/1.1", "Host: x"), 405, kind, true})
		}
	}
	return append(out,
		hostileWire{"CONNECT", raw("CONNECT x:80 HTTP/1.1", "Host: x:80"), 404, "not-found", true},
		hostileWire{"POST to a page of metadata", raw("POST /v2 HTTP/1.1", "Host: x", "Content-Length: 0"), 405, "method-not-allowed", true},
		hostileWire{"method with a space", raw("PO ST /score HTTP/1.1", "Host: x"), 400, "", false},
		hostileWire{"no method", raw(" /score HTTP/1.1", "Host: x"), 400, "", false},
		hostileWire{"method in brackets", raw("(POST) /score HTTP/1.1", "Host: x"), 400, "", false},
	)
}

func hostileHeaders() []hostileWire {
	post, length := "POST /score HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(example))
	with := func(headers ...string) string {
		return raw(post, append([]string{"Host: x", length}, headers...)...) + example
	}
	const kind = "Content-Type: application/json"
	return []hostileWire{
		{"no Content-Type", with(), 415, "media-type", true},
		{"empty Content-Type", with("Content-Type:"), 415, "media-type", true},
		{"two media types", with(kind + ", application/json"), 415, "media-type", true},
		{"two Content-Type lines", with(kind, kind), 415, "media-type", true},
		{"another charset", with(kind + "; charset=utf-16"), 415, "media-type", true},
		{"half a parameter", with(kind + "; charset"), 415, "media-type", true},
		{"a quote that does not end", with(kind + `; charset="utf-8`), 415, "media-type", true},
		{"a wildcard", with("Content-Type: application/*"), 415, "media-type", true},
		{"a relative of JSON", with("Content-Type: application/vnd.api+json"), 415, "media-type", true},
		{"JSON lines", with("Content-Type: application/x-ndjson"), 415, "media-type", true},
		{"a form", with("Content-Type: application/x-www-form-urlencoded"), 415, "media-type", true},
		{"bytes at /score", with("Content-Type: application/octet-stream", "Inference-Header-Content-Length: 2"), 415, "media-type", true},
		{"Content-Encoding gzip", with(kind, "Content-Encoding: gzip"), 415, "content-encoding", true},
		{"Content-Encoding identity", with(kind, "Content-Encoding: identity"), 415, "content-encoding", true},
		{"two Content-Encodings", with(kind, "Content-Encoding: gzip", "Content-Encoding: br"), 415, "content-encoding", true},
		{"no Host", raw(post, length, kind) + example, 400, "", false},
		{"two Hosts", with(kind, "Host: y"), 400, "", false},
		{"a Host with a slash", raw(post, "Host: x/y", length, kind) + example, 400, "", false},
		{"a header without colon", with(kind, "X"), 400, "", false},
		{"a header's name with a space", with(kind, "X : y"), 400, "", false},
		{"a folded header", with(kind, "X: a", " b"), 200, "", true},
		{"a bare line feed", strings.ReplaceAll(with(kind), "\r\n", "\n"), 200, "", true},
		{"a control in a header", with(kind, "X: \x01"), 400, "", false},
		{"40 KiB in one header", with(kind, "X: "+strings.Repeat("x", 40<<10)), 431, "", false},
		{"4,000 headers", with(append([]string{kind}, strings.Split(strings.Repeat("X-Flood: 1234567\n", 4000), "\n")[:4000]...)...), 431, "", false},
		{"a request line of 40 KiB", raw("POST /score?"+strings.Repeat("x", 40<<10)+" HTTP/1.1", "Host: x"), 431, "", false},
		{"an unknown Expect", with(kind, "Expect: 200-ok"), 417, "", false},
		{"Transfer-Encoding gzip", with(kind, "Transfer-Encoding: gzip"), 501, "", false},
		{"Transfer-Encoding chunked and gzip", with(kind, "Transfer-Encoding: gzip, chunked"), 501, "", false},
		{"Transfer-Encoding twice", with(kind, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501, "", false},
		{"an empty Content-Length", raw(post, "Host: x", kind, "Content-Length:"), 400, "", false},
		{"a Content-Length in hexadecimal", raw(post, "Host: x", kind, "Content-Length: 0x10"), 400, "", false},
		{"a Content-Length over 64 bits", raw(post, "Host: x", kind, "Content-Length: 99999999999999999999"), 400, "", false},
		{"a Content-Length with a sign", raw(post, "Host: x", kind, "Content-Length: +2") + "{}", 400, "", false},
		{"two Content-Lengths", raw(post, "Host: x", kind, "Content-Length: 2, 3") + "{}", 400, "", false},
		{"a chunk that is too large", raw(post, "Host: x", kind, "Transfer-Encoding: chunked") + "FFFFFFFFFFFFFFFFF\r\n", 400, "syntax", false},
		{"a negative chunk", raw(post, "Host: x", kind, "Transfer-Encoding: chunked") + "-1\r\n", 400, "syntax", false},
		{"a query of rubbish", raw("POST /score?%zz&;&==&explain=%00 HTTP/1.1", "Host: x", kind, length) + example, 200, "", true},
		{"a long query", raw("POST /score?"+strings.Repeat("a=b&", 2000)+" HTTP/1.1", "Host: x", kind, length) + example, 200, "", true},
		{"HTTP/1.0", raw("POST /score HTTP/1.0", kind, length) + example, 200, "", false},
		{"HTTP/1.0 kept alive", raw("POST /score HTTP/1.0", kind, length, "Connection: keep-alive") + example, 200, "", true},
		{"HTTP/2.0 in text", raw("POST /score HTTP/2.0", "Host: x", kind, length) + example, 505, "", false},
		{"HTTP/0.9", "GET /score\r\n\r\n", 400, "", false},
		{"HTTP/1.9", raw("GET /nowhere HTTP/1.9", "Host: x"), 404, "not-found", true},
		{"a TLS hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400, "", false},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 404, "not-found", false},
		{"Kafka's protocol", "\x00\x00\x00\x14\x00\x12\x00\x03\x00\x00\x00\x00\r\n\r\n", 400, "", false},
		{"Upgrade", with(kind, "Connection: Upgrade", "Upgrade: websocket"), 200, "", true},
		{"another method by header", with(kind, "X-HTTP-Method-Override: DELETE"), 200, "", true},
		{"another path by header", with(kind, "X-Original-URL: /debug/pprof/"), 200, "", true},
	}
}

// TestHostileRequests: each gets what is written, and where the connection is said to survive, the next order on it is
// scored.
func TestHostileRequests(t *testing.T) {
	r := start(t)
	want := r.decide(t, example).PredictionID
	cases := append(append(hostilePaths(), hostileMethods()...), hostileHeaders()...)
	for _, h := range cases {
		t.Run(h.name, func(t *testing.T) {
			conn := dial(t, r.Scoring)
			go func() { _, _ = io.WriteString(conn.Conn, h.text) }() // the server may close before it is all sent
			method, _, _ := strings.Cut(h.text, " ")
			response, err := http.ReadResponse(conn.in, &http.Request{Method: method}) // the answer to HEAD has no body
			if err != nil {
				t.Fatal(err)
			}
			a := read(t, response)
			_ = response.Body.Close()
			if a.status != h.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, h.status)
			}
			if h.kind != "" {
				if err := r.document.checkProblem(a); err != nil {
					t.Error(err)
				}
				if p := decode[decision](t, a); !strings.HasSuffix(p.Type, "#"+h.kind) {
					t.Errorf("type %q, want %s", p.Type, h.kind)
				}
			}
			if !h.keep {
				if rest, err := io.ReadAll(conn.in); len(rest) > 0 {
					t.Errorf("after the answer come %q, %v", rest, err)
				}
				return
			}
			conn.write(request(jsonLine, example))
			if a := conn.read(); a.status != http.StatusOK || decode[decision](t, a).PredictionID != want {
				t.Errorf("the order after it: %d %s", a.status, a.body)
			}
		})
	}
}
