package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Config says how to reach the Kafka cluster. Each field names its environment variable.
type Config struct {
	Brokers []string `env:"KAFKA_BROKERS, default=localhost:9092" help:"host:port of some brokers, comma-separated"`

	TLSEnabled  bool   `env:"KAFKA_TLS_ENABLED" help:"true connects by TLS"`
	TLSCAFile   string `env:"KAFKA_TLS_CA_FILE" help:"PEM file of the certificate authorities, by default the system's; read for each connection, as are the next two"`
	TLSCertFile string `env:"KAFKA_TLS_CERT_FILE" help:"PEM file of the client's own certificate"`
	TLSKeyFile  string `env:"KAFKA_TLS_KEY_FILE" help:"PEM file of the key of that certificate"`

	SASLMechanism string `env:"KAFKA_SASL_MECHANISM" help:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or empty"`
	SASLUsername  string `env:"KAFKA_SASL_USERNAME" help:"user of SASL"`
	SASLPassword  Secret `env:"KAFKA_SASL_PASSWORD" help:"password of SASL"`
	SASLTokenFile string `env:"KAFKA_SASL_TOKEN_FILE" help:"file of the token of OAUTHBEARER; read for each connection, so that it may be renewed"`

	// Dial opens the connections in place of the network, for a broker in the same process. Nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Secret is a setting that no log, error text or listing of settings shows.
type Secret string

const hidden = "(hidden)"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Validate reports every setting that is wrong or contradicts another, by the name of its variable.
// It reads no file: NewClient does.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("KAFKA_BROKERS: at least one host:port is needed"))
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("KAFKA_BROKERS: %q is not host:port", b))
		}
	}
	return errors.Join(append(errs, c.validateTLS(), c.validateSASL())...)
}

func (c Config) validateTLS() error {
	if !c.TLSEnabled {
		for _, v := range [][2]string{
			{"KAFKA_TLS_CA_FILE", c.TLSCAFile}, {"KAFKA_TLS_CERT_FILE", c.TLSCertFile}, {"KAFKA_TLS_KEY_FILE", c.TLSKeyFile},
		} {
			if v[1] != "" {
				return fmt.Errorf("%s is set but KAFKA_TLS_ENABLED is not true", v[0])
			}
		}
		return nil
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return errors.New("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: both or neither")
	}
	return nil
}

func (c Config) validateSASL() error {
	switch c.SASLMechanism {
	case "":
		if c.SASLUsername != "" || c.SASLPassword != "" || c.SASLTokenFile != "" {
			return errors.New("KAFKA_SASL_MECHANISM: needed with KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_TOKEN_FILE")
		}
		return nil
	case oauthBearer:
		return c.validateToken()
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM: %q is not PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", c.SASLMechanism)
	}
	if c.SASLUsername == "" {
		return errors.New("KAFKA_SASL_USERNAME: needed with KAFKA_SASL_MECHANISM")
	}
	if c.SASLPassword == "" {
		return errors.New("KAFKA_SASL_PASSWORD: needed with KAFKA_SASL_MECHANISM")
	}
	if c.SASLTokenFile != "" {
		return fmt.Errorf("KAFKA_SASL_TOKEN_FILE: only with KAFKA_SASL_MECHANISM=%s", oauthBearer)
	}
	return nil
}

// validateToken also holds OAUTHBEARER to TLS: a token that anyone on the way can read is anyone's.
func (c Config) validateToken() error {
	switch {
	case c.SASLTokenFile == "":
		return errors.New("KAFKA_SASL_TOKEN_FILE: needed with KAFKA_SASL_MECHANISM=OAUTHBEARER")
	case c.SASLUsername != "" || c.SASLPassword != "":
		return errors.New("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: not with KAFKA_SASL_MECHANISM=OAUTHBEARER")
	case !c.TLSEnabled:
		return errors.New("KAFKA_SASL_MECHANISM: OAUTHBEARER needs KAFKA_TLS_ENABLED")
	}
	return nil
}

func (c Config) sasl() (sasl.Mechanism, error) {
	var algorithm scram.Algorithm
	switch c.SASLMechanism {
	case "":
		return nil, nil
	case oauthBearer:
		f := tokenFile(c.SASLTokenFile)
		if _, err := f.read(); err != nil {
			return nil, fmt.Errorf("KAFKA_SASL_TOKEN_FILE: %w", err)
		}
		return f, nil
	case "PLAIN":
		return plain.Mechanism{Username: c.SASLUsername, Password: string(c.SASLPassword)}, nil
	case "SCRAM-SHA-256":
		algorithm = scram.SHA256
	default:
		algorithm = scram.SHA512
	}
	m, err := scram.Mechanism(algorithm, c.SASLUsername, string(c.SASLPassword))
	if err != nil {
		return nil, fmt.Errorf("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: %w", err)
	}
	return m, nil
}

func (c Config) addresses() string { return strings.Join(c.Brokers, ",") }
