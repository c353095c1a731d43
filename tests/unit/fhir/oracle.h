/*
 * oracle.h -- does jansson see the same in these bytes as the reader of the event path?
 *
 * Both must accept the same texts and find the same values in them. Where they may differ, by
 * contract:
 *   - a number out of the range of long long or double: jansson refuses it, the reader keeps its
 *     digits (RFC 8259 section 6 sets no range);
 *   - nesting from CDX_MAX_JSON_DEPTH to jansson's own 2048, more values than CDX_MAX_JSON_NODES,
 *     and more bytes than CDX_MAX_RECORD_BYTES: the reader refuses them.
 *   - a NUL byte behind a number or a word: jansson 2.14 loses it when it puts it back, and goes
 *     on; the reader refuses it (RFC 8259 section 2 names the bytes of white space).
 * -0 is the integer 0 to jansson; as doubles the two are equal.
 */
#ifndef CDX_TESTS_UNIT_FHIR_ORACLE_H
#define CDX_TESTS_UNIT_FHIR_ORACLE_H

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "fhir/json.h"

static inline const char *oracle_value(const struct cdx_json *j, cdx_node v, json_t *want,
                                       struct cdx_arena *arena);

static inline const char *oracle_array(const struct cdx_json *j, cdx_node v, json_t *want,
                                       struct cdx_arena *arena)
{
    size_t i = 0;
    const char *differs = NULL;

    for (cdx_node item = cdx_json_first(j, v); item != CDX_NO_NODE && differs == NULL;
         item = cdx_json_next(j, v, item), i++)
        differs = i < json_array_size(want) ? oracle_value(j, item, json_array_get(want, i), arena)
                                            : "more items";
    return differs == NULL && i != json_array_size(want) ? "fewer items" : differs;
}

static inline const char *oracle_object(const struct cdx_json *j, cdx_node v, json_t *want,
                                        struct cdx_arena *arena)
{
    void *it = json_object_iter(want); /* in the order of the text */
    const char *differs = NULL;

    for (cdx_node m = cdx_json_first(j, v); m != CDX_NO_NODE && differs == NULL;
         m = cdx_json_next(j, v, m)) {
        if (it == NULL)
            return "more members";
        if (cdx_json_member(j, v,
                            cdx_text(json_object_iter_key(it), json_object_iter_key_len(it))) != m)
            return "another member name";
        differs = oracle_value(j, m, json_object_iter_value(it), arena);
        it = json_object_iter_next(want, it);
    }
    return differs == NULL && it != NULL ? "fewer members" : differs;
}

static inline const char *oracle_number(struct cdx_text digits, const json_t *want)
{
    char *z = strndup(digits.p, digits.n);
    double d = z != NULL ? strtod(z, NULL) : NAN;
    long long i = z != NULL ? strtoll(z, NULL, 10) : 0;

    free(z);
    if (json_is_integer(want))
        return i == json_integer_value(want) ? NULL : "another integer";
    return d == json_real_value(want) ? NULL : "another number";
}

static inline const char *oracle_value(const struct cdx_json *j, cdx_node v, json_t *want,
                                       struct cdx_arena *arena)
{
    struct cdx_text text;

    switch (cdx_json_kind(j, v)) {
    case CDX_JSON_OBJECT:
        return json_is_object(want) ? oracle_object(j, v, want, arena) : "an object";
    case CDX_JSON_ARRAY: return json_is_array(want) ? oracle_array(j, v, want, arena) : "an array";
    case CDX_JSON_STRING:
        text = cdx_json_string(j, v, arena);
        return json_is_string(want) && text.p != NULL &&
                       cdx_text_eq(text,
                                   cdx_text(json_string_value(want), json_string_length(want)))
                   ? NULL
                   : "another string";
    case CDX_JSON_NUMBER:
        return json_is_number(want) ? oracle_number(cdx_json_scalar(j, v, arena), want)
                                    : "a number";
    case CDX_JSON_TRUE: return json_is_true(want) ? NULL : "true";
    case CDX_JSON_FALSE: return json_is_false(want) ? NULL : "false";
    case CDX_JSON_NULL: return json_is_null(want) ? NULL : "null";
    }
    return "a kind that does not exist";
}

static inline bool oracle_may_refuse(const char *bytes, size_t n, const char *why)
{
    return strstr(why, "too deep") != NULL || strstr(why, "more values") != NULL ||
           strstr(why, "more text than") != NULL || memchr(bytes, '\0', n) != NULL;
}

/*
 * NULL: they agree, or differ as the contract allows. Else what the reader does that jansson does
 * not.
 */
static inline const char *oracle_differs(const char *bytes, size_t n, struct cdx_arena *arena)
{
    struct cdx_err err = {0};
    struct cdx_json j;
    json_error_t refused;
    json_t *want = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &refused);
    enum cdx_code rc = cdx_json_parse(bytes, n, arena, &j, &err);
    const char *differs = NULL;

    if (rc == CDX_OK && want != NULL)
        differs = oracle_value(&j, 0, want, arena);
    else if (rc == CDX_OK && json_error_code(&refused) != json_error_numeric_overflow)
        differs = "accepts";
    else if (rc != CDX_OK && want != NULL && !oracle_may_refuse(bytes, n, err.text))
        differs = "refuses";
    json_decref(want);
    return differs;
}

#endif
