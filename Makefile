# The commands of this repository. `make help` lists them; scripts/ does the work.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
DESTDIR ?=
PRESET ?= release

.PHONY: help demo test unit system build node-package python bench install uninstall format format-check lint portable asan tsan fuzz clean

help: ## This list
	@echo 'make demo                  see it work: builds, starts a server, two psql sessions'
	@echo 'make test                  everything: builds, unit tests, system tests with real clients'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-20s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: PRESET=release|portable|asan|tsan|fuzz  PREFIX=/usr/local  DESTDIR=  ARGS="…" (for unit, system, bench)'

demo: ## Install what is missing, build, show two sessions in real psql
	@scripts/demo

test: ## Install what is missing, build, run every test
	@scripts/test

unit: ## Unit tests only; ARGS go to ctest
	@scripts/build $(PRESET)
	@ctest --test-dir build/$(PRESET) --output-on-failure $(ARGS)

system: ## System tests only; ARGS go to pytest
	@scripts/build $(PRESET)
	@tests/system/run $(ARGS)

build: ## Install what is missing, build calf and libcalf in build/$(PRESET)
	@scripts/build $(PRESET) products

node-package: build ## The npm package with the library inside: build/node/calf-VERSION.tgz
	@scripts/node-package

python: build ## Build the Python package: a wheel in build/python
	@scripts/python-wheel

bench: build ## Calf, PGlite and native PostgreSQL side by side; ARGS="--quick" is short
	@bench/run $(ARGS)

install: build ## The program, libcalf, its headers, pkg-config and CMake files to $(PREFIX)
	@scripts/install-tree "$(DESTDIR)$(PREFIX)"

uninstall: ## Remove what install has copied
	@scripts/install-tree --remove "$(DESTDIR)$(PREFIX)"

format: ## Format all C++ with clang-format-19
	@scripts/format

format-check: ## Fail if a file is not formatted
	@scripts/format --check

lint: ## Includes against the modules' dependency lists, then clang-tidy; ARGS name files
	@scripts/lint $(ARGS)

asan: ## Build with address and undefined-behaviour sanitizers and run the unit tests
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(MAKE) --no-print-directory unit PRESET=asan

tsan: ## The same with the thread sanitizer
	@TSAN_OPTIONS=die_after_fork=0 $(MAKE) --no-print-directory unit PRESET=tsan

portable: ## Unit tests, and system tests that ask most of it, on the image without the GS segment
	@$(MAKE) --no-print-directory unit PRESET=portable
	@CALF_BINARY=$(CURDIR)/build/portable/calf tests/system/run test_isolation.py test_locks.py test_crash.py test_sessions_apart.py \
	  test_streaming.py test_extensions.py test_branches.py

fuzz: ## Build the fuzz targets and run each for 30 s; ARGS go to libFuzzer
	@scripts/build fuzz fuzz_startup fuzz_backend fuzz_scram fuzz_pgfiles fuzz_page_set fuzz_sql_splitter pack_fuzz snapshot_file_fuzz tar_read_fuzz
	@scripts/fuzz $(ARGS)

clean: ## Remove build/; the cache in ~/.cache/calf stays
	rm -rf build
