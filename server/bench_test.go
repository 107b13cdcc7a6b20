package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

// BenchmarkScore is one order over one kept-alive connection, client and server in one process.
func BenchmarkScore(b *testing.B) {
	benchmark(b, "/score", example)
}

// BenchmarkScoreBatch is a batch of 100 orders.
func BenchmarkScoreBatch(b *testing.B) {
	benchmark(b, "/score/batch", "["+strings.TrimSuffix(strings.Repeat(example+",", 100), ",")+"]")
}

// BenchmarkInfer is the same 100 orders as tensors.
func BenchmarkInfer(b *testing.B) {
	benchmark(b, inferPath, exampleTensors(100).String())
}

// BenchmarkRefuse is one order that is against the contract.
func BenchmarkRefuse(b *testing.B) {
	benchmark(b, "/score", discount("35"))
}

func benchmark(b *testing.B, path, body string) {
	b.Helper()
	r := start(b, func(_ *server.Config, p *server.Parts) { p.Logger = slog.New(slog.DiscardHandler) })
	b.ReportAllocs()
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+r.Scoring+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := r.client.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
	}
}
