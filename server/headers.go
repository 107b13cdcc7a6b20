package server

import (
	"maps"
	"net/http"
)

// hardened gives every answer of a door the headers by which a browser does no more with it than show it. A route
// that needs another value sets its own.
func hardened(encrypted bool, next http.Handler) http.Handler {
	headers := http.Header{
		"Cache-Control":           {"no-store"},
		"Content-Security-Policy": {"default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":         {"no-referrer"},
		"X-Content-Type-Options":  {"nosniff"},
	}
	if encrypted {
		headers["Strict-Transport-Security"] = []string{"max-age=31536000; includeSubDomains"}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), headers)
		next.ServeHTTP(w, r)
	})
}
