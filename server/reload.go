package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reloadTimeout bounds the wait for a reload, within the admin door's time for an answer.
const reloadTimeout = 60 * time.Second

// The outcomes of an attempt to replace the model.
const (
	ReloadLoaded    = "loaded"    // the new model serves
	ReloadUnchanged = "unchanged" // the bundle is the one that serves
	ReloadRefused   = "refused"   // the bundle may not serve: a check, the pinned version, the memory limit
	ReloadFailed    = "failed"    // the bundle could not be read
	ReloadPostponed = "postponed" // a model before the one that serves is still held by a batch
)

// ReloadOutcomes lists the outcomes.
func ReloadOutcomes() []string {
	return []string{ReloadLoaded, ReloadUnchanged, ReloadRefused, ReloadFailed, ReloadPostponed}
}

// Reload is what came of an attempt to replace the model, as the admin door shows it.
type Reload struct {
	Time    time.Time `json:"time"`
	Outcome string    `json:"outcome"`
	// Check names the bundle's check that failed, "" where none did.
	Check string `json:"check,omitzero"`
	// Error says why the model was not replaced, with the figures that differed; "" where it was.
	Error string `json:"error,omitzero"`
	// ModelVersion and ModelDigest are those of the model that serves after the attempt.
	ModelVersion string `json:"model_version"`
	ModelDigest  string `json:"model_digest"`
}

// Reloader replaces the model that serves. Its methods are safe for concurrent use.
type Reloader interface {
	// Reload looks at the bundle again and returns what came of it. The error is ctx's: the attempt goes on without the
	// caller.
	Reload(ctx context.Context) (Reload, error)
	// LastReload returns the last attempt, by whomever; nil where there was none.
	LastReload() *Reload
}

// ModelChanged lets go of what was derived from the model before. Call it after Models gives another scorer, from one
// goroutine.
func (s *Server) ModelChanged() {
	m, err := s.model()
	if err != nil {
		return
	}
	// The series of the last two versions stay: a label that every new version adds to would have no bound.
	if s.versions[1] != m.wire.Version {
		gone := s.versions[0]
		s.versions = [2]string{s.versions[1], m.wire.Version}
		if gone != "" && gone != m.wire.Version {
			s.metrics.decisions.DeletePartialMatch(prometheus.Labels{"model_version": gone})
		}
	}
}

// reload answers POST /bundle/reload: what came of it, or the problem why the model before goes on.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), reloadTimeout)
	defer cancel()
	report, err := s.parts.Reloader.Reload(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{deadline, "the attempt goes on; GET /bundle will show what came of it"}
	case err != nil:
		return &refusal{notReady, err.Error()}
	}
	if report.Error != "" {
		return &refusal{reloadRefused, report.Error}
	}
	return writeValue(w, report)
}
