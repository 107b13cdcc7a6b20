package consumer

import "github.com/trendbuy/riskscorer/broker"

const (
	// recordMemory is what a record of a batch takes while it is scored and published, in bytes: the order and its row,
	// the decision, the result and its copy in a record batch.
	recordMemory = 4 << 10
	// minFetchBytes keeps a fetch worth its round trip.
	minFetchBytes = 16 << 10
	// fetchMemory is what a partition holds of its fetches, in fetches' sizes: two of them, the one that is handled and
	// the one ahead, each with the answer and what is made of it; and the copy of a batch that is all dead letters.
	fetchMemory = 2*(1+broker.FetchExpansion) + broker.FetchExpansion
)

// Memory is how a stream that is assigned some partitions keeps within MemoryLimit.
type Memory struct {
	FetchBytes   int   // of one fetch, at most FETCH_MAX_BYTES
	BatchRecords int   // of one batch, at most BATCH_MAX_RECORDS
	Bound        int64 // of what is live at once: partitions x (14 x FetchBytes + 4 KiB x BatchRecords)
}

// Memory returns the sizes for a number of assigned partitions. Half of a partition's share goes to the batch at most,
// the rest to the fetches; neither goes below what makes sense, so that for very many partitions Bound is over the limit.
func (c Config) Memory(partitions int) Memory {
	m := Memory{FetchBytes: c.FetchMaxBytes, BatchRecords: c.BatchRecords}
	partitions = max(1, partitions)
	if c.MemoryLimit > 0 {
		share := c.MemoryLimit / partitions
		m.BatchRecords = max(1, min(m.BatchRecords, share/2/recordMemory))
		m.FetchBytes = min(m.FetchBytes, max(minFetchBytes, (share-m.BatchRecords*recordMemory)/fetchMemory))
	}
	m.Bound = int64(partitions) * (fetchMemory*int64(m.FetchBytes) + recordMemory*int64(m.BatchRecords))
	return m
}
