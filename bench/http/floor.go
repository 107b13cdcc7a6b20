package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// floorAnswer is an answer of riskscorer, as long as any.
const floorAnswer = `{"order_id":"ORD_12345","risk_score":0.9769,"risk_band":"HIGH","model_version":"trendbuy_xgb_v1.0.0",` +
	`"top_contributors":["High trend velocity","Deep discount","Prior customer return behavior"],` +
	`"prediction_id":"0123456789abcdef0123456789abcdef","explanation":"EXACT"}`

// busyPath is where the floor refuses.
const busyPath = "/busy"

// serveFloor is a child's work: the least that a Go server does for an order. It reads the body into a struct and
// answers a constant; and the least that it does to refuse one, by its header alone.
func serveFloor(ctx context.Context, args []string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /score", func(w http.ResponseWriter, r *http.Request) {
		var order struct {
			OrderID      string         `json:"order_id"`
			EventVersion int64          `json:"event_version"`
			OccurredAt   time.Time      `json:"occurred_at"`
			Features     map[string]any `json:"features"`
		}
		if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(floorAnswer))
	})
	mux.HandleFunc("POST "+busyPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}
