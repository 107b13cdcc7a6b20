package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/trendbuy/riskscorer/e2e/process"
)

// kit is what the contenders are made of: files in a folder.
type kit struct {
	root, dir string // of the repository, and of what is built
	self      string // this program, which runs the copiers
	model     string // the bundle
	pins      string // file
}

// build compiles the service as the chosen contenders need it, and writes the pinned schemas.
func (k *kit) build(ctx context.Context, chosen func(name string) bool) error {
	for _, tags := range []string{"", "purego"} {
		if !chosen("riskscorer" + tags) {
			continue
		}
		say("building riskscorer %s", tags)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-o", k.service(tags), "./cmd/riskscorer")
		cmd.Dir = k.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build riskscorer: %w: %s", err, out)
		}
	}
	text, err := pins()
	if err != nil {
		return err
	}
	return os.WriteFile(k.pins, text, 0o600)
}

func (k *kit) service(tags string) string { return filepath.Join(k.dir, "riskscorer"+tags) }

// copier is one of package passthrough's, in a process of its own.
func (k *kit) copier(b *bench, name, label, note string, events, batch int) *contender {
	return &contender{name: name, label: label, note: note, events: events, start: func(_ context.Context, w work) ([]*process.Process, error) {
		p, err := process.Start(process.Spec{Path: k.self, Log: b.log(name), Args: []string{
			"copy", "-with", name, "-broker", w.broker, "-from", w.from, "-to", w.to, "-group", w.group, "-batch", strconv.Itoa(batch),
		}})
		return all(p), err
	}}
}

// scorer is the service in role stream.
func (k *kit) scorer(b *bench, tags, label, note string, events int) *contender {
	return &contender{name: "riskscorer" + tags, label: label, note: note, events: events, start: func(ctx context.Context, w work) ([]*process.Process, error) {
		if err := b.ensure(ctx, deadLetters); err != nil {
			return nil, err
		}
		p, err := process.Start(process.Spec{Path: k.service(tags), Log: b.log("riskscorer" + tags), Env: append(os.Environ(),
			"ROLE=stream", "MODEL_PATH="+k.model, "SCHEMA_PINS="+k.pins, "RESULTS_FORMAT=avro", "KAFKA_BROKERS="+w.broker,
			"KAFKA_GROUP="+w.group, "ORDERS_TOPIC="+w.from, "RESULTS_TOPIC="+w.to, "DEAD_LETTERS_TOPIC="+deadLetters,
			"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR="+k.admin(), "METRICS_ADDR=127.0.0.1:0",
		)})
		return all(p), err
	}}
}

// admin is the address of the service's administration: a free port, or the one where a profile is to be taken.
func (k *kit) admin() string {
	if address := os.Getenv("ADMIN_ADDR"); address != "" {
		return address
	}
	return "127.0.0.1:0"
}

// all is nobody after a failed start.
func all(p *process.Process) []*process.Process {
	if p == nil {
		return nil
	}
	return []*process.Process{p}
}
