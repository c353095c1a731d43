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
	$(Q)$(CC) $(FLAGS_$(VARIANT)) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcunit

$(O)/fuzz/%: tests/fuzz/%.c $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(BUILD) -o $@ $< $(OBJ) $(LDFLAGS) $(LDLIBS)

-include $(OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(O)/plugin/main.d
