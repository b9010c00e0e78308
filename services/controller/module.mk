$(call library,svc-controller,$(filter-out %/main.c,$(wildcard services/controller/*.c)))
# Linked once what it stands on is there.
ifneq (,$(and $(wildcard services/common/informer.c),$(wildcard services/common/api.c),$(wildcard schemas/selector.c)))
$(call program,kubus-controller,services/controller/main.c,svc-controller common bus schemas base)
endif
