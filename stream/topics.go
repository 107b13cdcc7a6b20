package stream

import (
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/broker"
)

// Day-long retentions of the topics. Orders can be replayed for a week; results are what the intervention engine
// catches up on; a dead letter waits for a person.
const (
	ordersRetention      = 7 * 24 * time.Hour
	resultsRetention     = 7 * 24 * time.Hour
	deadLettersRetention = 30 * 24 * time.Hour
)

// Topics are the three topics as they should be: orders and results with the given partitions, all of them
// deleted by time and not compacted, since compaction would drop the earlier versions of an order. With three or more
// replicas, two must be in sync to acknowledge. A dead letter is an order and its error: its topic takes larger records.
func Topics(orders string, c Config, partitions, replication int) []broker.TopicSpec {
	inSync := 1
	if replication >= 3 {
		inSync = 2
	}
	spec := func(name string, retention time.Duration, maxMessage int) broker.TopicSpec {
		return broker.TopicSpec{
			Name: name, Partitions: partitions, Replication: replication,
			Configs: map[string]string{
				"cleanup.policy":      "delete",
				"retention.ms":        strconv.FormatInt(retention.Milliseconds(), 10),
				"min.insync.replicas": strconv.Itoa(inSync),
				"max.message.bytes":   strconv.Itoa(maxMessage),
			},
		}
	}
	return []broker.TopicSpec{
		spec(orders, ordersRetention, 1<<20),
		spec(c.ResultsTopic, resultsRetention, 1<<20),
		spec(c.DeadLettersTopic, deadLettersRetention, 2<<20),
	}
}
