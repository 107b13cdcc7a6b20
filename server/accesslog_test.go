package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/server"
)

// accessLines returns the lines about requests, but for those of the document, which start asks for: an answer that long is
// out before its line.
func accessLines(r *running) []string {
	var out []string
	for line := range strings.Lines(r.logs.String()) {
		if strings.Contains(line, "msg=request ") && !strings.Contains(line, "route=/openapi.json ") {
			out = append(out, line)
		}
	}
	return out
}

// TestTheAccessLogTellsOfEachRequest its route, outcome and order, and nothing else of what was sent.
func TestTheAccessLogTellsOfEachRequest(t *testing.T) {
	r := start(t, func(c *server.Config, _ *server.Parts) { c.AccessLog, c.AccessLogErrors = 100, 100 })
	logged := len(accessLines(r))
	r.post(t, "/score", strings.Replace(example, "ORD_12345", `ORD\n\"é`, 1)) // a control character: refused
	r.post(t, "/score", strings.Replace(example, "ORD_12345", "ORD \\\"1\\\" level=ERROR", 1))
	r.post(t, "/score", strings.Replace(example, "ORD_12345", strings.Repeat("x", 256), 1))
	r.post(t, "/score", strings.Replace(example, "mobile", "smartwatch", 1))
	r.post(t, "/score/batch", "["+example+","+example+"]")
	r.get(t, r.Scoring, "/health/live")
	r.get(t, r.Scoring, "/private/8420")
	lines := accessLines(r)[logged:]
	want := [][]string{
		{"route=/score ", "status=422", "problem=invalid-order", "class=order_id"},
		{"route=/score ", "status=200", `order_id="ORD \"1\" level=ERROR"`, "seconds=", "method=POST", "address=127.0.0.1"},
		{"status=200", "order_id=" + strings.Repeat("x", 128) + "... "},
		{"status=422", "class=feature_category"},
		{"route=/score/batch ", "status=200", "orders=2"},
		{"route=other ", "status=404", "problem=not-found"},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %s", len(lines), lines)
	}
	for i, parts := range want {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i, part, lines[i])
			}
		}
	}
	for _, value := range []string{"smartwatch", "8420", "0.35", "mobile"} {
		if strings.Contains(strings.Join(lines, ""), value) {
			t.Errorf("the access log holds %s", value)
		}
	}
}

// TestTheAccessLogIsSampledWhenBusy: successes and errors do not take each other's lines, and what is left out is counted.
func TestTheAccessLogIsSampledWhenBusy(t *testing.T) {
	r := start(t, func(c *server.Config, _ *server.Parts) { c.AccessLog, c.AccessLogErrors = 3, 5 })
	logged, begin := len(accessLines(r)), time.Now()
	const each = 300
	for range each {
		r.post(t, "/score", example)
		r.send(t, http.MethodGet, "http://"+r.Scoring+"/nowhere", nil, nil)
	}
	seconds := int(time.Since(begin).Seconds()) + 2 // that the requests touched; the first has had the document of start
	ok, failed, skipped := 0, 0, 0
	for _, line := range accessLines(r)[logged:] {
		if strings.Contains(line, "status=200") {
			ok++
		} else {
			failed++
		}
		if _, count, there := strings.Cut(line, "not_logged_before="); there {
			var n int
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Fatal(err)
			}
			skipped += n
		}
	}
	if ok < 2 || ok > 3*seconds || failed < 5 || failed > 5*seconds || ok+failed+skipped > 2*each+1 {
		t.Errorf("%d successes and %d errors logged, %d counted, in %d seconds", ok, failed, skipped, seconds)
	}
}

// TestTheAccessLogNamesTheCaller as the door knows it, and nobody who was refused.
func TestTheAccessLogNamesTheCaller(t *testing.T) {
	token, line := newToken(t, "checkout")
	r := start(t, withTokens(newStore(t, tokensFile(line))), func(c *server.Config, _ *server.Parts) { c.AccessLog, c.AccessLogErrors = 100, 100 })
	logged := len(accessLines(r))
	r.send(t, http.MethodGet, "http://"+r.Scoring+"/v2", bearer(token), http.NoBody)
	r.send(t, http.MethodGet, "http://"+r.Scoring+"/v2", bearer("checkout"), http.NoBody)
	lines := accessLines(r)[logged:]
	if len(lines) != 2 || !strings.Contains(lines[0], "caller=checkout ") || strings.Contains(lines[1], "caller=") {
		t.Errorf("the log has %q", lines)
	}
}
