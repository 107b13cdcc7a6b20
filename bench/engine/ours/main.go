// Command ours is the Go child of the engine benchmark: riskscorer's forest, or its peer leaves. It speaks the line
// protocol of peers.py on standard input and output.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/dmitryikh/leaves"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
	judge "github.com/trendbuy/riskscorer/scoring/leaves"
)

// engine holds one model. Its works are score, for margins, and explain, for contributions, if it can.
type engine struct {
	features int
	version  string
	works    map[string]work
}

// work writes width values a row to dst; the first told of them are what peers answer too.
type work struct {
	width, told int
	call        func(dst, rows []float64)
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
}

// serve obeys the commands in r until it ends: "load ENGINE FOLDER", "run WORK ROWS-PER-CALL CALLS" and
// "answer WORK ROWS FILE". Each is answered by one line.
func serve(r io.Reader, w io.Writer) error {
	var e *engine
	var rows []float64
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var name, path string
		var batch, calls int
		var err error
		answer := "ok"
		switch line := lines.Text(); {
		case scan(line, "load %s %s", &name, &path):
			if e, err = load(name, path); err == nil {
				rows, err = readMatrix(filepath.Join(path, "rows.f64"))
				answer = "ok " + e.version
			}
		case e != nil && scan(line, "run %s %d %d", &name, &batch, &calls):
			answer, err = e.run(name, rows, batch, calls)
		case e != nil && scan(line, "answer %s %d %s", &name, &batch, &path):
			err = e.answer(name, rows, batch, path)
		default:
			err = fmt.Errorf("unknown command %q", line)
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, answer); err != nil {
			return err
		}
	}
	return nil
}

func scan(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}

func load(name, folder string) (*engine, error) {
	switch name {
	case "riskscorer":
		return loadForest(filepath.Join(folder, "model.ubj"))
	case "leaves":
		path := filepath.Join(folder, "model.txt")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return transcode(filepath.Join(folder, "model.ubj"))
		}
		return loadLeaves(path)
	}
	return nil, fmt.Errorf("unknown engine %q", name)
}

func readForest(path string) (*forest.Forest, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the driver names the file
	if err != nil {
		return nil, err
	}
	return xgboost.Load(data, xgboost.Options{})
}

func loadForest(path string) (*engine, error) {
	f, err := readForest(path)
	if err != nil {
		return nil, err
	}
	if kernel := os.Getenv("FOREST_KERNEL"); kernel != "" {
		if f, err = f.WithKernel(forest.Kernel(kernel)); err != nil {
			return nil, err
		}
	}
	values := f.NumGroup * (f.NumFeature + 1)
	return &engine{features: f.NumFeature, version: f.ID() + " " + runtime.Version(), works: map[string]work{
		"score":   {width: f.NumGroup, told: f.NumGroup, call: f.MarginsTo},
		"explain": {width: values, told: values - 1, call: f.ContributionsTo}, // the bias comes last
	}}, nil
}

// transcode has riskscorer's package leaves hand the library a model that has no text of its own.
func transcode(path string) (*engine, error) {
	f, err := readForest(path)
	if err != nil {
		return nil, err
	}
	m, err := judge.New(f)
	if err != nil {
		return nil, err
	}
	return &engine{features: f.NumFeature, version: leavesVersion(), works: map[string]work{
		"score": {width: f.NumGroup, told: f.NumGroup, call: m.MarginsTo},
	}}, nil
}

func loadLeaves(path string) (*engine, error) {
	m, err := leaves.LGEnsembleFromFile(path, false)
	if err != nil {
		return nil, err
	}
	features := m.NFeatures()
	score := func(dst, rows []float64) {
		if len(dst) == 1 {
			dst[0] = m.PredictSingle(rows, 0)
			return
		}
		// The shapes are the driver's own and fit, which is all that this could complain of.
		_ = m.PredictDense(rows, len(dst), features, dst, 0, 1)
	}
	return &engine{features: features, version: leavesVersion(), works: map[string]work{"score": {width: 1, told: 1, call: score}}}, nil
}

func leavesVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/dmitryikh/leaves" {
				return dep.Version
			}
		}
	}
	return "unknown"
}

// run makes calls of batch rows each, through all the rows again and again, and returns the nanoseconds
// of processor time a row.
func (e *engine) run(name string, rows []float64, batch, calls int) (string, error) {
	work, ok := e.works[name]
	if !ok || batch < 1 || batch*e.features > len(rows) || calls < 1 {
		return "", fmt.Errorf("cannot run %s with %d rows a call", name, batch)
	}
	dst := make([]float64, batch*work.width)
	piece := batch * e.features
	pieces := min(len(rows)/piece, 4096) // as many as peers.py prepares
	before, err := processorTime()
	if err != nil {
		return "", err
	}
	for i := range calls {
		at := i % pieces * piece
		work.call(dst, rows[at:at+piece])
	}
	after, err := processorTime()
	return fmt.Sprintf("%.3f", float64(after-before)/float64(calls*batch)), err
}

// processorTime is what the process has used of the core: unlike wall time, it leaves out what other processes take.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// answer writes the work's answers for the first n rows to the file.
func (e *engine) answer(name string, rows []float64, n int, path string) error {
	work, ok := e.works[name]
	if !ok || n*e.features > len(rows) {
		return errors.New("cannot answer " + name)
	}
	dst := make([]float64, n*work.width)
	work.call(dst, rows[:n*e.features])
	var out []byte
	for row := range slices.Chunk(dst, work.width) {
		for _, x := range row[:work.told] {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
		}
	}
	return os.WriteFile(path, out, 0o600)
}

// readMatrix reads little-endian float64 values.
func readMatrix(path string) ([]float64, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the driver names the file
	if err != nil {
		return nil, err
	}
	xs := make([]float64, len(data)/8)
	for i := range xs {
		xs[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return xs, nil
}
