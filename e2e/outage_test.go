//go:build e2e

package e2e_test

import (
	"context"
	"net/http"
	"testing"
	"time"
)

const (
	longOutage       = 3 * time.Minute
	longOutageOrders = 40_000
	// memoryLimit bounds what a process may have resident, with 6 partitions and while everything is away.
	memoryLimit = 200 << 20
)

// TestLongOutage takes all brokers away for minutes, under load. The processes stay alive and within their memory, say
// that the stream is not ready, go on answering for the other door, and catch up by themselves.
func TestLongOutage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	s := startCluster(ctx, t)
	r := newRun(ctx, t, s, workloadSeed, longOutageOrders)
	o := new(oracle)
	defer o.ended.Wait()
	o.begin(ctx, s, r.records)
	c := startFleet(ctx, t, r, nil)
	c.feeding.Go(func() error { c.feeder.send(ctx, c.records, feedRate); return nil })
	pause(ctx, t, 5*time.Second)

	s.cluster.Kill()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for begin := time.Now(); time.Since(begin) < longOutage; pause(ctx, t, 5*time.Second) {
		for _, p := range c.fleet {
			p.mustRun(t)
			if status, body := get(ctx, client, "http://"+p.address+"/health/ready"); status != http.StatusOK {
				t.Errorf("process %s: /health/ready: %d %s", p.name, status, body)
			}
			status, body := get(ctx, client, "http://"+p.address+"/health/ready/stream")
			if time.Since(begin) > time.Minute && status == http.StatusOK {
				t.Errorf("process %s: the stream is ready without a broker: %s", p.name, body)
			}
		}
	}
	c.restart(ctx, t, s.cluster.Nodes[:]...)
	_ = c.feeding.Wait()
	c.healed = "an outage of " + longOutage.String()
	took := c.recover(ctx, t)
	if err := c.feeder.close(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.fleet {
		c.peak = max(c.peak, p.peak(t))
	}
	report := c.judge(ctx, t, o.decisions(t))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if c.peak > memoryLimit {
		t.Errorf("a process had %d MB resident, want at most %d", c.peak>>20, memoryLimit>>20)
	}
	t.Logf("%s; after an outage of %s lag was 0 within %s, at most %d MB resident", report, longOutage, took.Round(100*time.Millisecond), c.peak>>20)
}
