package producer

import (
	"context"
	"slices"
	"sync"

	"github.com/trendbuy/riskscorer/broker"
)

// publication is one call's records, split by output partition, and how far each part got.
type publication struct {
	records []broker.Record
	parts   []*part
	digests []digest // of the records, once held
}

// sameAs reports whether records are those of the publication, apart from the ones that were too large.
func (pub *publication) sameAs(records []broker.Record) bool {
	if len(records) != len(pub.digests) {
		return false
	}
	refused := pub.refused()
	for i := range records {
		if pub.digests[i] != digestOf(&records[i]) && !slices.Contains(refused, i) {
			return false
		}
	}
	return true
}

// refused returns the indexes of the records that were too large, ascending.
func (pub *publication) refused() []int {
	var all []int
	for _, part := range pub.parts {
		all = append(all, part.tooLarge...)
	}
	slices.Sort(all)
	return all
}

func (pub *publication) forgetRefused() {
	for _, part := range pub.parts {
		part.tooLarge, part.tooLargeErr = nil, nil
	}
}

// run drives all parts to their end. One part's failure does not stop the others: what they get done is not repeated.
func (pub *publication) run(ctx context.Context) error {
	errs := make([]error, len(pub.parts))
	var wg sync.WaitGroup
	for i, part := range pub.parts[1:] {
		wg.Go(func() { errs[i+1] = part.run(ctx, pub.records) })
	}
	errs[0] = pub.parts[0].run(ctx, pub.records)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tooLarge returns a *TooLargeError if any record was.
func (pub *publication) tooLarge() error {
	refused := pub.refused()
	if len(refused) == 0 {
		return nil
	}
	e := &TooLargeError{Index: refused[0], Indexes: refused}
	for _, part := range pub.parts {
		if slices.Contains(part.tooLarge, e.Index) {
			e.Err = part.tooLargeErr
		}
	}
	return e
}

// abandon gives up what is unacknowledged. The sequence number of a batch that may be in the log must never be given to
// other records, which a broker would then take for a repetition and drop: those lanes start over with a new id.
func (pub *publication) abandon() {
	for _, part := range pub.parts {
		if part.flight != nil && part.flight.uncertain {
			part.lane.reset()
		}
	}
}
