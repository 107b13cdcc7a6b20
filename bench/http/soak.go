package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/trendbuy/riskscorer/bench/http/load"
	"github.com/trendbuy/riskscorer/bench/report"
)

// sampleEvery is the length of a piece of the soak, in whose middle memory and goroutines are read.
const sampleEvery = 10 * time.Second

// soakFigures are what a long load gave.
type soakFigures struct {
	For     time.Duration
	Rate    float64
	Sent    int
	Failed  int       // anything but 200
	RSS     []float64 // MB, every sampleEvery
	Threads []float64 // goroutines
	P99     []float64 // ms
}

// soak loads riskscorer at 0.7 of its capacity.
func (b *bench) soak(ctx context.Context, r *results, _ []*contender) error {
	s, err := b.launch(ctx, b.ours("", "riskscorer", ""))
	if err != nil {
		return err
	}
	defer func() { _ = s.process.Stop(stopLimit) }()
	t, err := s.closed(ctx, s.requests, connections, b.length())
	if err != nil {
		return err
	}
	f := &soakFigures{Rate: 0.7 * t.Rate}
	r.Soak = f
	for begin := time.Now(); f.For < b.settings.soak; f.For = time.Since(begin) {
		if err := f.piece(ctx, s); err != nil {
			return err
		}
		n := len(f.RSS) - 1
		say("soak: %v of %v at %.0f/s: %.0f MB, %.0f goroutines, p99 %.2f ms, %d failed of %d",
			time.Since(begin).Round(time.Second), b.settings.soak, f.Rate, f.RSS[n], f.Threads[n], f.P99[n], f.Failed, f.Sent)
	}
	say("soak: %s", f.verdict())
	return nil
}

// piece loads for sampleEvery and reads in the middle, while all connections are open.
func (f *soakFigures) piece(ctx context.Context, s *server) error {
	read := make(chan error, 1)
	go func() {
		if err := pause(ctx, sampleEvery/2); err != nil {
			read <- err
			return
		}
		read <- f.sample(ctx, s)
	}()
	got, _, err := s.offer(ctx, s.requests, load.Plan{Rate: f.Rate, Connections: openLoops, For: sampleEvery})
	if err := errors.Join(err, <-read); err != nil {
		return err
	}
	f.Sent += got.Sent()
	f.Failed += got.Sent() - got.Answers[http.StatusOK]
	f.P99 = append(f.P99, milliseconds(load.Quantile(got.OK, 0.99)))
	return nil
}

func (f *soakFigures) sample(ctx context.Context, s *server) error {
	now, _, err := s.process.Memory()
	if err != nil {
		return err
	}
	threads, err := gauge(ctx, "http://"+s.metrics+"/metrics", "go_goroutines")
	f.RSS, f.Threads = append(f.RSS, float64(now)/(1<<20)), append(f.Threads, threads)
	return err
}

// gauge reads one metric without labels.
func gauge(ctx context.Context, url, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s does not tell %s", url, name)
}

// growth compares the median of the last quarter with that of the first, after a tenth to warm up; NaN of too few.
func growth(samples []float64) float64 {
	n := len(samples)
	if n < 4 {
		return math.NaN()
	}
	return report.Median(samples[n-n/4:])/report.Median(samples[n/10:n/10+n/4]) - 1
}

// flat says whether memory and goroutines stayed within a tenth, and nothing failed.
func (f *soakFigures) flat() bool {
	return math.Abs(growth(f.RSS)) <= 0.1 && math.Abs(growth(f.Threads)) <= 0.1 && f.Failed == 0
}

func (f *soakFigures) verdict() string {
	verdict := "not flat"
	if f.flat() {
		verdict = "flat within 10%, without a failure"
	}
	return fmt.Sprintf("%v at %.0f requests/s: memory %+.1f%%, goroutines %+.1f%%, %d of %d requests failed: %s",
		f.For.Round(time.Second), f.Rate, 100*growth(f.RSS), 100*growth(f.Threads), f.Failed, f.Sent, verdict)
}
