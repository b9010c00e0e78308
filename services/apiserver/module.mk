$(call library,apiserver,$(filter-out services/apiserver/main.c,$(wildcard services/apiserver/*.c)),libevent openssl)
$(if $(wildcard schemas/apply.c),$(call program,kubus-apiserver,services/apiserver/main.c,apiserver common storage bus schemas base))
