$(call library,bus,$(wildcard bus/*.c),libzmq libczmq msgpack)
