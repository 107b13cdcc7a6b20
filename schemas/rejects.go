package schemas

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trendbuy/riskscorer/scoring"
)

// RejectClass says why a record is bad. The set is closed: it labels metrics and dead letters.
type RejectClass string

// The reject classes.
const (
	RejectFrame           RejectClass = "frame"            // neither Confluent framing nor JSON
	RejectSchemaUnknown   RejectClass = "schema_unknown"   // no usable schema for the id
	RejectDecode          RejectClass = "decode"           // not the schema's data, or not an order event's form
	RejectOrderID         RejectClass = "order_id"         // missing, empty, too long, or not plain text
	RejectKeyMismatch     RejectClass = "key_mismatch"     // the record's key is not its order_id
	RejectFeatureMissing  RejectClass = "feature_missing"  // a required feature is absent or null
	RejectFeatureUnknown  RejectClass = "feature_unknown"  // the model does not know the feature
	RejectFeatureType     RejectClass = "feature_type"     // text for a number, a number for a category, or neither
	RejectFeatureCategory RejectClass = "feature_category" // a category that the model does not know
	RejectFeatureRange    RejectClass = "feature_range"    // outside the allowed range, or not finite
	RejectTooLarge        RejectClass = "too_large"        // over MaxEventBytes
)

// RejectClasses returns every class, always in the same order.
func RejectClasses() []RejectClass {
	return []RejectClass{
		RejectFrame, RejectSchemaUnknown, RejectDecode, RejectOrderID, RejectKeyMismatch, RejectFeatureMissing,
		RejectFeatureUnknown, RejectFeatureType, RejectFeatureCategory, RejectFeatureRange, RejectTooLarge,
	}
}

// Contract says whether the class is about features: what a bad deployment upstream produces in numbers.
func (c RejectClass) Contract() bool {
	switch c {
	case RejectFeatureMissing, RejectFeatureUnknown, RejectFeatureType, RejectFeatureCategory, RejectFeatureRange:
		return true
	default:
		return false
	}
}

func faultClass(k scoring.FaultKind) RejectClass {
	switch k {
	case scoring.FeatureMissing:
		return RejectFeatureMissing
	case scoring.FeatureUnknown:
		return RejectFeatureUnknown
	case scoring.FeatureCategory:
		return RejectFeatureCategory
	case scoring.FeatureRange:
		return RejectFeatureRange
	default:
		return RejectFeatureType
	}
}

// MaxProblems bounds the problems of one order that are listed; there may be more.
const MaxProblems = 32

// Problem is one thing wrong with an order.
type Problem struct {
	Class RejectClass
	// Pointer is the place in the order, by RFC 6901: /features/feature_device_type. It may hold names that came
	// with the order.
	Pointer string
	// Detail says what is wrong there, without a feature's value.
	Detail string
}

// SyntaxError says that a text is not valid I-JSON (RFC 7493): bad syntax, a name twice in one object, invalid UTF-8,
// a lone surrogate, something after the value, or a number that no double can hold.
type SyntaxError struct {
	Pointer string // the value in or at which the fault is, by RFC 6901
	Detail  string // a sentence without a feature's value
	Offset  int64  // bytes before the fault
}

// Error names the place and what is wrong.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d, in %q: %s", e.Offset, cut(e.Pointer, maxPointerBytes), e.Detail)
}

// Invalid says that an order is well-formed but breaks the contract. It has 1 to MaxProblems problems in a fixed
// order: order_id, event_version, occurred_at, features in training order, unknown features by name, unknown fields
// by name.
type Invalid struct{ Problems []Problem }

// Class is the first problem's.
func (e *Invalid) Class() RejectClass { return e.Problems[0].Class }

// Error lists the problems, cut to a bounded length.
func (e *Invalid) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		if p.Pointer != "" {
			b.WriteString(cut(p.Pointer, maxPointerBytes))
			b.WriteByte(' ')
		}
		b.WriteString(p.Detail)
		if b.Len() > maxDetailBytes {
			break
		}
	}
	return cut(b.String(), maxDetailBytes)
}

const (
	maxDetailBytes  = 1024
	maxPointerBytes = 256
)

// Reject says why a record is bad, and is of exactly one class. No feature's value is in it.
type Reject struct {
	Class RejectClass
	// Stage is the value of the dead letter's __connect.errors.stage header.
	Stage  string
	Detail string
}

// Error gives the class and the detail.
func (r *Reject) Error() string { return string(r.Class) + ": " + r.Detail }

func reject(class RejectClass, format string, args ...any) *Reject {
	stage := "TRANSFORMATION"
	switch class {
	case RejectFrame, RejectSchemaUnknown, RejectDecode, RejectTooLarge:
		stage = "VALUE_CONVERTER"
	default:
	}
	return &Reject{Class: class, Stage: stage, Detail: cut(fmt.Sprintf(format, args...), maxDetailBytes)}
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
