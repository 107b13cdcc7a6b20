package forest

import "fmt"

// A ShapeError says that a slice has not the length of a matrix of its kind. The methods of a [Forest] panic with
// a *ShapeError, since they get shapes from the program and not from its data; where rows come from elsewhere,
// [Forest.CheckRows] returns it.
type ShapeError struct {
	// Slice is the parameter's name.
	Slice string
	// Len is its length, which is not Rows x Width.
	Len int
	// Rows is the number of rows that it should have, or -1 if any number would do.
	Rows int
	// Width is the number of values of a row.
	Width int
}

// Error names the slice, its length and the one expected.
func (e *ShapeError) Error() string {
	if e.Rows < 0 {
		return fmt.Sprintf("forest: len(%s) = %d is not a multiple of the %d values of a row", e.Slice, e.Len, e.Width)
	}
	return fmt.Sprintf("forest: len(%s) = %d, want %d rows x %d", e.Slice, e.Len, e.Rows, e.Width)
}

// CheckRows returns the number of rows in a matrix of NumFeature columns, or a *[ShapeError] if it is none.
func (f *Forest) CheckRows(rows []float64) (int, error) {
	return numRows("rows", rows, f.NumFeature)
}

func numRows(name string, s []float64, width int) (int, error) {
	if len(s)%width != 0 {
		return 0, &ShapeError{name, len(s), -1, width}
	}
	return len(s) / width, nil
}

func mustNumRows(name string, s []float64, width int) int {
	n, err := numRows(name, s, width)
	if err != nil {
		panic(err)
	}
	return n
}

func checkShape(name string, s []float64, n, width int) {
	if len(s) != n*width {
		panic(&ShapeError{name, len(s), n, width})
	}
}
