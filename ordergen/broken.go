package ordergen

import (
	"bytes"
	"strconv"
	"strings"
)

// Break is one way in which order events go wrong.
type Break uint8

// The ways in which order events go wrong.
const (
	TruncatedJSON     Break = iota // the sender died midway
	NotAnEvent                     // another topic's text
	DuplicateName                  // two discounts
	InvalidUTF8                    // in the order id
	NaNLiteral                     // as Python's json writes it
	EmptyOrderID                   // ""
	LongOrderID                    // one byte over the limit of 256
	ControlInOrderID               // a bell
	OtherKey                       // the key of another order
	MissingVelocity                // a required feature is absent
	NullDiscount                   // a required feature is null
	MisspeltFeature                // an optional one, which must not pass as missing
	TextForNumber                  // "0.35"
	NumberForCategory              // a device type's code
	BooleanForNumber               // true
	UnknownDevice                  // smartwatch
	DeviceInCapitals               // MOBILE
	PercentDiscount                // 35 for 0.35
	NegativeVelocity               // -8420
	BeyondFloat32                  // a double that the model's float32 cannot hold
	Oversized                      // sound, and padded to a byte over 64 KiB
)

// breaks tell of each Break its name and the reject class that it earns.
var breaks = [...]struct{ name, class string }{
	TruncatedJSON:     {"truncated_json", "decode"},
	NotAnEvent:        {"not_an_event", "frame"},
	DuplicateName:     {"duplicate_name", "decode"},
	InvalidUTF8:       {"invalid_utf8", "decode"},
	NaNLiteral:        {"nan_literal", "decode"},
	EmptyOrderID:      {"empty_order_id", "order_id"},
	LongOrderID:       {"long_order_id", "order_id"},
	ControlInOrderID:  {"control_in_order_id", "order_id"},
	OtherKey:          {"other_key", "key_mismatch"},
	MissingVelocity:   {"missing_velocity", "feature_missing"},
	NullDiscount:      {"null_discount", "feature_missing"},
	MisspeltFeature:   {"misspelt_feature", "feature_unknown"},
	TextForNumber:     {"text_for_number", "feature_type"},
	NumberForCategory: {"number_for_category", "feature_type"},
	BooleanForNumber:  {"boolean_for_number", "feature_type"},
	UnknownDevice:     {"unknown_device", "feature_category"},
	DeviceInCapitals:  {"device_in_capitals", "feature_category"},
	PercentDiscount:   {"percent_discount", "feature_range"},
	NegativeVelocity:  {"negative_velocity", "feature_range"},
	BeyondFloat32:     {"beyond_float32", "feature_range"},
	Oversized:         {"oversized", "too_large"},
}

// Breaks returns every Break.
func Breaks() []Break {
	all := make([]Break, 0, len(breaks))
	for b := TruncatedJSON; b <= Oversized; b++ {
		all = append(all, b)
	}
	return all
}

// String returns the name of the break, in snake case.
func (b Break) String() string { return breaks[b].name }

// RejectClass is the class under which the service has to refuse the event.
func (b Break) RejectClass() string { return breaks[b].class }

// BrokenEvent is an order event that must end as a dead letter.
type BrokenEvent struct {
	Break Break
	// Key and Value are the record as it would be sent. The key is that of the order before it was broken,
	// so that the partitions get their shares; where only the value is at fault it is the right one.
	Key, Value []byte
}

// NextBroken takes the place of Next: it breaks the next order in a way drawn from all of them.
func (g *Generator) NextBroken() BrokenEvent {
	return g.Next().Broken(Breaks()[g.breaks.index(len(breaks))])
}

// Broken returns the order's event in JSON, broken in the given way and sound in every other. It panics if b is not one of Breaks.
func (o Order) Broken(b Break) BrokenEvent {
	event := BrokenEvent{Break: b, Key: []byte(o.ID)}
	switch b {
	case TruncatedJSON:
		sound := o.AppendJSON(nil)
		event.Value = sound[:len(sound)/2]
	case NotAnEvent:
		event.Value = []byte("order " + o.ID + " accepted")
	case InvalidUTF8:
		event.Value = replace(o, strconv.Quote(o.ID), "\"ORD_\xff\"")
	case EmptyOrderID:
		event.Key, event.Value = nil, replace(o, strconv.Quote(o.ID), `""`)
	case LongOrderID:
		id := o.ID + strings.Repeat("0", 257-len(o.ID))
		event.Key, event.Value = []byte(id), replace(o, strconv.Quote(o.ID), strconv.Quote(id))
	case ControlInOrderID:
		event.Key, event.Value = []byte(o.ID+"\x07"), replace(o, strconv.Quote(o.ID), `"`+o.ID+`\u0007"`)
	case Oversized:
		event.Value = o.AppendJSON(nil)
		event.Value = append(event.Value, bytes.Repeat([]byte{' '}, 64<<10+1-len(event.Value))...)
	case OtherKey:
		event.Key, event.Value = []byte(o.ID+"0"), o.AppendJSON(nil)
	default:
		event.Value = o.breakFeature(b)
	}
	return event
}

// breakFeature breaks a feature; optional ones are given a value first where they lack it.
func (o Order) breakFeature(b Break) []byte {
	const discount, velocity = "feature_discount_pct", "feature_velocity_24h"
	switch b {
	case DuplicateName:
		return replace(o, member(discount, o.discount()), member(discount, o.discount())+`,"feature_discount_pct":0.1`)
	case NaNLiteral:
		return replace(o, member(velocity, o.velocity()), member(velocity, "NaN"))
	case MissingVelocity:
		return replace(o, member(velocity, o.velocity())+",", "")
	case NullDiscount:
		return replace(o, member(discount, o.discount()), member(discount, "null"))
	case MisspeltFeature:
		o.Features.CreatorReliability = known(o.Features.CreatorReliability, 0.5)
		return replace(o, `"feature_creator_reliability"`, `"feature_creators_reliability"`)
	case TextForNumber:
		return replace(o, member(discount, o.discount()), member(discount, strconv.Quote(o.discount())))
	case NumberForCategory:
		return replace(o, strconv.Quote(o.Features.DeviceType), "2")
	case BooleanForNumber:
		return replace(o, member(velocity, o.velocity()), member(velocity, "true"))
	case UnknownDevice:
		return replace(o, strconv.Quote(o.Features.DeviceType), `"smartwatch"`)
	case DeviceInCapitals:
		return replace(o, strconv.Quote(o.Features.DeviceType), strings.ToUpper(strconv.Quote(o.Features.DeviceType)))
	case PercentDiscount:
		return replace(o, member(discount, o.discount()), member(discount, "35"))
	case NegativeVelocity:
		return replace(o, member(velocity, o.velocity()), member(velocity, "-8420"))
	case BeyondFloat32:
		return replace(o, member(velocity, o.velocity()), member(velocity, "1e39"))
	default:
		panic("ordergen: no such break: " + strconv.Itoa(int(b)))
	}
}

func (o Order) discount() string { return number(o.Features.DiscountPct) }
func (o Order) velocity() string { return number(o.Features.Velocity24h) }

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func member(name, value string) string { return strconv.Quote(name) + ":" + value }

// replace is the order's event with its first sound part replaced by the broken one.
func replace(o Order, sound, broken string) []byte {
	return bytes.Replace(o.AppendJSON(nil), []byte(sound), []byte(broken), 1)
}
