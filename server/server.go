// Package server provides the HTTP doors: scoring, administration and metrics, each on a listener of its own.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// What a connection may take, on every door. The time-outs bound a slow client's hold on memory; they are far above
// what an honest client needs, because SCORE_DEADLINE is the one that bounds answers.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second // header and body
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	// adminWriteTimeout leaves room for a CPU profile or a trace of a minute.
	adminWriteTimeout = 90 * time.Second
)

// Config is where the doors are and how long an answer may take.
type Config struct {
	// HTTPAddr is the scoring door's address.
	HTTPAddr string `env:"HTTP_ADDR, default=:8000" help:"address of scoring; not opened by role stream"`
	// AdminAddr is the administration door's address: on the loopback unless set otherwise, for pprof is behind it.
	AdminAddr string `env:"ADMIN_ADDR, default=127.0.0.1:8001" help:"address of administration: bundle, build, pprof"`
	// MetricsAddr is the address of metrics and health.
	MetricsAddr string `env:"METRICS_ADDR, default=:9090" help:"address of metrics and health"`
	// ScoreDeadline bounds a scoring request, from its header to its answer.
	ScoreDeadline time.Duration `env:"SCORE_DEADLINE, default=2s" help:"bounds a scoring request, from its header to its answer"`
	// CORSOrigins are the origins whose pages may call the scoring door from a browser; none by default.
	CORSOrigins []string `env:"HTTP_CORS_ORIGINS" help:"origins whose pages may call the scoring door, comma-separated, such as https://console.example; by default none"`

	// HTTP, Admin and Metrics are how the doors are secured.
	HTTP    Access `env:", prefix=HTTP_"`
	Admin   Access `env:", prefix=ADMIN_"`
	Metrics Access `env:", prefix=METRICS_"`

	// AccessLog and AccessLogErrors bound the lines of the access log.
	AccessLog       int `env:"ACCESS_LOG, default=10" help:"lines a second, at most, about requests that were answered; health checks have none; 0 is none"`
	AccessLogErrors int `env:"ACCESS_LOG_ERRORS, default=100" help:"lines a second, at most, about requests that were refused or failed; 0 is none"`

	DecisionLog DecisionLogConfig

	Limits Limits
}

// Models is the model that serves. Its methods are safe for concurrent use.
type Models interface {
	// Scorer returns the current model, or nil while there is none. It is called once per request.
	Scorer() *scoring.Scorer
}

// Readiness says what the process can do now, with the reasons why not. Its methods are safe for concurrent use.
type Readiness interface {
	// Ready says whether the synchronous role can answer. It never depends on Kafka.
	Ready() (bool, []string)
	// StreamReady says whether the stream is joined and nothing is paused.
	StreamReady() (bool, []string)
}

// Parts are what a server is made of.
type Parts struct {
	Models    Models
	Readiness Readiness
	// Extra says what becomes of features that the model does not know.
	Extra schemas.Extra
	// Scoring opens the scoring door; the role stream leaves it shut.
	Scoring bool
	// Cores is how many calls compute at once before others wait; 0 is GOMAXPROCS.
	Cores int
	// Calls is told of the calls that compute; nil for nobody.
	Calls Calls
	// Drain bounds how long requests in flight may take once the server stops; after it they are cut.
	Drain time.Duration
	// Version is the build's, for the admin door.
	Version string
	// Parity returns how closely the current model met its golden rows, as what is shown on the admin door in JSON. It
	// is safe for concurrent use; nil shows nothing.
	Parity func() any
	// Reloader replaces the model at the admin door; nil for a model that is never replaced.
	Reloader Reloader
	// Tracer makes the spans of requests; nil for none.
	Tracer     trace.Tracer
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Logger     *slog.Logger
}

// Server serves the doors. Use Listen and Addrs, then Run, once.
type Server struct {
	config    Config
	parts     Parts
	metrics   *metrics
	failures  sampler
	access    *accessMetrics
	accessLog accessLog
	guard     *guard       // nil where Parts.Scoring is false
	decisions *decisionLog // nil for none
	serving   atomic.Pointer[model]
	versions  [2]string // of the model before and of the one that serves, for ModelChanged
	doors     []*door
	scoring   *door // nil where Parts.Scoring is false
	admin     *door
	observer  *door
}

// door is one listener and what is behind it.
type door struct {
	name     string
	listener net.Listener // nil before Listen
	http     *http.Server

	keeper      doorkeeper
	files       []*files
	tls         *tls.Config // nil for clear text
	connections *connections
}

// New returns a server whose doors are still shut. It reads the doors' certificates and tokens.
func New(c Config, p Parts) (*Server, error) {
	if c.ScoreDeadline <= 0 {
		return nil, fmt.Errorf("SCORE_DEADLINE is %v, must be above 0", c.ScoreDeadline)
	}
	if p.Drain <= 0 {
		return nil, fmt.Errorf("server: the drain time is %v, must be above 0", p.Drain)
	}
	if err := c.DecisionLog.validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(p.Registerer)
	if err != nil {
		return nil, fmt.Errorf("server metrics: %w", err)
	}
	s := &Server{config: c, parts: p, metrics: m}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if s.access, err = newAccessMetrics(p.Registerer); err != nil {
		return nil, err
	}
	s.accessLog.successes.perSecond, s.accessLog.failures.perSecond = c.AccessLog, c.AccessLogErrors
	if p.Scoring {
		if s.decisions, err = newDecisionLog(c.DecisionLog, p.Logger, p.Registerer); err != nil {
			return nil, fmt.Errorf("decision log: %w", err)
		}
	}
	if p.Scoring {
		if s.guard, err = newGuard(c.Limits, p.Cores); err != nil {
			return nil, err
		}
		if err := s.guard.register(p.Registerer); err != nil {
			return nil, fmt.Errorf("server metrics: %w", err)
		}
		routes, err := s.scoringRoutes()
		if err != nil {
			return nil, fmt.Errorf("scoring door: %w", err)
		}
		s.scoring = s.newDoor("scoring", c.HTTPAddr, &c.HTTP, routes, c.CORSOrigins...)
	}
	s.admin = s.newDoor("admin", c.AdminAddr, &c.Admin, s.adminRoutes())
	s.admin.http.WriteTimeout = adminWriteTimeout
	s.observer = s.newDoor("metrics", c.MetricsAddr, &c.Metrics, s.metricsRoutes())
	for _, secure := range []error{
		s.secure(s.scoring, "HTTP_", &c.HTTP), s.secure(s.admin, "ADMIN_", &c.Admin), s.secure(s.observer, "METRICS_", &c.Metrics),
	} {
		if secure != nil {
			return nil, secure
		}
	}
	return s, nil
}

func (s *Server) newDoor(name, addr string, a *Access, routes []route, origins ...string) *door {
	d := &door{name: name, keeper: doorkeeper{auth: a.auth(), note: s.noteCaller(name)}}
	d.keeper.names, _ = newClientNames(a.ClientNames) // Validate has read them
	d.connections = newConnections(a.connections(), s.access.follow(name, a))
	d.http = &http.Server{
		Addr:                         addr,
		Handler:                      d.connections.follow(hardened(a.encrypted(), s.observe(cors(origins, s.router(d.keeper.protect(routes)))))),
		ConnState:                    d.connections.state,
		ConnContext:                  remember,
		DisableGeneralOptionsHandler: true, // OPTIONS * is no route either
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(s.parts.Logger.Handler(), slog.LevelDebug),
	}
	s.doors = append(s.doors, d)
	return d
}

// Listen opens the listeners, so that Addrs knows their ports. Connections wait until Run.
func (s *Server) Listen(ctx context.Context) error {
	var listen net.ListenConfig
	for _, d := range s.doors {
		l, err := listen.Listen(ctx, "tcp", d.http.Addr)
		if err != nil {
			return errors.Join(fmt.Errorf("listen for %s: %w", d.name, err), s.shut())
		}
		d.listener = &boundedListener{l, d.connections}
		if d.tls != nil {
			d.listener = tls.NewListener(d.listener, d.tls)
		}
	}
	if err := s.decisions.open(); err != nil {
		return errors.Join(err, s.shut())
	}
	return nil
}

// shut closes the listeners that Listen has opened.
func (s *Server) shut() error {
	var errs []error
	for _, d := range s.doors {
		if d.listener != nil {
			errs = append(errs, d.listener.Close())
			d.listener = nil
		}
	}
	return errors.Join(errs...)
}

// Addrs are the addresses of the open doors, "" for one that is not open.
type Addrs struct{ Scoring, Admin, Metrics string }

// Addrs returns where the doors are, with the ports that the system chose. Call it after Listen.
func (s *Server) Addrs() Addrs {
	return Addrs{Scoring: s.scoring.addr(), Admin: s.admin.addr(), Metrics: s.observer.addr()}
}

func (d *door) addr() string {
	if d == nil || d.listener == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// Run serves until ctx ends or a door fails, and then lets requests in flight finish within Parts.Drain. It listens
// first if Listen has not. The error is nil for an end by ctx in which every request finished.
func (s *Server) Run(ctx context.Context) error {
	if s.admin.listener == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	doors, running := errgroup.WithContext(ctx)
	for _, d := range s.doors {
		doors.Go(func() error {
			if err := d.http.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", d.name, err)
			}
			return nil
		})
	}
	doors.Go(func() error { s.watch(running); return nil })
	doors.Go(func() error {
		<-running.Done()
		return s.drain(context.WithoutCancel(ctx))
	})
	return errors.Join(doors.Wait(), s.decisions.close(s.parts.Drain))
}

// drain shuts the doors one after the other: metrics last, so that the end can be watched.
func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.parts.Drain)
	defer cancel()
	var errs []error
	for _, d := range s.doors {
		if err := d.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("drain %s: %w", d.name, err), d.http.Close())
		}
	}
	return errors.Join(errs...)
}
