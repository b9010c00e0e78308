# Every tests/{unit,sim,integration}/test_*.c is a program of its own; every tests/fuzz/fuzz_*.c too (its main replays a
# corpus; with clang and FUZZ=1 it becomes a libFuzzer target). They link all of our libraries: an archive gives a
# program only the members that it uses.
TEST_SRC    := $(wildcard tests/unit/test_*.c tests/sim/test_*.c tests/integration/test_*.c)
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
BENCH_SRC   := $(wildcard tests/bench/bench_*.c)
TEST_BIN    := $(patsubst tests/%.c,$(B)/tests/%,$(TEST_SRC))
FUZZ_BIN    := $(patsubst tests/%.c,$(B)/tests/%,$(FUZZ_SRC))
BENCH_BIN   := $(patsubst tests/%.c,$(B)/tests/%,$(BENCH_SRC))
OBJECTS     += $(call objects,$(TEST_SRC) $(FUZZ_SRC) $(BENCH_SRC))
$(call library,testlib,$(wildcard tests/lib/*.c),cmocka)

$(call objects,$(TEST_SRC) $(FUZZ_SRC) $(BENCH_SRC)): PKG_CFLAGS := $(shell pkg-config --cflags cmocka 2>/dev/null)
$(B)/tests/%: $(O)/tests/%.o $(patsubst %,$(O)/lib%.a,$(LIBRARIES))
	@mkdir -p $(@D)
	@echo 'LINK $@' && $(CC) $(LDFLAGS_ALL) -o $@ $< $(call link_libs,$(LIBRARIES))

tests: $(TEST_BIN) $(FUZZ_BIN)
.PHONY: tests

UNIT_BIN    := $(filter $(B)/tests/unit/% $(B)/tests/sim/%,$(TEST_BIN))
JOBS        ?= $(shell nproc)

# Under sanitizers its slow subscriber takes minutes: run by hand.
SLOW_BIN    := $(B)/tests/unit/test_bus_zmq

# make test: everything; the sanitizer variants run the unit tests and simulations again.
test: deps
	@$(MAKE) -j$(JOBS) --no-print-directory all tests
	@$(MAKE) --no-print-directory tests-asan
	@tests/run.sh $(TEST_BIN) $(FUZZ_BIN) tests/e2e/control_plane.sh $(patsubst build/%,build/asan/%,$(filter-out $(SLOW_BIN),$(UNIT_BIN)) $(FUZZ_BIN))
tests-asan:
	@$(MAKE) -j$(JOBS) --no-print-directory SAN=address,undefined unit-binaries
unit-binaries: $(UNIT_BIN) $(FUZZ_BIN)
check: all tests
	@tests/run.sh $(TEST_BIN) $(FUZZ_BIN) tests/e2e/control_plane.sh
sim: $(filter $(B)/tests/sim/%,$(TEST_BIN))
	@tests/run.sh $^
fuzz: $(FUZZ_BIN)
	@FUZZ_RUNS=$${FUZZ_RUNS:-100000} tests/run.sh $^
lint:
	@tests/lint/layers.sh
	@tests/lint/banned.sh
	@tests/lint/headers.sh
	@tests/lint/units.sh
.PHONY: test tests-asan unit-binaries check sim fuzz lint
