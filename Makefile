# Every command works from a bare clone: the environment is brought up to the lock first.
.PHONY: demo test test-long run reconcile replay rollback portrait match score-table clv evaluate-recommender audience bi dsn stop clean doctor check bench faults lock init screenshots docs
PY := .venv/bin/python
UV := uv==0.13.8
export TRAIN TEST K NEIGHBOURS AS_OF SOURCES MODEL VERSION GENERATION TRIALS ONLY GUARD ROLE DB CUSTOMER CUSTOMERS DATA DAYS PERSONAL FILES CONFIG TRUTH OUT NAME GROUP FILE LABEL FOLDS REPEATS DROP CALIBRATE_UNTIL
export PYTHONPATH := $(CURDIR)

demo run reconcile replay rollback portrait match score-table clv evaluate-recommender audience bi dsn stop clean doctor bench init: .venv/ready
	@$(PY) -m include.local $@

test: .venv/ready
	@$(PY) -m pytest -n 2

test-long: .venv/ready
	@$(PY) -m pytest -m slow

faults: .venv/ready
	@PORTRAIT_FAULT_SEEDS=20 PORTRAIT_FAULTS_REPORT=docs/faults.md $(PY) -m pytest tests/faults

check: .venv/ready
	@$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy && $(PY) -m include.evolution check

docs: .venv/ready
	@$(PY) -m include.evolution release
	@$(PY) -m include.dictionary.site

screenshots: .venv/ready
	@$(PY) docs/screenshots.py
	@$(PY) -m bi.screenshot

lock: .venv/ready
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes bi/requirements.in -o bi/requirements.txt

.venv/ready: requirements.txt
	@echo "installing what requirements.txt pins into .venv (about a minute, network time apart)"
	@python3 -m venv .venv && .venv/bin/pip install --quiet $(UV)
	@.venv/bin/uv pip install --quiet --python $(PY) --require-hashes --compile-bytecode -r requirements.txt
	@touch $@
