# A thin layer over CMake, for people: each target alone is enough on a machine with git and make.
#
#   make          build
#   make run      see the samples answer under a real Fossil; ONCE=1 ends after that, PORT=8080
#   make check    make lint, then build and run all tests, with sanitizers too
#   make lint     check formatting, mistakes and wording, in a minute or two;
#                 CHECKS="phrases columns" runs these alone (tests/lint/lint.py --list)
#   make lint-baseline  count again the findings that files may still have
#   make format   format all C files
#   make fuzz     search for inputs that break a parser, with clang; FUZZ=route, and
#                 FUZZ_SECONDS=600 each
#   make bench    measure, side by side with plain CGI; and apps beside uWSGI and others:
#                 make bench-apps, ROWS="hello flask"; make bench-fossil is the first alone
#   make bench-tuning  measure what each part of the speed machinery gains; PARTS="huge-text warm"
#   make soak     mixed load for 600 s while the host is being hurt; SOAK_SECONDS=
#   make recovery measure the time from the death or hang of each kind of process to the next right
#                 answer, 20 times each, in a quarter of an hour; RECOVERY_ROUNDS=, KINDS="front"
#   make image    a root file system and an OCI image of it in build/image; FOSSIL=, UID=499
#   make check-image  test it, by podman; AGAIN=1: and whether it is the same built again
#   make check-docker  build both targets of the Dockerfile, and test them and what runs them
#   make check-fronts  ask one table of cases through nginx, Apache, lighttpd, HAProxy, Caddy, h2o
#                 and Fossil side by side; it installs them, takes minutes, and is no part of make
#                 check
#   make install  into /usr/local, or PREFIX=
#   make deps     install the Debian packages that are missing (as root, or with sudo)

PREFIX ?= /usr/local
PORT ?= 8080
ONCE ?=
FUZZ ?=
AGAIN ?=
ROWS ?=
PARTS ?=
KINDS ?=
CHECKS ?=
FOSSIL = /usr/bin/fossil
UID = 499
FUZZ_SECONDS ?= 600
BUILD = build/release
# Tests wait more than they compute.
JOBS ?= $(shell expr 2 \* $$(nproc))

all: build

deps:
	@.ci/deps

build: deps
	@test -f $(BUILD)/build.ninja || cmake --preset release >/dev/null
	@cmake --build --preset release

run: build
	@/usr/bin/python3 tests/demo/run.py --build $(BUILD) --port $(PORT) $(if $(ONCE),--once)

check: lint build check-tsan check-asan
	@ctest --preset release -j$(JOBS)

check-asan: deps
	@test -f build/asan/build.ninja || cmake --preset asan >/dev/null
	@cmake --build --preset asan
	@ctest --preset asan -j$(JOBS)

check-tsan: deps
	@test -f build/tsan/build.ninja || cmake --preset tsan >/dev/null
	@cmake --build --preset tsan
	@ctest --preset tsan -j$(JOBS)

# The debug build is configured for its compile_commands.json, and not built.
lint:
	@.ci/deps lint
	@cmake --preset debug >/dev/null
	@/usr/bin/python3 -B tests/lint/lint.py $(CHECKS)

lint-baseline:
	@/usr/bin/python3 -B tests/lint/lint.py --baseline

format:
	@.ci/deps lint
	@git ls-files -z --cached --others --exclude-standard \
		'host/*.[ch]' 'bindings/*.[ch]' 'tests/*.[ch]' | xargs -0 clang-format-14 -i

fuzz: deps
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ)

bench: bench-fossil bench-apps

bench-fossil: build
	@/usr/bin/python3 tests/bench/run.py --build $(BUILD)

bench-tuning: build
	@/usr/bin/python3 -B tests/bench/tuning.py --build $(BUILD) $(PARTS)

bench-apps: build
	@.ci/deps bench
	@/usr/bin/python3 -B tests/bench/apps.py --build $(BUILD) $(ROWS)

soak: build
	@/usr/bin/python3 -B tests/soak/soak.py --build $(BUILD)

recovery: build
	@EXTHOST_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B tests/soak/recovery.py $(KINDS)

image: deps
	@cmake --preset image \
		-DEXTHOST_FOSSIL=$(abspath $(FOSSIL)) -DEXTHOST_IMAGE_UID=$(UID) >/dev/null
	@cmake --build --preset image
	@host/image/build.sh image build/image $(UID)

check-image: image
	@command -v podman >/dev/null || tests/image/podman.sh
	@ctest --preset image
	@$(if $(AGAIN),tests/image/again.sh)

check-docker: deps
	@tests/docker/build.sh build/docker
	@/usr/bin/python3 -B -m pytest -q -s -p no:cacheprovider -c tests/pytest.ini \
		--rootdir tests/docker tests/docker

check-fronts: build
	@.ci/deps fronts
	@EXTHOST_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B -m pytest -p no:cacheprovider \
		-c tests/fronts/pytest.ini --rootdir tests/fronts tests/fronts

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build

.PHONY: all deps build run check check-asan check-tsan lint lint-baseline format fuzz bench \
	bench-fossil bench-apps bench-tuning soak recovery image check-image check-docker check-fronts \
	install clean
