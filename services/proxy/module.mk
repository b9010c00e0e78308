$(call library,svc-proxy,$(filter-out services/proxy/main.c,$(wildcard services/proxy/*.c)),libnftables)
$(if $(and $(wildcard bus/bus.c),$(wildcard services/common/informer.c)),$(call program,kubus-proxy,services/proxy/main.c,svc-proxy common bus schemas base))
