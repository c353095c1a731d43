/* match/value.h -- what a filter asks for, what a resource holds, and whether the one is the other. */
#ifndef CDX_MATCH_VALUE_H
#define CDX_MATCH_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/limits.h"
#include "core/text.h"
#include "fhir/view.h"
#include "match/definitions.h"
#include "model/subscription.h"

struct cdx_arena;
struct cdx_change;

/* The ways in which a value is found by equality; one hash key each. CDX_FORM_NONE: only by looking at it. */
enum cdx_form { CDX_FORM_CODE, CDX_FORM_SYSTEM, CDX_FORM_LOCAL, CDX_FORM_URL, CDX_FORM_NONE };

/* One alternative of a filter. Texts are borrowed from the caller's scratch. */
struct cdx_want {
    enum cdx_form form;
    bool pipe;                    /* token: a '|' was written */
    struct cdx_text system, code; /* token; string: code is the normalised text */
    struct cdx_text type, id;     /* LOCAL: relative; the event's own base is meant */
    struct cdx_text version;      /* of a reference, or of a canonical ("|1"); empty: any */
    struct cdx_text base;         /* URL: of a RESTful one, with type and id */
    struct cdx_text url;          /* URL: any other, or a urn */
};

/* One value of a parameter on a resource. Texts are borrowed from the record or the event's arena. */
struct cdx_value {
    bool exact;   /* token: compare with case */
    bool bare;    /* token: has no system by its type (boolean, ContactPoint, id): never with '|' */
    bool implied; /* token: a code primitive, whose system its binding says: not compared */
    struct cdx_text system, code;   /* token; string: code is the normalised text */
    bool local;                     /* reference: to a resource of the event's base */
    struct cdx_text base, type, id; /* reference to a RESTful URL */
    struct cdx_text version;
    struct cdx_text url; /* reference: any other URL, canonical or urn */
    struct cdx_text urn; /* reference: the urn that was resolved by the record */
};

/* Every value of one parameter, each with its keys. */
struct cdx_values {
    struct cdx_value *items; /* in the arena */
    size_t n, cap;
    uint64_t *keys[CDX_FORM_NONE]; /* in the arena */
    size_t keys_n[CDX_FORM_NONE];
};

/* Room for one alternative: unescaped, or normalised, which can double it. */
#define CDX_WANT_BYTES (2 * CDX_MAX_FILTER_VALUE_BYTES + 8)

/**
 * Read one alternative of a filter as the parameter's type says (subscriptions.md 4.2 to 4.4).
 * Returns NULL, or why it is not well formed (static text). Thread: any.
 */
const char *cdx_want_parse(const struct cdx_param *param, struct cdx_text raw,
                           char scratch[CDX_WANT_BYTES], struct cdx_want *out);
/* The key by which the index finds it; its form is not NONE. */
uint64_t cdx_want_key(const struct cdx_want *want);

/* Evaluate a compiled parameter on the change's resource. CDX_NOMEM only. Thread: any. */
enum cdx_code cdx_values_of(const struct cdx_param *param, const struct cdx_change *change,
                            struct cdx_arena *arena, struct cdx_values *out,
                            struct cdx_err *err) CDX_MUST_CHECK;
bool cdx_want_met(const struct cdx_param *param, const struct cdx_want *want,
                  const struct cdx_values *values);

/* Same base, whichever of http and https it is written with, a trailing '/' or not. */
bool cdx_base_same(struct cdx_text a, struct cdx_text b);
/* The "Type/id" for which a urn stands in the record of the change, or {NULL, 0}. */
struct cdx_text cdx_urn_resolve(const struct cdx_change *change, struct cdx_text urn);

/* Normalise for string search (4.3) into `out` (room for 2 n + 1 bytes); returns the length. */
size_t cdx_string_normal(struct cdx_text text, char *out);

#endif
