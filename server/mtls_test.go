package server_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// mutual has the scoring door ask for a certificate with one of the names.
func mutual(s *store, names ...string) func(*server.Config, *server.Parts) {
	return func(c *server.Config, p *server.Parts) {
		encrypted(s)(c, p)
		c.HTTP.Auth, c.HTTP.ClientCAFile, c.HTTP.ClientNames = server.AuthMTLS, s.path("ca.crt"), names
	}
}

func doorFiles(p pair, clients ...*authority) map[string][]byte {
	m := files(p)
	for _, a := range clients {
		m["ca.crt"] = append(m["ca.crt"], a.pem()...)
	}
	return m
}

func TestClientCertificates(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	r := start(t, mutual(newStore(t, doorFiles(a.issue(t, nil), a)),
		"spiffe://shop/ns/checkout/*", "spiffe://shop/ns/web/sa/cart", "Orders.shop.internal", "urn://team/risk"))
	open := start(t)
	for _, c := range []struct {
		names  []string
		status int
	}{
		{[]string{"spiffe://shop/ns/checkout/sa/api"}, 200},
		{[]string{"spiffe://shop/ns/checkout/sa/deep/er"}, 200},
		{[]string{"spiffe://shop/ns/web/sa/cart"}, 200},
		{[]string{"orders.shop.internal"}, 200},
		{[]string{"ORDERS.shop.internal"}, 200},
		{[]string{"elsewhere.example", "orders.shop.internal"}, 200},
		{[]string{"urn://team/risk"}, 200},
		{nil, 403},
		{[]string{"spiffe://shop/ns/checkout"}, 403},
		{[]string{"spiffe://shop/ns/checkouts/sa/api"}, 403},
		{[]string{"spiffe://shop/ns/checkout-2/sa/api"}, 403},
		{[]string{"spiffe://shop/ns/web/sa/cart/x"}, 403},
		{[]string{"spiffe://other/ns/checkout/sa/api"}, 403},
		{[]string{"https://shop/ns/checkout/sa/api"}, 403},
		{[]string{"spiffe://shop/ns/checkout/../web/sa/api"}, 403},
		{[]string{"spiffe://shop/ns/checkout/%2e%2e/web"}, 403},
		{[]string{"spiffe://shop/ns/checkout//sa"}, 403},
		{[]string{"spiffe://shop/ns/checkout/sa?x=1"}, 403},
		{[]string{"spiffe://user@shop/ns/checkout/sa"}, 403},
		{[]string{"*.shop.internal"}, 403},
		{[]string{"shop.internal"}, 403},
	} {
		own := a.named(t, c.names...)
		response, err := a.client(t, &own, true).Post("https://"+r.Scoring+"/score", "application/json", strings.NewReader(example))
		if err != nil {
			t.Errorf("%q: %v", c.names, err)
			continue
		}
		got := read(t, response)
		_ = response.Body.Close()
		if got.status != c.status {
			t.Errorf("%q: %d %s, want %d", c.names, got.status, got.body, c.status)
		}
		if c.status == http.StatusForbidden {
			problemKind(t, open.document, got, c.status, "forbidden")
		}
	}
	// The common name is not looked at, an authority that the door does not know ends the handshake.
	common := a.issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "orders.shop.internal" })
	if err := order(a.client(t, &common, true), "https://"+r.Scoring, jsonHeader()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a common name: %v, want 403", err)
	}
	expired := a.issue(t, func(c *x509.Certificate) {
		c.NotAfter, c.DNSNames = time.Now().Add(-time.Minute), []string{"orders.shop.internal"}
	})
	forServers := a.issue(t, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{"orders.shop.internal"}
	})
	strange := foreign.named(t, "orders.shop.internal")
	for what, own := range map[string]*pair{"a foreign authority": &strange, "an ended certificate": &expired, "a server's certificate": &forServers} {
		if err := order(a.client(t, own, true), "https://"+r.Scoring, jsonHeader()); err == nil || !strings.Contains(err.Error(), "tls:") {
			t.Errorf("%s: %v, want the handshake's end", what, err)
		}
	}
	response, err := a.client(t, nil, true).Post("https://"+r.Scoring+"/score", "application/json", strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, response)
	_ = response.Body.Close()
	problemKind(t, open.document, got, http.StatusUnauthorized, "unauthorized")
	if got.header.Get("WWW-Authenticate") == "" {
		t.Error("a 401 without WWW-Authenticate")
	}
	if err := probe(a.client(t, nil, true), "https://"+r.Scoring); err != nil {
		t.Errorf("a probe without a certificate: %v", err)
	}
	if n := r.metric(t, "riskscorer_http_refused_callers_total", "door=scoring", "class=foreign"); n != 15 {
		t.Errorf("%v foreign callers are counted, want 15", n)
	}
	await(t, "the failed handshakes", func() bool { return r.metric(t, "riskscorer_http_failed_handshakes_total", "door=scoring") >= 3 })
}

func probe(c *http.Client, url string) error {
	response, err := c.Get(url + "/health/ready")
	if err != nil {
		return err
	}
	if err := response.Body.Close(); response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %w", response.StatusCode, err)
	}
	return nil
}

// TestCertificateThatEndsMeanwhile: a kept connection does not outlive its client's certificate.
func TestCertificateThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	r := start(t, mutual(newStore(t, doorFiles(a.issue(t, nil), a)), "checkout"))
	end := time.Now().Add(4 * time.Second).Truncate(time.Second)
	own := a.issue(t, func(c *x509.Certificate) { c.NotAfter, c.DNSNames = end, []string{"checkout"} })
	client := a.client(t, &own, false)
	if err := order(client, "https://"+r.Scoring, jsonHeader()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(end) + 10*time.Millisecond)
	if err := order(client, "https://"+r.Scoring, jsonHeader()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("after the certificate's end: %v, want 401", err)
	}
	if n := r.metric(t, "riskscorer_http_refused_callers_total", "class=expired"); n != 1 {
		t.Errorf("%v expired callers are counted, want 1", n)
	}
}

// TestClientAuthorityRotates goes over from one authority to another: both for a while, then the new one alone.
func TestClientAuthorityRotates(t *testing.T) {
	t.Parallel()
	first, second := newAuthority(t), newAuthority(t)
	p := first.issue(t, nil)
	s := newStore(t, doorFiles(p, first))
	r := start(t, mutual(s, "checkout"))
	before, after := first.named(t, "checkout"), second.named(t, "checkout")
	comes := func(own *pair) func() bool {
		client := first.client(t, own, true)
		return func() bool { return order(client, "https://"+r.Scoring, jsonHeader()) == nil }
	}
	old, young := comes(&before), comes(&after)
	if !old() || young() {
		t.Fatal("the door does not hold to its authority")
	}
	s.put(t, doorFiles(p, first, second))
	await(t, "both authorities", func() bool { return old() && young() })
	s.put(t, doorFiles(p, second))
	await(t, "the new authority alone", func() bool { return !old() && young() })
}
