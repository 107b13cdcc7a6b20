package scoring

import "time"

// MaxOrderIDBytes bounds an order id.
const MaxOrderIDBytes = 256

// Order is one order's identity and its feature vector, checked against the contract of the model that will score it.
type Order struct {
	ID      string
	Version int64
	// OccurredAt is the event's own time, copied to its result; zero if the order has none.
	OccurredAt time.Time
	// Row holds the features in training order: NaN is missing, a category its index in the manifest's list.
	Row []float64
}
