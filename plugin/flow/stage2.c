/*
 * flow/stage2.c -- the owner of log partitions: counts, queues, flushes; one loop.
 *
 * In:    records of the partitions that the group gives us; cursors and checkpoints at assignment; orders from the view.
 * Out:   requests (send.c), range reads (scan.c), flushes: cursors, checkpoints, statuses, delivery records in one transaction.
 * Owns:  everything in owner.h. State belongs to this thread; others only ask for a snapshot.
 * Hard:  recovery.md, step by step. The group's metadata is taken in the assign callback and used for every flush of that
 *        assignment, so that a flush of a former owner is refused by the broker; an open flush ends before the
 *        partitions are handed back; a jump is committed before anything is counted or sent after it.
 */
#include "flow/stage2.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/limits.h"
#include "core/log.h"
#include "flow/flow.h"
#include "flow/owner.h"
#include "flow/thread.h"
#include "model/conf.h"
#include "model/delivery.h"
#include "net/guard.h"
#include "state/cursor.h"

#define LIVE_BUDGET 2000   /* records of one turn of the loop */
#define REVOKE_WAIT_MS 500 /* one black hole must not hold up everybody's rebalance */
#define CLOSE_WAIT_MS 5000

static const struct cdx_feed_bounds queue_bounds = {CDX_MAX_QUEUE_EVENTS, CDX_MAX_QUEUE_BYTES};

static void fail(struct cdx_stage2 *s, const char *text)
{
    snprintf(s->failed, sizeof s->failed, "%s", text);
    s->has_failed = true;
    cdx_log(CDX_ERROR, "push.ended", text, CDX_KV("instance", s->conf->instance));
}

/* -- flushing ----------------------------------------------------------------------------------------------------- */

static bool add_cursor(struct cdx_stage2 *s, struct cdx_flush *flush, struct owned *o)
{
    struct cdx_cursor cursor = {0};
    struct cdx_out out = {CDX_T_CURSORS, o->part->id, cdx_text_z(o->id), {0}, NULL, 0, 0};

    cdx_feed_cursor(&o->feed, &cursor);
    cursor.retry_after_ms = o->lane != NULL ? cdx_endpoint_retry_after_wall_ms(o->lane->ep) : 0;
    cursor.sent_ms = o->sent_ms;
    cdx_buf_reset(&s->text);
    cdx_cursor_write(&cursor, &s->text);
    out.value = cdx_buf_text(&s->text);
    o->feed.dirty = false;
    return !s->text.failed && cdx_flush_add(flush, &out, false);
}

static bool add_status(struct cdx_stage2 *s, struct cdx_flush *flush, struct owned *o)
{
    char key[CDX_MAX_ID_BYTES + 16];
    struct cdx_out out = {CDX_T_SUBSCRIPTIONS, o->part->id, {key, 0}, {0}, NULL, 0, 0};

    out.key.n = (size_t)snprintf(key, sizeof key, "%s#status", o->id);
    cdx_buf_reset(&s->text);
    cdx_status_write(&o->status, &s->text);
    out.value = cdx_buf_text(&s->text);
    o->status_dirty = false;
    return !s->text.failed && cdx_flush_add(flush, &out, false);
}

static bool add_checkpoint(struct cdx_stage2 *s, struct cdx_flush *flush, struct part *part)
{
    part->in_flush = part->position;
    part->held_in_flush = part->held;
    char key[16];
    struct cdx_out out = {CDX_T_CURSORS, part->id, {key, 0}, {0}, NULL, 0, 0};

    out.key.n = (size_t)snprintf(key, sizeof key, "#%d", (int)part->id);
    cdx_buf_reset(&s->text);
    cdx_checkpoint_write(part->position, &s->text);
    out.value = cdx_buf_text(&s->text);
    return cdx_flush_add(flush, &out, false) && cdx_flush_position(flush, part->id, part->position);
}

/* Takes all that is dirty into a flush and hands it over. */
static void begin_flush(struct cdx_stage2 *s)
{
    struct cdx_flush *flush = s->next_flush, *next;
    struct owned *o;
    size_t n = 0;
    bool ok = true, moved = false;

    s->flush_due = cdx_mono_ms(s->clock) + s->conf->cursor_flush_ms;
    for (struct part *part = s->parts; part != NULL; part = part->next)
        moved = moved || part->position != part->flushed;
    if (cdx_flusher_busy(s->flusher) || s->group == NULL ||
        (s->dirty == NULL && !moved && cdx_flush_empty(flush)))
        return;
    next = cdx_flush_create();
    for (o = s->dirty; o != NULL; o = o->dirty_next)
        n++;
    s->flushing = calloc(n + 1, sizeof *s->flushing);
    if (next == NULL || s->flushing == NULL) {
        cdx_flush_free(next);
        free(s->flushing);
        s->flushing = NULL;
        return;
    }
    s->flushing_n = 0;
    while ((o = s->dirty) != NULL) {
        s->dirty = o->dirty_next;
        o->dirty = false;
        s->flushing[s->flushing_n++] = o;
        ok = add_cursor(s, flush, o) && (!o->status_dirty || add_status(s, flush, o)) && ok;
    }
    for (struct part *part = s->parts; part != NULL;
         part = part->next) /* after the cursors that they cover */
        ok = add_checkpoint(s, flush, part) && ok;
    s->next_flush = next;
    if (ok) {
        cdx_flusher_begin(s->flusher, flush, s->group, s->consumer);
        return;
    }
    cdx_flush_free(flush); /* nothing of it is committed: whoever goes on sends it again */
    fail(s, "out of memory for a cursor flush; start again with more memory");
}

/* Places the live reader where we are: the same partitions, our positions. */
static void replace_live(struct cdx_stage2 *s)
{
    struct cdx_err err = {0};
    struct cdx_place *places;
    size_t n = 0;

    for (struct part *part = s->parts; part != NULL; part = part->next)
        n++;
    places = calloc(n + 1, sizeof *places);
    n = 0;
    for (struct part *part = s->parts; places != NULL && part != NULL; part = part->next)
        places[n++] = (struct cdx_place){cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS), part->id,
                                         part->position};
    if (places == NULL || cdx_consumer_assign(s->consumer, places, n, &err) != CDX_OK)
        fail(s, places == NULL ? "out of memory" : err.text);
    free(places);
}

/* What was held back for the commit goes on: records that came meanwhile were not counted, so they are read again. */
static void flush_committed(struct cdx_stage2 *s)
{
    bool released = false;

    cdx_count(CDX_C_FLUSHES, 1);
    for (size_t i = 0; i < s->flushing_n; i++)
        s->flushing[i]->cursor_committed = true;
    for (struct part *part = s->parts; part != NULL; part = part->next) {
        struct owned *o;
        size_t i = 0;
        part->flushed = part->in_flush;
        if (!part->held_in_flush) /* a flush that began before the jump does not commit it */
            continue;
        part->held = part->held_in_flush = false;
        released = true;
        while ((o = cdx_map_next(&part->subs, &i)) != NULL)
            cdx_send_pump(s, o);
    }
    for (size_t i = 0; i < s->flushing_n; i++)
        if (s->flushing[i]->flight == IDLE && s->flushing[i]->sub != NULL &&
            s->flushing[i]->handshakes == 0)
            cdx_send_pump(s, s->flushing[i]);
    if (released)
        replace_live(s);
}

static void flush_undone(struct cdx_stage2 *s, struct cdx_flush *flush, const char *why)
{
    cdx_count(CDX_C_FLUSH_ABORTS, 1);
    cdx_log(CDX_WARN, "push.flush", why, CDX_KN("cursors", s->flushing_n));
    for (size_t i = 0; i < s->flushing_n; i++) {
        s->flushing[i]->status_dirty =
            s->flushing[i]->sub != NULL && s->flushing[i]->status.version != 0;
        cdx_owner_mark_dirty(s, s->flushing[i]);
    }
    if (!cdx_flush_carry_over(s->next_flush, flush)) /* without them the cursors may not go on */
        fail(s, "out of memory for delivery records; start again with more memory");
}

static void end_flush(struct cdx_stage2 *s, bool wait)
{
    enum cdx_committed how;
    struct cdx_err err = {0};
    struct cdx_flush *flush = cdx_flusher_take(s->flusher, wait, &how, &err);

    if (flush == NULL)
        return;
    if (how == CDX_COMMITTED) {
        flush_committed(s);
    } else if (how == CDX_REFUSED) {
        /* the generation is over: another process owns what we sent for, or will; drop everything and wait for the group */
        cdx_count(CDX_C_FLUSH_REFUSED, 1);
        cdx_log(CDX_WARN, "push.refused", err.text, CDX_KN("cursors", s->flushing_n));
        cdx_push_cancel(s->pusher, NULL, NULL);
        cdx_owner_drop(s);
        cdx_flush_free(s->next_flush);
        s->next_flush = cdx_flush_create();
        cdx_group_free(s->group);
        s->group = NULL;
    } else {
        flush_undone(s, flush, err.text);
    }
    free(s->flushing);
    s->flushing = NULL;
    s->flushing_n = 0;
    cdx_flush_free(flush);
}

static void on_assign(void *arg, struct cdx_place *places, size_t n)
{
    struct cdx_stage2 *s = arg;
    size_t subs = 0;

    cdx_count(CDX_C_REBALANCES, 1);
    cdx_group_free(s->group);
    s->group = cdx_consumer_group(s->consumer);
    while (!s->closing && !cdx_owner_load(s, places, n)) {
        s->beat = cdx_mono_ms(s->clock);
        cdx_thread_pause(&s->closing, 500);
    }
    for (struct part *part = s->parts; part != NULL; part = part->next) {
        size_t i = 0;
        struct owned *o;
        while ((o = cdx_map_next(&part->subs, &i)) != NULL)
            cdx_send_pump(s, o);
        subs += part->subs.used;
        if (part->id == 0)
            cdx_view_own_files(s->view, true);
    }
    cdx_log(CDX_INFO, "push.assigned", "", CDX_KN("partitions", n), CDX_KN("subscriptions", subs));
    s->ready = true;
}

/* Answers that are on their way are waited for a moment; the rest is cancelled and repeated by the next owner. */
static void wait_in_flight(struct cdx_stage2 *s, int64_t ms)
{
    int64_t until = cdx_mono_ms(s->clock) + ms, now;

    s->draining = true;
    while (cdx_push_in_flight(s->pusher) > 0 && (now = cdx_mono_ms(s->clock)) < until) {
        int64_t timeout = cdx_push_timeout_ms(s->pusher);
        struct pollfd pfd = {.fd = cdx_push_fd(s->pusher), .events = POLLIN};

        poll(&pfd, 1, (int)(timeout < 0 || timeout > until - now ? until - now : timeout));
        cdx_push_run(s->pusher);
    }
    cdx_push_cancel(s->pusher, NULL, NULL);
    s->draining = s->closing;
}

static void on_revoke(void *arg, const struct cdx_place *places, size_t n, bool lost)
{
    struct cdx_stage2 *s = arg;

    (void)places;
    wait_in_flight(s, lost ? 0 : REVOKE_WAIT_MS);
    s->draining = true;
    end_flush(s, true);
    if (!lost && s->group != NULL) {
        begin_flush(s);
        end_flush(s, true);
    }
    cdx_owner_drop(s);
    cdx_group_free(s->group);
    s->group = NULL;
    s->draining = s->closing;
    cdx_log(CDX_INFO, "push.revoked", "", CDX_KN("partitions", n), CDX_KN("lost", lost));
}

/* -- the live reader ---------------------------------------------------------------------------------------------- */

static void on_record(struct cdx_stage2 *s, struct part *part, const struct cdx_record *rec)
{
    struct owned *o = rec->key.p != NULL ? cdx_owner_find(part, rec->key) : NULL;
    struct logged *l = NULL;
    enum cdx_counted counted;
    bool keep;

    if (part->held || rec->offset < part->position)
        return;
    part->position = rec->offset + 1;
    if (o == NULL)
        return;
    keep = o->feed.live || (o->feed.join != CDX_NO_OFFSET && rec->offset >= o->feed.join);
    if (keep && (s->queued_bytes > CDX_MAX_QUEUES_BYTES || (l = cdx_owner_copy(s, rec)) == NULL))
        cdx_owner_lag(s, o);
    if (o->feed.live && o->feed.queue.n == 0)
        o->head_ms = rec->timestamp_ms;
    counted =
        cdx_feed_count(&o->feed, rec->offset, l, l != NULL ? sizeof *l + l->n : 0, &queue_bounds);
    if (counted != CDX_QUEUED && l != NULL)
        cdx_owner_forget(l);
    if (counted == CDX_OVERFLOWED)
        cdx_scan_leave(s, o); /* it lags now, as by cdx_owner_lag */
    if (counted == CDX_PASSED)
        return;
    if (o->head_ms == 0 && !o->feed.live)
        o->head_ms = rec->timestamp_ms;
    cdx_owner_mark_dirty(s, o);
    if (o->flight == IDLE)
        cdx_send_pump(s, o);
}

/* The live position is not in the log any more: retention outran us, or the log was replaced under us. */
static void on_out_of_range(struct cdx_stage2 *s, struct part *part)
{
    struct cdx_err err = {0};
    int64_t start, end;

    if (cdx_consumer_bounds(s->loader, cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS), part->id, &start,
                            &end, &err) == CDX_OK) {
        cdx_scan_stop(s);
        cdx_push_cancel(s->pusher, NULL,
                        NULL); /* what is in flight is repeated, or is gone with the log */
        cdx_owner_mend(s, part, part->position, start, end);
        if (part->held)
            part->flushed = -1;
    } else {
        cdx_log(CDX_WARN, "push.range", err.text, CDX_KN("partition", part->id));
    }
    replace_live(s);
}

/* True: there may be more. */
static bool read_live(struct cdx_stage2 *s)
{
    struct cdx_err err = {0};
    struct cdx_message m;

    for (int i = 0; i < LIVE_BUDGET; i++) {
        enum cdx_polled what = cdx_consumer_poll(s->consumer, 0, &m, &err);
        struct part *part = what == CDX_POLL_NOTHING || what == CDX_POLL_FATAL
                                ? NULL
                                : cdx_owner_part(s, m.rec.partition);

        if (what == CDX_POLL_NOTHING)
            return false;
        if (what == CDX_POLL_FATAL) {
            s->fenced = cdx_thread_again(&s->fenced_ms, cdx_mono_ms(s->clock));
            if (s->fenced)
                cdx_log(CDX_WARN, "push.join-again", err.text,
                        CDX_KV("instance", s->conf->instance));
            else
                fail(s, err.text);
            return false;
        }
        if (part != NULL && what == CDX_POLL_RECORD)
            on_record(s, part, &m.rec);
        else if (part != NULL && what == CDX_POLL_END && !part->held &&
                 m.rec.offset > part->position)
            part->position = m.rec.offset;
        else if (part != NULL && what == CDX_POLL_OUT_OF_RANGE)
            on_out_of_range(s, part);
        if (what == CDX_POLL_RECORD)
            cdx_message_done(&m);
    }
    return true;
}

/* -- snapshots ---------------------------------------------------------------------------------------------------- */

static void stand(struct cdx_stage2 *s, const struct owned *o, struct cdx_standing *out)
{
    (void)s;
    snprintf(out->id, sizeof out->id, "%s", o->id);
    snprintf(out->endpoint, sizeof out->endpoint, "%s",
             o->lane != NULL ? cdx_endpoint_id(o->lane->ep) : "");
    out->status = o->sub->wanted == CDX_OFF              ? "off"
                  : o->status.version != o->sub->version ? "requested"
                                                         : cdx_sub_status_text(o->status.status);
    out->feed = o->feed.live                                      ? "live"
                : o->scan != NULL || cdx_feed_ready(&o->feed) > 0 ? "catching-up"
                                                                  : "lagging";
    out->breaker = o->lane != NULL ? cdx_endpoint_state(o->lane->ep) : "closed";
    out->partition = o->part->id;
    out->counted = o->feed.counted_number;
    out->delivered = o->feed.delivered;
    out->head_ms = o->feed.counted_number > o->feed.delivered ? o->head_ms : 0;
    out->retries = o->retries;
    snprintf(out->error, sizeof out->error, "%s", o->status.error != NULL ? o->status.error : "");
}

static void answer_standings(struct cdx_stage2 *s)
{
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    if (s->asked) {
        for (struct part *part = s->parts; part != NULL; part = part->next)
            n += part->subs.used;
        free(s->standings);
        s->standings = calloc(n + 1, sizeof *s->standings);
        s->standings_n = 0;
        for (struct part *part = s->parts; s->standings != NULL && part != NULL;
             part = part->next) {
            size_t i = 0;
            const struct owned *o;
            while ((o = cdx_map_next(&part->subs, &i)) != NULL)
                if (o->sub != NULL)
                    stand(s, o, &s->standings[s->standings_n++]);
        }
        s->asked = false;
        pthread_cond_broadcast(&s->cond);
    }
    pthread_mutex_unlock(&s->lock);
}

enum cdx_code cdx_stage2_standings(struct cdx_stage2 *s, struct cdx_standing **out, size_t *n,
                                   struct cdx_err *err)
{
    static const uint64_t one = 1;
    int64_t until = cdx_mono_ms(s->clock) + 2000;
    enum cdx_code rc = CDX_OK;

    pthread_mutex_lock(&s->lock);
    s->asked = true;
    if (write(s->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        rc = cdx_fail(err, CDX_REMOTE, "push thread: eventfd %d", errno);
    while (rc == CDX_OK && s->asked && cdx_mono_ms(s->clock) < until)
        cdx_cond_wait_until(&s->cond, &s->lock, until);
    *out = s->asked ? NULL : s->standings;
    *n = s->asked ? 0 : s->standings_n;
    if (!s->asked)
        s->standings = NULL;
    if (*out == NULL && rc == CDX_OK)
        rc = cdx_fail(err, CDX_REMOTE, "the push thread is busy");
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* -- the loop ----------------------------------------------------------------------------------------------------- */

static void on_housekeeping(void *arg, struct cdx_timer *timer)
{
    struct cdx_stage2 *s = arg;

    cdx_send_health(s);
    cdx_thread_cpu(CDX_C_CPU_PUSH_US);
    cdx_timer_set(&s->timers, timer, cdx_mono_ms(s->clock) + 1000);
}

static bool watch(struct cdx_stage2 *s, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    return fd >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(struct cdx_stage2 *s, bool more)
{
    int64_t now = cdx_mono_ms(s->clock), until = least(cdx_timers_next(&s->timers), now + 1000);
    int64_t push = cdx_push_timeout_ms(s->pusher);

    if (more)
        return 0;
    if (push >= 0)
        until = least(until, now + push);
    if (!cdx_flusher_busy(s->flusher))
        until = least(until, s->flush_due);
    return until > now ? (int)(until - now) : 0;
}

static void turn(struct cdx_stage2 *s, bool *more, bool *reader_watched)
{
    struct epoll_event events[16];
    struct taking taking = {s, NULL};
    uint64_t counter;
    int n = epoll_wait(s->epoll, events, CDX_COUNT(events), wait_ms(s, *more));

    s->beat = cdx_mono_ms(s->clock);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == cdx_view_fd(s->view))
            cdx_view_changes(s->view, cdx_owner_take, &taking);
        else if (fd != cdx_push_fd(s->pusher) && fd != cdx_flusher_fd(s->flusher) &&
                 read(fd, &counter, sizeof counter) < 0 && errno != EAGAIN)
            fail(s, "eventfd");
    }
    *more = read_live(s);
    cdx_push_run(s->pusher);
    end_flush(s, false);
    *more = cdx_scan_run(s) || *more;
    for (size_t i = 0; i < CDX_SCANS; i++)
        if (s->scans[i].reader != NULL && !reader_watched[i])
            reader_watched[i] = watch(s, cdx_consumer_fd(s->scans[i].reader));
    cdx_timers_run(&s->timers, cdx_mono_ms(s->clock), s);
    if (cdx_mono_ms(s->clock) >= s->flush_due)
        begin_flush(s);
    answer_standings(s);
}

static bool join(struct cdx_stage2 *s, struct cdx_err *err)
{
    struct cdx_rebalance rebalance = {on_assign, on_revoke, s};
    char *topics[] = {(char *)cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS)};

    s->consumer = cdx_consumer_join(s->bus, "push", topics, 1, false, &rebalance, err);
    return s->consumer != NULL && watch(s, cdx_consumer_fd(s->consumer));
}

static bool open_all(struct cdx_stage2 *s, struct cdx_err *err)
{
    if (s->loader == NULL && (s->loader = cdx_consumer_open(
                                  s->bus, "cursors", (struct cdx_prefetch){8192, 10}, err)) == NULL)
        return false;
    if (s->flusher == NULL) { /* before the group: aborts what a former self left open */
        s->flusher = cdx_flusher_create(s->bus, err);
        if (s->flusher == NULL || !watch(s, cdx_flusher_fd(s->flusher)))
            return false;
    }
    if (!cdx_view_wait_fresh(s->view, 0, 1000)) {
        cdx_fail(err, CDX_REMOTE, "waiting for the subscriptions to be read");
        return false;
    }
    return join(s, err);
}

/* Fenced: perhaps only because the broker was away for long. Nothing of the old assignment goes on. */
static void join_again(struct cdx_stage2 *s)
{
    struct cdx_err err = {0};

    s->fenced = s->ready = false;
    cdx_push_cancel(s->pusher, NULL, NULL);
    end_flush(s, true);
    cdx_owner_drop(s);
    cdx_group_free(s->group);
    s->group = NULL;
    cdx_consumer_destroy(s->consumer);
    s->consumer = NULL;
    while (!s->closing && !join(s, &err)) {
        cdx_log(CDX_WARN, "push.open", err.text, CDX_KN("again_in_ms", 500));
        err = (struct cdx_err){0};
        cdx_thread_pause(&s->closing, 500);
    }
}

static void *run(void *arg)
{
    struct cdx_stage2 *s = arg;
    bool more = true, reader_watched[CDX_SCANS] = {false};
    struct cdx_err err = {0};

    cdx_thread_name("cdx-push");
    while (!s->closing && !open_all(s, &err)) {
        s->beat = cdx_mono_ms(s->clock);
        cdx_log(CDX_INFO, "push.open", err.text, CDX_KN("again_in_ms", 500));
        err = (struct cdx_err){0};
        cdx_thread_pause(&s->closing, 500);
    }
    s->housekeeping.fire = on_housekeeping;
    cdx_timer_set(&s->timers, &s->housekeeping, cdx_mono_ms(s->clock) + 1000);
    while (!s->closing && !s->has_failed) {
        turn(s, &more, reader_watched);
        if (s->fenced)
            join_again(s);
    }
    if (s->consumer != NULL && !s->has_failed) {
        cdx_scan_stop(s);
        wait_in_flight(s, CLOSE_WAIT_MS);
    }
    cdx_consumer_close(s->consumer); /* revoke: flushes */
    s->ready = false;
    return NULL;
}

/* -- making and ending -------------------------------------------------------------------------------------------- */

static bool configure_push(struct cdx_stage2 *s, struct cdx_err *err)
{
    const struct cdx_conf *c = s->conf;

    s->guard =
        cdx_guard_create((const char *const *)c->push_allow, c->push_allow_n, c->push_http, err);
    s->endpoint_confs = calloc(c->endpoints_n + 1, sizeof *s->endpoint_confs);
    if (s->guard == NULL || s->endpoint_confs == NULL)
        return false;
    for (size_t i = 0; i < c->endpoints_n; i++)
        s->endpoint_confs[i] = (struct cdx_endpoint_conf){.id = c->endpoints[i].id,
                                                          .url = c->endpoints[i].url,
                                                          .ca_file = c->endpoints[i].ca,
                                                          .cert_file = c->endpoints[i].certificate,
                                                          .key_file = c->endpoints[i].key};
    s->push_conf = (struct cdx_push_conf){.endpoints = s->endpoint_confs,
                                          .endpoints_n = c->endpoints_n,
                                          .timeout_ms = c->timeout_ms,
                                          .connect_timeout_ms = c->connect_timeout_ms,
                                          .max_in_flight = (int)c->max_in_flight,
                                          .max_connections = (int)c->max_connections,
                                          .duplicate_is_success = c->duplicate_is_success,
                                          .error_after_ms = c->error_after_ms,
                                          .off_after_ms = c->off_after_ms,
                                          .schedule_ms = c->schedule_ms,
                                          .schedule_n = c->schedule_n,
                                          .seed = (uint64_t)cdx_wall_ms(s->clock)};
    s->pusher = cdx_push_create(&s->push_conf, s->guard, s->clock, cdx_send_done, s, err);
    return s->pusher != NULL;
}

struct cdx_stage2 *cdx_stage2_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                     struct cdx_view *view, const struct cdx_clock *clock,
                                     struct cdx_err *err)
{
    struct cdx_stage2 *s = calloc(1, sizeof *s);

    if (s == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: stage 2");
        return NULL;
    }
    s->conf = conf;
    s->bus = bus;
    s->view = view;
    s->clock = clock;
    s->fenced_ms = INT64_MIN;
    s->random = (uint64_t)cdx_wall_ms(clock) * 2862933555777941757u + 3037000493u;
    pthread_mutex_init(&s->lock, NULL);
    cdx_cond_init(&s->cond);
    cdx_buf_init(&s->text, CDX_MAX_BODY_BYTES);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->next_flush = cdx_flush_create();
    s->recs = calloc(CDX_MAX_BATCH_EVENTS, sizeof *s->recs);
    s->events = calloc(CDX_MAX_BATCH_EVENTS, sizeof *s->events);
    if (s->next_flush != NULL && s->recs != NULL && s->events != NULL && configure_push(s, err) &&
        watch(s, s->wake) && watch(s, cdx_view_fd(view)) && watch(s, cdx_push_fd(s->pusher)))
        return s;
    cdx_fail(err, CDX_NOMEM, "flow: stage 2");
    cdx_stage2_destroy(s);
    return NULL;
}

enum cdx_code cdx_stage2_start(struct cdx_stage2 *s, struct cdx_err *err)
{
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return cdx_fail(err, CDX_NOMEM, "flow: push thread");
    s->started = true;
    return CDX_OK;
}

void cdx_stage2_close(struct cdx_stage2 *s)
{
    static const uint64_t one = 1;

    s->closing = true;
    if (write(s->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        cdx_log(CDX_ERROR, "push.wake", "eventfd", CDX_KN("errno", errno));
}

void cdx_stage2_join(struct cdx_stage2 *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
}

void cdx_stage2_destroy(struct cdx_stage2 *s)
{
    if (s == NULL)
        return;
    if (s->pusher != NULL)
        cdx_push_cancel(s->pusher, NULL, NULL);
    if (s->parts != NULL)
        cdx_owner_drop(s);
    for (size_t i = 0; i < CDX_SCANS; i++)
        cdx_consumer_destroy(s->scans[i].reader);
    cdx_flusher_destroy(s->flusher);
    cdx_flush_free(s->next_flush);
    free(s->flushing);
    cdx_consumer_destroy(s->consumer);
    cdx_consumer_destroy(s->loader);
    cdx_group_free(s->group);
    cdx_push_destroy(s->pusher);
    cdx_guard_destroy(s->guard);
    cdx_timers_fini(&s->timers);
    cdx_map_fini(&s->lanes);
    free(s->endpoint_confs);
    free(s->recs);
    free(s->events);
    free(s->standings);
    cdx_buf_fini(&s->text);
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->wake >= 0)
        close(s->wake);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->cond);
    free(s);
}

bool cdx_stage2_ready(const struct cdx_stage2 *s)
{
    return s->ready;
}

int64_t cdx_stage2_beat_ms(const struct cdx_stage2 *s)
{
    return s->beat;
}

const char *cdx_stage2_failed(const struct cdx_stage2 *s)
{
    return s->has_failed ? s->failed : "";
}
