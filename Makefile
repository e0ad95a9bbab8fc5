# Every target sets up what it needs by itself: Debian or Ubuntu packages (scripts/packages.txt, with sudo where needed),
# Python tools in .venv (scripts/requirements.txt), the wheel. There must be a Rust toolchain and a python3.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

export PYTHON ?= python3
# Debian keeps daemons out of an ordinary user's PATH.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
VENV := .venv
RUN := $(VENV)/bin/python -m
as_root := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=CI)
say = @printf '==> %s\n'

# Directories are listed too: their time changes when a file goes.
sources := Cargo.toml Cargo.lock pyproject.toml README.md $(shell find src python -name __pycache__ -prune -o ! -name "*.so" -print)

# One by one: most have a conftest.py, and mypy takes a module's name once only.
typed := python/image_oci_rs demo benches scripts/oe scripts/backends scripts/oe-build.py scripts/upstream-tests.py scripts/compare-backends.py scripts/crates-inc.py tests/conftest.py tests/python tests/bitbake tests/interop

# What comes with the tests, for the demo.
demo = $(as_root) env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/bitbake:scripts $(VENV)/bin/python

# Tests take what mkfs, chown and container engines take: root. What BitBake would run, they run as another user.
pytest = $(as_root) env PYTHONDONTWRITEBYTECODE=1 $(RUN) pytest -p no:cacheprovider --timeout=900

.PHONY: help setup wheel test lint test-rust test-python test-bitbake test-interop demo compare bench clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.wheel | packages-build-demo ## pack a real Debian with the BitBake class, check the image, run the container
	@$(demo) demo/run.py

compare: $(VENV)/.wheel | packages-build-demo ## pack the same with the commands of image-oci.bbclass, and see what is lost
	@$(demo) demo/compare.py

bench: $(VENV)/.wheel | packages-build-bench ## measure beside umoci, buildah and tar; writes docs/performance.md
	$(say) "benchmark: a quarter of an hour on two cores"
	@program=$$(cargo bench --locked --quiet --no-run --bench in_memory --message-format=json \
		| sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'); \
	$(as_root) env PYTHONDONTWRITEBYTECODE=1 $(if $(SOURCE_DATE_EPOCH),SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH)) \
		$(VENV)/bin/python benches/run.py --reference "$$program" $(BENCH_OPTIONS)

test: lint test-rust $(VENV)/.wheel | packages-build-test-interop ## everything below
	$(say) "pytest tests/python tests/bitbake tests/interop"
	@$(pytest) tests/python tests/bitbake tests/interop

lint: $(VENV)/.wheel ## formatting, clippy, ruff, mypy, the stubs against the extension, the recipe against Cargo.lock
	$(say) "cargo fmt, clippy"
	@cargo fmt --check
	@cargo clippy --locked --quiet --all-targets -- -D warnings
	@cargo clippy --locked --quiet --all-targets --features python -- -D warnings
	$(say) "ruff, mypy, stubtest"
	@$(RUN) ruff check --quiet .
	@$(RUN) ruff format --quiet --check .
	@for part in $(typed); do $(RUN) mypy --no-error-summary $$part; done
	@$(RUN) mypy.stubtest --concise image_oci_rs._core
	$(say) "crates and licences of the recipe"
	@$(VENV)/bin/python scripts/crates-inc.py --check

test-rust: | packages-build-test ## cargo test: the core, without Python
	$(say) "cargo test"
	@cargo test --locked --quiet

test-python: $(VENV)/.wheel | packages-build-test ## the Python package and the command line
	$(say) "pytest tests/python"
	@$(pytest) tests/python

test-bitbake: $(VENV)/.wheel | packages-build-test ## the class, in the real bb under pseudo
	$(say) "pytest tests/bitbake"
	@$(pytest) tests/bitbake

test-interop: $(VENV)/.wheel | packages-build-test-interop ## skopeo, umoci, podman, docker, containerd, runc, a registry
	$(say) "pytest tests/interop"
	@$(pytest) tests/interop

setup: $(VENV)/.tools | packages-build-test-interop-demo ## packages and Python tools alone

wheel: $(VENV)/.wheel ## build the wheel into dist/, install it into .venv, print the lines for local.conf
	@wheel=$$(echo $(CURDIR)/dist/*.whl); sum=$$(sha256sum "$$wheel" | cut -d ' ' -f 1); \
	printf '%s\n' 'Where OE-core has no Rust that compiles the engine, local.conf gets this line:' '' \
		"    OCI_ENGINE_WHEEL = \"$$wheel\"" '' 'or, with a copy of the file in DL_DIR or on a server, these:' '' \
		"    OCI_ENGINE_WHEEL = \"https://SERVER/$${wheel##*/}\"" "    OCI_ENGINE_WHEEL_SHA256 = \"$$sum\""

clean: ## remove everything that was built or fetched
	$(say) "removing .venv .cache dist target"
	@$(as_root) rm -rf $(VENV) .cache dist target .mypy_cache .ruff_cache

packages-%:
	@scripts/install-packages.sh $(subst -, ,$*)

$(VENV)/.tools: scripts/requirements.txt | packages-build
	$(say) "Python tools into $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.10 or newer is needed" if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.wheel: $(VENV)/.tools $(sources)
	@command -v cargo >/dev/null || { echo 'error: no cargo on PATH: install Rust 1.88 or newer from https://rustup.rs' >&2; exit 1; }
	$(say) "wheel, built by maturin: a few minutes the first time"
	@rm -rf dist
	@log=$$($(RUN) maturin build --quiet --release --locked --out dist 2>&1) || { echo "$$log" >&2; exit 1; }
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/*.whl
	@touch $@
