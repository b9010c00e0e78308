#include "tests/lib/fuzz.h"

#ifndef LIBFUZZER

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (256 * 1024)
#define INPUTS_MAX 10000
#define SECONDS_PER_INPUT 30

struct input {
  uint8_t *data;
  size_t size;
};

static struct input corpus[INPUTS_MAX];
static size_t n_corpus;
static const uint8_t *now_data;
static size_t now_size;
static uint64_t now_run, rng;

static uint64_t
rnd (void)
{
  uint64_t z = rng += 0x9e3779b97f4a7c15ull; /* splitmix64 */
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

static size_t
below (size_t n)
{
  return n ? (size_t) (rnd () % n) : 0;
}

/* Only async-signal-safe calls: the program is broken by now. */
static void
on_crash (int sig)
{
  static const char hex[] = "0123456789abcdef";
  char line[96];
  ssize_t w;
  int n = snprintf (line, sizeof line, "\nfuzz: signal %d in run %llu, input of %zu bytes, hex:\n", sig,
                    (unsigned long long) now_run, now_size);
  w = write (2, line, (size_t) n);
  for (size_t i = 0; i < now_size && i < 8192; i++) {
    char two[2] = {hex[now_data[i] >> 4], hex[now_data[i] & 15]};
    w = write (2, two, 2);
  }
  w = write (2, "\n", 1);
  (void) w;
  signal (sig, SIG_DFL);
  raise (sig);
}

static void
run (const uint8_t *data, size_t size)
{
  uint8_t *exact = NULL;
  if (size) {
    if (!(exact = malloc (size)))
      abort ();
    memcpy (exact, data, size);
  }
  now_data = exact;
  now_size = size;
  alarm (SECONDS_PER_INPUT);
  (void) fuzz_one (exact, size);
  alarm (0);
  now_size = 0;
  free (exact);
  now_run++;
}

static int
load_file (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  uint8_t *p;
  ssize_t n;
  if (fd < 0 || fstat (fd, &st) < 0) {
    fprintf (stderr, "fuzz: %s: %s\n", path, strerror (errno));
    if (fd >= 0)
      close (fd);
    return -1;
  }
  if (n_corpus == INPUTS_MAX || st.st_size > INPUT_MAX || !(p = malloc ((size_t) st.st_size + 1))) {
    fprintf (stderr, "fuzz: %s: too large or too many inputs\n", path);
    close (fd);
    return -1;
  }
  n = read (fd, p, (size_t) st.st_size);
  close (fd);
  corpus[n_corpus].data = p;
  corpus[n_corpus++].size = n > 0 ? (size_t) n : 0;
  return 0;
}

static int
load (const char *path)
{
  struct dirent **list;
  struct stat st;
  int rc = 0, n;
  if (stat (path, &st) == 0 && !S_ISDIR (st.st_mode))
    return load_file (path);
  if ((n = scandir (path, &list, NULL, alphasort)) < 0) {
    fprintf (stderr, "fuzz: %s: %s\n", path, strerror (errno));
    return -1;
  }
  for (int i = 0; i < n; i++) {
    char *file = NULL;
    if (list[i]->d_name[0] != '.' && (asprintf (&file, "%s/%s", path, list[i]->d_name) < 0 || load_file (file)))
      rc = -1;
    free (file);
    free (list[i]);
  }
  free (list);
  return rc;
}

/* One small change of *size bytes at p (room for INPUT_MAX). */
static void
mutate (uint8_t *p, size_t *size)
{
  static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0xc0, '"', '\\', '{', '}', '[', ']', ',', ':', '-', '.', '9', '\n', ' ', '/', '~', '='};
  size_t at = below (*size + 1), n = 1 + below (16), from;
  const struct input *other;
  switch (rnd () % 8) {
  case 0:
    if (at < *size)
      p[at] ^= (uint8_t) (1u << below (8));
    break;
  case 1:
    if (at < *size)
      p[at] = (uint8_t) rnd ();
    break;
  case 2:
    if (at < *size)
      p[at] = telling[below (sizeof telling)];
    break;
  case 3: /* cut */
    n = n < *size - at ? n : *size - at;
    memmove (p + at, p + at + n, *size - at - n);
    *size -= n;
    break;
  case 4: /* insert */
    if (*size + n > INPUT_MAX)
      break;
    memmove (p + at + n, p + at, *size - at);
    memset (p + at, telling[below (sizeof telling)], n);
    *size += n;
    break;
  case 5: /* repeat a stretch, many times now and then */
    n = below (*size - at + 1);
    for (size_t times = 1 + (below (16) ? 0 : below (200)); times && n && *size + n <= INPUT_MAX; times--) {
      memmove (p + at + n, p + at, *size - at);
      *size += n;
    }
    break;
  case 6: /* splice in a stretch of another input */
    other = &corpus[below (n_corpus)];
    from = below (other->size);
    n = below (other->size - from + 1);
    if (*size + n > INPUT_MAX)
      break;
    memmove (p + at + n, p + at, *size - at);
    memcpy (p + at, other->data + from, n);
    *size += n;
    break;
  default:
    *size = at;
  }
}

int
main (int argc, char **argv)
{
  static uint8_t work[INPUT_MAX];
  const char *runs_text = getenv ("FUZZ_RUNS"), *seed_text = getenv ("FUZZ_SEED");
  uint64_t runs = runs_text ? strtoull (runs_text, NULL, 10) : 2000;
  const char *base = strrchr (argv[0], '/');
  static const int signals[] = {SIGABRT, SIGALRM, SIGFPE, SIGBUS, SIGILL, SIGSEGV};
  size_t n_signals = sizeof signals / sizeof signals[0];
  if (seed_text)
    rng = strtoull (seed_text, NULL, 10);
  else if (getrandom (&rng, sizeof rng, 0) != sizeof rng)
    rng = (uint64_t) getpid ();
  base = base ? base + 1 : argv[0];
  printf ("%s: seed %llu\n", base, (unsigned long long) rng);
  fflush (stdout);
  for (int i = 1; i < argc; i++)
    if (load (argv[i]))
      return 1;
  if (argc == 1) {
    char dir[512];
    snprintf (dir, sizeof dir, "tests/fuzz/corpus/%s", strncmp (base, "fuzz_", 5) ? base : base + 5);
    if (load (dir))
      return 1;
  }
#ifdef __SANITIZE_ADDRESS__
  n_signals = 2; /* the sanitizer reports the rest better */
#endif
  for (size_t i = 0; i < n_signals; i++)
    signal (signals[i], on_crash);
  for (size_t i = 0; i < n_corpus; i++)
    run (corpus[i].data, corpus[i].size);
  for (uint64_t i = 0; i < runs && n_corpus; i++) {
    const struct input *from = &corpus[below (n_corpus)];
    size_t size = from->size;
    memcpy (work, from->data, size);
    for (size_t times = 1 + below (6); times; times--)
      mutate (work, &size);
    run (work, size);
  }
  printf ("%s: %zu files, %llu inputs, ok\n", base, n_corpus, (unsigned long long) now_run);
  for (size_t i = 0; i < n_corpus; i++)
    free (corpus[i].data);
  return 0;
}

#endif
