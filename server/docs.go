package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const apiTitle = "TrendBuy Regret Risk Scoring API"

// docsRoutes are the pages for people: Swagger UI, its assets embedded. Links are relative, so that they hold behind
// a gateway that adds a prefix.
func docsRoutes() ([]route, error) {
	ui := v5emb.NewHandlerWithConfig(swgui.Config{
		Title:            apiTitle,
		SwaggerJSON:      "../openapi.json",
		BasePath:         ".",
		InternalBasePath: "/docs/",
	})
	rendered, err := render(ui, "/docs/")
	if err != nil {
		return nil, err
	}
	page := rendered.Bytes()
	policy, err := contentPolicy(page)
	if err != nil {
		return nil, err
	}
	routes := []route{
		{"/{$}", reading(), redirect("docs/")},
		{"/docs", reading(), redirect("docs/")},
		{"/docs/{$}", reading(), func(w http.ResponseWriter, _ *http.Request) error {
			h := w.Header()
			h.Set("Content-Security-Policy", policy)
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(page) // the client has gone: nothing is left to tell it
			return nil
		}},
	}
	for _, asset := range []string{
		"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png",
	} {
		route, err := assetRoute(ui, "/docs/"+asset)
		if err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	return routes, nil
}

// assetRoute serves an asset as it was embedded, compressed, to who takes that. To unpack it for each of the others
// would cost milliseconds of a core for each request: for them it is unpacked once, here.
func assetRoute(ui http.Handler, pattern string) (route, error) {
	unpacked, err := render(ui, pattern)
	if err != nil {
		return route{}, err
	}
	return route{pattern, reading(), func(w http.ResponseWriter, r *http.Request) error {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			ui.ServeHTTP(w, r)
			return nil
		}
		h := w.Header()
		h.Set("Content-Type", unpacked.header.Get("Content-Type"))
		h.Set("Vary", "Accept-Encoding")
		_, _ = w.Write(unpacked.Bytes()) // the client has gone: nothing is left to tell it
		return nil
	}}, nil
}

func redirect(to string) handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Location", to) // http.Redirect would make it absolute
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
}

// contentPolicy lets the page run what was embedded and nothing else: its inline scripts by their digests. Swagger UI
// sets style attributes, so inline styles stay allowed.
func contentPolicy(page []byte) (string, error) {
	var policy strings.Builder
	policy.WriteString("default-src 'none'; object-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'")
	rest, found := page, 0
	for {
		_, after, ok := bytes.Cut(rest, []byte("<script>"))
		if !ok {
			break
		}
		script, tail, ok := bytes.Cut(after, []byte("</script>"))
		if !ok {
			return "", errors.New("docs page: a script does not end")
		}
		sum := sha256.Sum256(script)
		policy.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
		rest, found = tail, found+1
	}
	if found == 0 {
		return "", errors.New("docs page: no script found, so its policy would stop it from working")
	}
	return policy.String(), nil
}

// render runs the handler once and returns its answer, which is the same for every request.
func render(h http.Handler, path string) (*page, error) {
	request, err := http.NewRequest(http.MethodGet, path, http.NoBody) //nolint:noctx // answered in place
	if err != nil {
		return nil, err
	}
	p := new(page)
	h.ServeHTTP(p, request)
	if p.code >= http.StatusBadRequest {
		return nil, errors.New("docs page: " + p.String())
	}
	return p, nil
}

// page is a response in memory.
type page struct {
	bytes.Buffer
	header http.Header
	code   int
}

// Header is what the handler sets; nothing is sent.
func (p *page) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

// WriteHeader keeps the status.
func (p *page) WriteHeader(code int) { p.code = code }
