/*
 * flow/sources.c -- which source partitions are ours, and what is known of the resources that come from them?
 *
 * In:    places that the group gives us; cdex.trigger-state.
 * Out:   positions, and the caches of the state partitions that belong to our source partitions, filled to their ends.
 * Hard:  which state partition belongs to a source partition is a function of the latter's name alone, so that every
 *        process agrees; several may share one, and then one reads what another's resources left: it is never asked for.
 */
#include "flow/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/digest.h"
#include "core/log.h"
#include "model/conf.h"

#define COMMITTED_MS 40000 /* a transaction that nobody ends holds the answer up to 20 s */
#define STATE_READ_MS 30000

static bool names_source(const struct cdx_source *source, const char *topic)
{
    for (size_t i = 0; i < source->topics_n; i++)
        if (source->topics[i][0] == '^' ? cdx_topic_matches(source->topics[i], topic)
                                        : strcmp(source->topics[i], topic) == 0)
            return true;
    return false;
}

static const struct cdx_source *source_of(const struct cdx_conf *conf, const char *topic)
{
    for (size_t i = 0; i < conf->sources_n; i++)
        if (names_source(&conf->sources[i], topic))
            return &conf->sources[i];
    return NULL;
}

/* Which state partition belongs to a source partition: a function of its name only, so every process agrees. */
static int32_t state_partition_of(const struct cdx_stage1 *s, const char *topic, int32_t partition)
{
    char name[300];
    int n = snprintf(name, sizeof name, "%s/%d", topic, (int)partition);

    return cdx_partition_of(cdx_text(name, (size_t)n), s->state_partitions);
}

void cdx_sources_drop(struct cdx_stage1 *s)
{
    while (s->states != NULL) {
        struct state_part *next = s->states->next;
        cdx_trigger_close(s->states->cache);
        free(s->states);
        s->states = next;
    }
    for (size_t i = 0; i < s->parts_n; i++)
        free(s->parts[i].topic);
    free(s->parts);
    s->parts = NULL;
    s->parts_n = 0;
}

struct filling {
    struct cdx_trigger *cache;
    struct cdx_err *err;
};

static bool fill_one(void *arg, const struct cdx_record *rec)
{
    struct filling *f = arg;

    return rec->key.p == NULL || cdx_trigger_put(f->cache, rec->key, rec->value, f->err) == CDX_OK;
}

/* Brings a cache up to the end of its state partition. */
static enum cdx_code fill(struct cdx_stage1 *s, struct state_part *sp, struct cdx_err *err)
{
    struct cdx_place place = {cdx_bus_topic(s->bus, CDX_T_TRIGGER_STATE), sp->partition,
                              cdx_trigger_filled(sp->cache)};
    struct filling f = {sp->cache, err};
    int64_t start, end;
    enum cdx_code rc =
        cdx_consumer_bounds(s->loader, place.topic, place.partition, &start, &end, err);

    if (rc == CDX_OK && (place.offset > end || (place.offset > 0 && place.offset < start)))
        rc = cdx_trigger_clear(sp->cache, err),
        place.offset = start; /* another topic, or one cut below us */
    if (rc == CDX_OK && place.offset < start)
        place.offset = start;
    if (rc == CDX_OK)
        rc = cdx_trigger_begin(sp->cache, err);
    if (rc == CDX_OK)
        rc = cdx_consumer_read_all(s->loader, &place, 1, STATE_READ_MS, fill_one, &f, err);
    if (rc == CDX_OK)
        rc = cdx_trigger_commit(sp->cache, place.offset, cdx_wall_ms(s->clock), err);
    return rc;
}

static struct state_part *state_part(struct cdx_stage1 *s, int32_t partition, struct cdx_err *err)
{
    struct state_part *sp = s->states;

    while (sp != NULL && sp->partition != partition)
        sp = sp->next;
    if (sp != NULL)
        return sp;
    sp = calloc(1, sizeof *sp);
    if (sp == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: state partition");
        return NULL;
    }
    sp->partition = partition;
    sp->cache = cdx_trigger_open(s->conf->data_dir, partition, cdx_wall_ms(s->clock), err);
    if (sp->cache == NULL || fill(s, sp, err) != CDX_OK) {
        cdx_trigger_close(sp->cache);
        free(sp);
        return NULL;
    }
    sp->next = s->states;
    s->states = sp;
    return sp;
}

bool cdx_sources_load(struct cdx_stage1 *s, struct cdx_place *places, size_t n)
{
    struct cdx_err err = {0};
    bool ok = cdx_consumer_committed(s->consumer, places, n, COMMITTED_MS, &err) == CDX_OK;

    s->parts = calloc(n + 1, sizeof *s->parts);
    ok = ok && s->parts != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        struct source_part *part = &s->parts[s->parts_n++];
        part->topic = strdup(places[i].topic);
        part->partition = places[i].partition;
        part->source = source_of(s->conf, places[i].topic);
        if (places[i].offset == CDX_NONE)
            places[i].offset = CDX_BEGINNING;
        part->next = part->safe = places[i].offset;
        part->state =
            state_part(s, state_partition_of(s, places[i].topic, places[i].partition), &err);
        ok = part->topic != NULL && part->state != NULL;
    }
    if (!ok) {
        cdx_log(CDX_WARN, "match.load", err.text, CDX_KN("partitions", n));
        cdx_sources_drop(s);
    }
    return ok;
}

struct source_part *cdx_sources_find(struct cdx_stage1 *s, const struct cdx_record *rec)
{
    for (size_t i = 0; i < s->parts_n; i++)
        if (s->parts[i].partition == rec->partition && cdx_text_is(rec->topic, s->parts[i].topic))
            return &s->parts[i];
    return NULL;
}

enum cdx_code cdx_sources_keep(struct cdx_stage1 *s, struct cdx_err *err)
{
    struct pending *p;
    size_t i = 0;

    while ((p = cdx_map_next(&s->overlay, &i)) != NULL) {
        if (!p->part->open && cdx_trigger_begin(p->part->cache, err) == CDX_OK)
            p->part->open = true;
        if (!p->part->open || cdx_trigger_put(p->part->cache, p->key, p->value, err) != CDX_OK)
            return err->code;
    }
    for (struct state_part *sp = s->states; sp != NULL; sp = sp->next) {
        if (sp->open && cdx_trigger_commit(sp->cache, -1, cdx_wall_ms(s->clock), err) != CDX_OK)
            return err->code;
        sp->open = false;
    }
    return CDX_OK;
}
