package schemas

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring"
)

// MaxBatch bounds the orders of one batch.
const MaxBatch = 1000

// ParseOrder reads one order event in JSON. Names match exactly; a null event_version or occurred_at is an absent one;
// event_version is an integer without fraction or exponent; occurred_at is RFC 3339 with capital T and Z and without
// leap seconds, cut to milliseconds; numbers become the nearest double. The error is a *SyntaxError or *Invalid.
//
// Memory is in proportion to len(data), which the caller bounds; values nest at most 10,000 deep.
func ParseOrder(data []byte, c *scoring.Contract, extra Extra) (scoring.Order, error) {
	r, err := readOrder(data, c, extra)
	if err != nil {
		return scoring.Order{}, err
	}
	if problems := r.problems(); len(problems) > 0 {
		return scoring.Order{}, &Invalid{problems}
	}
	return r.order, nil
}

// readOrder reads one order event; the error is a *SyntaxError.
func readOrder(data []byte, c *scoring.Contract, extra Extra) (*reading, error) {
	d := decoders.Get().(*orderDecoder)
	defer d.release(len(data))
	p := parser{dec: d.of(data)}
	comparisons := maxComparisons
	r := newReading(c, extra, &comparisons)
	if err := p.order(r); err != nil {
		return nil, err
	}
	return r, p.end()
}

// decoders keep the memory in which the names of an object are compared: it is most of what reading an order would
// allocate. Nothing else goes from one order to the next.
var decoders = sync.Pool{New: func() any { return new(orderDecoder) }}

// maxPooledOrder bounds what is kept: a longer order may be names alone.
const maxPooledOrder = 4 << 10

// orderDecoder reads one order after another.
type orderDecoder struct {
	decoder jsontext.Decoder
	data    bytes.Buffer
	nothing bytes.Reader
}

// of returns the decoder for data, until release.
func (d *orderDecoder) of(data []byte) *jsontext.Decoder {
	d.data = *bytes.NewBuffer(data)
	d.decoder.Reset(&d.data)
	return &d.decoder
}

// release lets the data go, n bytes, and keeps the rest for another order.
func (d *orderDecoder) release(n int) {
	d.data = bytes.Buffer{}
	d.decoder.Reset(&d.nothing)
	if n <= maxPooledOrder {
		decoders.Put(d)
	}
}

// BatchItem is one element of a batch: an order, or what is wrong with it.
type BatchItem struct {
	Order   scoring.Order
	Invalid *Invalid // nil for a valid order; its pointers are relative to the item
	OrderID string   // empty where the item has no valid one
}

// ParseBatch reads an array of 1 to MaxBatch order events in JSON, each as ParseOrder does. A *SyntaxError, or an
// *Invalid for another length or no array, is about the whole; else there is one item for each element, in order.
func ParseBatch(data []byte, c *scoring.Contract, extra Extra) ([]BatchItem, error) {
	p := parser{dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	items, whole, err := p.batch(c, extra)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	if whole != "" {
		return nil, &Invalid{[]Problem{{RejectDecode, "", whole}}}
	}
	return items, nil
}

// batch reads the array that comes next. whole says what is wrong with it as a whole.
func (p parser) batch(c *scoring.Contract, extra Extra) (items []BatchItem, whole string, err error) {
	if p.dec.PeekKind() != '[' {
		return nil, "must be an array of order events", p.skip()
	}
	if _, err := p.token(); err != nil {
		return nil, "", err
	}
	comparisons := maxComparisons
	for n := 0; p.dec.PeekKind() != ']'; n++ {
		if n >= MaxBatch { // only whether the rest is JSON
			items, whole = nil, "must have at most "+strconv.Itoa(MaxBatch)+" order events"
			if err := p.skip(); err != nil {
				return nil, "", err
			}
			continue
		}
		r := newReading(c, extra, &comparisons)
		if err := p.order(r); err != nil {
			return nil, "", err
		}
		item := BatchItem{Order: r.order, OrderID: r.order.ID}
		if problems := r.problems(); len(problems) > 0 {
			item.Order, item.Invalid = scoring.Order{}, &Invalid{problems}
		}
		items = append(items, item)
	}
	if items == nil && whole == "" {
		whole = "must have at least one order event"
	}
	_, err = p.token()
	return items, whole, err
}

// order reads the value that comes next.
func (p parser) order(r *reading) error {
	if p.dec.PeekKind() != '{' {
		r.wholeFault = "must be an object: an order event"
		return p.skip()
	}
	return p.members(func(name string) error {
		switch name {
		case "order_id":
			return p.orderID(r)
		case "event_version":
			return p.eventVersion(r)
		case "occurred_at":
			return p.occurredAt(r)
		case "features":
			return p.features(r)
		default:
			r.unknownFields = append(r.unknownFields, name)
			return p.skip()
		}
	})
}

func (p parser) orderID(r *reading) error {
	if p.dec.PeekKind() != '"' {
		r.idFault = "must be a string"
		return p.skip()
	}
	t, err := p.token()
	if err == nil {
		r.id(t.String())
	}
	return err
}

func (p parser) eventVersion(r *reading) error {
	const fault = "must be an integer of 64 bits, without fraction or exponent"
	switch p.dec.PeekKind() {
	case 'n':
	case '0':
		t, err := p.token()
		if err != nil {
			return err
		}
		if _, err := p.number(t); err != nil {
			return err
		}
		if r.order.Version, err = strconv.ParseInt(t.String(), 10, 64); err != nil {
			r.versionFault = fault
		}
		return nil
	default:
		r.versionFault = fault
	}
	return p.skip()
}

func (p parser) occurredAt(r *reading) error {
	const fault = "must be a time in RFC 3339"
	switch p.dec.PeekKind() {
	case 'n':
	case '"':
		t, err := p.token()
		if err != nil {
			return err
		}
		if at, ok := parseTime(t.String()); ok {
			r.occurredAt(at)
		} else {
			r.timeFault = fault
		}
		return nil
	default:
		r.timeFault = fault
	}
	return p.skip()
}

// parseTime reads RFC 3339. Go's own reader also takes a one-digit hour, a comma, and zones beyond 23:59.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || s[13] != ':' || strings.ContainsRune(s, ',') {
		return t, false
	}
	zone := s[len(s)-5:]
	return t, s[len(s)-1] == 'Z' || zone[:2] <= "23" && zone[3:] <= "59"
}

func (p parser) features(r *reading) error {
	if p.dec.PeekKind() != '{' {
		r.featuresFault = "must be an object: features by name"
		return p.skip()
	}
	r.featuresFault = ""
	return p.members(func(name string) error { return p.feature(r, name) })
}

func (p parser) feature(r *reading, name string) error {
	switch p.dec.PeekKind() {
	case '0':
		t, err := p.token()
		if err != nil {
			return err
		}
		x, err := p.number(t)
		if err == nil {
			r.features.Number(name, x)
		}
		return err
	case '"':
		t, err := p.token()
		if err == nil {
			r.features.Text(name, t.String())
		}
		return err
	case 'n':
		r.features.Null(name)
	case 't', 'f':
		r.features.Wrong(name, "a boolean")
	case '{':
		r.features.Wrong(name, "an object")
	case '[':
		r.features.Wrong(name, "an array")
	default: // a syntax error, which skip reports
	}
	return p.skip()
}
