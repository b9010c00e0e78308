#!/bin/bash
# The layers of the house: a folder includes only itself and what stands above it in this list; a service includes no other
# service but services/common. Prints each offence as file:line and fails.
set -u
cd "$(dirname "$0")/../.."
order="base schemas bus storage services"
status=0
while IFS=: read -r file line text; do
  from=${file%%/*}
  to=$(sed -E 's/.*#include "([^/"]+).*/\1/' <<<"$text")
  path=$(sed -E 's/.*#include "([^"]+)".*/\1/' <<<"$text")
  case " $order " in *" $from "*) ;; *) continue ;; esac
  allowed=no
  for layer in $order; do
    [ "$layer" = "$to" ] && allowed=yes
    [ "$layer" = "$from" ] && break
  done
  if [ "$from" = services ] && [ "$to" = services ]; then
    mine=$(cut -d/ -f2 <<<"$file") other=$(cut -d/ -f2 <<<"$path")
    [ "$mine" = "$other" ] || [ "$other" = common ] || allowed=no
  fi
  if [ $allowed = no ]; then
    echo "$file:$line: $from may not include $path"
    status=1
  fi
done < <(grep -nE '^#include "' -r base schemas bus storage services --include='*.c' --include='*.h' --include='*.cpp')
exit $status
