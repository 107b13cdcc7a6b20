package packaging

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	corev1 "k8s.io/api/core/v1"
)

func TestChartLint(t *testing.T) {
	for _, message := range lint.RunAll(chartDir, nil, "checkout").Messages {
		// A missing icon is Helm's only remark of severity "info".
		if message.Severity > support.InfoSev {
			t.Error(message)
		}
	}
}

func TestChartDefaults(t *testing.T) {
	o := mustRender(t, "")
	d := o.deployment
	if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 {
		t.Errorf("replicas %v, want 2", d.Spec.Replicas)
	}
	if got := d.Spec.Strategy.RollingUpdate.MaxUnavailable.String(); got != "0" {
		t.Errorf("maxUnavailable %s: a rollout must not take capacity away", got)
	}
	container := d.Spec.Template.Spec.Containers[0]
	for what, pair := range map[string][2]string{
		"cpu request":    {container.Resources.Requests.Cpu().String(), "250m"},
		"memory request": {container.Resources.Requests.Memory().String(), "512Mi"},
		"cpu limit":      {container.Resources.Limits.Cpu().String(), "1"},
		"memory limit":   {container.Resources.Limits.Memory().String(), "1Gi"},
		"ROLE":           {env(t, o)["ROLE"].Value, "both"},
		"liveness":       {container.LivenessProbe.HTTPGet.Path, "/health/live"},
		"readiness":      {container.ReadinessProbe.HTTPGet.Path, "/health/ready"},
		"service type":   {string(o.service.Spec.Type), "ClusterIP"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if port := o.service.Spec.Ports[0]; port.Port != 80 || port.TargetPort.String() != "http" {
		t.Errorf("service port %d to %s, want 80 to http", port.Port, port.TargetPort.String())
	}
	if at := slices.IndexFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == "http" }); at < 0 ||
		container.Ports[at].ContainerPort != 8000 {
		t.Errorf("ports %v, want http 8000", container.Ports)
	}
	if o.autoscaler != nil {
		t.Error("an autoscaler by default")
	}
}

// The selectors are what a Service and a Deployment find their pods by.
func TestChartSelectors(t *testing.T) {
	o := mustRender(t, "podLabels: {team: risk}")
	pod := o.deployment.Spec.Template.Labels
	for name, selector := range map[string]map[string]string{
		"deployment": o.deployment.Spec.Selector.MatchLabels,
		"service":    o.service.Spec.Selector,
		"spread":     o.deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if len(selector) == 0 {
			t.Errorf("%s selects everything", name)
		}
		for key, value := range selector {
			if pod[key] != value {
				t.Errorf("%s selects %s=%s, the pod has %q", name, key, value, pod[key])
			}
		}
	}
	if pod["team"] != "risk" {
		t.Error("podLabels are lost")
	}
}

// The pod meets the restricted Pod Security Standard and holds no token.
func TestChartPodSecurity(t *testing.T) {
	o := mustRender(t, "")
	pod := o.deployment.Spec.Template.Spec
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken ||
		o.serviceAccount.AutomountServiceAccountToken == nil || *o.serviceAccount.AutomountServiceAccountToken {
		t.Error("a service account token is mounted")
	}
	if pod.ServiceAccountName != o.serviceAccount.Name {
		t.Errorf("service account %q, want %q", pod.ServiceAccountName, o.serviceAccount.Name)
	}
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil ||
		*s.RunAsUser != 65532 || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod security context %+v", s)
	}
	s := pod.Containers[0].SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil ||
		*s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("container security context %+v", s)
	}
}

func TestChartServiceNameIsSettable(t *testing.T) {
	o := mustRender(t, "service: {name: trendbuy-scoring}")
	if o.service.Name != "trendbuy-scoring" {
		t.Errorf("service %q", o.service.Name)
	}
	if !strings.Contains(o.notes, "http://trendbuy-scoring.checkout/score") {
		t.Errorf("the notes name another address:\n%s", o.notes)
	}
}

// A Service of an existing name must not make the chart take over foreign pods or a second one of its own.
func TestChartNamesFollowTheRelease(t *testing.T) {
	o := mustRender(t, "")
	for kind, name := range map[string]string{
		"deployment": o.deployment.Name, "service": o.service.Name, "service account": o.serviceAccount.Name,
	} {
		if name != "prod-riskscorer" {
			t.Errorf("%s is named %q", kind, name)
		}
	}
}

func TestChartAutoscaling(t *testing.T) {
	o := mustRender(t, "autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 9}")
	if o.autoscaler == nil {
		t.Fatal("no autoscaler")
	}
	if o.deployment.Spec.Replicas != nil {
		t.Error("replicas are set beside an autoscaler: each upgrade would undo its scaling")
	}
	if s := o.autoscaler.Spec; s.ScaleTargetRef.Name != o.deployment.Name || *s.MinReplicas != 3 || s.MaxReplicas != 9 {
		t.Errorf("autoscaler %+v", s)
	}
}

func TestChartRoles(t *testing.T) {
	stream := mustRender(t, "role: stream")
	if stream.service != nil {
		t.Error("role stream opens no HTTP door, and has a Service")
	}
	if got := stream.deployment.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Port.String(); got != "metrics" {
		t.Errorf("role stream is probed on %s", got)
	}
	serve := mustRender(t, "{role: serve, kafka: {brokers: []}}")
	for name := range env(t, serve) {
		if strings.HasPrefix(name, "KAFKA_") {
			t.Errorf("role serve gets %s", name)
		}
	}
}

// The grace period covers the drain, whatever the drain is set to.
func TestChartGracePeriod(t *testing.T) {
	for _, drain := range []int64{1, 8, 100} {
		o := mustRender(t, fmt.Sprintf("{drainTimeoutSeconds: %d, kafka: {sessionTimeoutSeconds: 200}}", drain))
		if got := *o.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds; got < drain+5 {
			t.Errorf("drain %d s, grace period %d s", drain, got)
		}
		if got, want := env(t, o)["DRAIN_TIMEOUT"].Value, fmt.Sprintf("%ds", drain); got != want {
			t.Errorf("DRAIN_TIMEOUT %q, want %q", got, want)
		}
	}
}

func TestChartKafkaSecrets(t *testing.T) {
	o := mustRender(t, `kafka:
  tls: {enabled: true, secret: kafka-ca, clientCertificate: true}
  sasl: {mechanism: SCRAM-SHA-512, secret: kafka-user}`)
	vars := env(t, o)
	for name, key := range map[string]string{"KAFKA_SASL_USERNAME": "username", "KAFKA_SASL_PASSWORD": "password"} {
		from := vars[name].ValueFrom
		if from == nil || from.SecretKeyRef == nil || from.SecretKeyRef.Name != "kafka-user" || from.SecretKeyRef.Key != key {
			t.Errorf("%s is not read from the Secret: %+v", name, vars[name])
		}
	}
	mounts := o.deployment.Spec.Template.Spec.Containers[0].VolumeMounts
	if len(mounts) != 1 || !strings.HasPrefix(vars["KAFKA_TLS_CA_FILE"].Value, mounts[0].MountPath+"/") {
		t.Errorf("KAFKA_TLS_CA_FILE %q is not on a mount of %v", vars["KAFKA_TLS_CA_FILE"].Value, mounts)
	}
	if got := o.deployment.Spec.Template.Spec.Volumes[0].Secret; got == nil || got.SecretName != "kafka-ca" {
		t.Errorf("volume %+v", o.deployment.Spec.Template.Spec.Volumes[0])
	}
}

// The door's files are mounted as whole directories, which follow a Secret that changes, and probes speak what it speaks.
func TestChartSecuresTheDoor(t *testing.T) {
	for values, want := range map[string]map[string]string{
		"": {"HTTP_AUTH": "none"},
		"http: {tls: {secret: door}}": {
			"HTTP_AUTH": "none", "HTTP_TLS_CERT_FILE": "door/tls.crt", "HTTP_TLS_KEY_FILE": "door/tls.key",
		},
		"http: {auth: bearer, tokensSecret: callers}": {"HTTP_AUTH": "bearer", "HTTP_TOKENS_FILE": "callers/tokens"},
		"http: {tls: {secret: door}, auth: mtls, clientNames: [a, b]}": {
			"HTTP_AUTH": "mtls", "HTTP_TLS_CERT_FILE": "door/tls.crt", "HTTP_TLS_KEY_FILE": "door/tls.key",
			"HTTP_TLS_CLIENT_CA_FILE": "door/ca.crt", "HTTP_CLIENT_NAMES": "a,b",
		},
		"{role: stream, http: {tls: {secret: door}, auth: bearer}}": {},
	} {
		o := mustRender(t, values)
		pod := o.deployment.Spec.Template.Spec
		got := map[string]string{}
		for name, v := range env(t, o) {
			if !strings.HasPrefix(name, "HTTP_") || name == "HTTP_ADDR" {
				continue
			}
			got[name] = v.Value
			for i, m := range pod.Containers[0].VolumeMounts {
				if file, on := strings.CutPrefix(v.Value, m.MountPath+"/"); on && m.ReadOnly && m.SubPath == "" && pod.Volumes[i].Name == m.Name {
					got[name] = pod.Volumes[i].Secret.SecretName + "/" + file
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%q: %v, want %v", values, got, want)
		}
		scheme := corev1.URISchemeHTTP
		if want["HTTP_TLS_CERT_FILE"] != "" {
			scheme = corev1.URISchemeHTTPS
		}
		c := pod.Containers[0]
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe.HTTPGet.Scheme != scheme {
				t.Errorf("%q: probed by %s, want %s", values, probe.HTTPGet.Scheme, scheme)
			}
		}
	}
}

func TestChartModelVolume(t *testing.T) {
	o := mustRender(t, "model: {path: /models/v2, volume: {persistentVolumeClaim: {claimName: models, readOnly: true}}}")
	pod := o.deployment.Spec.Template.Spec
	if len(pod.Volumes) != 1 || pod.Volumes[0].PersistentVolumeClaim == nil {
		t.Fatalf("volumes %+v", pod.Volumes)
	}
	if m := pod.Containers[0].VolumeMounts[0]; m.Name != pod.Volumes[0].Name || m.MountPath != "/models" || !m.ReadOnly {
		t.Errorf("mount %+v", m)
	}
	if got := env(t, o)["MODEL_PATH"].Value; got != "/models/v2" {
		t.Errorf("MODEL_PATH %q", got)
	}
}

// A name given twice is an error of server-side apply, so an own setting replaces the chart's.
func TestChartEnvOverrides(t *testing.T) {
	o := mustRender(t, `{env: {LOG_LEVEL: debug, ORDERS_TOPIC: other, KAFKA_SASL_PASSWORD: x},
		kafka: {sasl: {mechanism: PLAIN, secret: user}}}`)
	vars := env(t, o)
	if vars["LOG_LEVEL"].Value != "debug" || vars["ORDERS_TOPIC"].Value != "other" {
		t.Errorf("env %v", slices.Sorted(maps.Keys(vars)))
	}
}

func TestChartImage(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0f", 32)
	for values, want := range map[string]string{
		"": "ghcr.io/trendbuy/riskscorer:1.0.0",
		"image: {repository: r.example/risk, tag: v2}":                         "r.example/risk:v2",
		"image: {repository: r.example/risk, tag: v2, digest: " + digest + "}": "r.example/risk@" + digest,
	} {
		if got := mustRender(t, values).deployment.Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("values %q: image %q, want %q", values, got, want)
		}
	}
}

// What is wrong in the values is refused before anything reaches a cluster.
func TestChartRefuses(t *testing.T) {
	for name, c := range map[string]struct{ values, says string }{
		"unknown key":         {"replicas: 3", "replicas"},
		"unknown nested key":  {"kafka: {broker: [a:9092]}", "broker"},
		"unknown role":        {"role: worker", "role"},
		"number as env":       {"env: {SCORE_DEADLINE: 3}", "SCORE_DEADLINE"},
		"env name":            {"env: {log-level: debug}", "log-level"},
		"broker without port": {"kafka: {brokers: [kafka]}", "brokers"},
		"no brokers":          {"kafka: {brokers: []}", "kafka.brokers is empty"},
		"short digest":        {"image: {digest: sha256:00}", "digest"},
		"sasl without secret": {"kafka: {sasl: {mechanism: PLAIN}}", "kafka.sasl.secret is empty"},
		"unknown way to ask":  {"http: {auth: basic}", "auth"},
		"bearer, no tokens":   {"http: {auth: bearer}", "http.tokensSecret is empty"},
		"mtls, no TLS":        {"http: {auth: mtls, clientNames: [a]}", "needs http.tls.secret"},
		"mtls for nobody":     {"http: {auth: mtls, tls: {secret: door}}", "needs http.tls.secret and http.clientNames"},
		"drain over session":  {"drainTimeoutSeconds: 10", "must be under kafka.sessionTimeoutSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(t.Context(), c.values)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error does not name %q: %v", c.says, err)
			}
		})
	}
}
