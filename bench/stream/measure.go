package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/process"
)

const (
	partitions = 8
	pollEvery  = 10 * time.Millisecond
	runLimit   = 5 * time.Minute // of one contender's turn
	stopLimit  = 30 * time.Second
)

// work is one turn of a contender: it reads from and writes to, under a group of its own.
type work struct{ broker, from, to, group string }

// contender is one line of a table.
type contender struct {
	name, label string
	note        string
	events      int // a turn; a tenth of them warms up
	start       func(ctx context.Context, w work) ([]*process.Process, error)
}

// sample is what one turn gave.
type sample struct {
	rate float64 // events a second
	cpu  float64 // microseconds an event, of the contender's processes, user and system
	rss  float64 // MB, the peak
	// scores are those of the first results, by order id, if they were asked for.
	scores map[string]float64
}

// bench is the broker with its admin client and what was measured.
type bench struct {
	broker string
	admin  *kadm.Client
	dir    string // for logs
	turns  int    // numbers topics and groups
}

// work makes a topic for results and a name for a group.
func (b *bench) work(ctx context.Context, from string) (work, error) {
	b.turns++
	w := work{broker: b.broker, from: from, to: "results-" + strconv.Itoa(b.turns), group: "bench-" + strconv.Itoa(b.turns)}
	if err := b.create(ctx, w.to); err != nil {
		return w, err
	}
	_, err := b.await(ctx, w.to, 0, nil) // until its partitions have leaders
	return w, err
}

func (b *bench) create(ctx context.Context, topic string) error {
	if _, err := b.admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	return nil
}

// ensure makes a topic that may be there.
func (b *bench) ensure(ctx context.Context, topic string) error {
	if err := b.create(ctx, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return nil
}

// log is the file of a contender's output.
func (b *bench) log(name string) string {
	return filepath.Join(b.dir, fmt.Sprintf("%s-%d.log", name, b.turns))
}

// throughput lets a contender work on a full topic and watches the end of its output, so that all are measured alike.
func (b *bench) throughput(ctx context.Context, c *contender, from string, scored bool) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	w, err := b.work(ctx, from)
	if err != nil {
		return sample{}, err
	}
	processes, err := c.start(ctx, w)
	defer func() {
		for _, p := range processes {
			_ = p.Stop(stopLimit) // it has done its work; how it ends does not matter
		}
		_, _ = b.admin.DeleteTopics(context.WithoutCancel(ctx), w.to) // to save the disk
	}()
	if err != nil {
		return sample{}, err
	}
	begin, err := b.await(ctx, w.to, c.events/10, processes)
	if err != nil {
		return sample{}, err
	}
	end, err := b.await(ctx, w.to, c.events, processes)
	if err != nil {
		return sample{}, err
	}
	n := float64(end.events - begin.events)
	if n < float64(c.events)/2 {
		return sample{}, fmt.Errorf("%d events are too few for a rate", c.events)
	}
	s := sample{
		rate: n / end.at.Sub(begin.at).Seconds(),
		cpu:  float64((end.cpu - begin.cpu).Microseconds()) / n,
		rss:  peak(processes),
	}
	if scored {
		s.scores, err = b.scores(ctx, w.to)
	}
	return s, err
}

// moment is how far a contender was at a time.
type moment struct {
	at     time.Time
	events int64
	cpu    time.Duration
}

// await returns the first moment with at least n events in a topic.
func (b *bench) await(ctx context.Context, topic string, n int, processes []*process.Process) (moment, error) {
	for {
		ends, err := b.admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil && (ctx.Err() != nil || !passing(err)) {
			return moment{}, fmt.Errorf("ends of %s: %w", topic, err)
		}
		m := moment{at: time.Now(), cpu: used(processes)}
		ends.Each(func(o kadm.ListedOffset) { m.events += max(0, o.Offset) })
		if err == nil && m.events >= int64(n) {
			return m, nil
		}
		for _, p := range processes {
			select {
			case <-p.Done():
				return moment{}, fmt.Errorf("it ended after %d events (%s): %s", m.events, p.State(), p.Tail(5))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return moment{}, fmt.Errorf("%d of %d events within %s", m.events, n, runLimit)
		case <-time.After(pollEvery):
		}
	}
}

// passing says whether a topic is only too new to be asked.
func passing(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || kerr.IsRetriable(err)
}

// used is the processor time of processes so far. One that has ended, which await reports, adds nothing.
func used(processes []*process.Process) (sum time.Duration) {
	for _, p := range processes {
		if used, err := p.Used(); err == nil {
			sum += used
		}
	}
	return sum
}

// peak is the most memory that processes have held, in MB.
func peak(processes []*process.Process) (sum float64) {
	for _, p := range processes {
		if _, most, err := p.Memory(); err == nil {
			sum += float64(most) / (1 << 20)
		}
	}
	return sum
}

// pace lets a contender answer events that come at a fixed rate, whether it keeps up or not, and returns the times from
// the intended moment of sending to the receipt of the result, in milliseconds, sorted. The first half warms up.
func (b *bench) pace(ctx context.Context, c *contender, rate, seconds int) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	orders := fmt.Sprintf("paced-%d", b.turns)
	if err := b.create(ctx, orders); err != nil {
		return nil, err
	}
	w, err := b.work(ctx, orders)
	if err != nil {
		return nil, err
	}
	processes, err := c.start(ctx, w)
	defer func() {
		for _, p := range processes {
			_ = p.Stop(stopLimit)
		}
	}()
	if err != nil {
		return nil, err
	}
	client, err := newClient(b.broker, kgo.DefaultProduceTopic(orders), kgo.ConsumeTopics(w.to))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	const warm = 1000
	events := newSource()
	for range warm {
		if err := client.ProduceSync(ctx, events.next()).FirstErr(); err != nil {
			return nil, err
		}
	}
	if _, err := b.await(ctx, w.to, warm, processes); err != nil {
		return nil, err
	}
	took, err := openLoop(ctx, client, events, warm, rate, rate*seconds)
	slices.Sort(took)
	return took, err
}

// openLoop sends n events, after the warm that were sent before, and returns how long the second half of them took.
func openLoop(ctx context.Context, client *kgo.Client, events *source, warm, rate, n int) ([]float64, error) {
	begin := time.Now().Add(100 * time.Millisecond)
	due := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Second / time.Duration(rate)) }
	go func() {
		for i := 0; i < n && ctx.Err() == nil; i++ {
			event := events.next()
			time.Sleep(time.Until(due(i)))
			client.Produce(ctx, event, nil)
		}
	}()
	var took []float64
	for received := 0; received < n; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%d of %d results within %s", received, n, runLimit)
		}
		now := time.Now()
		fetches.EachRecord(func(r *kgo.Record) {
			number, err := strconv.Atoi(strings.TrimPrefix(string(r.Key), "ORD_"))
			i := number - firstOrder - warm
			if err != nil || i < 0 {
				return
			}
			if received++; i >= n/2 {
				took = append(took, now.Sub(due(i)).Seconds()*1e3)
			}
		})
	}
	return took, nil
}
