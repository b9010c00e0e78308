#!/bin/bash
# run.sh BINARY...: runs each cmocka program with a time limit (TEST_TIMEOUT seconds, default 120), prints what failed, and
# closes with "N passed, N failed". A program that dies, hangs or runs no test counts as one failure.
set -u
passed=0 failed=0
limit=${TEST_TIMEOUT:-120}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for bin in "$@"; do
  start=$SECONDS
  timeout -k 5 "$limit" "$bin" </dev/null >"$log" 2>&1
  status=$?
  ok=$(grep -c '^\[       OK \]' "$log")
  bad=$(grep -c '^\[  FAILED  \] test_[a-zA-Z0-9_]*$' "$log")
  skipped=$(grep -c '^\[  SKIPPED \] test_[a-zA-Z0-9_]*$' "$log")
  case $bin in */fuzz_*) [ $status -eq 0 ] && ok=1 ;; esac
  if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  if [ $((ok + bad + skipped)) -eq 0 ]; then bad=1; fi
  passed=$((passed + ok)) failed=$((failed + bad))
  if [ "$bad" -ne 0 ]; then
    echo "FAIL $bin (status $status, $ok ok, $bad failed)"
    grep -vE '^\[ RUN|^\[       OK' "$log" | tail -n 60
  else
    echo "ok   $bin ($ok tests$([ "$skipped" -gt 0 ] && echo ", $skipped skipped"), $((SECONDS - start)) s)"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
