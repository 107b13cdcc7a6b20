package ordergen_test

import (
	"math"
	"testing"

	"github.com/trendbuy/riskscorer/ordergen"
)

func TestRegretFollowsItsProbability(t *testing.T) {
	var regretted, expected float64
	var calibrated [10]struct{ orders, regretted, expected float64 }
	for _, o := range orders(t, ordergen.Config{Seed: 8}, many) {
		bin := &calibrated[int(o.RegretProbability*10)]
		bin.orders++
		bin.expected += o.RegretProbability
		expected += o.RegretProbability
		if o.Regret {
			bin.regretted++
			regretted++
		}
	}
	if share := regretted / many; share < 0.22 || share > 0.35 {
		t.Errorf("share of regretted orders = %.3f, want 0.22 to 0.35", share)
	}
	if math.Abs(regretted-expected) > 4*math.Sqrt(many)/2 {
		t.Errorf("%v orders regretted, want about %.0f", regretted, expected)
	}
	for i, bin := range calibrated {
		if math.Abs(bin.regretted-bin.expected) > 4*math.Sqrt(bin.orders)/2 {
			t.Errorf("probability %d0%% and more: %v of %v regretted, want about %.0f", i, bin.regretted, bin.orders, bin.expected)
		}
	}
}

// The reasons' texts claim levels, which is honest only if the world has these directions.
func TestRegretIsMonotone(t *testing.T) {
	directions := []struct {
		name    string
		rising  bool
		highest float64
		set     func(*ordergen.Features, float64)
	}{
		{"discount", true, 1, func(f *ordergen.Features, x float64) { f.DiscountPct = x }},
		{"velocity", true, 50000, func(f *ordergen.Features, x float64) { f.Velocity24h = x }},
		{"hours since peak", true, 300, func(f *ordergen.Features, x float64) { f.HoursSinceTrendPeak = x }},
		{"prior returns", true, 1, func(f *ordergen.Features, x float64) { f.PriorReturnRate = x }},
		{"creator reliability", false, 1, func(f *ordergen.Features, x float64) { f.CreatorReliability = x }},
		{"size fit", false, 1, func(f *ordergen.Features, x float64) { f.SizeFitRate = x }},
		{"average order value", false, 1000, func(f *ordergen.Features, x float64) { f.AverageOrderValue = x }},
	}
	for _, o := range orders(t, ordergen.Config{Seed: 9}, 200) {
		for _, d := range directions {
			f := o.Features
			d.set(&f, 0)
			before := ordergen.RegretProbability(f)
			for step := 1.0; step <= 20; step++ {
				d.set(&f, d.highest*step/20)
				after := ordergen.RegretProbability(f)
				if rises := after > before; after == before || rises != d.rising {
					t.Fatalf("%s: %s up, probability from %v to %v", o.ID, d.name, before, after)
				}
				before = after
			}
		}
	}
}

// The example of docs/world.md, worked out there by hand.
func TestRegretOfTheExample(t *testing.T) {
	got := ordergen.RegretProbability(ordergen.Features{
		DiscountPct: 0.35, Velocity24h: 8420, HoursSinceTrendPeak: 6.5, CreatorReliability: 0.22,
		PriorReturnRate: 0.31, AverageOrderValue: 127.5, SizeFitRate: 0.18, DeviceType: "mobile",
	})
	if math.Abs(got-0.8188) > 0.00005 {
		t.Errorf("probability = %v, want 0.8188", got)
	}
}
