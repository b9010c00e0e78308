$(call library,common,$(wildcard services/common/*.c),libsystemd msgpack)
