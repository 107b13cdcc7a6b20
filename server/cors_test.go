package server_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

func TestNoCORSUnlessSet(t *testing.T) {
	r := start(t)
	h := http.Header{"Origin": {"https://console.example"}, "Access-Control-Request-Method": {"POST"}}
	if a := r.do(t, http.MethodOptions, "/score", h, http.NoBody); a.status != http.StatusMethodNotAllowed || hasCORS(a.header) {
		t.Errorf("%d %v, want 405 and no word of CORS", a.status, a.header)
	}
	h.Set("Content-Type", "application/json")
	if a := r.do(t, http.MethodPost, "/score", h, strings.NewReader(example)); a.status != http.StatusOK || hasCORS(a.header) {
		t.Errorf("%d %v, want 200 and no word of CORS", a.status, a.header)
	}
}

func hasCORS(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			return true
		}
	}
	return false
}

// TestCORSForListedOrigins: the browser's question is answered without a token, the order itself needs one.
func TestCORSForListedOrigins(t *testing.T) {
	token, line := newToken(t, "console")
	s := newStore(t, tokensFile(line))
	r := start(t, withTokens(s), func(c *server.Config, _ *server.Parts) {
		c.CORSOrigins = []string{"https://console.example", "http://localhost:3000"}
	})
	for origin, listed := range map[string]bool{
		"https://console.example": true, "http://localhost:3000": true,
		"https://console.example.evil": false, "http://console.example": false, "https://console.example:8443": false,
		"https://CONSOLE.example": false, "null": false, "": false, "*": false,
	} {
		ask := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}}
		a := r.send(t, http.MethodOptions, "http://"+r.Scoring+"/score", ask, http.NoBody)
		allowed := a.status == http.StatusNoContent && a.header.Get("Access-Control-Allow-Origin") == origin &&
			strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization") && a.header.Get("Access-Control-Allow-Credentials") == ""
		if allowed != listed || !listed && hasCORS(a.header) || a.header.Get("Vary") != "Origin" {
			t.Errorf("%q: %d %v, want it allowed: %v", origin, a.status, a.header, listed)
		}
		for name, h := range map[string]http.Header{"with a token": bearer(token), "without": jsonHeader()} {
			h.Set("Origin", origin)
			a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", h, strings.NewReader(example))
			want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[name == "with a token"]
			if a.status != want || (a.header.Get("Access-Control-Allow-Origin") == origin) != (listed || origin == "") {
				t.Errorf("%q %s: %d %v", origin, name, a.status, a.header)
			}
		}
	}
	for name, door := range map[string]string{"admin": r.Admin, "metrics": r.Metrics} {
		a := r.send(t, http.MethodGet, "http://"+door+"/health/live", http.Header{"Origin": {"https://console.example"}}, http.NoBody)
		if hasCORS(a.header) {
			t.Errorf("%s: %v, want no CORS on this door", name, a.header)
		}
	}
}

// TestSecurityHeaders: every answer of every door, page or problem, says what a browser may do with it.
func TestSecurityHeaders(t *testing.T) {
	r := start(t)
	for door, paths := range map[string][]string{
		r.Scoring: {"/docs/", "/docs/swagger-ui.css", "/docs", "/openapi.json", "/health/live", "/nowhere", "/score"},
		r.Admin:   {"/version", "/bundle", "/debug/pprof/", "/nowhere"},
		r.Metrics: {"/metrics", "/nowhere"},
	} {
		for _, path := range paths {
			h := r.get(t, door, path).header
			policy := h.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("%s: Content-Security-Policy %q lacks %s", path, policy, want)
				}
			}
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %v", path, h)
			}
			if !strings.Contains(path, ".css") && h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: Cache-Control %q, want no-store", path, h.Get("Cache-Control"))
			}
			if h.Get("Strict-Transport-Security") != "" {
				t.Errorf("%s: clear text promises TLS", path)
			}
		}
	}
}

// TestDocsAssetsComeEitherWay: an asset is the same, compressed or not.
func TestDocsAssetsComeEitherWay(t *testing.T) {
	r := start(t)
	for path, kind := range map[string]string{
		"/docs/swagger-ui.css": "text/css", "/docs/swagger-ui-bundle.js": "application/javascript", "/docs/favicon-16x16.png": "image/png",
	} {
		unpacked := r.get(t, r.Scoring, path)
		packed := r.send(t, http.MethodGet, "http://"+r.Scoring+path, http.Header{"Accept-Encoding": {"gzip"}}, http.NoBody)
		for _, a := range []answer{unpacked, packed} {
			if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind) {
				t.Errorf("%s: %d %v", path, a.status, a.header)
			}
		}
		text := packed.body
		if packed.header.Get("Content-Encoding") == "gzip" {
			in, err := gzip.NewReader(strings.NewReader(packed.body))
			if err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			text = string(all)
		}
		if text != unpacked.body || len(text) < 100 {
			t.Errorf("%s: %d bytes, compressed %d, which are not the same", path, len(unpacked.body), len(text))
		}
	}
}
