package server

import (
	"net/http"
	"path"
	"slices"
	"strings"
)

// route is a pattern of http.ServeMux without a method, and what answers it.
type route struct {
	pattern string
	methods []string
	handle  handler
}

// handler answers a request, or returns the error that refuse turns into a problem. It returns an error only before
// it has written anything.
type handler func(http.ResponseWriter, *http.Request) error

// unrouted is the pattern that catches what no other does.
const unrouted = "/"

func reading() []string { return []string{http.MethodGet, http.MethodHead} }

func posting() []string { return []string{http.MethodPost} }

func (s *Server) scoringRoutes() ([]route, error) {
	docs, err := docsRoutes()
	if err != nil {
		return nil, err
	}
	return slices.Concat([]route{
		{"/score", posting(), s.score},
		{"/score/batch", posting(), s.scoreBatch},
		{"/openapi.json", reading(), s.openAPI},
	}, s.inferenceRoutes(), docs, s.healthRoutes()), nil
}

func (s *Server) metricsRoutes() []route {
	return append(s.healthRoutes(), route{"/metrics", reading(), s.metricsPage()})
}

// router serves the routes. http.ServeMux would answer an unknown path, a wrong method and an unclean path in its own
// words, the last by a redirect that a POST does not survive; here each is a problem.
func (s *Server) router(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.pattern, s.answer(func(w http.ResponseWriter, req *http.Request) error {
			if !slices.Contains(r.methods, req.Method) {
				w.Header().Set("Allow", strings.Join(r.methods, ", "))
				return &refusal{kind: methodNotAllowed, detail: "this path answers " + strings.Join(r.methods, " and ")}
			}
			return r.handle(w, req)
		}))
	}
	notFound := s.answer(func(http.ResponseWriter, *http.Request) error {
		return &refusal{kind: notFound, detail: "nothing is at this path; /openapi.json lists what is"}
	})
	mux.Handle(unrouted, notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; !strings.HasPrefix(p, "/") || path.Clean(p) != p && path.Clean(p)+"/" != p {
			notFound.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}
