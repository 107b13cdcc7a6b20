package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

const demoBundle = "../../models/trendbuy_xgb_v1.0.0"

// store returns a store that holds the demo bundle, and its digest.
func store(t *testing.T) (dir, digest string) {
	t.Helper()
	b, err := bundle.Open(demoBundle, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, b.Digest.String()), os.DirFS(demoBundle)); err != nil {
		t.Fatal(err)
	}
	return dir, b.Digest.String()
}

// candidate is the demo bundle with a higher threshold of MEDIUM.
func candidate(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "candidate")
	if err := os.CopyFS(dir, os.DirFS(demoBundle)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte(`"medium": 0.4`), []byte(`"medium": 0.6499`), 1)
	if bytes.Equal(text, changed) {
		t.Fatal("the manifest has another threshold")
	}
	if err := os.WriteFile(name, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.WriteSums(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeEvents writes n orders, of which one is broken and one a tombstone, to two partitions, and has the demo model's
// results published by a backfill. It returns the good orders' ids.
func writeEvents(t *testing.T, client *kgo.Client, n int) []string {
	t.Helper()
	g := ordergen.New(ordergen.Config{Seed: 11})
	var ids []string
	for i := range n {
		o := g.Next()
		r := &kgo.Record{Topic: ordersTopic, Partition: int32(broker.PartitionOf([]byte(o.ID), 2)), Key: []byte(o.ID), Value: o.AppendJSON(nil)}
		switch i {
		case 3:
			r.Value = []byte(`{"order_id":"` + o.ID + `","features":{}}`)
		case 4:
			r.Value = nil
		default:
			ids = append(ids, o.ID)
		}
		write(t, client, r)
	}
	code, stdout, stderr := riskctl(t, "replay", "--since", "1h", "--bundle", demoBundle, "--to", resultsTopic)
	if code != 0 || !strings.Contains(stdout, fmt.Sprintf("%d results published to risk-results, 1 events refused, 1 tombstones", n-2)) ||
		!strings.Contains(stdout, "refused, feature_missing: 1") {
		t.Fatalf("backfill: exit code %d\n%s%s", code, stdout, stderr)
	}
	return ids
}

func TestReplaySaysIdentical(t *testing.T) {
	_, client := startCluster(t, 2)
	dir, _ := store(t)
	t.Setenv("BUNDLE_STORE", dir)
	ids := writeEvents(t, client, 60)
	code, stdout, stderr := riskctl(t, "replay", "--since", "1h")
	if code != 0 || stdout != "60 events: 58 identical, 0 different, 1 without a result, 1 tombstones\n" {
		t.Errorf("all: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = riskctl(t, "replay", "--order-id", ids[7], "--order-id", ids[30])
	if code != 0 || strings.Count(stdout, "identical  (") != 2 || !strings.Contains(stdout, ids[7]) || !strings.Contains(stdout, "2 events: 2 identical") {
		t.Errorf("two orders: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = riskctl(t, "replay", "--partition", "1", "--offset", "2", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var v verdictView
	if err := json.Unmarshal([]byte(lines[0]), &v); err != nil || code != 0 || len(lines) != 2 {
		t.Fatalf("JSON: exit code %d, %v\n%s", code, err, stdout)
	}
	if v.Outcome != "identical" || v.Partition != 1 || v.Offset != 2 || !strings.Contains(string(v.Result.Value), `"order_id":"`+v.Key+`"`) || !strings.Contains(lines[1], `"identical":1`) {
		t.Errorf("JSON: %+v\n%s", v, lines[1])
	}
	code, stdout, _ = riskctl(t, "replay", "--partition", "0", "--from", "2", "--end", "12")
	if code != 0 || !strings.HasPrefix(stdout, "10 events: ") {
		t.Errorf("a range: exit code %d\n%s", code, stdout)
	}
}

func TestReplayShowsDifferences(t *testing.T) {
	cluster, client := startCluster(t, 2)
	dir, digest := store(t)
	t.Setenv("BUNDLE_STORE", dir)
	ids := writeEvents(t, client, 20)
	// The same event again, with a result that nobody computed.
	_, stdout, _ := riskctl(t, "replay", "--order-id", ids[0], "--json")
	var good verdictView
	if err := json.Unmarshal([]byte(strings.Split(stdout, "\n")[0]), &good); err != nil {
		t.Fatal(err)
	}
	again := func(id, old, with string) (at string) {
		t.Helper()
		event := &kgo.Record{Topic: ordersTopic, Partition: int32(good.Partition), Key: []byte(id), Value: []byte("{}")}
		write(t, client, event)
		value := bytes.Replace(good.Result.Value, []byte(old), []byte(with), 1)
		if bytes.Equal(value, good.Result.Value) {
			t.Fatalf("the result has no %s", old)
		}
		write(t, client, &kgo.Record{
			Topic: resultsTopic, Partition: int32(broker.PartitionOf([]byte(id), 2)), Key: []byte(id), Value: value,
			Headers: []kgo.RecordHeader{
				{Key: "riskscorer.source.topic", Value: []byte(ordersTopic)},
				{Key: "riskscorer.source.partition", Value: fmt.Append(nil, event.Partition)},
				{Key: "riskscorer.source.offset", Value: fmt.Append(nil, event.Offset)},
			},
		})
		return fmt.Sprint(event.Offset)
	}
	partition := fmt.Sprint(good.Partition)
	for _, test := range []struct {
		old, with, says string
		want            int
	}{
		{`"event_version"`, `"x":1,"event_version"`, "the model refuses the event: order_id: /order_id is required and missing", 1},
		{forest.EngineID, "forest/0", "it was computed by engine forest/0, and this riskctl has " + forest.EngineID + " and " + leaves.EngineID, 3},
		{digest, strings.Repeat("ab", 32), "the bundle store does not hold this bundle", 3},
		{digest, "../../etc", "is not a model digest", 3},
	} {
		offset := again(ids[1], test.old, test.with)
		code, stdout, stderr := riskctl(t, "replay", "--partition", partition, "--offset", offset)
		if code != test.want || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", test.with, code, test.want, test.says, stdout, stderr)
		}
	}
	tampered(t, cluster, client, ids[0], good)
}

// tampered writes a true event with a false result, and wants the field named.
func tampered(t *testing.T, cluster *kfake.Cluster, client *kgo.Client, id string, good verdictView) {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		ordersTopic: {int32(good.Partition): kgo.NewOffset().At(good.Offset)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	event := reader.PollRecords(t.Context(), 1).Records()[0]
	event = &kgo.Record{Topic: ordersTopic, Partition: event.Partition, Key: event.Key, Value: event.Value}
	write(t, client, event)
	write(t, client, &kgo.Record{
		Topic: resultsTopic, Partition: int32(broker.PartitionOf([]byte(id), 2)), Key: []byte(id),
		Value: bytes.Replace(good.Result.Value, []byte(`"explanation":"EXACT"`), []byte(`"explanation":"GLOBAL"`), 1),
		Headers: []kgo.RecordHeader{
			{Key: "riskscorer.source.topic", Value: []byte(ordersTopic)},
			{Key: "riskscorer.source.partition", Value: fmt.Append(nil, event.Partition)},
			{Key: "riskscorer.source.offset", Value: fmt.Append(nil, event.Offset)},
		},
	})
	code, stdout, stderr := riskctl(t, "replay", "--order-id", id, "--since", "1h")
	if code != 1 || !strings.Contains(stdout, "  /explanation: recorded GLOBAL, recomputed EXACT\n") || !strings.Contains(stderr, "1 decisions are different") {
		t.Errorf("tampered: exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestReplayWithAnotherModelCountsBands(t *testing.T) {
	_, client := startCluster(t, 2)
	ids := writeEvents(t, client, 200)
	other := candidate(t)
	code, stdout, stderr := riskctl(t, "replay", "--since", "1h", "--bundle", other, "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 201 {
		t.Fatalf("exit code %d, %d lines\n%s", code, len(lines), stderr)
	}
	changed, medium := 0, 0
	for _, line := range lines[:200] {
		var c struct {
			BandChanged bool `json:"band_changed"`
			Result      *struct {
				Value struct {
					RiskBand  string  `json:"risk_band"`
					RiskScore float64 `json:"risk_score"`
				}
			}
			Decision *struct {
				RiskBand  string  `json:"risk_band"`
				RiskScore float64 `json:"risk_score"`
			}
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.BandChanged {
			changed++
			if c.Result.Value.RiskBand != "MEDIUM" || c.Decision.RiskBand != "LOW" || c.Result.Value.RiskScore != c.Decision.RiskScore {
				t.Errorf("changed: %s", line)
			}
		}
		if c.Result != nil && c.Result.Value.RiskBand == "MEDIUM" {
			medium++
		}
	}
	if changed == 0 || changed != medium || !strings.Contains(lines[200], fmt.Sprintf(`"changed":%d`, changed)) {
		t.Errorf("%d of %d changed: %s", changed, medium, lines[200])
	}
	code, stdout, _ = riskctl(t, "replay", "--since", "1h", "--bundle", other, "--limit", "2")
	if code != 0 || strings.Count(stdout, "MEDIUM 0.") != 2 || !strings.Contains(stdout, fmt.Sprintf("200 events: %d bands changed, 1 refused, 0 without a result, 1 tombstones", changed)) {
		t.Errorf("table: exit code %d\n%s", code, stdout)
	}
	code, stdout, _ = riskctl(t, "replay", "--order-id", ids[0], "--bundle", other)
	if code != 0 || !strings.Contains(stdout, "feature_") || !strings.Contains(stdout, " -> ") {
		t.Errorf("one order: exit code %d\n%s", code, stdout)
	}
}

func TestReplayRefusesWhatMakesNoSense(t *testing.T) {
	startCluster(t, 2)
	for args, want := range map[string]int{
		"":                                       2,
		"--offset 1":                             2,
		"--partition 0 --partition 1 --from 0":   2,
		"--partition 0 --from 9 --end 3":         2,
		"--order-id A --partition 0":             2,
		"--since soon --bundle " + demoBundle:    2,
		"--since 1h":                             2, // no store
		"--since 1h --to elsewhere":              2,
		"--order-id A --bundle x --to elsewhere": 2,
		"--since 1h --bundle " + demoBundle + " --to " + ordersTopic:        2,
		"--partition 7 --from 0 --bundle " + demoBundle:                     2,
		"--since 1h --search-limit 0":                                       2,
		"--since 1h --bundle no-such-bundle":                                3,
		"--since 1h --limit -1":                                             2,
		"--partition 0 --offset 0 --bundle " + demoBundle:                   1,
		"--partition 0 --from 5 --bundle " + demoBundle:                     1,
		"--order-id A --bundle " + demoBundle:                               1,
		"--since 1h --topic absent --bundle " + demoBundle:                  3,
		"--partition 0 --from 0 --bundle " + demoBundle + " --to elsewhere": 0, // nothing to publish
	} {
		if code, stdout, stderr := riskctl(t, append([]string{"replay"}, strings.Fields(args)...)...); code != want || code != 0 && stderr == "" {
			t.Errorf("replay %s: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
	}
}
