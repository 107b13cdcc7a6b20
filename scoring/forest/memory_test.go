package forest_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// loaders load the golden models whose memory is worth measuring: the largest of each kind, and the demo model.
func loaders(tb testing.TB) map[string]func(o forest.Options) (*forest.Forest, error) {
	tb.Helper()
	all := make(map[string]func(o forest.Options) (*forest.Forest, error))
	for _, pattern := range []string{"xgboost/testdata/*/model.*", "lightgbm/testdata/*/model.txt", "../../models/*/model.ubj"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			tb.Fatalf("no models at %s (%v)", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				tb.Fatal(err)
			}
			all[filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file)] = func(o forest.Options) (*forest.Forest, error) {
				if strings.HasSuffix(file, ".txt") {
					return lightgbm.Load(data, lightgbm.Options{Forest: o})
				}
				return xgboost.Load(data, xgboost.Options{Forest: o})
			}
		}
	}
	return all
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools had kept back in the first
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestMemoryEstimates: what was known before holds, and is not far off.
func TestMemoryEstimates(t *testing.T) {
	const (
		copies = 4        // so that what is measured is large beside what the test allocates
		slack  = 32 << 10 // small models differ in what hardly counts
	)
	for name, load := range loaders(t) {
		t.Run(name, func(t *testing.T) {
			var kept [copies]*forest.Forest
			before := heap()
			for i := range kept {
				var err error
				if kept[i], err = load(forest.Options{}); err != nil {
					t.Fatal(err)
				}
			}
			actual := (heap() - before) / copies
			estimate := kept[0].Memory().Kept()
			if estimate < actual || estimate > actual*3/2+slack {
				t.Errorf("the estimate is %d bytes, and the forest takes %d", estimate, actual)
			}
			runtime.KeepAlive(kept)
		})
	}
}

// TestMemoryIsBounded loads models with what they take, and with a byte less.
func TestMemoryIsBounded(t *testing.T) {
	for name, load := range loaders(t) {
		_, err := load(forest.Options{MaxMemory: 1})
		refused, ok := errors.AsType[*forest.MemoryError](err)
		if !ok || refused.Limit != 1 {
			t.Fatalf("%s: load within one byte: %v", name, err)
		}
		_, err = load(forest.Options{MaxMemory: refused.Need}) // enough to read the trees
		if refused, ok = errors.AsType[*forest.MemoryError](err); !ok {
			t.Fatalf("%s: load within %d bytes: %v, want a MemoryError", name, refused.Limit, err)
		}
		if _, err = load(forest.Options{MaxMemory: refused.Need - 1}); err == nil {
			t.Errorf("%s: it loads within a byte less than the %d it takes", name, refused.Need)
		}
		if _, err = load(forest.Options{MaxMemory: refused.Need}); err != nil {
			t.Errorf("%s: load within what it takes: %v", name, err)
		}
		if !strings.Contains(refused.Error(), "MiB of memory, and the limit is ") {
			t.Errorf("%s: the error names no figures: %v", name, refused)
		}
	}
}
