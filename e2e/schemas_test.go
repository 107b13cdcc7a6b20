//go:build e2e

package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	server "github.com/trendbuy/riskscorer/e2e/registry"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
)

// released is where each release's schemas are kept, as name.v1.avsc and so on: a release that changes one adds it there.
const released = "schemas/testdata/released"

// TestSchemasReadWhatReleasesWrote has a real schema registry hold our schemas against those of all releases, and refuse changes
// by which events and results of before could no longer be read.
func TestSchemasReadWhatReleasesWrote(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	held, err := server.Start(ctx, filepath.Join(t.ArtifactDir(), "registry.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Kill)
	client, err := sr.NewClient(sr.URLs(held.URL()), sr.HTTPClient(&http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second,
	}))
	if err != nil {
		t.Fatal(err)
	}
	source, err := registry.New(registry.Config{URL: held.URL(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)

	const field = `"fields": [`
	for _, c := range []struct {
		name, subject, ours string
		changes             map[string][2]string
	}{
		{"order_features", topics.Orders + "-value", schemas.OrderFeaturesSchema, map[string][2]string{
			"a field without a default": {field, field + `{"name": "shop", "type": "string"},`},
			"another type":              {`["null", "double"]`, `["null", "string"]`},
			"another name":              {`"OrderFeatures"`, `"OrderEvent"`},
		}},
		{"risk_result", topics.Results + "-value", schemas.RiskResultSchema, map[string][2]string{
			"a field without a default": {field, field + `{"name": "shop", "type": "string"},`},
			"a band less":               {`"LOW", "MEDIUM", "HIGH"`, `"LOW", "HIGH"`},
			"another type":              {`"type": "double"`, `"type": "float"`},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			registerReleases(ctx, t, client, c.subject, c.name, c.ours)
			if _, err := source.Register(ctx, c.subject, c.ours); err != nil {
				t.Fatalf("our own schema: %v", err)
			}
			if standing, err := source.Standing(ctx, c.subject, c.ours); err != nil || !standing.Holds() {
				t.Errorf("our own schema: %+v, %v", standing, err)
			}
			for what, change := range c.changes {
				changed := strings.Replace(c.ours, change[0], change[1], 1)
				if changed == c.ours {
					t.Fatalf("%s: nothing changed", what)
				}
				if _, err := source.Register(ctx, c.subject, changed); !errors.Is(err, registry.ErrIncompatible) {
					t.Errorf("%s: %v, want it refused", what, err)
				}
			}
			grown := strings.Replace(c.ours, field, field+`{"name": "shop", "type": ["null", "string"], "default": null},`, 1)
			if _, err := source.Register(ctx, c.subject, grown); err != nil {
				t.Errorf("a field with a default: %v", err)
			}
		})
	}
}

// registerReleases registers the released schemas, oldest first, each of which ours must be able to read.
func registerReleases(ctx context.Context, t *testing.T, client *sr.Client, subject, name, ours string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, released, name+".v*.avsc"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d releases of %s: %v", len(files), name, err)
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // v2 before v10
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.RegisterSchema(ctx, subject, sr.Schema{Schema: string(text)}, 0, 0); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if i == 0 {
			if err := client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackwardTransitive}, subject)[0].Err; err != nil {
				t.Fatal(err)
			}
		}
		if got, err := client.CheckCompatibility(ctx, subject, -1, sr.Schema{Schema: ours}); err != nil || !got.Is {
			t.Errorf("ours does not read %s: %+v, %v", file, got, err)
		}
	}
}
