//go:build e2e

package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// operate runs riskctl with no more rights than docs/kafka-security.md says that a command needs.
func (s *secured) operate(ctx context.Context, t *testing.T) {
	store := t.TempDir()
	storeBundle(t, store, filepath.Join(root, bundle))
	made := []string{"made-orders", "made-results", "made-letters"}
	var create []right
	for _, topic := range made {
		create = append(create, right{operation: kadm.OpCreate, topic: topic}, right{operation: kadm.OpDescribe, topic: topic}, right{operation: kadm.OpDescribeConfigs, topic: topic})
	}
	read := func(topic string) right { return right{operation: kadm.OpRead, topic: topic} }
	for _, c := range []struct {
		args     []string
		settings []string
		rights   []right
	}{
		{
			args:     []string{"topics", "create", "--partitions", "3", "--replication", "1"},
			settings: []string{"ORDERS_TOPIC=" + made[0], "RESULTS_TOPIC=" + made[1], "DEAD_LETTERS_TOPIC=" + made[2]},
			rights:   create,
		},
		{args: []string{"offsets", "show"}, rights: []right{{operation: kadm.OpDescribe, topic: topics.Orders}, {operation: kadm.OpDescribe, group: group}}},
		{args: []string{"offsets", "set", "--partition", "0", "--to", "latest"}, rights: []right{read(topics.Orders), {operation: kadm.OpRead, group: group}}},
		{args: []string{"dlq", "list"}, rights: []right{read(topics.DeadLetters)}},
		{args: []string{"dlq", "redrive", "--limit", "1"}, rights: []right{read(topics.DeadLetters), {operation: kadm.OpWrite, topic: topics.Orders}}},
		{args: []string{"replay", "--since", "1h", "--limit", "5"}, settings: []string{"BUNDLE_STORE=" + store}, rights: []right{read(topics.Orders), read(topics.Results)}},
	} {
		const principal = "User:operator"
		s.grant(ctx, t, principal, c.rights...)
		cmd := exec.CommandContext(ctx, filepath.Join(s.binaries, "riskctl"), c.args...)
		cmd.Env = s.environment(append(s.throughSASL("PLAIN", "operator", password), c.settings...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("riskctl %v: %v: %s", c.args, err, out)
		}
		for _, r := range c.rights {
			s.revoke(ctx, t, principal, r)
		}
	}
}
