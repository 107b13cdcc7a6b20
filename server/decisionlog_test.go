package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/server"
)

// logged starts a server with a decision log, of a small queue.
func logged(t *testing.T, path, whenFull string) *running {
	t.Helper()
	return start(t, func(c *server.Config, _ *server.Parts) {
		c.DecisionLog = server.DecisionLogConfig{Path: path, MaxBytes: 1 << 16, Files: 3, Queue: 200, WhenFull: whenFull}
	})
}

type line struct {
	Time         time.Time `json:"time"`
	OrderID      string    `json:"order_id"`
	EventVersion int64     `json:"event_version"`
	PredictionID string    `json:"prediction_id"`
	InputDigest  string    `json:"input_digest"`
	ModelVersion string    `json:"model_version"`
	ModelDigest  string    `json:"model_digest"`
	Engine       string    `json:"engine"`
	Score        float64   `json:"score"`
	Band         string    `json:"risk_band"`
	Explanation  string    `json:"explanation"`
}

func readLines(t *testing.T, text string) []line {
	t.Helper()
	var out []line
	for one := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(one), &l); err != nil {
			t.Fatalf("%q: %v", one, err)
		}
		out = append(out, l)
	}
	return out
}

// TestEveryDecisionHasItsLine, from which an auditor can make it again: by the order, the contract and the digests.
func TestEveryDecisionHasItsLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.log")
	r := logged(t, path, server.LogRefuse)
	second := strings.Replace(example, "ORD_12345", "ORD_2\\u2028é", 1)
	single := r.decide(t, example)
	r.post(t, "/score", strings.Replace(example, "mobile", "smartwatch", 1))
	r.post(t, "/score/batch", "["+second+`,{"order_id":"bad","features":{}},`+example+"]")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := readLines(t, string(text))
	if len(lines) != 3 || lines[0].OrderID != "ORD_12345" || lines[1].OrderID != "ORD_2\u2028é" || lines[2].PredictionID != lines[0].PredictionID {
		t.Fatalf("the log is %s", text)
	}
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	order, err := schemas.ParseOrder([]byte(example), model.scorer.Contract(), schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	got := lines[0]
	if got.PredictionID != single.PredictionID || got.InputDigest != model.scorer.InputDigest(&order) || got.ModelDigest != model.scorer.Digest().String() ||
		got.Band != single.RiskBand || got.Engine != model.scorer.EngineID() || got.Explanation != "EXACT" || got.Score <= 0 ||
		time.Since(got.Time) > time.Minute || got.ModelVersion != single.ModelVersion {
		t.Errorf("the line is %+v, the answer was %+v", got, single)
	}
	for _, value := range []string{"8420", "0.35", "mobile", "smartwatch", "127.5"} {
		if strings.Contains(string(text), value) {
			t.Errorf("the decision log holds %s", value)
		}
	}
}

// TestTheDecisionLogIsRotated by size, keeps so many files, and goes on with the file that it finds.
func TestTheDecisionLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.log")
	if err := os.WriteFile(path, []byte(`{"order_id":"before"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := logged(t, path, server.LogRefuse)
	const batches, size = 30, 50
	for i := range batches {
		orders := make([]string, size)
		for j := range orders {
			orders[j] = strings.Replace(example, "ORD_12345", fmt.Sprintf("%s_%d", strings.Repeat("o", 150), i*size+j), 1)
		}
		for r.post(t, "/score/batch", "["+strings.Join(orders, ",")+"]").status != http.StatusOK {
			time.Sleep(time.Millisecond) // the queue is full
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || !slices.Equal(files, []string{path, path + ".1", path + ".2"}) {
		t.Fatalf("the files are %v, %v", files, err)
	}
	next := batches * size
	for _, file := range files { // from the last decision backwards
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1<<16 {
			t.Errorf("%s has %d bytes", file, len(text))
		}
		lines := readLines(t, string(text))
		for _, l := range slices.Backward(lines) {
			next--
			if !strings.HasSuffix(l.OrderID, fmt.Sprintf("o_%d", next)) {
				t.Fatalf("%s: %s is out of order, want %d", file, l.OrderID, next)
			}
		}
	}
}

// TestASlowDiskDropsLinesOrRefusesOrders as it is set: a pipe that nobody reads is a disk that hangs.
func TestASlowDiskDropsLinesOrRefusesOrders(t *testing.T) {
	for _, whenFull := range []string{server.LogDrop, server.LogRefuse} {
		t.Run(whenFull, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			reader, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			r := logged(t, path, whenFull)
			const requests = 1200
			answered, refused := 0, 0
			for range requests {
				switch a := r.post(t, "/score", example); a.status {
				case http.StatusOK:
					answered++
				case http.StatusServiceUnavailable:
					refused++
					if !strings.Contains(a.body, "#unlogged") || a.header.Get("Retry-After") == "" {
						t.Fatalf("%s %v", a.body, a.header)
					}
				default:
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			count := func(outcome string) int {
				return int(r.metric(t, "riskscorer_decision_log_entries_total", "outcome="+outcome))
			}
			dropped := count("dropped")
			if whenFull == server.LogDrop && (refused > 0 || dropped == 0) || whenFull == server.LogRefuse && (refused == 0 || dropped > 0) {
				t.Errorf("%d answered, %d refused, %d dropped", answered, refused, dropped)
			}
			if count("refused") != refused {
				t.Errorf("%d refused, %d counted", refused, count("refused"))
			}
			read := make(chan int)
			go func() { // the disk works again
				text, want := make([]byte, 0, 1<<20), answered-dropped
				for buffer := make([]byte, 1<<16); strings.Count(string(text), "\n") < want; {
					n, err := reader.Read(buffer)
					if err != nil {
						break
					}
					text = append(text, buffer[:n]...)
				}
				read <- strings.Count(string(text), "\n")
			}()
			select {
			case n := <-read:
				if n != answered-dropped {
					t.Errorf("%d lines, %d answers, %d dropped", n, answered, dropped)
				}
			case <-time.After(20 * time.Second):
				t.Error("the lines that were kept did not come")
			}
			if a := r.post(t, "/score", example); a.status != http.StatusOK {
				t.Errorf("afterwards: %d", a.status)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			_ = reader.Close()
		})
	}
}

// TestAFullDiskIsSaidAndCounted, and refuses orders or not, as it is set.
func TestAFullDiskIsSaidAndCounted(t *testing.T) {
	r := logged(t, "/dev/full", server.LogDrop)
	for range 50 {
		if a := r.post(t, "/score", example); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n := r.metric(t, "riskscorer_decision_log_entries_total", "outcome=failed"); n != 50 {
		t.Errorf("%v lines failed", n)
	}
	if n := strings.Count(r.logs.String(), "the decision log cannot be written"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, r.logs)
	}
	strict := logged(t, "/dev/full", server.LogRefuse)
	answered := 0
	for range 400 {
		if strict.post(t, "/score", example).status == http.StatusOK {
			answered++
		}
	}
	if answered > 200 { // the queue
		t.Errorf("%d decisions left without a line", answered)
	}
}
