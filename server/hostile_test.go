package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestHostileBodies(t *testing.T) {
	r := start(t)
	for _, h := range append(malformed(), invalid()...) {
		t.Run(h.name, func(t *testing.T) {
			a := r.post(t, "/score", h.body)
			if a.status != h.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, h.status)
			}
			p := decode[decision](t, a)
			if len(p.Errors) == 0 || p.Errors[0].Detail == "" || p.Instance != "/score" {
				t.Fatalf("%s names nothing", a.body)
			}
			if want := map[int]string{400: "#syntax", 422: "#invalid-order"}[h.status]; !strings.HasSuffix(p.Type, want) {
				t.Errorf("type %q, want one that ends in %s", p.Type, want)
			}
			if (h.pointer != "" || h.status == 422) && p.Errors[0].Pointer != h.pointer {
				t.Errorf("pointer %q, want %q", p.Errors[0].Pointer, h.pointer)
			}
			if h.status != 422 {
				return
			}
			if err := r.document.check(r.document.Components.Schemas["Order"], h.body); (err == nil) != h.loose {
				t.Errorf("the OpenAPI document says %v, the server refuses", err)
			}
		})
	}
	if a := r.post(t, "/score", example); a.status != http.StatusOK {
		t.Errorf("after them all: %d, want 200", a.status)
	}
}

func TestHostileBatches(t *testing.T) {
	r := start(t)
	for _, h := range []hostile{
		{name: "empty", body: "", status: 400},
		{name: "no array", body: example, status: 422},
		{name: "null", body: "null", status: 422},
		{name: "empty array", body: "[]", status: 422},
		{name: "one item is no JSON", body: "[" + example + ", {]", status: 400},
		{name: "JSON lines", body: example + "\n" + example, status: 400},
		{name: "array cut short", body: "[" + example, status: 400},
		{name: "one item has a duplicate", body: "[" + example + `, {"a": 1, "a": 1}]`, status: 400},
		{name: "one item has a number that no double holds", body: "[" + example + "," + discount("1e999") + "]", status: 400, pointer: "/1/features/feature_discount_pct"},
	} {
		a := r.post(t, "/score/batch", h.body)
		if a.status != h.status {
			t.Errorf("%s: %d %s, want %d", h.name, a.status, a.body, h.status)
			continue
		}
		if p := decode[decision](t, a); len(p.Errors) != 1 || h.pointer != "" && p.Errors[0].Pointer != h.pointer {
			t.Errorf("%s: %s, want one error at %q", h.name, a.body, h.pointer)
		}
	}
}

func TestEveryFaultIsListed(t *testing.T) {
	r := start(t)
	p := decode[decision](t, r.post(t, "/score", `{"order_id": "", "event_version": 0.5, "occurred_at": "x", "more": 1,
		"features": {"feature_discount_pct": 35, "feature_velocity_24h": "8420", "feature_device_type": "watch", "new": 1}}`))
	want := []string{
		"/order_id", "/event_version", "/occurred_at", "/features/feature_discount_pct", "/features/feature_velocity_24h",
		"/features/feature_hours_since_trend_peak", "/features/feature_device_type", "/features/new", "/more",
	}
	var got []string
	for _, e := range p.Errors {
		got = append(got, e.Pointer)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("pointers %q, want %q", got, want)
	}
	var many strings.Builder
	for i := range 500 {
		many.WriteString(`"x` + strings.Repeat("x", i%90) + strings.Repeat("y", i/90) + `": 1, `)
	}
	if p := decode[decision](t, r.post(t, "/score", with(`"order_id"`, many.String()+`"order_id"`))); len(p.Errors) != 32 {
		t.Errorf("%d errors are listed, want the bound 32", len(p.Errors))
	}
}

func TestContentTypes(t *testing.T) {
	r := start(t)
	for value, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "application/json;charset=UTF-8": 200,
		`application/json; charset="utf-8"`: 200, "Application/JSON": 200, " application/json ": 200, "application/json; version=1": 200,
		"": 415, "text/plain": 415, "text/json": 415, "application/jsonl": 415, "application/json+x": 415, "application/problem+json": 415,
		"application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/json, text/plain": 415,
		"application/json; charset=utf-16": 415, "application/json; charset=latin1": 415, "application/json; charset": 415,
		"application/octet-stream": 415, "json": 415, "*/*": 415, "application/*": 415, "avro/binary": 415,
	} {
		if a := r.do(t, http.MethodPost, "/score", http.Header{"Content-Type": {value}}, strings.NewReader(example)); a.status != want {
			t.Errorf("Content-Type %q: %d, want %d", value, a.status, want)
		}
	}
	for _, coding := range []string{"gzip", "br", "deflate", "zstd", "identity", "gzip, gzip", "x"} {
		h := jsonHeader()
		h.Set("Content-Encoding", coding)
		if a := r.do(t, http.MethodPost, "/score", h, strings.NewReader(example)); a.status != http.StatusUnsupportedMediaType {
			t.Errorf("Content-Encoding %q: %d, want 415", coding, a.status)
		}
	}
}

func TestMethodsAndPaths(t *testing.T) {
	r := start(t)
	for path, allow := range map[string]string{
		"/score": "POST", "/score/batch": "POST", "/openapi.json": "GET, HEAD", "/docs/": "GET, HEAD", "/docs": "GET, HEAD",
		"/": "GET, HEAD", "/health/live": "GET, HEAD", "/health/ready": "GET, HEAD", "/health/ready/stream": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post"} {
			if strings.Contains(", "+allow+",", ", "+method+",") {
				continue
			}
			a := r.do(t, method, path, nil, http.NoBody)
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q, want 405 with %q", method, path, a.status, a.header.Get("Allow"), allow)
			}
		}
	}
	for _, path := range []string{
		"/nowhere", "/score/", "//score", "/score/../score", "/./score", "/Score", "/score.json", "/score/batch/", "/score%2Fbatch",
		"/v1/score", "/metrics", "/debug/pprof/", "/bundle", "/version", "/docs/../score", "/docs/swagger-ui.js.map", "/health", "/health/",
		"/.git/config", "/score%00", "/%2e%2e/etc/passwd",
	} {
		if a := r.do(t, http.MethodPost, path, jsonHeader(), strings.NewReader(example)); a.status != http.StatusNotFound {
			t.Errorf("POST %s: %d %s, want 404", path, a.status, a.body)
		}
	}
}

func TestQueriesAreIgnored(t *testing.T) {
	r := start(t)
	for _, query := range []string{"?", "?x=1", "?explain=", "?%zz", "?;", "?explain=FULL", "?order_id=x&explain"} {
		if a := r.post(t, "/score"+query, example); a.status != http.StatusOK || strings.Contains(a.body, "reasons") {
			t.Errorf("%s: %d %s, want the short answer", query, a.status, a.body)
		}
	}
}

// TestInstanceIsAReference: a long path is cut, never within an escape.
func TestInstanceIsAReference(t *testing.T) {
	r := start(t)
	for n := range 8 {
		path := "/" + strings.Repeat("x", 120+n) + strings.Repeat("%C3%A9", 10)
		p := decode[decision](t, r.do(t, http.MethodGet, path, nil, http.NoBody))
		u, err := url.Parse(p.Instance)
		if err != nil || len(p.Instance) > 131 || !strings.HasPrefix(path, strings.TrimSuffix(p.Instance, "...")) || u.Path == "" {
			t.Errorf("instance %q of %q: %v", p.Instance, path, err)
		}
	}
}

// TestOddButGood: what is unusual and yet right is scored, as what it says.
func TestOddButGood(t *testing.T) {
	r := start(t)
	long := strings.Repeat("é", 128)
	for _, c := range []struct{ name, body, same string }{
		{"minus zero", discount("-0"), discount("0")},
		{"minus zero with a fraction and an exponent", discount("-0.0e-0"), discount("0")},
		{"exponent", discount("3.5E-1"), example},
		{"exponent with a plus", with("8420", "842e+1"), example},
		{"fifty digits", discount("0.35000000000000000000000000000000000000000000000001"), example},
		{"less than any double", discount("1e-5000"), discount("0")},
		{"a denormal", discount("5e-324"), discount("0")},
		{"an integer of a double's size", with("8420", "100000000000000000000"), with("8420", "1e20")},
		{"escaped solidus and letters", id(`"\/\u0041"`), id(`"/A"`)},
		{"surrogate pair", id(`"\ud83d\ude00"`), id(`"😀"`)},
		{"256 bytes", id(`"\u00e9` + long[2:] + `"`), id(`"` + long + `"`)},
		{"a letter and its accent", id(`"e\u0301"`), id("\"e\u0301\"")},
		{"the lowest version", with(`"order_id"`, `"event_version": -9223372036854775808, "order_id"`), with(`"order_id"`, `"event_version":-9223372036854775808, "order_id"`)},
		{"space everywhere", "\r\n\t " + strings.ReplaceAll(example, ",", " ,\n\t ") + " \r\n", example},
		{"a leap day with nine digits of a second", with(`"order_id"`, `"occurred_at": "2024-02-29T23:59:59.123456789-12:00", "order_id"`), example},
	} {
		got, want := r.decide(t, c.body), r.decide(t, c.same)
		if got.PredictionID != want.PredictionID || got.RiskScore != want.RiskScore {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
	if r.decide(t, id(`"e\u0301"`)).PredictionID == r.decide(t, id(`"é"`)).PredictionID {
		t.Error("two spellings of a letter are one order")
	}
}
