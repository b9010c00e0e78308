#!/bin/bash
# Calls that no file of ours makes: each has a bounded or clearer sibling.
set -u
cd "$(dirname "$0")/../.."
calls='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|alloca|system|popen|mktemp|tmpnam|gmtime|localtime|ctime|asctime|usleep'
! grep -nE "(^|[^a-zA-Z0-9_>.])($calls) ?\(" -r base schemas bus storage services tests --include='*.c' --include='*.h' --include='*.cpp' |
  grep -vE ':[0-9]+: *(/\*|\*|//)' | sed 's/$/   <- banned/' | grep .
