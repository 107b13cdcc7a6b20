package oip

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// output is one of the model's outputs: numbers or texts, so many for each decision.
type output struct {
	name string
	// width is the second dimension for a model of so many features; none for one value a decision.
	width   func(features int) []int
	numbers func(dst []float64, d *scoring.Decision, features int) []float64
	texts   func(dst []string, d *scoring.Decision) []string
}

func (o *output) datatype() string {
	if o.numbers != nil {
		return fp64
	}
	return bytes
}

// contributionsName is the one output whose size is the model's.
const contributionsName = "contributions"

// outputs are all that there are, in the order of an answer that was asked for no special ones.
func outputs() []output {
	one := func(int) []int { return nil }
	number := func(name string, of func(*scoring.Decision) float64) output {
		return output{name: name, width: one, numbers: func(dst []float64, d *scoring.Decision, _ int) []float64 { return append(dst, of(d)) }}
	}
	text := func(name string, of func(*scoring.Decision) string) output {
		return output{name: name, width: one, texts: func(dst []string, d *scoring.Decision) []string { return append(dst, of(d)) }}
	}
	return []output{
		text("order_id", func(d *scoring.Decision) string { return d.OrderID }),
		number("risk_score", func(d *scoring.Decision) float64 { return d.RiskScore }),
		text("risk_band", func(d *scoring.Decision) string { return string(d.Band) }),
		text("prediction_id", func(d *scoring.Decision) string { return d.PredictionID }),
		number("margin", func(d *scoring.Decision) float64 { return d.Margin }),
		number("base_value", func(d *scoring.Decision) float64 { return d.Base }),
		{name: contributionsName, width: func(features int) []int { return []int{features} }, numbers: contributions},
		{name: "top_contributors", width: func(int) []int { return []int{scoring.TopReasons} }, texts: topContributors},
		text("explanation", func(d *scoring.Decision) string { return string(d.Explanation) }),
	}
}

// Outputs are the names of all outputs, as strings, in the order of an answer that was asked for no special ones.
func Outputs() []any {
	var names []any
	for _, o := range outputs() {
		names = append(names, o.name)
	}
	return names
}

// contributions are zeros where the decision is not explained: explanation says so.
func contributions(dst []float64, d *scoring.Decision, features int) []float64 {
	if len(d.Contributions) == 0 {
		return append(dst, make([]float64, features)...)
	}
	return append(dst, d.Contributions...)
}

// topContributors fills up with empty texts: a tensor's rows are equally long.
func topContributors(dst []string, d *scoring.Decision) []string {
	for i := range scoring.TopReasons {
		text := ""
		if i < len(d.Reasons) {
			text = d.Reasons[i].Text
		}
		dst = append(dst, text)
	}
	return dst
}

// maxContributions bounds the contributions in one answer: as JSON they are some 5 MiB.
const maxContributions = 1 << 18

// Check returns a *schemas.Invalid where the body names another model, asks for an output that there is not, or twice, or where the contributions
// are too many for one answer.
func Check(s *scoring.Scorer, r *schemas.Inference) error {
	var problems []schemas.Problem
	add := func(pointer, detail string) {
		if len(problems) < schemas.MaxProblems {
			problems = append(problems, schemas.Problem{Class: schemas.RejectDecode, Pointer: pointer, Detail: detail})
		}
	}
	if m := s.Manifest(); r.Model != "" && r.Model != m.Name {
		add("/model_name", "is not the model that the path names")
	} else if r.Version != "" && r.Version != m.Version {
		add("/model_version", "is not the version that serves")
	}
	names := make([]string, 0, len(outputs()))
	for _, o := range outputs() {
		names = append(names, o.name)
	}
	seen := map[string]bool{}
	for i, o := range r.Outputs {
		pointer := "/outputs/" + strconv.Itoa(i) + "/name"
		switch {
		case !slices.Contains(names, o.Name):
			add(pointer, fmt.Sprintf("is not an output of this model: there are %q", names))
		case seen[o.Name]:
			add(pointer, "stands twice among the outputs")
		}
		seen[o.Name] = true
	}
	if n := len(r.Orders) * s.Contract().NumFeature(); n > maxContributions && (len(r.Outputs) == 0 || seen[contributionsName]) {
		add("", fmt.Sprintf("asks for %d contributions, %d fit an answer: ask for other outputs, or for fewer orders at once", n, maxContributions))
	}
	if problems != nil {
		return &schemas.Invalid{Problems: problems}
	}
	return nil
}

// answer is the JSON of the answer to an inference request.
type answer struct {
	Model      string         `json:"model_name"`
	Version    string         `json:"model_version"`
	ID         string         `json:"id,omitzero"`
	Parameters Identity       `json:"parameters"`
	Outputs    []answerTensor `json:"outputs"`
}

type answerTensor struct {
	Name       string      `json:"name"`
	Shape      []int       `json:"shape"`
	Datatype   string      `json:"datatype"`
	Parameters *binarySize `json:"parameters,omitzero"`
	Data       any         `json:"data,omitzero"` // flat, row by row; nil where the data is binary
}

type binarySize struct {
	Size int `json:"binary_data_size"`
}

// Answer encodes the decisions about r's orders by the scorer's model: JSON, and the bytes of the tensors that were
// asked for in binary form, which follow it. Check has taken r.
func Answer(s *scoring.Scorer, r *schemas.Inference, decisions []scoring.Decision) (text, tail []byte, err error) {
	features := s.Contract().NumFeature()
	a := answer{Model: s.Manifest().Name, Version: s.Manifest().Version, ID: r.ID, Parameters: identity(s)}
	add := func(o *output, inBytes bool) {
		t := answerTensor{Name: o.name, Datatype: o.datatype(), Shape: append([]int{len(decisions)}, o.width(features)...)}
		before := len(tail)
		if o.numbers != nil {
			var data []float64
			for i := range decisions {
				data = o.numbers(data, &decisions[i], features)
			}
			if t.Data = data; inBytes {
				tail = appendNumbers(tail, data)
			}
		} else {
			var data []string
			for i := range decisions {
				data = o.texts(data, &decisions[i])
			}
			if t.Data = data; inBytes {
				tail = appendTexts(tail, data)
			}
		}
		if inBytes {
			t.Data, t.Parameters = nil, &binarySize{len(tail) - before}
		}
		a.Outputs = append(a.Outputs, t)
	}
	all := outputs()
	for i := range all {
		if len(r.Outputs) == 0 {
			add(&all[i], r.Binary)
		}
	}
	for _, asked := range r.Outputs {
		i := slices.IndexFunc(all, func(o output) bool { return o.name == asked.Name })
		add(&all[i], asked.Binary)
	}
	text, err = Encode(a)
	return text, tail, err
}

// appendNumbers and appendTexts write the protocol's binary form, which is little-endian.
func appendNumbers(dst []byte, data []float64) []byte {
	for _, x := range data {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
	}
	return dst
}

func appendTexts(dst []byte, data []string) []byte {
	for _, s := range data {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s))) // #nosec G115 -- ids and catalogue texts are short
		dst = append(dst, s...)
	}
	return dst
}
