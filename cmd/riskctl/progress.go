package main

import (
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far a command is that reads a part of a topic, once it has taken a second. Its zero
// value is ready.
type progress struct {
	begin time.Time
	bar   *progressbar.ProgressBar
}

// update says that passed of so many offsets are read.
func (p *progress) update(passed, of int64) {
	if p.begin.IsZero() {
		p.begin = time.Now()
	}
	if p.bar == nil {
		if time.Since(p.begin) < time.Second || !isTerminal(os.Stderr) {
			return
		}
		p.bar = progressbar.NewOptions64(of, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
			progressbar.OptionSetDescription("records"), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(time.Second))
	}
	p.bar.ChangeMax64(of)
	_ = p.bar.Set64(passed) // a terminal that cannot be written to shows nothing
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // as above
	}
}

// printable makes a text that came with a record safe for a terminal, and at most limit characters long.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}
