package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
)

// full fills partitions with n records each, so many bytes that fetches share their memory.
func full(t *testing.T, w *writer, n int, to ...int) {
	t.Helper()
	for i := range n {
		for _, p := range to {
			w.client.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: int32(p), Value: value1K(p, int64(i))}, nil)
		}
	}
	if err := w.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func value1K(partition int, offset int64) []byte {
	return fmt.Appendf(nil, "%d/%01020d", partition, offset)
}

// intact reports the first record that does not hold what was written.
func intact(records []broker.Record) error {
	for i := range records {
		if r := &records[i]; string(r.Value) != string(value1K(r.Partition, r.Offset)) {
			return fmt.Errorf("record %d of %d, %d/%d, holds %.40q", i, len(records), r.Partition, r.Offset, r.Value)
		}
	}
	return nil
}

// A batch's bytes stay its handler's until the handler has returned, while other partitions, and after the watchdog the
// next member, read on; and what a handler left behind when it gave up is not used again either.
func TestHandlersKeepTheirBytes(t *testing.T) {
	cluster := startCluster(t)
	full(t, write(t, cluster), 3000, 0, 1, 2)
	cfg := config()
	cfg.FetchMaxBytes, cfg.DrainTimeout, cfg.HandleTimeout = 64<<10, 300*time.Millisecond, 2*time.Second
	var hung, gaveUp atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	var left sync.WaitGroup
	l := newLedger(t)
	fault := make(chan error, 100)
	check := func(records []broker.Record) {
		if err := intact(records); err != nil {
			select {
			case fault <- err:
			default:
			}
		}
	}
	l.before = func(ctx context.Context, p int, records []broker.Record) error {
		check(records)
		switch {
		case p == 2 && hung.CompareAndSwap(false, true):
			close(entered)
			<-release
			check(records)
			return errors.New("came back too late")
		case p == 1 && records[0].Offset > 500 && gaveUp.CompareAndSwap(false, true):
			<-ctx.Done()
			kept := records
			left.Go(func() {
				<-release
				check(kept)
			})
			return ctx.Err()
		}
		return nil
	}
	l.value = value1K
	first := join(t, cluster.ListenAddrs(), cfg, l)
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	<-entered
	eventually(t, "the member has left", func() bool { return !first.Status().Joined })
	second := join(t, cluster.ListenAddrs(), cfg, l)
	l.await(t, 9000)
	letGo()
	left.Wait()
	eventually(t, "both are members", func() bool { return first.Status().Joined && second.Status().Joined })
	select {
	case err := <-fault:
		t.Error(err)
	default:
	}
}
