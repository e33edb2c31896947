# make demo and make test install what they need (as root; else they say what
# is missing) and do the rest.

export CGO_ENABLED ?= 0
BIN := bin
GO ?= go

include nas/nas.mk
include benchmarks/partrans/partrans.mk

.PHONY: build test test-programs test-scale demo lint bench setup clean
.DEFAULT_GOAL := build

build: $(BIN)/gompirun nas partrans

$(BIN)/gompirun: FORCE
	$(GO) build -trimpath -o $@ ./cmd/gompirun
FORCE:

setup:
	ci/setup

demo: setup
	$(MAKE) build
	ci/demo

test: setup
	$(MAKE) build
	ci/test

# Some thirty programs that people use, in a terminal; ci/test runs the small ones.
test-programs:
	ci/setup --programs
	$(MAKE) $(BIN)/gompirun
	GOMPIRUN_PROGRAMS=all $(GO) test -count=1 -timeout 60m -v ./ci/programs

# 128 ranks on 32 test hosts, both MPIs: the tree, which ci/test has too, and NAS programs.
test-scale: setup build
	$(GO) test -count=1 -timeout 90m -v ./ci/jobs -run 'TestTree|TestNASProgramsOfManyRanks' -args -scale.nas

lint:
	ci/lint

bench: build
	$(GO) run ./benchmarks

clean: nas-clean partrans-clean
	rm -rf $(BIN)
