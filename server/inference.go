package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/server/admission"
	"github.com/trendbuy/riskscorer/server/oip"
)

// inferenceHeader is the length of the JSON before tensors in bytes, in requests and answers.
const inferenceHeader = "Inference-Header-Content-Length"

const octets = "application/octet-stream"

// inferencePrefix is where the Open Inference Protocol lives; its problems have the member error, too.
const inferencePrefix = "/v2"

func inference(path string) bool {
	return path == inferencePrefix || strings.HasPrefix(path, inferencePrefix+"/")
}

// problemType is the Content-Type of problems. Clients of the Open Inference Protocol read an error from plain JSON alone.
func problemType(path string) string {
	if inference(path) {
		return "application/json"
	}
	return "application/problem+json"
}

// inferenceRoutes answer the Open Inference Protocol v2.
func (s *Server) inferenceRoutes() []route {
	const model = inferencePrefix + "/models/{name}"
	routes := []route{
		{inferencePrefix, reading(), s.inferenceServer},
		{inferencePrefix + "/health/live", reading(), s.inferenceLive},
		{inferencePrefix + "/health/ready", reading(), s.inferenceReady},
	}
	for _, path := range []string{model, model + "/versions/{version}"} {
		routes = append(routes,
			route{path, reading(), s.inferenceModel},
			route{path + "/ready", reading(), s.inferenceModelReady},
			route{path + "/infer", posting(), s.infer},
		)
	}
	return routes
}

func writeInference(w http.ResponseWriter, code int, v any) error {
	body, err := oip.Encode(v)
	if err != nil {
		return err
	}
	writeJSON(w, code, "application/json", body)
	return nil
}

func (s *Server) inferenceServer(w http.ResponseWriter, _ *http.Request) error {
	return writeInference(w, http.StatusOK, oip.NewServer(s.parts.Version))
}

func (s *Server) inferenceLive(w http.ResponseWriter, _ *http.Request) error {
	return writeInference(w, http.StatusOK, oip.Live{Live: true})
}

func (s *Server) inferenceReady(w http.ResponseWriter, _ *http.Request) error {
	return s.writeReady(w, oip.Ready{})
}

func (s *Server) writeReady(w http.ResponseWriter, answer oip.Ready) error {
	code := http.StatusOK
	if answer.Ready, answer.Reasons = s.ready(); !answer.Ready {
		w.Header().Set("Retry-After", retryAfter)
		code = http.StatusServiceUnavailable
	}
	return writeInference(w, code, answer)
}

func (s *Server) inferenceModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.namedModel(r)
	if err != nil {
		return err
	}
	return writeInference(w, http.StatusOK, oip.NewModel(m.scorer))
}

func (s *Server) inferenceModelReady(w http.ResponseWriter, r *http.Request) error {
	m, err := s.namedModel(r)
	if err != nil {
		return err
	}
	return s.writeReady(w, oip.Ready{Name: m.scorer.Manifest().Name})
}

// namedModel returns the current model if it is the one that the path names.
func (s *Server) namedModel(r *http.Request) (*model, error) {
	m, err := s.model()
	if err != nil {
		return nil, err
	}
	manifest, version := m.scorer.Manifest(), r.PathValue("version")
	if r.PathValue("name") != manifest.Name || version != "" && version != manifest.Version {
		return nil, &refusal{notFound, "the model here is " + manifest.Name + ", version " + manifest.Version}
	}
	return m, nil
}

// infer answers an inference request: orders by column, answered whole or not at all, since a tensor has no place for a
// problem.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) error {
	r, err := takeTensors(w, r)
	if err != nil {
		return err
	}
	c, err := s.arrive(w, r, admission.Batch, false)
	if err != nil {
		return err
	}
	defer c.end()
	m, err := s.namedModel(r)
	if err != nil {
		return err
	}
	body, err := c.receive(maxBatchBytes)
	if err != nil {
		return err
	}
	text, tail, err := splitTensors(r.Header, body)
	if err != nil {
		return err
	}
	request, err := schemas.ParseInference(text, tail, m.scorer.Contract(), s.parts.Extra)
	if err != nil {
		return err
	}
	if err := oip.Check(m.scorer, request); err != nil {
		return err
	}
	notes(w).orders = len(request.Orders)
	decisions, err := c.decide(m, request.Orders)
	if err != nil {
		return err
	}
	text, tail, err = oip.Answer(m.scorer, request, decisions)
	if err != nil {
		return err
	}
	if tail == nil {
		return c.answer(text)
	}
	w.Header().Set(inferenceHeader, strconv.Itoa(len(text)))
	return c.answerAs(octets, append(text, tail...))
}

// takeTensors returns the request with a Content-Type that readBody takes. With the header that says where its JSON ends a
// body need not be JSON, and Triton's client sends no Content-Type at all.
func takeTensors(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	kinds := r.Header.Values("Content-Type")
	inBytes := len(r.Header.Values(inferenceHeader)) > 0 && slices.Equal(kinds, []string{octets})
	switch {
	case isJSON(kinds):
		return r, nil
	case len(kinds) > 0 && !inBytes:
		w.Header().Set("Accept", "application/json, "+octets)
		return nil, &refusal{mediaType, "Content-Type must be application/json, or " + octets + " with " + inferenceHeader}
	}
	r = r.Clone(r.Context())
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// splitTensors returns a body's JSON, and the tensors behind it in bytes.
func splitTensors(h http.Header, body []byte) (text, tail []byte, err error) {
	lengths := h.Values(inferenceHeader)
	if len(lengths) == 0 {
		return body, nil, nil
	}
	n, err := strconv.ParseUint(lengths[0], 10, 31)
	if err != nil || len(lengths) > 1 || n > uint64(len(body)) {
		return nil, nil, &refusal{syntax, inferenceHeader + " must be the length of the JSON at the body's begin, once"}
	}
	return body[:n:n], body[n:], nil
}
