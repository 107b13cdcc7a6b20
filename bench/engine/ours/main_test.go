package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// TestServeAnswersAsTheForestDoes speaks the driver's protocol: what is written are the forest's own answers.
func TestServeAnswersAsTheForestDoes(t *testing.T) {
	model, err := os.ReadFile("../../../models/trendbuy_xgb_v1.0.0/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	f, err := xgboost.Load(model, xgboost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 8
	rows := make([]float64, n*f.NumFeature)
	for i := range rows {
		rows[i] = float64(i % 5)
	}
	rows[3] = math.NaN()
	folder := t.TempDir()
	matrix, err := binary.Append(nil, binary.LittleEndian, rows)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"model.ubj": model, "rows.f64": matrix} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	var out bytes.Buffer
	lines := "load riskscorer %[1]s\nrun score 2 9\nrun explain 1 3\nanswer score 8 %[1]s/margins\nanswer explain 8 %[1]s/phi\n"
	if err := serve(strings.NewReader(fmt.Sprintf(lines, folder)), &out); err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(answers) != 5 || answers[0] != "ok "+loaded(t, folder).version || answers[3] != "ok" || answers[4] != "ok" {
		t.Fatalf("answers %q", answers)
	}
	for _, ns := range answers[1:3] {
		if x, err := strconv.ParseFloat(ns, 64); err != nil || x <= 0 {
			t.Errorf("%q nanoseconds a row", ns)
		}
	}
	margins, phi := make([]float64, n), make([]float64, n*(f.NumFeature+1))
	f.MarginsTo(margins, rows)
	f.ContributionsTo(phi, rows)
	for name, want := range map[string]func(i int) float64{
		"margins": func(i int) float64 { return margins[i] },
		"phi":     func(i int) float64 { return phi[i/f.NumFeature*(f.NumFeature+1)+i%f.NumFeature] },
	} {
		got, err := readMatrix(filepath.Join(folder, name))
		if err != nil || len(got) != map[string]int{"margins": n, "phi": n * f.NumFeature}[name] {
			t.Fatalf("%s: %d values, %v", name, len(got), err)
		}
		for i := range got {
			if got[i] != want(i) {
				t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want(i))
			}
		}
	}
}

func loaded(t *testing.T, folder string) *engine {
	t.Helper()
	e, err := load("riskscorer", folder)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestServeRefuses(t *testing.T) {
	for _, line := range []string{"run score 1 1", "load none /", "load leaves /none", "stop"} {
		if err := serve(strings.NewReader(line+"\n"), &bytes.Buffer{}); err == nil {
			t.Errorf("%q is obeyed", line)
		}
	}
}
