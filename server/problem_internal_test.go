package server

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TestAppendProblem holds what is written out to the type, whose tags the OpenAPI document's examples go by.
func TestAppendProblem(t *testing.T) {
	for _, p := range []*problem{
		{},
		newProblem(overloaded, "/score", "more is asked for than can be done", nil),
		{Detail: "a \"quote\", \u2028 and \xff", OrderID: "o\\1", Errors: []fault{{"/a~1b", "<&>"}, {"", "\x00"}}, Error: "again"},
	} {
		want, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			t.Fatal(err)
		}
		if got := appendProblem([]byte("before "), p); string(got) != "before "+string(want) {
			t.Errorf("%+v:\n%s, want\n%s", p, got, want)
		}
	}
}
