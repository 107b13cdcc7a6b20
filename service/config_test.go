package service_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"github.com/trendbuy/riskscorer/service"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const configurationPage = "../docs/configuration.md"

// TestConfigurationPage: the documented settings are those of the code, each explained.
func TestConfigurationPage(t *testing.T) {
	config, err := service.Load(t.Context(), envconfig.MapLookuper(nil))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString("# Configuration\n\nAll settings are environment variables. A value that does not parse, or settings that contradict each other, stop the start\n" +
		"with an error that names the variable and exit code 2. `riskscorer config` prints the effective settings, secrets hidden.\n\n" +
		"This page is generated: `go test ./service -run TestConfigurationPage -update`.\n\n| variable | default | what it is |\n| --- | --- | --- |\n")
	for _, s := range config.Settings() {
		if s.Help == "" {
			t.Errorf("%s has no help", s.Name)
		}
		fallback := ""
		if s.Default != "" {
			fallback = "`" + s.Default + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", s.Name, fallback, s.Help)
	}
	if *update {
		if err := os.WriteFile(configurationPage, []byte(page.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != page.String() {
		t.Errorf("%s is not current: run the command that it names", configurationPage)
	}
}

func TestResultsFormatFollowsTheSchemaSource(t *testing.T) {
	for _, tt := range []struct {
		settings map[string]string
		want     string
	}{
		{nil, "json"},
		{map[string]string{"SCHEMA_PINS": "pins.json"}, "avro"},
		{map[string]string{"SCHEMA_REGISTRY_URL": "http://127.0.0.1:8081"}, "avro"},
		{map[string]string{"SCHEMA_REGISTRY_URL": "http://127.0.0.1:8081", "RESULTS_FORMAT": "json"}, "json"},
		{map[string]string{"ROLE": "serve", "RESULTS_FORMAT": "avro"}, "avro"},
	} {
		config, err := service.Load(t.Context(), envconfig.MapLookuper(tt.settings))
		if err != nil || config.ResultsFormat != tt.want {
			t.Errorf("%v: format %q, %v; want %q", tt.settings, config.ResultsFormat, err, tt.want)
		}
	}
}

// TestEveryFaultOfTheSettingsIsNamed: not only the first.
func TestEveryFaultOfTheSettingsIsNamed(t *testing.T) {
	_, err := service.Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"ROLE": "reader", "SCORING_ENGINE": "abacus", "KAFKA_TLS_CA_FILE": "ca.pem", "OFFSET_RESET": "middle",
		"MODEL_MEMORY_LIMIT": "1000",
	}))
	if !errors.Is(err, service.ErrConfig) {
		t.Fatalf("error is %v", err)
	}
	for _, name := range []string{"ROLE", "SCORING_ENGINE", "KAFKA_TLS_CA_FILE", "OFFSET_RESET", "MODEL_MEMORY_LIMIT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}
