/* state/roster_names.h -- private to the rosters: every member key once, by number. No lock of its own. */
#ifndef CDX_STATE_ROSTER_NAMES_H
#define CDX_STATE_ROSTER_NAMES_H

#include <stdint.h>

#include "core/map.h"
#include "core/text.h"

#define CDX_NO_MEMBER UINT32_MAX
/* A base URL and a reference; a longer text is no member key. */
#define CDX_MAX_MEMBER_KEY_BYTES 2048

/* {0} is empty. */
struct cdx_names {
    struct cdx_map prefixes; /* owned prefixes, by its text */
    char **blocks;           /* owned, each BLOCK_BYTES */
    uint32_t blocks_n, blocks_cap;
    uint32_t used;   /* units of the last block */
    uint32_t *where; /* owned; by member id: block << 16 | unit */
    uint32_t n, cap;
    uint32_t *slots;  /* owned; member id + 1, or 0: free */
    uint32_t slots_n; /* a power of two */
};

void cdx_names_fini(struct cdx_names *names);
/* CDX_NO_MEMBER: not there. */
uint32_t cdx_names_find(const struct cdx_names *names, struct cdx_text key);
/* The number of a key of 1..CDX_MAX_MEMBER_KEY_BYTES, made when new. CDX_NO_MEMBER: no memory. */
uint32_t cdx_names_add(struct cdx_names *names, struct cdx_text key);

/* The key of a number that was given, into `out` (CDX_MAX_MEMBER_KEY_BYTES); its length. */
size_t cdx_names_text(const struct cdx_names *names, uint32_t member, char *out);

#endif
