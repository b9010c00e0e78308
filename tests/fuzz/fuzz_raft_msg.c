/* Bytes as a Raft message, a membership change and a membership; what decodes must encode again. */
#include "base/err.h"
#include "storage/raft/raft_msg.h"

int fuzz_one (const uint8_t *data, size_t size);

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct raft_msg m;
  struct raft_conf_change cc;
  struct raft_conf conf;
  if (raft_msg_decode (data, size, &m, NULL) == 0) {
    struct buf out = BUF_INIT;
    REQUIRE (raft_msg_encode (&m, &out, NULL) == 0);
    buf_done (&out);
    raft_msg_done (&m);
  }
  if (raft_conf_change_decode (data, size, &cc, NULL) == 0)
    raft_conf_change_done (&cc);
  (void) raft_conf_decode (data, size, &conf, NULL);
  return 0;
}
