package service

import (
	"fmt"

	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/scoring"
)

// Scorer returns the scorer that serves.
func (s *Service) Scorer() *scoring.Scorer { return s.scorer }

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
