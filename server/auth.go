package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// The ways in which a caller is refused, as classes of a metric.
const (
	callerNobody  = "nobody"  // shows no token, or no certificate
	callerBroken  = "broken"  // shows something that is no token
	callerUnknown = "unknown" // shows a token that is not in the file
	callerExpired = "expired" // its certificate has ended since the handshake
	callerForeign = "foreign" // its certificate has no name of the list
)

func callerClasses() []string {
	return []string{callerNobody, callerBroken, callerUnknown, callerExpired, callerForeign}
}

// doorkeeper asks who calls a door.
type doorkeeper struct {
	auth   string
	tokens tokens       // for AuthBearer
	names  *clientNames // for AuthMTLS
	note   func(r *http.Request, class, name string)
}

// probes are the routes that answer everybody on every door: orchestrators show neither token nor certificate, and
// learn a yes or a no. /health/ready/stream is none of them: its reasons name hosts and topics.
func probes(pattern string) bool {
	switch pattern {
	case "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready":
		return true
	default:
		return false
	}
}

// protect puts the doorkeeper before every route but the probes. A route that is added later is protected too.
func (k *doorkeeper) protect(routes []route) []route {
	if k.auth == AuthNone {
		return routes
	}
	protected := make([]route, len(routes))
	for i, r := range routes {
		if next := r.handle; !probes(r.pattern) {
			r.handle = func(w http.ResponseWriter, req *http.Request) error {
				name, err := k.identify(w, req)
				if err != nil {
					return err
				}
				notes(w).caller = name
				return next(w, req.WithContext(context.WithValue(req.Context(), identityKey{}, name)))
			}
		}
		protected[i] = r
	}
	return protected
}

// identify returns who calls, or the refusal of a caller that may not.
func (k *doorkeeper) identify(w http.ResponseWriter, r *http.Request) (string, error) {
	if k.auth == AuthMTLS {
		return k.byCertificate(w, r)
	}
	return k.byToken(w, r)
}

func (k *doorkeeper) byToken(w http.ResponseWriter, r *http.Request) (string, error) {
	refuse := func(class, challenge, detail string) (string, error) {
		k.note(r, class, "")
		w.Header().Set("WWW-Authenticate", `Bearer realm="riskscorer"`+challenge)
		return "", &refusal{unauthorized, detail}
	}
	shown := r.Header.Values("Authorization")
	if len(shown) == 0 {
		return refuse(callerNobody, "", "send Authorization: Bearer and a token")
	}
	scheme, token, _ := strings.Cut(shown[0], " ")
	if len(shown) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenBytes {
		return refuse(callerBroken, `, error="invalid_request"`, "Authorization must be there once, and be Bearer and a token")
	}
	name, known := k.tokens.nameOf(token)
	if !known {
		return refuse(callerUnknown, `, error="invalid_token"`, "the token is not known here")
	}
	return name, nil
}

func (k *doorkeeper) byCertificate(w http.ResponseWriter, r *http.Request) (string, error) {
	refuse := func(class, detail string) (string, error) {
		k.note(r, class, "")
		// The name of the scheme is nobody's yet, but a 401 has to have one (RFC 9110, section 11.6.1).
		w.Header().Set("WWW-Authenticate", `ClientCertificate realm="riskscorer"`)
		w.Header().Set("Connection", "close") // another certificate is another connection
		return "", &refusal{unauthorized, detail}
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return refuse(callerNobody, "the connection has no client certificate")
	}
	leaf := r.TLS.PeerCertificates[0]
	if time.Now().After(leaf.NotAfter) {
		return refuse(callerExpired, "the client certificate has ended")
	}
	name, known := k.names.match(leaf)
	if !known {
		k.note(r, callerForeign, leaf.Subject.String())
		return "", &refusal{forbidden, "no name in the client certificate is on the list of this door"}
	}
	return name, nil
}

// noteCaller counts a refused caller, and logs one a second. What it has shown is not logged, but for the subject of
// a certificate that holds and is not on the list: that is what the operator looks for.
func (s *Server) noteCaller(door string) func(r *http.Request, class, name string) {
	var log sampler
	return func(r *http.Request, class, name string) {
		s.access.refused.WithLabelValues(door, class).Inc()
		skipped, ok := log.take()
		if !ok {
			return
		}
		attrs := []slog.Attr{
			slog.String("door", door), slog.String("class", class), slog.String("address", r.RemoteAddr), slog.String("route", routeOf(r)),
			slog.Int64("not_logged_before", skipped),
		}
		if name != "" {
			attrs = append(attrs, slog.String("subject", cut(name)))
		}
		s.parts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "caller refused", attrs...)
	}
}
