$(call library,schemas,$(wildcard schemas/*.c) $(wildcard schemas/*.cpp) schemas/tables.c,simdjson yaml-0.1 libpcre2-8 libcrypto,-lstdc++)

# The tables of the API: the rows compiled to C by a host program (never sanitised, shared by all variants).
$(GEN)/schemac: $(wildcard schemas/gen/*.c schemas/gen/*.h) schemas/schema.h
	@mkdir -p $(@D)
	@echo 'HOST $@' && $(CC) -std=gnu17 -O1 $(WARN) $(CWARN) -Werror -D_GNU_SOURCE -I. -o $@ $(filter %.c,$^)
$(GEN)/schemas/tables.c: $(GEN)/schemac $(wildcard schemas/api/*.rows)
	@mkdir -p $(@D)
	@echo 'GEN  $@' && $(GEN)/schemac $@ $(filter %.rows,$^)
