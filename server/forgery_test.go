package server_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// TestRequestsReachNobodyElse puts an address wherever a request can hold one: nobody calls there.
func TestRequestsReachNobodyElse(t *testing.T) {
	bait, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bait.Close() }()
	called := make(chan struct{}, 1)
	go func() {
		if conn, err := bait.Accept(); err == nil {
			_ = conn.Close()
			called <- struct{}{}
		}
	}()
	r := start(t)
	there := "http://" + bait.Addr().String() + "/x"
	h := jsonHeader()
	for _, name := range []string{"Referer", "Origin", "Forwarded", "X-Forwarded-Host", "X-Original-Url", "Callback", "Link", "From", "Traceparent"} {
		h.Set(name, there)
	}
	for _, body := range []string{
		example, id(`"` + there + `"`), with("mobile", there), with(`"order_id"`, `"callback": "`+there+`", "order_id"`),
		with(`"order_id"`, `"$schema": "`+there+`", "$ref": "`+there+`", "order_id"`), `"` + there + `"`, there,
	} {
		for _, path := range []string{"/score?url=" + there, "/score/batch?$ref=" + there, "/docs/?url=" + there, "/openapi.json?server=" + there} {
			r.do(t, http.MethodPost, path, h, strings.NewReader(body))
		}
	}
	conn := dial(t, r.Scoring)
	conn.write("GET " + there + " HTTP/1.1\r\nHost: " + bait.Addr().String() + "\r\n\r\n") // as to a proxy
	if a := conn.read(); a.status != http.StatusNotFound {
		t.Errorf("asked as a proxy: %d, want 404", a.status)
	}
	conn = dial(t, r.Scoring)
	conn.write("CONNECT " + bait.Addr().String() + " HTTP/1.1\r\nHost: " + bait.Addr().String() + "\r\n\r\n")
	if a := conn.read(); a.status < http.StatusBadRequest {
		t.Errorf("asked for a tunnel: %d", a.status)
	}
	select {
	case <-called:
		t.Error("the server called an address from a request")
	case <-time.After(100 * time.Millisecond):
	}
}

// TestForwardedAddressesAreNotBelieved: who calls is the connection's other end, whatever the request says.
func TestForwardedAddressesAreNotBelieved(t *testing.T) {
	_, line := newToken(t, "checkout")
	r := start(t, withTokens(newStore(t, tokensFile(line))))
	h := jsonHeader()
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "X-User-Id", "X-Forwarded-Client-Cert"} {
		h.Set(name, "203.0.113.77")
	}
	if a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", h, strings.NewReader(example)); a.status != http.StatusUnauthorized {
		t.Errorf("%d, want 401", a.status)
	}
	if text := r.logs.String(); !strings.Contains(text, "address=127.0.0.1:") || strings.Contains(text, "203.0.113.77") {
		t.Errorf("the log:\n%s", text)
	}
}

// TestExpectContinueNeedsAToken: who is not known is refused before a byte of the body is asked for.
func TestExpectContinueNeedsAToken(t *testing.T) {
	_, line := newToken(t, "checkout")
	r := start(t, withTokens(newStore(t, tokensFile(line))))
	conn, before := dial(t, r.Scoring), time.Now()
	conn.write("POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + jsonLine + "Content-Length: 10\r\n\r\n")
	if a := conn.read(); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s, want 401", a.status, a.body)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("the answer took %v: it waited for the body", took)
	}
}

// TestCipherSuitesAreSecure offers each suite alone: only those without known weaknesses, and with forward secrecy, are taken.
func TestCipherSuitesAreSecure(t *testing.T) {
	a := newAuthority(t)
	r := start(t, encrypted(newStore(t, files(a.issue(t, nil)))), func(c *server.Config, _ *server.Parts) { c.HTTP.MinVersion = "1.2" })
	taken := 0
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue // not to be chosen, and all sound
		}
		conn, err := tls.Dial("tcp", r.Scoring, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		if err != nil {
			continue
		}
		_ = conn.Close()
		taken++
		if suite.Insecure || !strings.HasPrefix(suite.Name, "TLS_ECDHE_") || strings.HasSuffix(suite.Name, "_CBC_SHA256") {
			t.Errorf("%s is taken", suite.Name)
		}
	}
	if taken == 0 {
		t.Error("no suite is taken")
	}
}

// TestRefusedCallersAreLoggedSampled: each is counted, one a second is logged.
func TestRefusedCallersAreLoggedSampled(t *testing.T) {
	_, line := newToken(t, "checkout")
	r := start(t, withTokens(newStore(t, tokensFile(line))))
	before := time.Now()
	for range 300 {
		r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", jsonHeader(), strings.NewReader(example))
	}
	most := 1 + int(time.Since(before)/time.Second) + 1
	if n := strings.Count(r.logs.String(), "caller refused"); n < 1 || n > most {
		t.Errorf("%d lines for 300 refused callers, want 1 to %d", n, most)
	}
	if n := r.metric(t, "riskscorer_http_refused_callers_total", "door=scoring", "class=nobody"); n != 300 {
		t.Errorf("%v are counted, want 300", n)
	}
}
