$(call library,svc-store,$(filter-out %/main.c,$(wildcard services/store/*.c)))
$(if $(wildcard bus/bus.c),$(call program,kubus-store,services/store/main.c,svc-store common storage bus schemas base))
