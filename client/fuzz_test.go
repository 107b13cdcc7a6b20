package client_test

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/trendbuy/riskscorer/client"
)

// FuzzAnswer gives a client any answer. It takes what is a decision on its order, and says of everything else what it is.
func FuzzAnswer(f *testing.F) {
	const good = `{"order_id":"ORD_12345","risk_score":0.797,"risk_band":"HIGH","model_version":"m","top_contributors":["a"],"prediction_id":"18","explanation":"EXACT"}`
	f.Add(200, "", good)
	f.Add(200, "", `[`+good+`]`)
	f.Add(200, "", `[{"type":"t","title":"x","status":422,"detail":"d","instance":"/score/batch#/0","errors":[{"pointer":"/features","detail":"d"}]}]`)
	f.Add(422, "", `{"title":"x","status":200,"errors":[{"pointer":"/a~1b","detail":"d"}]}`)
	f.Add(503, "1", `{"title":1}`)
	f.Add(429, "Mon, 02 Jan 2006 15:04:05 GMT", "")
	f.Add(200, "", `{"order_id":"ORD_12345","risk_score":1e400}`)
	type reply struct {
		status      int
		retry, body string
	}
	var now reply // one at a time: the handler answers only while the target waits for it
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if now.retry != "" {
			w.Header().Set("Retry-After", now.retry)
		}
		w.WriteHeader(now.status)
		_, _ = w.Write([]byte(now.body))
	}))
	f.Cleanup(s.Close)
	c, err := client.New(client.Config{URL: s.URL, Attempts: 1, Breaker: never})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	f.Fuzz(func(t *testing.T, status int, retry, body string) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return // net/http's server writes no body with these
		}
		if strings.ContainsFunc(retry, unicode.IsControl) {
			return // no header, and no HTTP any more
		}
		now = reply{status, retry, body}
		d, err := c.Score(t.Context(), example())
		judge(t, status, d, err)
		items, err := c.ScoreBatch(t.Context(), []client.Order{example()})
		switch {
		case err != nil:
			judge(t, status, client.Decision{}, err)
		case len(items) != 1:
			t.Errorf("%d items for an order", len(items))
		case items[0].Problem == nil:
			judge(t, status, items[0].Decision, nil)
		case items[0].Problem.Status < 400 || items[0].Problem.Error() == "":
			t.Errorf("problem %+v", items[0].Problem)
		}
	})
}

func judge(t *testing.T, status int, d client.Decision, err error) {
	t.Helper()
	var p *client.Problem
	switch {
	case err == nil:
		band := d.RiskBand == client.Low || d.RiskBand == client.Medium || d.RiskBand == client.High
		if status != 200 || d.OrderID != "ORD_12345" || !band || d.PredictionID == "" || math.IsNaN(d.RiskScore) || d.RiskScore < 0 || d.RiskScore > 1 {
			t.Errorf("%d was taken for the decision %+v", status, d)
		}
	case errors.As(err, &p):
		if status == 200 || p.Status != status || p.RetryAfter < 0 || err.Error() == "" {
			t.Errorf("%d became the problem %+v", status, p)
		}
	case !errors.Is(err, client.ErrAnswer) || status != 200:
		t.Errorf("%d: %v", status, err)
	}
}
