package schemas

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring"
)

// answerBytes is room for an answer without full reasons whose names and texts are not unusually long.
const answerBytes = 384

// AppendAnswer appends the answer to POST /score, a JSON object: d is the decision about o. full, if not nil, are the
// reasons of all features; the answer then has them, with margin, base value, engine and model digest.
func AppendAnswer(dst []byte, m Model, o *scoring.Order, d *scoring.Decision, full []scoring.Reason) []byte {
	dst = slices.Grow(dst, answerBytes)
	dst = appendText(append(dst, `{"order_id":`...), o.ID)
	dst = appendNumber(append(dst, `,"risk_score":`...), d.RiskScore)
	dst = appendText(append(dst, `,"risk_band":`...), string(d.Band))
	dst = appendText(append(dst, `,"model_version":`...), m.Version)
	dst = appendTexts(append(dst, `,"top_contributors":`...), d.Reasons)
	dst = appendText(append(dst, `,"prediction_id":`...), d.PredictionID)
	dst = appendText(append(dst, `,"explanation":`...), string(d.Explanation))
	if full != nil {
		dst = appendNumber(append(dst, `,"margin":`...), d.Margin)
		dst = appendNumber(append(dst, `,"base_value":`...), d.Base)
		dst = appendText(append(dst, `,"engine":`...), m.Engine)
		dst = appendText(append(dst, `,"model_digest":`...), m.Digest)
		dst = appendReasons(append(dst, `,"reasons":`...), full)
	}
	return append(dst, '}')
}

// appendResult appends the JSON form of a result.
func appendResult(dst []byte, m Model, o *scoring.Order, d *scoring.Decision) []byte {
	dst = appendText(append(dst, `{"order_id":`...), o.ID)
	dst = strconv.AppendInt(append(dst, `,"event_version":`...), o.Version, 10)
	dst = appendTime(append(dst, `,"occurred_at":`...), o.OccurredAt)
	dst = appendText(append(dst, `,"prediction_id":`...), d.PredictionID)
	dst = appendNumber(append(dst, `,"risk_score":`...), d.RiskScore)
	dst = appendNumber(append(dst, `,"margin":`...), d.Margin)
	dst = appendText(append(dst, `,"risk_band":`...), string(d.Band))
	dst = appendText(append(dst, `,"model_version":`...), m.Version)
	dst = appendText(append(dst, `,"model_digest":`...), m.Digest)
	dst = appendText(append(dst, `,"engine":`...), m.Engine)
	dst = appendTexts(append(dst, `,"top_contributors":`...), d.Reasons)
	dst = appendReasons(append(dst, `,"reasons":`...), d.Reasons)
	dst = appendText(append(dst, `,"explanation":`...), string(d.Explanation))
	return append(dst, '}')
}

func appendTexts(dst []byte, reasons []scoring.Reason) []byte {
	dst = append(dst, '[')
	for i := range reasons {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, reasons[i].Text)
	}
	return append(dst, ']')
}

func appendReasons(dst []byte, reasons []scoring.Reason) []byte {
	dst = append(dst, '[')
	for i := range reasons {
		r := &reasons[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"code":`...), r.Code)
		dst = appendText(append(dst, `,"text":`...), r.Text)
		dst = appendText(append(dst, `,"feature":`...), r.Feature)
		dst = appendNumber(append(dst, `,"contribution":`...), r.Contribution)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendTime writes RFC 3339 in UTC with milliseconds, or null for no time.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	return t.UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

func appendText(dst []byte, s string) []byte {
	// The error is about invalid UTF-8, which is replaced; the texts of orders and manifests have none.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendNumber writes the shortest decimal that reads back as x.
func appendNumber(dst []byte, x float64) []byte { return jsontext.AppendFloat(dst, x, 64) }
