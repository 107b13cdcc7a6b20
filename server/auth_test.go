package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

// newToken returns a token and its line for the file.
func newToken(tb testing.TB, name string) (token, line string) {
	tb.Helper()
	token, line, err := server.NewToken(name)
	if err != nil {
		tb.Fatal(err)
	}
	return token, line + "\n"
}

func bearer(token string) http.Header {
	h := jsonHeader()
	h.Set("Authorization", "Bearer "+token)
	return h
}

func tokensFile(lines ...string) map[string][]byte {
	return map[string][]byte{"tokens": []byte(strings.Join(lines, ""))}
}

// withTokens has the scoring door ask for a token of the store.
func withTokens(s *store) func(*server.Config, *server.Parts) {
	return func(c *server.Config, _ *server.Parts) {
		c.HTTP.Auth, c.HTTP.TokensFile = server.AuthBearer, s.path("tokens")
	}
}

// problemKind fails the test unless the answer is a problem of the kind with the status, by the open door's document.
func problemKind(tb testing.TB, d *document, a answer, status int, kind string) {
	tb.Helper()
	if err := d.checkProblem(a); err != nil || a.status != status || !strings.Contains(a.body, "#"+kind+`"`) {
		tb.Errorf("%d %s (%v), want %d and a problem %s", a.status, a.body, err, status, kind)
	}
}

func TestBearerTokens(t *testing.T) {
	token, line := newToken(t, "checkout")
	other, second := newToken(t, "checkout")
	stranger, _ := newToken(t, "stranger")
	r := start(t, withTokens(newStore(t, tokensFile("# callers\n", line, "\n", second))))
	open := start(t)
	for _, shown := range []string{"Bearer " + token, "bearer " + token, "BEARER " + other} {
		h := jsonHeader()
		h.Set("Authorization", shown)
		if a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", h, strings.NewReader(example)); a.status != http.StatusOK {
			t.Errorf("a token that holds: %d %s", a.status, a.body)
		}
	}
	for _, c := range []struct {
		name, challenge, class string
		shown                  []string
	}{
		{"nothing", `Bearer realm="riskscorer"`, "nobody", nil},
		{"a token that nobody has", `error="invalid_token"`, "unknown", []string{"Bearer " + stranger}},
		{"a token with a letter less", `error="invalid_token"`, "unknown", []string{"Bearer " + token[:42]}},
		{"the digest for the token", `error="invalid_token"`, "unknown", []string{"Bearer " + line[len("checkout:"):len(line)-1]}},
		{"the line for the token", `error="invalid_token"`, "unknown", []string{"Bearer " + strings.TrimSpace(line)}},
		{"no scheme", `error="invalid_request"`, "broken", []string{token}},
		{"another scheme", `error="invalid_request"`, "broken", []string{"Basic " + token}},
		{"an empty token", `error="invalid_request"`, "broken", []string{"Bearer "}},
		{"an empty header", `error="invalid_request"`, "broken", []string{""}},
		{"two headers", `error="invalid_request"`, "broken", []string{"Bearer " + token, "Bearer " + token}},
		{"a long token", `error="invalid_request"`, "broken", []string{"Bearer " + strings.Repeat("x", 8000)}},
	} {
		h := jsonHeader()
		h["Authorization"] = c.shown
		before := r.metric(t, "riskscorer_http_refused_callers_total", "door=scoring", "class="+c.class)
		a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", h, strings.NewReader(example))
		problemKind(t, open.document, a, http.StatusUnauthorized, "unauthorized")
		if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, c.challenge) {
			t.Errorf("%s: WWW-Authenticate %q, want %s in it", c.name, got, c.challenge)
		}
		if after := r.metric(t, "riskscorer_http_refused_callers_total", "door=scoring", "class="+c.class); after != before+1 {
			t.Errorf("%s: class %s counted %v times, want once", c.name, c.class, after-before)
		}
	}
	// A token in the address would stand in logs on the way.
	if a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score?access_token="+token, jsonHeader(), strings.NewReader(example)); a.status != http.StatusUnauthorized {
		t.Errorf("a token in the query: %d, want 401", a.status)
	}
}

// TestEveryRouteAsksButProbes: what is served is asked for, whatever it is.
func TestEveryRouteAsksButProbes(t *testing.T) {
	token, line := newToken(t, "checkout")
	s := newStore(t, tokensFile(line))
	r := start(t, withTokens(s), func(c *server.Config, _ *server.Parts) {
		c.Admin.Auth, c.Admin.TokensFile = server.AuthBearer, s.path("tokens")
		c.Metrics = c.Admin
	})
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	a := r.send(t, http.MethodGet, "http://"+r.Scoring+"/openapi.json", bearer(token), http.NoBody)
	if err := json.Unmarshal([]byte(a.body), &document); err != nil || len(document.Paths) < 5 {
		t.Fatalf("%d paths, %v", len(document.Paths), err)
	}
	paths := map[string][]string{
		r.Scoring: {"/", "/docs", "/docs/", "/docs/swagger-ui.css", "/openapi.json", "/health/ready/stream"},
		r.Admin:   {"/version", "/bundle", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/health/ready/stream"},
		r.Metrics: {"/metrics", "/health/ready/stream"},
	}
	for path := range document.Paths {
		paths[r.Scoring] = append(paths[r.Scoring], path)
	}
	for door, list := range paths {
		for _, path := range list {
			method, want := http.MethodGet, http.StatusUnauthorized
			if strings.HasPrefix(path, "/score") || strings.HasSuffix(path, "/infer") {
				method = http.MethodPost
			}
			if strings.HasSuffix(path, "/health/live") || strings.HasSuffix(path, "/health/ready") {
				want = http.StatusOK
			}
			if a := r.send(t, method, "http://"+door+path, nil, http.NoBody); a.status != want {
				t.Errorf("%s %s without a token: %d, want %d", method, path, a.status, want)
			}
			if a := r.send(t, method, "http://"+door+path, bearer(token), http.NoBody); a.status == http.StatusUnauthorized {
				t.Errorf("%s %s with a token: %d", method, path, a.status)
			}
		}
		for _, path := range []string{"/health/live", "/health/ready"} {
			if a := r.send(t, http.MethodGet, "http://"+door+path, nil, http.NoBody); a.status != http.StatusOK {
				t.Errorf("%s: %d, want 200 for a probe", path, a.status)
			}
		}
	}
}

func TestAdminDoorHasItsOwnIdentity(t *testing.T) {
	checkout, line := newToken(t, "checkout")
	operator, own := newToken(t, "operator")
	s, admin := newStore(t, tokensFile(line)), newStore(t, tokensFile(own))
	r := start(t, withTokens(s), func(c *server.Config, _ *server.Parts) {
		c.Admin.Auth, c.Admin.TokensFile = server.AuthBearer, admin.path("tokens")
	})
	for token, want := range map[string]int{checkout: http.StatusUnauthorized, operator: http.StatusOK} {
		if a := r.send(t, http.MethodGet, "http://"+r.Admin+"/debug/pprof/cmdline", bearer(token), http.NoBody); a.status != want {
			t.Errorf("pprof: %d, want %d", a.status, want)
		}
	}
	if a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", bearer(operator), strings.NewReader(example)); a.status != http.StatusUnauthorized {
		t.Errorf("the operator's token scores: %d", a.status)
	}
}

// TestSecretsAreNotLogged runs the doors with secrets, sound and broken, and looks for them in log and answers.
func TestSecretsAreNotLogged(t *testing.T) {
	a := newAuthority(t)
	p := a.issue(t, nil)
	token, line := newToken(t, "checkout")
	stranger, _ := newToken(t, "stranger")
	s := newStore(t, map[string][]byte{"tls.crt": p.certificate, "tls.key": p.key, "tokens": []byte(line)})
	r := start(t, encrypted(s), withTokens(s))
	client := a.client(t, nil, false)
	var answers strings.Builder
	for _, shown := range []string{"Bearer " + token, "Bearer " + stranger, stranger, "Basic " + stranger} {
		for _, path := range []string{"/score", "/score?token=" + stranger, "/nowhere/" + stranger, "/docs/"} {
			request, err := http.NewRequest(http.MethodPost, "https://"+r.Scoring+path, strings.NewReader("{"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Authorization": {shown}, "Content-Type": {"application/json"}, "Cookie": {"session=" + stranger}}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, response)
			_ = response.Body.Close()
			if !strings.Contains(path, "/nowhere/") { // a problem names the path that was asked for
				answers.WriteString(got.body)
			}
			fmt.Fprintln(&answers, got.header)
		}
	}
	s.put(t, map[string][]byte{"tls.crt": p.certificate, "tls.key": append([]byte("x"), p.key[30:]...), "tokens": []byte("checkout:" + token)})
	await(t, "both broken files", func() bool { return r.metric(t, "riskscorer_http_file_reloads_total", "outcome=refused") == 2 })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	text := r.logs.String()
	if !strings.Contains(text, "caller refused") || strings.Count(text, "stays in use") != 2 {
		t.Errorf("the log does not hold what it should:\n%s", text)
	}
	key := strings.Split(string(p.key), "\n")[1]
	for what, secret := range map[string]string{
		"a token": token, "a wrong token": stranger, "a digest": strings.TrimSpace(line[9:]), "the key": key,
	} {
		if strings.Contains(text, secret) || strings.Contains(answers.String(), secret) {
			t.Errorf("%s stands in the log or an answer:\n%s\n%s", what, text, answers.String())
		}
	}
}
