package consumer

import (
	"errors"
	"fmt"
	"time"
)

// Where a partition starts that the group never committed.
const (
	ResetEarliest = "earliest"
	ResetLatest   = "latest"
	ResetNone     = "none" // the partition stays paused until an operator commits an offset
)

// Config says what to read and within which bounds. Each field names its environment variable.
type Config struct {
	Group          string        `env:"KAFKA_GROUP, default=riskscorer" help:"consumer group"`
	Topic          string        `env:"ORDERS_TOPIC, default=order-features" help:"topic of order events"`
	OffsetReset    string        `env:"OFFSET_RESET, default=earliest" help:"where a group without a committed offset starts: earliest, latest, or none (wait for an operator); one that the log no longer holds always waits"`
	SessionTimeout time.Duration `env:"KAFKA_SESSION_TIMEOUT, default=10s" help:"how long a silent process keeps its partitions"`
	// DrainTimeout bounds what a batch under way may take after its partition was taken away or the process was told to
	// stop. It is below the session time-out, after which another member may already read the same records.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT, default=8s" help:"bounds the work under way at a stop or rebalance; below KAFKA_SESSION_TIMEOUT"`

	// HandleTimeout bounds one attempt at a batch. A handler that waits for something broken returns its error long before.
	HandleTimeout time.Duration `env:"HANDLE_TIMEOUT, default=2m" help:"how long one attempt at a batch may take before this process leaves the group, so that another takes over; 0 is for ever"`

	FetchMaxBytes int           `env:"FETCH_MAX_BYTES, default=1048576" help:"bytes of one fetch, compressed"` // of one fetch, compressed
	FetchMaxWait  time.Duration `env:"FETCH_MAX_WAIT, default=500ms" help:"how long a fetch waits for records when there are none"`
	// MemoryLimit bounds what the assigned partitions' records take, in bytes: see Memory. 0 is no limit.
	MemoryLimit  int `env:"STREAM_MEMORY_LIMIT, default=268435456" help:"bytes that the records under way may take: with many partitions, fetches and batches become smaller (docs/memory.md)"`
	BatchRecords int `env:"BATCH_MAX_RECORDS, default=500" help:"records that are scored and published together"` // given to a handler at once
}

// Validate names the variable of each setting that makes no sense or contradicts another.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Group != "", "KAFKA_GROUP: must not be empty")
	check(c.Topic != "", "ORDERS_TOPIC: must not be empty")
	switch c.OffsetReset {
	case ResetEarliest, ResetLatest, ResetNone:
	default:
		check(false, "OFFSET_RESET: %q is not earliest, latest or none", c.OffsetReset)
	}
	check(c.SessionTimeout >= time.Second && c.SessionTimeout <= 30*time.Minute, "KAFKA_SESSION_TIMEOUT: %v is not in [1s, 30m]", c.SessionTimeout)
	check(c.DrainTimeout > 0, "DRAIN_TIMEOUT: %v is not positive", c.DrainTimeout)
	check(c.DrainTimeout < c.SessionTimeout, "DRAIN_TIMEOUT: %v is not below KAFKA_SESSION_TIMEOUT, %v", c.DrainTimeout, c.SessionTimeout)
	check(c.HandleTimeout == 0 || c.HandleTimeout > c.DrainTimeout, "HANDLE_TIMEOUT: %v is neither 0 nor above DRAIN_TIMEOUT, %v", c.HandleTimeout, c.DrainTimeout)
	check(c.FetchMaxBytes >= 1024 && c.FetchMaxBytes <= 64<<20, "FETCH_MAX_BYTES: %d is not in [1024, 64 MiB]", c.FetchMaxBytes)
	check(c.MemoryLimit == 0 || c.MemoryLimit >= 16<<20, "STREAM_MEMORY_LIMIT: %d is neither 0 nor at least 16 MiB", c.MemoryLimit)
	check(c.FetchMaxWait >= time.Millisecond && c.FetchMaxWait <= time.Minute, "FETCH_MAX_WAIT: %v is not in [1ms, 1m]", c.FetchMaxWait)
	check(c.BatchRecords >= 1 && c.BatchRecords <= 100_000, "BATCH_MAX_RECORDS: %d is not in [1, 100000]", c.BatchRecords)
	return errors.Join(errs...)
}

// heartbeat leaves four chances within a session.
func (c Config) heartbeat() time.Duration { return min(2*time.Second, c.SessionTimeout/5) }
