$(call library,svc-ctl,services/ctl/trace_decide.c,)
