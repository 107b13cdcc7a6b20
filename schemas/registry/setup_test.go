package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
)

func TestRegisterDemandsBackwardCompatibility(t *testing.T) {
	for _, test := range []struct {
		before sr.CompatibilityLevel
		want   string
	}{
		{sr.CompatNone, "BACKWARD"},
		{sr.CompatForward, "BACKWARD"},
		{sr.CompatBackward, "BACKWARD"},
		{sr.CompatFullTransitive, "FULL_TRANSITIVE"}, // more is left as it is
	} {
		server := serve(t)
		if _, _, err := server.RegisterSchema(subject, sr.Schema{Schema: `"string"`}); err != nil {
			t.Fatal(err)
		}
		if err := server.SetCompat(subject, test.before); err != nil {
			t.Fatal(err)
		}
		s := open(t, registry.Config{URL: server.URL()})
		standing, err := s.Standing(t.Context(), subject, schemas.RiskResultSchema)
		if err != nil || standing.Registered || standing.ID != 0 || standing.Holds() || standing.Compatibility != test.before.String() {
			t.Errorf("%v, before: %+v, %v", test.before, standing, err)
		}
		id, err := s.Register(t.Context(), subject, schemas.RiskResultSchema)
		if err != nil {
			t.Fatal(err)
		}
		standing, err = s.Standing(t.Context(), subject, schemas.RiskResultSchema)
		if err != nil || !standing.Holds() || standing.ID != id || standing.Compatibility != test.want {
			t.Errorf("%v, after: %+v, %v", test.before, standing, err)
		}
	}
}

func TestANewSubjectGetsBackwardCompatibility(t *testing.T) {
	server := serve(t)
	s := open(t, registry.Config{URL: server.URL()})
	// Like a real server, and unlike the fake, a subject without settings answers with none, not with the default.
	set := ""
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/config/"+subject {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodPut:
			set = "BACKWARD"
			_, _ = w.Write([]byte(`{"compatibility":"BACKWARD"}`))
		case set == "":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error_code":40408,"message":"no settings"}`))
		default:
			_, _ = w.Write([]byte(`{"compatibilityLevel":"BACKWARD"}`))
		}
		return true
	})
	standing, err := s.Standing(t.Context(), subject, schemas.RiskResultSchema)
	if err != nil || standing.Registered || standing.Backward || standing.Compatibility != "default" {
		t.Errorf("before: %+v, %v", standing, err)
	}
	if _, err := s.Register(t.Context(), subject, schemas.RiskResultSchema); err != nil {
		t.Fatal(err)
	}
	if standing, err = s.Standing(t.Context(), subject, schemas.RiskResultSchema); err != nil || !standing.Holds() || set == "" {
		t.Errorf("after: %+v, %v", standing, err)
	}
}

func TestAnIncompatibleSchemaIsNamed(t *testing.T) {
	server := serve(t)
	if _, _, err := server.RegisterSchema(subject, sr.Schema{Schema: `"string"`}); err != nil {
		t.Fatal(err)
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/compatibility/"):
			_, _ = w.Write([]byte(`{"is_compatible":false,"messages":["field order_id has no default"]}`))
		case r.Method == http.MethodPost && r.URL.Path == "/subjects/"+subject+"/versions":
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"error_code":409,"message":"incompatible"}`))
		default:
			return false
		}
		return true
	})
	s := open(t, registry.Config{URL: server.URL()})
	standing, err := s.Standing(t.Context(), subject, schemas.RiskResultSchema)
	if err != nil || standing.Compatible || standing.Holds() || standing.Reason != "field order_id has no default" {
		t.Errorf("standing: %+v, %v", standing, err)
	}
	if _, err := s.Register(t.Context(), subject, schemas.RiskResultSchema); !errors.Is(err, registry.ErrIncompatible) {
		t.Errorf("register: %v", err)
	}
}

func TestWithoutASchemaRegistryNothingStands(t *testing.T) {
	var none *registry.Source
	if _, err := none.Standing(t.Context(), subject, `"int"`); err == nil {
		t.Error("no error")
	}
}
