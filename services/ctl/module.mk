# The verbs are a library for the tests; the program is they and main.
$(call library,svc-ctl,$(filter-out %/main.c,$(wildcard services/ctl/*.c)),openssl libbsd)
$(call program,kubusctl,services/ctl/main.c,svc-ctl storage bus schemas base)
