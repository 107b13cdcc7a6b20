package client_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/trendbuy/riskscorer/client"
)

// The client beside a bare http.Client that sends ready bytes and reads the answer into a struct, with nothing around it.
func BenchmarkScore(b *testing.B) {
	address := start(b).address
	b.Run("client", func(b *testing.B) {
		c, order := connect(b, address, client.Config{}), example()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Score(b.Context(), order); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		bare := &http.Client{Transport: &http.Transport{}}
		defer bare.CloseIdleConnections()
		body, err := json.Marshal(example())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			resp, err := bare.Post("http://"+address+"/score", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			var d client.Decision
			err = json.NewDecoder(resp.Body).Decode(&d)
			_ = resp.Body.Close()
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
