#!/bin/bash
# Every header compiles alone.
set -u
cd "$(dirname "$0")/../.."
status=0
flags="-std=gnu17 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -Ibuild/gen $(pkg-config --cflags libnghttp2 libevent openssl libzmq libczmq msgpack rocksdb cmocka libarchive 2>/dev/null)"
while read -r h; do
  case $h in */*_internal.h | tests/lib/fuzz.h) ;; esac
  echo "#include \"$h\"" | ${CC:-gcc} $flags -fsyntax-only -x c - || { echo "$h does not compile alone"; status=1; }
done < <(git ls-files 'base/*.h' 'schemas/*.h' 'bus/*.h' 'storage/*.h' 'services/*.h' 'tests/*.h')
exit $status
