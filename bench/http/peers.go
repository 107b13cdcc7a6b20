package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	trainingOrders = 20_000
	peersFolder    = "bench/http/peers"
)

func (b *bench) peers() []*contender {
	const (
		old   = "FastAPI 0.110, uvicorn 0.27.1, pydantic 2.6.1, XGBoost 2.0.3, pandas 2.2, a model of its own; one worker; "
		infer = "/v2/models/risk/infer"
	)
	return []*contender{
		b.python("replaced", "replaced server", old+"the same three reasons for all", "/score", orderJSON, "3.11", "replaced.py", "global"),
		b.python("replaced-shap", "replaced server, real SHAP", old+"exact reasons by pred_contribs", "/score", orderJSON, "3.11", "replaced.py", "shap"),
		b.python("kserve-v1", "KServe 0.21, V1 lists", "does not explain", "/v1/models/risk:predict", listJSON, "3.12", "kserve_peer.py"),
		b.python("kserve-v2", "KServe 0.21, V2", "does not explain", infer, tensorJSON, "3.12", "kserve_peer.py"),
		b.python("mlserver", "MLServer 1.7.1, V2", "does not explain", infer, tensorJSON, "3.12", "mlserver_peer.py"),
	}
}

// python is one of the programs in peers, under the packages that are locked for it. What does not install fails its
// first turn, and the page says why.
func (b *bench) python(name, label, note, path string, body func(*ordergen.Order) []byte, version, program string, args ...string) *contender {
	lock, _, _ := strings.Cut(strings.TrimSuffix(program, ".py"), "_")
	folder := filepath.Join(b.root, peersFolder)
	return &contender{name: name, label: label, note: note, path: path, body: body, spec: func(ctx context.Context, at place) (process.Spec, error) {
		python, err := b.venv(ctx, filepath.Join(folder, lock+".txt"), version)
		if err != nil {
			return process.Spec{}, err
		}
		model := b.model
		if lock == "replaced" { // its library is too old for the bundle
			if model, err = b.trained(ctx, python, folder); err != nil {
				return process.Spec{}, err
			}
		}
		return process.Spec{
			Path: python, Dir: b.dir, Env: append(os.Environ(), "OMP_NUM_THREADS=1"),
			Args: append([]string{filepath.Join(folder, program), strconv.Itoa(at.port), model}, args...),
		}, nil
	}}
}

// venv returns the Python that has the locked packages.
func (b *bench) venv(ctx context.Context, lock, version string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.root, "training", "venv.sh"), lock, version)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("not installed: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// trained returns a model as the replaced server loads it, trained once a run.
func (b *bench) trained(ctx context.Context, python, folder string) (string, error) {
	model := filepath.Join(b.dir, "model.pkl")
	if _, err := os.Stat(model); err == nil {
		return model, nil
	}
	say("training a model for the replaced server")
	orders, err := b.trainingOrders()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, python, filepath.Join(folder, "replaced_train.py"), orders, model)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("train: %w: %s", err, out)
	}
	return model, nil
}

// trainingOrders writes orders with their outcomes, as trendbuy_training reads them, and returns the file's path.
func (b *bench) trainingOrders() (string, error) {
	var text []byte
	for g, n := ordergen.New(ordergen.Config{Seed: 8}), 0; n < trainingOrders; n++ {
		o := g.Next()
		text = o.AppendJSON(append(strconv.AppendBool(append(text, `{"regret":`...), o.Regret), `,"order":`...))
		text = append(text, "}\n"...)
	}
	path := filepath.Join(b.dir, "orders.jsonl")
	return path, os.WriteFile(path, text, 0o600)
}

// row is an order as a vector, in the model's order; the device is its index in the bundle's list.
func row(o *ordergen.Order) []float64 {
	var all []float64
	for _, n := range o.Features.Numbers() {
		all = append(all, n.Value)
	}
	for i, device := range []string{"app", "desktop", "mobile", "tablet"} {
		if device == o.Features.DeviceType {
			return append(all, float64(i))
		}
	}
	return append(all, math.NaN())
}

func listJSON(o *ordergen.Order) []byte {
	text, _ := json.Marshal(map[string]any{"instances": [][]float64{row(o)}}) // finite numbers do not fail
	return text
}

func tensorJSON(o *ordergen.Order) []byte {
	values := row(o)
	text, _ := json.Marshal(map[string]any{"inputs": []map[string]any{
		{"name": "input-0", "shape": []int{1, len(values)}, "datatype": "FP32", "data": values},
	}})
	return text
}
