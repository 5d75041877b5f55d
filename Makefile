# SPDX-License-Identifier: Apache-2.0
# make demo      sets up what is missing, then optimizes a real workload on the CPU and shows the result
# make test      sets up what is missing, then builds and passes every test
# make test-cuda  what needs an NVIDIA GPU: attacks, honest programs, a program against itself (docs/referee.md)
# make portable  a release in dist/ that needs nothing but libc (docs/portable.md)
JOBS ?= $(shell nproc)
STAGE := scripts/stage
PYTHON := $(CURDIR)/.venv/bin/python
DEMO ?= workloads/model/lenet.py

# Tests leave the user's own cache and archive alone; the folder stays, so that a second run is quick.
TEST_ENV := KERNELWRIGHT_CACHE_DIR=$(CURDIR)/build/test-cache KERNELWRIGHT_DATA_DIR=$(CURDIR)/build/test-data \
            KERNELWRIGHT_PYTHON=$(PYTHON) KERNELWRIGHT_CONFIG=
PYTEST := env $(TEST_ENV) PYTHONPATH=python $(PYTHON) -m pytest -q -rs
CTEST := env $(TEST_ENV) ctest --output-on-failure --no-tests=error --test-dir

.PHONY: demo test test-cuda test-full fuzz lint format build driven release portable asan tsan setup clean

demo: setup
	@$(STAGE) "build (release)" scripts/build release kernelwright kernelwright_runtime
	build/release/bin/kernelwright optimize $(DEMO) --target cpu --budget 60s

setup:
	@scripts/setup

build: setup
	@$(STAGE) "build" scripts/build dev

release: setup
	@$(STAGE) "build (release)" scripts/build release

portable: setup
	@$(STAGE) "build (portable)" scripts/build portable kernelwright kernelwright_runtime kw_judge kw_device_tests kw_expert_programs
	@$(STAGE) "release" scripts/portable

# The program with the tests that drive it from outside; unit and cases come sanitized.
driven: setup
	@$(STAGE) "build" scripts/build dev kw_driven

asan: setup
	@$(STAGE) "build (ASan+UBSan)" scripts/build asan kw_unit_tests kw_cases_tests

tsan: setup
	@$(STAGE) "build (TSan)" scripts/build tsan

# libFuzzer over every reader of what comes from outside, FUZZ_SECONDS each.
FUZZ_SECONDS ?= 20
fuzz: setup
	@$(STAGE) "build (libFuzzer)" scripts/build fuzz kw_fuzz
	@$(STAGE) "fuzz" env $(TEST_ENV) scripts/fuzz $(FUZZ_SECONDS)

# Referee tests time things and hold processes of their own: one at a time.
test: driven asan
	@$(STAGE) "unit, cases under ASan+UBSan" $(CTEST) build/asan -j$(JOBS) -L '^(unit|cases)$$'
	@$(STAGE) "error" $(CTEST) build/dev -j$(JOBS) -L '^error$$'
	@$(STAGE) "adversarial, honest, e2e" $(CTEST) build/dev -L '^(adversarial|honest|e2e)$$'
	@$(STAGE) "python" $(PYTEST) -n $(JOBS) --dist loadfile -m 'not full and not timed' tests/python
	@$(STAGE) "python, timed" $(PYTEST) -m 'timed and not full' tests/python

test-cuda: portable
	@$(STAGE) "GPU" env $(TEST_ENV) scripts/test-cuda

# Adds what takes long: unit and cases as optimized and under the thread sanitizer, the portable release, and the tests
# marked `full`.
test-full: test build tsan portable fuzz
	@$(STAGE) "unit, cases" $(CTEST) build/dev -j$(JOBS) -L '^(unit|cases)$$'
	@$(STAGE) "unit under TSan" $(CTEST) build/tsan -j$(JOBS) -L '^unit$$'
	@$(STAGE) "python, full" env KERNELWRIGHT_TEST_FULL=1 $(PYTEST) -m full tests/python

lint: setup
	@scripts/lint

format: setup
	@scripts/sources | xargs -0 clang-format-19 -i
	@.venv/bin/ruff format -q python tests/python workloads scripts

clean:
	rm -rf build
