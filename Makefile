# The README's two commands are `make demo` and `make test`. Everything they need they install themselves.

VENV := .venv
BIN := $(VENV)/bin
APT_TEST := busybox-static nftables iproute2 iptables runc crun podman conmon skopeo docker-registry docker.io \
            libseccomp2 zsh fish strace xz-utils zstd procps util-linux openssl gcc libc6-dev
APT_BENCH := docker.io podman crun runc bubblewrap

.PHONY: demo test docker-py-suite lint fmt bench clean

# Debian's own interpreter first: a pyenv shim on PATH starts ten times slower.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

demo: $(VENV)/.installed
	@.ci/need-root
	$(BIN)/wherry image bootstrap busybox
	$(BIN)/wherry run --rm busybox sh -c 'echo "hello from busybox, pid $$$$ on $$(uname -sr)"'

test: $(VENV)/.installed-test .ci/.apt-test
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

# docker-py's own integration tests (from PyPI, not part of this repository) against dockerd and against wherry.
docker-py-suite: $(VENV)/.installed-test .ci/.apt-test
	@.ci/need-root
	$(BIN)/python -m tests.docker_py_suite $(SUITE_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.installed-test
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

bench: $(VENV)/.installed-test
	@.ci/apt-install $(APT_BENCH)
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(BENCH_ARGS)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "wherry needs Python 3.11 or newer: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/apt-install python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	@touch $@ $(VENV)/.installed

.ci/.apt-test: Makefile
	@.ci/apt-install $(APT_TEST)
	@touch $@

clean:
	rm -rf $(VENV) .ci/.apt-test .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
