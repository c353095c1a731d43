/*
 * match/part.c -- under which tuples of values is a subscription found?
 *
 * In:    subscriptions that their topics accept.
 * Out:   hash tables from id and from tuple to subscription, 45 to 65 bytes a subscription.
 * Owns:  the tables and one reference of each subscription.
 *
 * A filter's name means a parameter on each type that its topic triggers, or does not apply to it. Types on which the
 * same filters apply are found by the same tuples, so `patient=` on a topic of fourteen types is one tuple. Filters
 * that no hash can answer (strings), or whose or-lists multiply beyond the bound, are left out of the tuple: whoever
 * is found is checked filter by filter, so a tuple only has to be true of all who want the event.
 *
 * With a million subscriptions a look-up is a chain of cache misses, so the table is one array whose slots name the
 * subscription itself, and only equal tuples of several subscriptions hang in a list.
 *
 * No compiled filters are kept: checking one reads the subscription's own text again, which costs 50 ns on the few that
 * are found and saves a hundred bytes on all.
 */
#include "match/part.h"

#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/limits.h"

struct cdx_part *cdx_part_create(size_t cap, size_t topics_n)
{
    struct cdx_part *part = calloc(1, sizeof *part);
    size_t slots = 16;

    while (slots * 3 < cap * 4)
        slots *= 2;
    if (part == NULL)
        return NULL;
    part->refs = 1;
    part->cap = cap;
    part->ids_n = slots;
    part->topics_n = topics_n;
    part->entries = malloc((cap + 1) * sizeof *part->entries);
    part->ids = malloc(slots * sizeof *part->ids);
    part->first = malloc((topics_n + 1) * sizeof *part->first);
    part->of_topic = calloc(topics_n + 1, sizeof *part->of_topic);
    if (part->entries == NULL || part->ids == NULL || part->first == NULL ||
        part->of_topic == NULL) {
        cdx_part_unref(part);
        return NULL;
    }
    memset(part->ids, 0xFF, slots * sizeof *part->ids);
    memset(part->first, 0xFF, (topics_n + 1) * sizeof *part->first);
    return part;
}

struct cdx_part *cdx_part_ref(struct cdx_part *part)
{
    if (part != NULL)
        __atomic_add_fetch(&part->refs, 1, __ATOMIC_RELAXED);
    return part;
}

void cdx_part_unref(struct cdx_part *part)
{
    if (part == NULL || __atomic_sub_fetch(&part->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < part->n; i++)
        cdx_sub_unref(part->entries[i].sub);
    free(part->entries);
    free(part->ids);
    free(part->postings);
    free(part->slots);
    free(part->nodes);
    free(part->shapes);
    free(part->first);
    free(part->of_topic);
    free(part);
}

size_t cdx_part_bytes(const struct cdx_part *part)
{
    if (part == NULL)
        return 0;
    return sizeof *part + (part->cap + 1) * sizeof *part->entries +
           part->ids_n * sizeof *part->ids + part->postings_cap * sizeof *part->postings +
           part->slots_n * sizeof *part->slots + part->nodes_cap * sizeof *part->nodes +
           part->shapes_cap * sizeof *part->shapes + 2 * (part->topics_n + 1) * sizeof *part->first;
}

/* -- ids ------------------------------------------------------------------------------------------------------ */

uint32_t cdx_part_find(const struct cdx_part *part, struct cdx_text id)
{
    size_t mask;

    if (part == NULL)
        return CDX_NONE;
    mask = part->ids_n - 1;
    for (size_t i = cdx_hash(id.p, id.n, 0) & mask; part->ids[i] != CDX_NONE; i = (i + 1) & mask)
        if (cdx_text_is(id, part->entries[part->ids[i]].sub->id))
            return part->ids[i];
    return CDX_NONE;
}

static void place_id(struct cdx_part *part, uint32_t entry)
{
    const char *id = part->entries[entry].sub->id;
    size_t mask = part->ids_n - 1, i = cdx_hash(id, strlen(id), 0) & mask;

    while (part->ids[i] != CDX_NONE)
        i = (i + 1) & mask;
    part->ids[i] = entry;
}

/* -- shapes --------------------------------------------------------------------------------------------------- */

static bool same_shape(const struct cdx_shape *a, const struct cdx_shape *b)
{
    if (a->dims != b->dims)
        return false;
    for (size_t d = 0; d < a->dims; d++)
        if (a->form[d] != b->form[d] || a->name[d] != b->name[d])
            return false;
    return true;
}

/* The seed is made of what the shape is, so that equal tuples of different shapes lie apart. */
static uint64_t shape_seed(const struct cdx_shape *s)
{
    uint64_t h = cdx_part_mix(0x6364782D70757368u, s->topic);

    for (size_t d = 0; d < s->dims; d++)
        h = cdx_part_mix(h, (uint64_t)s->name[d] << 8 | s->form[d]);
    return h;
}

/* The part's shape like this one, made when it is new; NULL: no memory. */
static const struct cdx_shape *shape_like(struct cdx_part *part, const struct cdx_shape *want)
{
    struct cdx_shape *s;

    for (uint32_t i = part->first[want->topic]; i != CDX_NONE; i = part->shapes[i].next)
        if (same_shape(&part->shapes[i], want))
            return &part->shapes[i];
    if (part->shapes_n == part->shapes_cap) {
        size_t cap = part->shapes_cap == 0 ? 8 : part->shapes_cap * 2;
        struct cdx_shape *grown = realloc(part->shapes, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        part->shapes = grown;
        part->shapes_cap = cap;
    }
    s = &part->shapes[part->shapes_n];
    *s = *want;
    s->seed = shape_seed(want);
    s->next = part->first[want->topic];
    part->first[want->topic] = (uint32_t)part->shapes_n++;
    return s;
}

/* -- tuples --------------------------------------------------------------------------------------------------- */

/* One filter that takes part in a tuple. */
struct dim {
    const struct cdx_filter *filter;
    const struct cdx_param *param;
    uint16_t name;
};

static bool add_posting(struct cdx_part *part, uint32_t hash)
{
    if (part->postings_n == part->postings_cap) {
        size_t cap = part->postings_cap == 0 ? (part->cap < 16 ? 16 : part->cap)
                                             : part->postings_cap + part->postings_cap / 4;
        struct cdx_posting *grown =
            cap < CDX_NONE ? realloc(part->postings, cap * sizeof *grown) : NULL;
        if (grown == NULL)
            return false;
        part->postings = grown;
        part->postings_cap = cap;
    }
    part->postings[part->postings_n++] =
        (struct cdx_posting){.hash = hash, .entry = (uint32_t)part->n};
    return true;
}

/* One tuple: the place[d]-th value of each filter. */
static bool add_tuple(struct cdx_part *part, uint32_t topic, const struct dim *dims, size_t n,
                      const size_t *place)
{
    struct cdx_shape shape = {.topic = topic, .dims = (uint8_t)n};
    const struct cdx_shape *found;
    uint64_t key[CDX_MAX_DIMS], h;

    for (size_t d = 0; d < n; d++) {
        char scratch[CDX_WANT_BYTES];
        struct cdx_want want;
        if (cdx_want_parse(dims[d].param, cdx_text_z(dims[d].filter->values[place[d]]), scratch,
                           &want) != NULL)
            return true; /* the topic accepts it, so this does not happen; and nothing is found by it */
        key[d] = cdx_want_key(&want);
        shape.form[d] = (uint8_t)want.form;
        shape.name[d] = dims[d].name;
    }
    found = shape_like(part, &shape);
    if (found == NULL)
        return false;
    h = found->seed;
    for (size_t d = 0; d < n; d++)
        h = cdx_part_mix(h, key[d]);
    return add_posting(part, (uint32_t)(h >> 32));
}

/* All combinations of the or-lists' values. */
static bool add_tuples(struct cdx_part *part, uint32_t topic, const struct dim *dims, size_t n)
{
    size_t place[CDX_MAX_DIMS] = {0}, d;

    do {
        if (!add_tuple(part, topic, dims, n, place))
            return false;
        for (d = 0; d < n && ++place[d] == dims[d].filter->values_n; d++)
            place[d] = 0;
    } while (d < n);
    return true;
}

/* Can one key answer this filter on all types of the group? The parameters must read a value in the same way. */
static bool hashable(const struct cdx_topic *topic, const struct cdx_filter *filter,
                     const uint32_t *masks, uint32_t mask, const struct cdx_param **param)
{
    *param = NULL;
    for (size_t t = 0; t < topic->types_n; t++) {
        const struct cdx_param *p = masks[t] == mask ? cdx_topic_param(topic, t, filter) : NULL;
        if (p == NULL)
            continue;
        if (*param == NULL)
            *param = p;
        if (p->type != (*param)->type || !cdx_text_eq(p->target, (*param)->target) ||
            (p->type != CDX_P_TOKEN && p->type != CDX_P_REFERENCE))
            return false;
    }
    return *param != NULL;
}

/* References first, then short or-lists: what excludes most. */
static bool before(const struct dim *a, const struct dim *b)
{
    if ((a->param->type == CDX_P_REFERENCE) != (b->param->type == CDX_P_REFERENCE))
        return a->param->type == CDX_P_REFERENCE;
    return a->filter->values_n < b->filter->values_n;
}

static void sort_dims(struct dim *dims, size_t n,
                      bool (*less)(const struct dim *, const struct dim *))
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && less(&dims[k], &dims[k - 1]); k--) {
            struct dim swap = dims[k];
            dims[k] = dims[k - 1];
            dims[k - 1] = swap;
        }
}

static bool by_name(const struct dim *a, const struct dim *b)
{
    return a->name < b->name;
}

/* Keeps the best few, each name once (a second filter of a name is checked, not hashed), within the bound of tuples. */
static size_t choose_dims(struct dim *dims, size_t n)
{
    size_t kept = 0, tuples = 1;

    sort_dims(dims, n, before);
    for (size_t i = 0; i < n && kept < CDX_MAX_DIMS; i++) {
        bool again = false;
        for (size_t k = 0; k < kept; k++)
            again = again || dims[k].name == dims[i].name;
        if (again || tuples * dims[i].filter->values_n > CDX_MAX_FILTER_TUPLES)
            continue;
        tuples *= dims[i].filter->values_n;
        dims[kept++] = dims[i];
    }
    sort_dims(dims, kept, by_name);
    return kept;
}

/* The tuples by which the subscription is found on the types where just these filters apply. */
static bool add_group(struct cdx_part *part, const struct cdx_topic *topic,
                      const struct cdx_sub *sub, const uint32_t *masks, uint32_t mask)
{
    struct dim dims[CDX_MAX_FILTERS];
    size_t n = 0;

    for (size_t f = 0; f < sub->filters_n; f++) {
        const struct cdx_param *param;
        if ((mask & 1u << f) == 0 || !hashable(topic, &sub->filters[f], masks, mask, &param))
            continue;
        dims[n++] = (struct dim){
            .filter = &sub->filters[f],
            .param = param,
            .name = (uint16_t)cdx_topic_filter_at(topic, cdx_text_z(sub->filters[f].param))};
    }
    return add_tuples(part, topic->index, dims, choose_dims(dims, n));
}

static bool seen(const uint32_t *masks, size_t n, uint32_t mask)
{
    for (size_t i = 0; i < n; i++)
        if (masks[i] == mask)
            return true;
    return false;
}

static bool add_groups(struct cdx_part *part, const struct cdx_topic *topic,
                       const struct cdx_sub *sub)
{
    uint32_t masks[CDX_MAX_TOPIC_TYPES] = {0};

    for (size_t t = 0; t < topic->types_n; t++)
        for (size_t f = 0; f < sub->filters_n; f++)
            if (cdx_topic_param(topic, t, &sub->filters[f]) != NULL)
                masks[t] |= 1u << f;
    for (size_t t = 0; t < topic->types_n; t++) {
        if (seen(masks, t, masks[t]))
            continue;
        if (masks[t] == 0 &&
            sub->filters_n != 0) /* filters, but none for this type: not what was asked for */
            continue;
        if (!add_group(part, topic, sub, masks, masks[t]))
            return false;
    }
    return true;
}

bool cdx_part_add(struct cdx_part *part, const struct cdx_topic *topic, struct cdx_sub *sub,
                  uint32_t roster)
{
    if (part->n == part->cap || part->n >= CDX_LIST || !add_groups(part, topic, sub))
        return false;
    part->entries[part->n] =
        (struct cdx_entry){.sub = cdx_sub_ref(sub), .roster = roster, .topic = topic->index};
    place_id(part, (uint32_t)part->n++);
    part->of_topic[topic->index]++;
    return true;
}

static bool add_node(struct cdx_part *part, uint32_t entry, uint32_t next, uint32_t *node)
{
    if (part->nodes_n == part->nodes_cap) {
        size_t cap = part->nodes_cap == 0 ? 16 : part->nodes_cap + part->nodes_cap / 2;
        struct cdx_node *grown = cap < CDX_LIST ? realloc(part->nodes, cap * sizeof *grown) : NULL;
        if (grown == NULL)
            return false;
        part->nodes = grown;
        part->nodes_cap = cap;
    }
    *node = (uint32_t)part->nodes_n;
    part->nodes[part->nodes_n++] = (struct cdx_node){.entry = entry, .next = next};
    return true;
}

/* Tuples of equal hash share a slot, whether they are equal or not: who is found is checked. */
static bool place_posting(struct cdx_part *part, const struct cdx_posting *p)
{
    size_t mask = part->slots_n - 1, i = p->hash & mask;
    struct cdx_slot *slot;
    uint32_t node;

    while (part->slots[i].sub != NULL && part->slots[i].hash != p->hash)
        i = (i + 1) & mask;
    slot = &part->slots[i];
    if (slot->sub == NULL) {
        *slot =
            (struct cdx_slot){.hash = p->hash, .at = p->entry, .sub = part->entries[p->entry].sub};
        return true;
    }
    if ((slot->at & CDX_LIST) == 0) {
        if (!add_node(part, slot->at, CDX_NONE, &node))
            return false;
        slot->at = CDX_LIST | node;
    }
    if (!add_node(part, p->entry, slot->at & ~CDX_LIST, &node))
        return false;
    slot->at = CDX_LIST | node;
    return true;
}

bool cdx_part_finish(struct cdx_part *part)
{
    size_t slots = 16;

    while (slots * 3 < part->postings_n * 4)
        slots *= 2;
    part->slots = calloc(slots, sizeof *part->slots);
    if (part->slots == NULL)
        return false;
    part->slots_n = slots;
    for (size_t i = 0; i < part->postings_n; i++)
        if (!place_posting(part, &part->postings[i]))
            return false;
    free(part->postings);
    part->postings = NULL;
    part->postings_n = part->postings_cap = 0;
    return true;
}
