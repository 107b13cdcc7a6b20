package broker

import "time"

// Record is one Kafka record. A fetched record's slices are valid until the handler that got it returns.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	// Time is the record's timestamp, to the millisecond. Zero on a record to publish means produce time.
	Time    time.Time
	Key     []byte // nil is Kafka's null
	Value   []byte // nil is a tombstone
	Headers []Header
}

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}
