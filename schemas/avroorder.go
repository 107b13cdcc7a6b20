package schemas

import (
	"fmt"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/trendbuy/riskscorer/scoring"
)

// writer reads the values of one writer's schema. It is immutable.
type writer struct {
	shape  *shape
	codec  *goavro.Codec
	fields map[string]*shape
	direct bool // see direct
}

func newWriter(text string) (*writer, error) {
	s, err := parseShape(text)
	if err != nil {
		return nil, err
	}
	// Tags have no namespace, so goavro has none to resolve.
	reduced, err := s.text(func(s *shape) string { return s.tag })
	if err != nil {
		return nil, err
	}
	w := &writer{shape: s, fields: map[string]*shape{}, direct: s.kind == "record" && direct(s, map[*shape]bool{})}
	if w.codec, err = goavro.NewCodec(reduced); err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	for _, f := range s.fields {
		w.fields[f.name] = f.shape
	}
	return w, nil
}

// native returns goavro's form of one value, without its frame; the error says that it is not the schema's.
func (w *writer) native(value []byte) (any, error) {
	if err := measure(w.shape, value); err != nil {
		return nil, err
	}
	native, _, err := w.codec.NativeFromBinary(value)
	return native, err
}

// read reads one value, without its frame; the error says that it is not the schema's.
func (w *writer) read(value []byte, c *scoring.Contract) (*reading, error) {
	if w.direct {
		if err := measure(w.shape, value); err != nil {
			return nil, err
		}
		return w.readDirect(value, c), nil
	}
	return w.readNative(value, c)
}

// readNative reads one value by way of goavro.
func (w *writer) readNative(value []byte, c *scoring.Contract) (*reading, error) {
	native, err := w.native(value)
	if err != nil {
		return nil, err
	}
	r := newReading(c, IgnoreExtra, nil)
	record, ok := native.(map[string]any)
	if !ok || w.shape.kind != "record" {
		r.wholeFault = "must be a record: an order event"
		return r, nil
	}
	for name, s := range w.fields {
		s, v := branch(s, record[name])
		switch name {
		case "order_id":
			readID(r, s, v)
		case "event_version":
			readVersion(r, s, v)
		case "occurred_at":
			readTime(r, s, v)
		case "features":
			readFeatures(r, s, v)
		default: // the schema governs: other fields are somebody else's
		}
	}
	return r, nil
}

// branch unwraps a union's native value, goavro's map of the branch's name to its value.
func branch(s *shape, v any) (*shape, any) {
	if s.kind != "union" || v == nil {
		return s, v
	}
	m, _ := v.(map[string]any)
	for tag, v := range m {
		return s.byTag[tag], v
	}
	return s, nil
}

func readID(r *reading, s *shape, v any) {
	text, ok := v.(string)
	switch {
	case v == nil:
	case !ok || s.kind != "string":
		r.idFault = "must be a string"
	default:
		r.id(text)
	}
}

func readVersion(r *reading, s *shape, v any) {
	switch v := v.(type) {
	case nil:
		return
	case int32:
		r.order.Version = int64(v)
	case int64:
		r.order.Version = v
	default:
		r.versionFault = "must be an int or a long"
	}
	if isTime(s.logical) {
		r.versionFault = "must be an int or a long, not a " + s.logical
	}
}

func readTime(r *reading, s *shape, v any) {
	if v == nil {
		return
	}
	x, ok := v.(int64)
	switch {
	case ok && (s.logical == "timestamp-millis" || s.logical == ""):
		r.occurredAt(time.UnixMilli(x))
	case ok && s.logical == "timestamp-micros":
		r.occurredAt(time.UnixMicro(x))
	default:
		r.timeFault = "must be a long of logical type timestamp-millis"
	}
}

func readFeatures(r *reading, s *shape, v any) {
	members, ok := v.(map[string]any)
	if !ok {
		r.featuresFault = "must be a record or a map: features by name"
		return
	}
	r.featuresFault = ""
	if s.kind == "map" {
		for name, v := range members {
			readFeature(r, name, s.of, v)
		}
		return
	}
	for i := range s.fields {
		f := &s.fields[i]
		readFeature(r, f.name, f.shape, members[f.name])
	}
}

func readFeature(r *reading, name string, s *shape, v any) {
	s, v = branch(s, v)
	switch {
	case v == nil:
		r.features.Null(name)
	case isTime(s.logical):
		r.features.Wrong(name, "a "+s.logical)
	default:
		readValue(r, name, s, v)
	}
}

func readValue(r *reading, name string, s *shape, v any) {
	switch v := v.(type) {
	case int32:
		r.features.Number(name, float64(v))
	case int64:
		r.features.Number(name, float64(v))
	case float32:
		r.features.Number(name, float64(v))
	case float64:
		r.features.Number(name, v)
	case string:
		r.features.Text(name, v)
	default:
		r.features.Wrong(name, wireType(s))
	}
}

// isTime says whether a logical type makes an integer something else than a number.
func isTime(logical string) bool {
	switch logical {
	case "date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos",
		"local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos":
		return true
	default:
		return false
	}
}

func wireType(s *shape) string {
	switch s.kind {
	case "array":
		return "an array"
	case "bytes":
		return "bytes"
	default:
		return "a " + s.kind
	}
}
