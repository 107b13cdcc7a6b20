package schemas

import (
	"bytes"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring"
)

// Inference is a request of the Open Inference Protocol v2 over REST: orders by column, one tensor a feature.
type Inference struct {
	ID string // the client's own, empty if it gave none
	// Model and Version are what the body says; the path says it, too, and most clients only there.
	Model, Version string
	Outputs        []InferenceOutput // those that are asked for; empty means all
	// Binary says that outputs go behind the JSON as bytes where Outputs does not say otherwise.
	Binary bool
	Orders []scoring.Order
}

// InferenceOutput is an output that is asked for, by its name, which may be any.
type InferenceOutput struct {
	Name   string
	Binary bool
}

// The tensors that are no features.
const (
	orderIDTensor = "order_id"
	versionTensor = "event_version"
)

// The bounds of a request, beside MaxBatch rows: tensors are as many as a bundle may have features, and the two above.
const (
	maxInputs      = 4096 + 2
	maxOutputs     = 64
	maxRequestID   = 256
	maxDimensions  = 8
	oneTensorEach  = "send one tensor a feature, named as the feature and of shape [n] or [n, 1]: nothing in a matrix says which column is which feature"
	noSharedMemory = "is not supported: send the tensor's data with the request"
)

// ParseInference reads a request: its JSON, as strictly as ParseOrder does, and the bytes behind it, which are the data of
// the tensors that have a binary_data_size, in their order. Every tensor has shape [n] or [n, 1] with one n of 1 to
// MaxBatch. Tensors of numbers are FP32, FP64, INT or UINT; order_id and categories are BYTES; event_version is INT or
// UINT. A null in JSON, or no tensor at all, is a missing value; a null event_version is 0. An order without order_id has
// one made of its features. Parameters that are not known are ignored: they are hints.
//
// The error is a *SyntaxError, or an *Invalid about the whole: its problems are those of the request, or else of the
// values, row by row. The result shares no memory with the arguments.
func ParseInference(text, binary []byte, c *scoring.Contract, extra Extra) (*Inference, error) {
	r := &inferenceReader{
		parser: parser{dec: jsontext.NewDecoder(bytes.NewBuffer(text))}, text: text, binary: binary,
		contract: c, extra: extra, comparisons: maxComparisons,
	}
	if err := r.request(); err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if len(r.problems) == 0 {
		if err := r.orders(); err != nil {
			return nil, err
		}
	}
	if len(r.problems) > 0 {
		return nil, &Invalid{r.problems}
	}
	for _, o := range r.outputs {
		o.Binary = o.Binary || !o.explicit && r.out.Binary
		r.out.Outputs = append(r.out.Outputs, o.InferenceOutput)
	}
	return &r.out, nil
}

// inferenceReader reads one request.
type inferenceReader struct {
	parser
	text, binary []byte
	contract     *scoring.Contract
	extra        Extra
	comparisons  int

	out      Inference
	inputs   []tensor
	outputs  []outputRequest
	problems []Problem // at most MaxProblems
}

// outputRequest is an output as it stands in the request.
type outputRequest struct {
	InferenceOutput
	explicit bool // it says itself whether it is binary; the request's parameters, which do so for all, may come later
}

// tensor is an input as it stands in the request.
type tensor struct {
	index    int
	name     string
	named    bool
	datatype string
	shape    []int64 // nil where there is none that can be read
	data     []byte  // JSON, nil where there is none
	size     int64   // of the binary data, below 0 where there is none
}

// wrong notes a problem of the value that was read last.
func (r *inferenceReader) wrong(detail string) {
	if len(r.problems) >= MaxProblems {
		return // a pointer costs more than most of what it points to
	}
	r.problem(RejectDecode, string(r.dec.StackPointer()), detail)
}

func (r *inferenceReader) problem(class RejectClass, pointer, detail string) {
	if len(r.problems) < MaxProblems {
		r.problems = append(r.problems, Problem{class, pointer, detail})
	}
}

func (r *inferenceReader) request() error {
	if r.dec.PeekKind() != '{' {
		r.problem(RejectDecode, "", "must be an object: an inference request")
		return r.skip()
	}
	inputs := false
	err := r.members(func(name string) error {
		switch name {
		case "id":
			return r.requestID()
		case "model_name": // KServe's client writes it
			return r.mayBe(&r.out.Model)
		case "model_version":
			return r.mayBe(&r.out.Version)
		case "parameters":
			return r.parameters(func(name string) (err error) {
				if name == "binary_data_output" {
					r.out.Binary, err = r.flag()
					return err
				}
				return r.skip()
			})
		case "inputs":
			inputs = true
			return r.array("inputs", maxInputs, r.input)
		case "outputs":
			return r.array("outputs", maxOutputs, r.output)
		default:
			return r.unknown("an inference request")
		}
	})
	if !inputs && err == nil {
		r.problem(RejectDecode, "/inputs", missing)
	}
	return err
}

// unknown skips the member that comes next, which nothing has.
func (r *inferenceReader) unknown(of string) error {
	err := r.skip()
	if err == nil {
		r.wrong("is not a field of " + of)
	}
	return err
}

// array reads the array that comes next, which has at most so many elements.
func (r *inferenceReader) array(of string, most int, element func(i int) error) error {
	if r.dec.PeekKind() != '[' {
		return r.mismatch("must be an array of " + of)
	}
	return r.elements(func(i int) error {
		if i < most {
			return element(i)
		}
		err := r.skip()
		if i == most && err == nil {
			r.wrong(fmt.Sprintf("is one too many: there may be %d %s", most, of))
		}
		return err
	})
}

// elements reads the array that comes next and calls value, which reads the element, for each.
func (p parser) elements(value func(i int) error) error {
	if _, err := p.token(); err != nil {
		return err
	}
	for i := 0; p.dec.PeekKind() != ']'; i++ {
		if err := value(i); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

// mismatch skips the value that comes next, which is not what it must be.
func (r *inferenceReader) mismatch(detail string) error {
	err := r.skip()
	if err == nil {
		r.wrong(detail)
	}
	return err
}

func (r *inferenceReader) requestID() (err error) {
	r.out.ID, _, err = r.string()
	if err == nil && len(r.out.ID) > maxRequestID {
		r.wrong(fmt.Sprintf("must have at most %d bytes", maxRequestID))
	}
	return err
}

// mayBe reads a string into s, or null.
func (r *inferenceReader) mayBe(s *string) (err error) {
	if r.dec.PeekKind() == 'n' {
		return r.skip()
	}
	*s, _, err = r.string()
	return err
}

// string reads a string; ok is false, and the problem noted, where another value stands there.
func (r *inferenceReader) string() (s string, ok bool, err error) {
	if r.dec.PeekKind() != '"' {
		return "", false, r.mismatch("must be a string")
	}
	t, err := r.token()
	return t.String(), err == nil, err
}

func (r *inferenceReader) flag() (bool, error) {
	switch k := r.dec.PeekKind(); k {
	case 't', 'f':
		return k == 't', r.skip()
	default:
		return false, r.mismatch("must be true or false")
	}
}

// count reads an integer of 0 or more; 8.0 is one, as in JSON Schema.
func (r *inferenceReader) count() (int64, error) {
	const detail = "must be an integer of 0 or more"
	if r.dec.PeekKind() != '0' {
		return -1, r.mismatch(detail)
	}
	t, err := r.token()
	if err != nil {
		return -1, err
	}
	x, err := r.number(t)
	if err != nil {
		return -1, err
	}
	if x < 0 || x > math.MaxInt32 || x != math.Trunc(x) { // no body is as long
		r.wrong(detail)
		return -1, nil
	}
	return int64(x), nil
}

// parameters reads the object that comes next; null is none.
func (r *inferenceReader) parameters(value func(name string) error) error {
	switch r.dec.PeekKind() {
	case '{':
		return r.members(value)
	case 'n':
		return r.skip()
	default:
		return r.mismatch("must be an object")
	}
}
