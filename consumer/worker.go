package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
)

// worker reads one partition of one generation, one fetch ahead of its handler.
type worker struct {
	*generation
	position *position
}

// run ends when polling has ended and the batch under way is done, or cut short by the end of handling.
func (w *worker) run(polling, handling context.Context) {
	fetched := make(chan broker.Fetched)
	var fetcher sync.WaitGroup
	fetcher.Go(func() {
		defer close(fetched)
		w.fetch(polling, fetched)
	})
	defer fetcher.Wait()
	handler := w.newHandler(w.position.partition)
	defer handler.Close()
	for f := range fetched {
		if !w.handleAll(polling, handling, handler, f) {
			break
		}
	}
}

// fetch sends what it reads, in order, until polling ends or only an operator can help.
func (w *worker) fetch(polling context.Context, out chan<- broker.Fetched) {
	offset := int64(-1)
	if !w.insist(polling, func() (err error) {
		offset, err = w.start(polling, w.position)
		return err
	}) {
		return
	}
	for {
		var f broker.Fetched
		if !w.insist(polling, func() (err error) {
			f, err = w.poll(polling, offset)
			return err
		}) {
			return
		}
		if f.Next == offset {
			f.Release()
			continue
		}
		sabotage.At(sabotage.Fetched)
		select {
		case out <- f:
			offset = f.Next
			if sabotage.On(sabotage.OffsetJump) && offset < f.HighWatermark {
				offset++
			}
		case <-polling.Done():
			return
		}
	}
}

// insist calls read until it works. It returns false when polling has ended, and keeps the partition paused until then
// if trying again can't help: going on elsewhere in the log would skip records, and only an operator may choose that.
func (w *worker) insist(polling context.Context, read func() error) bool {
	var failing report
	wait := newBackOff()
	attrs := slog.Int("partition", w.position.partition)
	for {
		err := read()
		if polling.Err() != nil {
			return false
		}
		if err == nil {
			w.position.resumeFetching()
			failing.recovered(w.log, "the partition can be read again", attrs)
			return true
		}
		if kind := haltKind(err); kind != "" {
			w.halt(polling, kind, err)
			return false
		}
		w.metrics.fetchErrors.WithLabelValues(broker.KindOf(err).String()).Inc()
		w.position.pauseFetching(broker.KindOf(err).String(), err.Error())
		failing.failed(w.log, "cannot read the partition", err, attrs)
		if !sleep(polling, wait.NextBackOff()) {
			return false
		}
	}
}

// halt keeps the partition paused until polling ends, and says so once a minute.
func (w *worker) halt(polling context.Context, kind string, err error) {
	p := w.position.partition
	w.position.pauseFetching(kind, fmt.Sprintf("%v: an operator decides where to go on: stop the group's processes, "+
		"riskctl offsets set --partition %d --to earliest (or latest, or an offset), start them again", err, p))
	begin := time.Now()
	for again := true; again; again = sleep(polling, logEvery) {
		w.log.Error("the partition is halted until an operator decides where to go on: riskctl offsets set",
			slog.Int("partition", p), slog.String("error", err.Error()), slog.Duration("for", time.Since(begin)))
	}
}

// haltKind returns the label of an error that no retry mends, or nothing.
func haltKind(err error) string {
	var outside *broker.OffsetOutOfRangeError
	switch {
	case errors.As(err, &outside):
		return broker.KindOutOfRange.String()
	case errors.Is(err, errNoStart):
		return kindNoStart
	}
	return ""
}

// poll fetches once. It takes its time even if the broker does not: records held back by an open transaction must not
// turn long polls into a busy loop.
func (w *worker) poll(polling context.Context, offset int64) (broker.Fetched, error) {
	begin := time.Now()
	f, err := w.client.Fetch(polling, broker.FetchRequest{
		Topic: w.cfg.Topic, Partition: w.position.partition, Offset: offset,
		MaxBytes: w.memory.FetchBytes, MaxWait: w.cfg.FetchMaxWait,
	})
	if err != nil {
		return f, err
	}
	w.position.seen(f.LogStart, f.HighWatermark)
	w.metrics.skipped.Add(float64(f.Skipped))
	if short := w.cfg.FetchMaxWait/2 - time.Since(begin); f.Next == offset && short > 0 {
		sleep(polling, short)
	}
	for i := range f.Records {
		f.Records[i].Topic, f.Records[i].Partition = w.cfg.Topic, w.position.partition
	}
	return f, nil
}

// handleAll hands what was fetched to the handler, a bounded batch at a time. It returns false if it did not finish.
func (w *worker) handleAll(polling, handling context.Context, h Handler, f broker.Fetched) bool {
	for records := f.Records; len(records) > 0; {
		if polling.Err() != nil {
			if sabotage.On(sabotage.DroppedTail) {
				w.position.acknowledge(f.Next)
			}
			return false
		}
		n := min(len(records), w.memory.BatchRecords)
		if sabotage.On(sabotage.CommitBeforeAck) {
			w.position.acknowledge(records[n-1].Offset + 1)
		}
		if !w.handle(polling, handling, h, records[:n]) {
			return false
		}
		sabotage.At(sabotage.Acknowledged)
		w.position.acknowledge(records[n-1].Offset + 1)
		w.metrics.records.Add(float64(n))
		w.metrics.batches.Inc()
		records = records[n:]
	}
	w.position.acknowledge(f.Next)
	f.Release() // every handler has returned and acknowledged: where one did not, the memory is never used again
	return true
}

// handle repeats one batch until it is acknowledged. It returns false if the generation ended first.
func (w *worker) handle(polling, handling context.Context, h Handler, records []broker.Record) bool {
	var failing report
	wait := newBackOff()
	attrs := slog.Int("partition", w.position.partition)
	for {
		begin := time.Now()
		err := w.attempt(handling, h, records)
		if err == nil {
			w.metrics.handle.Observe(time.Since(begin).Seconds())
			w.position.resumeHandling()
			failing.recovered(w.log, "the partition moves again", attrs)
			return true
		}
		if handling.Err() != nil {
			w.log.Warn("a batch was given up at the end of the drain: it will be read again", attrs,
				slog.Int64("offset", records[0].Offset), slog.Int("records", len(records)))
			return false
		}
		w.position.pauseHandling(kindOf(err), err.Error())
		failing.failed(w.log, "the partition is paused, its batch is tried again", err, attrs, slog.Int64("offset", records[0].Offset))
		if sabotage.On(sabotage.GivenUp) {
			return false
		}
		if !sleep(polling, wait.NextBackOff()) {
			return false
		}
	}
}
