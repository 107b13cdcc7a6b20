// Package oip provides what the Open Inference Protocol v2 says over REST about a model and its decisions: metadata, and
// decisions as tensors. Package schemas reads its requests.
package oip

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/trendbuy/riskscorer/scoring"
)

// Server is the answer to GET /v2.
type Server struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// NewServer describes a server of this build.
func NewServer(version string) Server {
	return Server{Name: "riskscorer", Version: version, Extensions: []string{"binary_tensor_data"}}
}

// Live is the answer to GET /v2/health/live.
type Live struct {
	Live bool `json:"live"`
}

// Ready is the answer to GET /v2/health/ready, and with a name to GET /v2/models/{name}/ready.
type Ready struct {
	Name    string   `json:"name,omitzero"`
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitzero"` // why not
}

// Model is the answer to GET /v2/models/{name}.
type Model struct {
	Name       string   `json:"name"`
	Versions   []string `json:"versions"`
	Platform   string   `json:"platform"`
	Inputs     []Tensor `json:"inputs"`
	Outputs    []Tensor `json:"outputs"`
	Parameters Identity `json:"parameters"`
}

// Identity is what beside name and version says which numbers a model gives.
type Identity struct {
	Digest string `json:"model_digest"`
	Engine string `json:"engine"`
}

// Tensor describes a tensor. A dimension of -1 is the number of orders.
type Tensor struct {
	Name       string      `json:"name"`
	Datatype   string      `json:"datatype"`
	Shape      []int       `json:"shape"`
	Parameters *InputFacts `json:"parameters,omitzero"`
}

// InputFacts says of an input what the protocol has no words for.
type InputFacts struct {
	Required   bool     `json:"required"`
	Categories []string `json:"categories,omitzero"`
}

// The protocol's datatypes that this server writes.
const (
	fp64  = "FP64"
	int64 = "INT64"
	bytes = "BYTES"
)

// NewModel describes the scorer's model: an input for each feature, and the two that tell orders apart.
func NewModel(s *scoring.Scorer) Model {
	m := s.Manifest()
	out := Model{
		Name: m.Name, Versions: []string{m.Version}, Platform: m.Model.Library + "_riskscorer",
		Inputs: []Tensor{
			{"order_id", bytes, []int{-1}, &InputFacts{}},
			{"event_version", int64, []int{-1}, &InputFacts{}},
		},
		Parameters: identity(s),
	}
	features := s.Contract().Features()
	required := map[string]bool{} // what an order without features lacks
	empty := s.Contract().Fill(make([]float64, len(features)))
	for _, f := range empty.Faults() {
		required[f.Feature] = true
	}
	for i := range features {
		f := &features[i]
		t := Tensor{f.Name, fp64, []int{-1}, &InputFacts{Required: required[f.Name], Categories: f.Categories}}
		if len(f.Categories) > 0 {
			t.Datatype = bytes
		}
		out.Inputs = append(out.Inputs, t)
	}
	for _, o := range outputs() {
		out.Outputs = append(out.Outputs, Tensor{o.name, o.datatype(), append([]int{-1}, o.width(len(features))...), nil})
	}
	return out
}

func identity(s *scoring.Scorer) Identity {
	return Identity{Digest: s.Digest().String(), Engine: s.EngineID()}
}

// Encode returns an answer of this package as JSON.
func Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode inference answer: %w", err)
	}
	return b, nil
}
