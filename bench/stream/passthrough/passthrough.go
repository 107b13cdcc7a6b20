// Package passthrough provides three ways to copy a topic, record by record, by the record's key: a bare loop on raw
// requests, which is the bar; riskscorer's own consumer and producer; and franz-go. All three are idempotent, ask for the
// acknowledgement of all replicas, compress nothing, and commit only what is acknowledged.
package passthrough

import (
	"context"
	"time"
)

// Bounds that all three share.
const (
	fetchBytes  = 1 << 20
	commitEvery = 150 * time.Millisecond
)

// Job says what to copy. The topics exist, and To has as many partitions as From.
type Job struct {
	Broker     string // host:port
	From, To   string // topics
	Partitions int    // of each
	Group      string // the consumer group whose offsets are committed
	// Batch is how many records riskscorer's consumer hands to a handler at once: BATCH_MAX_RECORDS. The others batch by
	// what a fetch brings.
	Batch int
}

// Copiers are the three ways by name. Each copies until ctx ends, which is no error.
func Copiers() map[string]func(ctx context.Context, job Job) error {
	return map[string]func(context.Context, Job) error{"raw": Raw, "riskscorer": Ours, "franz": Franz}
}
