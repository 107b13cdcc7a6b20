package forest_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

func TestProgressIsToldOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []float64
		p := forest.NewProgress(func(part float64) error {
			parts = append(parts, part)
			return nil
		})
		for i := range 25 {
			if err := p.At(float64(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if !slices.Equal(parts, []float64{10, 20}) {
			t.Errorf("told at %v, want once a second", parts)
		}
	})
}

// TestLoadingTellsItsProgress: a second passes at every report, so that each place which tells is heard.
func TestLoadingTellsItsProgress(t *testing.T) {
	for name, load := range loaders(t) {
		run := func(stop int) (parts []float64, err error) {
			synctest.Test(t, func(*testing.T) {
				p := forest.NewProgress(func(part float64) error {
					if parts = append(parts, part); len(parts) == stop {
						return errStop
					}
					time.Sleep(2 * time.Second)
					return nil
				})
				time.Sleep(2 * time.Second)
				_, err = load(forest.Options{Progress: p})
			})
			return parts, err
		}
		parts, err := run(0)
		told := len(parts)
		if err != nil || told == 0 || !slices.IsSorted(parts) || parts[0] < 0 || parts[told-1] > 1 {
			t.Errorf("%s: it tells %v (%v)", name, parts, err)
		}
		// How often the workers that fill tables are looked at depends on how long they take; that they are does not.
		last := min(told, 1+slices.IndexFunc(append(parts, 0.5), func(part float64) bool { return part >= 0.5 }))
		for _, stop := range []int{1, last} {
			if parts, err := run(stop); !errors.Is(err, errStop) || len(parts) != stop {
				t.Errorf("%s: stopped at report %d of about %d: %v after %d", name, stop, told, err, len(parts))
			}
		}
	}
}

var errStop = errors.New("that is enough")
