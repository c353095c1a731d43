# cdex-push. `make help` lists the targets.
VARIANT ?= release
O       := build/$(VARIANT)
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
CC      ?= gcc
PREFIX  ?= /usr/local
VERSION := 0.1.0
PKGS    := rdkafka jansson libcurl libcrypto libmicrohttpd lmdb libxxhash

ifneq ($(shell command -v pkg-config),)
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null)
endif
CPPFLAGS += -D_GNU_SOURCE -DCDX_VERSION='"$(VERSION)"' -Iplugin
LDLIBS   += -lroaring -lpthread -lm
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
FLAGS_release := -O2 -g
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_oom     := -O1 -g -DCDX_OOM
FLAGS_cover   := -O0 -g --coverage
CFLAGS  ?=
BUILD    = $(CC) -std=gnu11 -MMD -MP $(WARN) $(WERROR) $(FLAGS_$(VARIANT)) $(CPPFLAGS) $(CFLAGS)

SRC      := $(wildcard plugin/*/*.c)
OBJ      := $(SRC:%.c=$(O)/%.o)
UNIT_SRC := $(wildcard tests/unit/*.c tests/unit/*/*.c)
UNIT_OBJ := $(UNIT_SRC:%.c=$(O)/%.o)
FUZZ     := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/*.c))

.DEFAULT_GOAL := all
.PHONY: all
all: $(O)/cdex-push ## the program, in build/release

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(BUILD) -c $< -o $@

$(O)/cdex-push: $(OBJ) $(O)/plugin/main.o
	@echo "  link $@"
	$(Q)$(CC) $(FLAGS_$(VARIANT)) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/unit: $(OBJ) $(UNIT_OBJ)
	@echo "  link $@"
	$(Q)$(CC) $(FLAGS_$(VARIANT)) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcunit -lssl

$(O)/fuzz/%: tests/fuzz/%.c $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(BUILD) -o $@ $< $(OBJ) $(LDFLAGS) $(LDLIBS)

-include $(OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(O)/plugin/main.d

# -- running ----------------------------------------------------------------------------------------------------------

.PHONY: deps test-deps demo test unit system soak bench validate
deps: ## install what building and the demo need (packages; sudo where not root); skips what is there
	$(Q)tests/deps build

test-deps: deps
	$(Q)tests/deps test

demo: deps ## the main job in one process: a hospital's feed, three payers, an outage; under two minutes
	@$(MAKE) --no-print-directory all
	@$(O)/cdex-push demo --data tests/demo $(DEMO)

test: test-deps ## every test: unit, checks, the FHIR validator, and the program on a real Apache Kafka
	@$(MAKE) --no-print-directory all $(O)/unit $(O)/samples
	$(Q)tests/run $(O)

unit: $(O)/unit ## the unit tests alone; SUITE=push/ runs some
	$(Q)$(O)/unit $(SUITE)

system: $(O)/cdex-push $(O)/fencing ## the system tests alone; NAME=kill9 runs some
	$(Q)tests/kafka/fetch && tests/system/run $(NAME)

soak: $(O)/cdex-push ## kill -9 at random for SECONDS (default 600)
	$(Q)tests/kafka/fetch && CDX_SOAK=$(or $(SECONDS),600) tests/system/run kill9

validate: $(O)/samples ## one notification of each kind against the HAPI FHIR validator
	$(Q)rm -rf $(O)/bundles && mkdir -p $(O)/bundles && $(O)/samples $(O)/bundles && tests/validate/run $(O)/bundles/*.json

bench: $(O)/cdex-push $(BENCH) ## speed and memory against a do-nothing control in the same run; never a verdict
	$(Q)tests/kafka/fetch && tests/bench/run $(BENCH_ARGS)

BENCH := $(patsubst tests/bench/%.c,$(O)/bench/%,$(wildcard tests/bench/*.c))
$(O)/bench/%: tests/bench/%.c $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(BUILD) -o $@ $< $(OBJ) $(LDFLAGS) $(LDLIBS)

$(O)/samples: tests/validate/samples.c $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(BUILD) -Itests/unit -o $@ $< $(OBJ) $(LDFLAGS) $(LDLIBS)

$(O)/fencing: tests/system/fencing.c
	@mkdir -p $(@D)
	$(Q)$(BUILD) -o $@ $< $(LDFLAGS) $(LDLIBS)

# -- sanitizers, faults, fuzzing --------------------------------------------------------------------------------------

.PHONY: asan tsan oom fuzz cover analyze
asan: ## the unit tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory VARIANT=asan unit

tsan: ## the unit tests under the thread sanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan unit

WRAP := malloc calloc realloc reallocarray strdup strndup free posix_memalign asprintf vasprintf
$(O)/oom: $(wildcard tests/oom/*.c) $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(BUILD) -Itests/unit -o $@ $(filter %.c,$^) $(OBJ) $(WRAP:%=-Wl,--wrap=%) $(LDFLAGS) $(LDLIBS)

oom: $(O)/oom ## the pure stages with every allocation failing in turn
	$(Q)$(O)/oom

FUZZ_ROUNDS ?= 200000
fuzz: ## every parser under mutations of the cases, with sanitizers; FUZZ_ROUNDS=n or 30s
	@$(MAKE) --no-print-directory VARIANT=asan fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZ)
	$(Q)tests/fuzz/run $(O)/fuzz $(FUZZ_ROUNDS)

cover: ## line coverage of the unit tests by folder
	@$(MAKE) --no-print-directory VARIANT=cover unit
	$(Q)find build/cover/plugin -name '*.gcda' | xargs gcov -n 2>/dev/null | awk '/^File .plugin/{f=$$2} /^Lines executed/&&f{split($$2,a,":");sub("%","",a[2]);split(f,d,"/");n[d[2]]+=$$4;c[d[2]]+=a[2]*$$4/100;f=""} END{for(k in n)printf "%-10s %5.1f %% of %d lines\n",k,100*c[k]/n[k],n[k]}' | sort

analyze: ## gcc -fanalyzer over the sources
	$(Q)for f in $(SRC); do $(BUILD) -fanalyzer -c $$f -o /dev/null || exit 1; done

# -- style ------------------------------------------------------------------------------------------------------------

FORMATTED := $(wildcard plugin/*.c plugin/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])

.PHONY: check check-style check-format format
format: ## bring the sources into the form of .clang-format
	clang-format -i $(FORMATTED)

check-format:
	$(Q)if clang-format --version 2>/dev/null | grep -q 'version 14'; then clang-format --dry-run -Werror $(FORMATTED); \
	else echo "check-format: SKIPPED, clang-format 14 is not here (apt-get install clang-format)"; fi

check: ## warnings as errors, style and documentation checks
	@$(MAKE) --no-print-directory VARIANT=check WERROR=-Werror all build/check/unit
	@$(MAKE) --no-print-directory check-style

FLAGS_check := -O1 -g
check-style: $(O)/cdex-push check-format
	$(Q)tests/check-layers
	$(Q)tests/check-headers
	$(Q)tests/check-banned
	$(Q)tests/check-suites
	$(Q)tests/check-docs

# -- installing -------------------------------------------------------------------------------------------------------

.PHONY: install dist clean help
install: all ## to PREFIX (/usr/local), below DESTDIR
	install -D -m 755 $(O)/cdex-push $(DESTDIR)$(PREFIX)/bin/cdex-push
	for d in topics topics/kafka mappings/r4; do mkdir -p $(DESTDIR)$(PREFIX)/share/cdex-push/$$d; done
	install -m 644 topics/*.json $(DESTDIR)$(PREFIX)/share/cdex-push/topics
	install -m 644 topics/kafka/*.json $(DESTDIR)$(PREFIX)/share/cdex-push/topics/kafka
	install -m 644 mappings/r4/* $(DESTDIR)$(PREFIX)/share/cdex-push/mappings/r4

dist: ## a source archive in build/
	git archive --format=tar.gz --prefix=cdex-push-$(VERSION)/ -o build/cdex-push-$(VERSION).tar.gz HEAD

clean: ## remove what was built (fetched jars stay)
	rm -rf build/release build/asan build/tsan build/oom build/cover build/check

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n",$$1,$$2}' $(MAKEFILE_LIST)
