package ordergen

import (
	"math"
	"strconv"
	"time"
)

// Order is one order event together with what became of it, which no event tells.
type Order struct {
	// ID is like ORD_12345 and unique for its generator.
	ID string
	// EventVersion counts upstream's corrections of the event's features.
	EventVersion int64
	// OccurredAt is in UTC, to the millisecond.
	OccurredAt time.Time
	Features   Features
	// Regret is the outcome, drawn with RegretProbability.
	Regret            bool
	RegretProbability float64
}

// Features are an order's features under the names and units of DESIGN's demo contract; NaN is missing.
type Features struct {
	DiscountPct         float64 // fraction of the list price, 0 to 1
	Velocity24h         float64 // units of the trend sold in 24 h
	HoursSinceTrendPeak float64 // negative before the peak
	CreatorReliability  float64 // 0 to 1; missing for a new creator
	PriorReturnRate     float64 // of 90 days, 0 to 1; missing for a new customer
	AverageOrderValue   float64 // of 90 days, shop currency; missing for a new customer
	SizeFitRate         float64 // 0 to 1; missing for a new product
	DeviceType          string  // mobile, app, desktop or tablet
}

// Number is a numeric feature under its name in order events.
type Number struct {
	Name  string
	Value float64 // NaN is missing
}

// DeviceTypeName is the name of the device type in order events.
const DeviceTypeName = "feature_device_type"

// Numbers returns the numeric features by name, in the order of the demo model's training.
func (f Features) Numbers() [7]Number {
	return [7]Number{
		{"feature_discount_pct", f.DiscountPct},
		{"feature_velocity_24h", f.Velocity24h},
		{"feature_hours_since_trend_peak", f.HoursSinceTrendPeak},
		{"feature_creator_reliability", f.CreatorReliability},
		{"feature_cust_prior_return_rate_90d", f.PriorReturnRate},
		{"feature_cust_avg_order_value_90d", f.AverageOrderValue},
		{"feature_prod_size_fit_rate", f.SizeFitRate},
	}
}

// AppendJSON appends the order event in JSON, on one line without a line feed, and returns the extended
// slice. Missing features are null in events of even milliseconds and absent in the others, as both occur.
func (o Order) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"order_id":`...)
	dst = strconv.AppendQuote(dst, o.ID)
	dst = append(dst, `,"event_version":`...)
	dst = strconv.AppendInt(dst, o.EventVersion, 10)
	dst = append(dst, `,"occurred_at":"`...)
	dst = o.OccurredAt.AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","features":{`...)
	nulls := o.OccurredAt.UnixMilli()%2 == 0
	for _, n := range o.Features.Numbers() {
		missing := math.IsNaN(n.Value)
		if missing && !nulls {
			continue
		}
		dst = strconv.AppendQuote(dst, n.Name)
		dst = append(dst, ':')
		if missing {
			dst = append(dst, "null"...)
		} else {
			dst = strconv.AppendFloat(dst, n.Value, 'f', -1, 64)
		}
		dst = append(dst, ',')
	}
	dst = strconv.AppendQuote(dst, DeviceTypeName)
	dst = append(dst, ':')
	dst = strconv.AppendQuote(dst, o.Features.DeviceType)
	return append(dst, "}}"...)
}
