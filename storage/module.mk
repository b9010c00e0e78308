$(call library,storage,$(wildcard storage/*.c) $(wildcard storage/*/*.c),rocksdb msgpack)
