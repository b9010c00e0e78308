#!/bin/bash
# systemd's own checks of our units, in a root made for it: they are well-formed, and as confined as they were.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s install-units DESTDIR="$root" prefix=/usr
mkdir -p "$root/usr/lib/kubus/bin" "$root/usr/bin"
for p in kubus kubus-{store,apiserver,controller,scheduler,kubelet,proxy,dns}; do
  printf '#!/bin/sh\n' >"$root/usr/lib/kubus/bin/$p"
done
for p in systemd-tmpfiles ip; do printf '#!/bin/sh\n' >"$root/usr/bin/$p"; done
chmod 755 "$root"/usr/lib/kubus/bin/* "$root"/usr/bin/*
# What our units lean on that the machine brings.
for u in sysinit.target basic.target shutdown.target network.target multi-user.target system.slice -.slice; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$u" >"$root/usr/lib/systemd/system/$u"
done
cd "$root/usr/lib/systemd/system"
out=$(systemd-analyze verify --man=no --recursive-errors=yes --root="$root" kubus*.service kubus.target 2>&1) || { echo "$out"; exit 1; }
[ -z "$out" ] || { echo "$out"; exit 1; }
# Exposure times ten (systemd-analyze security), at most.
bad=0
while read -r unit most; do
  out=$(systemd-analyze security --no-pager --offline=true --root="$root" --threshold="$most" "$unit" 2>&1) ||
    { echo "$out" | tail -5; echo "$unit is less confined than $most"; bad=1; }
done <<'LIMITS'
kubus-store.service 25
kubus-apiserver.service 25
kubus-controller.service 25
kubus-scheduler.service 25
kubus-dns.service 30
kubus-proxy.service 35
kubus-init.service 45
kubus-kubelet.service 85
LIMITS
exit $bad
