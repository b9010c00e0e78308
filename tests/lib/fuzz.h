/* Fuzz targets: tests/fuzz/fuzz_<x>.c includes this and defines fuzz_one, nothing else. As a plain program (the
   archive's fuzz.c gives it a main) it replays the files and directories named in its arguments, by default
   tests/fuzz/corpus/<x>, and then FUZZ_RUNS (2000) mutations of them from FUZZ_SEED, which it prints; a crash prints the
   input that caused it. Compiled with -DLIBFUZZER and -fsanitize=fuzzer it is a libFuzzer target.

   Invariant: the same seed, runs and corpus give the same inputs in the same order. */
#ifndef TESTS_LIB_FUZZ_H
#define TESTS_LIB_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Feeds one input to the code under test; crashes (REQUIRE, sanitizer) on a defect. data is exactly size bytes on the
   heap, so that a sanitizer sees reads beyond it; NULL when size is 0. Returns 0. */
int fuzz_one (const uint8_t *data, size_t size);

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  return fuzz_one (data, size);
}
#endif

#endif
