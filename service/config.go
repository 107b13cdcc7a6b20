package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/server"
	"github.com/trendbuy/riskscorer/stream"
)

// The roles of a process.
const (
	RoleBoth   = "both"
	RoleStream = "stream"
	RoleServe  = "serve"
)

// The formats of results on Kafka.
const (
	FormatAvro = "avro"
	FormatJSON = "json"
)

// The engines: package forest, and package leaves, which scores but does not explain.
const (
	EngineForest = "forest"
	EngineLeaves = "leaves"
)

// Config is every setting of the service, read from the environment. Each part belongs to the package that it configures.
type Config struct {
	Role            string        `env:"ROLE, default=both" help:"both, stream (Kafka only) or serve (HTTP only)"`
	ModelPath       string        `env:"MODEL_PATH, default=/models/trendbuy_xgb_v1.0.0" help:"bundle directory or tar"`
	ModelVersion    string        `env:"MODEL_VERSION" help:"if set, must equal the bundle's version"`
	ModelPoll       time.Duration `env:"MODEL_POLL, default=30s" help:"how often MODEL_PATH is looked at, beside watching it, for a new bundle to load; 0 is never"`
	ModelPublicKeys []string      `env:"MODEL_PUBLIC_KEYS" help:"minisign public keys, comma-separated, one of which must have signed the bundle"`
	ModelMemory     int64         `env:"MODEL_MEMORY_LIMIT, default=2147483648" help:"bytes that loading the model may take, its file included; a larger model is refused before it is loaded; while a new model is loaded it covers the one that serves too"`
	Engine          string        `env:"SCORING_ENGINE, default=forest" help:"the engine that scores: forest, or leaves, whose decisions have the model's global reasons (GLOBAL)"`
	ExtraFeatures   schemas.Extra `env:"EXTRA_FEATURES, default=refuse" help:"refuse or ignore features of a JSON order that the model does not know"`
	ResultsFormat   string        `env:"RESULTS_FORMAT" help:"avro or json; by default avro where a schema registry or pins are set, else json"`
	LogLevel        slog.Level    `env:"LOG_LEVEL, default=info" help:"debug, info, warn or error"`

	// Cores is how many cores compute at once, and no setting: 0 is GOMAXPROCS. A program that leaves the scheduler one
	// thread more, as riskscorer does, says so here.
	Cores int
	// SoftLimit, no setting either, is told how many bytes the process should take at most, whenever that changes; nil for
	// nobody. Garbage is then collected in time for docs/memory.md to hold.
	SoftLimit func(bytes int64)

	Server   server.Config
	Broker   broker.Config
	Consumer consumer.Config
	Producer producer.Config
	Stream   stream.Config
	Registry registry.Config
	Tracing  TracingConfig
}

// ErrConfig marks an error of the settings; its text names the variable.
var ErrConfig = errors.New("configuration")

// Load reads and checks the settings. An error wraps ErrConfig and names the variable.
func Load(ctx context.Context, lookup envconfig.Lookuper) (Config, error) {
	var c Config
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: &c, Lookuper: lookup}); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, nameVariable(ctx, err, lookup))
	}
	if c.ResultsFormat == "" {
		c.ResultsFormat = FormatJSON
		if c.Registry.Configured() {
			c.ResultsFormat = FormatAvro
		}
	}
	if err := c.validate(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}

func (c *Config) validate() error {
	var errs []error
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			errs = append(errs, fmt.Errorf("%s is %q, want one of %q", name, value, allowed))
		}
	}
	oneOf("ROLE", c.Role, RoleBoth, RoleStream, RoleServe)
	oneOf("SCORING_ENGINE", c.Engine, EngineForest, EngineLeaves)
	oneOf("RESULTS_FORMAT", c.ResultsFormat, FormatAvro, FormatJSON)
	if c.ModelMemory < 1<<20 {
		errs = append(errs, fmt.Errorf("MODEL_MEMORY_LIMIT is %d, want bytes, at least 1048576", c.ModelMemory))
	}
	errs = append(errs, c.Server.Validate(), c.Tracing.Validate())
	if c.ModelPoll < 0 {
		errs = append(errs, fmt.Errorf("MODEL_POLL: %v is negative", c.ModelPoll))
	}
	if c.ResultsFormat == FormatAvro && c.Role != RoleServe && !c.Registry.Configured() {
		errs = append(errs, errors.New("RESULTS_FORMAT is avro, which needs SCHEMA_REGISTRY_URL or SCHEMA_PINS"))
	}
	if c.Role != RoleServe {
		errs = append(errs, c.Broker.Validate(), c.Consumer.Validate(), c.Producer.Validate(), c.Stream.Validate())
		if limit := c.Consumer.HandleTimeout; limit > 0 && limit < 2*c.Producer.StallAfter {
			errs = append(errs, fmt.Errorf("HANDLE_TIMEOUT: %v is below twice PRODUCE_STALL_AFTER, %v: a publish that is tried again would count as hung", limit, c.Producer.StallAfter))
		}
	}
	return errors.Join(errs...)
}
