package schemas

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrOpaque says that a value is neither Avro in Confluent framing nor a JSON object, or not what its schema says.
var ErrOpaque = errors.New("the value cannot be decoded")

// Viewer shows values of events and results as JSON, as their writer's schema reads them and without a contract: for
// tools. It is safe for concurrent use.
type Viewer struct {
	writers *Decoder // for its cache of writers only
}

// NewViewer returns a viewer. source is nil where there is neither a schema registry nor pins: only JSON values are
// then shown.
func NewViewer(source SchemaSource) *Viewer {
	return &Viewer{writers: NewDecoder(nil, source, IgnoreExtra, slog.New(slog.DiscardHandler))}
}

// View returns the value as JSON: a JSON value as it stands, an Avro value with unions unwrapped, times in RFC 3339,
// bytes in hex, and NaN and infinities as strings. An error that wraps ErrOpaque or ErrSchemaUnknown is about the value;
// any other says that the schema could not be fetched.
func (v *Viewer) View(ctx context.Context, value []byte) ([]byte, error) {
	switch {
	case len(value) > 0 && value[0] == '{':
		if !jsontext.Value(value).IsValid() {
			return nil, fmt.Errorf("%w: it begins with a brace but is not JSON", ErrOpaque)
		}
		return value, nil
	case len(value) < frameBytes || value[0] != magic:
		return nil, fmt.Errorf("%w: it is neither Avro in Confluent framing nor a JSON object", ErrOpaque)
	}
	id := int(binary.BigEndian.Uint32(value[1:frameBytes]))
	c, err := v.writers.codec(ctx, id)
	if err != nil {
		return nil, err
	}
	native, err := c.writer.native(value[frameBytes:])
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a value of schema %d: %w", ErrOpaque, id, err)
	}
	return appendView(nil, c.writer.shape, native), nil
}

// OrderID returns the order_id of an event or result, empty if the value has none that can be read. An error says that
// the schema could not be fetched.
func (v *Viewer) OrderID(ctx context.Context, value []byte) (string, error) {
	view, err := v.View(ctx, value)
	switch {
	case errors.Is(err, ErrOpaque), errors.Is(err, ErrSchemaUnknown):
		return "", nil
	case err != nil:
		return "", err
	}
	var event struct {
		OrderID jsontext.Value `json:"order_id"`
	}
	if err := json.Unmarshal(view, &event); err != nil || event.OrderID.Kind() != '"' {
		return "", nil //nolint:nilerr // a value of another form has no id
	}
	id, err := jsontext.AppendUnquote(nil, event.OrderID)
	if err != nil {
		return "", nil //nolint:nilerr // Unmarshal has checked it
	}
	return string(id), nil
}

// Names says whether an event or result is about an order. It decodes only what may be.
func (v *Viewer) Names(ctx context.Context, value []byte, orderID string) (bool, error) {
	// Avro holds a string's own bytes; JSON may have escaped them.
	if !bytes.HasPrefix(value, []byte{'{'}) && !bytes.Contains(value, []byte(orderID)) {
		return false, nil
	}
	id, err := v.OrderID(ctx, value)
	return err == nil && id == orderID, err
}

// appendView appends a native value of the shape, which measure has bounded in depth.
func appendView(dst []byte, s *shape, v any) []byte {
	s, v = branch(s, v)
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return appendLong(dst, s.logical, v)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case string:
		return appendText(dst, v)
	case []byte:
		return appendText(dst, hex.EncodeToString(v))
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			dst = appendView(appendComma(dst, i), s.of, item)
		}
		return append(dst, ']')
	case map[string]any:
		return appendMembers(dst, s, v)
	default: // goavro has no other native types for these schemas
		return append(dst, "null"...)
	}
}

// appendMembers appends a record in its schema's order, or a map by name.
func appendMembers(dst []byte, s *shape, members map[string]any) []byte {
	dst = append(dst, '{')
	if s.kind == "map" {
		names := make([]string, 0, len(members))
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			dst = appendText(appendComma(dst, i), name)
			dst = appendView(append(dst, ':'), s.of, members[name])
		}
		return append(dst, '}')
	}
	for i := range s.fields {
		dst = appendText(appendComma(dst, i), s.fields[i].name)
		dst = appendView(append(dst, ':'), s.fields[i].shape, members[s.fields[i].name])
	}
	return append(dst, '}')
}

func appendComma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

func appendLong(dst []byte, logical string, x int64) []byte {
	var t time.Time
	switch logical {
	case "timestamp-millis":
		t = time.UnixMilli(x)
	case "timestamp-micros":
		t = time.UnixMicro(x)
	}
	if year := t.UTC().Year(); !t.IsZero() && year >= 1 && year <= 9999 {
		return appendTime(dst, t)
	}
	return strconv.AppendInt(dst, x, 10)
}

func appendFloat(dst []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return appendText(dst, strconv.FormatFloat(x, 'g', -1, 64))
	}
	return jsontext.AppendFloat(dst, x, bits)
}

// Result is what a recorded result says of its decision; the rest of it is in its view.
type Result struct {
	OrderID      string  `json:"order_id"`
	EventVersion int64   `json:"event_version"`
	PredictionID string  `json:"prediction_id"`
	RiskScore    float64 `json:"risk_score"`
	RiskBand     string  `json:"risk_band"`
	ModelVersion string  `json:"model_version"`
	ModelDigest  string  `json:"model_digest"`
	Engine       string  `json:"engine"`
}

// ParseResult reads the view of a result. A value without a digest or an engine is no result.
func ParseResult(view []byte) (Result, error) {
	var r Result
	if err := json.Unmarshal(view, &r); err != nil {
		return r, fmt.Errorf("%w: it is not a result", ErrOpaque)
	}
	if r.OrderID == "" || r.ModelDigest == "" || r.Engine == "" {
		return r, fmt.Errorf("%w: a result names its order, model and engine", ErrOpaque)
	}
	return r, nil
}

// SameFrame returns an encoder of the model's results in the form of a recorded one: JSON, or Avro with its schema id.
func SameFrame(recorded []byte, m Model) (*Results, error) {
	if bytes.HasPrefix(recorded, []byte{'{'}) {
		return NewJSONResults(m), nil
	}
	if len(recorded) < frameBytes || recorded[0] != magic {
		return nil, fmt.Errorf("%w: it is neither Avro in Confluent framing nor a JSON object", ErrOpaque)
	}
	return NewAvroResults(int(binary.BigEndian.Uint32(recorded[1:frameBytes])), m)
}
