package xgboost_test

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// What a hostile file may cost, beside its own bytes. The time is some ten times what it takes, for machines that
// are busy.
const (
	hostileBytes  = 32 << 20
	hostileTime   = 15 * time.Second
	hostileMemory = 192 << 20
)

// hostileFiles are large files that are wrong, or right and of no use, each made to cost one part of the loader much.
func hostileFiles(size int) map[string]func() []byte {
	key := "L\x00\x00\x00\x00\x00\x00\x00\x01k"
	fill := func(before, part, after string) func() []byte {
		return func() []byte {
			return []byte(before + strings.Repeat(part, (size-len(before)-len(after))/len(part)) + after)
		}
	}
	within := func(old, replacement, part string) func() []byte {
		before, after, _ := strings.Cut(smallModel, old)
		at := strings.Index(replacement, "*")
		return fill(before+replacement[:at], part, replacement[at+1:]+after)
	}
	return map[string]func() []byte{
		"numbers that nobody asks for": within(`"attributes"`, `"more": [*0], "attributes"`, "0,"),
		"blanks":                       within(`"attributes"`, `*"attributes"`, " "),
		"objects":                      within(`"attributes"`, `"more": [*{}], "attributes"`, "{},"),
		"brackets":                     within(`"attributes"`, `"more": *, "attributes"`, "["),
		"a list of lists":              within(`"attributes"`, `"more": [[0],*[0]], "attributes"`, "[0],"),
		"numbers, then a list":         within(`"attributes"`, `"more": [*[]], "attributes"`, "0,"),
		"a long text":                  within(`"attributes"`, `"more": "*", "attributes"`, "x"),
		"escapes":                      within(`"attributes"`, `"more": "*", "attributes"`, `\u0041`),
		"a long number":                within(`"attributes"`, `"more": 0.*, "attributes"`, "1"),
		"a long number among others":   within("[0.5,", "[0.*,", "1"),
		"texts between NaN":            within(`"attributes"`, `"more": [*NaN], "attributes"`, `"",`),
		"N that is not NaN":            within(`[NaN,`, `[NaN,*`, `N`),
		"nodes of a text":              within(`"left_children": [1,`, `"left_children": [*1,`, `1,`),
		"rounds":                       within(`"iteration_indptr": [0,`, `"iteration_indptr": [*0,`, `0,`),
		"category names":               within(`"values": [97,`, `"values": [*97,`, `97,`),
		"categories":                   within(`"categories": [2,`, `"categories": [*2,`, `2,`),
		"feature names":                within(`"x", "device"]`, `"x", *"device"]`, `"",`),
		"base scores":                  within(`[5E-1]`, `[*5E-1]`, `1,`),
		"a name twice":                 within(`"learner"`, `*"learner"`, `"a":0,`),
		"cut off":                      fill(smallModel[:strings.Index(smallModel, `"trees"`)]+`"trees": [{"left_children": [`, "1,", ""),

		"UBJSON: no-ops":               fill("{"+key, "N", "T}"),
		"UBJSON: objects":              fill("{"+key+"[", "{}", "]}"),
		"UBJSON: numbers with markers": fill("{"+key+"[", "i\x01", "]}"),
		"UBJSON: brackets":             fill("{"+key, "[", ""),
		"UBJSON: texts":                fill("{"+key+"[", "Si\x00", "]}"),
		"UBJSON: a counted list":       fill("{"+key+"[#l\x7f\xff\xff\xff", "T", ""),
		"UBJSON: a long text":          fill("{"+key+"Sl"+string(binary.BigEndian.AppendUint32(nil, uint32(size-100))), "x", ""),
		"UBJSON: a billion numbers":    fill("{"+key+"[$U#l\x3b\x9a\xca\x00", "x", ""),
		"UBJSON: names": func() []byte {
			b := []byte("{")
			for i := 0; len(b) < size; i++ {
				name := strconv.Itoa(i)
				b = append(append(append(b, 'i', byte(len(name))), name...), 'Z')
			}
			return b
		},
		"a tree of a depth": largeModel{trees: 1, depth: 19, features: 2, lie: func(_ int, t *largeTree) { // refused at its end
			t.condition[len(t.condition)-1] = float32(math.NaN())
		}}.encode,
		"a cycle at the end": largeModel{trees: size >> 16, depth: 10, features: 2, lie: func(tree int, t *largeTree) {
			if tree == size>>16-1 {
				t.left[1000] = 1
			}
		}}.encode,
	}
}

func TestHostileFilesCostLittle(t *testing.T) {
	for name, file := range hostileFiles(hostileBytes) {
		t.Run(name, func(t *testing.T) {
			data := file()
			start := time.Now()
			peak, err := peakHeap(func() error {
				_, err := xgboost.Load(data, xgboost.Options{})
				return err
			})
			if _, proper := errors.AsType[*xgboost.FileError](err); err != nil && !proper {
				t.Errorf("Load: %v is not a FileError", err)
			}
			elapsed := time.Since(start)
			t.Logf("%d MiB, %v, %d MiB more: %.150v", len(data)>>20, elapsed.Round(time.Millisecond), peak>>20, err)
			if elapsed > hostileTime || peak > hostileMemory {
				t.Errorf("it takes %v and %d MiB beside the file's %d", elapsed, peak>>20, len(data)>>20)
			}
		})
	}
}

// TestLargeModelsLoadWithinSixTimesTheirSize loads the trees of a model without covers, whose explanations have a bound
// of their own.
func TestLargeModelsLoadWithinSixTimesTheirSize(t *testing.T) {
	model := largeModel{trees: 500, depth: 10, features: 28, lie: func(_ int, t *largeTree) { t.cover = nil }}
	data := model.encode()
	peak, err := peakHeap(func() error {
		f, err := xgboost.Load(data, xgboost.Options{})
		if err == nil && (len(f.Trees) != model.trees || len(f.Trees[0].Nodes) != 2047) {
			t.Errorf("%d trees, the first of %d nodes", len(f.Trees), len(f.Trees[0].Nodes))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if peak += int64(len(data)); peak > 6*int64(len(data)) {
		t.Errorf("it takes %d MiB to load a file of %d", peak>>20, len(data)>>20)
	}
	t.Logf("%.1f times", float64(peak)/float64(len(data)))
}

// peakHeap calls f and returns the most that the heap held meanwhile, beside what it held before, as sampled.
func peakHeap(f func() error) (int64, error) {
	live := func() int64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	runtime.GC()
	before, peak, end := live(), int64(0), make(chan error)
	go func() { end <- f() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-end:
			return max(peak, live()) - before, err
		case <-tick.C:
			peak = max(peak, live())
		}
	}
}

// TestThePeakOfLoadingIsKnown collects garbage while models are loaded, and holds what is left against the estimate.
func TestThePeakOfLoadingIsKnown(t *testing.T) {
	for name, model := range map[string]largeModel{
		"deep":    {trees: 200, depth: 10, features: 28, lie: func(_ int, t *largeTree) { t.cover = nil }},
		"shallow": {trees: 600, depth: 6, features: 28},
	} {
		data := model.encode()
		before, peak, estimate := liveHeap(), int64(0), int64(0)
		synctest.Test(t, func(t *testing.T) {
			reports := 0
			progress := forest.NewProgress(func(part float64) error {
				if reports++; reports%50 == 0 || part >= 0.5 {
					peak = max(peak, liveHeap()-before)
				}
				time.Sleep(2 * time.Second) // so that the next report comes at once
				return nil
			})
			time.Sleep(2 * time.Second)
			f, err := xgboost.Load(data, xgboost.Options{Forest: forest.Options{Progress: progress}})
			if err != nil {
				t.Fatal(err)
			}
			peak, estimate = max(peak, liveHeap()-before), f.Memory().Peak()
			runtime.KeepAlive(f)
		})
		t.Logf("%s: %d KiB of %d", name, peak>>10, estimate>>10)
		if peak > estimate || peak < estimate/2 {
			t.Errorf("%s: loading takes %d KiB beside the file, and was to take %d", name, peak>>10, estimate>>10)
		}
		runtime.KeepAlive(data)
	}
}

// liveHeap is what the heap holds that is in use.
func liveHeap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
