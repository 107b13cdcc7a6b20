package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"
)

const (
	codecMask     = 0x07
	logAppendTime = 0x08
	transactional = 0x10
	controlBatch  = 0x20

	// maxFetchedRecord bounds a compressed record, which may weigh next to nothing as it travels.
	maxFetchedRecord = 8 << 20
	// minRecord is the least that a record takes in a batch, in bytes.
	minRecord = 7
	// recordOverhead is charged for a record beside its bytes, recordHeaderOverhead for each of its headers.
	recordOverhead, recordHeaderOverhead = 160, 40
)

var (
	errCutOff        = errors.New("a record batch is cut off")
	errChecksum      = errors.New("checksum mismatch")
	errGoesBack      = errors.New("offsets go back")
	errRecordTooLong = errors.New("a record is too large to take into memory")
)

// reader reads record batches into a Fetched. The records of an uncompressed batch are views into the answer; those of
// a compressed one are copied, as much as the budget allows: the rest is fetched again, from where it stopped.
type reader struct {
	codecs  *codecs
	from    int64
	out     *Fetched
	aborted aborted
	budget  int
	full    bool // the budget is spent
	arena   []byte
}

// readSet reads whole batches. What is sound before a fault is delivered, and the fault is met by the next fetch.
func (r *reader) readSet(set []byte) error {
	for first := true; !r.full && len(set) > 0; first = false {
		batch, err := cutBatch(set)
		if errors.Is(err, errCutOff) && !first {
			return nil // brokers cut off the last one, but never the only one
		}
		if err == nil {
			err = r.readBatch(batch)
		}
		if err != nil {
			if len(r.out.Records) > 0 {
				return nil
			}
			return err
		}
		set = set[len(batch):]
	}
	return nil
}

// cutBatch returns the first batch of a set.
func cutBatch(set []byte) ([]byte, error) {
	if len(set) < magicAt {
		return nil, errCutOff
	}
	size := int64(batchLengthAt+4) + int64(int32(binary.BigEndian.Uint32(set[batchLengthAt:])))
	switch {
	case size < batchHeader:
		return nil, fmt.Errorf("a record batch of %d bytes is none", size)
	case size > int64(len(set)):
		return nil, errCutOff
	}
	return set[:size], nil
}

func (r *reader) readBatch(b []byte) error {
	if b[magicAt] != 2 {
		return fmt.Errorf("record format %d is not supported (before Kafka 0.11)", b[magicAt])
	}
	base := int64(binary.BigEndian.Uint64(b))
	last := base + int64(binary.BigEndian.Uint32(b[lastDeltaAt:]))
	if base < 0 || last < base {
		return fmt.Errorf("a record batch from %d to %d is none", base, last)
	}
	switch {
	case last < r.from:
		return nil
	case last < r.out.Next:
		return fmt.Errorf("batch at %d: %w", base, errGoesBack)
	}
	if crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[crcAt:]) {
		return fmt.Errorf("batch at %d: %w", base, errChecksum)
	}
	d := batchReader{
		reader: r, base: base, last: last,
		attributes: binary.BigEndian.Uint16(b[attributesAt:]),
		firstTime:  int64(binary.BigEndian.Uint64(b[firstTimeAt:])),
		maxTime:    int64(binary.BigEndian.Uint64(b[maxTimeAt:])),
		producer:   int64(binary.BigEndian.Uint64(b[producerIDAt:])),
		count:      int(int32(binary.BigEndian.Uint32(b[countAt:]))),
	}
	d.skip = r.aborted.covers(base, d.producer) && d.attributes&transactional != 0
	var err error
	if codec := int(d.attributes & codecMask); codec == 0 {
		err = d.plain(b[batchHeader:])
	} else {
		err = d.compressed(codec, b[batchHeader:])
	}
	if err != nil {
		return fmt.Errorf("batch at %d: %w", base, err)
	}
	if !r.full {
		r.out.Next = last + 1 // past a tail that compaction emptied, too
	}
	return nil
}

// batchReader reads one batch.
type batchReader struct {
	*reader
	base, last         int64
	attributes         uint16
	firstTime, maxTime int64
	producer           int64
	count              int
	skip               bool // of an aborted transaction
}

func (d *batchReader) plain(b []byte) error {
	c := cursor{b: b}
	d.out.Records = slices.Grow(d.out.Records, min(max(d.count, 0), len(b)/minRecord, max(d.budget, 0)/recordOverhead+1))
	for range d.count {
		if body := c.bytes(); !c.bad && len(body) > 0 {
			if err := d.take(body, 0); err != nil || d.full {
				return err
			}
			continue
		}
		return errCutOff
	}
	if len(c.b) > 0 {
		return fmt.Errorf("%d bytes follow the last record", len(c.b))
	}
	return nil
}

func (d *batchReader) compressed(codec int, b []byte) error {
	stream, release, err := d.codecs.open(codec, b)
	if err != nil {
		return err
	}
	defer release()
	in := bufio.NewReader(stream)
	d.out.Records = slices.Grow(d.out.Records, min(max(d.count, 0), len(b), max(d.budget, 0)/recordOverhead+1)) // a guess
	for range d.count {
		n, err := binary.ReadVarint(in)
		if err != nil {
			return fmt.Errorf("record's length: %w", unexpected(err))
		}
		switch {
		case n <= 0:
			return fmt.Errorf("a record of %d bytes is none", n)
		case n > int64(max(d.budget, 0)) && len(d.out.Records) > 0:
			d.full = true
			return nil
		case n > maxFetchedRecord:
			return fmt.Errorf("%w: %d bytes, at most %d are taken", errRecordTooLong, n, maxFetchedRecord)
		}
		before := d.arena
		body := d.alloc(int(n))
		if _, err := io.ReadFull(in, body); err != nil {
			return fmt.Errorf("record: %w", unexpected(err))
		}
		taken := len(d.out.Records)
		if err := d.take(body, len(body)); err != nil || d.full {
			return err
		}
		if len(d.out.Records) == taken && len(before) >= int(n) {
			d.arena = before // nothing of it is kept
		}
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// alloc takes n bytes from the arena: one allocation serves many small records.
func (r *reader) alloc(n int) []byte {
	const chunk = 64 << 10
	if n > chunk/4 {
		return make([]byte, n)
	}
	if n > len(r.arena) {
		r.arena = make([]byte, chunk)
	}
	out := r.arena[:n:n]
	r.arena = r.arena[n:]
	return out
}

// take reads one record, whose bytes cost as much of the budget as is said.
func (d *batchReader) take(body []byte, cost int) error {
	c := cursor{b: body}
	c.skip(1) // attributes
	millis := d.firstTime + c.varint()
	offset := d.base + c.varint()
	if c.bad || offset < d.base || offset > d.last {
		return fmt.Errorf("a record's offset is outside its batch: %w", errCutOff)
	}
	if d.attributes&logAppendTime != 0 {
		millis = d.maxTime
	}
	rec := Record{Offset: offset, Key: c.bytes(), Value: c.bytes()}
	if d.attributes&controlBatch != 0 {
		if err := d.aborted.end(d.producer, rec.Key); err != nil {
			return fmt.Errorf("record at %d: %w", offset, err)
		}
	}
	switch {
	case offset < d.from:
		return nil
	case offset < d.out.Next:
		return fmt.Errorf("record at %d: %w", offset, errGoesBack)
	}
	if d.skip || d.attributes&controlBatch != 0 {
		d.out.Next = offset + 1
		d.out.Skipped++
		return nil
	}
	headers := c.varint()
	if headers < 0 || headers > int64(len(c.b)) { // each takes two bytes or more
		return fmt.Errorf("record at %d has %d headers in %d bytes", offset, headers, len(c.b))
	}
	cost += recordOverhead + int(headers)*recordHeaderOverhead
	if cost > d.budget && len(d.out.Records) > 0 {
		d.full = true
		return nil
	}
	if headers > 0 {
		rec.Headers = make([]Header, headers)
		for i := range rec.Headers {
			rec.Headers[i] = Header{Key: string(c.bytes()), Value: c.bytes()}
		}
	}
	if c.bad || len(c.b) > 0 {
		return fmt.Errorf("record at %d: %w", offset, errCutOff)
	}
	rec.Time = time.UnixMilli(millis)
	d.budget -= cost
	d.out.Records = append(d.out.Records, rec)
	d.out.Next = offset + 1
	return nil
}
