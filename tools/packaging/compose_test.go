package packaging

import (
	"path"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads the compose file as `docker compose config` does; an unknown key is an error.
func project(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{path.Join(root, "docker-compose.yml")})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeServices(t *testing.T) {
	project := project(t)
	want := []string{"generator", "kafka", "riskscorer", "schema-registry", "topics"}
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Fatalf("services %v, want %v", got, want)
	}
	for name, service := range project.Services {
		switch {
		case service.Build != nil:
			if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") {
				t.Errorf("%s: writable root or capabilities", name)
			}
		case !pinned.MatchString(service.Image):
			t.Errorf("%s: image %q has no tag and digest", name, service.Image)
		}
		if service.Deploy == nil || service.Deploy.Resources.Limits == nil ||
			service.Deploy.Resources.Limits.MemoryBytes == 0 || service.Deploy.Resources.Limits.NanoCPUs == 0 {
			t.Errorf("%s: no limits", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published beyond this machine", name, port.Published)
			}
		}
	}
}

// Each service starts only when what it needs is there, not merely started.
func TestComposeOrder(t *testing.T) {
	project := project(t)
	for _, edge := range []struct{ from, to, condition string }{
		{"schema-registry", "kafka", types.ServiceConditionHealthy},
		{"topics", "kafka", types.ServiceConditionHealthy},
		{"topics", "schema-registry", types.ServiceConditionHealthy},
		{"riskscorer", "topics", types.ServiceConditionCompletedSuccessfully},
		{"generator", "topics", types.ServiceConditionCompletedSuccessfully},
		{"generator", "riskscorer", types.ServiceConditionHealthy},
	} {
		if got := project.Services[edge.from].DependsOn[edge.to].Condition; got != edge.condition {
			t.Errorf("%s waits for %s to be %q, want %q", edge.from, edge.to, got, edge.condition)
		}
	}
	// The service's own check is the image's; what others wait for must have one.
	for _, name := range []string{"kafka", "schema-registry"} {
		if check := project.Services[name].HealthCheck; check == nil || len(check.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
	}
	if check := project.Services["riskscorer"].HealthCheck; check != nil && check.Disable {
		t.Error("riskscorer's health check is disabled")
	}
}

func TestComposeServiceDrains(t *testing.T) {
	const drain = 8 * time.Second // DRAIN_TIMEOUT's default
	grace := project(t).Services["riskscorer"].StopGracePeriod
	if grace == nil || time.Duration(*grace) <= drain {
		t.Errorf("stop_grace_period %v is not longer than the drain", grace)
	}
}

// The service's bundle can be replaced without a new image.
func TestComposeModelVolume(t *testing.T) {
	service := project(t).Services["riskscorer"]
	at := slices.IndexFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/models" })
	if at < 0 || !service.Volumes[at].ReadOnly {
		t.Fatal("no read-only volume on /models")
	}
	if got := service.Environment["MODEL_PATH"]; got == nil || !regexp.MustCompile(`^/models/`).MatchString(*got) {
		t.Errorf("MODEL_PATH is not under /models")
	}
}
