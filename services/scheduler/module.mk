# Everything but main as a library, so that tests link it.
$(call library,svc-scheduler,$(filter-out services/scheduler/main.c,$(wildcard services/scheduler/*.c)))
