# Foresail. `make help` lists the targets; the README says which two to start with.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
CONTROLPLANE := test/controlplane
E2E_ARGS ?=
# What attacks, kills and fills takes the processor from what is to be on time, so it runs after it.
FAULTS := ^Test(UnderAttack|Killed|DiskFull|APIServerAway|Replicas|Partition|Expired|ClockJumps)$$
ORACLE ?= all

# The race detector needs a C compiler; without one the tests run all the same, and say so. Pure packages start no goroutine, so
# nothing can race in them, and their arithmetic is ten times slower under the detector: it leaves them out.
PURE = $(shell go list ./forecast/... | grep -v /tracker)
CC_FOUND := $(shell command -v $${CC:-gcc} || command -v cc || command -v clang)
RACE = $(if $(CC_FOUND),go test -race $(PURE:%=-gcflags=%=-race=false),echo "no C compiler: testing without the race detector" && go test)

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/foresail.
	go build -ldflags '$(LDFLAGS)' -o bin/foresail ./cmd/foresail

.PHONY: run
run: build ## Build and start the demo: no cluster, no Prometheus.
	./bin/foresail demo

.PHONY: test
test: controlplane-build ## Unit and integration tests; need only Go (with a C compiler: under the race detector).
	$(RACE) $(TEST_ARGS) ./...

.PHONY: lint
lint: ## Lint every package and check formatting.
	go vet ./...
	go tool -modfile=tools/go.mod golangci-lint run ./...

.PHONY: controlplane-build
controlplane-build: ## Build the real control plane's binaries from Go modules (cold: some minutes).
	cd $(CONTROLPLANE) && go build -o bin/controlplane . && ./bin/controlplane build --out bin

.PHONY: controlplane
controlplane: build controlplane-build ## Leave a control plane running with Foresail registered and a demo Deployment.
	./test/controlplane/lookaround.sh

.PHONY: e2e
e2e: build controlplane-build ## The same binary under a real Kubernetes control plane.
	go test -count=1 -timeout 20m -parallel 32 -skip '^TestManifests$$|$(FAULTS)' ./test/e2e/... -e2e $(E2E_ARGS)
	go test -count=1 -timeout 20m -run '$(FAULTS)' ./test/e2e/... -e2e $(E2E_ARGS)

.PHONY: manifests
manifests: ## Make what is made of other files in manifests/ anew: foresail.yaml, hpa/, the alerts of operators and of the chart.
	go test -count=1 ./test/manifests -run '^TestMadeFilesAreUpToDate$$' -update

.PHONY: prometheus-adapter-build
prometheus-adapter-build:
	cd test/oracle && go build -o bin/prometheus-adapter sigs.k8s.io/prometheus-adapter/cmd/adapter

.PHONY: oracle
oracle: build controlplane-build prometheus-adapter-build ## Run prometheus-adapter itself beside Foresail and compare; ORACLE=corpus leaves out generated files.
	go build -o test/oracle/bin/oraclebackend ./test/oraclebackend
	cd test/oracle && go test -count=1 -timeout 20m -v . -oracle=$(ORACLE)

.PHONY: bench
bench: build ## Latency of the metrics API and the packages' micro-benchmarks.
	go run ./bench/latency
	go test -run '^$$' -bench . -benchmem ./...

BENCH_ARGS ?=

.PHONY: bench-api
bench-api: build controlplane-build prometheus-adapter-build ## The metrics API on a real control plane; exits 1 where a figure is missed. BENCH_ARGS=-smoke for a look.
	go run ./bench/api $(BENCH_ARGS)

.PHONY: test-kafka
test-kafka: ## The Kafka collector against a real Apache Kafka broker on loopback; needs Java 17 and Maven.
	@./test/kafka/jars.sh .cache/kafka || { status=$$?; [ $$status = 3 ] && exit 0; exit $$status; }; \
	go test -count=1 -timeout 10m -v ./test/kafka -kafka $(CURDIR)/.cache/kafka $(KAFKA_ARGS)

.PHONY: docs
docs: ## Write docs/CONFIG.md, the tables of docs/METRICS.md and the dashboards anew, from the code.
	go run ./docs/generate

PROMTOOL := $(CURDIR)/.cache/promtool

.PHONY: test-monitoring
test-monitoring: ## The alerts and recording rules, by promtool's unit tests.
	cd test/monitoring && go build -tags remove_all_sd -o $(PROMTOOL) github.com/prometheus/prometheus/cmd/promtool
	$(PROMTOOL) check rules --lint=all --lint-fatal manifests/prometheus/foresail.rules.yaml
	$(PROMTOOL) test rules manifests/prometheus/foresail.test.yaml

.PHONY: test-grpc
test-grpc: ## The gRPC collector against real grpc-go servers with each library that counts calls, channelz and ORCA; a module of its own.
	cd test/grpc && go vet ./... && go test -count=1 ./...

.PHONY: test-keda
test-keda: ## The external scaler asked by KEDA's own client; a module of its own.
	cd test/keda && go vet ./... && go test -count=1 -v ./...

.PHONY: test-cloudwatch
test-cloudwatch: ## Writing to CloudWatch against moto's server on loopback; needs Python 3.9 with venv, and PyPI.
	@./test/cloudwatch/moto.sh .cache/moto || { status=$$?; [ $$status = 3 ] && exit 0; exit $$status; }; \
	.cache/moto/bin/moto_server -H 127.0.0.1 -p 15599 >.cache/moto.log 2>&1 & server=$$!; trap "kill $$server" EXIT; \
	until grep -q "Running on" .cache/moto.log; do kill -0 $$server || { cat .cache/moto.log; exit 1; }; sleep .2; done; \
	go test -count=1 -run TestMoto -v ./export/cloudwatch -moto http://127.0.0.1:15599

SHOTS ?=

.PHONY: test-ui
test-ui: build ## The page in headless Chromium; needs Node.js 20, npm and Chromium. SHOTS=DIR for pictures of it.
	@chromium=$$(./test/ui/setup.sh .cache/ui) || { status=$$?; [ $$status = 3 ] && exit 0; exit $$status; }; \
	FORESAIL=$(CURDIR)/bin/foresail CHROMIUM=$$chromium PLAYWRIGHT=$(CURDIR)/.cache/ui/node_modules/playwright-core SHOTS=$(SHOTS) \
	node --test test/ui/page.test.mjs

TRACES ?= bench/traces

.PHONY: bench-forecast
bench-forecast: ## Accuracy trace by trace, then bench-scale; exits 1 where a figure is missed. TRACES=DIR for other traces.
	go run ./bench/accuracy -check -traces $(TRACES)
	go run ./bench/accuracy -cold -traces $(TRACES)
	@$(MAKE) --no-print-directory bench-scale

.PHONY: bench-scale
bench-scale: build ## What forecasts of 10,000 and 1,000 series cost, half an hour; exits 1 where a figure is missed. BENCH_ARGS=-smoke for a look.
	go run ./bench/scale $(BENCH_ARGS)

PEERS ?= lightgbm,mstl,autoets
PEERS_ENV := .cache/peers

$(PEERS_ENV)/installed: bench/peers/requirements.txt
	python3 -m venv $(PEERS_ENV)
	$(PEERS_ENV)/bin/pip install --quiet --requirement $<
	touch $@

.PHONY: bench-forecast-peers
bench-forecast-peers: build $(PEERS_ENV)/installed ## LightGBM, MSTL and AutoETS beside it; needs Python 3.11 and PyPI. PEERS=lightgbm TRACES=FILE for a few.
	cd bench/peers && nice $(CURDIR)/$(PEERS_ENV)/bin/python -m unittest
	nice $(PEERS_ENV)/bin/python bench/peers/main.py --peers $(PEERS) $(TRACES)

.PHONY: victoria-metrics
victoria-metrics:
	@command -v victoria-metrics >/dev/null || { apt-get update -qq && apt-get install -y -qq victoria-metrics; }

.PHONY: test-shards
test-shards: build victoria-metrics ## Three shards with VictoriaMetrics between them (Debian's package), one killed, then four: 600 series, 12 min. Not in CI.
	go run ./bench/shards -smoke

.PHONY: bench-shards
bench-shards: build victoria-metrics ## The same with 30,000 series, an hour; exits 1 where a forecast is lost, stale or told twice.
	go run ./bench/shards

.PHONY: bench-collectors
bench-collectors: ## What collecting costs; exits 1 where a figure is missed. BENCH=kafka for one of them.
	go run ./bench/collectors $(BENCH)

.PHONY: bench-replay
bench-replay: ## What a forecast saves at equal protection, trace by trace; exits 1 where a figure is missed. TRACES=DIR for other traces.
	go run ./bench/replay -traces $(TRACES)

.PHONY: hpa
hpa: ## Hold forecast/replay to the HPA controller's own code, on scenarios made up anew.
	cd $(CONTROLPLANE) && go test -count=1 -v ./hpa -seed $$RANDOM

.PHONY: clean
clean: ## Remove what was built.
	rm -rf bin $(CONTROLPLANE)/bin test/oracle/bin

.PHONY: vuln
vuln: ## Known vulnerabilities of what the program calls; says so where their database cannot be reached.
	@out=$$(go tool -modfile=tools/go.mod govulncheck ./cmd/foresail 2>&1); status=$$?; echo "$$out"; \
	case "$$out" in *"fetching vulnerabilities"*) echo "make vuln: NOT CHECKED: the database of vulnerabilities cannot be reached from here" >&2; exit 2;; esac; exit $$status

.PHONY: sbom
sbom: build ## What the binary is made of, as CycloneDX: bin/foresail.cdx.json.
	go run ./cmd/sbom bin/foresail > bin/foresail.cdx.json

.PHONY: soak
soak: build ## An hour of 500 reads/s of the demo, which must not grow; exits 1 where it does. BENCH_ARGS="-for 5m" for a look.
	go run ./bench/soak $(BENCH_ARGS)

.PHONY: bench-scenarios
bench-scenarios: ## Thirteen made-up scenarios, from a flash crowd to a node shortage, reactive against forecast; exits 1 where an expectation is missed. 10 s.
	go run ./bench/scenarios
