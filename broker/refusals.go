package broker

import (
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"
)

// MissingRight puts the right that an operation needs, as an ACL names it, for example "WRITE on topic risk-results", before an
// error by which Kafka refuses the operation for want of one. Every other error stays what it is.
func MissingRight(right string, err error) error {
	code, _ := errors.AsType[kafka.Error](err)
	switch code {
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed:
		return fmt.Errorf("the right %s is missing: %w", right, err)
	default:
		return err
	}
}

// unmasked adds the settings to an error by which Kafka refuses who this client says it is.
func (c *Client) unmasked(err error) error {
	code, _ := errors.AsType[kafka.Error](err)
	switch {
	case code == kafka.UnsupportedSASLMechanism:
		return fmt.Errorf("KAFKA_SASL_MECHANISM=%s is not offered: %w", c.cfg.SASLMechanism, err)
	case code != kafka.SASLAuthenticationFailed:
		return err
	case c.cfg.SASLMechanism == oauthBearer:
		return fmt.Errorf("the token of KAFKA_SASL_TOKEN_FILE does not hold: %w", err)
	default:
		return fmt.Errorf("KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD does not hold: %w", err)
	}
}

// alerted says that the other side ended a TLS connection with an alert. In TLS 1.3 a certificate that a broker does not
// take, or misses, is told in this way, after the client's own part of the handshake.
func alerted(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
