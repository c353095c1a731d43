/*
 * fhir/json.h -- the JSON reader of the event path: an index over the record's own bytes.
 *
 * Nothing is copied: a value is its place in the bytes that came, so it can be spliced unchanged and its decimals keep
 * their digits. Strict RFC 8259 and UTF-8 (no surrogates, no overlong forms, no NUL, as U+0000 escape neither); a duplicate member of one object is refused;
 * depth and size are bounded (core/limits.h). A leading UTF-8 byte order mark is refused.
 */
#ifndef CDX_FHIR_JSON_H
#define CDX_FHIR_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_arena; /* core/arena.h */

enum cdx_json_kind {
    CDX_JSON_OBJECT,
    CDX_JSON_ARRAY,
    CDX_JSON_STRING,
    CDX_JSON_NUMBER,
    CDX_JSON_TRUE,
    CDX_JSON_FALSE,
    CDX_JSON_NULL
};

/* A value's place in the index. The root is 0. CDX_NO_NODE: none. */
typedef uint32_t cdx_node;
#define CDX_NO_NODE UINT32_MAX

struct cdx_json_node {
    uint32_t start, end; /* bytes of the value: [start, end), quotes included for strings */
    uint32_t key; /* first byte of the member's name inside its quotes; 0 for items and the root */
    uint32_t key_n : 24;  /* bytes of the name as written, escapes included */
    uint32_t kind : 3;    /* enum cdx_json_kind */
    uint32_t escaped : 1; /* a string that holds a backslash */
    uint32_t key_escaped : 1;
    uint32_t
        after; /* the node behind this one's whole subtree: the next sibling when parent's `after` is larger */
};

struct cdx_json {
    const char *bytes; /* borrowed: the record */
    size_t n;
    const struct cdx_json_node *nodes; /* in the arena; pre-order, children follow their parent */
    uint32_t count;
};

/**
 * Index `n` bytes. The index lives in `arena`; `bytes` are borrowed for as long as the index is used.
 * Errors: CDX_INPUT with "JSON: <what> at byte <offset>" (never the text itself); CDX_NOMEM.
 * Thread: any. `out` is written on CDX_OK only.
 */
enum cdx_code cdx_json_parse(const char *bytes, size_t n, struct cdx_arena *arena,
                             struct cdx_json *out, struct cdx_err *err) CDX_MUST_CHECK;

static inline enum cdx_json_kind cdx_json_kind(const struct cdx_json *j, cdx_node v)
{
    return (enum cdx_json_kind)j->nodes[v].kind;
}

/* The value's bytes as they came, quotes included. */
static inline struct cdx_text cdx_json_raw(const struct cdx_json *j, cdx_node v)
{
    return cdx_text(j->bytes + j->nodes[v].start, j->nodes[v].end - j->nodes[v].start);
}

/* First child of an object or array, or CDX_NO_NODE. */
static inline cdx_node cdx_json_first(const struct cdx_json *j, cdx_node v)
{
    return j->nodes[v].kind <= CDX_JSON_ARRAY && j->nodes[v].after > v + 1 ? v + 1 : CDX_NO_NODE;
}

/* The sibling behind `child` of `parent`, or CDX_NO_NODE. */
static inline cdx_node cdx_json_next(const struct cdx_json *j, cdx_node parent, cdx_node child)
{
    return j->nodes[child].after < j->nodes[parent].after ? j->nodes[child].after : CDX_NO_NODE;
}

/* The member called `name` (compared with escapes resolved), or CDX_NO_NODE; also when `object` is none or no object. Thread: any. */
cdx_node cdx_json_member(const struct cdx_json *j, cdx_node object, struct cdx_text name);
/* Shorthand for a literal name. */
#define cdx_json_get(j, object, literal) cdx_json_member((j), (object), CDX_LIT(literal))

/**
 * True when the name of member `v` begins with `head`, escapes resolved; *next is then the byte behind, or -1 at the
 * name's end. Thread: any.
 */
bool cdx_json_name_starts(const struct cdx_json *j, cdx_node v, struct cdx_text head, int *next);

/**
 * A string's characters with escapes resolved: a view into the bytes where there are none, else a copy in `arena`.
 * {NULL, 0} when `v` is none, no string, or memory is out. An empty string has a non-NULL p.
 */
struct cdx_text cdx_json_string(const struct cdx_json *j, cdx_node v, struct cdx_arena *arena);
/* String, number, true or false as text (a number's own digits); {NULL, 0} for anything else. */
struct cdx_text cdx_json_scalar(const struct cdx_json *j, cdx_node v, struct cdx_arena *arena);

#endif
