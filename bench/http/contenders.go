package main

import (
	"context"
	"os"

	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/ordergen"
)

// contender is one line of a table.
type contender struct {
	name, label, note string
	path              string
	first             int // status of its first answer; 0 for 200
	body              func(*ordergen.Order) []byte
	spec              func(context.Context, place) (process.Spec, error)
}

// place is where a server is to listen.
type place struct {
	port                    int
	address, admin, metrics string
}

func (b *bench) contenders() []*contender {
	return append([]*contender{
		b.floor(),
		b.ours("", "riskscorer", "exact reasons; ROLE=serve, default settings"),
		b.ours("purego", "riskscorer, pure Go", "the same, built with -tags purego"),
	}, b.peers()...)
}

// floor is the bare handler.
func (b *bench) floor() *contender {
	return &contender{
		name: "floor", label: "bare net/http", path: "/score", body: orderJSON,
		note: "parses the same body with encoding/json and answers a constant",
		spec: func(_ context.Context, at place) (process.Spec, error) {
			return process.Spec{Path: b.self, Args: []string{"floor", at.address}}, nil
		},
	}
}

// ours is the service, with settings that differ from the usual ones.
func (b *bench) ours(tags, label, note string, settings ...string) *contender {
	return &contender{
		name: "riskscorer" + tags, label: label, note: note, path: "/score", body: orderJSON,
		spec: func(_ context.Context, at place) (process.Spec, error) {
			return process.Spec{Path: b.binary(tags), Env: append(append(os.Environ(),
				"ROLE=serve", "MODEL_PATH="+b.model, "HTTP_ADDR="+at.address, "ADMIN_ADDR="+adminAddress(at), "METRICS_ADDR="+at.metrics,
			), settings...)}, nil
		},
	}
}

// adminAddress is a free port, or the one where a profile is to be taken.
func adminAddress(at place) string {
	if address := os.Getenv("ADMIN_ADDR"); address != "" {
		return address
	}
	return at.admin
}

func orderJSON(o *ordergen.Order) []byte { return o.AppendJSON(nil) }
