package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// ErrIncompatible says that the schema registry refuses a schema because readers of the one would not read the other.
var ErrIncompatible = errors.New("the schema is not compatible with the subject's latest")

// Register registers the schema under the subject, if it is not yet, and returns its id. The subject's compatibility is
// set to BACKWARD, before anything is added to it, unless it demands that and more. It is for setting up: the service
// never registers. A schema that breaks the compatibility is an error that wraps ErrIncompatible.
func (s *Source) Register(ctx context.Context, subject, schema string) (int, error) {
	if s == nil || s.client == nil {
		return 0, errors.New("no schema registry is configured")
	}
	// A subject without versions may not have settings yet.
	_, err := s.client.SubjectVersions(ctx, subject)
	exists := !notFound(err)
	if err != nil && exists {
		return 0, fmt.Errorf("list versions of %s: %w", subject, brief(err))
	}
	if exists {
		if err := s.demandBackward(ctx, subject); err != nil {
			return 0, err
		}
	}
	id, err := s.client.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, 0, 0)
	if answer, ok := errors.AsType[*sr.ResponseError](err); ok && answer.StatusCode == http.StatusConflict {
		return 0, fmt.Errorf("register schema of %s: %w: %w", subject, ErrIncompatible, brief(err))
	}
	if err != nil {
		return 0, fmt.Errorf("register schema of %s: %w", subject, brief(err))
	}
	if !exists {
		return id, s.demandBackward(ctx, subject)
	}
	return id, nil
}

func (s *Source) demandBackward(ctx context.Context, subject string) error {
	level, err := s.level(ctx, subject)
	if err != nil || backward(level) {
		return err
	}
	if err := s.client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackward}, subject)[0].Err; err != nil {
		return fmt.Errorf("set compatibility of %s: %w", subject, brief(err))
	}
	return nil
}

// level returns the subject's own compatibility, 0 if it only has the schema registry's default.
func (s *Source) level(ctx context.Context, subject string) (sr.CompatibilityLevel, error) {
	got := s.client.Compatibility(ctx, subject)[0]
	switch {
	case notFound(got.Err):
		return 0, nil
	case got.Err != nil:
		return 0, fmt.Errorf("ask for the compatibility of %s: %w", subject, brief(got.Err))
	}
	return got.Level, nil
}

// backward says whether a level lets readers of a new schema read what older ones wrote.
func backward(level sr.CompatibilityLevel) bool {
	switch level {
	case sr.CompatBackward, sr.CompatBackwardTransitive, sr.CompatFull, sr.CompatFullTransitive:
		return true
	default:
		return false
	}
}

// Standing is how a schema stands in the schema registry.
type Standing struct {
	Registered    bool   `json:"registered"` // under the subject, in this very form
	ID            int    `json:"id"`         // 0 if it is not registered
	Compatibility string `json:"compatibility"`
	Backward      bool   `json:"backward"` // the subject's own compatibility is BACKWARD or more
	// Compatible says that a reader with the schema reads what the subject's latest schema wrote; Reason, why not.
	Compatible bool   `json:"compatible"`
	Reason     string `json:"reason,omitempty"`
}

// Holds says whether all is as Register leaves it.
func (s Standing) Holds() bool { return s.Registered && s.Backward && s.Compatible }

// Standing asks how a schema stands under a subject, and changes nothing.
func (s *Source) Standing(ctx context.Context, subject, schema string) (Standing, error) {
	if s == nil || s.client == nil {
		return Standing{}, errors.New("no schema registry is configured")
	}
	var out Standing
	ours := sr.Schema{Schema: schema}
	found, err := s.client.LookupSchema(ctx, subject, ours)
	if err != nil && !notFound(err) {
		return out, fmt.Errorf("look up schema of %s: %w", subject, brief(err))
	}
	if err == nil {
		out.Registered, out.ID = true, found.ID
	}
	level, err := s.level(ctx, subject)
	if err != nil {
		return out, err
	}
	out.Backward, out.Compatibility = backward(level), "default"
	if level != 0 {
		out.Compatibility = level.String()
	}
	result, err := s.client.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -1, ours)
	switch {
	case notFound(err): // nothing that it could contradict
		out.Compatible = true
	case err != nil:
		return out, fmt.Errorf("check compatibility of %s: %w", subject, brief(err))
	default:
		out.Compatible = result.Is
		out.Reason = shorten(strings.Join(result.Messages, "; "))
	}
	return out, nil
}
