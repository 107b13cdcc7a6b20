//go:build amd64 && !purego

package forest

import (
	"math"
	"unsafe"
)

// The assembly has a function for leaves of float32 and one, with F64 in its name, for leaves of float64.

// ofType returns that one of the two functions which is of type F.
func ofType[F any](narrow, wide any) F {
	if f, ok := narrow.(F); ok {
		return f
	}
	return wide.(F)
}

// setLeaf writes the bytes of a leaf's value, each count bytes after the one below it.
func setLeaf[V number](leaves []uint8, count, i int, value V) {
	bits := uint64(math.Float32bits(float32(value)))
	if unsafe.Sizeof(value) == 8 {
		bits = math.Float64bits(float64(value))
	}
	for j := range int(unsafe.Sizeof(value)) {
		leaves[j*count+i] = uint8(bits >> (8 * j))
	}
}
