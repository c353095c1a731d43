/*
 * match/index.c -- which subscriptions of this topic want this change?
 *
 * In:    an old index and a few differences; an event's values.
 * Out:   a new index; the subscriptions that are met, each checked filter by filter.
 * Owns:  references of its parts and of the topic set. Nothing in it changes after cdx_index_make, so readers take no
 *        lock; flow swaps in a whole new one.
 *
 * A base that many indices share, a delta that each has for itself, and a bitmap of base entries that the delta
 * replaces or that are gone: one changed subscription among a million copies 125 KB of bits and not the base. When the
 * delta (with what is dead) reaches an eighth of the base both are merged.
 *
 * Looking up: per shape of the topic the event's values give a few tuples, each one probe. Not a scan of the topic's
 * subscriptions: its cost grows with the payers, ours with the matches. Only where an event gives more tuples than
 * there are subscriptions are these looked at one by one.
 */
#include "match/index.h"

#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "match/match.h"
#include "match/part.h"

#define BATCH 32       /* tuples fetched at once */
#define SCAN_FROM 4096 /* tuples of one event in one shape, from which on a scan may be cheaper */

struct cdx_index {
    int refs;
    struct cdx_topics *topics; /* a reference */
    size_t topics_n;           /* how many there were: topics added later need a new base */
    struct cdx_part *base;     /* a reference; NULL: empty */
    struct cdx_part *delta;    /* a reference; NULL: empty */
    uint64_t *dead;            /* owned bitmap over base entries */
    size_t dead_n;             /* bits set */
};

/* -- building ------------------------------------------------------------------------------------------------- */

static size_t bitmap_words(const struct cdx_part *base)
{
    return base != NULL ? base->n / 64 + 1 : 0;
}

/* index NULL: a part without dead entries. */
static bool is_dead(const struct cdx_index *index, uint32_t entry)
{
    return index != NULL && index->dead != NULL &&
           (index->dead[entry / 64] >> (entry % 64) & 1) != 0;
}

/* One cdx_index_make under way. */
struct making {
    struct cdx_index *old, *index;
    const struct cdx_index_put *put;
    size_t put_n;
    const char *const *gone;
    size_t gone_n;
    struct cdx_part *part; /* owned: the new delta or base */
    struct cdx_err *err;
};

static enum cdx_code no_memory(struct cdx_err *err)
{
    return cdx_fail(err, CDX_NOMEM, "match: index of subscriptions");
}

static void kill_id(struct cdx_index *index, const char *id)
{
    uint32_t entry = cdx_part_find(index->base, cdx_text_z(id));

    if (entry == CDX_NONE || is_dead(index, entry))
        return;
    index->dead[entry / 64] |= (uint64_t)1 << (entry % 64);
    index->dead_n++;
}

static bool is_gone(const struct making *m, const char *id)
{
    for (size_t i = 0; i < m->gone_n; i++)
        if (strcmp(m->gone[i], id) == 0)
            return true;
    return false;
}

/* The last put of an id counts, so they are added from the end. */
static enum cdx_code add_puts(struct making *m)
{
    for (size_t i = m->put_n; i-- > 0;) {
        struct cdx_sub *sub = m->put[i].sub;
        enum cdx_code rc;
        if (cdx_part_find(m->part, cdx_text_z(sub->id)) != CDX_NONE)
            continue;
        rc = cdx_topics_accepts(m->index->topics, sub, m->err);
        if (rc != CDX_OK)
            return rc;
        if (!cdx_part_add(m->part, cdx_topics_find(m->index->topics, sub), sub, m->put[i].roster))
            return no_memory(m->err);
    }
    return CDX_OK;
}

/* What is left of an older part; `checked`: the same topics accepted it before. */
static enum cdx_code add_rest(struct making *m, const struct cdx_part *from,
                              const struct cdx_index *bits, bool checked)
{
    for (size_t i = 0; from != NULL && i < from->n; i++) {
        const struct cdx_entry *e = &from->entries[i];
        if (is_dead(bits, (uint32_t)i) ||
            cdx_part_find(m->part, cdx_text_z(e->sub->id)) != CDX_NONE || is_gone(m, e->sub->id))
            continue;
        if (!checked) {
            enum cdx_code rc = cdx_topics_accepts(m->index->topics, e->sub, m->err);
            if (rc != CDX_OK)
                return rc;
        }
        if (!cdx_part_add(m->part, cdx_topics_find(m->index->topics, e->sub), e->sub, e->roster))
            return no_memory(m->err);
    }
    return CDX_OK;
}

/* A new base of everything. */
static enum cdx_code make_whole(struct making *m, bool checked)
{
    const struct cdx_part *base = m->old != NULL ? m->old->base : NULL,
                          *delta = m->old != NULL ? m->old->delta : NULL;
    size_t cap =
        m->put_n + (base != NULL ? base->n - m->old->dead_n : 0) + (delta != NULL ? delta->n : 0);
    enum cdx_code rc;

    m->part = cdx_part_create(cap, m->index->topics_n);
    if (m->part == NULL)
        return no_memory(m->err);
    rc = add_puts(m);
    if (rc == CDX_OK)
        rc = add_rest(m, delta, NULL, checked);
    if (rc == CDX_OK)
        rc = add_rest(m, base, m->old, checked);
    if (rc != CDX_OK)
        return rc;
    if (!cdx_part_finish(m->part))
        return no_memory(m->err);
    m->index->base = m->part;
    m->part = NULL;
    return CDX_OK;
}

/* The old base, and a new delta of the old one and the differences. */
static enum cdx_code make_delta(struct making *m)
{
    struct cdx_index *index = m->index;
    const struct cdx_part *delta = m->old->delta;
    enum cdx_code rc;

    index->base = cdx_part_ref(m->old->base);
    index->dead_n = m->old->dead_n;
    index->dead = calloc(bitmap_words(index->base), sizeof *index->dead);
    m->part = cdx_part_create(m->put_n + (delta != NULL ? delta->n : 0), index->topics_n);
    if (index->dead == NULL || m->part == NULL)
        return no_memory(m->err);
    if (m->old->dead != NULL)
        memcpy(index->dead, m->old->dead, bitmap_words(index->base) * sizeof *index->dead);
    rc = add_puts(m);
    if (rc == CDX_OK)
        rc = add_rest(m, delta, NULL, true);
    if (rc != CDX_OK)
        return rc;
    for (size_t i = 0; i < m->put_n; i++)
        kill_id(index, m->put[i].sub->id);
    for (size_t i = 0; i < m->gone_n; i++)
        kill_id(index, m->gone[i]);
    if (!cdx_part_finish(m->part))
        return no_memory(m->err);
    index->delta = m->part;
    m->part = NULL;
    return CDX_OK;
}

struct cdx_index *cdx_index_make(struct cdx_index *old, struct cdx_topics *topics,
                                 const struct cdx_index_put *put, size_t put_n,
                                 const char *const *gone, size_t gone_n, struct cdx_err *err)
{
    struct making m = {
        .old = old, .put = put, .put_n = put_n, .gone = gone, .gone_n = gone_n, .err = err};
    bool same = old != NULL && old->topics == topics && old->topics_n == cdx_topics_count(topics);
    size_t changed = put_n + gone_n + (old != NULL && old->delta != NULL ? old->delta->n : 0) +
                     (old != NULL ? old->dead_n : 0);
    enum cdx_code rc;

    m.index = calloc(1, sizeof *m.index);
    if (m.index == NULL) {
        no_memory(err);
        return NULL;
    }
    m.index->refs = 1;
    m.index->topics = cdx_topics_ref(topics);
    m.index->topics_n = cdx_topics_count(topics);
    if (same && old->base != NULL && changed * 8 < old->base->n)
        rc = make_delta(&m);
    else
        rc = make_whole(&m, same);
    cdx_part_unref(m.part);
    if (rc != CDX_OK) {
        cdx_index_unref(m.index);
        return NULL;
    }
    return m.index;
}

struct cdx_index *cdx_index_ref(struct cdx_index *index)
{
    __atomic_add_fetch(&index->refs, 1, __ATOMIC_RELAXED);
    return index;
}

void cdx_index_unref(struct cdx_index *index)
{
    if (index == NULL || __atomic_sub_fetch(&index->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    cdx_part_unref(index->base);
    cdx_part_unref(index->delta);
    cdx_topics_unref(index->topics);
    free(index->dead);
    free(index);
}

/* -- asking --------------------------------------------------------------------------------------------------- */

size_t cdx_index_count(const struct cdx_index *index)
{
    return (index->base != NULL ? index->base->n - index->dead_n : 0) +
           (index->delta != NULL ? index->delta->n : 0);
}

size_t cdx_index_bytes(const struct cdx_index *index)
{
    return sizeof *index + cdx_part_bytes(index->base) + cdx_part_bytes(index->delta) +
           (index->dead != NULL ? bitmap_words(index->base) * sizeof *index->dead : 0);
}

const struct cdx_topics *cdx_index_topics(const struct cdx_index *index)
{
    return index->topics;
}

bool cdx_index_has_topic(const struct cdx_index *index, const struct cdx_topic *topic)
{
    if (topic->index >= index->topics_n)
        return false;
    return (index->base != NULL && index->base->of_topic[topic->index] != 0) ||
           (index->delta != NULL && index->delta->of_topic[topic->index] != 0);
}

bool cdx_index_find(const struct cdx_index *index, struct cdx_text id, struct cdx_hit *hit,
                    const struct cdx_topic **topic)
{
    const struct cdx_part *part = index->delta;
    uint32_t entry = cdx_part_find(part, id);

    if (entry == CDX_NONE) {
        part = index->base;
        entry = cdx_part_find(part, id);
        if (entry == CDX_NONE || is_dead(index, entry))
            return false;
    }
    *hit = (struct cdx_hit){.sub = part->entries[entry].sub, .roster = part->entries[entry].roster};
    *topic = cdx_topics_at(index->topics, part->entries[entry].topic);
    return true;
}

struct cdx_sub *cdx_index_sub(const struct cdx_index *index, struct cdx_text id, uint32_t *roster)
{
    const struct cdx_topic *topic;
    struct cdx_hit hit;

    if (!cdx_index_find(index, id, &hit, &topic))
        return NULL;
    if (roster != NULL)
        *roster = hit.roster;
    return hit.sub;
}

bool cdx_hits_add(struct cdx_hits *hits, struct cdx_arena *arena, struct cdx_hit hit)
{
    if (hits->n == hits->cap) {
        size_t cap = hits->cap == 0 ? 8 : hits->cap * 2;
        struct cdx_hit *items = cdx_arena_alloc(arena, cap * sizeof *items);
        if (items == NULL)
            return false;
        if (hits->n != 0)
            memcpy(items, hits->items, hits->n * sizeof *items);
        hits->items = items;
        hits->cap = cap;
    }
    hits->items[hits->n++] = hit;
    return true;
}

/* -- looking up ----------------------------------------------------------------------------------------------- */

/* The values of a parameter on the event, evaluated at first use. */
static enum cdx_code values_for(struct cdx_looking *l, const struct cdx_param *param,
                                const struct cdx_values **out)
{
    struct cdx_values *values = l->values[param->slot];
    enum cdx_code rc;

    if (values == NULL) {
        values = cdx_arena_alloc(l->arena, sizeof *values);
        if (values == NULL)
            return cdx_fail(l->err, CDX_NOMEM, "match: values of one event");
        rc = cdx_values_of(param, l->change, l->arena, values, l->err);
        if (rc != CDX_OK)
            return rc;
        l->values[param->slot] = values;
    }
    *out = values;
    return CDX_OK;
}

/* Any alternative of the filter is met. */
static enum cdx_code filter_met(struct cdx_looking *l, const struct cdx_param *param,
                                const struct cdx_filter *filter, bool *met)
{
    const struct cdx_values *values;
    enum cdx_code rc = values_for(l, param, &values);

    *met = false;
    for (size_t i = 0; rc == CDX_OK && !*met && i < filter->values_n; i++) {
        char scratch[CDX_WANT_BYTES];
        struct cdx_want want;
        if (cdx_want_parse(param, cdx_text_z(filter->values[i]), scratch, &want) == NULL)
            *met = cdx_want_met(param, &want, values);
    }
    return rc;
}

/*
 * Are all filters that apply to the event's type met? A subscription with filters, none of which applies to this type,
 * asked for other types (US Core patient-data-feed: "only the resource types named"; strict reading of 1.4).
 */
static enum cdx_code sub_met(struct cdx_looking *l, const struct cdx_topic_of *of,
                             const struct cdx_sub *sub, bool *met)
{
    bool applied = sub->filters_n == 0;

    *met = true;
    for (size_t i = 0; *met && i < sub->filters_n; i++) {
        const struct cdx_param *param = cdx_topic_param(of->topic, of->type, &sub->filters[i]);
        enum cdx_code rc;
        if (param == NULL)
            continue;
        applied = true;
        rc = filter_met(l, param, &sub->filters[i], met);
        if (rc != CDX_OK)
            return rc;
    }
    *met = *met && applied;
    return CDX_OK;
}

static enum cdx_code try_entry(struct cdx_looking *l, const struct cdx_topic_of *of,
                               const struct cdx_entry *e)
{
    enum cdx_code rc;
    bool met;

    if (e->topic != of->topic->index)
        return CDX_OK;
    rc = sub_met(l, of, e->sub, &met);
    if (rc != CDX_OK || !met)
        return rc;
    if (!cdx_hits_add(l->hits, l->arena, (struct cdx_hit){.sub = e->sub, .roster = e->roster}))
        return cdx_fail(l->err, CDX_NOMEM, "match: subscriptions found for one event");
    return CDX_OK;
}

/* One part of the index while it is looked through; dead: of the base, else NULL. */
struct side {
    const struct cdx_part *part;
    const struct cdx_index *dead;
};

/*
 * Tuples that wait to be looked up. All of a batch are fetched before the first is needed: with a million subscriptions
 * each look-up misses the caches three times, and the misses of one batch pass at once.
 */
struct batch {
    struct {
        const struct side *side;
        const struct cdx_slot *slot;
        uint32_t hash;
    } items[BATCH];
    size_t n;
};

static void push(struct batch *b, const struct side *side, uint32_t hash)
{
    __builtin_prefetch(&side->part->slots[hash & (side->part->slots_n - 1)]);
    b->items[b->n].side = side;
    b->items[b->n++].hash = hash;
}

/* A subscription's block is a few hundred bytes: its head, and behind it the filters. */
static void fetch(const struct cdx_part *part, const struct cdx_slot *slot)
{
    if ((slot->at & CDX_LIST) != 0) {
        __builtin_prefetch(&part->nodes[slot->at & ~CDX_LIST]);
        return;
    }
    __builtin_prefetch(&part->entries[slot->at]);
    for (size_t at = 0; at < 320; at += 64)
        __builtin_prefetch((const char *)slot->sub + at);
}

static enum cdx_code try_slot(struct cdx_looking *l, const struct cdx_topic_of *of,
                              const struct side *side, const struct cdx_slot *slot)
{
    const struct cdx_part *part = side->part;
    enum cdx_code rc = CDX_OK;

    if ((slot->at & CDX_LIST) == 0)
        return is_dead(side->dead, slot->at) ? CDX_OK : try_entry(l, of, &part->entries[slot->at]);
    for (uint32_t at = slot->at & ~CDX_LIST; rc == CDX_OK && at != CDX_NONE;
         at = part->nodes[at].next)
        if (!is_dead(side->dead, part->nodes[at].entry))
            rc = try_entry(l, of, &part->entries[part->nodes[at].entry]);
    return rc;
}

static enum cdx_code flush(struct cdx_looking *l, const struct cdx_topic_of *of, struct batch *b)
{
    enum cdx_code rc = CDX_OK;

    for (size_t i = 0; i < b->n; i++) {
        b->items[i].slot = cdx_part_slot(b->items[i].side->part, b->items[i].hash);
        if (b->items[i].slot != NULL)
            fetch(b->items[i].side->part, b->items[i].slot);
    }
    for (size_t i = 0; rc == CDX_OK && i < b->n; i++)
        if (b->items[i].slot != NULL)
            rc = try_slot(l, of, b->items[i].side, b->items[i].slot);
    b->n = 0;
    return rc;
}

static enum cdx_code scan(struct cdx_looking *l, const struct cdx_topic_of *of,
                          const struct side *side)
{
    enum cdx_code rc = CDX_OK;

    for (size_t i = 0; rc == CDX_OK && i < side->part->n; i++)
        if (!is_dead(side->dead, (uint32_t)i))
            rc = try_entry(l, of, &side->part->entries[i]);
    return rc;
}

/* The event's keys for each parameter of a shape. *tuples 0: it cannot be met. */
static enum cdx_code keys_of(struct cdx_looking *l, const struct cdx_topic_of *of,
                             const struct cdx_shape *shape, const uint64_t **keys, size_t *n,
                             uint64_t *tuples)
{
    *tuples = 1;
    for (size_t d = 0; d < shape->dims && *tuples != 0; d++) {
        const struct cdx_param *param = of->topic->filters[shape->name[d]].params[of->type];
        const struct cdx_values *values;
        enum cdx_code rc;
        if (param == NULL || param->reason != NULL) { /* a shape of other types of the topic */
            *tuples = 0;
            return CDX_OK;
        }
        rc = values_for(l, param, &values);
        if (rc != CDX_OK)
            return rc;
        keys[d] = values->keys[shape->form[d]];
        n[d] = values->keys_n[shape->form[d]];
        if (__builtin_mul_overflow(*tuples, (uint64_t)n[d], tuples))
            *tuples = UINT64_MAX;
    }
    return CDX_OK;
}

static enum cdx_code look_shape(struct cdx_looking *l, const struct cdx_topic_of *of,
                                const struct side *side, const struct cdx_shape *shape,
                                struct batch *batch)
{
    const uint64_t *keys[CDX_MAX_DIMS] = {NULL};
    size_t n[CDX_MAX_DIMS] = {0}, place[CDX_MAX_DIMS] = {0}, d;
    uint64_t tuples;
    enum cdx_code rc = keys_of(l, of, shape, keys, n, &tuples);

    if (rc != CDX_OK || tuples == 0)
        return rc;
    if (tuples > SCAN_FROM && tuples > side->part->n)
        return scan(l, of, side);
    do {
        uint64_t h = shape->seed;
        for (d = 0; d < shape->dims; d++)
            h = cdx_part_mix(h, keys[d][place[d]]);
        push(batch, side, (uint32_t)(h >> 32));
        if (batch->n == BATCH)
            rc = flush(l, of, batch);
        for (d = 0; d < shape->dims && ++place[d] == n[d]; d++)
            place[d] = 0;
    } while (rc == CDX_OK && d < shape->dims);
    return rc;
}

static enum cdx_code look_side(struct cdx_looking *l, const struct cdx_topic_of *of,
                               const struct side *side, struct batch *batch)
{
    enum cdx_code rc = CDX_OK;

    if (side->part == NULL || of->topic->index >= side->part->topics_n)
        return CDX_OK;
    for (uint32_t i = side->part->first[of->topic->index]; rc == CDX_OK && i != CDX_NONE;
         i = side->part->shapes[i].next)
        rc = look_shape(l, of, side, &side->part->shapes[i], batch);
    return rc;
}

enum cdx_code cdx_index_look(const struct cdx_index *index, const struct cdx_topic_of *of,
                             struct cdx_looking *looking)
{
    const struct side base = {.part = index->base, .dead = index->dead_n != 0 ? index : NULL};
    const struct side delta = {.part = index->delta, .dead = NULL};
    struct batch batch;
    enum cdx_code rc;

    batch.n = 0;
    rc = look_side(looking, of, &base, &batch);
    if (rc == CDX_OK)
        rc = look_side(looking, of, &delta, &batch);
    return rc == CDX_OK ? flush(looking, of, &batch) : rc;
}
