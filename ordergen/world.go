package ordergen

import (
	"math"
	"sort"
)

// The sizes of the world, fixed so that its memory is.
const (
	trendCount    = 600
	creatorCount  = 500
	productCount  = 2000
	customerCount = 20000

	creatorsPerTrend = 4
	productsPerTrend = 6
)

// Shares of what is new and so lacks history.
const (
	newCreatorShare  = 0.08
	newProductShare  = 0.10
	newCustomerShare = 0.16
)

// refreshHours is how long the shares of the trends in the orders are kept before they are reckoned again.
const refreshHours = 0.5

// world is the shop at one time: what trends, who carries it, what is sold, who buys.
type world struct {
	random    source
	trends    []trend
	creators  []float64 // reliability; NaN = new
	products  []float64 // size fit rate; NaN = new
	customers []customer

	cumulative []float64 // running sum of the trends' velocities
	refreshAt  float64   // hours
}

// trend is something that everybody wants for a while. Times are hours since the world's start.
type trend struct {
	peakAt     float64
	rise, fall float64 // hours from launch to peak, and from peak to half of it
	peak       float64 // units in 24 h at the peak
	creators   [creatorsPerTrend]int
	products   [productsPerTrend]int
}

// customer is somebody with purchases in the last 90 days.
type customer struct {
	returnRate   float64
	averageOrder float64 // shop currency
}

func newWorld(random source) *world {
	w := &world{
		random:     random,
		trends:     make([]trend, trendCount),
		creators:   make([]float64, creatorCount),
		products:   make([]float64, productCount),
		customers:  make([]customer, customerCount),
		cumulative: make([]float64, trendCount),
	}
	for i := range w.creators {
		w.creators[i] = unlessNew(random, newCreatorShare, creatorReliability(random))
	}
	for i := range w.products {
		w.products[i] = unlessNew(random, newProductShare, productSizeFit(random))
	}
	for i := range w.customers {
		w.customers[i] = newCustomer(random)
	}
	for i := range w.trends {
		t := w.launch(0)
		// At the start the trends are in all stages of their lives.
		t.peakAt -= random.between(0, t.end()-t.launch())
		w.trends[i] = t
	}
	return w
}

// creatorReliability is the share of a creator's past recommendations that kept their promise.
func creatorReliability(random source) float64 {
	return round((random.uniform()+random.uniform()+random.uniform())/3, 100)
}

// productSizeFit is the share of a product's buyers whom it fitted: most fit well, a few hardly anybody.
func productSizeFit(random source) float64 {
	u := random.uniform()
	return round(0.97-float64(0.87*u*u), 100)
}

func newCustomer(random source) customer {
	return customer{
		returnRate:   round(0.75*random.uniform()*random.uniform(), 100),
		averageOrder: round(exp(4.35+float64(0.55*random.bell())), 100), // median 77
	}
}

// launch starts a trend at the given hour. Peaks are Pareto distributed: few trends are huge.
func (w *world) launch(hours float64) trend {
	t := trend{
		rise: w.random.between(12, 72),
		fall: w.random.between(12, 60),
		peak: min(180/(1-w.random.uniform()), 25000),
	}
	t.peakAt = hours + t.rise
	for i := range t.creators {
		t.creators[i] = w.random.index(creatorCount)
	}
	for i := range t.products {
		t.products[i] = w.random.index(productCount)
	}
	return t
}

func (t *trend) launch() float64 { return t.peakAt - t.rise }
func (t *trend) end() float64    { return t.peakAt + float64(5*t.fall) }

// velocity is the units sold in the 24 h before the given hour: a square's rise, then a slow fall with a long tail.
func (t *trend) velocity(hours float64) float64 {
	if hours < t.peakAt {
		x := max(hours-t.launch(), 0) / t.rise
		return float64(t.peak * (0.02 + float64(0.98*x*x)))
	}
	x := (hours - t.peakAt) / t.fall
	return t.peak / (1 + float64(x*x))
}

// refresh replaces the trends that are over and reckons each trend's share of the orders.
func (w *world) refresh(hours float64) {
	total := 0.0
	for i := range w.trends {
		if hours > w.trends[i].end() {
			w.trends[i] = w.launch(hours)
		}
		total += w.trends[i].velocity(hours)
		w.cumulative[i] = total
	}
	w.refreshAt = hours + refreshHours
}

// order draws one order: a trend in proportion to what it sells, then who carries it, what is bought, and who buys.
func (w *world) order(hours float64, draw source) Features {
	if hours >= w.refreshAt {
		w.refresh(hours)
	}
	sold := draw.uniform() * w.cumulative[trendCount-1]
	t := &w.trends[min(sort.SearchFloat64s(w.cumulative, sold), trendCount-1)]
	late := hours - t.peakAt
	f := Features{
		Velocity24h:         math.Floor(t.velocity(hours) * draw.between(0.9, 1.1)),
		HoursSinceTrendPeak: round(late, 10),
		CreatorReliability:  w.creators[t.creators[draw.index(creatorsPerTrend)]],
		SizeFitRate:         w.products[t.products[draw.index(productsPerTrend)]],
		PriorReturnRate:     math.NaN(),
		AverageOrderValue:   math.NaN(),
		DiscountPct:         discount(late, draw),
		DeviceType:          device(draw),
	}
	if buyer := w.customers[draw.index(customerCount)]; draw.uniform() >= newCustomerShare {
		f.PriorReturnRate, f.AverageOrderValue = buyer.returnRate, buyer.averageOrder
	}
	return f
}

// discount is none for many orders, a small coupon for some, and a promotion in steps of 5% for the rest;
// what is past its peak is cleared at up to 15 points more.
func discount(late float64, draw source) float64 {
	u, depth := draw.uniform(), draw.uniform()
	clearance := 0.0
	if late > 0 {
		clearance = 0.15 * late / (late + 72)
	}
	switch {
	case u < 0.28:
		return 0
	case u < 0.45:
		return round(0.01+float64(0.14*depth), 100)
	default:
		return round(0.05+float64(0.55*depth*depth)+clearance, 20)
	}
}

// device follows the shares of a shop whose buyers come from social media.
func device(draw source) string {
	switch u := draw.uniform(); {
	case u < 0.54:
		return "mobile"
	case u < 0.78:
		return "app"
	case u < 0.96:
		return "desktop"
	default:
		return "tablet"
	}
}

// unlessNew is the value, or missing for the given share of calls.
func unlessNew(random source, share, value float64) float64 {
	if random.uniform() < share {
		return math.NaN()
	}
	return value
}

// round rounds to the given number of parts a unit: 100 for two decimals.
func round(x, parts float64) float64 { return math.Floor(float64(x*parts)+0.5) / parts }
