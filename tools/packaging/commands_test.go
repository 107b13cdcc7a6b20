package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds the programs that the image holds.
func build(t *testing.T) (riskscorer, riskctl string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/riskscorer", "./cmd/riskctl")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "riskscorer"), filepath.Join(dir, "riskctl")
}

// The settings that compose file and chart hand over are settings of the service, by name and by value: a misspelt
// name would silently leave the default in force.
func TestEnvironmentIsUnderstood(t *testing.T) {
	riskscorer, _ := build(t)
	environments := map[string]map[string]string{"compose": {}}
	for name, value := range project(t).Services["riskscorer"].Environment {
		environments["compose"][name] = *value
	}
	for name, values := range map[string]string{
		"chart": "model: {version: trendbuy_xgb_v1.0.0}",
		"chart, secure Kafka": `kafka:
  tls: {enabled: true, secret: kafka-ca, clientCertificate: true}
  sasl: {mechanism: SCRAM-SHA-512, secret: kafka-user}`,
		"chart, stream":              "role: stream",
		"chart, tokens":              "http: {tls: {secret: door}, auth: bearer, tokensSecret: callers}",
		"chart, client certificates": `http: {tls: {secret: door}, auth: mtls, clientNames: ["spiffe://cluster.local/ns/checkout/*", orders.shop]}`,
		"chart, serve":               "{role: serve, env: {LOG_LEVEL: debug}}",
	} {
		environments[name] = map[string]string{}
		for _, v := range env(t, mustRender(t, values)) {
			if v.ValueFrom != nil {
				v.Value = "from-a-secret"
			}
			environments[name][v.Name] = v.Value
		}
	}
	for name, environment := range environments {
		t.Run(name, func(t *testing.T) {
			effective := settings(t, riskscorer, environment)
			for key, want := range environment {
				got, known := effective[key]
				switch {
				case !known:
					t.Errorf("%s is no setting of the service", key)
				case !strings.EqualFold(got, want) && want != "from-a-secret":
					t.Errorf("%s=%s is understood as %q", key, want, got)
				}
			}
		})
	}
}

// settings returns what `riskscorer config` says of an environment.
func settings(t *testing.T, riskscorer string, environment map[string]string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), riskscorer, "config", "--json")
	cmd.Stderr = os.Stderr
	cmd.Env = []string{} // not this process's own
	for name, value := range environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("riskscorer config: %v", err)
	}
	var list []struct{ Name, Value string }
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	effective := map[string]string{}
	for _, setting := range list {
		effective[setting.Name] = setting.Value
	}
	return effective
}

// riskctl takes the arguments that the compose file gives it: with --help it parses them and does nothing.
func TestComposeCommands(t *testing.T) {
	_, riskctl := build(t)
	for _, name := range []string{"topics", "generator"} {
		entrypoint := project(t).Services[name].Entrypoint
		if entrypoint[0] != "/riskctl" {
			t.Fatalf("%s runs %s", name, entrypoint[0])
		}
		cmd := exec.CommandContext(t.Context(), riskctl, append(entrypoint[1:], "--help")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %v\n%s", name, entrypoint, err, out)
		}
	}
}
