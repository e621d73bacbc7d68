# SPDX-License-Identifier: Apache-2.0
# Meson is the build; this file only calls it, the set-up script and the programs that they make.

BUILD  ?= build
PYTHON := $(shell [ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)
MESON   = meson

.PHONY: all build run lab-central test check asan soak bench clean distclean help

all: build

build: ## install what is missing, build into build/
	scripts/setup.sh build
	@[ -f $(BUILD)/build.ninja ] || $(MESON) setup $(BUILD)
	$(MESON) compile -C $(BUILD)

run: ## the main job in a lab of two network namespaces (root); CENTRAL=host:port forwards there; Ctrl-C ends it
	@scripts/setup.sh build run
	@[ -f $(BUILD)/build.ninja ] || $(MESON) setup $(BUILD)
	@$(MESON) compile -C $(BUILD)
	@exec $(PYTHON) lab/lab.py --build $(BUILD) # which finds CENTRAL in its environment

lab-central: ## a central Apache Kafka of one node to try make run CENTRAL=... with; Ctrl-C ends it
	@scripts/setup.sh central
	@exec $(PYTHON) lab/central.py

test: ## install what is missing, run the whole suite
	@scripts/setup.sh build run test || [ $$? -eq 3 ]
	$(PYTHON) scripts/run-tests.py --build $(BUILD)

check: ## quick: unit and fuzz suites and style; no root, no namespaces
	$(PYTHON) scripts/run-tests.py --quick --build $(BUILD)

asan: ## the suites under AddressSanitizer and UBSan only
	@scripts/setup.sh build run test || [ $$? -eq 3 ]
	$(PYTHON) scripts/run-tests.py --only asan --build $(BUILD)

soak: ## what is too long for `make test`: ten minutes without the centre, and catching up
	@scripts/setup.sh build run test
	@[ -f $(BUILD)/build.ninja ] || $(MESON) setup $(BUILD)
	@$(MESON) compile -C $(BUILD)
	$(MESON) test -C $(BUILD) --no-rebuild --suite long --verbose

bench: ## measure beside the peers; table and build/bench/results.json
	@scripts/setup.sh build run bench
	@[ -f $(BUILD)/build.ninja ] || $(MESON) setup $(BUILD)
	@$(MESON) compile -C $(BUILD)
	$(PYTHON) tests/bench/run.py --build $(BUILD)

clean: ## remove what was built; keep what was downloaded
	@[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +

distclean: ## remove build/ with the downloads
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
		while read -r target text; do printf 'make %-12s %s\n' "$$target" "$$text"; done
