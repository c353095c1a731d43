/* state/roster_period.h -- private to the rosters: from when to when somebody is a member, in seconds. */
#ifndef CDX_STATE_ROSTER_PERIOD_H
#define CDX_STATE_ROSTER_PERIOD_H

#include <jansson.h>
#include <stdint.h>

#include "core/err.h"

#define CDX_NEVER UINT32_MAX /* seconds since 1970: the year 2106 */

/* In from start_s, out from end_s; seconds since 1970. {0, CDX_NEVER}: always. */
struct cdx_period {
    uint32_t member;
    uint32_t start_s, end_s;
    uint32_t seq; /* place in the log, while it is sorted */
};

/* The second in which wall_ms lies; never CDX_NEVER, so that this is always ahead. */
uint32_t cdx_period_now(int64_t wall_ms);
/**
 * A FHIR R4 Period (`start`, `end`; other elements are passed over). Both ends are inclusive with their precision; dates
 * without time are UTC's. `place` names the value in the error, whose code is `code`. Writes start_s and end_s.
 */
enum cdx_code cdx_period_read(const json_t *value, const char *place, enum cdx_code code,
                              struct cdx_period *out, struct cdx_err *err) CDX_MUST_CHECK;

#endif
