package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/service"
)

const demo = "../models/trendbuy_xgb_v1.0.0"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a service with the settings until the test ends, and fails the test if it does not end cleanly.
func start(t *testing.T, settings map[string]string) *service.Service {
	t.Helper()
	return startTo(t, t.Output(), settings)
}

func startTo(t *testing.T, log io.Writer, settings map[string]string) *service.Service {
	t.Helper()
	env := map[string]string{
		"MODEL_PATH": demo, "HTTP_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "METRICS_ADDR": "127.0.0.1:0",
		"KAFKA_SESSION_TIMEOUT": "6s", "DRAIN_TIMEOUT": "3s", "FETCH_MAX_WAIT": "50ms",
	}
	maps.Copy(env, settings)
	config, err := service.Load(t.Context(), envconfig.MapLookuper(env))
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.New(t.Context(), config, "test", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// call returns the status and body of a request.
func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come to hold", what)
		}
	}
}

// TestBothDoorsGiveTheSameDecision is promise 1: the result of the stream and the answer over HTTP agree.
func TestBothDoorsGiveTheSameDecision(t *testing.T) {
	for _, engine := range []string{service.EngineForest, service.EngineLeaves} {
		t.Run(engine, func(t *testing.T) { bothDoorsGiveTheSameDecision(t, engine) })
	}
}

func bothDoorsGiveTheSameDecision(t *testing.T, engine string) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "order-features", "risk-results", "order-features-dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	brokers := cluster.ListenAddrs()
	s := start(t, map[string]string{"KAFKA_BROKERS": strings.Join(brokers, ","), "SCORING_ENGINE": engine})
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("risk-results"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)

	orders := ordergen.New(ordergen.Config{Seed: 3})
	events := map[string]string{}
	for range 100 {
		o := orders.Next()
		events[o.ID] = string(o.AppendJSON(nil))
		r := &kgo.Record{Topic: "order-features", Key: []byte(o.ID), Value: []byte(events[o.ID])}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	type decision struct {
		OrderID      string   `json:"order_id"`
		RiskScore    float64  `json:"risk_score"`
		RiskBand     string   `json:"risk_band"`
		Contributors []string `json:"top_contributors"`
		PredictionID string   `json:"prediction_id"`
		Explanation  string   `json:"explanation"`
		Engine       string   `json:"engine"`
	}
	for seen := 0; seen < len(events); {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			seen++
			status, answer := call(t, http.MethodPost, "http://"+s.Addrs().Scoring+"/score?explain=full", events[string(r.Key)])
			var streamed, answered decision
			if err := errors.Join(json.Unmarshal(r.Value, &streamed), json.Unmarshal([]byte(answer), &answered)); err != nil || status != http.StatusOK {
				t.Fatal(status, answer, err)
			}
			if fmt.Sprint(streamed) != fmt.Sprint(answered) {
				t.Errorf("the stream says %+v, /score %+v", streamed, answered)
			}
			if !strings.HasPrefix(streamed.Engine, engine+"/") {
				t.Errorf("engine %s decided as %q", engine, streamed.Engine)
			}
		}
	}
	eventually(t, "stream readiness", func() bool { ready, _ := s.StreamReady(); return ready })
	if status, body := call(t, http.MethodGet, "http://"+s.Addrs().Metrics+"/health/ready/stream", ""); status != http.StatusOK {
		t.Errorf("ready/stream is %d %s", status, body)
	}
}

// TestWithoutABrokerScoringGoesOn: alive, ready for /score, not ready for the stream, and it says what it waits for.
func TestWithoutABrokerScoringGoesOn(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"KAFKA_BROKERS": nobody})
	base := "http://" + s.Addrs().Scoring
	if status, body := call(t, http.MethodGet, base+"/health/ready", ""); status != http.StatusOK {
		t.Errorf("ready is %d %s", status, body)
	}
	if status, body := call(t, http.MethodPost, base+"/score", string(ordergen.New(ordergen.Config{Seed: 1}).Next().AppendJSON(nil))); status != http.StatusOK {
		t.Errorf("score is %d %s", status, body)
	}
	eventually(t, "a reason that names the broker", func() bool {
		status, body := call(t, http.MethodGet, base+"/health/ready/stream", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, nobody)
	})
}

// TestAMissingTopicPausesAndNamesItself: nothing is committed, and the stream goes on once the topic is there.
func TestAMissingTopicPausesAndNamesItself(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "order-features", "order-features-dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	brokers := cluster.ListenAddrs()
	s := start(t, map[string]string{"KAFKA_BROKERS": brokers[0], "PRODUCE_STALL_AFTER": "200ms"})
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	o := ordergen.New(ordergen.Config{Seed: 1}).Next()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "order-features", Value: o.AppendJSON(nil)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a pause that names risk-results", func() bool {
		_, reasons := s.StreamReady()
		return strings.Contains(strings.Join(reasons, " "), "risk-results")
	})
	if p := s.StreamStatus().Partitions[0]; p.Committed > 0 || p.Next > 0 {
		t.Errorf("committed %d, next %d", p.Committed, p.Next)
	}
}

// TestLeavesDecidesWithGlobalReasons: the second engine has the forest's score, says who decided, and claims no direction.
func TestLeavesDecidesWithGlobalReasons(t *testing.T) {
	type decision struct {
		RiskScore    float64  `json:"risk_score"`
		Contributors []string `json:"top_contributors"`
		PredictionID string   `json:"prediction_id"`
		Explanation  string   `json:"explanation"`
		Margin       float64  `json:"margin"`
		Engine       string   `json:"engine"`
	}
	order := string(ordergen.New(ordergen.Config{Seed: 5}).Next().AppendJSON(nil))
	decide := func(s *service.Service) (d decision) {
		status, body := call(t, http.MethodPost, "http://"+s.Addrs().Scoring+"/score?explain=full", order)
		if err := json.Unmarshal([]byte(body), &d); err != nil || status != http.StatusOK {
			t.Fatal(status, body, err)
		}
		return d
	}
	second := start(t, map[string]string{"ROLE": "serve", "SCORING_ENGINE": "leaves"})
	got, want := decide(second), decide(start(t, map[string]string{"ROLE": "serve"}))
	if got.Engine != "leaves/1" || want.Engine != forest.EngineID || got.PredictionID == want.PredictionID {
		t.Errorf("leaves decides as %q with id %s, the forest as %q with id %s", got.Engine, got.PredictionID, want.Engine, want.PredictionID)
	}
	if math.Abs(got.Margin-want.Margin) > 2e-5 || math.Abs(got.RiskScore-want.RiskScore) > 1e-4 {
		t.Errorf("margin %v and score %v, the forest has %v and %v", got.Margin, got.RiskScore, want.Margin, want.RiskScore)
	}
	var texts []string
	for _, f := range second.Scorer().Manifest().Features {
		texts = append(texts, f.Description)
	}
	if got.Explanation != "GLOBAL" || len(got.Contributors) != 3 {
		t.Errorf("explanation %s by %q", got.Explanation, got.Contributors)
	}
	for _, text := range got.Contributors {
		if !slices.Contains(texts, text) {
			t.Errorf("reason %q is none of the features' descriptions %q", text, texts)
		}
	}
	if status, body := call(t, http.MethodGet, "http://"+second.Addrs().Admin+"/bundle", ""); status != http.StatusOK || !strings.Contains(body, `"engine":"leaves/1","parity":{"rows":512,`) {
		t.Errorf("the admin door says %d %.300s", status, body)
	}
}

func TestARefusedBundleIsACheckError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(filepath.Join(dir, "model.ubj"))
	if err != nil {
		t.Fatal(err)
	}
	model[len(model)/2] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "model.ubj"), model, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]map[string]string{
		"digests":  {"MODEL_PATH": dir},
		"manifest": {"MODEL_PATH": demo, "MODEL_VERSION": "trendbuy_xgb_v2.0.0"},
	} {
		config, err := service.Load(t.Context(), envconfig.MapLookuper(settings))
		if err != nil {
			t.Fatal(err)
		}
		_, err = service.New(t.Context(), config, "test", slog.New(slog.DiscardHandler))
		var check *bundle.CheckError
		if !errors.As(err, &check) || check.Check != name {
			t.Errorf("error is %v, want check %s", err, name)
		}
	}
}

func TestAModelBeyondTheMemoryLimitIsRefused(t *testing.T) {
	config, err := service.Load(t.Context(), envconfig.MapLookuper(map[string]string{"MODEL_PATH": demo, "MODEL_MEMORY_LIMIT": "10000000"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = service.New(t.Context(), config, "test", slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("a model of 20 MB starts with 10 MB")
	}
	for _, part := range []string{"loading the model takes 2", "the limit is 9.5 MiB", "MODEL_MEMORY_LIMIT", demo} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestRoleServeOpensNoStreamAndRoleStreamNoScoringDoor(t *testing.T) {
	serve := start(t, map[string]string{"ROLE": "serve"})
	if status, body := call(t, http.MethodGet, "http://"+serve.Addrs().Metrics+"/health/ready/stream", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "serve") {
		t.Errorf("ready/stream of role serve is %d %s", status, body)
	}
	only := start(t, map[string]string{"ROLE": "stream", "KAFKA_BROKERS": "127.0.0.1:1"})
	if a := only.Addrs().Scoring; a != "" {
		t.Errorf("role stream listens on %s", a)
	}
	if status, body := call(t, http.MethodGet, "http://"+only.Addrs().Metrics+"/health/ready", ""); status != http.StatusOK {
		t.Errorf("ready of role stream is %d %s", status, body)
	}
}

func TestNoFeatureValueReachesTheLog(t *testing.T) {
	var log bytes.Buffer
	config, err := service.Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"ROLE": "serve", "MODEL_PATH": demo, "HTTP_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "METRICS_ADDR": "127.0.0.1:0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	// A clock's digits and a port's may be those of any number.
	replace := func(_ []string, attr slog.Attr) slog.Attr {
		if slices.Contains([]string{slog.TimeKey, "seconds", "addresses"}, attr.Key) {
			return slog.Attr{}
		}
		return attr
	}
	handler := slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: replace})
	s, err := service.New(t.Context(), config, "test", slog.New(handler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, b := range ordergen.Breaks() {
		o := ordergen.New(ordergen.Config{Seed: 1}).Next()
		call(t, http.MethodPost, "http://"+s.Addrs().Scoring+"/score", string(o.Broken(b).Value))
	}
	call(t, http.MethodPost, "http://"+s.Addrs().Scoring+"/score", `{"order_id":"A","features":{"feature_discount_pct":"31.4159"}}`)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	for _, value := range []string{"31.4159", "smartwatch", "8420", "MOBILE"} {
		if strings.Contains(log.String(), value) {
			t.Errorf("the log holds %s:\n%s", value, log.String())
		}
	}
	if !strings.Contains(log.String(), "422") {
		t.Errorf("the log holds no refusal, so this test shows nothing:\n%s", log.String())
	}
}
