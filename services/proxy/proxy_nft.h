/* nft scripts carried out by libnftables: a script is one transaction, all or nothing. */
#ifndef SERVICES_PROXY_PROXY_NFT_H
#define SERVICES_PROXY_PROXY_NFT_H

#include "base/err.h"

struct proxy_nft;
struct proxy_nft *proxy_nft_new (struct err *err);
void proxy_nft_free (struct proxy_nft *n); /* NULL allowed */
/* ERR_DENIED without CAP_NET_ADMIN, ERR_INVALID else, with nft's own words. Nothing was changed then. */
int proxy_nft_run (struct proxy_nft *n, const char *script, struct err *err);

#endif
