$(call library,apiserver,$(filter-out services/apiserver/main.c,$(wildcard services/apiserver/*.c)),libevent openssl)
