$(call library,svc-common,$(wildcard services/common/*.c))
