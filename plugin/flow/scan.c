/*
 * flow/scan.c -- range readers: the records of subscriptions that lag, in order, from the log itself.
 *
 * In:    lagging subscriptions that want their next records (their endpoint accepts, their chunk is empty).
 * Out:   records handed to their feeds; feeds that have joined the live reader; gaps where retention took records.
 * Owns:  two readers without a group, each on one partition for a turn of 2 s.
 * Hard:  a scan serves all of a partition's lagging subscriptions at once, but never waits for one while others could
 *        go on: a member whose chunk is full leaves and wants again when it has been delivered. Only when it is the last one does
 *        the scan wait, holding one message. Memory is the chunks' bound, however long the backlog is.
 * Not:   a thread of its own: assignment and polling do not block, and feeds need no lock so.
 */
#include "flow/owner.h"

#include "core/clock.h"
#include "core/count.h"
#include "core/log.h"

#define TURN_MS 2000
#define JOIN_WINDOW 1000 /* records behind the live reader (design 4.4) */
#define BUDGET 256 /* records of one step, so that live reading and answers are not kept waiting */
#define READER_KBYTES                                                                              \
    8192 /* prefetch; smaller makes librdkafka's fetcher sleep for 1 s at a time */

static const struct cdx_feed_bounds probe_bounds = {1, 0};
static const struct cdx_feed_bounds chunk_bounds = {256, 512 << 10};

static const struct cdx_feed_bounds *bounds_of(const struct owned *o)
{
    return o->lane != NULL && cdx_endpoint_probing(o->lane->ep) ? &probe_bounds : &chunk_bounds;
}

/* -- wanting ------------------------------------------------------------------------------------------------------ */

static void unwant(struct owned *o)
{
    struct owned **at = &o->part->wanting;

    if (!o->wanting)
        return;
    while (*at != o)
        at = &(*at)->want_next;
    *at = o->want_next;
    o->wanting = false;
}

static void leave(struct owned *o)
{
    struct scan *scan = o->scan;

    if (scan == NULL)
        return;
    *o->scan_at = o->scan_next;
    if (o->scan_next != NULL)
        o->scan_next->scan_at = o->scan_at;
    o->scan = NULL;
    scan->members--;
    if (scan->counting == o) {
        scan->counting = NULL;
        scan->broken = true; /* the reader stands in the middle of what was only counted */
    }
}

static void enter(struct scan *scan, struct owned *o)
{
    o->scan = scan;
    o->scan_next = scan->first;
    o->scan_at = &scan->first;
    if (scan->first != NULL)
        scan->first->scan_at = &o->scan_next;
    scan->first = o;
    scan->members++;
}

void cdx_scan_leave(struct cdx_stage2 *s, struct owned *o)
{
    (void)s;
    unwant(o);
    leave(o);
}

void cdx_scan_want(struct cdx_stage2 *s, struct owned *o)
{
    (void)s;
    if (o->wanting || o->scan != NULL || o->feed.live)
        return;
    o->wanting = true;
    o->want_next = o->part->wanting;
    o->part->wanting = o;
}

/* Joined or not: tested before anything else (recovery.md "join"). One that has joined sends what its queue holds. */
static bool joined(struct cdx_stage2 *s, struct owned *o)
{
    int64_t delivered = o->feed.delivered;

    cdx_feed_pick_join(&o->feed, o->part->position, JOIN_WINDOW);
    if (!cdx_feed_join(&o->feed))
        return false;
    if (o->feed.delivered > delivered)
        cdx_owner_report_gap(s, o, delivered + 1, o->feed.delivered,
                             "records are missing in the middle of the log");
    cdx_owner_mark_dirty(s, o);
    unwant(o);
    leave(o);
    cdx_send_pump(s, o);
    return true;
}

/* -- a turn ------------------------------------------------------------------------------------------------------- */

static void end_turn(struct cdx_stage2 *s, struct scan *scan)
{
    struct cdx_err err = {0};
    struct owned *o;

    cdx_message_done(&scan->message);
    scan->stalled = scan->more = scan->broken = false;
    scan->counting = NULL;
    while ((o = scan->first) != NULL) {
        leave(o);
        if (cdx_feed_ready(&o->feed) == 0)
            cdx_scan_want(s, o);
    }
    scan->part = NULL;
    if (cdx_consumer_assign(scan->reader, NULL, 0, &err) != CDX_OK)
        cdx_log(CDX_WARN, "scan.end", err.text, CDX_KN("members", 0));
}

static bool place_reader(struct cdx_stage2 *s, struct scan *scan, int64_t offset)
{
    struct cdx_place place = {cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS), scan->part->id, offset};
    struct cdx_err err = {0};

    scan->position = offset;
    scan->more = true;
    if (cdx_consumer_assign(scan->reader, &place, 1, &err) == CDX_OK)
        return true;
    cdx_log(CDX_WARN, "scan.assign", err.text, CDX_KN("partition", scan->part->id));
    return false;
}

/* All that want records of this partition become members; those that only have to join do so at once. */
static void begin_turn(struct cdx_stage2 *s, struct scan *scan, struct part *part)
{
    struct cdx_err err = {0};
    struct owned *list = part->wanting;
    int64_t from = INT64_MAX;

    if (scan->reader == NULL)
        scan->reader =
            cdx_consumer_open(s->bus, "range", (struct cdx_prefetch){READER_KBYTES, 10}, &err);
    if (scan->reader == NULL) {
        cdx_log(CDX_WARN, "scan.open", err.text, CDX_KN("partition", part->id));
        return;
    }
    part->wanting = NULL;
    scan->part = part;
    scan->turn_ends = cdx_mono_ms(s->clock) + TURN_MS;
    while (list != NULL) {
        struct owned *o = list;
        list = o->want_next;
        o->wanting = false;
        if (joined(s, o))
            continue;
        enter(scan, o);
        if (o->feed.scan < from)
            from = o->feed.scan;
    }
    if (scan->members == 0) {
        scan->part = NULL;
        return;
    }
    cdx_count(CDX_C_SCANS, 1);
    cdx_log(CDX_DEBUG, "scan.begin", "", CDX_KN("partition", part->id), CDX_KN("from", from),
            CDX_KN("members", scan->members), CDX_KN("live", part->position));
    if (!place_reader(s, scan, from))
        end_turn(s, scan);
}

/* Members have seen everything below the scan's position; whoever has reached its end joins. */
static void advance_members(struct cdx_stage2 *s, struct scan *scan)
{
    for (struct owned *o = scan->first, *next; o != NULL; o = next) {
        next = o->scan_next; /* joining leaves */
        cdx_feed_pick_join(&o->feed, scan->part->position, JOIN_WINDOW);
        cdx_feed_scan_passed(&o->feed, scan->position, scan->part->position);
        joined(s, o);
    }
}

/* False: its chunk is full. */
static bool hand_over(struct cdx_stage2 *s, struct owned *o, const struct cdx_record *rec)
{
    struct logged *l;
    bool was_empty = cdx_feed_ready(&o->feed) == 0;

    cdx_feed_pick_join(&o->feed, o->part->position, JOIN_WINDOW);
    if (rec->offset < o->feed.scan ||
        rec->offset >= cdx_feed_scan_limit(&o->feed, o->part->position))
        return true;
    l = cdx_owner_copy(s, rec);
    if (l == NULL)
        return false;
    if (!cdx_feed_scan_record(&o->feed, rec->offset, l, sizeof *l + l->n, bounds_of(o))) {
        cdx_owner_forget(l);
        return false;
    }
    if (was_empty) {
        o->head_ms = rec->timestamp_ms;
        cdx_send_pump(s, o);
    }
    return true;
}

/* -- gaps --------------------------------------------------------------------------------------------------------- */

static void next_gap(struct cdx_stage2 *s, struct scan *scan);

static void counted_back(struct cdx_stage2 *s, struct scan *scan)
{
    struct owned *o = scan->counting;
    int64_t from, to;

    scan->counting = NULL;
    if (cdx_feed_gap(&o->feed, scan->start, &scan->anchor, scan->alive, &from, &to))
        cdx_owner_report_gap(s, o, from, to,
                             "the log's retention took them before they were delivered");
    cdx_owner_mark_dirty(s, o);
    next_gap(s, scan);
}

/* The next member whose position was removed is counted back; when there is none, the scan goes on at the start. */
static void next_gap(struct cdx_stage2 *s, struct scan *scan)
{
    for (struct owned *o = scan->first, *next; o != NULL; o = next) {
        next = o->scan_next;
        if (joined(s, o))
            continue;
        if (o->feed.scan < scan->start && o->feed.chunk.n > 0)
            leave(o); /* its gap is looked at when its chunk is delivered */
        if (o->scan != scan || !cdx_feed_below(&o->feed, scan->start))
            continue;
        scan->counting = o;
        scan->alive = 0;
        cdx_feed_anchor(&o->feed, scan->start, &scan->anchor);
        if (scan->anchor.offset >= scan->start) {
            if (!place_reader(s, scan, scan->start))
                end_turn(s, scan);
            return;
        }
        counted_back(s, scan); /* nothing of it can be alive */
        return;
    }
    if (scan->members == 0 || !place_reader(s, scan, scan->start))
        end_turn(s, scan);
}

static void out_of_range(struct cdx_stage2 *s, struct scan *scan)
{
    struct cdx_err err = {0};
    int64_t end;

    if (cdx_consumer_bounds(scan->reader, cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS),
                            scan->part->id, &scan->start, &end, &err) != CDX_OK) {
        cdx_log(CDX_WARN, "scan.range", err.text, CDX_KN("partition", scan->part->id));
        end_turn(s, scan);
        return;
    }
    next_gap(s, scan);
}

/* -- steps -------------------------------------------------------------------------------------------------------- */

static void count_one(struct cdx_stage2 *s, struct scan *scan, const struct cdx_record *rec,
                      bool end)
{
    if (!end && rec->offset <= scan->anchor.offset && cdx_text_is(rec->key, scan->counting->id))
        scan->alive++;
    if (end || rec->offset >= scan->anchor.offset)
        counted_back(s, scan);
}

/* False: the scan waits with this message for room in the only member's chunk. */
static bool take(struct cdx_stage2 *s, struct scan *scan)
{
    const struct cdx_record *rec = &scan->message.rec;
    struct owned *o = rec->key.p != NULL ? cdx_owner_find(scan->part, rec->key) : NULL;

    if (o != NULL && o->scan == scan && !hand_over(s, o, rec)) {
        if (scan->members == 1)
            return false;
        cdx_feed_scan_passed(&o->feed, rec->offset, scan->part->position);
        leave(o); /* it wants again when its chunk is delivered */
    }
    scan->position = rec->offset + 1;
    return true;
}

/* Reads on for one budget. */
static void step(struct cdx_stage2 *s, struct scan *scan)
{
    struct cdx_err err = {0};

    if (scan->broken) {
        end_turn(s, scan);
        return;
    }
    if (scan->stalled) {
        scan->stalled = !take(s, scan);
        if (scan->stalled)
            return;
        cdx_message_done(&scan->message);
    }
    for (int i = 0; i < BUDGET && scan->part != NULL && scan->members > 0; i++) {
        enum cdx_polled what = cdx_consumer_poll(scan->reader, 0, &scan->message, &err);

        scan->more = what != CDX_POLL_NOTHING;
        if (what == CDX_POLL_NOTHING)
            break;
        if (what == CDX_POLL_OUT_OF_RANGE) {
            out_of_range(s, scan);
            return;
        }
        if (what == CDX_POLL_FATAL) {
            end_turn(s, scan);
            return;
        }
        if (scan->message.rec.partition != scan->part->id) {
            cdx_message_done(&scan->message); /* of the turn before */
            continue;
        }
        if (scan->counting != NULL) {
            count_one(s, scan, &scan->message.rec, what == CDX_POLL_END);
            cdx_message_done(&scan->message);
            continue;
        }
        if (what == CDX_POLL_END) {
            cdx_log(CDX_DEBUG, "scan.end", "", CDX_KN("partition", scan->part->id),
                    CDX_KN("position", scan->position), CDX_KN("end", scan->message.rec.offset),
                    CDX_KN("live", scan->part->position));
            if (scan->message.rec.offset > scan->position)
                scan->position = scan->message.rec.offset;
            scan->more = false;
            break;
        }
        if (scan->message.rec.offset >=
            scan->part->position) { /* a scan never passes the live reader */
            scan->position = scan->part->position;
            cdx_message_done(&scan->message);
            scan->more = false;
            advance_members(s, scan);
            if (scan->part != NULL)
                end_turn(s, scan);
            return;
        }
        if (!take(s, scan)) {
            scan->stalled = true;
            break;
        }
        cdx_message_done(&scan->message);
    }
    if (scan->part == NULL)
        return;
    if (scan->counting == NULL)
        advance_members(s, scan);
    if (scan->members == 0 || (cdx_mono_ms(s->clock) >= scan->turn_ends && scan->counting == NULL))
        end_turn(s, scan);
}

static bool has_room(const struct scan *scan)
{
    return scan->first == NULL || scan->first->feed.chunk.n * 2 <= bounds_of(scan->first)->events;
}

static struct part *next_wanting(struct cdx_stage2 *s)
{
    for (struct part *part = s->parts; part != NULL; part = part->next) {
        bool busy = part->held;
        for (size_t i = 0; i < CDX_SCANS; i++)
            busy = busy || s->scans[i].part == part;
        if (part->wanting != NULL && !busy)
            return part;
    }
    return NULL;
}

bool cdx_scan_run(struct cdx_stage2 *s)
{
    bool more = false;

    for (size_t i = 0; i < CDX_SCANS; i++) {
        struct scan *scan = &s->scans[i];
        struct part *part = scan->part == NULL && !s->draining ? next_wanting(s) : NULL;

        if (part != NULL)
            begin_turn(s, scan, part);
        if (scan->part == NULL)
            continue;
        if (!scan->stalled || has_room(scan))
            step(s, scan);
        else if (cdx_mono_ms(s->clock) >= scan->turn_ends)
            end_turn(s, scan);
        more = more || (scan->part != NULL && scan->more && !scan->stalled);
    }
    return more || next_wanting(s) != NULL;
}

void cdx_scan_stop(struct cdx_stage2 *s)
{
    for (size_t i = 0; i < CDX_SCANS; i++)
        if (s->scans[i].part != NULL)
            end_turn(s, &s->scans[i]);
}
