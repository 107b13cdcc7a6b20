package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	leadersPoll = 100 * time.Millisecond
	leadersWait = 30 * time.Second
)

// PartitionCount returns the number of a topic's partitions, from metadata that is at most a few seconds old.
func (c *Client) PartitionCount(ctx context.Context, topic string) (int, error) {
	topics, err := c.metadata(ctx, []string{topic})
	if err != nil {
		return 0, err
	}
	if err := topics[0].Error; err != nil {
		return 0, c.fail(ctx, "describe topic "+topic, err)
	}
	if len(topics[0].Partitions) == 0 {
		return 0, c.fail(ctx, "describe topic "+topic, kafka.LeaderNotAvailable)
	}
	return len(topics[0].Partitions), nil
}

func (c *Client) metadata(ctx context.Context, names []string) ([]kafka.Topic, error) {
	const op = "ask for metadata"
	if c.closed.Load() {
		return nil, fmt.Errorf("%s: %w", op, ErrClosed)
	}
	res, err := c.kafka.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	if len(res.Topics) != len(names) {
		return nil, c.fail(ctx, op, fmt.Errorf("asked for %d topics, got %d", len(names), len(res.Topics)))
	}
	return res.Topics, nil
}

// TopicSpec is a topic as it should be. Configs are compared by their text, for example "min.insync.replicas": "2".
type TopicSpec struct {
	Name        string
	Partitions  int
	Replication int // -1 leaves it to the cluster
	Configs     map[string]string
}

// TopicReport compares a topic with its spec.
type TopicReport struct {
	Name        string
	Exists      bool
	Created     bool // by this call
	Partitions  int
	Replication int // of the partition that has the fewest replicas
	Differences []Difference
}

// Difference is one setting that is not as specified.
type Difference struct {
	Setting string // "partitions", "replication" or the name of a config
	Want    string
	Have    string
}

// CreateTopics creates what is missing and waits until the new topics' partitions have leaders. A topic that exists is
// left as it is; its report says how it differs.
func (c *Client) CreateTopics(ctx context.Context, specs []TopicSpec) ([]TopicReport, error) {
	req := kafka.CreateTopicsRequest{}
	for _, s := range specs {
		// A transport that keeps only some topics' metadata would wait for the new one in vain.
		if len(c.topics) > 0 && !slices.Contains(c.topics, s.Name) {
			return nil, fmt.Errorf("create topic %s: this client serves only %v", s.Name, c.topics)
		}
		t := kafka.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: s.Replication}
		for name, value := range s.Configs {
			t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		req.Topics = append(req.Topics, t)
	}
	if c.closed.Load() {
		return nil, fmt.Errorf("create topics: %w", ErrClosed)
	}
	res, err := c.kafka.CreateTopics(ctx, &req)
	if err != nil {
		return nil, c.fail(ctx, "create topics", err)
	}
	var created []string
	for name, err := range res.Errors {
		switch {
		case err == nil:
			created = append(created, name)
		case !errors.Is(err, kafka.TopicAlreadyExists):
			return nil, c.fail(ctx, "create topic "+name, err)
		}
	}
	if err := c.awaitLeaders(ctx, created); err != nil {
		return nil, err
	}
	reports, err := c.CheckTopics(ctx, specs)
	for i := range reports {
		reports[i].Created = slices.Contains(created, reports[i].Name)
	}
	return reports, err
}

// awaitLeaders polls until the leaders are known and answer as such: a broker confirms the creation before that.
func (c *Client) awaitLeaders(ctx context.Context, names []string) error {
	limited, cancel := context.WithTimeout(ctx, leadersWait)
	defer cancel()
	for {
		without, err := c.leaderless(limited, names)
		if err == nil && without == "" {
			return nil
		}
		select {
		case <-limited.Done():
			if err == nil {
				err = fmt.Errorf("%s still has no leader", without)
			}
			return c.fail(ctx, "wait for the new topics' leaders", err)
		case <-time.After(leadersPoll):
		}
	}
}

// leaderless names the first topic or partition without a leader at work.
func (c *Client) leaderless(ctx context.Context, names []string) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	topics, err := c.metadata(ctx, names)
	if err != nil {
		return "", err
	}
	for _, t := range topics {
		if t.Error != nil || len(t.Partitions) == 0 {
			return t.Name, nil //nolint:nilerr // that the topic is not known yet is the answer
		}
		ids := make([]int, len(t.Partitions))
		for i, p := range t.Partitions {
			if ids[i] = p.ID; p.Leader.Host == "" {
				return fmt.Sprintf("%s/%d", t.Name, p.ID), nil
			}
		}
		if _, err := c.Offsets(ctx, t.Name, ids); err != nil {
			return "", err
		}
	}
	return "", nil
}

// CheckTopics compares topics with their specs and changes nothing. A topic that is missing is a report, not an error.
func (c *Client) CheckTopics(ctx context.Context, specs []TopicSpec) ([]TopicReport, error) {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	topics, err := c.metadata(ctx, names)
	if err != nil {
		return nil, err
	}
	reports := make([]TopicReport, len(specs))
	for i, s := range specs {
		reports[i].Name = s.Name
		switch err := topics[i].Error; {
		case errors.Is(err, kafka.UnknownTopicOrPartition):
			continue
		case err != nil:
			return nil, c.fail(ctx, "describe topic "+s.Name, err)
		}
		if reports[i], err = c.checkTopic(ctx, s, topics[i]); err != nil {
			return nil, err
		}
	}
	return reports, nil
}

func (c *Client) checkTopic(ctx context.Context, s TopicSpec, t kafka.Topic) (TopicReport, error) {
	r := TopicReport{Name: s.Name, Exists: true, Partitions: len(t.Partitions)}
	for i, p := range t.Partitions {
		if i == 0 || len(p.Replicas) < r.Replication {
			r.Replication = len(p.Replicas)
		}
	}
	if r.Partitions != s.Partitions {
		r.Differences = append(r.Differences, Difference{"partitions", strconv.Itoa(s.Partitions), strconv.Itoa(r.Partitions)})
	}
	if s.Replication > 0 && r.Replication != s.Replication {
		r.Differences = append(r.Differences, Difference{"replication", strconv.Itoa(s.Replication), strconv.Itoa(r.Replication)})
	}
	have, err := c.topicConfigs(ctx, s)
	if err != nil {
		return r, err
	}
	for _, name := range sortedKeys(s.Configs) {
		if want := s.Configs[name]; have[name] != want {
			r.Differences = append(r.Differences, Difference{name, want, have[name]})
		}
	}
	return r, nil
}

func (c *Client) topicConfigs(ctx context.Context, s TopicSpec) (map[string]string, error) {
	if len(s.Configs) == 0 {
		return nil, nil
	}
	op := "describe configs of topic " + s.Name
	res, err := c.kafka.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: s.Name, ConfigNames: sortedKeys(s.Configs),
	}}})
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	out := make(map[string]string, len(s.Configs))
	for _, r := range res.Resources {
		if r.Error != nil {
			return nil, c.fail(ctx, op, r.Error)
		}
		for _, e := range r.ConfigEntries {
			out[e.ConfigName] = e.ConfigValue
		}
	}
	return out, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
