package broker

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
