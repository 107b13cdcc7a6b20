package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// summary is the account of a run.
type summary struct {
	Sent            int            `json:"sent"`
	Results         int            `json:"results"`
	DeadLetters     int            `json:"dead_letters"`
	Duplicates      int            `json:"duplicates"`
	EventsPerSecond float64        `json:"events_per_second"`
	P50             float64        `json:"p50_ms"`
	P99             float64        `json:"p99_ms"`
	Bands           map[string]int `json:"bands"`
	Classes         map[string]int `json:"dead_letters_by_class"`
}

func (s *sandbox) summarize(elapsed time.Duration) *summary {
	c := s.tally.snapshot(latencyWindow)
	return &summary{
		Sent: c.Sent, Results: c.Results, DeadLetters: c.DeadLetters, Duplicates: c.Duplicates,
		EventsPerSecond: float64(c.Results+c.DeadLetters) / elapsed.Seconds(),
		P50:             c.P50.Seconds() * 1000,
		P99:             c.P99.Seconds() * 1000,
		Bands:           c.Bands,
		Classes:         c.Classes,
	}
}

// balances says whether exactly one thing came of every order.
func (s *summary) balances() bool { return s.Sent == s.Results+s.DeadLetters }

func (s *summary) print(w io.Writer) error {
	verdict := "sent = results + dead letters: every order is accounted for"
	if !s.balances() {
		verdict = fmt.Sprintf("%d ORDERS ARE NOT ACCOUNTED FOR", s.Sent-s.Results-s.DeadLetters)
	}
	_, err := fmt.Fprintf(w, "\nsent          %8d\nresults       %8d   LOW %d, MEDIUM %d, HIGH %d\ndead letters  %8d   %s\nduplicates    %8d\n"+
		"%.1f events/s, event to result p50 %.1f ms, p99 %.1f ms\n\n%s\n",
		s.Sent, s.Results, s.Bands["LOW"], s.Bands["MEDIUM"], s.Bands["HIGH"], s.DeadLetters, classes(s.Classes), s.Duplicates,
		s.EventsPerSecond, s.P50, s.P99, verdict)
	return err
}

func classes(counts map[string]int) string {
	var texts []string
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%s %d", class, counts[class]))
	}
	return strings.Join(texts, ", ")
}
