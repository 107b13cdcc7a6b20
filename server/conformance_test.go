package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/server"
)

//go:generate go test -run TestCommittedDocument -update

var update = flag.Bool("update", false, "write openapi.json instead of comparing it")

// document is a server's OpenAPI document, as a client reads it.
type document struct {
	text  []byte
	Paths map[string]map[string]operation `json:"paths"`
	// Components are kept as text: their schemas refer to each other.
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`

	resolved map[string]*jsonschema.Resolved // by the schema's text: resolving is the slow part
}

type operation struct {
	RequestBody struct {
		Content map[string]media `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Headers map[string]json.RawMessage `json:"headers"`
		Content map[string]media           `json:"content"`
	} `json:"responses"`
}

type media struct {
	Schema   json.RawMessage `json:"schema"`
	Example  json.RawMessage `json:"example"`
	Examples map[string]struct {
		Value json.RawMessage `json:"value"`
	} `json:"examples"`
}

func (r *running) readDocument(tb testing.TB) *document {
	tb.Helper()
	a := r.get(tb, r.Scoring, "/openapi.json")
	if a.status != http.StatusOK {
		tb.Fatalf("/openapi.json: %d %s\n%s", a.status, a.body, r.logs)
	}
	d := &document{text: []byte(a.body), resolved: map[string]*jsonschema.Resolved{}}
	if err := json.Unmarshal(d.text, d); err != nil {
		tb.Fatal(err)
	}
	return d
}

// check holds an instance against a schema of the document.
func (d *document) check(schema json.RawMessage, instance string) error {
	resolved, err := d.resolve(string(schema))
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal([]byte(instance), &v); err != nil {
		return err
	}
	return resolved.Validate(v)
}

func (d *document) resolve(schema string) (*jsonschema.Resolved, error) {
	if r, ok := d.resolved[schema]; ok {
		return r, nil
	}
	definitions, err := json.Marshal(d.Components.Schemas)
	if err != nil {
		return nil, err
	}
	whole := fmt.Sprintf(`{"$defs":%s,"allOf":[%s]}`, definitions, schema)
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(strings.ReplaceAll(whole, "#/components/schemas/", "#/$defs/")), &s); err != nil {
		return nil, err
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	d.resolved[schema] = r
	return r, nil
}

// checkAnswer holds an answer against what the document says of its path, method and status. A path or method that the
// document does not know must answer a problem, unless it is a page.
func (d *document) checkAnswer(method, path string, a answer) error {
	if d == nil {
		return nil // the server has no model, and so no document yet
	}
	path, _, _ = strings.Cut(path, "?")
	item := d.Paths[d.template(path)]
	op, ok := item[strings.ToLower(method)]
	if !ok {
		if a.status >= http.StatusBadRequest && method != http.MethodHead {
			return d.checkProblem(a)
		}
		return nil
	}
	response, ok := op.Responses[strconv.Itoa(a.status)]
	if !ok {
		return errors.New("the document does not know the status")
	}
	for name := range response.Headers {
		if a.header.Get(name) == "" && name != "Inference-Header-Content-Length" { // that depends on the content
			return fmt.Errorf("header %s is missing", name)
		}
	}
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return err
	}
	m, ok := response.Content[kind]
	if !ok {
		return fmt.Errorf("the document does not know %s for this status", kind)
	}
	if kind == "application/octet-stream" {
		n, err := strconv.Atoi(a.header.Get("Inference-Header-Content-Length"))
		if err != nil || n > len(a.body) {
			return fmt.Errorf("the JSON is said to have %d of %d bytes: %w", n, len(a.body), err)
		}
		return d.check(d.Components.Schemas["InferenceAnswer"], a.body[:n])
	}
	return d.check(m.Schema, a.body)
}

// template is the document's path that a request's path fits, or the path itself.
func (d *document) template(path string) string {
	parts := strings.Split(path, "/")
	for name := range d.Paths {
		template := strings.Split(name, "/")
		for i := range min(len(template), len(parts)) {
			if strings.HasPrefix(template[i], "{") && parts[i] != "" {
				template[i] = parts[i]
			}
		}
		if slices.Equal(template, parts) && strings.Contains(name, "{") {
			return name
		}
	}
	return path
}

// checkProblem holds an answer against the schema Problem, and its status against the one that it states.
func (d *document) checkProblem(a answer) error {
	want := "application/problem+json"
	if strings.Contains(a.body, `"instance":"/v2`) {
		want = "application/json" // clients of the Open Inference Protocol read no error from another
	}
	if got := a.header.Get("Content-Type"); got != want {
		return fmt.Errorf("Content-Type is %q", got)
	}
	var p struct{ Status int }
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		return err
	}
	if p.Status != a.status {
		return fmt.Errorf("a problem of status %d was answered with %d", p.Status, a.status)
	}
	return d.check(d.Components.Schemas["Problem"], a.body)
}

func TestCommittedDocument(t *testing.T) {
	r := start(t)
	const file = "openapi.json"
	if *update {
		if err := os.WriteFile(file, r.document.text, 0o644); err != nil { //nolint:gosec // meant to be read
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, r.document.text) {
		t.Errorf("%s is not what the server says now: run go generate ./server", file)
	}
}

// TestDocumentExamples holds every example of the document against its schema.
func TestDocumentExamples(t *testing.T) {
	d := start(t).document
	var title struct{ Info struct{ Title string } }
	if err := json.Unmarshal(d.text, &title); err != nil || title.Info.Title != "TrendBuy Regret Risk Scoring API" {
		t.Errorf("title %q, %v", title.Info.Title, err)
	}
	checked := 0
	check := func(where string, m media) {
		values := []json.RawMessage{m.Example}
		for _, e := range m.Examples {
			values = append(values, e.Value)
		}
		for _, v := range values {
			if v == nil {
				continue
			}
			checked++
			// The example of a batch shows a bad order too.
			if err := d.check(m.Schema, string(v)); err != nil && where != "/score/batch post request" {
				t.Errorf("%s: example %s: %v", where, v, err)
			}
		}
	}
	for path, item := range d.Paths {
		for method, op := range item {
			for _, m := range op.RequestBody.Content {
				check(path+" "+method+" request", m)
			}
			for status, response := range op.Responses {
				if len(response.Content) == 0 {
					t.Errorf("%s %s %s: no body is described", path, method, status)
				}
				for _, m := range response.Content {
					if m.Example == nil && len(m.Examples) == 0 {
						t.Errorf("%s %s %s: no example", path, method, status)
					}
					check(path+" "+method+" "+status, m)
				}
			}
		}
	}
	if checked < 25 {
		t.Errorf("only %d examples were checked", checked)
	}
}

// TestDocumentShowsTheContract holds orders against the schema Order: it must know what the server knows.
func TestDocumentShowsTheContract(t *testing.T) {
	d := start(t).document
	order := d.Components.Schemas["Order"]
	if err := d.check(order, example); err != nil {
		t.Errorf("the example: %v", err)
	}
	for name, change := range map[string][2]string{
		"category":  {`"mobile"`, `"phone"`},
		"range":     {`0.35`, `35`},
		"type":      {`8420`, `"8420"`},
		"unknown":   {`"feature_device_type"`, `"feature_device"`},
		"missing":   {`"feature_discount_pct": 0.35, `, ``},
		"null":      {`0.35`, `null`},
		"no id":     {`"order_id": "ORD_12345", `, ``},
		"top level": {`"order_id"`, `"priority": 1, "order_id"`},
	} {
		if err := d.check(order, strings.Replace(example, change[0], change[1], 1)); err == nil {
			t.Errorf("%s: the schema takes what the server refuses", name)
		}
	}
	if err := d.check(order, strings.Replace(example, "0.22", "null", 1)); err != nil {
		t.Errorf("a missing optional feature: %v", err)
	}
}

func TestDocumentAllowsExtraFeaturesWhereTheyAreIgnored(t *testing.T) {
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Extra = schemas.IgnoreExtra })
	extra := strings.Replace(example, `"feature_discount_pct"`, `"feature_new": 1, "feature_discount_pct"`, 1)
	if err := r.document.check(r.document.Components.Schemas["Order"], extra); err != nil {
		t.Errorf("the schema: %v", err)
	}
	if a := r.post(t, "/score", extra); a.status != http.StatusOK {
		t.Errorf("the server: %d %s, want 200", a.status, a.body)
	}
}

// TestConformanceCheckCanFail makes sure that checkAnswer sees a wrong answer.
func TestConformanceCheckCanFail(t *testing.T) {
	r := start(t)
	good := r.post(t, "/score", example)
	for name, spoil := range map[string]func(*answer){
		"status":       func(a *answer) { a.status = http.StatusTeapot },
		"content type": func(a *answer) { a.header = http.Header{"Content-Type": {"text/plain"}} },
		"field":        func(a *answer) { a.body = strings.Replace(a.body, `"risk_band"`, `"band"`, 1) },
		"value":        func(a *answer) { a.body = strings.Replace(a.body, `"HIGH"`, `"high"`, 1) },
		"header":       func(a *answer) { a.status = http.StatusServiceUnavailable },
	} {
		bad := good
		spoil(&bad)
		if r.document.checkAnswer(http.MethodPost, "/score", bad) == nil {
			t.Errorf("a wrong %s passes", name)
		}
	}
}
