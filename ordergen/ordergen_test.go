package ordergen_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/ordergen"
)

const many = 40000

func orders(t *testing.T, cfg ordergen.Config, n int) []ordergen.Order {
	t.Helper()
	g := ordergen.New(cfg)
	out := make([]ordergen.Order, n)
	for i := range out {
		out[i] = g.Next()
	}
	return out
}

func events(list []ordergen.Order) []byte {
	var out []byte
	for _, o := range list {
		out = append(o.AppendJSON(out), '\n')
	}
	return out
}

// The demo bundle's bytes and every recorded sandbox run hang on these: a change of the generator is a change of the bundle.
func TestOrdersOfASeedNeverChange(t *testing.T) {
	const want = "8198ca420199e2f80eb90fafa6ff85d4a363492f266218e7f7a7035c76f7f0ae"
	list := orders(t, ordergen.Config{Seed: 1}, many)
	made := events(list)
	for _, o := range list {
		made = strconv.AppendBool(made, o.Regret)
	}
	sum := sha256.Sum256(made)
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("SHA-256 of %d orders of seed 1 and their outcomes = %s, want %s", many, got, want)
	}
}

func TestSeedsDiffer(t *testing.T) {
	one := events(orders(t, ordergen.Config{Seed: 1}, 10))
	two := events(orders(t, ordergen.Config{Seed: 2}, 10))
	if bytes.Equal(one, two) {
		t.Error("seeds 1 and 2 make the same orders")
	}
}

func TestIdsAreUniqueAndTimeNeverGoesBack(t *testing.T) {
	start := time.Date(2026, time.March, 29, 1, 30, 0, 123456789, time.FixedZone("", 3600))
	list := orders(t, ordergen.Config{Seed: 3, Start: start, Interval: time.Second}, many)
	seen := make(map[string]bool, many)
	before := start.Truncate(time.Millisecond)
	for _, o := range list {
		if seen[o.ID] {
			t.Fatalf("%s twice", o.ID)
		}
		seen[o.ID] = true
		if o.OccurredAt.Before(before) || o.OccurredAt.Nanosecond()%1e6 != 0 || o.OccurredAt.Location() != time.UTC {
			t.Fatalf("%s occurred at %s, after one at %s", o.ID, o.OccurredAt, before)
		}
		before = o.OccurredAt
	}
	if mean := before.Sub(start) / many; mean < 980*time.Millisecond || mean > 1020*time.Millisecond {
		t.Errorf("mean interval = %s, want 1 s", mean)
	}
}

func TestSharesAreBelievable(t *testing.T) {
	for _, interval := range []time.Duration{time.Millisecond, 0} {
		list := orders(t, ordergen.Config{Seed: 5, Interval: interval}, many)
		share := func(name string, low, high float64, is func(ordergen.Features) bool) {
			t.Helper()
			n := 0
			for _, o := range list {
				if is(o.Features) {
					n++
				}
			}
			if got := float64(n) / many; got < low || got > high {
				t.Errorf("interval %s: share of %s = %.3f, want %.2f to %.2f", interval, name, got, low, high)
			}
		}
		for device, want := range map[string]float64{"mobile": 0.54, "app": 0.24, "desktop": 0.18, "tablet": 0.04} {
			share(device, want-0.01, want+0.01, func(f ordergen.Features) bool { return f.DeviceType == device })
		}
		share("new customers", 0.15, 0.17, func(f ordergen.Features) bool { return math.IsNaN(f.PriorReturnRate) })
		share("half a history", 0, 0, func(f ordergen.Features) bool {
			return math.IsNaN(f.PriorReturnRate) != math.IsNaN(f.AverageOrderValue)
		})
		share("new creators", 0.03, 0.15, func(f ordergen.Features) bool { return math.IsNaN(f.CreatorReliability) })
		share("new products", 0.05, 0.16, func(f ordergen.Features) bool { return math.IsNaN(f.SizeFitRate) })
		share("no discount", 0.26, 0.32, func(f ordergen.Features) bool { return f.DiscountPct == 0 })
		share("discounts of 30% and more", 0.15, 0.30, func(f ordergen.Features) bool { return f.DiscountPct >= 0.3 })
		share("orders before the peak", 0.1, 0.4, func(f ordergen.Features) bool { return f.HoursSinceTrendPeak < 0 })
		share("orders over 2 days late", 0.1, 0.5, func(f ordergen.Features) bool { return f.HoursSinceTrendPeak > 48 })
		share("trends in the hundreds", 0.2, 0.6, func(f ordergen.Features) bool { return f.Velocity24h < 1000 })
		share("trends in the ten thousands", 0.001, 0.3, func(f ordergen.Features) bool { return f.Velocity24h >= 10000 })
	}
}

func TestFeaturesKeepTheContract(t *testing.T) {
	for _, o := range orders(t, ordergen.Config{Seed: 6}, many) {
		f := o.Features
		for name, fraction := range map[string]float64{
			"discount": f.DiscountPct, "creator": f.CreatorReliability, "returns": f.PriorReturnRate, "fit": f.SizeFitRate,
		} {
			if fraction < 0 || fraction > 1 {
				t.Fatalf("%s: %s = %v", o.ID, name, fraction)
			}
		}
		if !(f.Velocity24h >= 0) || f.AverageOrderValue < 0 || math.IsNaN(f.DiscountPct) || math.IsNaN(f.HoursSinceTrendPeak) {
			t.Fatalf("%s: %+v", o.ID, f)
		}
	}
}

func TestEventsTellAllFeaturesAndNoOutcome(t *testing.T) {
	nulls, absent := 0, 0
	for _, o := range orders(t, ordergen.Config{Seed: 7}, 5000) {
		var event struct {
			OrderID      string         `json:"order_id"`
			EventVersion int64          `json:"event_version"`
			OccurredAt   time.Time      `json:"occurred_at"`
			Features     map[string]any `json:"features"`
		}
		decoder := json.NewDecoder(bytes.NewReader(o.AppendJSON(nil)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&event); err != nil {
			t.Fatalf("%s: %v", o.ID, err)
		}
		if event.OrderID != o.ID || event.EventVersion != o.EventVersion || !event.OccurredAt.Equal(o.OccurredAt) {
			t.Fatalf("event %+v of order %+v", event, o)
		}
		for _, n := range o.Features.Numbers() {
			value, there := event.Features[n.Name]
			switch {
			case !math.IsNaN(n.Value) && value != n.Value:
				t.Fatalf("%s: %s = %v, want %v", o.ID, n.Name, value, n.Value)
			case math.IsNaN(n.Value) && value != nil:
				t.Fatalf("%s: %s = %v, want it missing", o.ID, n.Name, value)
			case math.IsNaN(n.Value) && there:
				nulls++
			case math.IsNaN(n.Value):
				absent++
			}
			delete(event.Features, n.Name)
		}
		if event.Features[ordergen.DeviceTypeName] != o.Features.DeviceType || len(event.Features) != 1 {
			t.Fatalf("%s: features left over: %v", o.ID, event.Features)
		}
	}
	if nulls < 500 || absent < 500 {
		t.Errorf("%d nulls and %d absent features, want many of both", nulls, absent)
	}
}
