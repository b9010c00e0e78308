$(call library,bus,$(wildcard bus/*.c),libzmq libczmq msgpack)
include bus/tap/module.mk
