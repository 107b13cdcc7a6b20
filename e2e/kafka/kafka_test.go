//go:build e2e

package kafka_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/e2e/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBrokerStartsAndSurvivesKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the first run downloads
	defer cancel()
	node, err := kafka.Start(ctx, t.TempDir(), filepath.Join(t.ArtifactDir(), "kafka.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	client, err := kgo.NewClient(kgo.SeedBrokers(node.Address()), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}

	for _, value := range []string{"before the kill", "after the kill"} {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		node.Kill()
		start := time.Now()
		if err := node.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("restarted in %s", time.Since(start).Round(time.Millisecond))
		if got := next(ctx, t, client); got != value {
			t.Errorf("read %q, want %q", got, value)
		}
	}
	if err := node.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// next returns the value of the next record; errors of a broker that is just back are the client's to retry.
func next(ctx context.Context, t *testing.T, client *kgo.Client) string {
	t.Helper()
	for {
		fetches := client.PollRecords(ctx, 1)
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		if records := fetches.Records(); len(records) > 0 {
			return string(records[0].Value)
		}
	}
}

func TestMissingJavaIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := kafka.Start(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "log"))
	if err == nil || err.Error() != "java is not in PATH: the Kafka broker needs it" {
		t.Errorf("error %v", err)
	}
}
