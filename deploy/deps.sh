#!/bin/bash
# make deps: installs the Debian packages of deploy/deps.txt that are missing. When none is, it changes nothing and needs
# no network.
set -euo pipefail
cd "$(dirname "$0")"
missing=$(while read -r p; do
  case $p in '' | '#'*) continue ;; esac
  dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || echo "$p"
done <deps.txt)
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:" $missing
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
