package server

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// clientNames are the names of client certificates that a door lets in.
type clientNames struct {
	exact map[string]bool // URIs as they stand, and DNS names in lower case
	below []string        // "spiffe://domain/path/", for all SPIFFE ids below it
}

// newClientNames reads the list. A * stands for whole path segments below a path of a SPIFFE id, never for a part of
// a name or for a trust domain.
func newClientNames(list []string) (*clientNames, error) {
	n := &clientNames{exact: map[string]bool{}}
	for _, entry := range list {
		prefix, wild := strings.CutSuffix(entry, "/*")
		if strings.Contains(prefix, "*") {
			return nil, fmt.Errorf("%q: a * may only stand for everything below the path of a SPIFFE id, as in spiffe://domain/path/*", entry)
		}
		switch {
		case wild:
			if !plainSPIFFE(prefix) && !plainSPIFFE(prefix+"/x") {
				return nil, fmt.Errorf("%q is not spiffe://domain/path/*", entry)
			}
			n.below = append(n.below, prefix+"/")
		case strings.Contains(entry, "://"):
			if u, err := url.Parse(entry); err != nil || u.Host == "" || u.String() != entry {
				return nil, fmt.Errorf("%q is no URI in its normal form", entry)
			}
			n.exact[entry] = true
		case entry == "" || strings.ContainsAny(entry, " /:@\t"):
			return nil, fmt.Errorf("%q is neither a DNS name nor a URI", entry)
		default:
			n.exact[strings.ToLower(entry)] = true
		}
	}
	return n, nil
}

// match returns the certificate's name that is on the list: URIs before DNS names, in the certificate's order. The
// common name is no name: it says not what it is.
func (n *clientNames) match(c *x509.Certificate) (string, bool) {
	for _, u := range c.URIs {
		id := u.String()
		if n.exact[id] || plainSPIFFE(id) && slices.ContainsFunc(n.below, func(prefix string) bool { return strings.HasPrefix(id, prefix) }) {
			return id, true
		}
	}
	for _, name := range c.DNSNames {
		if name = strings.ToLower(name); n.exact[name] {
			return name, true
		}
	}
	return "", false
}

// plainSPIFFE says whether an id is spiffe://domain/path with nothing in it that could mean another path.
func plainSPIFFE(id string) bool {
	u, err := url.Parse(id)
	return err == nil && u.Scheme == "spiffe" && u.Host != "" && u.Port() == "" && u.User == nil && u.Path != "" &&
		path.Clean(u.Path) == u.Path && !strings.ContainsAny(id, "%?#") && u.String() == id
}
