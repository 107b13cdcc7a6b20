package chaos_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/chaos"
	"github.com/trendbuy/riskscorer/sabotage"
)

func TestSameSeedSamePlan(t *testing.T) {
	plan := chaos.Plan(7, 30, 30*time.Second)
	if !reflect.DeepEqual(plan, chaos.Plan(7, 30, 30*time.Second)) {
		t.Error("one seed, two plans")
	}
	if reflect.DeepEqual(plan, chaos.Plan(8, 30, 30*time.Second)) {
		t.Error("two seeds, one plan")
	}
}

// TestWholeRound checks that a plan of the usual size holds every kind and every point, and one long outage.
func TestWholeRound(t *testing.T) {
	const long = 3 * time.Minute
	kinds := make(map[chaos.Kind]int)
	points := make(map[sabotage.Point]int)
	longOutages := 0
	for _, f := range chaos.Plan(1, 30, long) {
		kinds[f.Kind]++
		points[f.Point]++
		if (f.Kind == chaos.KillAt) != (f.Point != "") {
			t.Errorf("%s: point %q", f.Kind, f.Point)
		}
		if f.Lasts == long {
			longOutages++
		}
		if f.Kind != chaos.Outage && f.Lasts > 20*time.Second {
			t.Errorf("%s lasts %s", f.Kind, f.Lasts)
		}
	}
	for _, kind := range chaos.Kinds() {
		if kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
	for _, point := range sabotage.Points() {
		if points[point] == 0 {
			t.Errorf("no kill at %s", point)
		}
	}
	if longOutages != 1 {
		t.Errorf("%d long outages", longOutages)
	}
}
