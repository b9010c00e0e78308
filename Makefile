# kubus: one non-recursive Makefile; every folder adds to it by a module.mk of its own.
# Variants: make SAN=address,undefined ... and make SAN=thread ... build beside the release in build/<variant>/.

SHELL       := /bin/bash
MAKEFLAGS   += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := all

comma       := ,
SAN         ?=
VARIANT     := $(if $(SAN),$(if $(findstring address,$(SAN)),asan,tsan),release)
B           := $(if $(SAN),build/$(VARIANT),build)
O           := $(B)/obj
BIN         := $(B)/bin
GEN         := build/gen

CC          ?= gcc
CXX         ?= g++
ifeq ($(origin CC),default)
CC          := gcc
endif
ifeq ($(origin CXX),default)
CXX         := g++
endif
WARN        := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wformat=2
CWARN       := -Wstrict-prototypes -Wmissing-prototypes
HARDEN      := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
OPT         := $(if $(SAN),-O1 -fno-omit-frame-pointer,-O2)
COMMON      := -g $(OPT) $(WARN) $(HARDEN) -D_GNU_SOURCE -I. -I$(GEN) -pthread $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CFLAGS_ALL  := -std=gnu17 $(COMMON) $(CWARN) -Werror $(CFLAGS)
CXXFLAGS_ALL:= -std=gnu++17 $(COMMON) -fno-rtti $(CXXFLAGS)
LDFLAGS_ALL := -pie -pthread -Wl,--as-needed -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

LIBRARIES   :=
PROGRAMS    :=
TESTS       :=
OBJECTS     :=
GENERATED   :=

# $(call objects,SOURCES): the object files of C and C++ sources.
objects      = $(patsubst %.cpp,$(O)/%.o,$(patsubst %.c,$(O)/%.o,$(1)))

# $(call library,NAME,SOURCES,PKG-CONFIG NAMES,PLAIN LIBRARIES): a static library in build/lib.
define library_rules
LIBRARIES += $(1)
$(1)_PKG  := $(3)
$(1)_LIBS := $(4)
OBJECTS   += $(call objects,$(2))
$(O)/lib$(1).a: $(call objects,$(2))
$(call objects,$(2)): PKG_CFLAGS := $(if $(strip $(3)),$(shell pkg-config --cflags $(3) 2>/dev/null))
endef
library      = $(eval $(call library_rules,$(1),$(2),$(3),$(4)))

# $(call program,NAME,SOURCES,LIBRARIES): an executable in build/bin, linked with the named libraries of ours
# and what those need from outside.
define program_rules
PROGRAMS  += $(1)
$(1)_DEPS := $(3)
OBJECTS   += $(call objects,$(2))
$(BIN)/$(1): $(call objects,$(2)) $(patsubst %,$(O)/lib%.a,$(3))
endef
program      = $(eval $(call program_rules,$(1),$(2),$(3)))

# What a program links: its libraries as one group, then their packages' libraries.
link_libs    = -Wl,--start-group $(patsubst %,$(O)/lib%.a,$(1)) -Wl,--end-group \
               $(shell pkg-config --libs $(sort $(foreach l,$(1),$($(l)_PKG)))) $(sort $(foreach l,$(1),$($(l)_LIBS)))

include base/module.mk schemas/module.mk bus/module.mk storage/module.mk
include $(wildcard services/*/module.mk)
include tests/module.mk deploy/module.mk

all: $(addprefix $(BIN)/,$(PROGRAMS))

$(O)/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	@echo 'CC   $<' && $(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/%.o: %.cpp | $(GENERATED)
	@mkdir -p $(@D)
	@echo 'CXX  $<' && $(CXX) $(CXXFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	@echo 'CC   $<' && $(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/lib%.a:
	@rm -f $@
	@echo 'AR   $@' && ar rcsD $@ $(filter %.o,$^)
$(BIN)/%:
	@mkdir -p $(@D)
	@echo 'LINK $@' && $(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(call link_libs,$($(*F)_DEPS))

-include $(OBJECTS:.o=.d)

clean:
	rm -rf build

.PHONY: all clean
