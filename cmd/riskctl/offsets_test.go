package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestOffsetsAreShownAndSet(t *testing.T) {
	cluster, client := startCluster(t, 2)
	begin := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Minute)
	for i := range 10 {
		write(t, client, &kgo.Record{Topic: ordersTopic, Partition: 1, Value: []byte("v"), Timestamp: begin.Add(time.Duration(i) * time.Minute)})
	}
	if err := cluster.DeleteRecords(ordersTopic, 1, 2); err != nil {
		t.Fatal(err)
	}
	committed := func() offsetView {
		t.Helper()
		code, stdout, stderr := riskctl(t, "offsets", "show", "--json")
		var v offsetsView
		if err := json.Unmarshal([]byte(stdout), &v); code != 0 || err != nil || len(v.Partitions) != 2 || v.Group != "riskscorer" {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
		}
		return v.Partitions[1]
	}
	if got := committed(); got != (offsetView{Partition: 1, Committed: -1, Start: 2, End: 10, Lag: 8}) {
		t.Errorf("before: %+v", got)
	}
	for _, test := range []struct {
		to, says string
		want     int64
	}{
		{"latest", "from none to 10: the group starts there", 10},
		{"earliest", "from 10 to 2: 8 offsets are read again", 2},
		{"7", "from 2 to 7: 5 offsets are not read", 7},
		{"7", "nothing changes", 7},
		{begin.Add(5 * time.Minute).Format(time.RFC3339), "from 7 to 5", 5},
		{begin.Add(48 * time.Hour).Format(time.DateOnly), "from 5 to 10", 10},
		{"1h", "from 10 to 10", 10},
	} {
		before := committed().Committed
		if code, stdout, stderr := riskctl(t, "offsets", "set", "--partition", "1", "--to", test.to, "--dry-run"); code != 0 || !strings.Contains(stdout, "would be set") || committed().Committed != before {
			t.Errorf("dry run to %s: exit code %d, %s%s", test.to, code, stdout, stderr)
		}
		if code, stdout, stderr := riskctl(t, "offsets", "set", "--partition", "1", "--to", test.to); code != 0 || !strings.Contains(stdout, test.says) {
			t.Errorf("to %s: exit code %d, %s%s", test.to, code, stdout, stderr)
		}
		if got := committed().Committed; got != test.want {
			t.Errorf("to %s: %d is committed", test.to, got)
		}
	}
	_, table, _ := riskctl(t, "offsets", "show")
	if !strings.Contains(table, "group riskscorer on order-features, 0 members") || !strings.Contains(table, "none") || !strings.Contains(table, "in all") {
		t.Error(table)
	}
}

func TestOffsetsAreNotSetUnderAMember(t *testing.T) {
	cluster, client := startCluster(t, 1)
	write(t, client, &kgo.Record{Topic: ordersTopic, Value: []byte("v")})
	member, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumerGroup("riskscorer"), kgo.ConsumeTopics(ordersTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	member.PollFetches(t.Context())
	code, stdout, stderr := riskctl(t, "offsets", "set", "--partition", "0", "--to", "earliest")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "has 1 members: stop its processes first") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

func TestOffsetsRefuseWhatMakesNoSense(t *testing.T) {
	startCluster(t, 2)
	for _, args := range [][]string{
		{"--to", "earliest"},
		{"--partition", "0"},
		{"--partition", "2", "--to", "earliest"},
		{"--partition", "0", "--to", "1"},
		{"--partition", "0", "--to", "-1"},
		{"--partition", "0", "--to", "someday"},
		{"--partition", "0", "--to", ""},
	} {
		if code, stdout, stderr := riskctl(t, append([]string{"offsets", "set"}, args...)...); code != 2 || stdout != "" || stderr == "" {
			t.Errorf("%v: exit code %d, %s%s", args, code, stdout, stderr)
		}
	}
	t.Setenv("ORDERS_TOPIC", "absent")
	if code, _, stderr := riskctl(t, "offsets", "show"); code != 3 || !strings.Contains(stderr, "topic does not exist") {
		t.Errorf("no topic: exit code %d, %s", code, stderr)
	}
}
