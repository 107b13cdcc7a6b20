package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/bench/http/load"
)

const (
	// deadline is the service's default.
	deadline = 2 * time.Second
	// crowd bounds the connections under overload, within what a door takes by default: so many that a server which takes
	// whatever comes has more to do than it can within the deadline. Who finds none for so long goes away.
	crowd    = 1000
	patience = 100 * time.Millisecond
	// heavyTrees make an explanation of some 8 ms: at ten times of the capacity, sending and refusing still leave the
	// server nearly all of the cores.
	heavyTrees = 400
)

// loads are offered one after another, as multiples of the peak.
func loads() []float64 { return []float64{1, 2, 5, 10} }

// offered is what came of one offered load.
type offered struct {
	Peak    turn    // in a closed loop
	Busy    int     // of so many connections
	Times   float64 // of the peak's rate
	Sent    float64 // requests a second that were really sent
	Good    float64 // requests a second answered with 200 within the deadline, from the intended start
	Refused float64 // requests a second with any other answer
	GaveUp  float64 // a second that found no connection
	Shed    float64 // share of those served that went without their reasons
	Broken  int     // without an answer
	P50     float64 // ms of those that were served
	P99     float64
	P999    float64
	CPU     float64 // the server's processor time, seconds a second
}

// overload offers more than the server can serve: orders that are slow to explain, and the usual ones. Each has a
// process of its own, so that what it has learnt of its speed is of these.
func (b *bench) overload(ctx context.Context, r *results, _ []*contender) error {
	model, err := b.heavyModel(ctx)
	if err != nil {
		return err
	}
	heavy := b.ours("", "riskscorer", "", "MODEL_PATH="+model)
	heavy.path = "/score?explain=full" // whoever asks for all reasons is refused rather than answered without
	if r.Offered, err = b.crowded(ctx, heavy, runtime.NumCPU()); err != nil {
		return err
	}
	r.Singles, err = b.crowded(ctx, b.ours("", "riskscorer", ""), connections)
	return err
}

// heavyModel trains a model that is slow to explain.
func (b *bench) heavyModel(ctx context.Context) (string, error) {
	python, err := b.venv(ctx, filepath.Join(b.root, "training", "requirements.lock"), "3.12")
	if err != nil {
		return "", err
	}
	say("training a model that is slow to explain")
	orders, err := b.trainingOrders()
	if err != nil {
		return "", err
	}
	model := filepath.Join(b.dir, "heavy")
	cmd := exec.CommandContext(ctx, python, filepath.Join(b.root, peersFolder, "heavy_train.py"), orders, model, strconv.Itoa(heavyTrees))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(b.root, "training"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("train: %w: %s", err, out)
	}
	return model, nil
}

// crowded measures the peak in a closed loop of so many connections, where some may be refused already, and then, in
// every round, each load.
func (b *bench) crowded(ctx context.Context, c *contender, busy int) ([]offered, error) {
	s, err := b.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.process.Stop(stopLimit) }()
	var peaks []turn
	for range b.rounds {
		got, used, err := s.offer(ctx, s.requests, load.Plan{Connections: busy, For: b.length()})
		if err != nil {
			return nil, err
		}
		peaks = append(peaks, turnOf(got, used))
	}
	peak := turn{
		Rate: median(peaks, func(t *turn) float64 { return t.Rate }),
		CPU:  median(peaks, func(t *turn) float64 { return t.CPU }),
		Shed: median(peaks, func(t *turn) float64 { return t.Shed }),
	}
	say("the peak is %.0f/s of %.0f us CPU, %.1f%% without the reasons", peak.Rate, peak.CPU, 100*peak.Shed)
	var all []offered
	for range b.rounds {
		for _, times := range loads() {
			o := offered{Peak: peak, Busy: busy, Times: times}
			if err := o.measure(ctx, s, b.length()); err != nil {
				return nil, err
			}
			say("%.0fx: %.0f/s sent, %.0f%% of the peak served in time, %.0f%% of them without the reasons, %.0f/s refused, p99 %.1f ms, %d broken",
				times, o.Sent, 100*o.Good/peak.Rate, 100*o.Shed, o.Refused, o.P99, o.Broken)
			all = append(all, o)
		}
	}
	return all, nil
}

func (o *offered) measure(ctx context.Context, s *server, length time.Duration) error {
	r, used, err := s.offer(ctx, s.requests, load.Plan{Rate: o.Times * o.Peak.Rate, Connections: crowd, For: length, Patience: patience})
	if err != nil {
		return err
	}
	inTime, _ := slices.BinarySearch(r.OK, deadline+1)
	took := r.Took.Seconds()
	o.Sent, o.Good, o.GaveUp = float64(r.Sent())/took, float64(inTime)/took, float64(r.GaveUp)/took
	o.Refused, o.Broken = float64(r.Sent()-r.Errors-r.Answers[http.StatusOK])/took, r.Errors
	o.Shed = float64(r.Marked) / float64(max(1, len(r.OK)))
	o.P50, o.P99, o.P999 = milliseconds(load.Quantile(r.OK, 0.5)), milliseconds(load.Quantile(r.OK, 0.99)), milliseconds(load.Quantile(r.OK, 0.999))
	o.CPU = used.Seconds() / took
	return nil
}

// refusal measures what a refused order costs: one of a client that has used up its rate, and beside it, in turn, one that
// the bare handler refuses.
func (b *bench) refusal(ctx context.Context, r *results, _ []*contender) error {
	bare := b.floor()
	bare.path, bare.first = busyPath, http.StatusServiceUnavailable
	for round := range b.rounds {
		ours, err := b.refuse(ctx, b.ours("", "riskscorer", "", "RATE_LIMIT=0.01", "RATE_LIMIT_BURST=1"), http.StatusTooManyRequests)
		if err != nil {
			return err
		}
		floor, err := b.refuse(ctx, bare, http.StatusServiceUnavailable)
		if err != nil {
			return err
		}
		say("round %d of %d: refusing costs %.1f us CPU, a bare handler %.1f", round+1, b.rounds, ours, floor)
		r.Refusal, r.BareRefusal = append(r.Refusal, ours), append(r.BareRefusal, floor)
	}
	return nil
}

// refuse returns the microseconds of processor time that a contender takes to refuse a request.
func (b *bench) refuse(ctx context.Context, c *contender, status int) (float64, error) {
	s, err := b.launch(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.process.Stop(stopLimit) }()
	got, used, err := s.offer(ctx, s.requests, load.Plan{Connections: connections, For: b.length()})
	if err != nil {
		return 0, err
	}
	if n := got.Answers[status]; n < got.Sent()*9/10 {
		return 0, fmt.Errorf("%s was to refuse and answered %v", c.label, got.Answers)
	}
	return float64(used.Microseconds()) / float64(got.Sent()), nil
}
