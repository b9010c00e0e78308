# Everything but main as a library, so that tests link it.
$(call library,svc-scheduler,$(filter-out services/scheduler/main.c,$(wildcard services/scheduler/*.c)),,-lm)
$(if $(and $(wildcard bus/bus.c),$(wildcard services/common/informer.c),$(wildcard services/common/api.c)),$(call program,kubus-scheduler,services/scheduler/main.c,svc-scheduler common bus schemas base))
