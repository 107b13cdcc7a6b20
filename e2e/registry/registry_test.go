//go:build e2e

package registry_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/e2e/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRegistryRegisters(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the first run downloads
	defer cancel()
	server, err := registry.Start(ctx, filepath.Join(t.ArtifactDir(), "registry.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	client, err := sr.NewClient(sr.URLs(server.URL()), sr.HTTPClient(&http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second,
	}))
	if err != nil {
		t.Fatal(err)
	}

	schema := sr.Schema{Schema: `{"type": "record", "name": "A", "fields": [{"name": "x", "type": "double"}]}`}
	first, err := client.CreateSchema(ctx, "a-value", schema)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := client.CreateSchema(ctx, "a-value", schema); err != nil || again.ID != first.ID {
		t.Errorf("the same schema again: id %d, error %v; want id %d", again.ID, err, first.ID)
	}
	if got, err := client.SchemaByID(ctx, first.ID); err != nil || got.Schema != schema.Schema {
		t.Errorf("schema %d is %q, error %v", first.ID, got.Schema, err)
	}
	var refused *sr.ResponseError
	if _, err := client.SchemaByID(ctx, first.ID+1000); !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound {
		t.Errorf("unknown id: error %v, want status 404", err)
	}
}
