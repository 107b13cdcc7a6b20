package xgboost

import "math"

// logit is XGBoost's, in float32.
func logit(p float32) float32 { return -log(1/p - 1) }

// log is the float32 logarithm of x > 0 that XGBoost gets from its C library, which is not always the nearest
// one: near 1, where balanced classes put the odds, the two differ for one number in eight. Its structure
// is that of glibc since 2.28, in which x is 2**k z and z is divided by the middle c of one of 16 intervals:
//
//	log(x) = k log(2) + log(c) + log(1+r), r = z/c - 1
//
// The polynomial for log(1+r) is fitted to what glibc 2.36 returns: with it, all 524,288 numbers of the interval
// around 1 have glibc's bits, and elsewhere about one in a million has not.
func log(x float32) float32 {
	const (
		first   = 0x3f330000 // the bits of 0.69921875, where the intervals begin
		width   = 19         // the bits of an interval's length
		smaller = 0x1p23
		a2      = -0.49999974844193995
		a3      = 0.333456767710583
		a4      = -0.25089419365755095
	)
	if math.IsInf(float64(x), 1) {
		return x
	}
	k := 0
	if x < 0x1p-126 { // subnormal
		x, k = x*smaller, -23
	}
	bits := int32(math.Float32bits(x))
	offset := bits - first
	exponent := offset >> 23
	k += int(exponent)
	z := float64(math.Float32frombits(uint32(bits - exponent<<23)))
	interval := offset >> width & 15
	c := middle(first+interval<<width, first+(interval+1)<<width)
	switch interval {
	case 9: // around 1, whose logarithm must be 0
		c = 1
	case 10: // glibc's is a little off the middle
		c = 1 / 0.949285
	}
	r := z/c - 1
	r2 := float64(r * r)
	p := float64(a4*r2) + float64(float64(a3*r)+a2)
	return float32(float64(p*r2) + (float64(float64(k)*math.Ln2) + math.Log(c) + r))
}

// middle returns the number half-way between two float32 values that are given by their bits.
func middle(low, high int32) float64 {
	return (float64(math.Float32frombits(uint32(low))) + float64(math.Float32frombits(uint32(high)))) / 2
}
