package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Kind is what is wrong, from a closed set: it is a metric label and the first word of a pause reason.
type Kind uint8

// The kinds of error. The zero Kind is every error that has no other.
const (
	KindOther         Kind = iota
	KindUnreachable        // no connection to a broker
	KindTimeout            // connected, but no answer in time: the outcome is unknown
	KindTLS                // the handshake failed
	KindNotAuthorized      // wrong credentials, or no right to the topic or group
	KindTopicMissing       // the topic or partition does not exist, or may not be seen
	KindNoLeader           // the partition's leader is moving or unknown
	KindReplicas           // too few replicas in sync to acknowledge
	KindOutOfRange         // the offset is not in the log
	KindCorrupt            // the bytes do not match their checksum or do not decode
	KindTooLarge           // the topic takes no batch of this size, or a fetch no record
	KindSequence           // the broker refuses the producer id, epoch or sequence
	KindRefused            // the broker refuses the request for good
)

var kindNames = [...]string{
	"other", "unreachable", "timeout", "tls", "not_authorized", "topic_missing", "no_leader", "replicas",
	"out_of_range", "corrupt", "too_large", "sequence", "refused",
}

// String returns the kind as a metric label.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindOther]
}

// Passing says whether what fails in this way may mend itself, so that a tool tries again for a while.
func (k Kind) Passing() bool {
	switch k {
	case KindUnreachable, KindTimeout, KindNoLeader, KindReplicas, KindSequence:
		return true
	default:
		return false
	}
}

// KindOf returns the kind of the first *Error in err's chain, KindOther if there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindOther
}

// Error is a failed call to Kafka. Its text is written to be shown to an operator.
type Error struct {
	Kind    Kind
	Op      string // what was tried, for example "fetch order-features/3"
	Brokers string // the configured addresses
	Err     error
}

// Error says in plain words what the process waits for, then the cause.
func (e *Error) Error() string {
	switch e.Kind {
	case KindUnreachable:
		return fmt.Sprintf("waiting for Kafka at %s: %s: %v", e.Brokers, e.Op, e.Err)
	case KindTimeout:
		return fmt.Sprintf("no answer from Kafka at %s: %s: %v", e.Brokers, e.Op, e.Err)
	case KindTLS:
		return fmt.Sprintf("TLS with Kafka at %s failed: %s: %v", e.Brokers, e.Op, e.Err)
	case KindNotAuthorized:
		return fmt.Sprintf("not authorised by Kafka: %s: %v", e.Op, e.Err)
	case KindTopicMissing:
		return fmt.Sprintf("topic does not exist or may not be described: %s: %v", e.Op, e.Err)
	default:
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OffsetOutOfRangeError says that the log no longer, or not yet, holds an offset. Going on needs an operator's decision.
type OffsetOutOfRangeError struct {
	Offset   int64 // the offset asked for
	Earliest int64 // first offset of the log, -1 if it could not be asked
	Latest   int64 // offset after the last, -1 if it could not be asked
}

// Error names the offset and the log's bounds.
func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("offset %d is outside the log, which holds [%d, %d)", e.Offset, e.Earliest, e.Latest)
}

// fail wraps err with its kind. A nil err stays nil; the end of the caller's own ctx stays what it is.
func (c *Client) fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	return c.Classify(op, c.unrouted(ctx, err))
}

// Classify wraps an error of the Kafka client library as an *Error; op says what was tried.
func (c *Client) Classify(op string, err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return &Error{Kind: kindOf(err), Op: op, Brokers: c.cfg.addresses(), Err: c.unmasked(err)}
}

func kindOf(err error) Kind {
	if code, ok := errors.AsType[kafka.Error](err); ok {
		return kindOfCode(code)
	}
	switch {
	case errors.Is(err, protocol.ErrNoTopic), errors.Is(err, protocol.ErrNoPartition):
		return KindTopicMissing
	case errors.Is(err, protocol.ErrNoLeader):
		return KindNoLeader
	case errors.Is(err, errAnswerTooLarge):
		return KindTooLarge
	}
	var (
		cert   *tls.CertificateVerificationError
		alert  tls.AlertError
		header tls.RecordHeaderError
	)
	if errors.As(err, &cert) || errors.As(err, &alert) || errors.As(err, &header) || alerted(err) {
		return KindTLS
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.As(err, &network):
		if network.Timeout() {
			return KindTimeout
		}
		return KindUnreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed):
		return KindUnreachable
	}
	return KindOther
}

func kindOfCode(code kafka.Error) Kind {
	switch code {
	case kafka.UnknownTopicOrPartition, kafka.UnknownTopicID, kafka.InconsistentTopicID, kafka.InvalidTopic:
		return KindTopicMissing
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.TransactionalIDAuthorizationFailed, kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState:
		return KindNotAuthorized
	case kafka.OffsetOutOfRange:
		return KindOutOfRange
	case kafka.InvalidMessage:
		return KindCorrupt
	case kafka.RequestTimedOut:
		return KindTimeout
	case kafka.NetworkException:
		return KindUnreachable
	case kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable,
		kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.OffsetNotAvailable, kafka.KafkaStorageError,
		kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.NotController:
		return KindNoLeader
	case kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend:
		return KindReplicas
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidMessageSize:
		return KindTooLarge
	case kafka.OutOfOrderSequenceNumber, kafka.InvalidProducerEpoch, kafka.InvalidProducerIDMapping,
		kafka.UnknownProducerId, kafka.ProducerFenced:
		return KindSequence
	case kafka.InvalidRecord, kafka.InvalidTimestamp, kafka.InvalidRequiredAcks, kafka.PolicyViolation,
		kafka.UnsupportedForMessageFormat, kafka.UnsupportedVersion, kafka.UnsupportedCompressionType, kafka.InvalidRequest:
		return KindRefused
	default:
		return KindOther
	}
}
