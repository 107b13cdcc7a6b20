package main

import (
	"bufio"
	"context"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

const (
	benchRounds = 5               // what a median is taken of
	benchRows   = 8 * predictRows // enough that a branch predictor cannot learn them by heart
	batchRows   = 1024
)

// benchReport is what bench measured.
type benchReport struct {
	Machine struct {
		CPU      string `json:"cpu"`
		Cores    int    `json:"cores"` // that the process may use at a time
		Platform string `json:"platform"`
		Go       string `json:"go"`
	} `json:"machine"`
	Model struct {
		File     string `json:"file"`
		Engine   string `json:"engine"`
		Trees    int    `json:"trees"`
		Features int    `json:"features"`
		Groups   int    `json:"groups"`
	} `json:"model"`
	Rows        int         `json:"rows"`
	RowSource   string      `json:"row_source"`
	LoadSeconds float64     `json:"load_seconds"`
	HeapBytes   int64       `json:"heap_bytes"` // that a loaded model keeps
	Explains    bool        `json:"explains"`
	Costs       []benchCost `json:"costs"`
	// OrdersPerSecondPerCore is of batches that are scored and, if the model explains, explained, all cores busy.
	OrdersPerSecondPerCore float64 `json:"orders_per_second_per_core"`
}

// benchCost is the cost of one kind of work, called in one way.
type benchCost struct {
	Work               string  `json:"work"` // score or explain
	RowsPerCall        int     `json:"rows_per_call"`
	Cores              int     `json:"cores"`
	NanosecondsPerRow  float64 `json:"ns_per_row"` // of wall time
	RowsPerSecond      float64 `json:"rows_per_second"`
	AllocationsPerCall uint64  `json:"allocations_per_call"`
}

// matrix is rows and where they are from.
type matrix struct {
	rows   []float64
	source string
}

// benchmark measures a model for about budget.
type benchmark struct {
	budget   time.Duration
	progress func(part float64) // of the whole, from 0 to 1
}

// run loads the model, measures every case round by round, and reports.
func (b benchmark) run(ctx context.Context, load func() (*forest.Forest, error), rows func(*forest.Forest) (matrix, error)) (*benchReport, error) {
	r := &benchReport{}
	f, err := r.load(load, b.progress)
	if err != nil {
		return nil, err
	}
	m, err := rows(f)
	if err != nil {
		return nil, err
	}
	r.describe(f, m)
	cases := benchCases(f, m.rows)
	slice := b.budget / time.Duration(len(cases)*(benchRounds+1))
	for round := range benchRounds + 1 { // the first warms up and finds how many calls fill a slice
		for i, c := range cases {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if round == 0 {
				c.calibrate(slice)
			} else {
				c.measure()
			}
			b.progress(float64(1+round*len(cases)+i) / float64((benchRounds+1)*len(cases)))
		}
	}
	last := map[string]float64{} // work -> ns a row of its last case: batches on all cores
	for _, c := range cases {
		r.Costs = append(r.Costs, c.cost())
		last[c.work] = c.cost().NanosecondsPerRow
	}
	r.OrdersPerSecondPerCore = 1e9 / (last["score"] + last["explain"]) / float64(r.Machine.Cores)
	return r, nil
}

// load loads the model once a round and notes the median time, and the heap that one of them keeps.
func (r *benchReport) load(load func() (*forest.Forest, error), progress func(float64)) (*forest.Forest, error) {
	before := heap()
	var seconds []float64
	var f *forest.Forest
	for range benchRounds {
		start := time.Now()
		var err error
		if f, err = load(); err != nil {
			return nil, err
		}
		seconds = append(seconds, time.Since(start).Seconds())
		progress(0)
	}
	r.LoadSeconds, r.HeapBytes = median(seconds), heap()-before
	return f, nil
}

// heap is what is reachable now. The second collection takes what pools had kept back in the first.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) // #nosec G115 -- a heap is far smaller than 2^63 bytes
}

func (r *benchReport) describe(f *forest.Forest, m matrix) {
	r.Machine.CPU, r.Machine.Cores = cpuName(), runtime.GOMAXPROCS(0)
	r.Machine.Platform, r.Machine.Go = runtime.GOOS+"/"+runtime.GOARCH, runtime.Version()
	r.Model.Engine, r.Model.Trees = f.ID(), len(f.Trees)
	r.Model.Features, r.Model.Groups = f.NumFeature, f.NumGroup
	r.Rows, r.RowSource, r.Explains = len(m.rows)/f.NumFeature, m.source, f.Explains()
}

// benchCase is one line of the table. Its workers call the forest at the same time, each on its own part of the rows.
type benchCase struct {
	work        string
	rowsPerCall int
	workers     []*benchWorker
	calls       int // of one worker in one measurement

	nanoseconds []float64 // a row, one for each round
	allocations []float64 // a call
}

// benchWorker calls the forest with one piece of the rows after another.
type benchWorker struct {
	call  func(rows []float64)
	rows  []float64
	piece int // length of the rows of one call
	next  int
}

// benchCases lists the cases in the order of the table; a work's last is batches on all cores.
func benchCases(f *forest.Forest, rows []float64) []*benchCase {
	works := []string{"score"}
	if f.Explains() {
		works = append(works, "explain")
	}
	cores := slices.Compact([]int{1, runtime.GOMAXPROCS(0)})
	var cases []*benchCase
	for _, work := range works {
		for _, n := range []int{1, batchRows} {
			for _, workers := range cores {
				c := &benchCase{work: work, rowsPerCall: n}
				for i := range workers {
					start := i * (benchRows / workers) / n * n * f.NumFeature // so that the workers are not in step
					c.workers = append(c.workers, &benchWorker{call: benchCall(f, work, n), rows: rows, piece: n * f.NumFeature, next: start})
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// benchCall returns the work on n rows, with memory of its own for the answers.
func benchCall(f *forest.Forest, work string, n int) func(rows []float64) {
	if work == "explain" {
		phi := make([]float64, n*f.NumGroup*(f.NumFeature+1))
		return func(rows []float64) { f.ContributionsTo(phi, rows) }
	}
	margins := make([]float64, n*f.NumGroup)
	return func(rows []float64) {
		f.MarginsTo(margins, rows)
		f.PredictionsTo(margins, margins)
	}
}

func (w *benchWorker) run(calls int) {
	for range calls {
		w.call(w.rows[w.next : w.next+w.piece])
		if w.next += w.piece; w.next == len(w.rows) {
			w.next = 0
		}
	}
}

// calibrate finds the number of calls that take about a slice; one call may take longer.
func (c *benchCase) calibrate(slice time.Duration) {
	for c.calls = 1; ; c.calls *= 2 {
		elapsed, _ := c.run()
		if 4*elapsed >= slice {
			c.calls = max(1, int(float64(c.calls)*float64(slice)/float64(elapsed)))
			return
		}
	}
}

func (c *benchCase) measure() {
	elapsed, allocations := c.run()
	calls := c.calls * len(c.workers)
	c.nanoseconds = append(c.nanoseconds, float64(elapsed)/float64(calls*c.rowsPerCall))
	// Whole ones only, as package testing counts: the runtime itself allocates now and then.
	c.allocations = append(c.allocations, math.Floor(float64(allocations)/float64(calls)))
}

// run has every worker make its calls, and returns the wall time and the allocations of all of them together.
func (c *benchCase) run() (time.Duration, uint64) {
	var before, after runtime.MemStats
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for _, w := range c.workers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			w.run(c.calls)
		})
	}
	ready.Wait()
	runtime.ReadMemStats(&before)
	began := time.Now()
	close(start)
	done.Wait()
	elapsed := time.Since(began)
	runtime.ReadMemStats(&after)
	return max(elapsed, 1), after.Mallocs - before.Mallocs
}

func (c *benchCase) cost() benchCost {
	ns := median(c.nanoseconds)
	return benchCost{
		Work: c.work, RowsPerCall: c.rowsPerCall, Cores: len(c.workers),
		NanosecondsPerRow: ns, RowsPerSecond: 1e9 / ns, AllocationsPerCall: uint64(median(c.allocations)),
	}
}

func median(xs []float64) float64 {
	return slices.Sorted(slices.Values(xs))[len(xs)/2]
}

// cpuName is the processor as Linux names it, or "unknown processor".
func cpuName() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// benchProgress returns a bar on a terminal, and nothing elsewhere.
func benchProgress() func(part float64) {
	if !isTerminal(os.Stderr) {
		return func(float64) {}
	}
	bar := progressbar.NewOptions(100, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription("measuring"),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	return func(part float64) { _ = bar.Set(int(100 * part)) }
}
