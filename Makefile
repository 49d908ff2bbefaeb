# What a person does with the project. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo image test bench rooms smoke torture check deny cargo compiler promtool valgrind

# Where rustup puts it, for shells that have not been opened anew since.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# The servers that the tests talk to: folders of tests/elasticsearch.
SERVERS := 8 8-security 9 opensearch-2
# How long `make torture` runs.
SECONDS := 600

help: ## lists this
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: cargo compiler ## builds, then shows a node's logs as they would be shipped
	@cargo build --release --bin skidder
	@rm -rf target/demo
	@./target/release/skidder run --once --config config/demo.yaml
	@printf '\n%s\n' 'The same into an Elasticsearch:'
	@sed -n 's/^#   /    /p' config/demo.yaml

image: cargo ## builds the static binary and the image, by buildah; writes target/image/skidder.tar
	@rm -f target/image/skidder.tar
	@deploy/build --archive target/image/skidder.tar

test: cargo compiler promtool valgrind ## runs all tests, with a real Elasticsearch on this machine
	@[[ -n "$${SKIDDER_TEST_ELASTICSEARCH:-}" ]] || for server in $(SERVERS); do tests/elasticsearch/fetch $$server >/dev/null; done
	-@tests/deploy/fetch >/dev/null
	-@deploy/build --profile trial
	@cargo test --no-fail-fast

bench: cargo compiler ## measures the released process beside gzip and the peers that are here, and prints tables
	@cargo build --release --bin skidder
	@install -D target/release/skidder target/bench/skidder
	@isal=; if (command -v nasm && command -v autoreconf && command -v libtoolize) >/dev/null; then \
	    cargo build --release --features isal --bin skidder; \
	    isal=$(CURDIR)/target/bench/skidder-isal; install -D target/release/skidder "$$isal"; fi; \
	env SKIDDER_BENCH_BINARY=$(CURDIR)/target/bench/skidder $${isal:+SKIDDER_BENCH_ISAL=$$isal} cargo bench --bench process

rooms: cargo compiler ## measures each room and the reader's whole path
	@cargo bench --bench tail --bench decode --bench join --bench enrich --bench batch --bench ship \
	    --bench checkpoint --bench pipeline

smoke: cargo compiler ## runs each measurement once, to see that it runs
	@cargo test --quiet --benches

torture: cargo compiler ## kills, rotates and refuses at random: make torture SECONDS=600
	@SKIDDER_TORTURE_SECONDS=$(SECONDS) cargo test --test it -- torture:: model:: --nocapture --include-ignored

check: cargo compiler ## format, lints, documentation, licences
	@cargo fmt --check
	@cargo clippy --all-targets -- --deny warnings
	@RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps
	@$(MAKE) --no-print-directory deny

deny: cargo
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else echo 'licences not checked: cargo install cargo-deny --locked'; fi

cargo:
	@command -v cargo >/dev/null || { \
	    echo "missing: cargo. This gets it: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2; exit 1; }

# Of C there is the cryptography below TLS.
compiler:
	@command -v cc >/dev/null || { \
	    if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
	        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends gcc libc6-dev; \
	    else echo 'missing: a C compiler (Debian: apt-get install gcc libc6-dev)' >&2; exit 1; fi; }

# Prometheus' own check of metrics and of alert rules.
promtool:
	@command -v promtool >/dev/null || { \
	    if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
	        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends prometheus; \
	    else echo 'missing: promtool (Debian: apt-get install prometheus)' >&2; exit 1; fi; }

# It counts the instructions that an event takes.
valgrind:
	@command -v valgrind >/dev/null || { \
	    if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
	        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends valgrind; \
	    else echo 'missing: valgrind (Debian: apt-get install valgrind)' >&2; exit 1; fi; }
