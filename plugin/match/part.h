/* match/part.h -- an unchanging set of subscriptions with its hash tables: the base or the delta of an index. */
#ifndef CDX_MATCH_PART_H
#define CDX_MATCH_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "match/index.h"

#define CDX_MAX_DIMS                                                                               \
    4 /* parameters of one tuple: patient, and what is left over is checked on the few that are found */

/* One subscription in a part. */
struct cdx_entry {
    struct cdx_sub *sub; /* a reference is held */
    uint32_t roster;
    uint32_t topic; /* number in the topic set */
};

/* What the tuples of many subscriptions have in common: by which names of which topic, in which form. */
struct cdx_shape {
    uint64_t seed;
    uint32_t topic;
    uint32_t next; /* the topic's next shape, or CDX_NONE */
    uint8_t dims;
    uint8_t form[CDX_MAX_DIMS];  /* enum cdx_form */
    uint16_t name[CDX_MAX_DIMS]; /* in topic->filters, rising */
};

/* One tuple of one subscription, until the part is finished. */
struct cdx_posting {
    uint32_t hash;
    uint32_t entry;
};

/* One tuple's place in the table: open addressing, free when sub is NULL. */
struct cdx_slot {
    uint32_t hash;
    uint32_t at; /* the entry; or, where several have this tuple, CDX_LIST and the first node */
    struct cdx_sub
        *sub; /* of the entry, so that a look-up touches it without the entry; borrowed from it */
};

/* One of several subscriptions with equal tuples. */
struct cdx_node {
    uint32_t entry;
    uint32_t next; /* or CDX_NONE */
};

#define CDX_LIST 0x80000000u
#define CDX_NONE UINT32_MAX

struct cdx_part {
    int refs;
    struct cdx_entry *entries;
    size_t n, cap;
    uint32_t *ids; /* hash table from id to entry, a power of two of slots */
    size_t ids_n;
    struct cdx_posting *postings; /* NULL once finished */
    size_t postings_n, postings_cap;
    struct cdx_slot *slots; /* hash table from tuple to entries, a power of two of slots */
    size_t slots_n;
    struct cdx_node *nodes;
    size_t nodes_n, nodes_cap;
    struct cdx_shape *shapes;
    size_t shapes_n, shapes_cap;
    uint32_t *first;    /* by topic number: its first shape, or CDX_NONE */
    uint32_t *of_topic; /* by topic number: its subscriptions */
    size_t topics_n;
};

/* Room for `cap` subscriptions. Returns owned with one reference, or NULL: no memory. Thread: one, until finished. */
struct cdx_part *cdx_part_create(size_t cap, size_t topics_n);
struct cdx_part *cdx_part_ref(struct cdx_part *part);
/* Accepts NULL and half-built. */
void cdx_part_unref(struct cdx_part *part);
/* Takes a reference of the subscription, which the topic accepts and whose id is not in the part. False: no memory. */
bool cdx_part_add(struct cdx_part *part, const struct cdx_topic *topic, struct cdx_sub *sub,
                  uint32_t roster) __attribute__((warn_unused_result));
/* Builds the table of tuples; nothing is added afterwards. False: no memory. */
bool cdx_part_finish(struct cdx_part *part) __attribute__((warn_unused_result));

/* The entry with this id, or CDX_NONE. Thread: any. */
uint32_t cdx_part_find(const struct cdx_part *part, struct cdx_text id);
/* The slot of a tuple, or NULL. Thread: any. */
static inline const struct cdx_slot *cdx_part_slot(const struct cdx_part *part, uint32_t hash)
{
    size_t mask = part->slots_n - 1;

    for (size_t i = hash & mask; part->slots[i].sub != NULL; i = (i + 1) & mask)
        if (part->slots[i].hash == hash)
            return &part->slots[i];
    return NULL;
}

static inline uint64_t cdx_part_mix(uint64_t h, uint64_t key)
{
    h = (h ^ key) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}
size_t cdx_part_bytes(const struct cdx_part *part);

#endif
