package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
	"github.com/trendbuy/riskscorer/stream"
)

// model is an opened bundle with all that serves from it. It does not change; one pointer to it serves both doors.
type model struct {
	scorer *scoring.Scorer
	stream *stream.Model // nil in role serve
	parity any           // how closely the engine met the golden rows
	rows   int           // golden rows
	memory int64         // bytes, of the forest
}

// models opens bundles: everything that one model leaves to the next.
type models struct {
	config    Config
	log       *slog.Logger
	scoring   *scoring.Metrics
	held      prometheus.Gauge
	source    *registry.Source // nil where neither a schema registry nor pins are set
	resultsID onceValue[int]
}

// newModels reads the pins and connects to nothing.
func newModels(c Config, log *slog.Logger, reg prometheus.Registerer) (*models, error) {
	m := &models{config: c, log: log, scoring: scoring.NewMetrics(reg), held: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "riskscorer_models_in_memory", Help: "Models in memory: the one that serves, and one that a batch still holds or that is being judged.",
	})}
	reg.MustRegister(m.held)
	if c.Role == RoleServe {
		return m, nil
	}
	var err error
	if m.source, err = registry.New(c.Registry); err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	return m, nil
}

// open opens the bundle at MODEL_PATH beside the model that serves, nil for none. A *bundle.CheckError is a bundle that
// may not serve, bundle.ErrKnown is the one that serves.
func (m *models) open(ctx context.Context, serving *model) (*model, error) {
	b, err := openBundle(ctx, m.config, serving, m.log)
	if err != nil {
		return nil, err
	}
	engine, parity, err := openEngine(m.config.Engine, b)
	if err != nil {
		return nil, err
	}
	opened := &model{
		scorer: scoring.New(b, engine, m.scoring), parity: parity, rows: b.Parity.Rows, memory: b.Forest.Memory().Kept(),
	}
	m.held.Inc()
	runtime.AddCleanup(opened.scorer, prometheus.Gauge.Dec, m.held)
	if m.config.Role != RoleServe {
		opened.stream = m.streamModel(opened.scorer)
	}
	return opened, nil
}

// streamModel makes the wire formats of the stream for a scorer.
func (m *models) streamModel(scorer *scoring.Scorer) *stream.Model {
	var source schemas.SchemaSource // nil where there is none
	if m.source != nil {
		source = m.source
	}
	return &stream.Model{
		Scorer:  scorer,
		Decoder: schemas.NewDecoder(scorer.Contract(), source, m.config.ExtraFeatures, m.log),
		Results: m.results(schemas.Model{
			Version: scorer.Manifest().Version, Digest: scorer.Digest().String(), Engine: scorer.EngineID(),
		}),
	}
}

// results returns the encoder of a model's results, whose schema id is looked up when it is first needed.
func (m *models) results(model schemas.Model) stream.ResultsFunc {
	if m.config.ResultsFormat == FormatJSON {
		encoder := schemas.NewJSONResults(model)
		return func(context.Context) (*schemas.Results, error) { return encoder, nil }
	}
	var encoder onceValue[*schemas.Results]
	return func(ctx context.Context) (*schemas.Results, error) {
		return encoder.get(func() (*schemas.Results, error) {
			id, err := m.resultsID.get(func() (int, error) {
				return m.source.Lookup(ctx, m.config.Stream.ResultsTopic+"-value", schemas.RiskResultSchema)
			})
			if err != nil {
				return nil, err
			}
			return schemas.NewAvroResults(id, model)
		})
	}
}

// openBundle opens the bundle, and says how far it is if that takes more than a second.
func openBundle(ctx context.Context, c Config, serving *model, log *slog.Logger) (*bundle.Bundle, error) {
	o := bundle.Options{PublicKeys: c.ModelPublicKeys, Model: forest.Options{
		MaxMemory: c.ModelMemory,
		Progress: forest.NewProgress(func(part float64) error {
			log.Info("preparing the model", "percent", int(100*part))
			return context.Cause(ctx)
		}),
	}}
	beside := ""
	if serving != nil {
		known := serving.scorer.Digest()
		o.Known, o.Model.Held = &known, serving.memory
		beside = fmt.Sprintf(", which covers the %.1f MiB of the model that serves too", float64(serving.memory)/(1<<20))
	}
	b, err := bundle.Open(c.ModelPath, o)
	if _, large := errors.AsType[*forest.MemoryError](err); large {
		return nil, fmt.Errorf("MODEL_PATH %s: %w; MODEL_MEMORY_LIMIT sets the limit%s", c.ModelPath, err, beside)
	}
	if err != nil {
		return nil, fmt.Errorf("MODEL_PATH %s: %w", c.ModelPath, err)
	}
	if v := b.Manifest.Version; c.ModelVersion != "" && c.ModelVersion != v {
		return nil, fmt.Errorf("MODEL_PATH %s: %w", c.ModelPath, &bundle.CheckError{
			Check: bundle.CheckManifest, Err: fmt.Errorf("version is %q, MODEL_VERSION demands %q", v, c.ModelVersion),
		})
	}
	return b, nil
}

// openEngine returns the engine that scores the bundle's model, and how closely it met the golden rows.
func openEngine(name string, b *bundle.Bundle) (scoring.Engine, any, error) {
	if name == EngineForest {
		return b.Forest, b.Parity, nil
	}
	engine, err := leaves.New(b.Forest)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: SCORING_ENGINE is leaves, which cannot score this model: %w", ErrConfig, err)
	}
	judgement, err := b.Judge(engine)
	if err != nil {
		return nil, nil, &bundle.CheckError{Check: bundle.CheckGolden, Err: fmt.Errorf("engine %s: %w", engine.ID(), err)}
	}
	return engine, judgement, nil
}
