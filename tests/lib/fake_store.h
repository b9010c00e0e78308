/* A store for tests of what reads from one: keys with all their versions, the streams that bus.h describes, any number of
   members that publish and answer "stream.snapshot" and "stream.changes". Changes are made by the test. */
#ifndef TESTS_LIB_FAKE_STORE_H
#define TESTS_LIB_FAKE_STORE_H

#include "bus/bus.h"

struct fake_store;
struct fake_member;
struct fake_store *fake_store_new (void);
void fake_store_free (struct fake_store *s); /* after its members' buses or before; detaches them */
/* A member on b. page_max: objects or changes in a page (0: no bound of its own). Aborts on failure. */
struct fake_member *fake_store_attach (struct fake_store *s, struct bus *b, const char *server_address, const char *publisher_address);
void fake_store_detach (struct fake_member *m);
void fake_store_page_max (struct fake_store *s, uint64_t page_max);
/* A peer named name may not have streams that begin with prefix. */
void fake_store_deny (struct fake_store *s, const char *name, const char *prefix);

/* Each makes one revision and publishes it at every member. index: "@i/x" or NULL; replaces the key's former one. */
uint64_t fake_store_put (struct fake_store *s, const char *key, const void *value, size_t len, const char *index, uint64_t cause);
uint64_t fake_store_delete (struct fake_store *s, const char *key);
void fake_store_compact (struct fake_store *s);  /* forgets all changes; objects stay */
void fake_store_progress (struct fake_store *s); /* of every stream that has a subscriber, at every member */
uint64_t fake_store_revision (const struct fake_store *s);
uint64_t fake_store_seq (const struct fake_store *s, const char *stream);
unsigned fake_store_snapshots (const struct fake_store *s); /* first pages answered so far */

#endif
