/*
 * state/roster_period.c -- from which second to which is somebody a member?
 *
 * In:    a FHIR R4 Period as JSON. Out: [start, end) in seconds, cut to what 32 bits hold: before 1970 is always, after
 * 2106 is never. Owns: nothing.
 *
 * The hard thing is that the end is inclusive and a date names a span: "2026-03" ends with March. A fraction of a second
 * is cut so that nobody is in for longer than written. Not the zone of the host: the same record must mean the same on
 * every instance, so a date without a zone is UTC's.
 */
#include "state/roster_period.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/instant.h"
#include "core/text.h"

static uint32_t clamp_s(int64_t s)
{
    return s <= 0 ? 0 : s >= CDX_NEVER ? CDX_NEVER : (uint32_t)s;
}

uint32_t cdx_period_now(int64_t wall_ms)
{
    uint32_t s = clamp_s(wall_ms / 1000);

    return s == CDX_NEVER ? CDX_NEVER - 1 : s; /* so that CDX_NEVER is always ahead */
}

#define DAY_MS INT64_C(86400000)

static bool day_ms(struct cdx_text date, const char *rest, int64_t *ms)
{
    char z[32];
    int n = snprintf(z, sizeof z, "%.*s%sT00:00:00Z", CDX_TEXT(date), rest);

    return n > 0 && (size_t)n < sizeof z && cdx_instant_parse(cdx_text(z, (size_t)n), ms);
}

/* The first ms of the last day of "YYYY-MM". */
static bool month_last_ms(struct cdx_text month, int64_t *ms)
{
    static const char *const days[] = {"-31", "-30", "-29", "-28"};

    for (size_t i = 0; i < CDX_COUNT(days); i++)
        if (day_ms(month, days[i], ms))
            return true;
    return false;
}

/* The ms [*from, *until) that a FHIR R4 dateTime names: with a time it has a zone, without one it is UTC's. */
static bool span(struct cdx_text date, int64_t *from, int64_t *until)
{
    bool ok;

    switch (date.n) {
    case 4: ok = day_ms(date, "-01-01", from) && day_ms(date, "-12-31", until); break;
    case 7: ok = day_ms(date, "-01", from) && month_last_ms(date, until); break;
    case 10: ok = day_ms(date, "", from) && day_ms(date, "", until); break;
    default:
        if (!cdx_instant_parse(date, from))
            return false;
        *until = *from + (memchr(date.p, '.', date.n) != NULL ? 1 : 1000);
        return true;
    }
    if (ok)
        *until += DAY_MS;
    return ok;
}

enum cdx_code cdx_period_read(const json_t *value, const char *place, enum cdx_code code,
                              struct cdx_period *out, struct cdx_err *err)
{
    const json_t *start = json_object_get(value, "start"), *end = json_object_get(value, "end");
    int64_t from, until;

    *out = (struct cdx_period){.start_s = 0, .end_s = CDX_NEVER};
    if (!json_is_object(value))
        return cdx_fail(err, code, "%s is not an object; write {} or {\"start\":date,\"end\":date}",
                        place);
    if (start != NULL) {
        if (!json_is_string(start) ||
            !span(cdx_text(json_string_value(start), json_string_length(start)), &from, &until))
            return cdx_fail(err, code,
                            "%s.start is not a FHIR dateTime (YYYY, YYYY-MM, YYYY-MM-DD, or with "
                            "time and zone)",
                            place);
        out->start_s = clamp_s(from <= 0 ? 0 : (from + 999) / 1000);
    }
    if (end != NULL) {
        if (!json_is_string(end) ||
            !span(cdx_text(json_string_value(end), json_string_length(end)), &from, &until))
            return cdx_fail(
                err, code,
                "%s.end is not a FHIR dateTime (YYYY, YYYY-MM, YYYY-MM-DD, or with time and zone)",
                place);
        out->end_s = clamp_s(until / 1000);
    }
    return CDX_OK;
}
