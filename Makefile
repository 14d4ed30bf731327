# Two commands: `make readiness` runs the checklist on the lab, `make test` everything that guards it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOX := PATH="$(CURDIR)/$(BIN):$$PATH" nox --non-interactive
ENVS := $(patsubst tests/environments/%.txt,.envs/%/.ready,$(wildcard tests/environments/*.txt))

.PHONY: readiness test coverage bench lock clean

# The exit code is the run's: what `make` adds to it stands in the line it prints.
readiness: $(VENV)/.ready
	@$(BIN)/pytest -m readiness

test: $(VENV)/.ready $(ENVS)
	@$(NOX)

# Of all but the real servers, so that it needs none of them.
coverage: $(VENV)/.ready $(ENVS)
	@$(NOX) --session coverage

bench: $(VENV)/.ready
	@$(NOX) --session benchmarks

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CPython 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Other versions of a dependency, and plugins that must live beside ours: a folder each, put on the
# path by the tests that need it.
.envs/%/.ready: tests/environments/%.txt $(VENV)/.ready
	@rm -rf $(@D)
	$(BIN)/python -m pip install --quiet --no-deps --target $(@D) --requirement $<
	@touch $@

include tests/servers/servers.mk

# Needs uv.
lock:
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --no-header --extra dsse --extra lab --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .envs .nox .servers readiness-report
