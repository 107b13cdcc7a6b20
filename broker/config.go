package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Config says how to reach the Kafka cluster. Each field names its environment variable.
type Config struct {
	Brokers []string `env:"KAFKA_BROKERS, default=localhost:9092" help:"host:port of some brokers, comma-separated"`

	TLSEnabled  bool   `env:"KAFKA_TLS_ENABLED" help:"true connects by TLS"`
	TLSCAFile   string `env:"KAFKA_TLS_CA_FILE" help:"PEM file of the certificate authorities; by default the system's"` // PEM; empty means the system's roots
	TLSCertFile string `env:"KAFKA_TLS_CERT_FILE" help:"PEM file of the client's own certificate"`                       // PEM; with the key file, the client's own identity
	TLSKeyFile  string `env:"KAFKA_TLS_KEY_FILE" help:"PEM file of the key of that certificate"`

	SASLMechanism string `env:"KAFKA_SASL_MECHANISM" help:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or empty"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or empty
	SASLUsername  string `env:"KAFKA_SASL_USERNAME" help:"user of SASL"`
	SASLPassword  Secret `env:"KAFKA_SASL_PASSWORD" help:"password of SASL"`

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
		if c.SASLUsername != "" || c.SASLPassword != "" {
			return errors.New("KAFKA_SASL_MECHANISM: needed with KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
		}
		return nil
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM: %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASLMechanism)
	}
	if c.SASLUsername == "" {
		return errors.New("KAFKA_SASL_USERNAME: needed with KAFKA_SASL_MECHANISM")
	}
	if c.SASLPassword == "" {
		return errors.New("KAFKA_SASL_PASSWORD: needed with KAFKA_SASL_MECHANISM")
	}
	return nil
}

func (c Config) tls() (*tls.Config, error) {
	if !c.TLSEnabled {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCAFile != "" {
		pem, err := os.ReadFile(c.TLSCAFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: no certificate in %s", c.TLSCAFile)
		}
	}
	if c.TLSCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CERT_FILE, KAFKA_TLS_KEY_FILE: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

func (c Config) sasl() (sasl.Mechanism, error) {
	var algorithm scram.Algorithm
	switch c.SASLMechanism {
	case "":
		return nil, nil
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
