package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/trendbuy/riskscorer/scoring"
)

// orders judges the tensors and makes rows of them.
func (r *inferenceReader) orders() error {
	rows := r.check()
	if len(r.problems) > 0 {
		return nil
	}
	columns := make([]column, len(r.inputs))
	for i := range r.inputs {
		if err := r.read(&r.inputs[i], &columns[i], rows); err != nil {
			return err
		}
	}
	if len(r.problems) > 0 {
		return nil
	}
	r.out.Orders = make([]scoring.Order, 0, rows)
	for row := range rows {
		r.out.Orders = append(r.out.Orders, r.order(columns, row))
		if len(r.problems) >= MaxProblems {
			break
		}
	}
	return nil
}

// check judges everything but the tensors' values, and returns how many rows they have.
func (r *inferenceReader) check() (rows int) {
	if len(r.inputs) == 0 {
		r.problem(RejectDecode, "/inputs", "must have at least one tensor")
		return 0
	}
	names, categories := make(map[string]bool, len(r.inputs)), make(map[string]bool, r.contract.NumFeature())
	for i := range r.contract.Features() {
		f := &r.contract.Features()[i]
		categories[f.Name] = len(f.Categories) > 0
	}
	sized := int64(0)
	for i := range r.inputs {
		t := &r.inputs[i]
		if n, ok := r.checkShape(t); ok && rows == 0 {
			rows = n
		} else if ok && n != rows {
			r.problem(RejectDecode, t.at("/shape"), fmt.Sprintf("has %d rows, tensors before it have %d", n, rows))
		}
		switch {
		case !t.named:
			r.problem(RejectDecode, t.at("/name"), missing)
		case names[t.name]:
			r.problem(RejectDecode, t.at("/name"), "stands twice among the inputs")
		default:
			r.checkName(t, categories)
		}
		names[t.name] = true
		switch {
		case t.size >= 0 && t.data != nil:
			r.problem(RejectDecode, t.at("/data"), "stands beside binary_data_size: a tensor has one or the other")
		case t.size < 0 && t.data == nil:
			r.problem(RejectDecode, t.at("/data"), missing)
		}
		sized += max(t.size, 0)
	}
	if sized != int64(len(r.binary)) {
		r.problem(RejectDecode, "", fmt.Sprintf("is followed by %d bytes of binary data, the tensors' binary_data_size add to %d", len(r.binary), sized))
	}
	required := r.contract.Fill(make([]float64, r.contract.NumFeature()))
	for _, f := range required.Faults() {
		if !names[f.Feature] {
			r.problem(faultClass(f.Kind), "/inputs", "lacks the tensor "+f.Feature+", which is required")
		}
	}
	return rows
}

// checkShape returns how many rows a tensor has.
func (r *inferenceReader) checkShape(t *tensor) (rows int, ok bool) {
	at := t.at("/shape")
	switch s := t.shape; {
	case s == nil:
		r.problem(RejectDecode, at, missing)
	case len(s) == 0 || len(s) > 2:
		r.problem(RejectDecode, at, "must be [n] or [n, 1]")
	case len(s) == 2 && s[1] != 1:
		r.problem(RejectDecode, at, "is a matrix: "+oneTensorEach)
	case s[0] < 1 || s[0] > MaxBatch:
		r.problem(RejectDecode, at, fmt.Sprintf("must have 1 to %d rows", MaxBatch))
	default:
		return int(s[0]), true
	}
	return 0, false
}

// checkName judges a tensor's name, and its datatype by it. categories says of every feature whether it is one.
func (r *inferenceReader) checkName(t *tensor, categories map[string]bool) {
	kind, _ := datatype(t.datatype)
	switch t.name {
	case orderIDTensor:
		t.want(r, RejectOrderID, kind == text, "must be BYTES")
		return
	case versionTensor:
		t.want(r, RejectDecode, kind == signed || kind == unsigned, "must be INT64, or another type of integers")
		return
	}
	category, ok := categories[t.name]
	switch {
	case !ok && r.extra == RefuseExtra:
		detail := "is not a feature of this model"
		if n := r.contract.NumFeature(); n <= r.comparisons && len(t.name) <= maxHintBytes {
			r.comparisons -= n
			detail = r.contract.UnknownFault(t.name).Detail
		}
		r.problem(RejectFeatureUnknown, t.at("/name"), detail)
	case !ok:
		t.want(r, RejectDecode, kind != unreadable, anyDatatype)
	case category:
		t.want(r, RejectFeatureType, kind == text, "must be BYTES: the feature is a category")
	default:
		t.want(r, RejectFeatureType, kind != text && kind != unreadable, "must be FP64, FP32, or a type of integers: the feature is a number")
	}
}

// want notes that a tensor has another datatype than its name demands.
func (t *tensor) want(r *inferenceReader, class RejectClass, ok bool, detail string) {
	switch {
	case ok:
	case t.datatype == "":
		r.problem(class, t.at("/datatype"), missing)
	default:
		r.problem(class, t.at("/datatype"), detail)
	}
}

// at is the pointer of a member of the tensor.
func (t *tensor) at(member string) string { return "/inputs/" + strconv.Itoa(t.index) + member }

// order makes the order of a row. Its faults point to the values.
func (r *inferenceReader) order(columns []column, row int) scoring.Order {
	in := newReading(r.contract, IgnoreExtra, nil)
	named := false
	for i := range r.inputs {
		t, c := &r.inputs[i], &columns[i]
		switch {
		case t.name == versionTensor:
			in.order.Version = c.integers[row] // 0 for null
		case t.name == orderIDTensor:
			named = true
			if !c.null[row] {
				in.id(c.texts[row])
			}
			if in.idFault != "" {
				r.problem(RejectOrderID, t.cell(row), in.idFault)
			}
		case c.null[row]:
			in.features.Null(t.name)
		case c.texts != nil:
			in.features.Text(t.name, c.texts[row])
		default:
			in.features.Number(t.name, c.numbers[row])
		}
	}
	for _, f := range in.features.Faults() {
		if len(r.problems) >= MaxProblems {
			break
		}
		t := slices.IndexFunc(r.inputs, func(t tensor) bool { return t.name == f.Feature })
		r.problem(faultClass(f.Kind), r.inputs[t].cell(row), f.Detail)
	}
	if !named {
		in.order.ID = contentID(in.order.Row)
	}
	return in.order
}

// cell is the pointer of a value, which has no place in the JSON where the data is binary.
func (t *tensor) cell(row int) string {
	pointer := t.at("/data/" + strconv.Itoa(row))
	if t.nested() {
		pointer += "/0"
	}
	return pointer
}

// contentID is the order id of a row whose request names none: the same for the same features, whoever asks. It is
// "features-" and the lower-case hex of the first 16 bytes of SHA-256 over "riskscorer/features/1", a zero byte, and the
// row's values as float64, big-endian, in training order; every NaN is 0x7ff8000000000000, and -0 is 0.
func contentID(row []float64) string {
	b := append(make([]byte, 0, 64+8*len(row)), "riskscorer/features/1\x00"...)
	for _, x := range row {
		bits := math.Float64bits(x)
		switch {
		case math.IsNaN(x):
			bits = 0x7ff8000000000000
		case x == 0:
			bits = 0
		}
		b = binary.BigEndian.AppendUint64(b, bits)
	}
	sum := sha256.Sum256(b)
	return "features-" + hex.EncodeToString(sum[:16])
}
