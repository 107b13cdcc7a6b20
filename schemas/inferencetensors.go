package schemas

import (
	"bytes"
	"strconv"
)

// output reads the element of outputs that comes next.
func (r *inferenceReader) output(i int) error {
	if r.dec.PeekKind() != '{' {
		return r.mismatch("must be an object: an output with its name")
	}
	pointer := "/outputs/" + strconv.Itoa(i)
	o, named := outputRequest{}, false
	err := r.members(func(name string) (err error) {
		switch name {
		case "name":
			o.Name, named, err = r.string()
			return err
		case "parameters":
			return r.parameters(func(name string) (err error) {
				switch name {
				case "binary_data":
					o.explicit = true
					o.Binary, err = r.flag()
					return err
				case "classification":
					return r.mismatch("is not supported: outputs have their own values")
				case "shared_memory_region":
					return r.mismatch(noSharedMemory)
				default:
					return r.skip()
				}
			})
		default:
			return r.unknown("an output")
		}
	})
	if err == nil && !named {
		r.problem(RejectDecode, pointer+"/name", missing)
	}
	r.outputs = append(r.outputs, o)
	return err
}

// input reads the element of inputs that comes next.
func (r *inferenceReader) input(i int) error {
	t := tensor{index: i, size: -1}
	if r.dec.PeekKind() != '{' {
		return r.mismatch("must be an object: a tensor")
	}
	err := r.members(func(name string) (err error) {
		switch name {
		case "name":
			t.name, t.named, err = r.string()
			return err
		case "datatype":
			t.datatype, _, err = r.string()
			return err
		case "shape":
			return r.shape(&t)
		case "data":
			t.data, err = r.raw()
			return err
		case "parameters":
			return r.parameters(func(name string) (err error) {
				switch name {
				case "binary_data_size":
					t.size, err = r.count()
					return err
				case "shared_memory_region":
					return r.mismatch(noSharedMemory)
				default:
					return r.skip()
				}
			})
		default:
			return r.unknown("a tensor")
		}
	})
	r.inputs = append(r.inputs, t)
	return err
}

// shape reads the dimensions; one that is none has left a problem.
func (r *inferenceReader) shape(t *tensor) error {
	t.shape = make([]int64, 0, maxDimensions)
	return r.array("dimensions", maxDimensions, func(int) error {
		n, err := r.count()
		t.shape = append(t.shape, n)
		return err
	})
}

// raw skips the value that comes next and returns its text.
func (r *inferenceReader) raw() ([]byte, error) {
	before := r.dec.InputOffset()
	err := r.skip()
	return bytes.TrimLeft(r.text[before:r.dec.InputOffset()], " \t\r\n:"), err
}
