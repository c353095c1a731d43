/*
 * fhir/json.c -- where is every value of this JSON text?
 *
 * In:    the record's own bytes.
 * Out:   one array of nodes in pre-order (parent, then its children), each the place of a value.
 * Owns:  nothing. Nodes, and the table that finds duplicates in a large object, live in the event's
 *        arena.
 *
 * The hard thing is to be strict and still cost about 3 us per KB. So: one pass; the array is taken
 * once, from a count of the bytes that can stand before a value; text is looked at eight bytes at a
 * time until one of them means something; and a name is compared with its elder siblings only where
 * a 64-bit sketch says that it may be among them.
 *
 * Not a tree of allocated nodes (jansson: 15 us per KB, decimals become doubles, places are lost),
 * and not a lazy reader: a record is refused as a whole, so all of it must have been seen before
 * the first value is used.
 */
#include "fhir/json.h"

#include <endian.h>

#include "core/arena.h"
#include "core/digest.h"
#include "core/limits.h"
#include "fhir/chars.h"

typedef unsigned char byte;

/* Above this many members, an object's names are compared in a hash table when it closes. */
#define FEW_MEMBERS 32

/* key_n has 24 bits: `{"":0}` around a name leaves it below the size of the largest record. */
_Static_assert(CDX_MAX_RECORD_BYTES <= 1u << 24, "a member's name must fit key_n");

/* An object or array that is open. */
struct level {
    cdx_node node;
    uint32_t members; /* of an object, names read so far */
    uint64_t sketch;  /* a bit for each name read so far */
};

struct reader {
    const byte *bytes, *end;
    struct cdx_json_node *nodes; /* room for `cap` */
    uint32_t count, cap;
    uint32_t depth; /* levels open */
    struct level levels[CDX_MAX_JSON_DEPTH];
    uint32_t key, key_n; /* the name read last; 0 for items and the root */
    bool key_escaped;
    struct cdx_arena *arena;
    cdx_node *table;    /* in the arena; used again by each large object */
    size_t table_room;  /* slots that it has */
    enum cdx_code code; /* of the failure, with what and where */
    const char *what;
    const byte *where;
};

/* ---- characters ---- */

/*
 * Bytes that mean something inside a string: its end, an escape, a control character, the start of
 * a UTF-8 sequence.
 */
static inline bool plain(byte c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/*
 * The first byte of [p, end) that is not plain, or end. In each word a high bit is raised by a byte
 * below 0x20, a quote, a backslash, or one above 0x7F (each of those leaves it raised in one of the
 * three); borrows only ever reach bytes behind the first of these.
 */
static const byte *skip_plain(const byte *p, const byte *end)
{
    const uint64_t ones = 0x0101010101010101u;

    while (end - p >= 8) {
        uint64_t w, hit;
        memcpy(&w, p, 8);
        w = le64toh(w);
        hit = ((w - ones * 0x20) | ((w ^ ones * '"') - ones) | ((w ^ ones * '\\') - ones)) &
              ones * 0x80;
        if (hit != 0)
            return p + __builtin_ctzll(hit) / 8;
        p += 8;
    }
    while (p < end && plain(*p))
        p++;
    return p;
}

/* ---- names ---- */

static struct cdx_text name_raw(const struct cdx_json *j, cdx_node v)
{
    return cdx_text(j->bytes + j->nodes[v].key, j->nodes[v].key_n);
}

bool cdx_json_name_starts(const struct cdx_json *j, cdx_node v, struct cdx_text head, int *next)
{
    struct cdx_text raw = name_raw(j, v);
    const byte *p = (const byte *)raw.p, *end = p + raw.n;
    size_t at = 0; /* bytes of head that are matched */

    for (;;) {
        byte c[4];
        size_t n = 1, used = 1;
        if (p == end) {
            *next = -1;
            return at == head.n;
        }
        c[0] = *p;
        if (*p == '\\')
            n = cdx_utf8_write(cdx_escape_read(p, (size_t)(end - p), &used), c);
        if (at == head.n) {
            *next = c[0];
            return true;
        }
        if (n > head.n - at || memcmp(head.p + at, c, n) != 0)
            return false;
        at += n;
        p += used;
    }
}

static bool name_is(const struct cdx_json *j, cdx_node v, struct cdx_text name)
{
    int next;

    if (!j->nodes[v].key_escaped)
        return cdx_text_eq(name_raw(j, v), name);
    return cdx_json_name_starts(j, v, name, &next) && next == -1;
}

cdx_node cdx_json_member(const struct cdx_json *j, cdx_node object, struct cdx_text name)
{
    if (object == CDX_NO_NODE || j->nodes[object].kind != CDX_JSON_OBJECT)
        return CDX_NO_NODE;
    for (cdx_node v = cdx_json_first(j, object); v != CDX_NO_NODE; v = cdx_json_next(j, object, v))
        if (name_is(j, v, name))
            return v;
    return CDX_NO_NODE;
}

/* ---- the reader ---- */

/* Each step takes the place to read from and returns the place behind, or NULL when it failed. */

static const byte *refuse(struct reader *r, const byte *where, const char *what)
{
    r->code = CDX_INPUT;
    r->what = what;
    r->where = where;
    return NULL;
}

static const byte *no_memory(struct reader *r)
{
    r->code = CDX_NOMEM;
    return NULL;
}

static inline const byte *skip_space(const byte *p, const byte *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* p: behind the opening quote. */
static const byte *read_string(struct reader *r, const byte *p, bool *escaped)
{
    *escaped = false;
    for (;;) {
        size_t used;
        p = skip_plain(p, r->end);
        if (p == r->end)
            return refuse(r, p, "a string without its end");
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            if (cdx_escape_read(p, (size_t)(r->end - p), &used) == 0)
                return refuse(r, p, "an escape that is unknown, half a surrogate pair, or U+0000");
            *escaped = true;
        } else if (*p < 0x20) {
            return refuse(r, p, "a control character in a string");
        } else {
            used = cdx_utf8_length(p, (size_t)(r->end - p));
            if (used == 0)
                return refuse(r, p, "bytes that are not UTF-8");
        }
        p += used;
    }
}

static const byte *skip_digits(const byte *p, const byte *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* RFC 8259 section 6: -? int frac? exp?, where int has no leading zero. */
static const byte *read_number(struct reader *r, const byte *p)
{
    const byte *end = r->end, *digits;

    if (*p == '-')
        p++;
    digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return refuse(r, digits, "a number without digits or with a leading zero");
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return refuse(r, p, "a number with no digit behind its point");
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return refuse(r, p, "a number with no digit in its exponent");
    }
    return p;
}

/*
 * A node for the value at p, under the name that was read last; its end is set by whoever finds it.
 */
static struct cdx_json_node *add_node(struct reader *r, const byte *p, enum cdx_json_kind kind)
{
    struct cdx_json_node *node;

    if (r->count ==
        r->cap) { /* the count before was an upper bound, so only the bound itself can be met */
        refuse(r, p, "more values than one record may hold");
        return NULL;
    }
    node = &r->nodes[r->count++];
    *node = (struct cdx_json_node){
        .start = (uint32_t)(p - r->bytes),
        .key = r->key,
        .key_n = r->key_n & 0xFFFFFF,
        .key_escaped = r->key_escaped,
        .kind = kind & 7,
        .after = r->count,
    };
    r->key = r->key_n = 0;
    r->key_escaped = false;
    return node;
}

static const byte *read_word(struct reader *r, const byte *p, struct cdx_text word)
{
    if ((size_t)(r->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return refuse(r, p, "a word that is not true, false or null");
    return p + word.n;
}

/* The value at p when it has no members or items. */
static const byte *read_scalar(struct reader *r, const byte *p)
{
    enum cdx_json_kind kind = CDX_JSON_NUMBER;
    const byte *start = p;
    bool escaped = false;
    struct cdx_json_node *node;

    switch (*p) {
    case '"':
        kind = CDX_JSON_STRING;
        p = read_string(r, p + 1, &escaped);
        break;
    case 't':
        kind = CDX_JSON_TRUE;
        p = read_word(r, p, CDX_LIT("true"));
        break;
    case 'f':
        kind = CDX_JSON_FALSE;
        p = read_word(r, p, CDX_LIT("false"));
        break;
    case 'n':
        kind = CDX_JSON_NULL;
        p = read_word(r, p, CDX_LIT("null"));
        break;
    default:
        if (*p != '-' && (*p < '0' || *p > '9'))
            return refuse(r, p, "no value where one must stand");
        p = read_number(r, p);
    }
    if (p == NULL || (node = add_node(r, start, kind)) == NULL)
        return NULL;
    node->end = (uint32_t)(p - r->bytes);
    node->escaped = escaped;
    return p;
}

static inline bool in_object(const struct reader *r)
{
    return r->depth != 0 && r->nodes[r->levels[r->depth - 1].node].kind == CDX_JSON_OBJECT;
}

/* p: at the bracket; returns the place behind it. */
static const byte *open_level(struct reader *r, const byte *p)
{
    struct cdx_json_node *node;

    if (r->depth == CDX_MAX_JSON_DEPTH)
        return refuse(r, p, "values nested too deep");
    node = add_node(r, p, *p == '{' ? CDX_JSON_OBJECT : CDX_JSON_ARRAY);
    if (node == NULL)
        return NULL;
    r->levels[r->depth++] = (struct level){.node = r->count - 1};
    return p + 1;
}

/* ---- duplicates ---- */

static struct cdx_json index_so_far(const struct reader *r)
{
    return (struct cdx_json){(const char *)r->bytes, (size_t)(r->end - r->bytes), r->nodes,
                             r->count};
}

/*
 * A member's name with escapes resolved: a view, or a copy in the arena; p is NULL when out of
 * memory.
 */
static struct cdx_text name_text(const struct reader *r, struct cdx_text raw, bool escaped)
{
    byte *copy;

    if (!escaped)
        return raw;
    copy = cdx_arena_alloc(r->arena, raw.n);
    if (copy == NULL)
        return cdx_text(NULL, 0);
    return cdx_text((const char *)copy, cdx_unescape((const byte *)raw.p, raw.n, copy));
}

/* Which bit of the sketch a name sets. */
static inline uint64_t sketch_bit(struct cdx_text name)
{
    uint32_t h = (uint32_t)name.n;

    if (name.n != 0)
        h +=
            (byte)name.p[0] * 31u + (byte)name.p[name.n - 1] * 101u + (byte)name.p[name.n / 2] * 7u;
    return (uint64_t)1 << (h * 0x9E3779B1u >> 26);
}

/* Is the name among the members that the innermost object has so far? */
static bool has_elder(const struct reader *r, struct cdx_text name)
{
    const struct cdx_json j = index_so_far(r);
    cdx_node object = r->levels[r->depth - 1].node;

    for (cdx_node v = object + 1; v < r->count; v = r->nodes[v].after)
        if (name_is(&j, v, name))
            return true;
    return false;
}

/*
 * An empty table for `members` names, at most half full; returns its slots, a power of two, or 0:
 * no memory.
 */
static size_t clear_table(struct reader *r, uint32_t members)
{
    size_t slots = 4 * FEW_MEMBERS;

    while (slots < 2 * (size_t)members)
        slots *= 2;
    if (slots > r->table_room) {
        r->table = cdx_arena_alloc(r->arena, slots * sizeof *r->table);
        if (r->table == NULL)
            return 0;
        r->table_room = slots;
    }
    memset(r->table, 0xFF, slots * sizeof *r->table); /* CDX_NO_NODE */
    return slots;
}

/* Compares all names of an object with more than a few members; p: its end. */
static const byte *check_many(struct reader *r, const struct level *level, const byte *p)
{
    const struct cdx_json j = index_so_far(r);
    size_t slots = clear_table(r, level->members);

    if (slots == 0)
        return no_memory(r);
    for (cdx_node v = level->node + 1; v < r->count; v = r->nodes[v].after) {
        struct cdx_text name = name_text(r, name_raw(&j, v), r->nodes[v].key_escaped);
        size_t at;
        if (name.p == NULL)
            return no_memory(r);
        /* seeded by an address, so that nobody can choose names that all fall into one slot */
        at = cdx_hash(name.p, name.n, (uintptr_t)r->nodes) & (slots - 1);
        for (; r->table[at] != CDX_NO_NODE; at = (at + 1) & (slots - 1))
            if (name_is(&j, r->table[at], name))
                return refuse(r, r->bytes + r->nodes[v].key,
                              "a member name that its object has already");
        r->table[at] = v;
    }
    return p;
}

/* p: at the quote that must open a name; returns the place of the value. */
static const byte *read_name(struct reader *r, const byte *p)
{
    struct level *level = &r->levels[r->depth - 1];
    struct cdx_text name;
    const byte *start = p + 1;
    uint64_t bit;

    if (p == r->end || *p != '"')
        return refuse(r, p, "no member name where one must stand");
    p = read_string(r, start, &r->key_escaped);
    if (p == NULL)
        return NULL;
    r->key = (uint32_t)(start - r->bytes);
    r->key_n = (uint32_t)(p - 1 - start);
    if (++level->members <= FEW_MEMBERS) {
        name = name_text(r, cdx_text((const char *)start, r->key_n), r->key_escaped);
        if (name.p == NULL)
            return no_memory(r);
        bit = sketch_bit(name);
        if ((level->sketch & bit) != 0 && has_elder(r, name))
            return refuse(r, start, "a member name that its object has already");
        level->sketch |= bit;
    }
    p = skip_space(p, r->end);
    if (p == r->end || *p != ':')
        return refuse(r, p, "no colon behind a member name");
    return skip_space(p + 1, r->end);
}

/* p: behind the closing bracket. */
static const byte *close_level(struct reader *r, const byte *p)
{
    const struct level *level = &r->levels[--r->depth];
    struct cdx_json_node *node = &r->nodes[level->node];

    node->end = (uint32_t)(p - r->bytes);
    node->after = r->count;
    return level->members > FEW_MEMBERS ? check_many(r, level, p) : p;
}

/* ---- the walk ---- */

/*
 * p: behind a value. Closes what ends here; returns the place of the next item or name, or the end
 * of the text.
 */
static const byte *close_finished(struct reader *r, const byte *p)
{
    for (;;) {
        p = skip_space(p, r->end);
        if (r->depth == 0)
            return p == r->end ? p : refuse(r, p, "more text behind the value");
        if (p == r->end)
            return refuse(r, p, "the end of the text inside an object or array");
        if (*p == ',')
            return skip_space(p + 1, r->end);
        if (*p != (in_object(r) ? '}' : ']'))
            return refuse(r, p, "neither a comma nor the end of the object or array");
        p = close_level(r, p + 1);
        if (p == NULL)
            return NULL;
    }
}

static bool is_open(byte c)
{
    return c == '{' || c == '[';
}

static const byte *read_text(struct reader *r)
{
    const byte *p = skip_space(r->bytes, r->end);

    for (;;) { /* once for each value; p: its first byte */
        if (p == r->end)
            return refuse(r, p, "the end of the text where a value must stand");
        if (is_open(*p)) {
            byte closing = *p == '{' ? '}' : ']';
            if ((p = open_level(r, p)) == NULL)
                return NULL;
            p = skip_space(p, r->end);
            if (p != r->end && *p == closing)
                p = close_finished(r, p);
        } else if ((p = read_scalar(r, p)) != NULL) {
            p = close_finished(r, p);
        }
        if (p == NULL || r->depth == 0)
            return p;
        if (in_object(r) && (p = read_name(r, p)) == NULL)
            return NULL;
    }
}

/*
 * Each value is the root or stands behind a comma, an opening bracket, or the name that does: so
 * there are no more.
 */
static uint32_t count_places(const byte *p, size_t n)
{
    typedef byte lane __attribute__((vector_size(16)));
    uint32_t places = 1;
    size_t i = 0;

    while (n - i >= sizeof(lane)) {
        lane sum = {0};
        for (int k = 0; k < 255 && n - i >= sizeof(lane); k++, i += sizeof(lane)) {
            lane v;
            memcpy(&v, p + i, sizeof v);
            sum -= (lane)(v == ',') | (lane)((v | 0x20) == '{'); /* '[' | 0x20 is '{'; true is -1 */
        }
        for (size_t k = 0; k < sizeof(lane); k++)
            places += sum[k];
    }
    for (; i < n; i++)
        places += p[i] == ',' || is_open(p[i]);
    return places < CDX_MAX_JSON_NODES ? places : CDX_MAX_JSON_NODES;
}

enum cdx_code cdx_json_parse(const char *bytes, size_t n, struct cdx_arena *arena,
                             struct cdx_json *out, struct cdx_err *err)
{
    struct reader
        r; /* set field by field: its levels are large and are written before they are read */

    if (n > CDX_MAX_RECORD_BYTES)
        return cdx_fail(err, CDX_INPUT, "JSON: more text than a record may hold at byte %u",
                        CDX_MAX_RECORD_BYTES);
    r.bytes = n != 0 ? (const byte *)bytes : (const byte *)"";
    r.end = r.bytes + n;
    r.cap = count_places(r.bytes, n);
    r.nodes = cdx_arena_alloc(arena, r.cap * sizeof *r.nodes);
    r.count = r.depth = r.key = r.key_n = 0;
    r.key_escaped = false;
    r.arena = arena;
    r.table = NULL;
    r.table_room = 0;
    if (r.nodes == NULL)
        return cdx_fail(err, CDX_NOMEM, "JSON: index of %u values", r.cap);
    if (read_text(&r) == NULL) {
        if (r.code == CDX_NOMEM)
            return cdx_fail(err, CDX_NOMEM, "JSON: names of a large or escaped object");
        return cdx_fail(err, CDX_INPUT, "JSON: %s at byte %zu", r.what,
                        (size_t)(r.where - r.bytes));
    }
    *out = (struct cdx_json){bytes, n, r.nodes, r.count};
    return CDX_OK;
}

/* ---- values as text ---- */

struct cdx_text cdx_json_string(const struct cdx_json *j, cdx_node v, struct cdx_arena *arena)
{
    struct cdx_text raw;
    byte *copy;

    if (v == CDX_NO_NODE || j->nodes[v].kind != CDX_JSON_STRING)
        return cdx_text(NULL, 0);
    raw = cdx_json_raw(j, v);
    raw = cdx_text(raw.p + 1, raw.n - 2);
    if (!j->nodes[v].escaped)
        return raw;
    copy = cdx_arena_alloc(arena, raw.n);
    if (copy == NULL)
        return cdx_text(NULL, 0);
    return cdx_text((const char *)copy, cdx_unescape((const byte *)raw.p, raw.n, copy));
}

struct cdx_text cdx_json_scalar(const struct cdx_json *j, cdx_node v, struct cdx_arena *arena)
{
    if (v == CDX_NO_NODE)
        return cdx_text(NULL, 0);
    switch (cdx_json_kind(j, v)) {
    case CDX_JSON_STRING: return cdx_json_string(j, v, arena);
    case CDX_JSON_NUMBER:
    case CDX_JSON_TRUE:
    case CDX_JSON_FALSE: return cdx_json_raw(j, v);
    default: return cdx_text(NULL, 0);
    }
}
