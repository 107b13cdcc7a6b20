package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// The security schemes' names in the document.
const (
	bearerScheme = "bearer"
	mutualScheme = "mutualTLS"
)

// apiVersion is the contract's, not the build's: it changes when the document does.
const apiVersion = "1.0.0"

const apiDescription = `Estimates the risk that a customer regrets a purchase, and says why.

The same order gets the same decision here and in the Kafka stream, from the same model. Features are checked against
the contract of the model that serves: this document shows it. Bodies are strict JSON (RFC 7493); every refusal is a
problem document (RFC 9457) that names what is wrong by JSON pointer.`

func newModel(scorer *scoring.Scorer, extra schemas.Extra) *model {
	m := &model{
		scorer: scorer,
		wire: schemas.Model{
			Version: scorer.Manifest().Version,
			Digest:  scorer.Digest().String(),
			Engine:  scorer.EngineID(),
		},
	}
	m.document = sync.OnceValues(func() ([]byte, error) { return openAPIDocument(m, extra) })
	return m
}

// openAPI answers the OpenAPI 3.1 document, with the features of the model that serves.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	m, err := s.model()
	if err != nil {
		return err
	}
	document, err := m.document()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", document)
	return nil
}

// openAPIDocument describes the scoring door. huma's types only describe: package schemas reads the bodies.
func openAPIDocument(m *model, extra schemas.Extra) ([]byte, error) {
	examples, err := newExamples(m, extra)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI examples: %w", err)
	}
	components := huma.NewMapRegistry(componentPrefix, func(_ reflect.Type, hint string) string { return hint })
	maps.Copy(components.Map(), componentSchemas(m.scorer.Contract(), extra))
	maps.Copy(components.Map(), inferenceSchemas(m.scorer.Contract(), extra))
	d := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: apiTitle, Version: apiVersion, Description: apiDescription,
			License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"},
		},
		Servers:    []*huma.Server{{URL: "/"}},
		Tags:       []*huma.Tag{{Name: "scoring", Description: "Decisions"}, {Name: "health", Description: "Probes"}, inferenceTag()},
		Components: &huma.Components{Schemas: components},
		// Which of them a door asks for is its operator's choice.
		Security: []map[string][]string{{}, {bearerScheme: {}}, {mutualScheme: {}}},
	}
	d.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearerScheme: {Type: "http", Scheme: "bearer", Description: "Where HTTP_AUTH is bearer: a token that the operator has handed out."},
		mutualScheme: {Type: "mutualTLS", Description: "Where HTTP_AUTH is mtls: a client certificate whose name the operator has listed."},
	}
	d.Paths = map[string]*huma.PathItem{
		"/score":               {Post: scoreOperation(examples)},
		"/score/batch":         {Post: batchOperation(examples)},
		"/health/live":         {Get: healthOperation("live", "The process answers")},
		"/health/ready":        {Get: healthOperation("ready", "A model is loaded and orders can be scored")},
		"/health/ready/stream": {Get: healthOperation("streamReady", "The Kafka stream is joined and nothing is paused")},
	}
	maps.Copy(d.Paths, inferencePaths(examples))
	compact, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func scoreOperation(x *examples) *huma.Operation {
	return &huma.Operation{
		OperationID: "score",
		Summary:     "Score one order",
		Description: "Answers within the deadline or not at all. An order event's JSON is a valid body as it stands.",
		Tags:        []string{"scoring"},
		Parameters: []*huma.Param{{
			Name: "explain", In: "query",
			Description: "`full` adds the margin, the base value and every feature's contribution; any other value is ignored.",
			Schema:      &huma.Schema{Type: huma.TypeString},
		}, timeoutParam()},
		RequestBody: jsonBody("Order", fmt.Sprintf("One order, at most %d bytes.", maxOrderBytes), x.order),
		Responses: withProblems(x, "/score", &huma.Response{
			Description: "The decision.",
			Content: map[string]*huma.MediaType{"application/json": {
				Schema: reference("Decision"),
				Examples: map[string]*huma.Example{
					"short": {Summary: "As it is", Value: x.decision},
					"full":  {Summary: "With ?explain=full", Value: x.explained},
				},
			}},
		}),
	}
}

func batchOperation(x *examples) *huma.Operation {
	return &huma.Operation{
		OperationID: "scoreBatch",
		Summary:     fmt.Sprintf("Score 1 to %d orders", schemas.MaxBatch),
		Description: "Each order is answered by itself, in order: with its decision, or with the problem that POST /score would have answered.",
		Tags:        []string{"scoring"},
		Parameters:  []*huma.Param{timeoutParam()},
		RequestBody: jsonBody("Batch", fmt.Sprintf("The orders, at most %d bytes.", maxBatchBytes), []any{x.order, x.badOrder}),
		Responses: withProblems(x, "/score/batch", &huma.Response{
			Description: "A decision or a problem for each order.",
			Content: map[string]*huma.MediaType{"application/json": {
				Schema:  reference("BatchAnswer"),
				Example: []any{x.decision, x.item()},
			}},
		}),
	}
}

func healthOperation(id, summary string) *huma.Operation {
	answer := func(description string, example health) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
			"application/json": {Schema: reference("Health"), Example: example},
		}}
	}
	responses := map[string]*huma.Response{"200": answer("Yes.", health{Status: "ok", Reasons: []string{}})}
	if id == "streamReady" { // no probe, so it may ask who calls
		for _, k := range []kind{unauthorized, forbidden} {
			code, title := k.status()
			responses[strconv.Itoa(code)] = &huma.Response{Description: title + ".", Content: map[string]*huma.MediaType{
				"application/problem+json": {Schema: reference("Problem"), Example: new(examples).problem(k, "/health/ready/stream")},
			}}
		}
		responses["401"].Headers = challengeHeader()
	}
	if id != "live" {
		no := answer("No, with the reasons.", health{Status: "unavailable", Reasons: []string{"no model is loaded"}})
		no.Headers = retryHeader()
		responses["503"] = no
	}
	return &huma.Operation{OperationID: id, Summary: summary, Tags: []string{"health"}, Responses: responses}
}

func jsonBody(schema, description string, example any) *huma.RequestBody {
	return &huma.RequestBody{
		Required: true, Description: description,
		Content: map[string]*huma.MediaType{"application/json": {Schema: reference(schema), Example: example}},
	}
}

// withProblems adds to a 200 every refusal of a scoring route.
func withProblems(x *examples, path string, ok *huma.Response) map[string]*huma.Response {
	responses := map[string]*huma.Response{"200": ok}
	for _, k := range []kind{
		syntax, unauthorized, forbidden, invalidOrder, methodNotAllowed, slowRequest, tooLarge, mediaType, contentEncoding, internal, notReady, unlogged, deadline,
		badHeader, rateLimited, overloaded,
	} {
		status, title := k.status()
		code := strconv.Itoa(status)
		if responses[code] == nil {
			responses[code] = &huma.Response{Description: title + ".", Content: map[string]*huma.MediaType{
				problemType(path): {Schema: reference("Problem"), Examples: map[string]*huma.Example{}},
			}}
		}
		media := responses[code].Content[problemType(path)]
		media.Examples[string(k)] = &huma.Example{Summary: title, Value: x.problem(k, path)}
		switch k {
		case notReady, rateLimited:
			responses[code].Headers = retryHeader()
		case unauthorized:
			responses[code].Headers = challengeHeader()
		case methodNotAllowed:
			responses[code].Headers = map[string]*huma.Param{
				"Allow": {Description: "The methods that the path answers.", Schema: &huma.Schema{Type: huma.TypeString}},
			}
		default:
		}
	}
	return responses
}

func challengeHeader() map[string]*huma.Param {
	return map[string]*huma.Param{
		"WWW-Authenticate": {Description: "What the door asks for.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

func timeoutParam() *huma.Param {
	most := maxTimeoutText
	return &huma.Param{
		Name: timeoutHeader, In: "header",
		Description: "How long the caller waits, in seconds from the header's arrival. The server's own limit holds where it is less.",
		Schema:      &huma.Schema{Type: huma.TypeString, Pattern: `^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.0*[1-9][0-9]*)$`, MaxLength: &most},
	}
}

func retryHeader() map[string]*huma.Param {
	return map[string]*huma.Param{
		"Retry-After": {Description: "Seconds to wait before the next try.", Schema: &huma.Schema{Type: huma.TypeInteger}},
	}
}
