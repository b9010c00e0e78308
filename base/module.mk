$(call library,base,$(wildcard base/*.c) $(wildcard base/http/*.c),libevent libevent_openssl libevent_pthreads libnghttp2 libcurl openssl zlib libbsd libsystemd,-lwslay -lhttp_parser)
