$(call library,svc-launcher,$(filter-out %/main.c,$(wildcard services/launcher/*.c)),openssl libsystemd)
$(if $(wildcard bus/bus.c),$(call program,kubus,services/launcher/main.c,svc-launcher bus schemas base))
