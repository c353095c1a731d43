/*
 * state/roster_names.c -- which number has this member key?
 *
 * In:    "<base>/Patient/<id>", millions of them, of which all but the id is the same a hundred thousand times.
 * Out:   numbers from 0 on without holes, as bitmaps like them; a number is never taken back.
 * Owns:  the texts, packed into blocks, and an open-addressed table of numbers.
 *
 * The hard thing is size: two million keys of sixty bytes in a table of pointers are 250 MB. A key is kept as (number of
 * the text up to its last '/', rest), with four bytes of head; the table holds numbers only and compares at the text.
 * That is 40 bytes a member.
 *
 * Not core/map.h: 32 bytes a slot beside the text. Not a hash in place of the text: two members would be one.
 */
#include "state/roster_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"

#define BLOCK_BYTES 262144u /* far above the longest name */
#define UNIT_BYTES 4u
#define MAX_BLOCKS 65536u /* a place is a block and a unit, 16 bits each */
#define MAX_PREFIXES 65535u
#define MAX_NAMES (1u << 30) /* so that no size below wraps */

/* "https://ehr.example.org/fhir/Patient/": a source has one. */
struct prefix {
    uint16_t id; /* 1.. ; 0 is the empty prefix */
    char p[];
};

/* In a block, at a multiple of UNIT_BYTES. */
struct name {
    uint16_t prefix, n;
    char p[];
};

void cdx_names_fini(struct cdx_names *names)
{
    struct prefix *prefix;
    size_t i = 0;

    while ((prefix = cdx_map_next(&names->prefixes, &i)) != NULL)
        free(prefix);
    cdx_map_fini(&names->prefixes);
    for (uint32_t b = 0; b < names->blocks_n; b++)
        free(names->blocks[b]);
    free(names->blocks);
    free(names->where);
    free(names->slots);
}

static const struct name *name_at(const struct cdx_names *names, uint32_t id)
{
    uint32_t at = names->where[id];

    return (const struct name *)(const void *)(names->blocks[at >> 16] +
                                               (at & 0xffff) * UNIT_BYTES);
}

static uint32_t name_hash(uint16_t prefix, struct cdx_text rest)
{
    return (uint32_t)cdx_hash(rest.p, rest.n, prefix);
}

/* The part up to and with the last '/'; empty when there is none. */
static struct cdx_text head_of(struct cdx_text key)
{
    const char *slash = memrchr(key.p, '/', key.n);

    return cdx_text(key.p, slash != NULL ? (size_t)(slash - key.p) + 1 : 0);
}

/* Splits by a known prefix; a key without one is all rest. */
static uint16_t split(const struct cdx_names *names, struct cdx_text key, struct cdx_text *rest)
{
    struct cdx_text head = head_of(key);
    const struct prefix *prefix = head.n != 0 ? cdx_map_get(&names->prefixes, head) : NULL;

    if (prefix == NULL) {
        *rest = key;
        return 0;
    }
    *rest = cdx_text(key.p + head.n, key.n - head.n);
    return prefix->id;
}

/* The slot that holds it, or the free one where it would go. slots_n is not 0. */
static uint32_t *slot_of(const struct cdx_names *names, uint16_t prefix, struct cdx_text rest)
{
    uint32_t mask = names->slots_n - 1;

    for (uint32_t i = name_hash(prefix, rest) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &names->slots[i];
        const struct name *name;
        if (*slot == 0)
            return slot;
        name = name_at(names, *slot - 1);
        if (name->prefix == prefix && cdx_text_eq(cdx_text(name->p, name->n), rest))
            return slot;
    }
}

uint32_t cdx_names_find(const struct cdx_names *names, struct cdx_text key)
{
    struct cdx_text rest;
    uint16_t prefix;

    if (key.n == 0 || key.n > CDX_MAX_MEMBER_KEY_BYTES || names->slots_n == 0)
        return CDX_NO_MEMBER;
    prefix = split(names, key, &rest);
    return *slot_of(names, prefix, rest) - 1; /* a free slot's 0 becomes CDX_NO_MEMBER */
}

static bool slots_grow(struct cdx_names *names)
{
    uint32_t slots_n = names->slots_n == 0 ? 1024 : names->slots_n * 2;
    uint32_t *old = names->slots;

    names->slots = calloc(slots_n, sizeof *names->slots);
    if (names->slots == NULL) {
        names->slots = old;
        return false;
    }
    names->slots_n = slots_n;
    free(old);
    for (uint32_t id = 0; id < names->n; id++) {
        const struct name *name = name_at(names, id);
        *slot_of(names, name->prefix, cdx_text(name->p, name->n)) = id + 1;
    }
    return true;
}

static bool where_grow(struct cdx_names *names)
{
    uint32_t cap = names->cap == 0 ? 1024 : names->cap * 2;
    uint32_t *where = realloc(names->where, cap * sizeof *where);

    if (where == NULL)
        return false;
    names->where = where;
    names->cap = cap;
    return true;
}

static bool block_add(struct cdx_names *names)
{
    char *block;

    if (names->blocks_n == MAX_BLOCKS)
        return false;
    if (names->blocks_n == names->blocks_cap) {
        uint32_t cap = names->blocks_cap == 0 ? 16 : names->blocks_cap * 2;
        char **blocks = realloc(names->blocks, cap * sizeof *blocks);
        if (blocks == NULL)
            return false;
        names->blocks = blocks;
        names->blocks_cap = cap;
    }
    block = malloc(BLOCK_BYTES);
    if (block == NULL)
        return false;
    names->blocks[names->blocks_n++] = block;
    names->used = 0;
    return true;
}

/* Makes the key's prefix known, while there are numbers left. */
static bool prefix_add(struct cdx_names *names, struct cdx_text key)
{
    struct cdx_text head = head_of(key);
    struct prefix *prefix;

    if (head.n == 0 || names->prefixes.used == MAX_PREFIXES ||
        cdx_map_get(&names->prefixes, head) != NULL)
        return true;
    prefix = malloc(sizeof *prefix + head.n);
    if (prefix == NULL)
        return false;
    prefix->id = (uint16_t)(names->prefixes.used + 1);
    memcpy(prefix->p, head.p, head.n);
    if (cdx_map_put(&names->prefixes, cdx_text(prefix->p, head.n), prefix))
        return true;
    free(prefix);
    return false;
}

/* Copies the text behind the others and gives its place. False: no memory. */
static bool name_store(struct cdx_names *names, uint16_t prefix, struct cdx_text rest,
                       uint32_t *where)
{
    uint32_t units = (uint32_t)((sizeof(struct name) + rest.n + UNIT_BYTES - 1) / UNIT_BYTES);
    struct name *name;

    if ((names->blocks_n == 0 || names->used + units > BLOCK_BYTES / UNIT_BYTES) &&
        !block_add(names))
        return false;
    *where = (names->blocks_n - 1) << 16 | names->used;
    name = (struct name *)(void *)(names->blocks[names->blocks_n - 1] + names->used * UNIT_BYTES);
    name->prefix = prefix;
    name->n = (uint16_t)rest.n;
    if (rest.n != 0)
        memcpy(name->p, rest.p, rest.n);
    names->used += units;
    return true;
}

uint32_t cdx_names_add(struct cdx_names *names, struct cdx_text key)
{
    struct cdx_text rest;
    uint32_t *slot, where;
    uint16_t prefix;

    if (!prefix_add(names, key) || (names->slots_n == 0 && !slots_grow(names)))
        return CDX_NO_MEMBER;
    prefix = split(names, key, &rest);
    slot = slot_of(names, prefix, rest);
    if (*slot != 0)
        return *slot - 1;
    if ((names->n + 1) > names->slots_n / 4 * 3) {
        if (!slots_grow(names))
            return CDX_NO_MEMBER;
        slot = slot_of(names, prefix, rest);
    }
    if (names->n == MAX_NAMES || (names->n == names->cap && !where_grow(names)) ||
        !name_store(names, prefix, rest, &where))
        return CDX_NO_MEMBER;
    names->where[names->n] = where;
    *slot = ++names->n;
    return names->n - 1;
}

size_t cdx_names_text(const struct cdx_names *names, uint32_t member, char *out)
{
    const struct name *name = name_at(names, member);
    size_t n = 0;

    for (size_t i = 0; name->prefix != 0 && i < names->prefixes.cap; i++) {
        const struct cdx_map_slot *slot = &names->prefixes.slots[i];
        if (slot->value == NULL || ((const struct prefix *)slot->value)->id != name->prefix)
            continue;
        n = slot->key.n;
        memcpy(out, slot->key.p, n);
        break;
    }
    memcpy(out + n, name->p, name->n);
    return n + name->n;
}
