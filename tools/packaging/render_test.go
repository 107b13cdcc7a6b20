package packaging

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var chartDir = path.Join(root, "charts/riskscorer")

// objects are the decoded manifests of one rendering.
type objects struct {
	deployment     *appsv1.Deployment
	service        *corev1.Service
	serviceAccount *corev1.ServiceAccount
	autoscaler     *autoscalingv2.HorizontalPodAutoscaler
	notes          string
}

// render renders the chart with values given as YAML and decodes each manifest strictly: a key that Kubernetes does
// not know, or one given twice, is an error.
func render(ctx context.Context, values string) (objects, error) {
	var out objects
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		return out, err
	}
	overrides, err := loader.LoadValues(strings.NewReader(values))
	if err != nil {
		return out, err
	}
	release := common.ReleaseOptions{Name: "prod", Namespace: "checkout", Revision: 1, IsInstall: true}
	top, err := util.ToRenderValues(chart, overrides, release, common.DefaultCapabilities)
	if err != nil {
		return out, err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(ctx, chart, top)
	if err != nil {
		return out, err
	}
	for name, text := range files {
		if err := out.decode(path.Base(name), text); err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
}

func (o *objects) decode(name, text string) error {
	if name == "NOTES.txt" {
		o.notes = text
		return nil
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	into := map[string]struct {
		kind string
		to   any
	}{
		"deployment.yaml":     {"Deployment", &o.deployment},
		"service.yaml":        {"Service", &o.service},
		"serviceaccount.yaml": {"ServiceAccount", &o.serviceAccount},
		"hpa.yaml":            {"HorizontalPodAutoscaler", &o.autoscaler},
	}[name]
	if into.to == nil {
		return errors.New("no test decodes this template")
	}
	var head struct{ Kind string }
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return err
	}
	if head.Kind != into.kind {
		return fmt.Errorf("kind %q, want %q", head.Kind, into.kind)
	}
	return yaml.UnmarshalStrict([]byte(text), into.to)
}

func mustRender(t *testing.T, values string) objects {
	t.Helper()
	out, err := render(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// env returns the container's environment by name and fails on a name given twice.
func env(t *testing.T, o objects) map[string]corev1.EnvVar {
	t.Helper()
	vars := map[string]corev1.EnvVar{}
	for _, v := range o.deployment.Spec.Template.Spec.Containers[0].Env {
		if _, twice := vars[v.Name]; twice {
			t.Errorf("%s is set twice", v.Name)
		}
		vars[v.Name] = v
	}
	return vars
}
