package packaging

import (
	"os"
	"path"
	"regexp"
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// root is the repository.
const root = "../.."

// pinned is an image reference with a release tag and a digest.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9][a-z0-9.-]*@sha256:[0-9a-f]{64}$`)

// stages parses the Dockerfile and fails on every warning of BuildKit's linter.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	file, err := os.Open(path.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", warning.Short)
	}
	lint := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, location []parser.Range) {
			t.Errorf("Dockerfile:%d: %s (%s)", location[0].Start.Line, message, rule)
		},
	})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages, want a build stage and the image", len(stages))
	}
	return stages
}

func TestDockerfileBasesArePinned(t *testing.T) {
	for _, stage := range stages(t) {
		if !pinned.MatchString(stage.BaseName) {
			t.Errorf("base image %q has no tag and digest", stage.BaseName)
		}
	}
}

func TestImage(t *testing.T) {
	var (
		user, modelPath     string
		ports, health, main []string
		copied              []string
	)
	for _, command := range stages(t)[1].Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.ExposeCommand:
			ports = c.Ports
		case *instructions.HealthCheckCommand:
			health = c.Health.Test
		case *instructions.EntrypointCommand:
			main = c.CmdLine
		case *instructions.CopyCommand:
			copied = append(copied, c.SourcePaths...)
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				if pair.Key == "MODEL_PATH" {
					modelPath = pair.Value
				}
			}
		case *instructions.RunCommand:
			t.Error("RUN in the final stage: the base has no shell")
		}
	}
	if user != "65532:65532" {
		t.Errorf("USER %q, want the numeric non-root user, which runAsNonRoot can check", user)
	}
	if want := []string{"8000", "9090"}; !slices.Equal(ports, want) {
		t.Errorf("EXPOSE %v, want %v", ports, want)
	}
	if want := []string{"CMD", "/riskscorer", "healthcheck"}; !slices.Equal(health, want) {
		t.Errorf("HEALTHCHECK %v, want %v", health, want)
	}
	if want := []string{"/riskscorer"}; !slices.Equal(main, want) {
		t.Errorf("ENTRYPOINT %v, want %v", main, want)
	}
	for _, want := range []string{"/out/riskscorer", "/out/riskctl", "models/"} {
		if !slices.Contains(copied, want) {
			t.Errorf("%s is not copied into the image", want)
		}
	}
	if modelPath == "" {
		t.Fatal("MODEL_PATH is not set")
	}
	if _, err := os.Stat(path.Join(root, modelPath, "manifest.json")); err != nil {
		t.Errorf("MODEL_PATH %s is no bundle: %v", modelPath, err)
	}
}
