/* match/index.h -- from an event's values to the subscriptions whose topic and filters they meet. */
#ifndef CDX_MATCH_INDEX_H
#define CDX_MATCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "match/topics.h"
#include "match/value.h"

struct cdx_arena;
struct cdx_index;

/* One subscription found, with its client's roster. */
struct cdx_hit {
    struct cdx_sub *sub; /* borrowed from the index */
    uint32_t roster;
};

struct cdx_hits {
    struct cdx_hit *items; /* in the arena */
    size_t n, cap;
};

/* One event while it is matched: each parameter of its type is evaluated once, when first asked for. */
struct cdx_looking {
    const struct cdx_change *change;
    struct cdx_arena *arena;
    struct cdx_values **values; /* by parameter slot; NULL: not evaluated yet */
    struct cdx_hits *hits;
    struct cdx_err *err;
};

const struct cdx_topics *cdx_index_topics(const struct cdx_index *index);
/* Adds the subscriptions of this topic that want the change; one can be added twice. CDX_NOMEM only. Thread: any. */
enum cdx_code cdx_index_look(const struct cdx_index *index, const struct cdx_topic_of *of,
                             struct cdx_looking *looking) CDX_MUST_CHECK;
/* Does any subscription of this topic exist? */
bool cdx_index_has_topic(const struct cdx_index *index, const struct cdx_topic *topic);
/* The subscription with its topic, or false. */
bool cdx_index_find(const struct cdx_index *index, struct cdx_text id, struct cdx_hit *hit,
                    const struct cdx_topic **topic);
bool cdx_hits_add(struct cdx_hits *hits, struct cdx_arena *arena, struct cdx_hit hit);

#endif
