# GNU make and Go are enough for build, run, test and bench. A target that needs more names it when it is missing.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 10
SEEDS    ?= 1,2,3,4,5,6,7,8
ORDERS   ?= 130000
FAULTS   ?= 10
OUTAGE   ?= 30s
RACE     ?= ./...
HOURS    ?= 500
CASES    ?= 10000
SEED     ?= 1

# The development tools' dependencies stay out of the service's go.mod.
TOOL := $(GO) tool -modfile=$(CURDIR)/tools/go.mod
LINT := $(TOOL) golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build run test race sim lint fmt bench bench-engine bench-stream bench-http fuzz e2e document contract planted chaos training bundle goldens charts check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build riskscorer, riskctl and sandbox into bin/
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

run: ## Start the whole system in one process: broker, orders, service (Ctrl-C stops it)
	@$(GO) build -o bin/sandbox ./cmd/sandbox
	@exec bin/sandbox $(ARGS)

test: ## Vet and test everything that needs nothing but Go
	$(GO) vet ./...
	$(GO) test -timeout 5m ./...
	cd bench/engine && $(GO) test ./...

# The detector makes pools forget at random, so that what takes from them allocates.
race: ## Test under the race detector (RACE=./stream/... narrows it); needs a C compiler
	$(call require,$(firstword $(shell $(GO) env CC)),a C compiler)
	CGO_ENABLED=1 $(GO) test -race -skip '^Test(Scoring|Quadrature|Contributions|Kernels)Do(es)?NotAllocate$$' -timeout 20m $(RACE)

# Low priority: it takes every core for a while.
sim: ## Simulate HOURS of faults, five of each seed from SEED on; a failing seed says how to repeat it
	SIM_HOURS=$(HOURS) SIM_SEED=$(SEED) nice -n 19 $(GO) test -run '^TestHours$$' -count 1 -timeout 0 -v ./stream/simulation

lint: ## Lint and check the formatting, with the linters pinned in tools/go.mod
	$(LINT) run ./...
	cd tools/packaging && $(LINT) run ./...
	cd tools/openapi && $(LINT) run ./...
	cd bench/engine && $(LINT) run ./...
	cd examples && $(LINT) run ./...

fmt: ## Format every Go file
	$(LINT) fmt ./...
	cd tools/packaging && $(LINT) fmt ./...
	cd tools/openapi && $(LINT) fmt ./...
	cd bench/engine && $(LINT) fmt ./...
	cd examples && $(LINT) fmt ./...

bench: ## Run the benchmarks COUNT times and summarise them (BENCH=regexp; BASE=old.txt compares)
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... | tee bin/bench.txt
	$(TOOL) benchstat $(BASE) bin/bench.txt

bench-engine: ## Measure the engine beside its peers and write docs/benchmarks.md (ARGS=--help); needs Python 3.12
	@bench/engine/run.sh $(ARGS)

bench-stream: ## Measure the stream beside its peers on real Kafka and write docs/benchmarks-stream.md (ARGS=-help); needs Java 17, Maven and Python 3.12
	$(call require,java,Java 17)
	$(call require,mvn,Maven)
	@$(GO) build -o bin/bench-stream ./bench/stream
	@bin/bench-stream $(ARGS)

bench-http: ## Measure the synchronous door beside its peers and write docs/benchmarks-http.md (ARGS=-help); needs Java 17, Maven, Python 3.11 and 3.12
	@$(GO) build -o bin/bench-http ./bench/http
	@bin/bench-http $(ARGS)

# go test fuzzes one target of one package a call.
fuzz: ## Run every fuzz target for FUZZTIME
	@set -eu; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		targets=$$($(GO) test -list '^Fuzz' $$dir); \
		for target in $$(printf '%s\n' "$$targets" | grep '^Fuzz'); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$dir; \
		done; \
	done

# What has a target of its own, for its length.
LONG := TestPlantedBugsAreCaught|TestLongOutage

e2e: ## Test the whole on real Kafka; needs Java 17, Maven and Python 3.12
	$(call require,java,Java 17)
	$(call require,mvn,Maven)
	@training/venv.sh >/dev/null
	$(GO) test -tags e2e -count=1 -timeout 45m -skip '^($(LONG))$$' ./e2e/...

document: ## Lint the OpenAPI document and compare it with the announced one; needs npm of Node.js 20 or later
	$(call require,npm,npm of Node.js 20 or later)
	cd tools/openapi && npm ci --silent && node_modules/.bin/redocly lint --config redocly.yaml ../../server/openapi.json
	cd tools/openapi && $(GO) test ./...

contract: ## Hold the real binary against its OpenAPI document in CASES generated requests; needs Python 3.12
	CONTRACT_CASES=$(CASES) $(GO) test -tags e2e -count=1 -timeout 30m -v -run '^TestContract$$' ./e2e

planted: ## Prove the verifier: it must catch every planted bug; writes the list into docs/reliability.md
	$(call require,java,Java 17)
	$(call require,mvn,Maven)
	PLANTED_REPORT=$(CURDIR)/docs/reliability.md $(GO) test -tags e2e -count=1 -timeout 45m -v -run '^TestPlantedBugsAreCaught$$' ./e2e

chaos: ## The whole campaign on three brokers (SEEDS, ORDERS, FAULTS, OUTAGE); writes its report into docs/reliability.md
	$(call require,java,Java 17)
	$(call require,mvn,Maven)
	@mkdir -p bin/chaos
	CHAOS_SEEDS=$(SEEDS) CHAOS_ORDERS=$(ORDERS) CHAOS_FAULTS=$(FAULTS) CHAOS_OUTAGE=$(OUTAGE) CHAOS_REPORT=$(CURDIR)/docs/reliability.md \
		$(GO) test -tags e2e -count=1 -timeout 3h -v -artifacts -outputdir bin/chaos -run '^(TestChaos|TestLongOutage)$$' ./e2e

training: ## Test the training package; needs Python 3.11 and 3.12
	training/test.sh

bundle: ## Train the demo model anew and export it to models/, byte for byte; needs Python 3.12
	training/bundle.sh

goldens: ## Remake the small models and their golden rows with the training libraries; needs Python 3.11 and 3.12
	training/goldens.sh

charts: ## Check the Helm chart, the Dockerfile and the compose file
	cd tools/packaging && $(GO) test ./...

check: ## What CI runs
	.ci/run

clean: ## Remove what the targets above built
	rm -rf bin

# require stops with one sentence unless the command $(1) is there.
require = @command -v $(1) >/dev/null || { echo '$@ needs $(2), and the command $(1) is not there.' >&2; exit 1; }
