package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

const (
	// A redrive publishes at most so much at once, ten times a second: what an interruption may repeat.
	batchLetters = 500
	batchBytes   = 1 << 20
	batchesASec  = 10
	// publishTries bounds the calls for one batch; each has the publisher's own patience.
	publishTries = 12
)

// Publisher publishes records and returns when every one is acknowledged. After an error it may be called again with the
// same records. An error with a method RecordsTooLarge names the records that the topic takes at no time, by index, when
// all the others are acknowledged.
type Publisher interface {
	Publish(ctx context.Context, records []broker.Record) error
}

type tooLarge interface {
	error
	RecordsTooLarge() []int
}

// Redrive says how dead letters go back into the topic of orders.
type Redrive struct {
	Topic       string  // of orders
	MaxAttempts int     // letters refused so often are left where they are; at least 1
	Rate        float64 // letters a second, above 0
	Limit       int     // letters redriven by one run; 0 is no limit
	DryRun      bool    // count, publish nothing
}

// Tally counts what became of the letters of one class.
type Tally struct {
	Redriven  int `json:"redriven"`  // acknowledged by the topic of orders; with DryRun, those that would be
	Exhausted int `json:"exhausted"` // left: refused MaxAttempts times
	TooLarge  int `json:"too_large"` // left: the topic of orders takes no record of this size
}

// Run redrives the letters of the position that the filter chooses, and moves the position along. Key, value and headers
// stay as they are, so that a letter that is refused again counts its attempts from there. Letters of one order keep
// their sequence, as they share a partition. saved, if not nil, is called with the position after every acknowledged
// batch, and at the end: a run from the position it last got repeats at most one batch. The tallies, by class, are right
// also after an error.
func (d Redrive) Run(ctx context.Context, r *Reader, at *Position, f Filter, p Publisher, saved func(*Position) error) (map[schemas.RejectClass]*Tally, error) {
	b := &redriving{Redrive: d, publisher: p, at: at, saved: saved, tallies: make(map[schemas.RejectClass]*Tally), begin: time.Now()}
	for letter, err := range r.Letters(ctx, at.spans(), f) {
		if err == nil {
			err = b.take(ctx, letter)
		}
		if err != nil {
			return b.tallies, err
		}
		if b.taken == d.Limit && d.Limit > 0 {
			return b.tallies, b.flush(ctx)
		}
	}
	if err := b.flush(ctx); err != nil {
		return b.tallies, err
	}
	at.finish()
	return b.tallies, b.save()
}

// redriving is one run's state: the batch that fills, and what is done.
type redriving struct {
	Redrive
	publisher Publisher
	at        *Position
	saved     func(*Position) error
	tallies   map[schemas.RejectClass]*Tally

	begin   time.Time
	taken   int
	sent    int
	letters []Letter
	records []broker.Record
	bytes   int
}

func (b *redriving) take(ctx context.Context, l Letter) error {
	if max(l.Attempt, 1) >= b.MaxAttempts {
		b.tally(l.Class).Exhausted++
		return nil
	}
	b.taken++
	if b.DryRun {
		b.tally(l.Class).Redriven++
		return nil
	}
	record := l.redriven(b.Topic)
	b.letters, b.records, b.bytes = append(b.letters, l), append(b.records, record), b.bytes+broker.RecordSize(&record)
	if len(b.records) >= b.batch() || b.bytes >= batchBytes {
		return b.flush(ctx)
	}
	return nil
}

// batch is the number of letters published at once.
func (b *redriving) batch() int { return min(batchLetters, max(1, int(b.Rate/batchesASec))) }

// flush publishes the batch when it is due, and moves the position behind it.
func (b *redriving) flush(ctx context.Context) error {
	if len(b.records) == 0 {
		return nil
	}
	due := b.begin.Add(time.Duration(float64(b.sent) / b.Rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return fmt.Errorf("redrive: %w", ctx.Err())
	case <-time.After(time.Until(due)):
	}
	refused, err := b.publish(ctx)
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	for i := range b.letters {
		b.tally(b.letters[i].Class).Redriven++
		b.at.pass(b.letters[i].Partition, b.letters[i].Offset)
	}
	for _, i := range refused {
		b.tally(b.letters[i].Class).Redriven--
		b.tally(b.letters[i].Class).TooLarge++
	}
	b.sent += len(b.records)
	b.letters, b.records, b.bytes = b.letters[:0], b.records[:0], 0
	return b.save()
}

// publish returns the indexes of the records that are too large, once all the others are acknowledged.
func (b *redriving) publish(ctx context.Context) ([]int, error) {
	for try := 1; ; try++ {
		err := b.publisher.Publish(ctx, b.records)
		var large tooLarge
		switch {
		case err == nil:
			return nil, nil
		case errors.As(err, &large):
			return large.RecordsTooLarge(), nil
		case ctx.Err() != nil || !broker.KindOf(err).Passing() || try == publishTries:
			return nil, err
		}
	}
}

func (b *redriving) save() error {
	if b.saved == nil || b.DryRun {
		return nil
	}
	return b.saved(b.at)
}

func (b *redriving) tally(class schemas.RejectClass) *Tally {
	t := b.tallies[class]
	if t == nil {
		t = new(Tally)
		b.tallies[class] = t
	}
	return t
}
