package service_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/service"
)

// TestABundleThatIsCopiedSlowlyIsLoadedWhenItIsWhole, file by file and half a model at a time, without a line in the log
// for each.
func TestABundleThatIsCopiedSlowlyIsLoadedWhenItIsWhole(t *testing.T) {
	v := newVersioned(t, "v1", "v2")
	path := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(path, os.DirFS(v.dirs["v1"])); err != nil {
		t.Fatal(err)
	}
	s, log := startLogged(t, map[string]string{"ROLE": "serve", "MODEL_PATH": path, "MODEL_POLL": "50ms"})
	for _, name := range []string{"model.ubj", "manifest.json", "SHA256SUMS", "golden.jsonl"} {
		data, err := os.ReadFile(filepath.Join(v.dirs["v2"], name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), (len(data)+3)/4)
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			time.Sleep(60 * time.Millisecond)
			if v.serves(t, s, "v2") && len(rest) > 0 {
				t.Error("half a bundle serves")
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the second model serves", func() bool { return v.serves(t, s, "v2") })
	if n := strings.Count(log.String(), "was not replaced"); n > 1 {
		t.Errorf("%d lines about a copy under way:\n%s", n, log)
	}
}

// TestABundleThatMayNotServeLeavesTheOldOne, and the log, the metrics and the admin door say why, once.
func TestABundleThatMayNotServeLeavesTheOldOne(t *testing.T) {
	v := newVersioned(t, "v1", "v2")
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.CopyFS(wrong, os.DirFS(v.dirs["v2"])); err != nil {
		t.Fatal(err)
	}
	edit(t, wrong, "golden.jsonl", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"margin":`, `"margin":1`, 1)) })
	if _, err := bundle.WriteSums(wrong); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		settings map[string]string
		put      string
		check    string
		says     []string
	}{
		"golden rows": {nil, wrong, "golden", []string{"margin"}},
		"pinned":      {map[string]string{"MODEL_VERSION": "v1"}, v.dirs["v2"], "manifest", []string{"MODEL_VERSION", "v2"}},
		"memory":      {map[string]string{"MODEL_MEMORY_LIMIT": "30000000"}, v.dirs["v2"], "model", []string{"MODEL_MEMORY_LIMIT", "of the model that serves too"}},
		"gone":        {nil, "/nowhere", "", []string{"no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "current")
			link(t, v.dirs["v1"], path)
			settings := map[string]string{"ROLE": "serve", "MODEL_PATH": path, "MODEL_POLL": "20ms"}
			maps.Copy(settings, tt.settings)
			s, log := startLogged(t, settings)
			link(t, tt.put, path)
			admin := "http://" + s.Addrs().Admin
			eventually(t, "the admin door tells", func() bool {
				_, page := call(t, http.MethodGet, admin+"/bundle", "")
				return strings.Contains(page, "last_reload")
			})
			_, page := call(t, http.MethodGet, admin+"/bundle", "")
			var shown struct {
				Last struct{ Outcome, Check, Error string } `json:"last_reload"`
			}
			if err := json.Unmarshal([]byte(page), &shown); err != nil {
				t.Fatal(err)
			}
			for _, part := range tt.says {
				if !strings.Contains(shown.Last.Error, part) {
					t.Errorf("the admin door does not say %q: %s", part, shown.Last.Error)
				}
			}
			if shown.Last.Check != tt.check {
				t.Errorf("check %q", shown.Last.Check)
			}
			if !v.serves(t, s, "v1") {
				t.Error("the old model does not serve")
			}
			time.Sleep(500 * time.Millisecond) // many polls
			if n := strings.Count(log.String(), "was not replaced"); n != 1 {
				t.Errorf("%d lines in the log:\n%s", n, log)
			}
			if status, problem := call(t, http.MethodPost, admin+"/bundle/reload", ""); status != http.StatusConflict || !strings.Contains(problem, tt.says[0]) {
				t.Errorf("asked for: %d %s", status, problem)
			}
			metrics := metricsPage(t, s)
			if !strings.Contains(metrics, `riskscorer_model_reload_failing 1`) || !strings.Contains(metrics, `riskscorer_model_reloads_total{outcome="`+shown.Last.Outcome+`"} `) {
				t.Error("the metrics do not say so")
			}
			link(t, v.dirs["v1"], path)
			eventually(t, "all is well again", func() bool { return strings.Contains(metricsPage(t, s), `riskscorer_model_reload_failing 0`) })
		})
	}
}

func metricsPage(t *testing.T, s *service.Service) string {
	t.Helper()
	_, page := call(t, http.MethodGet, "http://"+s.Addrs().Metrics+"/metrics", "")
	return page
}

// TestTheOldModelIsFreed once nothing uses it: it takes no further request to let it go.
func TestTheOldModelIsFreed(t *testing.T) {
	v := newVersioned(t, "v1", "v2")
	path := filepath.Join(t.TempDir(), "current")
	link(t, v.dirs["v1"], path)
	s := start(t, map[string]string{"ROLE": "serve", "MODEL_PATH": path, "MODEL_POLL": "0"})
	if !v.serves(t, s, "v1") {
		t.Fatal("the first model does not serve")
	}
	call(t, http.MethodGet, "http://"+s.Addrs().Scoring+"/openapi.json", "")
	old := weak.Make(s.Scorer())
	link(t, v.dirs["v2"], path)
	if status, answer := call(t, http.MethodPost, "http://"+s.Addrs().Admin+"/bundle/reload", ""); status != http.StatusOK || !strings.Contains(answer, `"v2"`) {
		t.Fatalf("%d %s", status, answer)
	}
	eventually(t, "the old scorer is collected", func() bool {
		runtime.GC()
		return old.Value() == nil
	})
	eventually(t, "one model is in memory", func() bool { return strings.Contains(metricsPage(t, s), "riskscorer_models_in_memory 1\n") })
}

// TestAThirdModelWaitsForTheFirst: a batch that may be published in part keeps its model, and then no more than two are
// in memory.
func TestAThirdModelWaitsForTheFirst(t *testing.T) {
	v := newVersioned(t, "v1", "v2", "v3")
	path := filepath.Join(t.TempDir(), "current")
	link(t, v.dirs["v1"], path)
	kafka, client := cluster(t, nil)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(v.bodies[0])}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var back atomic.Bool
	refused := make(chan struct{})
	var once sync.Once
	kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		if back.Load() {
			return nil, nil, false
		}
		kafka.KeepControl()
		once.Do(func() { close(refused) })
		return nil, errors.New("hang up"), true
	})
	s := start(t, map[string]string{"MODEL_PATH": path, "MODEL_POLL": "0", "KAFKA_BROKERS": kafka.ListenAddrs()[0]})
	select {
	case <-refused:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was published")
	}
	reload := func() (int, string) {
		return call(t, http.MethodPost, "http://"+s.Addrs().Admin+"/bundle/reload", "")
	}
	link(t, v.dirs["v2"], path)
	if status, answer := reload(); status != http.StatusOK {
		t.Fatalf("the second model: %d %s", status, answer)
	}
	link(t, v.dirs["v3"], path)
	if status, answer := reload(); status != http.StatusConflict || !strings.Contains(answer, "still in use") {
		t.Errorf("the third model: %d %s", status, answer)
	}
	back.Store(true)
	if r := await(t, client, 1)[0]; string(r.Value) != v.results["v1"+v.ids[0]] {
		t.Errorf("a batch that was being published is not of its first model: %s", r.Value)
	}
	eventually(t, "the third model serves", func() bool {
		status, _ := reload()
		return status == http.StatusOK && v.serves(t, s, "v3")
	})
}
