package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// bench runs riskctl bench for a moment and returns its report.
func bench(t *testing.T, args ...string) (r benchReport, fields map[string]any) {
	t.Helper()
	code, stdout, stderr := riskctl(t, append([]string{"bench", "--json", "--seconds", "0.05"}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, into := range []any{&r, &fields} {
		if err := json.Unmarshal([]byte(stdout), into); err != nil {
			t.Fatal(err)
		}
	}
	return r, fields
}

// checkPositive fails for every number below x that is not above zero. Allocations may be none; that they are is for
// the forest's own tests to say, as the race detector has pools forget.
func checkPositive(t *testing.T, name string, x any) {
	t.Helper()
	switch x := x.(type) {
	case map[string]any:
		for key, value := range x {
			checkPositive(t, name+"."+key, value)
		}
	case []any:
		for i, value := range x {
			checkPositive(t, name+"["+strconv.Itoa(i)+"]", value)
		}
	case float64:
		if x < 0 || x == 0 && !strings.HasSuffix(name, "allocations_per_call") {
			t.Errorf("%s = %v", name, x)
		}
	case string:
		if x == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

func TestBenchMeasuresEveryCase(t *testing.T) {
	r, fields := bench(t, "--model", goldens+"/onehot/model.ubj")
	checkPositive(t, "report", fields)
	cores := []int{1}
	if n := runtime.GOMAXPROCS(0); n > 1 {
		cores = append(cores, n)
	}
	i := 0
	for _, work := range []string{"score", "explain"} {
		for _, rows := range []int{1, 1024} {
			for _, n := range cores {
				if i >= len(r.Costs) || r.Costs[i].Work != work || r.Costs[i].RowsPerCall != rows || r.Costs[i].Cores != n {
					t.Fatalf("case %d of %+v is not %s, %d rows a call, %d cores", i, r.Costs, work, rows, n)
				}
				i++
			}
		}
	}
	score, explain := r.Costs[2*len(cores)-1], r.Costs[4*len(cores)-1]
	if want := 1e9 / (score.NanosecondsPerRow + explain.NanosecondsPerRow) / float64(score.Cores); i != len(r.Costs) || r.OrdersPerSecondPerCore != want {
		t.Errorf("%d cases, want %d; %v orders/s/core, want %v", len(r.Costs), i, r.OrdersPerSecondPerCore, want)
	}
}

func TestBenchPrintsATable(t *testing.T) {
	code, stdout, stderr := riskctl(t, "bench", "--seconds", "0.05", "--model", goldens+"/onehot/model.ubj")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"model    model.ubj: ", "load     ", "rows     8192, drawn from", "work  rows/call  cores  ", "plan with "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	for _, want := range []string{"score 1", "score 1024", "explain 1", "explain 1024"} {
		found := false
		for line := range strings.Lines(stdout) {
			fields := strings.Fields(line)
			found = found || len(fields) == 6 && fields[0]+" "+fields[1] == want && fields[2] == "1"
		}
		if !found {
			t.Errorf("no line %q on one core in\n%s", want, stdout)
		}
	}
}

func TestBenchTakesRowsAsPredictDoes(t *testing.T) {
	model := goldens + "/onehot/model.ubj"
	if r, _ := bench(t, "--model", model, "--rows", goldens+"/onehot/rows.csv"); r.RowSource != "rows.csv" || r.Rows != 8192 {
		t.Errorf("%d rows from %s", r.Rows, r.RowSource)
	}
	header, _, _ := strings.Cut(readFile(t, goldens+"/onehot/rows.csv"), "\n")
	for input, says := range map[string]string{"": "read header", "a,b\n": "the input has 2 columns", header + "\n": "has no rows", header + "\n1\n": "row 1"} {
		file := filepath.Join(t.TempDir(), "rows.csv")
		if err := os.WriteFile(file, []byte(input), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := riskctl(t, "bench", "--model", model, "--rows", file)
		if code != exitNotHeld || !strings.Contains(stderr, says) {
			t.Errorf("rows %q: exit code %d, says %q, want %q", input, code, stderr, says)
		}
	}
}

func TestBenchRefusesWithAReason(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--model", "main.go"}, exitNotHeld, "load main.go"},
		{[]string{"--model", "none.ubj"}, exitDependency, "none.ubj"},
		{[]string{"--model", goldens + "/onehot/model.ubj", "--rows", "none.csv"}, exitDependency, "none.csv"},
		{[]string{"--model", goldens + "/onehot/model.ubj", "--seconds", "0"}, exitUsage, "--seconds"},
		{[]string{"--model", goldens + "/onehot/model.ubj", "--seconds", "NaN"}, exitUsage, "--seconds"},
		{nil, exitUsage, "model"},
	} {
		code, _, stderr := riskctl(t, append([]string{"bench"}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.says) {
			t.Errorf("bench %v: exit code %d, says %q, want %d and %q", test.args, code, stderr, test.code, test.says)
		}
	}
}

// TestDrawnRowsTakeBothSidesOfEverySplit tries drawn rows on the thresholds: each gap is visited, some values are missing.
func TestDrawnRowsTakeBothSidesOfEverySplit(t *testing.T) {
	cmd := newRoot()
	cmd.SetContext(t.Context())
	load, err := modelLoader(cmd, goldens+"/onehot/model.ubj", false)
	if err != nil {
		t.Fatal(err)
	}
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	rows := drawRows(f, benchRows)
	splits := 0
	for feature, points := range splitPoints(f) {
		var missing, below, above int
		for i := feature; i < len(rows); i += f.NumFeature {
			switch x := rows[i]; {
			case math.IsNaN(x):
				missing++
			case len(points) > 0 && x <= points[0]:
				below++
			case len(points) > 0 && x >= points[len(points)-1]:
				above++
			}
		}
		if missing < benchRows/40 || missing > benchRows/10 {
			t.Errorf("feature %d: %d of %d values are missing", feature, missing, benchRows)
		}
		if len(points) > 1 && (below == 0 || above == 0) {
			t.Errorf("feature %d: %d rows below its splits, %d above", feature, below, above)
		}
		splits += len(points)
	}
	if splits == 0 {
		t.Error("the model has no splits")
	}
}
