package broker

import (
	"errors"
	"math"
	"strconv"
)

// Names of the record headers that riskscorer writes; every value is text.
const (
	HeaderSourceTopic     = "riskscorer.source.topic"
	HeaderSourcePartition = "riskscorer.source.partition"
	HeaderSourceOffset    = "riskscorer.source.offset"
	// HeaderStale is "true" on the result of an event that was older than MAX_EVENT_AGE when it was scored.
	HeaderStale       = "riskscorer.stale"
	HeaderRejectClass = "riskscorer.reject.class"
	HeaderAttempt     = "riskscorer.attempt" // 1 for a first dead letter, one more for each redrive
	HeaderTraceparent = "traceparent"        // W3C Trace Context
)

// Names of the dead letter headers that Kafka Connect's tools understand.
const (
	HeaderErrorTopic            = "__connect.errors.topic"
	HeaderErrorPartition        = "__connect.errors.partition"
	HeaderErrorOffset           = "__connect.errors.offset"
	HeaderErrorStage            = "__connect.errors.stage"
	HeaderErrorExceptionClass   = "__connect.errors.exception.class.name"
	HeaderErrorExceptionMessage = "__connect.errors.exception.message"
)

// Attempt returns how often a record was refused, by its headers: the largest count among those of HeaderAttempt, since
// whoever adds one without taking the others away must not make a redrive begin anew. A count that is no positive number was
// not ours; one that is too large for an int32 is the largest of them. 0 is none.
func Attempt(headers []Header) int {
	most := int64(0)
	for i := range headers {
		if headers[i].Key != HeaderAttempt {
			continue
		}
		if n, err := strconv.ParseInt(string(headers[i].Value), 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
			most = max(most, n)
		}
	}
	return int(most)
}

// NextAttempt returns the header of one refusal more than the headers count.
func NextAttempt(headers []Header) Header {
	n := min(Attempt(headers), math.MaxInt32-1) + 1
	return Header{Key: HeaderAttempt, Value: strconv.AppendInt(nil, int64(n), 10)}
}
