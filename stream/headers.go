package stream

import (
	"strconv"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

// resultHeaders say which record a result came from, and whether it was old by then, and carry its trace on.
func (w *Worker) resultHeaders(source *broker.Record, stale bool) []broker.Header {
	headers := []broker.Header{
		{Key: broker.HeaderSourceTopic, Value: []byte(source.Topic)},
		{Key: broker.HeaderSourcePartition, Value: strconv.AppendInt(nil, int64(source.Partition), 10)},
		{Key: broker.HeaderSourceOffset, Value: strconv.AppendInt(nil, source.Offset, 10)},
	}
	if stale {
		headers = append(headers, broker.Header{Key: broker.HeaderStale, Value: []byte("true")})
	}
	if trace, ok := w.traceparent(source); ok {
		headers = append(headers, broker.Header{Key: broker.HeaderTraceparent, Value: trace})
	}
	return headers
}

// deadLetter is the source record as it came, with headers that say why it is here. A record that was redriven
// keeps the headers of its first error, and its attempts are counted.
func deadLetter(topic string, source *broker.Record, reject *schemas.Reject) broker.Record {
	headers := make([]broker.Header, 0, len(source.Headers)+8)
	for _, h := range source.Headers {
		switch h.Key {
		case broker.HeaderAttempt, broker.HeaderRejectClass:
		default:
			headers = append(headers, h)
		}
	}
	headers = append(headers,
		broker.Header{Key: broker.HeaderRejectClass, Value: []byte(reject.Class)},
		broker.NextAttempt(source.Headers),
	)
	if _, redriven := header(source.Headers, broker.HeaderErrorTopic); !redriven {
		headers = append(headers,
			broker.Header{Key: broker.HeaderErrorTopic, Value: []byte(source.Topic)},
			broker.Header{Key: broker.HeaderErrorPartition, Value: strconv.AppendInt(nil, int64(source.Partition), 10)},
			broker.Header{Key: broker.HeaderErrorOffset, Value: strconv.AppendInt(nil, source.Offset, 10)},
			broker.Header{Key: broker.HeaderErrorStage, Value: []byte(reject.Stage)},
			broker.Header{Key: broker.HeaderErrorExceptionClass, Value: []byte(reject.Class)},
			broker.Header{Key: broker.HeaderErrorExceptionMessage, Value: []byte(reject.Detail)},
		)
	}
	return broker.Record{Topic: topic, Key: source.Key, Value: source.Value, Headers: headers}
}

func header(headers []broker.Header, key string) ([]byte, bool) {
	for _, h := range headers {
		if h.Key == key {
			return h.Value, true
		}
	}
	return nil, false
}
