package server

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// health is the answer of a health route.
type health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"` // why it is not ready, empty where it is
}

func (s *Server) healthRoutes() []route {
	return []route{
		// Alive means that requests are answered. A broken dependency is no reason to restart the process.
		{"/health/live", reading(), healthOf(func() (bool, []string) { return true, nil })},
		{"/health/ready", reading(), healthOf(s.ready)},
		{"/health/ready/stream", reading(), healthOf(s.parts.Readiness.StreamReady)},
	}
}

// ready adds to what the service says whether a scoring request would find a model.
func (s *Server) ready() (bool, []string) {
	ok, reasons := s.parts.Readiness.Ready()
	if ok && s.parts.Models.Scorer() == nil {
		return false, append(reasons, "no model is loaded")
	}
	return ok, reasons
}

func healthOf(ready func() (bool, []string)) handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		ok, reasons := ready()
		if ok {
			writeHealth(w, http.StatusOK, health{Status: "ok"})
			return nil
		}
		w.Header().Set("Retry-After", retryAfter)
		writeHealth(w, http.StatusServiceUnavailable, health{Status: "unavailable", Reasons: reasons})
		return nil
	}
}

func writeHealth(w http.ResponseWriter, code int, h health) {
	// Marshal cannot fail: strings, and text from outside may be any bytes.
	body, _ := json.Marshal(h, jsontext.AllowInvalidUTF8(true))
	writeJSON(w, code, "application/json", body)
}
