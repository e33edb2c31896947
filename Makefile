# make demo and make test install what they need (as root; else they say what
# is missing) and do the rest.

export CGO_ENABLED ?= 0
BIN := bin
GO ?= go

include nas/nas.mk
include benchmarks/partrans/partrans.mk

.PHONY: build test demo lint bench setup clean
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

lint:
	ci/lint

bench: build
	$(GO) run ./benchmarks

clean: nas-clean partrans-clean
	rm -rf $(BIN)
