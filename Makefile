# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Servers that tests talk to; installed only where nobody minds (root in CI), elsewhere the tests that need one are skipped by name.
DEBIAN := git openssh-server tinyproxy microsocks

.PHONY: install demo test bench lint packages clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e '.[helm]'
	touch $@

demo: install
	@$(BIN)/tiphys demo

test: install packages lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

packages:
ifeq ($(CI)$(shell id -u),true0)
	@missing=; for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi
endif

bench: install
	$(BIN)/python -m tests.bench

clean:
	rm -rf .venv build dist *.egg-info bench-results.json
