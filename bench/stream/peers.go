package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/trendbuy/riskscorer/e2e/maven"
	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

//go:embed peers/pom.xml
var pom []byte

// peers are the folder of the peers' code.
func (k *kit) peers(name string) string {
	return filepath.Join(k.root, "bench", "stream", "peers", name)
}

// python is one process a core. A peer that is not installed fails its first turn, and the page says why.
func (k *kit) python(b *bench, events int) *contender {
	return &contender{
		name: "python", label: "Python", events: events,
		note: "confluent-kafka 2.16, fastavro 1.13, XGBoost 3.4 with contributions, in batches of up to 1,000; a process a core",
		start: func(ctx context.Context, w work) (all []*process.Process, err error) {
			python, err := k.venv(ctx)
			if err != nil {
				return nil, err
			}
			for range runtime.NumCPU() {
				p, err := process.Start(process.Spec{
					Path: python, Log: b.log("python"), Env: append(os.Environ(), "OMP_NUM_THREADS=1"),
					Args: []string{
						k.peers("peer.py"), "--broker", w.broker, "--from", w.from, "--to", w.to, "--group", w.group,
						"--bundle", k.model, "--pins", k.pins,
					},
				})
				if err != nil {
					return all, err
				}
				all = append(all, p)
			}
			return all, nil
		},
	}
}

// venv returns the Python that has the locked packages.
func (k *kit) venv(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(k.root, "training", "venv.sh"), k.peers("bench-stream.txt"), "3.12")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("not installed: %w", err)
	}
	return string(out[:len(out)-1]), nil
}

// streams is Kafka Streams in one JVM, a thread a core. Java compiles the one file as it starts.
func (k *kit) streams(b *bench, name, label string, batch, events int) *contender {
	note := "Kafka Streams 4.3.1, xgboost4j 3.0.4, Avro 1.12.1; a thread a core; does not explain"
	return &contender{name: name, label: label, note: note, events: events, start: func(ctx context.Context, w work) ([]*process.Process, error) {
		libs, err := maven.Cached(ctx, "bench-stream-1", resolve)
		if err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		order, err := orderSchema()
		if err != nil {
			return nil, err
		}
		files := map[string]string{"order.avsc": order, "result.avsc": schemas.RiskResultSchema}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
				return nil, err
			}
		}
		served, err := bundle.Open(k.model, bundle.Options{})
		if err != nil {
			return nil, err
		}
		p, err := process.Start(process.Spec{Path: "java", Log: b.log(name), Args: []string{
			"-Xmx512m", "-cp", filepath.Join(libs, "*"), k.peers("Scorer.java"), w.broker, w.from, w.to, w.group, k.model,
			filepath.Join(k.dir, "order.avsc"), filepath.Join(k.dir, "result.avsc"), strconv.Itoa(batch), filepath.Join(k.dir, "state"),
			strconv.FormatFloat(served.Forest.Base[0], 'g', -1, 32),
		}})
		return all(p), err
	}}
}

func resolve(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	return maven.Run(ctx, dir, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
}
