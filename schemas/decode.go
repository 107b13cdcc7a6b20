package schemas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trendbuy/riskscorer/scoring"
)

const (
	// MaxEventBytes bounds the value of an order event.
	MaxEventBytes = 64 << 10

	magic      = 0x00 // Confluent framing: the magic byte, the schema id in 4 bytes, the Avro value
	frameBytes = 5
	maxCodecs  = 1024
)

// Decoder reads order events from Kafka records: Avro in Confluent framing, or JSON where the value begins with a
// brace. It is safe for concurrent use.
type Decoder struct {
	contract *scoring.Contract
	source   SchemaSource
	extra    Extra
	logger   *slog.Logger

	mu     sync.Mutex
	codecs map[int]*codec // by schema id, at most maxCodecs
}

// codec is what is known of a schema id: a writer, or why there cannot be one.
type codec struct {
	writer   *writer
	err      error
	reported atomic.Bool // unknown features have been logged
}

// NewDecoder returns a decoder for the contract. source is nil where there is neither a schema registry nor pins:
// framed values are then a broken service. extra is about JSON only: where a schema governs, unknown features are
// ignored, and logged once for each schema id.
func NewDecoder(c *scoring.Contract, source SchemaSource, extra Extra, logger *slog.Logger) *Decoder {
	return &Decoder{contract: c, source: source, extra: extra, logger: logger, codecs: make(map[int]*codec)}
}

// Decode reads the order of one record that is not a tombstone. key is nil for Kafka's null; another must be the
// order's id. A *Reject says that the record is bad; any other error is a broken service, and the record may be good.
// The order does not share memory with key or value.
//
// Of several faults the first decides the class: the order's id, then the key, then the rest as Invalid orders it.
func (d *Decoder) Decode(ctx context.Context, key, value []byte) (scoring.Order, error) {
	if len(value) > MaxEventBytes {
		return scoring.Order{}, reject(RejectTooLarge, "the value has %d bytes, at most %d are taken", len(value), MaxEventBytes)
	}
	r, err := d.read(ctx, value)
	if err != nil {
		return scoring.Order{}, err
	}
	problems := r.problems()
	if r.wholeFault == "" && r.idFault == "" && key != nil && !bytes.Equal(key, []byte(r.order.ID)) {
		return scoring.Order{}, reject(RejectKeyMismatch, "the record's key is not its order_id")
	}
	if len(problems) > 0 {
		invalid := &Invalid{problems}
		return scoring.Order{}, reject(invalid.Class(), "%s", invalid)
	}
	return r.order, nil
}

func (d *Decoder) read(ctx context.Context, value []byte) (*reading, error) {
	switch {
	case len(value) > 0 && value[0] == '{':
		r, err := readOrder(value, d.contract, d.extra)
		if err != nil {
			return nil, reject(RejectDecode, "%s", err)
		}
		return r, nil
	case len(value) < frameBytes || value[0] != magic:
		return nil, reject(RejectFrame, "the value is neither Avro in Confluent framing nor a JSON object")
	}
	id := int(binary.BigEndian.Uint32(value[1:frameBytes]))
	c, err := d.codec(ctx, id)
	switch {
	case errors.Is(err, ErrSchemaUnknown):
		return nil, reject(RejectSchemaUnknown, "%s", err)
	case err != nil:
		return nil, err
	}
	r, err := c.writer.read(value[frameBytes:], d.contract)
	if err != nil {
		return nil, reject(RejectDecode, "not a value of schema %d: %s", id, err)
	}
	d.report(ctx, id, c, r)
	return r, nil
}

// codec finds or makes the codec of a schema id. The schema source sees to it that one id is fetched once at a time.
func (d *Decoder) codec(ctx context.Context, id int) (*codec, error) {
	d.mu.Lock()
	c := d.codecs[id]
	d.mu.Unlock()
	if c != nil {
		return c, c.err
	}
	if d.source == nil {
		return nil, fmt.Errorf("schema %d: neither a schema registry nor pinned schemas are configured", id)
	}
	text, err := d.source.Schema(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	c = new(codec)
	if c.writer, err = newWriter(text); err != nil {
		// A schema never changes under its id. One that cannot be compiled makes its records unreadable for good, so
		// they are bad records: a pause would last until somebody deletes them. Dead letters keep them.
		c.err = fmt.Errorf("%w: schema %d is unusable: %w", ErrSchemaUnknown, id, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.codecs[id] != nil { // another goroutine was faster; its codec knows what has been reported
		return d.codecs[id], d.codecs[id].err
	}
	if len(d.codecs) >= maxCodecs {
		for other := range d.codecs { // any: so many ids mean broken producers, not a working set
			delete(d.codecs, other)
			break
		}
	}
	d.codecs[id] = c
	return c, c.err
}

// report logs, once for a schema id, the features that the model does not know.
func (d *Decoder) report(ctx context.Context, id int, c *codec, r *reading) {
	unknown := r.features.Unknown()
	if len(unknown) == 0 || c.reported.Swap(true) {
		return
	}
	const most = 20
	names := slices.Sorted(slices.Values(unknown))
	d.logger.WarnContext(ctx, "order events have features that the model does not know: ignored",
		"schema_id", id, "count", len(names), "features", cut(fmt.Sprintf("%q", names[:min(len(names), most)]), maxDetailBytes))
}
