$(call program,kubus-tap,$(wildcard bus/tap/*.c),base schemas bus)
