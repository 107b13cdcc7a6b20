package forest

import "time"

// progressInterval is how often progress is reported, and what is done sooner is not reported at all.
const progressInterval = time.Second

// A Progress tells its owner once a second how far the loading of one model is. A nil one tells nobody.
type Progress struct {
	report func(part float64) error
	next   time.Time
}

// NewProgress returns a Progress that calls report, from the goroutine that loads, with the part of the work that is
// done, from 0 to 1. If report returns an error, that ends the loading and is what its error wraps.
func NewProgress(report func(part float64) error) *Progress {
	return &Progress{report, time.Now().Add(progressInterval)}
}

// At says that a part of the work is done. The loaders of files call it between trees.
func (p *Progress) At(part float64) error {
	if p == nil {
		return nil
	}
	now := time.Now()
	if now.Before(p.next) {
		return nil
	}
	p.next = now.Add(progressInterval)
	return p.report(part)
}

// readingPart is how much of the work it is to read a file's trees.
const readingPart = 0.5

// Read says that some of all trees of a file, or of its bytes, are read.
func (p *Progress) Read(some, all int) error {
	return p.At(readingPart * float64(some) / float64(max(1, all)))
}

// made says that something is made of some of all trees.
func (p *Progress) made(trees, all int) error {
	return p.At(readingPart + (1-readingPart)*float64(trees)/float64(max(1, all)))
}
