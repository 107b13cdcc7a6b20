package server

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
)

// FuzzTokensFile: what is taken is bounded and unambiguous, what is refused is not quoted.
func FuzzTokensFile(f *testing.F) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, text := range []string{"", "# x\n", "a:" + digest, "a:" + digest + "\r\nb:" + strings.Repeat("0F", 32) + "\n", "a:" + digest + "\na:" + digest, "x:secret-token-in-the-wrong-place"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseTokens(text)
		if err != nil {
			for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == ':' || r == '\n' || r == ' ' }) {
				if len(word) > 16 && strings.Contains(err.Error(), word) {
					t.Fatalf("%v quotes %q", err, word)
				}
			}
			return
		}
		seen := map[[32]byte]bool{}
		for _, one := range list {
			if !validName(one.name) || seen[one.digest] {
				t.Fatalf("%q is taken", one.name)
			}
			seen[one.digest] = true
		}
		if len(list) == 0 || len(list) > maxTokens {
			t.Fatalf("%d tokens are taken", len(list))
		}
	})
}

// FuzzClientNames: whatever a certificate is called, only what lies below the path comes in by the path.
func FuzzClientNames(f *testing.F) {
	for _, id := range []string{
		"spiffe://shop/ns/checkout/sa/api", "spiffe://shop/ns/checkout", "spiffe://shop/ns/checkout/../web", "spiffe://shop/ns/checkout/%2e%2e/x",
		"SPIFFE://shop/ns/checkout/x", "spiffe://shop:1/ns/checkout/x", "spiffe://a@shop/ns/checkout/x", "spiffe://shop/ns/checkout/x?y#z", "orders.shop",
	} {
		f.Add(id)
	}
	names, err := newClientNames([]string{"spiffe://shop/ns/checkout/*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		c := &x509.Certificate{DNSNames: []string{id}}
		if u, err := url.Parse(id); err == nil {
			c.URIs = []*url.URL{u}
		}
		name, in := names.match(c)
		below, cut := strings.CutPrefix(name, "spiffe://shop/ns/checkout/")
		if in && (!cut || below == "" || strings.ContainsAny(below, "%?#") || strings.Contains("/"+below+"/", "/../") || strings.Contains(below, "//")) {
			t.Fatalf("%q comes in as %q", id, name)
		}
	})
}
