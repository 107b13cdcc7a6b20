package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

// TestTokensReloadUnderLoad changes the file 24 times while a token that stays in it scores, and one that leaves does not.
func TestTokensReloadUnderLoad(t *testing.T) {
	t.Parallel()
	token, line := newToken(t, "checkout")
	guest, guestLine := newToken(t, "guest")
	s := newStore(t, tokensFile(line))
	r := start(t, withTokens(s))
	kept, fresh := &http.Transport{}, &http.Transport{DisableKeepAlives: true}
	t.Cleanup(kept.CloseIdleConnections)
	l := drive("http://"+r.Scoring, bearer(token), &http.Client{Transport: kept}, &http.Client{Transport: fresh})
	comes := func() bool {
		return r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", bearer(guest), strings.NewReader(example)).status == http.StatusOK
	}
	for i := range 24 {
		if i%2 == 0 {
			s.put(t, tokensFile(guestLine, line))
			await(t, "a new token", comes)
		} else {
			s.put(t, tokensFile(line))
			await(t, "a token that was taken back", func() bool { return !comes() })
		}
	}
	l.end(t, "24 token files")
	for _, broken := range []string{"", "# nobody\n", "checkout:" + token + "\n"} {
		s.put(t, tokensFile(broken))
		before := r.metric(t, "riskscorer_http_file_reloads_total", "what=tokens", "outcome=refused")
		await(t, "a broken file", func() bool {
			return r.metric(t, "riskscorer_http_file_reloads_total", "what=tokens", "outcome=refused") > before
		})
		if a := r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", bearer(token), strings.NewReader(example)); a.status != http.StatusOK {
			t.Errorf("under a broken file: %d, want the tokens of before", a.status)
		}
	}
	if text := r.logs.String(); strings.Contains(text, token) || !strings.Contains(text, "what was before stays in use") {
		t.Errorf("the log:\n%s", text)
	}
}

func TestTokensFileIsStrictAndBounded(t *testing.T) {
	token, line := newToken(t, "checkout")
	for text, want := range map[string]string{
		"":                                  "no token",
		"checkout":                          "line 1",
		":" + line[9:]:                      "line 1",
		"check out" + line[8:]:              "line 1",
		"check\x1bout" + line[8:]:           "line 1",
		strings.Repeat("x", 200) + line[8:]: "line 1",
		line + "checkout:" + token:          "line 2: the digest is not the 64",
		line + line[:9] + strings.Repeat("g", 64): "line 2: the digest is not hexadecimal",
		line + "other" + line[8:]:                 "line 2: the digest stands in an earlier line",
		many(t, 513):                              "line 513: more than 512 tokens",
		strings.Repeat("#\n", 1<<18):              "over 262144 bytes",
	} {
		s := newStore(t, tokensFile(text))
		_, err := newServer(func(c *server.Config) { c.HTTP.Auth, c.HTTP.TokensFile = server.AuthBearer, s.path("tokens") })
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token) {
			t.Errorf("%.60q: %v, want %q and no token", text, err, want)
		}
	}
}

func many(tb testing.TB, n int) string {
	tb.Helper()
	var b strings.Builder
	for i := range n {
		_, line := newToken(tb, fmt.Sprint("client-", i))
		b.WriteString(line)
	}
	return b.String()
}
