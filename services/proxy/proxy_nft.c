#include "services/proxy/proxy_nft.h"

#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct proxy_nft {
  struct nft_ctx *ctx;
};

struct proxy_nft *
proxy_nft_new (struct err *err)
{
  struct proxy_nft *n = mem_zalloc (sizeof *n);
  if (n)
    n->ctx = nft_ctx_new (NFT_CTX_DEFAULT);
  if (!n || !n->ctx || nft_ctx_buffer_error (n->ctx) != 0 || nft_ctx_buffer_output (n->ctx) != 0) {
    proxy_nft_free (n);
    (void) err_set (err, ERR_INTERNAL, "libnftables could not be opened");
    return NULL;
  }
  return n;
}

void
proxy_nft_free (struct proxy_nft *n)
{
  if (!n)
    return;
  if (n->ctx)
    nft_ctx_free (n->ctx);
  free (n);
}

int
proxy_nft_run (struct proxy_nft *n, const char *script, struct err *err)
{
  int rc = nft_run_cmd_from_buffer (n->ctx, script);
  const char *text = nft_ctx_get_error_buffer (n->ctx); /* empties it, too */
  (void) nft_ctx_get_output_buffer (n->ctx);
  if (rc == 0)
    return 0;
  text = text ? text : "";
  return err_set (err, strstr (text, "Operation not permitted") ? ERR_DENIED : ERR_INVALID, "nft: %.*s", (int) strcspn (text, "\n"), text);
}
