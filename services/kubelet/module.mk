KUBELET_SRC := $(filter-out services/kubelet/main.c,$(wildcard services/kubelet/*.c))
$(call library,kubelet,$(KUBELET_SRC),libarchive openssl)
ifneq (,$(and $(wildcard services/common/informer.c),$(wildcard services/common/api.c)))
$(call program,kubus-kubelet,services/kubelet/main.c,kubelet common bus schemas base)
endif
