/*
 * flow/load.c -- where does this process go on with the partitions that it was given?
 *
 * In:    committed offsets, cursors and checkpoints, the log's bounds, the view's subscriptions.
 * Out:   parts with their feeds, positioned; gaps and jumps reported.
 * Hard:  the order (recovery.md "assign", "load", "start"): committed offsets first, since that waits for what a former owner
 *        left pending; then the cursors to their ends; then what the checkpoint says of the log.
 */
#include "flow/owner.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/limits.h"
#include "core/log.h"
#include "state/cursor.h"

#define COMMITTED_MS 40000 /* a transaction that nobody ends holds the answer up to 20 s */
#define LOAD_MS 30000
#define VIEW_MS 10000

/* The newest value of each key of a cursor partition. */
struct kept {
    struct cdx_text key, value;
    char bytes[];
};

static bool keep_newest(void *arg, const struct cdx_record *rec)
{
    struct part *part = cdx_owner_part(arg, rec->partition);
    struct cdx_map *newest = part != NULL ? &part->newest : NULL;
    struct kept *k;

    if (rec->key.p == NULL || newest == NULL)
        return true;
    free(cdx_map_take(newest, rec->key));
    if (rec->value.p == NULL)
        return true;
    k = malloc(sizeof *k + rec->key.n + rec->value.n);
    if (k == NULL)
        return false;
    memcpy(k->bytes, rec->key.p, rec->key.n);
    memcpy(k->bytes + rec->key.n, rec->value.p, rec->value.n);
    k->key = cdx_text(k->bytes, rec->key.n);
    k->value = cdx_text(k->bytes + rec->key.n, rec->value.n);
    if (cdx_map_put(newest, k->key, k))
        return true;
    free(k);
    return false;
}

static enum cdx_code load_cursor(struct part *part, const struct kept *k, struct cdx_err *err)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor cursor;
    struct owned *o;
    enum cdx_code rc = cdx_cursor_read(k->value, marks, &cursor, err);

    if (rc != CDX_OK)
        return rc;
    o = cdx_owner_add(part, k->key);
    if (o == NULL)
        return cdx_fail(err, CDX_NOMEM, "flow: cursor");
    o->cursor_committed = true;
    o->sent_ms = cursor.sent_ms;
    o->hold_until_ms = cursor.retry_after_ms;
    return cdx_feed_load(&o->feed, &cursor, cdx_owner_forget, err);
}

/* Cursors of one partition; *checkpoint is CDX_NONE when there is none. */
static enum cdx_code load_cursors(struct part *part, int64_t *checkpoint, struct cdx_err *err)
{
    struct kept *k;
    size_t i = 0;
    enum cdx_code rc = CDX_OK;

    *checkpoint = CDX_NONE;
    while (rc == CDX_OK && (k = cdx_map_next(&part->newest, &i)) != NULL)
        rc = k->key.n > 0 && k->key.p[0] == '#' ? cdx_checkpoint_read(k->value, checkpoint, err)
                                                : load_cursor(part, k, err);
    return rc;
}

static void forget_newest(struct part *part)
{
    struct kept *k;
    size_t i = 0;

    while ((k = cdx_map_next(&part->newest, &i)) != NULL)
        free(k);
    cdx_map_fini(&part->newest);
}

/* The checkpoint may lie outside the log: below its start (retention outran us) or above its end (it was replaced). */
void cdx_owner_mend(struct cdx_stage2 *s, struct part *part, int64_t checkpoint, int64_t start,
                    int64_t end)
{
    size_t i = 0;
    struct owned *o;
    struct cdx_numbers lost[2];
    bool replaced = checkpoint > end;

    part->position = checkpoint;
    if (checkpoint >= start && !replaced)
        return;
    part->position = start;
    part->held = true;
    if (replaced)
        cdx_count(CDX_C_LOG_REPLACED, 1);
    cdx_log(
        CDX_ERROR, replaced ? "push.log-replaced" : "push.jump",
        replaced
            ? "the log is not the one that was read before: event numbers go on, what was undelivered is gone"
            : "the log's retention took records that were not counted: event numbers jump",
        CDX_KN("partition", part->id), CDX_KN("checkpoint", checkpoint), CDX_KN("start", start),
        CDX_KN("end", end));
    while ((o = cdx_map_next(&part->subs, &i)) != NULL) {
        size_t gone = replaced ? cdx_feed_replaced(&o->feed, start, &lost[0].from, &lost[0].to)
                               : cdx_feed_jump(&o->feed, start, end - checkpoint, lost);
        for (size_t k = 0; k < gone; k++)
            cdx_owner_report_gap(
                s, o, lost[k].from, lost[k].to,
                replaced
                    ? "the log was replaced"
                    : "the log's retention took records that were not counted; up to so many are gone");
        cdx_owner_mark_dirty(s, o);
    }
}

static void restore_holds(struct part *part)
{
    size_t i = 0;
    struct owned *o;

    while ((o = cdx_map_next(&part->subs, &i)) != NULL) {
        if (o->lane != NULL && o->hold_until_ms > 0)
            cdx_endpoint_restore(o->lane->ep, o->hold_until_ms);
        o->hold_until_ms = 0;
    }
}

static enum cdx_code load_part(struct cdx_stage2 *s, struct part *part, struct cdx_place *place,
                               struct cdx_err *err)
{
    struct taking taking = {s, part};
    int64_t start, end, checkpoint;
    enum cdx_code rc = load_cursors(part, &checkpoint, err);

    if (rc == CDX_OK)
        rc = cdx_consumer_bounds(s->loader, place->topic, place->partition, &start, &end, err);
    if (rc != CDX_OK)
        return rc;
    if (checkpoint == CDX_NONE)
        checkpoint = place->offset >= 0 ? place->offset : end;
    cdx_owner_mend(s, part, checkpoint, start, end);
    part->flushed = part->held ? -1 : part->position;
    place->offset = part->position;
    cdx_view_each(s->view, part->id, cdx_owner_take, &taking);
    restore_holds(part);
    return CDX_OK;
}

static bool add_parts(struct cdx_stage2 *s, const struct cdx_place *places,
                      struct cdx_place *cursors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct part *part = calloc(1, sizeof *part);
        if (part == NULL)
            return false;
        part->id = places[i].partition;
        part->next = s->parts;
        s->parts = part;
        cursors[i] =
            (struct cdx_place){cdx_bus_topic(s->bus, CDX_T_CURSORS), part->id, CDX_BEGINNING};
    }
    return true;
}

/* assign and load: committed offsets first (which waits for what is pending), then the cursors to their ends, then the subscriptions of now. */
bool cdx_owner_load(struct cdx_stage2 *s, struct cdx_place *places, size_t n)
{
    struct cdx_err err = {0};
    struct cdx_place *cursors = calloc(n + 1, sizeof *cursors);
    enum cdx_code rc = cursors == NULL ? cdx_fail(&err, CDX_NOMEM, "flow: partitions") : CDX_OK;

    if (rc == CDX_OK && n > 0)
        rc = cdx_consumer_committed(s->consumer, places, n, COMMITTED_MS, &err);
    if (rc == CDX_OK && !add_parts(s, places, cursors, n))
        rc = cdx_fail(&err, CDX_NOMEM, "flow: partitions");
    if (rc == CDX_OK)
        rc = cdx_consumer_read_all(s->loader, cursors, n, LOAD_MS, keep_newest, s, &err);
    if (rc == CDX_OK && !cdx_view_wait_fresh(s->view, cdx_mono_ms(s->clock), VIEW_MS))
        rc = cdx_fail(&err, CDX_REMOTE, "the subscriptions are not read to their end yet");
    for (size_t i = 0; rc == CDX_OK && i < n; i++)
        rc = load_part(s, cdx_owner_part(s, places[i].partition), &places[i], &err);
    for (struct part *part = s->parts; part != NULL; part = part->next)
        forget_newest(part);
    free(cursors);
    if (rc == CDX_OK)
        return true;
    cdx_log(CDX_WARN, "push.load", err.text, CDX_KN("partitions", n), CDX_KN("again_in_ms", 500));
    cdx_owner_drop(s);
    return false;
}
