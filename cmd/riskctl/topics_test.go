package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

func TestTopicsAreCreatedCheckedAndTheirSchemasRegistered(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	schemaRegistry := srfake.New()
	t.Cleanup(schemaRegistry.Close)
	t.Setenv("KAFKA_BROKERS", cluster.ListenAddrs()[0])
	t.Setenv("SCHEMA_REGISTRY_URL", schemaRegistry.URL())

	flags := []string{"--partitions", "3", "--replication", "1"}
	if code, stdout, _ := riskctl(t, append([]string{"topics", "check"}, flags...)...); code != 1 || strings.Count(stdout, "missing") != 3 {
		t.Errorf("check before: exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ := riskctl(t, append([]string{"topics", "create"}, flags...)...); code != 0 || strings.Count(stdout, "created") != 3 {
		t.Errorf("create: exit code %d\n%s", code, stdout)
	}
	// The topics are there, and the schemas are not yet.
	if code, stdout, stderr := riskctl(t, append([]string{"topics", "check"}, flags...)...); code != 1 || strings.Count(stdout, "not registered") != 2 || !strings.Contains(stderr, "--register") {
		t.Errorf("check without schemas: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := riskctl(t, append([]string{"topics", "create", "--register"}, flags...)...)
	if code != 0 || strings.Count(stdout, "exists") != 3 || strings.Count(stderr, "registered with id") != 2 {
		t.Errorf("create: exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, _ := riskctl(t, append([]string{"topics", "create"}, flags...)...); code != 0 || strings.Count(stdout, "exists") != 3 {
		t.Errorf("create again: exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ := riskctl(t, append([]string{"topics", "check"}, flags...)...); code != 0 {
		t.Errorf("check: exit code %d\n%s", code, stdout)
	}
	code, stdout, _ = riskctl(t, "topics", "check", "--partitions", "6", "--replication", "1", "--json")
	var reports struct {
		Topics []struct {
			Differences []struct{ Setting, Want, Have string }
		}
		Schemas []struct {
			Subject    string
			Registered bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports.Schemas) != 2 || !reports.Schemas[1].Registered || reports.Schemas[1].Subject != "risk-results-value" {
		t.Errorf("schemas: %+v", reports.Schemas)
	}
	if d := reports.Topics[0].Differences; code != 1 || len(d) != 1 || d[0].Setting != "partitions" || d[0].Want != "6" || d[0].Have != "3" {
		t.Errorf("check of 6 partitions: exit code %d, %+v", code, reports)
	}
}

func TestGeneratePublishes(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "order-features"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	t.Setenv("KAFKA_BROKERS", cluster.ListenAddrs()[0])
	if code, _, stderr := riskctl(t, "generate", "--publish", "--orders", "100", "--rate", "1000"); code != 0 || !strings.Contains(stderr, "100 orders published") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("order-features"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	seen := 0
	for seen < 100 {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			if !strings.Contains(string(r.Value), `"order_id":"`+string(r.Key)+`"`) {
				t.Errorf("key %s, value %s", r.Key, r.Value)
			}
			seen++
		}
	}
}
