# make deps is the one place that installs packages.
deps:
	@deploy/deps.sh
.PHONY: deps

# make install: programs in $(prefix)/lib/kubus/bin, links to the tools in $(prefix)/bin, systemd's files below $(prefix)/lib.
DESTDIR     ?=
prefix      ?= /usr
libdir      := $(prefix)/lib/kubus
UNITS       := $(wildcard deploy/systemd/*.service deploy/systemd/*.target)
install: all
	install -d $(DESTDIR)$(libdir)/bin $(DESTDIR)$(prefix)/bin
	install -m 0755 $(addprefix $(BIN)/,$(PROGRAMS)) $(DESTDIR)$(libdir)/bin
	for p in $(filter kubus kubusctl kubus-tap,$(PROGRAMS)); do ln -sf ../lib/kubus/bin/$$p $(DESTDIR)$(prefix)/bin/$$p; done
	@$(MAKE) --no-print-directory install-units
# The units alone, with the programs' folder written in.
install-units:
	install -d $(DESTDIR)$(prefix)/lib/systemd/system $(DESTDIR)$(prefix)/lib/sysusers.d $(DESTDIR)$(prefix)/lib/tmpfiles.d
	for u in $(UNITS); do sed 's,@libdir@,$(libdir),g' $$u >$(DESTDIR)$(prefix)/lib/systemd/system/$${u##*/} || exit 1; done
	install -m 0644 deploy/systemd/sysusers.d/kubus.conf $(DESTDIR)$(prefix)/lib/sysusers.d
	install -m 0644 deploy/systemd/tmpfiles.d/kubus.conf $(DESTDIR)$(prefix)/lib/tmpfiles.d
.PHONY: install install-units
