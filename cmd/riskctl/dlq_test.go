package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

// letter is a dead letter as the stream writes it.
func letter(partition int32, key, value string, class schemas.RejectClass, attempt int, at time.Time) *kgo.Record {
	return &kgo.Record{
		Topic: lettersTopic, Partition: partition, Key: []byte(key), Value: []byte(value), Timestamp: at,
		Headers: []kgo.RecordHeader{
			{Key: "upstream", Value: []byte{0xff}},
			{Key: "nothing"},
			{Key: "riskscorer.reject.class", Value: []byte(class)},
			{Key: "riskscorer.attempt", Value: fmt.Append(nil, attempt)},
			{Key: "__connect.errors.topic", Value: []byte(ordersTopic)},
			{Key: "__connect.errors.partition", Value: []byte("1")},
			{Key: "__connect.errors.offset", Value: []byte("41")},
			{Key: "__connect.errors.stage", Value: []byte("TRANSFORMATION")},
			{Key: "__connect.errors.exception.message", Value: []byte("/features/feature_discount_pct is outside its allowed range [0, 1]\x1b[31m")},
		},
	}
}

// avroEvent is an event with a feature's value that nothing may show unasked, and pins that know its schema.
func avroEvent(t *testing.T) (value []byte, pins string) {
	t.Helper()
	encoder, err := schemas.NewAvroOrders(7)
	if err != nil {
		t.Fatal(err)
	}
	value, err = encoder.AppendTo(nil, &schemas.OrderEvent{OrderID: "ORD_2", OccurredAt: time.UnixMilli(0), Features: []schemas.FeatureValue{{Name: "feature_discount_pct", Number: 31.25}}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"7": schemas.OrderFeaturesSchema})
	if err != nil {
		t.Fatal(err)
	}
	pins = filepath.Join(t.TempDir(), "pins.json")
	if err := os.WriteFile(pins, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return value, pins
}

// writeLetters writes four letters, an hour apart, and returns the time of the first.
func writeLetters(t *testing.T, client *kgo.Client) time.Time {
	t.Helper()
	value, pins := avroEvent(t)
	t.Setenv("SCHEMA_PINS", pins)
	begin := time.Now().Add(-4 * time.Hour).UTC().Truncate(time.Millisecond)
	unkeyed := letter(1, "", string(value), schemas.RejectFeatureRange, 2, begin.Add(2*time.Hour))
	unkeyed.Key = nil
	binary := letter(1, "\xff\x00", `no "event`, schemas.RejectFrame, 1, begin.Add(3*time.Hour))
	write(t, client, letter(0, "ORD_1", `{"order_id":"ORD_1","features":{"feature_discount_pct":31.25}}`, schemas.RejectFeatureRange, 1, begin))
	write(t, client, letter(0, "ORD_2", string(value), schemas.RejectFeatureRange, 3, begin.Add(time.Hour)))
	write(t, client, unkeyed)
	write(t, client, binary)
	return begin
}

func TestDLQList(t *testing.T) {
	_, client := startCluster(t, 2)
	begin := writeLetters(t, client)
	for _, test := range []struct {
		args string
		want string // the letters
	}{
		{"", "0/0 0/1 1/0 1/1"},
		{"--class feature_range", "0/0 0/1 1/0"},
		{"--class feature_range --class frame --partition 1", "1/0 1/1"},
		{"--order ORD_2", "0/1 1/0"},
		{"--since 150m", "1/0 1/1"},
		{"--until " + begin.Add(time.Hour).Format(time.RFC3339Nano), "0/0"},
		{"--limit 3", "0/0 0/1 1/0"},
		{"--order ORD_3", ""},
	} {
		code, stdout, stderr := riskctl(t, append([]string{"dlq", "list"}, strings.Fields(test.args)...)...)
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(stdout), "\n")[1:] {
			got = append(got, strings.Fields(line)[0])
		}
		if code != 0 || strings.Join(got, " ") != test.want {
			t.Errorf("list %s: exit code %d, %v, want %s\n%s%s", test.args, code, got, test.want, stdout, stderr)
		}
		if strings.Contains(stdout, "31.25") || strings.Contains(stdout, "\x1b") {
			t.Errorf("list %s shows a feature's value or a control character:\n%s", test.args, stdout)
		}
	}
	_, stdout, _ := riskctl(t, "dlq", "list", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var first, last letterView
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(lines[3]), &last); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 4 || *first.Key != "ORD_1" || !first.Time.Equal(begin) || first.Attempt != 1 || first.Class != schemas.RejectFeatureRange ||
		*first.Source != (sourceView{ordersTopic, 1, 41}) || first.Stage != "TRANSFORMATION" || last.Key != nil || last.KeyHex != "ff00" || last.ValueBytes != 9 {
		t.Errorf("JSON:\n%s", stdout)
	}
}

func TestDLQShow(t *testing.T) {
	_, client := startCluster(t, 2)
	writeLetters(t, client)
	_, stdout, _ := riskctl(t, "dlq", "show", "0/1")
	for _, want := range []string{
		"partition 0 offset 1", "feature_range", "order-features partition 1 offset 41, stage TRANSFORMATION", "ORD_2",
		"Avro of schema 7", "header upstream", "hex ff", "is outside its allowed range",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "31.25") || strings.Contains(stdout, "\x1b") {
		t.Errorf("it shows a feature's value or a control character:\n%s", stdout)
	}
	for args, want := range map[string]string{
		"0/0 --value":        `"feature_discount_pct": 31.25`,
		"0/1 --value":        `"feature_discount_pct": 31.25`,
		"0/1 --value --json": `"feature_discount_pct": 31.25`,
		"1/1 --hex":          "6e 6f 20 22 65 76 65 6e  74",
		"1/1 --hex --json":   `"value_hex": "6e6f20226576656e74"`,
		"1/0 --json":         `"key": null`,
		"1/1 --value":        "neither Avro in Confluent framing nor a JSON object; --hex shows its bytes",
		"1/1 --value --json": `"opaque": "the value cannot be decoded`,
	} {
		if code, stdout, stderr := riskctl(t, append([]string{"dlq", "show"}, strings.Fields(args)...)...); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("show %s: exit code %d, no %q in\n%s%s", args, code, want, stdout, stderr)
		}
	}
	for args, want := range map[string]int{"0/2": 1, "9/0": 2, "0": 2, "x/1": 2, "0/-1": 2} {
		if code, stdout, stderr := riskctl(t, append([]string{"dlq", "show"}, strings.Fields(args)...)...); code != want || stdout != "" || stderr == "" {
			t.Errorf("show %s: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestDLQRedrive(t *testing.T) {
	cluster, client := startCluster(t, 2)
	writeLetters(t, client)
	held := func() (n int64) {
		for p := range int32(2) {
			n += cluster.PartitionInfo(ordersTopic, p).HighWatermark
		}
		return n
	}
	code, stdout, stderr := riskctl(t, "dlq", "redrive", "--class", "feature_range", "--dry-run")
	if code != 0 || !strings.Contains(stdout, "WOULD BE REDRIVEN") || held() != 0 {
		t.Errorf("dry run: exit code %d, %d published\n%s%s", code, held(), stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "position.json")
	redrive := []string{"dlq", "redrive", "--class", "feature_range", "--since", "24h", "--position", file}
	if code, stdout, stderr = riskctl(t, append(redrive, "--limit", "1")...); code != 0 || held() != 1 {
		t.Errorf("one letter: exit code %d, %d published\n%s%s", code, held(), stdout, stderr)
	}
	if code, _, stderr = riskctl(t, "dlq", "redrive", "--class", "frame", "--position", file); code != 2 || !strings.Contains(stderr, "other filters") {
		t.Errorf("with another filter: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr = riskctl(t, append(redrive, "--json")...)
	var summary struct {
		Total   struct{ Redriven, Exhausted int }
		Classes map[string]struct{ Redriven, Exhausted int }
	}
	if err := json.Unmarshal([]byte(stdout), &summary); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if of := summary.Classes["feature_range"]; code != 0 || of.Redriven != 1 || of.Exhausted != 1 || summary.Total != of || held() != 2 {
		t.Errorf("the rest: exit code %d, %d published, %+v", code, held(), summary)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the position is still there: %v", err)
	}
	for _, args := range []string{"--max-attempts 0", "--rate 0", "--rate -1", "--limit -1", "--class none", "--since soon", "--partition 7"} {
		if code, stdout, stderr := riskctl(t, append([]string{"dlq", "redrive"}, strings.Fields(args)...)...); code != 2 || stdout != "" {
			t.Errorf("redrive %s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	t.Setenv("ORDERS_TOPIC", "absent")
	if code, stdout, stderr := riskctl(t, "dlq", "redrive", "--position", file); code != 3 || !strings.Contains(stderr, "run the same command again") {
		t.Errorf("no topic of orders: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// TestDLQRedriveGoesOnAfterAnInterruption ends a redrive as Ctrl-C does, and runs it again.
func TestDLQRedriveGoesOnAfterAnInterruption(t *testing.T) {
	cluster, client := startCluster(t, 2)
	const n, batch = 60, 10
	for i := range n {
		write(t, client, letter(int32(i%2), fmt.Sprint("ORD_", i), fmt.Sprint(i), schemas.RejectFrame, 1, time.Now()))
	}
	file := filepath.Join(t.TempDir(), "position.json")
	args := []string{"dlq", "redrive", "--rate", fmt.Sprint(10 * batch), "--position", file, "--json"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	root := newRoot()
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	done := make(chan int)
	go func() { done <- run(ctx, root, args) }()
	for { // until some are out, by the file
		at, err := deadletter.Load(file)
		if err != nil {
			t.Error(err)
		}
		if at != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if code := <-done; code != 3 || !strings.Contains(stderr.String(), "run the same command again to go on") || !strings.Contains(stdout.String(), `"redriven"`) {
		t.Fatalf("interrupted: exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	if code, stdout, stderr := riskctl(t, args...); code != 0 {
		t.Fatalf("again: exit code %d\n%s%s", code, stdout, stderr)
	}
	held := cluster.PartitionInfo(ordersTopic, 0).HighWatermark + cluster.PartitionInfo(ordersTopic, 1).HighWatermark
	if held < n || held > n+batch {
		t.Errorf("%d records for %d letters", held, n)
	}
}
