package deadletter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trendbuy/riskscorer/broker"
)

// Position is what is left of a redrive: by partition, the offsets that are not passed yet, up to the ends that the logs
// had when it began.
type Position struct {
	Topic      string `json:"topic"` // of dead letters
	Filter     Filter `json:"filter"`
	Partitions []Rest `json:"partitions"`
}

// Rest is what is left of one partition: the offsets [Next, End).
type Rest struct {
	Partition int   `json:"partition"`
	Next      int64 `json:"next"`
	End       int64 `json:"end"`
}

// NewPosition is the beginning of a redrive of the spans that a Reader returned for the filter.
func NewPosition(topic string, f Filter, spans []broker.Span) *Position {
	p := &Position{Topic: topic, Filter: f}
	for _, s := range spans {
		p.Partitions = append(p.Partitions, Rest{s.Partition, s.From, s.To})
	}
	return p
}

func (p *Position) spans() []broker.Span {
	spans := make([]broker.Span, len(p.Partitions))
	for i, rest := range p.Partitions {
		spans[i] = broker.Span{Topic: p.Topic, Partition: rest.Partition, From: rest.Next, To: rest.End}
	}
	return spans
}

// pass moves a partition behind an offset.
func (p *Position) pass(partition int, offset int64) {
	for i := range p.Partitions {
		if p.Partitions[i].Partition == partition {
			p.Partitions[i].Next = offset + 1
		}
	}
}

// finish moves every partition to its end.
func (p *Position) finish() {
	for i := range p.Partitions {
		p.Partitions[i].Next = max(p.Partitions[i].Next, p.Partitions[i].End)
	}
}

// Done says whether nothing is left.
func (p *Position) Done() bool {
	for _, rest := range p.Partitions {
		if rest.Next < rest.End {
			return false
		}
	}
	return true
}

// Load reads a position from a file; nil says that there is no such file.
func Load(path string) (*Position, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the position: %w", err)
	}
	var p Position
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read the position %s: %w", path, err)
	}
	return &p, nil
}

// Save writes the position to a file, whole or not at all.
func (p *Position) Save(path string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("save the position: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save the position: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the error above is the one to tell
		return fmt.Errorf("save the position: %w", err)
	}
	return nil
}
