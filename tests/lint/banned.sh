#!/bin/bash
# What no file of ours does: calls that have a bounded or clearer sibling, and locals that free themselves without being
# initialised where they are declared (an early return would free what was never made).
set -u
cd "$(dirname "$0")/../.."
status=0
look() { # WHAT PATTERN
  if grep -nE "$2" -r base bus schemas storage services tests --include='*.c' --include='*.h' --include='*.cpp' | grep -vE ':[0-9]+: *(/\*|\*|//)' | sed "s/\$/   <- $1/" | grep .; then
    status=1
  fi
}
calls='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|alloca|system|popen|mktemp|tmpnam|gmtime|localtime|ctime|asctime|usleep'
look banned "(^|[^a-zA-Z0-9_>.])($calls) ?\("
look 'not initialised' '[a-z_0-9] AUTO_(ARENA|BUF|FREE|CLOSE|PKEY|X509) *[;,]'
exit $status
