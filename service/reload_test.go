package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/service"
)

// serves says whether the service answers as a version does.
func (v *versioned) serves(t *testing.T, s *service.Service, version string) bool {
	t.Helper()
	status, answer := call(t, http.MethodPost, "http://"+s.Addrs().Scoring+"/score", v.bodies[0])
	return status == http.StatusOK && answer == v.answers[version+v.bodies[0]]
}

// ask posts an order; it can be called by any goroutine.
func ask(client *http.Client, url, body string) (answer string, err error) {
	response, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(data), errors.Join(err, response.Body.Close())
}

// versionIn finds the model that an answer or a result names.
func versionIn(t *testing.T, text string) string {
	t.Helper()
	var named struct {
		Version string `json:"model_version"`
	}
	if err := json.Unmarshal([]byte(text), &named); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return named.Version
}

// TestReloadsUnderLoadAtBothDoors swaps a Kubernetes volume 24 times, while orders come over HTTP and Kafka: nothing
// fails, and every decision is in full that of the one model that it names.
func TestReloadsUnderLoadAtBothDoors(t *testing.T) {
	const reloads = 24
	versions := []string{"v1", "v2", "v3"}
	v := newVersioned(t, versions...)
	mounted := newVolume(t, v.dirs["v1"])
	kafka, client := cluster(t, nil)
	s := start(t, map[string]string{"MODEL_PATH": mounted.dir, "MODEL_POLL": "0", "KAFKA_BROKERS": kafka.ListenAddrs()[0]})
	if !v.serves(t, s, "v1") {
		t.Fatal("the first model does not serve")
	}

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	t.Cleanup(web.CloseIdleConnections)
	var asked, sent atomic.Int64
	named := make([]atomic.Int64, len(versions)+1)
	for c := range 4 {
		load.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				body := v.bodies[i%len(v.bodies)]
				answer, err := ask(web, "http://"+s.Addrs().Scoring+"/score", body)
				version := versionIn(t, answer)
				if err != nil || answer != v.answers[version+body] {
					t.Errorf("%v %s, want what %q says", err, answer, version)
					return
				}
				named[strings.IndexByte("123", version[len(version)-1])+1].Add(1)
				asked.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			n := i % len(v.bodies)
			r := &kgo.Record{Key: []byte(v.ids[n]), Value: []byte(v.bodies[n])}
			if err := client.ProduceSync(context.WithoutCancel(ctx), r).FirstErr(); err != nil {
				t.Error(err)
			}
			sent.Add(1)
			time.Sleep(time.Millisecond)
		}
	})
	for i := range reloads {
		version := versions[(i+1)%len(versions)]
		mounted.put(t, v.dirs[version])
		eventually(t, "serving "+version, func() bool { return v.serves(t, s, version) })
	}
	stop()
	load.Wait()

	seen := map[string]int{}
	for _, r := range await(t, client, int(sent.Load())) {
		version := versionIn(t, string(r.Value))
		if r.Topic != "risk-results" || string(r.Value) != v.results[version+string(r.Key)] {
			t.Errorf("%s: %s, want what %q says", r.Topic, r.Value, version)
		}
		seen[version]++
	}
	t.Logf("%d answers, %d results %v", asked.Load(), sent.Load(), seen)
	for i, version := range versions {
		if named[i+1].Load() == 0 || seen[version] == 0 {
			t.Errorf("%s: %d answers, %d results", version, named[i+1].Load(), seen[version])
		}
	}
	_, metrics := call(t, http.MethodGet, "http://"+s.Addrs().Metrics+"/metrics", "")
	for _, want := range []string{
		fmt.Sprintf(`riskscorer_model_reloads_total{outcome="loaded"} %d`, reloads),
		`riskscorer_model_reloads_total{outcome="refused"} 0`,
		`model_version="v1"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestEachWayOfPuttingABundleInPlaceIsSeen, with polling off but for what no watch sees.
func TestEachWayOfPuttingABundleInPlaceIsSeen(t *testing.T) {
	v := newVersioned(t, "v1", "v2")
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		poll string
		lay  func(t *testing.T, root string) (path string)
		put  func(t *testing.T, root, path string)
	}{
		"moved over": {"0", func(t *testing.T, root string) string {
			must(t, os.CopyFS(filepath.Join(root, "bundle"), os.DirFS(v.dirs["v1"])))
			return filepath.Join(root, "bundle")
		}, func(t *testing.T, root, path string) {
			must(t, os.CopyFS(filepath.Join(root, "next"), os.DirFS(v.dirs["v2"])))
			must(t, os.Rename(path, filepath.Join(root, "before")))
			must(t, os.Rename(filepath.Join(root, "next"), path))
		}},
		"link swapped": {"0", func(t *testing.T, root string) string {
			link(t, v.dirs["v1"], filepath.Join(root, "current"))
			return filepath.Join(root, "current")
		}, func(t *testing.T, _, path string) { link(t, v.dirs["v2"], path) }},
		"tar": {"0", func(t *testing.T, root string) string {
			pack(t, v.dirs["v1"], filepath.Join(root, "bundle.tar"))
			return filepath.Join(root, "bundle.tar")
		}, func(t *testing.T, root, path string) {
			pack(t, v.dirs["v2"], filepath.Join(root, "next.tar"))
			must(t, os.Rename(filepath.Join(root, "next.tar"), path))
		}},
		"a link on the way, which only polling sees": {"100ms", func(t *testing.T, root string) string {
			for version, dir := range v.dirs {
				must(t, os.CopyFS(filepath.Join(root, version, "here", "bundle"), os.DirFS(dir)))
			}
			link(t, filepath.Join(root, "v1"), filepath.Join(root, "current"))
			return filepath.Join(root, "current", "here", "bundle")
		}, func(t *testing.T, root, _ string) { link(t, filepath.Join(root, "v2"), filepath.Join(root, "current")) }},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			path := tt.lay(t, root)
			s := start(t, map[string]string{"ROLE": "serve", "MODEL_PATH": path, "MODEL_POLL": tt.poll})
			if !v.serves(t, s, "v1") {
				t.Fatal("the first model does not serve")
			}
			tt.put(t, root, path)
			eventually(t, "the second model serves", func() bool { return v.serves(t, s, "v2") })
			if _, document := call(t, http.MethodGet, "http://"+s.Addrs().Scoring+"/openapi.json", ""); !strings.Contains(document, `"v2"`) || strings.Contains(document, `"v1"`) {
				t.Error("/openapi.json is not of the second model")
			}
		})
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startLogged(t *testing.T, settings map[string]string) (*service.Service, *lines) {
	t.Helper()
	log := new(lines)
	return startTo(t, log, settings), log
}

func pack(t *testing.T, dir, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := bundle.Pack(f, dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
