$(call library,schemas,$(wildcard schemas/*.c) $(wildcard schemas/*.cpp),simdjson yaml-0.1 libpcre2-8,-lstdc++)
