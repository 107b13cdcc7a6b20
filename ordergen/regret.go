package ordergen

import "math"

// Weights of the regret formula of docs/world.md, in log odds.
const (
	weightBase     = -4.2
	weightHeat     = 3.3
	weightDeep     = 1.25
	weightReturns  = 3.1
	weightLate     = 0.8
	weightMisfit   = 0.2
	weightCreator  = 0.2
	weightThrift   = 0.4
	weightRush     = 1.4
	weightMismatch = 0.4
)

// What stands in for history that an order lacks: somewhat riskier than the average.
const (
	unknownReliability  = 0.45
	unknownReturnRate   = 0.22
	unknownAverageOrder = 60
	unknownSizeFit      = 0.6
)

// RegretProbability returns the probability that a customer regrets an order with these features: the formula of docs/world.md.
func RegretProbability(f Features) float64 {
	heat := f.Velocity24h / (f.Velocity24h + 7000)
	squared := float64(f.DiscountPct * f.DiscountPct)
	deep := squared / (squared + 0.0625)
	late := max(f.HoursSinceTrendPeak, 0) / (max(f.HoursSinceTrendPeak, 0) + 48)
	returns := known(f.PriorReturnRate, unknownReturnRate)
	returns = returns / (returns + 0.3)
	misfit := 1 - known(f.SizeFitRate, unknownSizeFit)
	doubt := 1 - known(f.CreatorReliability, unknownReliability)
	thrift := 100 / (100 + known(f.AverageOrderValue, unknownAverageOrder))

	logit := weightBase +
		float64(weightHeat*heat) +
		float64(weightDeep*deep) +
		float64(weightReturns*returns) +
		float64(weightLate*late) +
		float64(weightMisfit*misfit) +
		float64(weightCreator*doubt) +
		float64(weightThrift*thrift) +
		float64(weightRush*heat*deep) +
		float64(weightMismatch*misfit*doubt) +
		deviceWeight(f.DeviceType)
	return 1 / (1 + exp(-logit))
}

// deviceWeight is how much more easily an order slips out on a device than on a tablet, in log odds.
func deviceWeight(device string) float64 {
	switch device {
	case "mobile":
		return 0.15
	case "app":
		return 0.1
	case "desktop":
		return -0.2
	default:
		return 0
	}
}

func known(value, unknown float64) float64 {
	if math.IsNaN(value) {
		return unknown
	}
	return value
}

// exp returns e^x for |x| <= 50 to about 12 digits, the same bits on every machine; math.Exp has
// variants by processor. It is the Taylor series at x/1024, squared ten times.
func exp(x float64) float64 {
	t := x / 1024
	sum, term := 1.0, 1.0
	for n := 1.0; n <= 8; n++ {
		term = term * t / n
		sum += term
	}
	for range 10 {
		sum *= sum
	}
	return sum
}
