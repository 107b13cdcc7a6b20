package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime"

	"github.com/go-json-experiment/json"
)

// adminRoutes are for operators: what serves, and how it spends its time. pprof is nowhere else.
func (s *Server) adminRoutes() []route {
	routes := append(s.healthRoutes(),
		route{"/version", reading(), s.version},
		route{"/bundle", reading(), s.bundle},
		route{"/debug/pprof/", reading(), plain(pprof.Index)}, // and each profile by its name
		route{"/debug/pprof/cmdline", reading(), plain(pprof.Cmdline)},
		route{"/debug/pprof/profile", reading(), plain(pprof.Profile)},
		route{"/debug/pprof/trace", reading(), plain(pprof.Trace)},
		route{"/debug/pprof/symbol", append(reading(), http.MethodPost), plain(pprof.Symbol)},
	)
	if s.parts.Reloader != nil {
		routes = append(routes, route{"/bundle/reload", posting(), s.reload})
	}
	return routes
}

func plain(h http.HandlerFunc) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

// version answers which build this is.
func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	return writeValue(w, struct {
		Version string `json:"version"`
		Go      string `json:"go"`
	}{s.parts.Version, runtime.Version()})
}

// bundle answers which model serves, and how closely it met the training library's numbers.
func (s *Server) bundle(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model()
	if err != nil {
		return err
	}
	var parity any
	if s.parts.Parity != nil {
		parity = s.parts.Parity()
	}
	var last *Reload
	if s.parts.Reloader != nil {
		last = s.parts.Reloader.LastReload()
	}
	if s.parts.Models.Scorer() != m.scorer { // replaced meanwhile: the parity may be another model's
		return s.bundle(w, r)
	}
	return writeValue(w, struct {
		Digest   string  `json:"model_digest"`
		Engine   string  `json:"engine"`
		Parity   any     `json:"parity"`
		Reload   *Reload `json:"last_reload,omitzero"`
		Manifest any     `json:"manifest"`
	}{m.wire.Digest, m.wire.Engine, parity, last, m.scorer.Manifest()})
}

func writeValue(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeJSON(w, http.StatusOK, "application/json", body)
	return nil
}
