package service_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"github.com/trendbuy/riskscorer/service"
)

// TestTheCollectorIsToldWhatTheProcessTakes: the records' bound, the model of some 20 MiB twice, and 100 MiB; nothing where
// no bound is set or no stream runs.
func TestTheCollectorIsToldWhatTheProcessTakes(t *testing.T) {
	for name, c := range map[string]struct {
		role, limit string
		least, most int64 // MiB
	}{
		"bounded":   {service.RoleStream, "67108864", 190, 230},
		"unbounded": {service.RoleStream, "0", 0, 0},
		"no stream": {service.RoleServe, "67108864", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := service.Load(t.Context(), envconfig.MapLookuper(map[string]string{
				"ROLE": c.role, "STREAM_MEMORY_LIMIT": c.limit, "KAFKA_BROKERS": "127.0.0.1:1", "MODEL_PATH": demo,
				"HTTP_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "METRICS_ADDR": "127.0.0.1:0",
			}))
			if err != nil {
				t.Fatal(err)
			}
			told := int64(0)
			config.SoftLimit = func(bytes int64) { told = bytes }
			s, err := service.New(t.Context(), config, "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
			if mib := told >> 20; mib < c.least || mib > c.most {
				t.Errorf("%d MiB, want %d to %d", mib, c.least, c.most)
			}
		})
	}
}
