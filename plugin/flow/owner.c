/*
 * flow/owner.c -- the things that the owner of log partitions keeps: records in memory, subscriptions, partitions.
 *
 * In:    records and orders. Out: owned subscriptions in their parts, found by id; gaps as dead letters and statuses.
 * Owns:  their memory. What is done with them is decided in stage2.c, load.c, send.c and scan.c.
 */
#include "flow/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/log.h"
#include "flow/deadletter.h"

/* -- records in memory -------------------------------------------------------------------------------------------- */

struct logged *cdx_owner_copy(struct cdx_stage2 *s, const struct cdx_record *rec)
{
    struct logged *l = malloc(sizeof *l + rec->value.n);
    const struct cdx_header *trace = cdx_record_header(rec, "traceparent");

    if (l == NULL)
        return NULL;
    l->total = &s->queued_bytes;
    l->timestamp_ms = rec->timestamp_ms;
    l->n = rec->value.n;
    l->trace[0] = '\0';
    if (trace != NULL && trace->value.n < sizeof l->trace) {
        memcpy(l->trace, trace->value.p, trace->value.n);
        l->trace[trace->value.n] = '\0';
    }
    if (rec->value.n > 0)
        memcpy(l->value, rec->value.p, rec->value.n);
    s->queued_bytes += sizeof *l + l->n;
    return l;
}

void cdx_owner_forget(void *rec)
{
    struct logged *l = rec;

    *l->total -= sizeof *l + l->n;
    free(l);
}

/* -- subscriptions of a partition --------------------------------------------------------------------------------- */

struct owned *cdx_owner_find(struct part *part, struct cdx_text id)
{
    return cdx_map_get(&part->subs, id);
}

void cdx_owner_mark_dirty(struct cdx_stage2 *s, struct owned *o)
{
    if (o->dirty)
        return;
    o->dirty = true;
    o->dirty_next = s->dirty;
    s->dirty = o;
}

void cdx_owner_lag(struct cdx_stage2 *s, struct owned *o)
{
    cdx_scan_leave(s, o);
    cdx_feed_to_lagging(&o->feed);
    cdx_owner_mark_dirty(s, o);
}

struct owned *cdx_owner_add(struct part *part, struct cdx_text id)
{
    struct owned *o = calloc(1, sizeof *o);

    if (o != NULL && (o->id = strndup(id.p, id.n)) != NULL &&
        cdx_map_put(&part->subs, cdx_text_z(o->id), o)) {
        o->part = part;
        return o;
    }
    free(o != NULL ? o->id : NULL);
    free(o);
    return NULL;
}

static void free_owned(struct cdx_stage2 *s, struct owned *o)
{
    cdx_send_forget(s, o);
    cdx_feed_fini(&o->feed);
    cdx_sub_unref(o->sub);
    free(o->refused);
    free(o->status.error);
    free(o->status.error_code);
    free(o->id);
    free(o);
}

struct part *cdx_owner_part(struct cdx_stage2 *s, int32_t id)
{
    struct part *part = s->parts;

    while (part != NULL && part->id != id)
        part = part->next;
    return part;
}

void cdx_owner_drop(struct cdx_stage2 *s)
{
    cdx_scan_stop(s);
    while (s->parts != NULL) {
        struct part *part = s->parts;
        size_t i = 0;
        struct owned *o;

        s->parts = part->next;
        while ((o = cdx_map_next(&part->subs, &i)) != NULL)
            free_owned(s, o);
        cdx_map_fini(&part->subs);
        free(part);
    }
    s->dirty = NULL;
    cdx_view_own_files(s->view, false);
}

/* A gap is visible: a dead letter that says from which number to which, a metric, a log line. Its status is `error` until the next answer. */
void cdx_owner_report_gap(struct cdx_stage2 *s, struct owned *o, int64_t from, int64_t to,
                          const char *why)
{
    struct cdx_header headers[CDX_DEADLETTER_HEADERS];
    struct cdx_deadletter_texts texts;
    int64_t now = cdx_wall_ms(s->clock);
    struct cdx_deadletter d = {.stage = "push",
                               .klass = "gap",
                               .error = cdx_text_z(why),
                               .subscription = cdx_text_z(o->id),
                               .first_ms = now,
                               .last_ms = now,
                               .event_first = from,
                               .event_last = to,
                               .src_topic = cdx_text_z(cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS)),
                               .src_partition = o->part->id,
                               .src_offset = o->feed.scan};
    struct cdx_out out = {
        CDX_T_DEAD_LETTERS, -1, cdx_text_z(o->id), cdx_text(NULL, 0), headers, 0, 0};
    char text[160];

    out.headers_n = cdx_deadletter_headers(&d, &texts, headers);
    cdx_count(CDX_C_GAPS, (uint64_t)(to - from + 1));
    cdx_count(CDX_C_DLQ_GAP, 1);
    cdx_log(CDX_ERROR, "push.gap", why, CDX_KV("subscription", o->id), CDX_KN("from", from),
            CDX_KN("to", to), CDX_KN("partition", o->part->id));
    if (!cdx_flush_add(s->next_flush, &out, true))
        cdx_log(CDX_ERROR, "push.record", "out of memory for a dead letter",
                CDX_KV("subscription", o->id));
    snprintf(text, sizeof text, "events %lld to %lld are gone: %s", (long long)from, (long long)to,
             why);
    if (o->sub != NULL && o->status.activated)
        cdx_send_set_status(s, o, CDX_ERROR_STATUS, NULL, text);
    cdx_owner_mark_dirty(s, o);
}

/* -- orders from the view ----------------------------------------------------------------------------------------- */

/* A subscription that has no cursor gets its first one: it is committed before its handshake, and counting starts behind it. */
void cdx_owner_take(void *arg, const struct cdx_order *order)
{
    struct taking *t = arg;
    struct cdx_stage2 *s = t->s;
    struct cdx_text id = cdx_text_z(order->id);
    struct part *part = t->part;
    struct owned *o = NULL;

    for (struct part *p = part != NULL ? NULL : s->parts; p != NULL && o == NULL; p = p->next)
        o = cdx_map_get(&p->subs, id);
    if (part == NULL && o == NULL && order->sub != NULL)
        part = cdx_owner_part(s, order->sub->partition);
    if (o == NULL && part != NULL)
        o = cdx_map_get(&part->subs, id);
    if (o == NULL && part != NULL && order->sub != NULL && order->sub->wanted == CDX_REQUESTED) {
        o = cdx_owner_add(part, id);
        if (o != NULL) {
            cdx_feed_first(&o->feed, part->position, cdx_owner_forget);
            cdx_owner_mark_dirty(s, o);
        }
    }
    if (o == NULL)
        return;
    cdx_send_order(s, o, order, t->part != NULL);
    if (t->part == NULL)
        cdx_send_pump(s, o);
}
