# Everything a newcomer needs: `make demo` and `make test` set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KILLS ?= 20
INTERRUPTS ?= 20

.PHONY: demo test check conformance bench kill interrupts reference lock clean

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "callboard needs Python 3.11 or newer; set PYTHON=... to one")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# make demo WIRE=chat|messages|responses: the rehearsed model speaks that wire
demo: $(VENV)/.ready
	$(BIN)/callboard demo $(if $(WIRE),--wire $(WIRE))

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests bench

conformance: $(VENV)/.ready
	$(BIN)/python -m tests.conformance

bench: $(VENV)/.ready
	$(BIN)/python -m bench

kill: $(VENV)/.ready
	$(BIN)/python -m tests.system.kill --kills $(KILLS)

interrupts: $(VENV)/.ready
	$(BIN)/python -m tests.system.interrupts --interrupts $(INTERRUPTS)

# the reference in docs/settings.md, made anew from messages/settings
reference: $(VENV)/.ready
	sed -i '/^<!-- from here on: callboard config reference -->$$/q' docs/settings.md
	echo >> docs/settings.md
	$(BIN)/callboard config reference >> docs/settings.md

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements.in -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out artifacts
