/* match/members.h -- whom does an event name? */
#ifndef CDX_MATCH_MEMBERS_H
#define CDX_MATCH_MEMBERS_H

#include <stdbool.h>

#include "core/err.h"
#include "match/definitions.h"

struct cdx_arena;
struct cdx_change;

struct cdx_members {
    struct cdx_text *keys; /* in the arena; each once */
    size_t n;
    bool unresolved; /* a patient is named who cannot be told */
};

/* By the patient compartment, contained resources too. Errors: CDX_INPUT (more than CDX_MAX_EVENT_MEMBERS), CDX_NOMEM. Thread: any. */
enum cdx_code cdx_members_of(const struct cdx_definitions *defs, const struct cdx_restype *type,
                             const struct cdx_change *change, struct cdx_arena *arena,
                             struct cdx_members *out, struct cdx_err *err) CDX_MUST_CHECK;

#endif
