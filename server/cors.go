package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// maxOrigins bounds the list of origins.
const maxOrigins = 64

// validateOrigins wants each origin as a browser sends it: scheme, host and port, nothing else and no wildcard.
func validateOrigins(origins []string) error {
	if len(origins) > maxOrigins {
		return fmt.Errorf("HTTP_CORS_ORIGINS has %d origins, may have %d", len(origins), maxOrigins)
	}
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Host == "*" || origin != u.Scheme+"://"+u.Host {
			return fmt.Errorf("HTTP_CORS_ORIGINS: %q is no origin such as https://console.example", origin)
		}
	}
	return nil
}

// cors lets pages of the origins call the door; without origins nothing is said, and browsers refuse. Credentials of
// a browser are never allowed: a token is sent by the page itself.
func cors(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !slices.Contains(origins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Timeout, traceparent")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Expose-Headers", "Retry-After")
		next.ServeHTTP(w, r)
	})
}
