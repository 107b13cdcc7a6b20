package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestIdentityOf: a handler learns the name under which the doorkeeper knows its caller, and nobody's is empty.
func TestIdentityOf(t *testing.T) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" // of "test"
	var got []string
	routes := []route{{"/x", reading(), func(_ http.ResponseWriter, r *http.Request) error {
		got = append(got, identityOf(r.Context()))
		return nil
	}}}
	asked := &doorkeeper{auth: AuthBearer, note: func(*http.Request, string, string) {}}
	if err := asked.tokens.use([][]byte{[]byte("checkout:" + digest)}); err != nil {
		t.Fatal(err)
	}
	open := &doorkeeper{auth: AuthNone}
	r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
	r.Header.Set("Authorization", "Bearer test")
	for _, g := range []*doorkeeper{asked, open} {
		if err := g.protect(routes)[0].handle(httptest.NewRecorder(), r); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || got[0] != "checkout" || got[1] != "" {
		t.Errorf("identities %q, want checkout and nobody", got)
	}
}
