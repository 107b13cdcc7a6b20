package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trendbuy/riskscorer/broker"
)

func TestConfigFromEnvironment(t *testing.T) {
	var cfg broker.Config
	env := envconfig.MapLookuper(map[string]string{"KAFKA_BROKERS": "a:1,b:2", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "p4ss"})
	if err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: &cfg, Lookuper: env}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(cfg.Brokers, " ") != "a:1 b:2" || string(cfg.SASLPassword) != "p4ss" {
		t.Fatalf("got %v", cfg.Brokers)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	var empty broker.Config
	if err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: &empty, Lookuper: envconfig.MapLookuper(nil)}); err != nil || empty.Brokers[0] != "localhost:9092" {
		t.Fatalf("%v, %v", empty.Brokers, err)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	cfg := broker.Config{SASLPassword: "p4ss"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("settings", "password", cfg.SASLPassword)
	text, err := json.Marshal(struct{ P broker.Secret }{cfg.SASLPassword})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.SASLPassword, cfg.SASLPassword) + log.String() + string(text)
	if strings.Contains(all, "p4ss") {
		t.Fatalf("shown in %s", all)
	}
}

func TestConfigNamesTheVariable(t *testing.T) {
	base := broker.Config{Brokers: []string{"localhost:9092"}}
	for want, change := range map[string]func(*broker.Config){
		"KAFKA_BROKERS":          func(c *broker.Config) { c.Brokers = nil },
		`KAFKA_BROKERS: "nohost`: func(c *broker.Config) { c.Brokers = []string{"nohost"} },
		"KAFKA_TLS_CERT_FILE":    func(c *broker.Config) { c.TLSEnabled, c.TLSKeyFile = true, "key.pem" },
		"KAFKA_TLS_CA_FILE":      func(c *broker.Config) { c.TLSCAFile = "ca.pem" },
		"KAFKA_SASL_MECHANISM":   func(c *broker.Config) { c.SASLMechanism = "GSSAPI" },
		"KAFKA_SASL_USERNAME":    func(c *broker.Config) { c.SASLMechanism = "PLAIN" },
		"KAFKA_SASL_PASSWORD":    func(c *broker.Config) { c.SASLMechanism, c.SASLUsername = "SCRAM-SHA-256", "u" },
	} {
		cfg := base
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
	base.TLSEnabled, base.TLSCAFile = true, filepath.Join(t.TempDir(), "absent.pem")
	if _, err := broker.NewClient(base); err == nil || !strings.Contains(err.Error(), "KAFKA_TLS_CA_FILE") {
		t.Errorf("absent file: %v", err)
	}
}

// certificate writes a self-signed one for localhost and returns its file and the server's side of it.
func certificate(t *testing.T) (string, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestTLSAndSASL(t *testing.T) {
	ca, server := certificate(t)
	cluster := startCluster(t, kfake.TLS(server), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "p1"), kfake.Superuser("SCRAM-SHA-256", "s256", "p2"), kfake.Superuser("SCRAM-SHA-512", "s512", "p3"))
	base := broker.Config{Brokers: cluster.ListenAddrs(), TLSEnabled: true, TLSCAFile: ca}
	for mechanism, user := range map[string][2]string{"PLAIN": {"plain", "p1"}, "SCRAM-SHA-256": {"s256", "p2"}, "SCRAM-SHA-512": {"s512", "p3"}} {
		cfg := base
		cfg.SASLMechanism, cfg.SASLUsername, cfg.SASLPassword = mechanism, user[0], broker.Secret(user[1])
		if n, err := connect(t, cfg).PartitionCount(deadline(t), topic); err != nil || n != 4 {
			t.Errorf("%s: %d partitions, %v", mechanism, n, err)
		}
		cfg.SASLPassword = "wrong"
		// The in-memory broker hangs up; a real one says SASL_AUTHENTICATION_FAILED, which is KindNotAuthorized.
		_, err := connect(t, cfg).PartitionCount(deadline(t), topic)
		if err == nil || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s with a wrong password: %v (%v)", mechanism, err, broker.KindOf(err))
		}
	}
	stranger := base
	stranger.TLSCAFile = ""
	if _, err := connect(t, stranger).PartitionCount(deadline(t), topic); broker.KindOf(err) != broker.KindTLS {
		t.Errorf("unknown authority: %v (%v)", err, broker.KindOf(err))
	}
	plain := broker.Config{Brokers: cluster.ListenAddrs()}
	if _, err := connect(t, plain).PartitionCount(deadline(t), topic); broker.KindOf(err) != broker.KindUnreachable && broker.KindOf(err) != broker.KindTLS {
		t.Errorf("no TLS on a TLS listener: %v (%v)", err, broker.KindOf(err))
	}
}

func TestUnreachableClusterIsSaidSo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	c := connect(t, broker.Config{Brokers: []string{addr}})
	want := "waiting for Kafka at " + addr
	check := func(op string, err error) {
		t.Helper()
		if broker.KindOf(err) != broker.KindUnreachable || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", op, err)
		}
	}
	_, err = c.PartitionCount(deadline(t), topic)
	check("partition count", err)
	_, err = c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, MaxBytes: 1 << 20})
	check("fetch", err)
	_, err = c.InitProducerID(deadline(t))
	check("producer id", err)
	_, err = c.Produce(deadline(t), topic, 0, encode(t, broker.ProducerID{}, 0, broker.Record{}))
	check("produce", err)
	_, err = c.Offsets(deadline(t), topic, []int{0})
	check("offsets", err)
	_, err = c.CheckTopics(deadline(t), []broker.TopicSpec{{Name: topic}})
	check("topics", err)
	_, err = c.CreateTopics(deadline(t), []broker.TopicSpec{{Name: topic, Partitions: 1, Replication: 1}})
	check("create", err)
}

func TestClosedClientRefuses(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	if _, err := c.PartitionCount(deadline(t), topic); err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
	if _, err := c.PartitionCount(deadline(t), topic); err == nil {
		t.Fatal("no error")
	}
	if _, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic}); err == nil {
		t.Fatal("no error")
	}
}
