$(call library,svc-dns,$(filter-out services/dns/main.c,$(wildcard services/dns/*.c)),libevent)
