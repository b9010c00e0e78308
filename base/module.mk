$(call library,base,$(wildcard base/*.c) $(wildcard base/http/*.c),libevent libevent_openssl libevent_pthreads libnghttp2 openssl zlib libbsd libsystemd,-lwslay)
