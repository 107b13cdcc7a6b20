package service

import (
	"context"
	"fmt"

	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server"
	"github.com/trendbuy/riskscorer/stream"
)

// Scorer returns the scorer that serves.
func (s *Service) Scorer() *scoring.Scorer { return s.current.Load().scorer }

// StreamModel returns what serves the stream: always the scorer that Scorer returns, with its wire formats.
func (s *Service) StreamModel() *stream.Model { return s.current.Load().stream }

// Reload loads the bundle at MODEL_PATH if it is not the one that serves, and returns what came of it, which is logged
// too. It waits for Run to do it; the error is ctx's, or that of a service that stops.
func (s *Service) Reload(ctx context.Context) (server.Reload, error) { return s.reloader.Reload(ctx) }

// Ready says whether synchronous calls can be answered. It never depends on Kafka.
func (s *Service) Ready() (bool, []string) { return true, nil }

// StreamReady says whether the stream has joined its group and no partition is paused, and if not, why.
func (s *Service) StreamReady() (bool, []string) {
	if s.consumer == nil {
		return false, []string{"this process has role serve: it reads no stream"}
	}
	status := s.consumer.Status()
	var reasons []string
	if !status.Joined {
		reasons = append(reasons, status.Reason)
	}
	for _, p := range status.Partitions {
		if p.Paused != "" {
			reasons = append(reasons, fmt.Sprintf("partition %d is paused: %s", p.Partition, p.Paused))
		}
	}
	return len(reasons) == 0, reasons
}

// StreamStatus is the consumer's view of its partitions; the zero status in role serve.
func (s *Service) StreamStatus() consumer.Status {
	if s.consumer == nil {
		return consumer.Status{}
	}
	return s.consumer.Status()
}
