package broker_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
)

func TestMissingRightIsNamed(t *testing.T) {
	cluster := startCluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "p"),
		kfake.User("PLAIN", "reader", "p", kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationRead, Allow: true}),
		kfake.User("PLAIN", "writer", "p", kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true}),
		kfake.User("PLAIN", "nobody", "p"))
	as := func(user string) *broker.Client {
		return connect(t, broker.Config{Brokers: cluster.ListenAddrs(), SASLMechanism: "PLAIN", SASLUsername: user, SASLPassword: "p"}, topic)
	}
	id, err := as("writer").InitProducerID(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"reader": "the right WRITE on topic " + topic, "nobody": "the right WRITE on topic " + topic, "writer": ""} {
		_, err := as(user).Produce(deadline(t), topic, 0, encode(t, id, 0, broker.Record{Value: []byte("v")}))
		judgeRight(t, user+" produces", err, want)
	}
	for user, want := range map[string]string{"writer": "the right READ on topic " + topic, "nobody": "the right READ on topic " + topic, "reader": ""} {
		_, err := as(user).Fetch(deadline(t), broker.FetchRequest{Topic: topic, MaxBytes: 1 << 20})
		judgeRight(t, user+" fetches", err, want)
	}
}

func judgeRight(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if broker.KindOf(err) != broker.KindNotAuthorized || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v (%v), want %q", what, err, broker.KindOf(err), want)
	}
}

func TestMissingCertificateIsATLSError(t *testing.T) {
	brokers := newAuthority(t)
	cluster := startCluster(t, kfake.TLS(brokers.server(t)))
	f := newFiles(t)
	put(t, f.ca, brokers.pem())
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs(), TLSEnabled: true, TLSCAFile: f.ca})
	if _, err := c.PartitionCount(deadline(t), topic); broker.KindOf(err) != broker.KindTLS || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a certificate: %v (%v)", err, broker.KindOf(err))
	}
}
