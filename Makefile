# Short recipes; what they do is in deploy/local and Tests/Benchmarks.
# Settings pass through the environment: MILLRACE_HOME, MILLRACE_PORT, DATABASE_URL, … (README, "Settings").

SWIFT ?= swift
MILLRACE_HOME ?= .millrace
SECONDS ?= 60
export SWIFT MILLRACE_HOME

.PHONY: help demo run stop build images test test-thread-sanitizer test-compose contract lint lint-kubernetes \
	bench oracle drain-proof promises soak simulate fuzz-http garden clean

help: ## say what each of these does
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, start everything on 127.0.0.1, send real input, print the analysis, run until Ctrl-C
	@deploy/local/run --demo $(RUN_FLAGS)

run: ## the same without the sample
	@deploy/local/run $(RUN_FLAGS)

stop: ## stop what "make run" started from another terminal
	@deploy/local/run --stop

build: ## install what is needed and build the four services in release mode
	@deploy/local/build

images: ## build the container images and check them; OFFLINE=1: without a registry, on Debian's archive
	@deploy/images/build

test: ## build and run every test, those on a real PostgreSQL included
	@deploy/local/test

test-thread-sanitizer: ## build and run every Swift test with the thread sanitizer; no report may come
	@deploy/local/test --thread-sanitizer

test-compose: ## compose.yaml for real, in a Docker daemon of its own: a job, restarts under load, nothing left
	@Tests/Compose/test-compose

contract: ## hold each service to its /openapi.json: what it allows, what it forbids, what comes back
	@Tests/Contract/contract

lint: ## format and style, undeclared imports, shell scripts, manifests that parse
	@deploy/local/lint

lint-kubernetes: ## check the Kubernetes manifests: the schemas, strictly, and the rules of checkov
	@deploy/kubernetes/lint

bench: ## every benchmark beside its peer; the last lines are one JSON figure each
	@Tests/Benchmarks/bench

bench-%: ## one: start, load, upsert, event, wait, idle, http, memory, queue, transform, run, slow, analytics, tracing
	@Tests/Benchmarks/bench $*

oracle: ## the long form of the data path's oracle: clients, kills, then the sets are compared
	@deploy/local/oracle

drain-proof: ## stop a service under load, fifty times: no accepted request fails, nothing acknowledged is lost
	@deploy/local/drain-proof

promises: ## hold load while PostgreSQL, disks, clocks and services fail; a table of what was promised, lost, repeated
	@Tests/Promises/promises

soak: ## the long forms of the queue's ten tests: snapshots, restarts, storms, a pooler and stalls, for minutes
	@Tests/Soak/soak

simulate: ## 10,000 random histories of the queue against its model; says the first seed, so that they can be repeated
	@Tests/Soak/soak histories

garden: ## what h11, httptools, nginx and HAProxy make of the HTTP corpus; each difference is explained
	@Tests/HTTPGarden/garden

fuzz-http: ## fuzz the HTTP parser for SECONDS (60)
	@FUZZ_SECONDS=$(SECONDS) Tests/Fuzz/fuzz-http

clean: ## remove what was built; the data in MILLRACE_HOME stays
	@rm -rf .build
