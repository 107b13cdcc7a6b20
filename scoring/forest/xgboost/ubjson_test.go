package xgboost_test

import (
	"strings"
	"testing"
)

func TestBrokenUBJSON(t *testing.T) {
	key := "L\x00\x00\x00\x00\x00\x00\x00\x01k"
	tests := []struct{ name, file, want string }{
		{"empty object", "{N}", "learner: it is missing"},
		{"end after a key", "{" + key, "ends too early"},
		{"no end of the object", "{" + key + "T", "ends too early"},
		{"trailing data", "{" + key + "T}}", "more after the model"},
		{"unknown type", "{" + key + "x}", "unknown type marker 'x'"},
		{"high-precision number", "{" + key + "Hi\x011}", "unknown type marker 'H'"},
		{"counted object", "{#i\x01i\x01aT", "not an integer's"},
		{"duplicate name", "{" + key + "T" + key + "T}", "twice"},
		{"invalid UTF-8", "{" + key + "Si\x01\xff}", "UTF-8"},
		{"negative length", "{" + key + "Si\xff}", "negative"},
		{"length beyond the file", "{" + key + "SL\x7f\xff\xff\xff\xff\xff\xff\xff}", "larger than the rest"},
		{"length of a float", "{" + key + "Sd\x00\x00\x00\x00}", "not an integer's"},
		{"array beyond the file", "{" + key + "[$d#L\x00\x00\x00\x00\xff\xff\xff\xff}", "larger than the rest"},
		{"typed array in a small file", "{" + key + "[$d#i\x02\x00\x00\x00\x00\x00}", "larger than the rest"},
		{"list beyond the file", "{" + key + "[#l\x7f\xff\xff\xff}", "larger than the rest"},
		{"typed array without a count", "{" + key + "[$d\x00]}", "no count"},
		{"typed array of nulls", "{" + key + "[$Z#i\x7f}", "not one of numbers"},
		{"typed array of objects", "{" + key + "[${#i\x01}}", "not one of numbers"},
		{"mixed array", "{" + key + "[i\x01T]}", "mixes"},
		{"nested too deep", "{" + key + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", "nested"},
		{"objects nested too deep", strings.Repeat("{"+key, 40) + "T" + strings.Repeat("}", 40), "nested"},
		{"no end of an array", "{" + key + "[i\x01", "ends too early"},
		{"too many values", "{" + key + "[" + strings.Repeat("T", 1<<20) + "]}", "too many values"},
		{"long text", "{" + key + "Sl\x01\x00\x00\x01" + strings.Repeat("x", 1<<24+1) + "}", "a text has more than 16777216 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantFileError(t, []byte(test.file), test.want) })
	}
}
