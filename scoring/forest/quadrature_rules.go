package forest

import "math"

// lanes is how many quadrature points one pass over a tree carries. Four float64 stay in registers, and
// integrate exactly what at most eight features on a path give.
const lanes = 4

// points holds one value at each of four quadrature points. The products are converted explicitly
// because Go may otherwise fuse them with an addition on some CPUs, which would change the bits.
type points struct{ a, b, c, d float64 }

func (p points) add(q points) points {
	return points{p.a + q.a, p.b + q.b, p.c + q.c, p.d + q.d}
}

func (p points) sub(q points) points {
	return points{p.a - q.a, p.b - q.b, p.c - q.c, p.d - q.d}
}

func (p points) mul(q points) points {
	return points{float64(p.a * q.a), float64(p.b * q.b), float64(p.c * q.c), float64(p.d * q.d)}
}

func (p points) div(q points) points {
	return points{p.a / q.a, p.b / q.b, p.c / q.c, p.d / q.d}
}

func (p points) scale(k float64) points {
	return points{float64(p.a * k), float64(p.b * k), float64(p.c * k), float64(p.d * k)}
}

func (p points) dot(q points) float64 {
	return (float64(p.a*q.a) + float64(p.b*q.b)) + (float64(p.c*q.c) + float64(p.d*q.d))
}

// apply returns f at each of the points.
func (p points) apply(f func(y float64) float64) points {
	return points{f(p.a), f(p.b), f(p.c), f(p.d)}
}

// A rule is four of the points of a quadrature rule on [0, 1], with their weights.
type rule struct{ y, weights points }

// numBlocks returns how many rules of four points integrate a path of so many features exactly: the
// integrand has a degree one less, and n points are exact up to degree 2n-1.
func numBlocks(features int) int {
	return max(1, (features+2*lanes-1)/(2*lanes))
}

// gaussLegendre returns the Gauss-Legendre rule of blocks x 4 points, found by Newton's method.
func gaussLegendre(blocks int) []rule {
	n := blocks * lanes
	y, w := make([]float64, n), make([]float64, n)
	for i := range y {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var slope float64
		for range 10 { // from this start, Newton's method is at its limit after five steps
			var value float64
			value, slope = legendre(n, x)
			x -= value / slope
		}
		y[i] = float64(0.5*x) + 0.5
		w[i] = 1 / (float64(1-float64(x*x)) * float64(slope*slope))
	}
	rules := make([]rule, blocks)
	for b := range rules {
		i := b * lanes
		rules[b] = rule{points{y[i], y[i+1], y[i+2], y[i+3]}, points{w[i], w[i+1], w[i+2], w[i+3]}}
	}
	return rules
}

// legendre returns the Legendre polynomial of degree n and its derivative at x, with -1 < x < 1.
func legendre(n int, x float64) (value, slope float64) {
	before, value := 1.0, x
	for k := 2; k <= n; k++ {
		up, down := float64(float64(2*k-1)*x), float64(k-1)
		before, value = value, (float64(up*value)-float64(down*before))/float64(k)
	}
	return value, float64(n) * (float64(x*value) - before) / (float64(x*x) - 1)
}
