$(call library,svc-dns,$(filter-out services/dns/main.c,$(wildcard services/dns/*.c)),libevent)
$(if $(and $(wildcard bus/bus.c),$(wildcard services/common/informer.c)),$(call program,kubus-dns,services/dns/main.c,svc-dns common bus schemas base))
