$(call library,svc-launcher,$(filter-out %/main.c,$(wildcard services/launcher/*.c)),openssl libsystemd)
$(if $(wildcard bus/bus.c),$(call program,kubus,services/launcher/main.c,svc-launcher bus schemas base))

# make up, down, clean-cluster: the cluster of $KUBUS_DIR (.kubus).
up: deps
	@$(MAKE) -j$(JOBS) --no-print-directory all
	@$(BIN)/kubus up
down:
	@$(BIN)/kubus down
clean-cluster: down
	rm -rf "$${KUBUS_DIR:-.kubus}"
.PHONY: up down clean-cluster
