package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// hostile is a request that must be refused in just one way.
type hostile struct {
	name, body string
	status     int
	pointer    string // of the first error, where the body is judged
	// loose says that a JSON Schema cannot tell: the document takes what the server refuses.
	loose bool
}

// with is the example with one text replaced.
func with(old, replacement string) string { return strings.Replace(example, old, replacement, 1) }

func id(s string) string { return with(`"ORD_12345"`, s) }

func discount(s string) string { return with("0.35", s) }

// malformed bodies are not I-JSON.
func malformed() []hostile {
	return []hostile{
		{name: "empty", body: "", status: 400},
		{name: "space", body: " \n", status: 400},
		{name: "cut short", body: example[:len(example)-1], status: 400},
		{name: "cut in a string", body: `{"order_id": "ORD`, status: 400},
		{name: "two documents", body: example + example, status: 400},
		{name: "trailing word", body: example + " x", status: 400},
		{name: "trailing bracket", body: example + "]", status: 400},
		{name: "NUL after the end", body: example + "\x00", status: 400},
		{name: "byte order mark", body: "\ufeff" + example, status: 400},
		{name: "UTF-16", body: "{\x00}\x00", status: 400},
		{name: "comment", body: "/* order */" + example, status: 400},
		{name: "single quotes", body: `{'order_id': 'x'}`, status: 400},
		{name: "bare name", body: `{order_id: "x"}`, status: 400},
		{name: "trailing comma", body: with(`"mobile"}`, `"mobile",}`), status: 400},
		{name: "form", body: "order_id=ORD_12345", status: 400},
		{name: "XML", body: "<order/>", status: 400},
		{name: "NaN", body: discount("NaN"), status: 400},
		{name: "Infinity", body: discount("Infinity"), status: 400},
		{name: "minus Infinity", body: discount("-Infinity"), status: 400},
		{name: "hexadecimal", body: discount("0x1p-2"), status: 400},
		{name: "leading zero", body: discount("00.35"), status: 400},
		{name: "leading plus", body: discount("+0.35"), status: 400},
		{name: "no digit before the point", body: discount(".35"), status: 400},
		{name: "no digit after the point", body: discount("35."), status: 400},
		{name: "no exponent", body: discount("1e"), status: 400},
		{name: "number that no double holds", body: discount("1e400"), status: 400, pointer: "/features/feature_discount_pct"},
		{name: "negative number that no double holds", body: discount("-1e400"), status: 400, pointer: "/features/feature_discount_pct"},
		{name: "400 digits", body: discount(strings.Repeat("9", 400)), status: 400, pointer: "/features/feature_discount_pct"},
		{name: "duplicate feature", body: with(`"feature_velocity_24h"`, `"feature_discount_pct": 0.1, "feature_velocity_24h"`), status: 400},
		{name: "duplicate feature, escaped", body: with(`"feature_velocity_24h"`, `"feature_discount\u005fpct": 0.1, "feature_velocity_24h"`), status: 400},
		{name: "duplicate order_id", body: with(`"order_id"`, `"order_id": "x", "order_id"`), status: 400},
		{name: "duplicate in an ignored object", body: with(`"order_id"`, `"x": {"a": 1, "a": 2}, "order_id"`), status: 400},
		{name: "invalid UTF-8", body: id("\"\xff\xfe\""), status: 400},
		{name: "overlong UTF-8", body: id("\"\xc0\xaf\""), status: 400},
		{name: "lone surrogate", body: id(`"\ud800"`), status: 400},
		{name: "surrogates the wrong way round", body: id(`"\udc00\ud800"`), status: 400},
		{name: "raw control character", body: id("\"a\nb\""), status: 400},
		{name: "bad escape", body: id(`"\x41"`), status: 400},
		{name: "deep nesting", body: with(`"order_id"`, `"x": `+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`, "order_id"`), status: 400},
		{name: "open brackets", body: strings.Repeat("[", 60000), status: 400},
		{name: "True", body: discount("True"), status: 400},
		{name: "undefined", body: discount("undefined"), status: 400},
		{name: "null cut short", body: discount("nul"), status: 400},
		{name: "underscores in a number", body: with("8420", "8_420"), status: 400},
		{name: "decimal comma", body: discount("0,35"), status: 400},
		{name: "two signs", body: discount("--0.35"), status: 400},
		{name: "binary number", body: discount("0b1"), status: 400},
		{name: "exponent without digits after its sign", body: discount("1e+"), status: 400},
		{name: "point before the exponent", body: discount("1.e5"), status: 400},
		{name: "full-width digits", body: discount("０"), status: 400},
		{name: "number that no double holds, in an ignored field", body: with(`"order_id"`, `"x": [1e999], "order_id"`), status: 400, pointer: "/x/0"},
		{name: "event_version that no double holds", body: with(`"order_id"`, `"event_version": 1e999, "order_id"`), status: 400, pointer: "/event_version"},
		{name: "two features members", body: with(`"order_id"`, `"features": {}, "order_id"`), status: 400, pointer: "/features"},
		{name: "two features members, escaped", body: with(`"order_id"`, `"\u0066eatures": {}, "order_id"`), status: 400, pointer: "/features"},
		{name: "two names with the same surrogate pair", body: with(`"order_id"`, `"😀": 1, "\ud83d\ude00": 1, "order_id"`), status: 400},
		{name: "invalid UTF-8 in a name", body: with("order_id", "order_\xff"), status: 400},
		{name: "surrogates in UTF-8", body: id("\"\xed\xa0\x80\""), status: 400},
		{name: "UTF-8 cut short", body: id("\"\xe2\x82\""), status: 400},
		{name: "UTF-16 with its mark", body: "\xff\xfe{\x00}\x00", status: 400},
		{name: "byte order mark in the middle", body: with(`"features"`, "\ufeff\"features\""), status: 400},
		{name: "form feed for space", body: "\f" + example, status: 400},
		{name: "no-break space", body: "\u00a0" + example, status: 400},
		{name: "comment to the line's end", body: example + " // order", status: 400},
		{name: "comment of a shell", body: "# order\n" + example, status: 400},
		{name: "semicolon", body: example + ";", status: 400},
		{name: "JSONP", body: "f(" + example + ")", status: 400},
		{name: "record separator", body: "\x1e" + example, status: 400},
		{name: "prefix against hijacking", body: ")]}',\n" + example, status: 400},
		{name: "equals sign", body: with(`"order_id":`, `"order_id"=`), status: 400},
		{name: "missing comma", body: with(`"ORD_12345",`, `"ORD_12345"`), status: 400},
		{name: "missing colon", body: with(`"order_id":`, `"order_id"`), status: 400},
		{name: "number as a name", body: with(`"order_id"`, `1`), status: 400},
		{name: "null as a name", body: with(`"order_id"`, `null`), status: 400},
		{name: "wrong bracket", body: with(`"mobile"}`, `"mobile"]`), status: 400},
		{name: "raw tab in a name", body: with("order_id", "order\tid"), status: 400},
		{name: "half an escape", body: id(`"\u12"`), status: 400},
		{name: "objects 10,001 deep", body: strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001), status: 400},
		{name: "protocol buffer", body: "\x0a\x09ORD_12345", status: 400},
		{name: "gzip", body: "\x1f\x8b\x08\x00\x00\x00\x00\x00", status: 400},
		{name: "Avro in Confluent framing", body: "\x00\x00\x00\x00\x01\x12ORD_12345", status: 400},
	}
}

// invalid bodies are JSON, but no order under the contract.
func invalid() []hostile {
	const feature = "/features/feature_"
	return []hostile{
		{name: "null", body: "null", status: 422},
		{name: "array", body: "[" + example + "]", status: 422},
		{name: "string", body: `"order"`, status: 422},
		{name: "number", body: "1", status: 422},
		{name: "empty object", body: "{}", status: 422, pointer: "/order_id"},
		{name: "no order_id", body: with(`"order_id": "ORD_12345", `, ""), status: 422, pointer: "/order_id"},
		{name: "order_id null", body: id("null"), status: 422, pointer: "/order_id"},
		{name: "order_id a number", body: id("12345"), status: 422, pointer: "/order_id"},
		{name: "order_id empty", body: id(`""`), status: 422, pointer: "/order_id"},
		{name: "order_id of 257 bytes", body: id(`"` + strings.Repeat("x", 257) + `"`), status: 422, pointer: "/order_id"},
		{name: "order_id of 129 two-byte characters", body: id(`"` + strings.Repeat("é", 129) + `"`), status: 422, pointer: "/order_id", loose: true},
		{name: "order_id with a line end", body: id(`"a\nb"`), status: 422, pointer: "/order_id"},
		{name: "order_id with NUL", body: id(`"a\u0000"`), status: 422, pointer: "/order_id"},
		{name: "order_id with DEL", body: id(`"a\u007f"`), status: 422, pointer: "/order_id"},
		{name: "order_id with a C1 control", body: id(`"a\u0085"`), status: 422, pointer: "/order_id"},
		{name: "key in another case", body: with(`"order_id"`, `"Order_ID"`), status: 422, pointer: "/order_id"},
		{name: "unknown field", body: with(`"order_id"`, `"priority": 1, "order_id"`), status: 422, pointer: "/priority"},
		{name: "unknown field with a slash", body: with(`"order_id"`, `"a/b~c": 1, "order_id"`), status: 422, pointer: "/a~1b~0c"},
		{name: "unknown empty field", body: with(`"order_id"`, `"": 1, "order_id"`), status: 422, pointer: "/"},
		{name: "__proto__", body: with(`"order_id"`, `"__proto__": {}, "order_id"`), status: 422, pointer: "/__proto__"},
		{name: "no features", body: `{"order_id": "x"}`, status: 422, pointer: "/features"},
		{name: "features null", body: `{"order_id": "x", "features": null}`, status: 422, pointer: "/features"},
		{name: "features an array", body: `{"order_id": "x", "features": [0.35, 8420]}`, status: 422, pointer: "/features"},
		{name: "features empty", body: `{"order_id": "x", "features": {}}`, status: 422, pointer: feature + "discount_pct"},
		{name: "required feature null", body: discount("null"), status: 422, pointer: feature + "discount_pct"},
		{name: "required feature absent", body: with(`"feature_velocity_24h": 8420,`, ""), status: 422, pointer: feature + "velocity_24h"},
		{name: "number as text", body: discount(`"0.35"`), status: 422, pointer: feature + "discount_pct"},
		{name: "NaN as text", body: discount(`"NaN"`), status: 422, pointer: feature + "discount_pct"},
		{name: "true", body: discount("true"), status: 422, pointer: feature + "discount_pct"},
		{name: "false", body: discount("false"), status: 422, pointer: feature + "discount_pct"},
		{name: "object for a number", body: discount(`{"value": 0.35}`), status: 422, pointer: feature + "discount_pct"},
		{name: "Avro-JSON union", body: discount(`{"double": 0.35}`), status: 422, pointer: feature + "discount_pct"},
		{name: "array for a number", body: discount("[0.35]"), status: 422, pointer: feature + "discount_pct"},
		{name: "percent for a fraction", body: discount("35"), status: 422, pointer: feature + "discount_pct"},
		{name: "below the range", body: discount("-0.01"), status: 422, pointer: feature + "discount_pct"},
		{name: "just above the range", body: discount("1.0000000000000002"), status: 422, pointer: feature + "discount_pct"},
		{name: "negative velocity", body: with("8420", "-1"), status: 422, pointer: feature + "velocity_24h"},
		{name: "number that no float32 holds", body: with("8420", "1e39"), status: 422, pointer: feature + "velocity_24h"},
		{name: "unknown category", body: with("mobile", "watch"), status: 422, pointer: feature + "device_type"},
		{name: "category in another case", body: with("mobile", "Mobile"), status: 422, pointer: feature + "device_type"},
		{name: "category with a space", body: with("mobile", "mobile "), status: 422, pointer: feature + "device_type"},
		{name: "empty category", body: with("mobile", ""), status: 422, pointer: feature + "device_type"},
		{name: "category by code", body: with(`"mobile"`, "2"), status: 422, pointer: feature + "device_type"},
		{name: "category null", body: with(`"mobile"`, "null"), status: 422, pointer: feature + "device_type"},
		{name: "misspelt feature", body: with("creator_reliability", "creator_reliabilit"), status: 422, pointer: feature + "creator_reliabilit"},
		{name: "feature in another case", body: with("feature_creator", "Feature_creator"), status: 422, pointer: "/features/Feature_creator_reliability"},
		{name: "extra feature", body: with(`"feature_discount_pct"`, `"zzz": 1, "feature_discount_pct"`), status: 422, pointer: "/features/zzz"},
		{name: "event_version a fraction", body: with(`"order_id"`, `"event_version": 1.5, "order_id"`), status: 422, pointer: "/event_version"},
		{name: "event_version with an exponent", body: with(`"order_id"`, `"event_version": 1e2, "order_id"`), status: 422, pointer: "/event_version", loose: true},
		{name: "event_version text", body: with(`"order_id"`, `"event_version": "1", "order_id"`), status: 422, pointer: "/event_version"},
		{name: "event_version over 64 bits", body: with(`"order_id"`, `"event_version": 9223372036854775808, "order_id"`), status: 422, pointer: "/event_version"},
		{name: "occurred_at a number", body: with(`"order_id"`, `"occurred_at": 1763805600000, "order_id"`), status: 422, pointer: "/occurred_at"},
		{name: "occurred_at no time", body: with(`"order_id"`, `"occurred_at": "yesterday", "order_id"`), status: 422, pointer: "/occurred_at", loose: true},
		{name: "event_version a boolean", body: with(`"order_id"`, `"event_version": true, "order_id"`), status: 422, pointer: "/event_version"},
		{name: "event_version below 64 bits", body: with(`"order_id"`, `"event_version": -9223372036854775809, "order_id"`), status: 422, pointer: "/event_version", loose: true},
		{name: "event_version of 300 digits", body: with(`"order_id"`, `"event_version": 1`+strings.Repeat("0", 299)+`, "order_id"`), status: 422, pointer: "/event_version"},
		{name: "event_version with a zero fraction", body: with(`"order_id"`, `"event_version": 1.0, "order_id"`), status: 422, pointer: "/event_version", loose: true},
		{name: "occurred_at in a year of five digits", body: with(`"order_id"`, `"occurred_at": "12026-11-22T10:00:00Z", "order_id"`), status: 422, pointer: "/occurred_at", loose: true},
		{name: "occurred_at on the 30th of February", body: with(`"order_id"`, `"occurred_at": "2026-02-30T10:00:00Z", "order_id"`), status: 422, pointer: "/occurred_at", loose: true},
		{name: "occurred_at with a zone of a day", body: with(`"order_id"`, `"occurred_at": "2026-11-22T10:00:00+24:00", "order_id"`), status: 422, pointer: "/occurred_at", loose: true},
		{name: "occurred_at an object", body: with(`"order_id"`, `"occurred_at": {}, "order_id"`), status: 422, pointer: "/occurred_at"},
		{name: "features text", body: `{"order_id": "x", "features": "{}"}`, status: 422, pointer: "/features"},
		{name: "features in another case", body: with(`"features"`, `"Features"`), status: 422, pointer: "/features"},
		{name: "a feature at the top", body: with(`"order_id"`, `"feature_discount_pct": 0.35, "order_id"`), status: 422, pointer: "/feature_discount_pct"},
		{name: "two features that differ in case", body: with(`"feature_discount_pct"`, `"FEATURE_DISCOUNT_PCT": 0.35, "feature_discount_pct"`), status: 422, pointer: "/features/FEATURE_DISCOUNT_PCT"},
		{name: "a feature's name with a space", body: with(`"feature_creator`, `" feature_creator`), status: 422, pointer: "/features/ feature_creator_reliability"},
		{name: "a feature's name with NUL", body: with(`"feature_creator`, `"\u0000feature_creator`), status: 422, pointer: "/features/\x00feature_creator_reliability"},
		{name: "minus zero point", body: discount("-1e-300"), status: 422, pointer: feature + "discount_pct"},
		{name: "integer over 2^1000", body: with("8420", "1"+strings.Repeat("0", 302)), status: 422, pointer: feature + "velocity_24h"},
		{name: "category as an array", body: with(`"mobile"`, `["mobile"]`), status: 422, pointer: feature + "device_type"},
		{name: "category true", body: with(`"mobile"`, `true`), status: 422, pointer: feature + "device_type"},
		{name: "category with a zero-width space", body: with("mobile", "mobile\u200b"), status: 422, pointer: feature + "device_type"},
		{name: "order_id of a tab", body: id(`"\t"`), status: 422, pointer: "/order_id"},
		{name: "order_id true", body: id("true"), status: 422, pointer: "/order_id"},
		{name: "order_id an object", body: id(`{"$oid": "1"}`), status: 422, pointer: "/order_id"},
		{name: "order_id in an array", body: id(`["ORD_12345"]`), status: 422, pointer: "/order_id"},
		{name: "occurred_at without a zone", body: with(`"order_id"`, `"occurred_at": "2026-11-22T10:00:00", "order_id"`), status: 422, pointer: "/occurred_at", loose: true},
	}
}

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
