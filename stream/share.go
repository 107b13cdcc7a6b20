package stream

import (
	"fmt"
	"slices"
	"sync"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

// shareWindow is how many of a partition's last records the share of a reject class is taken of.
const shareWindow = 1000

// ShareError says that more than the set share of a partition's last records break the model's contract in one way:
// the sign of a bad deployment, upstream or here, that must not empty the topic into dead letters. The batch that would
// cross the share is not published and not acknowledged.
type ShareError struct {
	Class   schemas.RejectClass
	Records int     // of the class, among the last 1,000
	Share   float64 // that is allowed
	Offset  int64   // of the record that crosses it
	Detail  string  // what is wrong with that record; no feature's value is in it
}

// Error says what an operator can do.
func (e *ShareError) Error() string {
	return fmt.Sprintf("%d of the last %d records are of reject class %s, over REJECT_SHARE=%g; the one at offset %d: %s. "+
		"Roll back what changed, upstream or the model; or, to go on and make dead letters of them, restart with REJECT_SHARE=1",
		e.Records, shareWindow, e.Class, e.Share, e.Offset, e.Detail)
}

// PauseKind names the reason in metrics.
func (e *ShareError) PauseKind() string { return "reject_share" }

// shares has the recent records of each partition that this process has handled. They outlive the workers, so that
// rebalances do not each let another half of a window through.
type shares struct {
	limit float64

	mu         sync.Mutex
	partitions map[int]*recent
}

// recent is what became of a partition's last records.
type recent struct {
	next    int64 // offset after the last of them
	at      int   // place of the oldest in classes
	classes [shareWindow]uint8
	counts  [16]int // by class
}

// contractClasses gives the classes that are counted their numbers in recent, from 1; 0 is every other outcome.
var contractClasses = slices.DeleteFunc(schemas.RejectClasses(), func(c schemas.RejectClass) bool { return !c.Contract() })

// admit returns the partition's recent records as they will be after the batch, or a *ShareError if the batch crosses
// the share at any of its records. Nothing changes until the result is given to keep.
func (s *shares) admit(records []broker.Record, outputs []output) (recent, error) {
	first := &records[0]
	s.mu.Lock()
	var r recent
	// Records that others handled in between, or that come again, would be counted wrongly: then it starts anew.
	if known := s.partitions[first.Partition]; known != nil && first.Offset >= known.next && first.Offset-known.next <= shareWindow {
		r = *known
	}
	s.mu.Unlock()
	for i := range outputs {
		o := &outputs[i]
		class := uint8(0)
		if o.reject != nil {
			class = uint8(slices.Index(contractClasses, o.reject.Class) + 1)
		}
		r.counts[r.classes[r.at]]--
		r.counts[class]++
		r.classes[r.at] = class
		r.at = (r.at + 1) % shareWindow
		if class != 0 && float64(r.counts[class]) > s.limit*shareWindow {
			return recent{}, &ShareError{
				Class: o.reject.Class, Records: r.counts[class], Share: s.limit, Offset: o.source.Offset, Detail: o.reject.Detail,
			}
		}
	}
	r.next = records[len(records)-1].Offset + 1
	return r, nil
}

// keep remembers a batch that was acknowledged.
func (s *shares) keep(partition int, r recent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.partitions[partition]
	if known == nil {
		known = new(recent)
		s.partitions[partition] = known
	}
	*known = r
}
