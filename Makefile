# muster: see README.md. "make" shows what there is.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  = -s -w -X muster/internal/build.version=$(VERSION) -X muster/internal/build.commit=$(COMMIT)
# Static, and the same bytes wherever it is built: no paths, no C compiler, no
# stamp of Go's own beside version and commit.
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
PLATFORMS = linux/amd64 linux/arm64 darwin/arm64 windows/amd64
GO      ?= go
# Debian's own Python: that is the one which has its python3-… packages.
PYTHON  ?= /usr/bin/python3
SHELL   := /bin/bash -o pipefail

DURATION ?=
DEVICES  ?= 2000

.PHONY: help build demo test race interop fuzz sim crash bench peers growth profile attack pages restart screenshots dashboards lint cross release

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

build: ## build the three programs into bin/
	$(BUILD) -o bin/ ./cmd/...

demo: build ## a server, a license and DEVICES simulated devices, until Ctrl-C or DURATION=10s
	bin/muster demo --devices $(DEVICES) $(if $(DURATION),--duration $(DURATION))

test: ## every test that needs only Go
	$(GO) test ./...

race: ## the same under the race detector
	$(GO) test -race -timeout 40m ./...

interop: build ## a second client of the protocol, in Python, against the vectors and a real server
	@missing=; \
	$(PYTHON) -c '' 2>/dev/null || missing="$$missing python3"; \
	for module in msgpack cryptography; do \
	  $(PYTHON) -c "import $$module" 2>/dev/null || missing="$$missing python3-$$module"; \
	done; \
	test -z "$$missing" || { echo "make interop: $(PYTHON) lacks what these Debian packages bring:$$missing" >&2; exit 1; }
	cd protocol/interop && $(PYTHON) -B -m unittest test_vectors test_server

FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "$$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

SEEDS ?= 1000
SEED  ?= 0
sim: ## SEEDS seeded simulations of crashes, lost messages and bad disks, from SEED on
	$(GO) test ./sim -count=1 -v -timeout 0 -run '^TestSimulation$$' -seeds $(SEEDS) -seed $(SEED) | grep --line-buffered -v -e '^=== ' -e '^    --- PASS'

CYCLES ?= 200
crash: ## kill -9 and power cuts of the real server under load, CYCLES times each; power cuts need Linux and root
	$(GO) test ./cmd/muster -count=1 -v -timeout 0 -run '^(TestKillNine|TestPowerCut)$$' -cycles $(CYCLES)

bench: build ## measure: what a report costs the server, against bare echoes
	bin/muster-bench

ROUNDS ?= 5
TIME   ?= 5s
peers: build ## the same beside Redis, at depths 1, 16 and 128; needs redis-server
	bin/muster-bench peers --rounds $(ROUNDS) --time $(TIME)

growth: build ## what many devices, a checkpoint under way and a second event loop cost
	bin/muster-bench growth --rounds $(ROUNDS) --time $(TIME)
	bin/muster-bench loops --rounds $(ROUNDS) --time $(TIME)

profile: build ## CPU and allocation profiles of the canonical loads, into profiles/
	@for load in "report, 16 a record, 50" "report, 1 a record" "check-in" "report, 1,000" "report by UDP"; do \
	  bin/muster-bench --rounds 1 --time 10s --only "$$load" --profile "profiles/$$load" || exit 1; \
	  $(GO) tool pprof -top -nodecount 25 bin/muster "profiles/$$load/cpu.pprof" 2>/dev/null | tee "profiles/$$load/top.txt" | sed -n 4,16p; \
	  $(GO) tool pprof -traces "profiles/$$load/cpu.pprof" 2>/dev/null | awk -f bench/layers.awk | tee "profiles/$$load/layers.txt"; \
	done

attack: build ## what honest devices notice of hostile traffic; Linux, as root
	bin/muster-bench attack --rounds $(ROUNDS) --time $(TIME) $(if $(ONLY),--only "$(ONLY)")

pages: ## how long pages and queries take with a million devices, 100 projects and 400 days, under load
	$(GO) test ./cmd/muster -count=1 -v -timeout 0 -run '^TestPagesUnderLoad$$' -pages-devices 1000000 -pages-projects 100 -pages-days 400 -pages-rounds 100

restart: ## how long a start takes with ten million devices, and how much memory
	$(GO) test ./cmd/muster -count=1 -v -timeout 0 -run '^TestPagesUnderLoad$$' -pages-devices 10000000 -pages-projects 10 -pages-days 4

screenshots: ## pictures of every page of the portal, into docs/img; needs chromium
	MUSTER_BROWSER=required $(GO) test ./cmd/muster -count=1 -run '^TestScreenshots$$' -screenshots $(CURDIR)/docs/img

dashboards: ## pictures of the dashboards of a server under load, into docs/img; needs chromium and prometheus
	MUSTER_BROWSER=required MUSTER_PROMETHEUS=required $(GO) test ./cmd/muster -count=1 -run '^TestDashboardPictures$$' -dashboards $(CURDIR)/docs/img

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these files"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

cross: ## build for every platform that is released
	@for platform in $(PLATFORMS); do \
	  echo "$$platform"; \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) build ./... || exit 1; \
	done

CYCLONEDX = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
release: build ## archives for every platform, their checksums and SBOMs, into dist/
	@rm -rf dist && mkdir dist
	@for platform in $(PLATFORMS); do \
	  name=muster-$(VERSION)-$${platform%/*}-$${platform#*/}; \
	  mkdir dist/$$name && cp -r README.md CHANGELOG.md LICENSE docs deploy dist/$$name/ && \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} $(BUILD) -o dist/$$name/ ./cmd/... && \
	  tar -C dist --sort=name --mtime=@$$(git log -1 --format=%ct) --owner=0 --group=0 --numeric-owner -cf - $$name | gzip -n >dist/$$name.tar.gz && \
	  rm -r dist/$$name || exit 1; \
	done
	for program in bin/*; do \
	  $(GO) run $(CYCLONEDX) bin -json -noserial -version $(VERSION) -output dist/$${program#bin/}-$(VERSION).cdx.json $$program || exit 1; \
	done
	cd dist && sha256sum *.tar.gz *.json >SHA256SUMS
