package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/process"
)

//go:embed secure.properties.tmpl
var secureProperties string

// Security is what a node has beside its plain listener, whose clients are super users: ACLs, and two listeners with TLS.
type Security struct {
	Identity Identity // of the broker, for localhost
	// TLS leads to a listener that wants a client certificate, whose subject is the principal; SASL to one with PLAIN,
	// SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER with unsigned tokens, which wants a client certificate of nobody. The
	// relays are the caller's to close.
	TLS, SASL  *Relay
	PlainUsers map[string]string // of PLAIN, with their passwords
}

// Identity is a broker's certificate, its key, and the authorities of the clients that it trusts.
type Identity struct {
	Pair    Pair
	Trusted []byte // PEM
}

// StartSecure starts a node as Start does, with the listeners and ACLs of s.
func StartSecure(ctx context.Context, dir, log string, s Security) (*Node, error) {
	return start(ctx, &Node{dir: dir, log: log, security: &s})
}

// secure writes the properties of the security.
func (n *Node) secure(ctx context.Context, to io.Writer, ports []int) error {
	secured, err := process.FreePorts(ctx, 2)
	if err != nil {
		return err
	}
	n.secured = secured
	identity, err := n.identify(n.security.Identity)
	if err != nil {
		return err
	}
	n.security.TLS.Forward(loopback(secured[0]))
	n.security.SASL.Forward(loopback(secured[1]))
	text, err := template.New("secure.properties").Parse(secureProperties)
	if err != nil {
		return err
	}
	return text.Execute(to, struct {
		BrokerPort, ControllerPort, TLSPort, SASLPort int
		TLSAddress, SASLAddress                       string
		Identity                                      []setting
		PlainUsers                                    map[string]string
	}{ports[0], ports[1], secured[0], secured[1], n.security.TLS.Address(), n.security.SASL.Address(), identity, n.security.PlainUsers})
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

type setting struct{ Name, Value string }

// identify writes the files of an identity, under names of their own: a broker takes up a setting that changes.
func (n *Node) identify(i Identity) ([]setting, error) {
	n.identities++
	own, trusted := fmt.Sprintf("identity-%d.pem", n.identities), fmt.Sprintf("trusted-%d.pem", n.identities)
	pair := append(append([]byte(nil), i.Pair.Key...), i.Pair.Certificate...)
	if err := errors.Join(os.WriteFile(filepath.Join(n.dir, own), pair, 0o600), os.WriteFile(filepath.Join(n.dir, trusted), i.Trusted, 0o600)); err != nil {
		return nil, err
	}
	var out []setting
	for _, listener := range []string{"tls", "sasl"} {
		prefix := "listener.name." + listener + ".ssl."
		out = append(out,
			setting{prefix + "keystore.type", "PEM"}, setting{prefix + "keystore.location", own},
			setting{prefix + "truststore.type", "PEM"}, setting{prefix + "truststore.location", trusted})
	}
	return out, nil
}

// Identify gives the running broker another identity, and returns once its new connections have it.
func (n *Node) Identify(ctx context.Context, i Identity) error {
	settings, err := n.identify(i)
	if err != nil {
		return fmt.Errorf("write the broker's identity: %w", err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(n.Address()))
	if err != nil {
		return err
	}
	defer client.Close()
	var changes []kadm.AlterConfig
	for _, s := range settings {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: s.Name, Value: new(s.Value)})
	}
	answers, err := kadm.NewClient(client).AlterBrokerConfigs(ctx, changes, 1)
	for _, a := range answers {
		err = errors.Join(err, a.Err)
	}
	if err != nil {
		return fmt.Errorf("change the broker's identity: %w", err)
	}
	for _, port := range n.secured {
		if err := awaitCertificate(ctx, loopback(port), i.Pair.Certificate); err != nil {
			return fmt.Errorf("await the broker's identity: %w", err)
		}
	}
	return nil
}

// awaitCertificate waits until the listener shows the certificate: a broker answers before it has taken up a change.
func awaitCertificate(ctx context.Context, address string, certificate []byte) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it only looks
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
			_ = conn.Close()
			if bytes.Equal(block("CERTIFICATE", shown.Raw), certificate) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s shows another certificate: %w", address, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
