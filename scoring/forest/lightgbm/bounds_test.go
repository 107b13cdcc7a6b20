package lightgbm_test

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
)

// What a hostile file may cost, beside its own bytes. The time is some ten times what it takes, for machines that
// are busy.
const (
	hostileBytes  = 32 << 20
	hostileTime   = 15 * time.Second
	hostileMemory = 320 << 20
)

// hostileFiles are large files that are wrong, or right and of no use, each made to cost one part of the loader much.
func hostileFiles(size int) map[string]func() string {
	within := func(old, replacement, part string) func() string {
		before, after, _ := strings.Cut(smallModel, old)
		head, tail, _ := strings.Cut(replacement, "*")
		return func() string {
			return before + head + strings.Repeat(part, (size-len(smallModel))/len(part)) + tail + after
		}
	}
	const header = "feature_names=x device\n"
	return map[string]func() string{
		"blank lines":          within(header, header+"*", "\n"),
		"blanks":               within(header, header+"*", " "),
		"keys":                 within(header, header+"*", "k=\n"),
		"a long key":           within(header, header+"*=\n", "k"),
		"feature names":        within("feature_names=x", "feature_names=x *", "y "),
		"feature infos":        within("feature_infos=", "feature_infos=*", "y "),
		"tree sizes":           within("tree_sizes=", "tree_sizes=*", "1 "),
		"objective":            within("sigmoid:2", "sigmoid:2 *", "a:b "),
		"a long number":        within("threshold=0.5", "threshold=0.5*", "1"),
		"leaves":               within("leaf_value=-1", "leaf_value=-1 *", "1 "),
		"a claim of leaves":    within("num_leaves=4", "num_leaves=1000000000\nnothing=*", "1 "),
		"category sets":        within("cat_threshold=5", "cat_threshold=5 *", "1 "),
		"category boundaries":  within("num_cat=1", "num_cat=1000000\nnothing=*", "1 "),
		"after the trees":      within("end of trees\n", "end of trees\n*", "a\n"),
		"categorical features": within("end of trees\n", "end of trees\nparameters:\n[categorical_feature:*]\nend of parameters\n", "0,"),
		"category names":       within(`[["a", 5, true]]`, `[[*5]]`, "5,"),
		"cut off":              func() string { return within("leaf_value=-1", "leaf_value=-1 *", "1 ")()[:size-1000] },
		"trees of one leaf": func() string {
			var b strings.Builder
			head, _, _ := strings.Cut(strings.Replace(smallModel, "tree_sizes=1 2 3\n", "", 1), "Tree=0")
			b.WriteString(head)
			for i := 0; b.Len() < size; i++ {
				fmt.Fprintf(&b, "Tree=%d\nnum_leaves=1\nleaf_value=0\n", i)
			}
			return b.String()
		},
		"trees of nothing": func() string {
			head, _, _ := strings.Cut(smallModel, "Tree=0")
			return head + "Tree=0\n" + strings.Repeat("Tree=1\n", (size-len(head))/7)
		},
		"one tree, a cycle at its end": func() string { return strings.Replace(largeTree(size/32), " -1 ", " -2 ", 1) },
		"one tree, wrong at its end":   func() string { return strings.Replace(largeTree(size/32), "leaf_count=0", "leaf_count=nan", 1) },
		"linear leaves": func() string {
			leaves := size / 64
			ones := strings.Repeat("1 ", leaves)
			linear := fmt.Sprintf("is_linear=1\nleaf_const=%s\nnum_features=%s\nleaf_features=%s\nleaf_coeff=%snan", ones, ones, strings.Repeat("0 ", leaves), ones[2:])
			return strings.Replace(largeTree(leaves), "is_linear=0", linear, 1)
		},
	}
}

// largeTree returns a model whose one tree has so many leaves, and is as deep as it must be.
func largeTree(leaves int) string {
	var left, right strings.Builder
	for i := range leaves - 1 { // split i has the children 2i+1 and 2i+2 of a heap, whose leaves come after its splits
		for k, to := range []*strings.Builder{&left, &right} {
			child := 2*i + 1 + k
			if child >= leaves-1 {
				child = -1 - (child - (leaves - 1))
			}
			fmt.Fprintf(to, "%d ", child)
		}
	}
	splits, all := strings.Repeat("0 ", leaves-1), strings.Repeat("0 ", leaves)
	head, _, _ := strings.Cut(strings.Replace(smallModel, "tree_sizes=1 2 3\n", "", 1), "Tree=0")
	return head + fmt.Sprintf("Tree=0\nnum_leaves=%d\nnum_cat=0\nsplit_feature=%s\nthreshold=%s\ndecision_type=%s\nleft_child=%s\n"+
		"right_child=%s\nleaf_value=%s\nleaf_count=%s\ninternal_count=%s\nis_linear=0\n\nend of trees\n",
		leaves, splits, splits, splits, left.String(), right.String(), all, all, splits)
}

func TestHostileFilesCostLittle(t *testing.T) {
	for name, file := range hostileFiles(hostileBytes) {
		t.Run(name, func(t *testing.T) {
			data := []byte(file())
			start := time.Now()
			peak, err := peakHeap(func() error {
				_, err := lightgbm.Load(data, lightgbm.Options{})
				return err
			})
			if _, proper := errors.AsType[*lightgbm.FileError](err); err != nil && !proper {
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

// TestLargeTreesAreRefusedForTheirMemory: a file of one tree of two million leaves, which is right.
func TestLargeTreesAreRefusedForTheirMemory(t *testing.T) {
	data := []byte(largeTree(2_000_000))
	const limit = 512 << 20
	peak, err := peakHeap(func() error {
		_, err := lightgbm.Load(data, lightgbm.Options{Forest: forest.Options{MaxMemory: limit}})
		return err
	})
	refused, ok := errors.AsType[*forest.MemoryError](err)
	if !ok || refused.Need < limit || refused.Limit != limit {
		t.Errorf("Load: %v, want a MemoryError", err)
	}
	if peak+int64(len(data)) > limit {
		t.Errorf("it takes %d MiB before it is refused, and may take %d", (peak+int64(len(data)))>>20, limit>>20)
	}
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
