package schemas

import (
	"encoding/binary"
	"math"

	"github.com/trendbuy/riskscorer/scoring"
)

// direct says whether values of the shape can be read without goavro, which makes a map of every nullable value. They can
// unless there is a map in it, where goavro refuses a key that comes twice. seen are the shapes on the way: a type may hold
// itself.
func direct(s *shape, seen map[*shape]bool) bool {
	if s == nil || seen[s] {
		return true
	}
	seen[s] = true
	for i := range s.fields {
		if !direct(s.fields[i].shape, seen) {
			return false
		}
	}
	for _, b := range s.union {
		if !direct(b, seen) {
			return false
		}
	}
	return s.kind != "map" && direct(s.of, seen)
}

// readDirect reads a value that measure has taken: nothing in it can be wrong any more. It gives the readers of fields what
// goavro would give them.
func (w *writer) readDirect(value []byte, c *scoring.Contract) *reading {
	r := newReading(c, IgnoreExtra, nil)
	m := measurer{rest: value}
	for i := range w.shape.fields {
		f := &w.shape.fields[i]
		s := m.branch(f.shape)
		switch f.name {
		case "order_id":
			readID(r, s, m.native(s))
		case "event_version":
			readVersion(r, s, m.native(s))
		case "occurred_at":
			readTime(r, s, m.native(s))
		case "features":
			if s.kind != "record" {
				readFeatures(r, s, m.native(s))
				continue
			}
			r.featuresFault = ""
			for j := range s.fields {
				m.feature(r, &s.fields[j])
			}
		default:
			_ = m.walk(s, 1)
		}
	}
	return r
}

// feature reads one feature. A double is not made an any, which would allocate: most features are doubles.
func (m *measurer) feature(r *reading, f *shapeField) {
	s := m.branch(f.shape)
	if s.kind == "double" && s.logical == "" {
		r.features.Number(f.name, m.double())
		return
	}
	readFeature(r, f.name, s, m.native(s))
}

// branch reads a union's index and returns its branch's shape; any other shape is returned as it is.
func (m *measurer) branch(s *shape) *shape {
	if s.kind != "union" {
		return s
	}
	i, _ := m.index(len(s.union))
	return s.union[i]
}

// other is a value whose type no field of an order event has.
type other struct{}

// native returns goavro's form of a value that is no union, if it is text, a number or null.
func (m *measurer) native(s *shape) any {
	switch s.kind {
	case "null":
		return nil
	case "int":
		x, _ := m.long()
		return int32(x)
	case "long":
		x, _ := m.long()
		return x
	case "float":
		x := math.Float32frombits(binary.LittleEndian.Uint32(m.rest))
		_ = m.skip(4)
		return x
	case "double":
		return m.double()
	case "string":
		n, _ := m.long()
		text := string(m.rest[:n])
		_ = m.skip(n)
		return text
	case "enum":
		i, _ := m.index(len(s.symbols))
		return s.symbols[i]
	default:
		_ = m.walk(s, 1)
		return other{}
	}
}

func (m *measurer) double() float64 {
	x := math.Float64frombits(binary.LittleEndian.Uint64(m.rest))
	_ = m.skip(8)
	return x
}
