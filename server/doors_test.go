package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/server"
)

// metric returns the sum of a metric's series whose labels hold each given text.
func (r *running) metric(tb testing.TB, name string, labels ...string) float64 {
	tb.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			for _, want := range labels {
				found := false
				for _, pair := range m.GetLabel() {
					found = found || pair.GetName()+"="+pair.GetValue() == want
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestHealth(t *testing.T) {
	states := map[string]struct {
		readiness            readiness
		ready, stream        int
		readyWhy, streamsWhy string
	}{
		"all well":        {readiness{}, 200, 200, `"reasons":[]`, `"reasons":[]`},
		"waiting":         {readiness{stream: []string{"waiting for the broker", "not joined"}}, 200, 503, `"status":"ok"`, `["waiting for the broker","not joined"]`},
		"model not there": {readiness{model: []string{"opening the bundle"}}, 503, 200, `["opening the bundle"]`, `"status":"ok"`},
	}
	for name, s := range states {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(_ *server.Config, p *server.Parts) { p.Readiness = s.readiness })
			for _, door := range []string{r.Scoring, r.Admin, r.Metrics} {
				for path, want := range map[string]struct {
					status int
					text   string
				}{
					"/health/live": {200, `"status":"ok"`}, "/health/ready": {s.ready, s.readyWhy}, "/health/ready/stream": {s.stream, s.streamsWhy},
				} {
					a := r.get(t, door, path)
					if a.status != want.status || !strings.Contains(a.body, want.text) {
						t.Errorf("%s: %d %s, want %d with %s", path, a.status, a.body, want.status, want.text)
					}
					if err := r.document.checkAnswer(http.MethodGet, path, a); err != nil {
						t.Errorf("%s against the OpenAPI document: %v", path, err)
					}
				}
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	r := start(t)
	r.decide(t, example)
	r.post(t, "/score", "{")
	r.post(t, "/score", discount("35"))
	r.post(t, "/score/batch", "["+example+","+discount("true")+"]")
	r.do(t, http.MethodGet, "/path/of/the/client?x", nil, http.NoBody)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"riskscorer_http_requests_total", []string{"route=/score", "code=200"}, 1},
		{"riskscorer_http_requests_total", []string{"route=/score", "code=400"}, 1},
		{"riskscorer_http_requests_total", []string{"route=/score", "code=422"}, 1},
		{"riskscorer_http_requests_total", []string{"route=/score/batch", "code=200"}, 1},
		{"riskscorer_http_requests_total", []string{"route=other", "code=404"}, 1},
		{"riskscorer_http_request_duration_seconds", []string{"route=/score"}, 3},
		{"riskscorer_http_decisions_total", []string{"band=HIGH", "model_version=trendbuy_xgb_v1.0.0"}, 2},
		{"riskscorer_http_rejected_orders_total", []string{"class=feature_range"}, 1},
		{"riskscorer_http_rejected_orders_total", []string{"class=feature_type"}, 1},
		{"riskscorer_http_rejected_orders_total", []string{"class=decode"}, 1},
		{"riskscorer_http_panics_total", nil, 0},
	} {
		// The last request is counted after its answer is out.
		for end := time.Now().Add(5 * time.Second); r.metric(t, c.name, c.labels...) != c.want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if got := r.metric(t, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	if problems, err := testutil.GatherAndLint(r.metrics); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	page := r.get(t, r.Metrics, "/metrics")
	if page.status != http.StatusOK || !strings.Contains(page.body, `riskscorer_http_requests_total{code="422",route="/score"} 1`) {
		t.Errorf("/metrics: %d\n%s", page.status, page.body)
	}
}

// TestSeriesAreBounded sends what differs in every way that a client can choose: the number of series stays.
func TestSeriesAreBounded(t *testing.T) {
	r := start(t)
	r.decide(t, example)
	r.do(t, http.MethodGet, "/x", nil, http.NoBody)
	series := func() int {
		n, err := testutil.GatherAndCount(r.metrics)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.do(t, "METHOD", "/x", nil, http.NoBody)
	r.get(t, r.Admin, "/debug/pprof/x")
	before := series()
	for i := range 200 {
		text := strings.Repeat("x", i+1)
		r.decide(t, id(`"`+text+`"`))
		r.do(t, "M"+text, "/x"+text+"?"+text, nil, http.NoBody)
		r.get(t, r.Admin, "/debug/pprof/"+text)
	}
	if after := series(); after != before {
		t.Errorf("%d series became %d", before, after)
	}
}

func TestAdminDoor(t *testing.T) {
	r := start(t)
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	a := r.get(t, r.Admin, "/bundle")
	got := decode[struct {
		Digest   string          `json:"model_digest"`
		Engine   string          `json:"engine"`
		Parity   bundle.Parity   `json:"parity"`
		Manifest json.RawMessage `json:"manifest"`
	}](t, a)
	if got.Digest != model.scorer.Digest().String() || got.Engine != model.scorer.EngineID() || got.Parity != model.parity || got.Parity.Rows == 0 {
		t.Errorf("bundle %+v", got)
	}
	if m, err := bundle.ParseManifest(got.Manifest); err != nil || m.Version != model.scorer.Manifest().Version {
		t.Errorf("manifest of version %q: %v", m.Version, err)
	}
	if a := r.get(t, r.Admin, "/version"); a.status != http.StatusOK || !strings.Contains(a.body, `"version":"test"`) {
		t.Errorf("/version: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1"} {
		if a := r.get(t, r.Admin, path); a.status != http.StatusOK {
			t.Errorf("%s: %d, want 200 on the admin door", path, a.status)
		}
		for name, door := range map[string]string{"scoring": r.Scoring, "metrics": r.Metrics} {
			if a := r.get(t, door, path); a.status != http.StatusNotFound {
				t.Errorf("%s: %d on the %s door, want 404", path, a.status, name)
			}
		}
	}
	for _, path := range []string{"/score", "/metrics"} {
		if a := r.get(t, r.Admin, path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d on the admin door, want 404", path, a.status)
		}
	}
}

// TestDocs loads the page and everything that it refers to.
func TestDocs(t *testing.T) {
	r := start(t)
	page := r.get(t, r.Scoring, "/docs/")
	if page.status != http.StatusOK || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", page.status, page.header)
	}
	policy := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self' 'sha256-", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy %q has no %s", policy, want)
		}
	}
	for _, part := range strings.Split(page.body, "<script>")[1:] {
		script, _, _ := strings.Cut(part, "</script>")
		sum := sha256.Sum256([]byte(script))
		if !strings.Contains(policy, " 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("Content-Security-Policy %q stops a script of the page", policy)
		}
	}
	base, err := url.Parse("http://" + r.Scoring + "/docs/")
	if err != nil {
		t.Fatal(err)
	}
	links := append(attributes(page.body, `href="`), attributes(page.body, `src="`)...)
	if len(links) < 5 {
		t.Fatalf("the page refers to %q only", links)
	}
	for _, link := range append(links, "../openapi.json") {
		target, err := base.Parse(link)
		if err != nil || target.Host != r.Scoring {
			t.Errorf("%s leads to %v, %v", link, target, err)
			continue
		}
		if a := r.send(t, http.MethodGet, target.String(), nil, http.NoBody); a.status != http.StatusOK || a.body == "" {
			t.Errorf("%s: %d with %d bytes", link, a.status, len(a.body))
		}
	}
	for path, want := range map[string]string{"/": "docs/", "/docs": "docs/"} {
		if a := r.get(t, r.Scoring, path); a.status != http.StatusTemporaryRedirect || a.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want a redirect to %q", path, a.status, a.header.Get("Location"), want)
		}
	}
}

// attributes returns the values that begin after each start, up to the quotation mark.
func attributes(page, start string) []string {
	var values []string
	for _, part := range strings.Split(page, start)[1:] {
		value, _, _ := strings.Cut(part, `"`)
		values = append(values, value)
	}
	return values
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/docs/", "/docs/swagger-ui.css", "/openapi.json", "/health/live", "/nowhere", "/score"} {
		a := r.send(t, http.MethodGet, "http://"+r.Scoring+path, http.Header{"Origin": {"https://elsewhere.example"}}, http.NoBody)
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v, want nosniff and no CORS", path, a.header)
		}
	}
}

// TestLogsHoldNoFeatureValue makes every refusal happen with values that are found again if they are logged.
func TestLogsHoldNoFeatureValue(t *testing.T) {
	r := start(t)
	const secret = "73331"
	for _, body := range []string{
		discount(secret), discount(secret + "e400"), discount(`"` + secret + `"`), with("mobile", secret), discount("0." + secret + "x"),
		with(`"order_id"`, `"occurred_at": "`+secret+`", "order_id"`), discount(`[` + secret + `]`),
	} {
		if a := r.post(t, "/score", body); a.status == http.StatusOK || strings.Contains(a.body, secret) {
			t.Errorf("%d %s: the answer repeats a value", a.status, a.body)
		}
	}
	text := r.logs.String()
	if got := strings.Count(text, "request refused"); got != 7 {
		t.Errorf("%d lines for 7 refusals:\n%s", got, text)
	}
	if strings.Contains(text, secret) {
		t.Errorf("the log holds a value:\n%s", text)
	}
}

func TestLogLinesAreBoundedAndEscaped(t *testing.T) {
	r := start(t)
	r.do(t, "M"+strings.Repeat("X", 4000), "/"+strings.Repeat("y", 4000)+"%0a%1b[31m", nil, http.NoBody)
	for line := range strings.Lines(r.logs.String()) {
		if len(line) > 1000 || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\n") {
			t.Errorf("log line of %d bytes: %q", len(line), line)
		}
	}
}

// breaking panics where the server asks for its model, once it is broken.
type breaking struct {
	serving
	broken atomic.Bool
}

func (b *breaking) Scorer() *scoring.Scorer {
	if b.broken.Load() {
		panic("0.35 of the order")
	}
	return b.serving.Scorer()
}

func TestPanicsAreAnsweredCountedAndLogged(t *testing.T) {
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	models := &breaking{serving: model}
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Models = models })
	models.broken.Store(true)
	a := r.post(t, "/score", example)
	if a.status != http.StatusInternalServerError {
		t.Errorf("%d %s, want 500", a.status, a.body)
	}
	if got := r.metric(t, "riskscorer_http_panics_total"); got != 1 {
		t.Errorf("%v panics are counted, want 1", got)
	}
	if text := r.logs.String(); !strings.Contains(text, "handler panicked") || strings.Contains(text, "0.35") {
		t.Errorf("log:\n%s\nwant the panic without its text, which may hold a value", text)
	}
	models.broken.Store(false)
	if a := r.post(t, "/score", example); a.status != http.StatusOK {
		t.Errorf("afterwards: %d, want 200", a.status)
	}
}

// TestProblemTypesAreDocumented finds every problem type of the document under its heading.
func TestProblemTypesAreDocumented(t *testing.T) {
	r := start(t)
	page, err := os.ReadFile("../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, part := range strings.Split(string(r.document.text), "docs/problems.md#")[1:] {
		name, _, _ := strings.Cut(part, `"`)
		types[name] = true
	}
	if len(types) < 10 {
		t.Fatalf("the document shows the problem types %v only", types)
	}
	for name := range types {
		if !strings.Contains(string(page), "\n## "+name+"\n") {
			t.Errorf("docs/problems.md has no heading %q", name)
		}
	}
}
