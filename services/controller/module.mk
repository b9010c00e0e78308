$(call library,svc-controller,$(filter-out services/controller/main.c,$(wildcard services/controller/*.c)))
