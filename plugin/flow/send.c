/*
 * flow/send.c -- what does this subscription do next, and what does an answer mean?
 *
 * In:    a subscription whose records, endpoint, timer or order changed; verdicts.
 * Out:   at most one request in flight per subscription; delivery records, dead letters, statuses for the next flush.
 * Hard:  everything about one subscription is decided in one function, pump, from its state alone; whoever changes
 *        something calls it. So there is no order of events in which a wake-up can be forgotten.
 * Rules: delivery.md 3 (outcomes), design 4.3, 4.6, subscriptions.md 1.6 (statuses, handshake).
 */
#include "flow/owner.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/instant.h"
#include "core/limits.h"
#include "core/log.h"
#include "flow/deadletter.h"
#include "model/conf.h"
#include "model/delivery.h"

#define LEAST_TO_ACTIVE_MS 1000 /* stage 1's views are younger than this (recovery.md C6) */
#define BROKERS_LOST_MS 10000   /* a process without brokers sends nothing (design 4.6) */
#define LIMIT_KEPT_MS 3600000 /* a working size is remembered for 1 h (delivery.md 3 "too large") */

static const int64_t handshake_waits[] = {1000, 2000, 5000,
                                          15000}; /* after the first, second ... try */
static const int64_t message_waits[] = {5000, 30000};

/* -- status ------------------------------------------------------------------------------------------------------- */

void cdx_send_set_status(struct cdx_stage2 *s, struct owned *o, enum cdx_sub_status status,
                         const char *code, const char *text)
{
    struct cdx_status *st = &o->status;
    bool same = st->status == status && st->version == o->sub->version &&
                st->incarnation == o->sub->incarnation &&
                strcmp(st->error != NULL ? st->error : "", text != NULL ? text : "") == 0;

    if (same)
        return;
    cdx_log(CDX_INFO, "subscription.status", text != NULL ? text : "",
            CDX_KV("subscription", o->id), CDX_KV("from", cdx_sub_status_text(st->status)),
            CDX_KV("to", cdx_sub_status_text(status)));
    if (st->status != status)
        st->since_ms = cdx_wall_ms(s->clock);
    if (st->incarnation != o->sub->incarnation)
        st->activated = false;
    free(st->error);
    free(st->error_code);
    st->error = text != NULL ? strdup(text) : NULL;
    st->error_code = code != NULL ? strdup(code) : NULL;
    st->status = status;
    st->version = o->sub->version;
    st->incarnation = o->sub->incarnation;
    st->activated = st->activated || status == CDX_ACTIVE;
    o->status_dirty = true;
    cdx_owner_mark_dirty(s, o);
}

/* Our newest status answers the newest version of the resource. */
static bool answered(const struct owned *o)
{
    return o->status.version == o->sub->version && o->status.incarnation == o->sub->incarnation &&
           o->status.status != CDX_REQUESTED;
}

static void follow_health(struct cdx_stage2 *s, struct owned *o, enum cdx_health health)
{
    const char *detail = NULL, *code = cdx_endpoint_error(o->lane->ep, &detail);

    if (o->sub == NULL || !answered(o) || o->status.status == CDX_OFF)
        return;
    if (health == CDX_FAILING && o->status.status == CDX_ACTIVE)
        cdx_send_set_status(s, o, CDX_ERROR_STATUS, code, detail);
    else if (health == CDX_DISABLED)
        cdx_send_set_status(s, o, CDX_OFF, code, detail);
}

void cdx_send_health(struct cdx_stage2 *s)
{
    struct lane *lane;
    size_t i = 0;

    while ((lane = cdx_map_next(&s->lanes, &i)) != NULL) {
        enum cdx_health health = cdx_endpoint_health(lane->ep);
        if (health == lane->health && health == CDX_HEALTHY)
            continue;
        lane->health = health;
        for (struct owned *o = lane->subs; o != NULL; o = o->lane_next)
            follow_health(s, o, health);
    }
}

static const char *endpoint_id(const struct owned *o)
{
    return o->lane != NULL ? cdx_endpoint_id(o->lane->ep) : "";
}

/* -- what happened, for the record -------------------------------------------------------------------------------- */

static void add_number(struct cdx_buf *b, const char *before, int64_t n)
{
    cdx_buf_add_z(b, before);
    cdx_buf_add_i64(b, n);
}

/* The disclosure record of one attempt: what went where, and how it ended (cdex.deliveries). */
static void record_delivery(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v)
{
    struct cdx_buf *b = &s->text;
    char when[CDX_INSTANT_BYTES];
    struct cdx_out out = {CDX_T_DELIVERIES, o->part->id, cdx_text_z(o->id), {0}, NULL, 0, 0};

    cdx_buf_reset(b);
    add_number(b, "{\"first\":", o->first);
    add_number(b, ",\"last\":", o->last);
    cdx_buf_add_z(b, ",\"bundle\":\"");
    cdx_buf_add_z(b, o->bundle);
    cdx_buf_add_z(b, "\",\"outcome\":\"");
    cdx_buf_add_z(b, cdx_outcome_text(v->outcome));
    add_number(b, "\",\"status\":", v->http_status);
    add_number(b, ",\"attempt\":", o->attempts);
    cdx_buf_add_z(b, ",\"at\":\"");
    cdx_buf_add_z(b, cdx_instant_format(cdx_wall_ms(s->clock), when));
    add_number(b, "\",\"durationMs\":", v->duration_ms);
    if (o->withheld > 0)
        add_number(b, ",\"withheld\":", o->withheld);
    cdx_buf_add_z(b, ",\"endpoint\":");
    cdx_buf_add_json(b, cdx_text_z(endpoint_id(o)));
    cdx_buf_add_z(b, ",\"focus\":[");
    for (uint32_t i = 0; i < o->flight_n; i++) {
        const struct logged *l = cdx_feed_item(&o->feed, i)->rec;
        struct cdx_logrec *rec = &s->recs[0];
        if (cdx_logrec_parse(cdx_text(l->value, l->n), rec, NULL) != CDX_OK)
            continue;
        cdx_buf_add_z(b, i > 0 ? "," : "");
        cdx_buf_add_json(b, rec->focus);
    }
    cdx_buf_add_z(b, "]}");
    out.value = cdx_buf_text(b);
    if (b->failed || !cdx_flush_add(s->next_flush, &out, true))
        cdx_log(CDX_ERROR, "push.record", "out of memory for a delivery record",
                CDX_KV("subscription", o->id));
}

/* The head event, whole, with why it was given up. */
static void bury_head(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v,
                      const char *klass, enum cdx_counter counter)
{
    const struct cdx_item *item = cdx_feed_item(&o->feed, 0);
    const struct logged *l = item->rec;
    struct cdx_header headers[CDX_DEADLETTER_HEADERS];
    struct cdx_deadletter_texts texts;
    struct cdx_deadletter d = {
        .stage = "push",
        .klass = klass,
        .error = cdx_text_z(v->detail != NULL ? v->detail : "refused by the endpoint"),
        .subscription = cdx_text_z(o->id),
        .endpoint = cdx_text_z(endpoint_id(o)),
        .webhook_id = cdx_text_z(o->webhook_id),
        .traceparent = cdx_text_z(l->trace),
        .status = v->http_status,
        .attempts = (int)o->attempts,
        .first_ms = o->first_try_ms,
        .last_ms = cdx_wall_ms(s->clock),
        .event_first = item->number,
        .event_last = item->number,
        .src_topic = cdx_text_z(cdx_bus_topic(s->bus, CDX_T_NOTIFICATIONS)),
        .src_partition = o->part->id,
        .src_offset = item->offset,
        .src_ms = l->timestamp_ms};
    struct cdx_out out = {
        CDX_T_DEAD_LETTERS, -1, cdx_text_z(o->id), cdx_text(l->value, l->n), headers, 0, 0};

    out.headers_n = cdx_deadletter_headers(&d, &texts, headers);
    cdx_count(counter, 1);
    cdx_log(CDX_WARN, "push.dead-letter", v->detail != NULL ? v->detail : "",
            CDX_KV("subscription", o->id), CDX_KN("event", item->number),
            CDX_KN("status", v->http_status), CDX_KV("class", klass));
    if (!cdx_flush_add(s->next_flush, &out, true))
        cdx_log(CDX_ERROR, "push.record", "out of memory for a dead letter",
                CDX_KV("subscription", o->id));
}

static void log_attempt(struct cdx_stage2 *s, const struct owned *o, const struct cdx_delivery *del,
                        const struct cdx_verdict *v)
{
    static const char *const kinds[] = {"", "handshake", "heartbeat", "event-notification"};
    bool fine = v->outcome == CDX_SUCCESS || v->outcome == CDX_DUPLICATE_OK;
    int64_t due = o->lane != NULL ? cdx_endpoint_due_ms(o->lane->ep) : INT64_MAX;

    cdx_log(fine ? CDX_DEBUG : CDX_INFO, "push.attempt", v->detail != NULL ? v->detail : "",
            CDX_KV("subscription", o->id), CDX_KV("endpoint", endpoint_id(o)),
            CDX_KV("type", kinds[o->flight]), CDX_KV("webhook_id", del->webhook_id),
            CDX_KN("first", o->first), CDX_KN("last", o->last), CDX_KN("attempt", o->attempts),
            CDX_KN("status", v->http_status), CDX_KV("class", cdx_outcome_text(v->outcome)),
            CDX_KN("duration_ms", v->duration_ms), CDX_KN("bytes", del->body_n),
            CDX_KN("conn_reused", v->reused),
            CDX_KN("next_in_ms", due == INT64_MAX ? 0 : due - cdx_mono_ms(s->clock)),
            CDX_KV("traceparent", del->traceparent));
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static bool submit(struct cdx_stage2 *s, struct owned *o, enum flight kind,
                   const struct cdx_uuid *id, struct cdx_text trace)
{
    struct cdx_delivery *del = calloc(1, sizeof *del);
    struct cdx_err err = {0};
    enum cdx_code rc;

    if (del == NULL)
        return false;
    del->body = cdx_buf_steal(&s->text, &del->body_n);
    del->sub = cdx_sub_ref(o->sub);
    del->arg = o;
    cdx_webhook_id(id, del->webhook_id);
    memcpy(o->webhook_id, del->webhook_id, sizeof o->webhook_id);
    cdx_uuid_text(id, o->bundle);
    cdx_trace_child(trace, &s->random, del->traceparent);
    o->flight = kind;
    if (o->attempts++ == 0)
        o->first_try_ms = cdx_wall_ms(s->clock);
    else
        o->retries++, cdx_count(CDX_C_RETRIES, 1);
    rc = del->body != NULL ? cdx_push_submit(s->pusher, o->lane->ep, &del, &err) : CDX_NOMEM;
    if (rc == CDX_OK) {
        o->sent_ms = cdx_wall_ms(s->clock);
        cdx_feed_sending(&o->feed, kind == ON_EVENTS ? o->flight_n : 0);
        return true;
    }
    o->flight = IDLE;
    if (rc == CDX_CONFIG) {
        cdx_endpoint_refused(o->lane->ep, "the endpoint's URL may not be dialled");
        cdx_log(CDX_WARN, "push.refused", err.text, CDX_KV("subscription", o->id));
    }
    cdx_delivery_free(&del);
    cdx_lane_wait(s, o);
    return false;
}

static bool signal_out(struct cdx_stage2 *s, struct owned *o, enum cdx_signal kind, int64_t number)
{
    struct cdx_server server = {s->conf->api_base};
    struct cdx_err err = {0};
    struct cdx_uuid id;
    enum cdx_sub_status shown = kind == CDX_HANDSHAKE ? CDX_REQUESTED : o->status.status;

    cdx_buf_reset(&s->text);
    if (cdx_notify_signal(&server, o->sub, kind, number, (int)shown, o->feed.counted_number,
                          cdx_wall_ms(s->clock), NULL, &s->text, &id, &err) != CDX_OK) {
        cdx_log(CDX_ERROR, "push.render", err.text, CDX_KV("subscription", o->id));
        return false;
    }
    o->first = o->last = 0;
    o->flight_n = o->withheld = 0;
    return submit(s, o, kind == CDX_HANDSHAKE ? ON_HANDSHAKE : ON_HEARTBEAT, &id,
                  cdx_text(NULL, 0));
}

/* May this event go out with content? The member may have left, the subscription may be another by now. */
static bool bare(struct cdx_stage2 *s, const struct owned *o, const struct cdx_logrec *rec)
{
    return rec->incarnation != o->sub->incarnation ||
           !cdx_rosters_has_all(cdx_view_rosters(s->view), o->roster, rec->members, rec->members_n);
}

static uint32_t batch_size(struct cdx_stage2 *s, struct owned *o)
{
    uint32_t n = cdx_feed_ready(&o->feed);
    uint32_t most =
        o->sub->max_count > 0 ? (uint32_t)o->sub->max_count : (uint32_t)s->conf->batch_events;
    size_t bytes = 0;

    if (cdx_endpoint_probing(o->lane->ep))
        most = 1;
    if (o->batch_limit > 0 && cdx_mono_ms(s->clock) < o->batch_limit_until && o->batch_limit < most)
        most = o->batch_limit;
    if (most > CDX_MAX_BATCH_EVENTS)
        most = CDX_MAX_BATCH_EVENTS;
    if (n > most)
        n = most;
    for (uint32_t i = 0; i < n; i++) {
        bytes += cdx_feed_item(&o->feed, i)->bytes;
        if (i > 0 && bytes > CDX_MAX_BATCH_BYTES)
            return i;
    }
    return n;
}

static bool events_out(struct cdx_stage2 *s, struct owned *o)
{
    struct cdx_server server = {s->conf->api_base};
    uint32_t n = batch_size(s, o);
    struct cdx_err err = {0};
    struct cdx_uuid id;
    const struct logged *head = cdx_feed_item(&o->feed, 0)->rec;

    o->withheld = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct cdx_item *item = cdx_feed_item(&o->feed, i);
        const struct logged *l = item->rec;
        if (cdx_logrec_parse(cdx_text(l->value, l->n), &s->recs[i], &err) != CDX_OK) {
            /* not ours, or damaged: it keeps its number and goes out without content */
            cdx_log(CDX_ERROR, "push.log-record", err.text, CDX_KV("subscription", o->id),
                    CDX_KN("partition", o->part->id), CDX_KN("offset", item->offset));
            err = (struct cdx_err){0};
            memset(&s->recs[i], 0, sizeof s->recs[i]);
            s->recs[i].incarnation = -1;
        }
        s->events[i] =
            (struct cdx_event){item->number, l->timestamp_ms, &s->recs[i], bare(s, o, &s->recs[i])};
        o->withheld += s->events[i].bare;
    }
    o->first = s->events[0].number;
    o->last = s->events[n - 1].number;
    o->flight_n = n;
    cdx_buf_reset(&s->text);
    if (cdx_notify_cut(&server, o->sub, s->events, n, &s->text, &id, &err) != CDX_OK) {
        cdx_log(CDX_ERROR, "push.render", err.text, CDX_KV("subscription", o->id),
                CDX_KN("first", o->first));
        return false;
    }
    return submit(s, o, ON_EVENTS, &id, cdx_text_z(head->trace));
}

/* -- pump --------------------------------------------------------------------------------------------------------- */

static void set_timer(struct cdx_stage2 *s, struct owned *o, int64_t due)
{
    cdx_timer_set(&s->timers, &o->timer, due);
}

/* A feed that may not send now gives its memory back. */
static void rest(struct cdx_stage2 *s, struct owned *o)
{
    cdx_lane_rest(s, o);
    cdx_lane_pass_probe_on(s, o);
}

static void pump_handshake(struct cdx_stage2 *s, struct owned *o, int64_t now)
{
    if (!o->cursor_committed) /* the flush that commits it pumps again */
        return;
    if (now < o->handshake_due) {
        set_timer(s, o, o->handshake_due);
        return;
    }
    if (!cdx_endpoint_ready(o->lane->ep)) {
        if (cdx_endpoint_due_ms(o->lane->ep) == INT64_MAX &&
            cdx_endpoint_health(o->lane->ep) != CDX_DISABLED) {
            cdx_lane_wait(s, o); /* busy */
            return;
        }
        cdx_endpoint_reset(
            o->lane
                ->ep); /* held or disabled, but the client asked again: a handshake is a probe by order */
    }
    o->handshakes++;
    signal_out(s, o, CDX_HANDSHAKE, o->sub->version);
}

static void pump_heartbeat(struct cdx_stage2 *s, struct owned *o, int64_t now)
{
    int64_t wall = cdx_wall_ms(s->clock), due;

    if (o->sub->heartbeat_s <= 0 || !o->feed.live)
        return;
    due = o->sent_ms + (int64_t)o->sub->heartbeat_s * 1000;
    if (due > wall)
        set_timer(s, o, now + due - wall);
    else if (cdx_endpoint_ready(o->lane->ep))
        signal_out(s, o, CDX_HEARTBEAT, due);
    else
        cdx_lane_wait(s, o);
}

static void pump_events(struct cdx_stage2 *s, struct owned *o, int64_t now)
{
    if (o->message_due > now) {
        set_timer(s, o, o->message_due);
        return;
    }
    if (cdx_feed_ready(&o->feed) == 0 && o->feed.live) {
        pump_heartbeat(s, o, now);
        if (o->flight == IDLE)
            cdx_lane_pass_probe_on(s, o);
        return;
    }
    if (!cdx_endpoint_ready(o->lane->ep) ||
        (cdx_endpoint_probing(o->lane->ep) && o->lane->prober != NULL && o->lane->prober != o)) {
        cdx_lane_wait(s, o);
        return;
    }
    if (cdx_endpoint_probing(o->lane->ep))
        o->lane->prober = o;
    if (cdx_feed_ready(&o->feed) > 0)
        events_out(s, o);
    else
        cdx_scan_want(s, o);
}

void cdx_send_pump(struct cdx_stage2 *s, struct owned *o)
{
    int64_t now = cdx_mono_ms(s->clock);

    if (o->flight != IDLE || o->part->held || s->draining)
        return;
    if (o->sub == NULL || o->sub->wanted == CDX_OFF) {
        rest(s, o);
        return;
    }
    if (o->refused != NULL) {
        cdx_send_set_status(s, o, CDX_ERROR_STATUS, NULL, o->refused);
        rest(s, o);
        return;
    }
    if (o->sub->end_ms > 0 && cdx_wall_ms(s->clock) >= o->sub->end_ms &&
        o->status.status != CDX_OFF)
        cdx_send_set_status(s, o, CDX_OFF, NULL, "its end is reached");
    if (o->status.status == CDX_OFF && answered(o)) {
        rest(s, o);
        return;
    }
    if (o->lane == NULL || now - cdx_view_fresh_ms(s->view) > BROKERS_LOST_MS) {
        set_timer(s, o, now + 1000);
        return;
    }
    if (!answered(o))
        pump_handshake(s, o, now);
    else if (o->status.status == CDX_ERROR_STATUS &&
             (!o->status.activated || !s->conf->recovery_auto))
        rest(s, o); /* the client must ask again */
    else
        pump_events(s, o, now);
}

static void on_timer(void *arg, struct cdx_timer *timer)
{
    cdx_send_pump(arg, (struct owned *)((char *)timer - offsetof(struct owned, timer)));
}

/* -- verdicts ----------------------------------------------------------------------------------------------------- */

static void head_is_done(struct cdx_stage2 *s, struct owned *o, uint32_t n)
{
    cdx_feed_acked(&o->feed, n);
    o->attempts = 0;
    o->message_tries = 0;
    o->message_due = 0;
    o->head_ms = cdx_feed_ready(&o->feed) > 0
                     ? ((const struct logged *)cdx_feed_item(&o->feed, 0)->rec)->timestamp_ms
                     : 0;
    cdx_owner_mark_dirty(s, o);
}

static void events_accepted(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v)
{
    const struct logged *last = cdx_feed_item(&o->feed, o->flight_n - 1)->rec;

    record_delivery(s, o, v);
    cdx_count(CDX_C_NOTIFICATIONS, 1);
    cdx_count(CDX_C_DELIVERED_EVENTS, o->flight_n);
    if (o->withheld > 0)
        cdx_count(CDX_C_WITHHELD, o->withheld);
    cdx_observe_ms(CDX_H_LATENCY_ACKED, cdx_wall_ms(s->clock) - last->timestamp_ms);
    if (o->batch_limit > 0 && o->flight_n >= o->batch_limit)
        o->batch_limit *= 2; /* grows back; a limit by 413 is met again when it is real */
    head_is_done(s, o, o->flight_n);
}

static void message_refused(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v,
                            int64_t now)
{
    bool too_large = v->outcome == CDX_TOO_LARGE_BODY;

    record_delivery(s, o, v);
    if (o->flight_n > 1) { /* bisect: find the one that it cannot take, or a size that it can */
        o->batch_limit = (o->flight_n + 1) / 2;
        o->batch_limit_until = now + LIMIT_KEPT_MS;
    } else if (!too_large && o->message_tries < s->conf->message_retries) {
        size_t i = o->message_tries < CDX_COUNT(message_waits) ? o->message_tries
                                                               : CDX_COUNT(message_waits) - 1;
        o->message_tries++;
        o->message_due = now + message_waits[i];
    } else {
        bury_head(s, o, v, too_large ? "too-large" : "message",
                  too_large ? CDX_C_DLQ_TOO_LARGE : CDX_C_DLQ_MESSAGE);
        head_is_done(s, o, 1);
    }
}

static void endpoint_failed(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v)
{
    if (o->flight == ON_EVENTS)
        record_delivery(s, o, v);
    cdx_feed_sending(&o->feed, 0);
    cdx_lane_rest(s, o);
    cdx_owner_mark_dirty(s, o); /* its cursor holds the Retry-After */
}

static void handshake_answered(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v,
                               bool fine, int64_t now)
{
    o->attempts = 0;
    if (fine) {
        cdx_send_set_status(s, o, CDX_ACTIVE, NULL, NULL);
    } else if (v->outcome == CDX_GONE) {
        cdx_send_set_status(s, o, CDX_OFF, v->error_code, v->detail);
    } else if (o->handshakes > CDX_COUNT(handshake_waits)) {
        cdx_send_set_status(s, o, CDX_ERROR_STATUS, v->error_code, v->detail);
    } else {
        o->handshake_due = now + handshake_waits[o->handshakes - 1];
    }
}

/* Not ours, nor to be acted upon: the request was cut off because the partition leaves us. */
static void take_verdict(struct cdx_stage2 *s, struct owned *o, const struct cdx_verdict *v)
{
    bool fine = v->outcome == CDX_SUCCESS || v->outcome == CDX_DUPLICATE_OK;
    enum flight kind = o->flight;
    int64_t now = cdx_mono_ms(s->clock);

    if (!fine)
        cdx_count(CDX_C_ATTEMPTS_FAILED, 1);
    if (kind == ON_HANDSHAKE && o->sub != NULL && !answered(o)) {
        handshake_answered(s, o, v, fine, now);
        return;
    }
    if (kind == ON_EVENTS && fine)
        events_accepted(s, o, v);
    else if (kind == ON_EVENTS && (v->outcome == CDX_MESSAGE_FAILURE ||
                                   v->outcome == CDX_TOO_LARGE_BODY || v->outcome == CDX_ENCODING))
        message_refused(s, o, v, now);
    else if (!fine)
        endpoint_failed(s, o, v);
    if (fine && o->sub != NULL && answered(o) && o->status.status == CDX_ERROR_STATUS &&
        o->status.activated && s->conf->recovery_auto)
        cdx_send_set_status(s, o, CDX_ACTIVE, NULL, NULL);
}

void cdx_send_done(void *arg, struct cdx_delivery **del, const struct cdx_verdict *v)
{
    struct cdx_stage2 *s = arg;
    struct owned *o = (*del)->arg;
    struct lane *lane = o->lane;

    if (v->outcome != CDX_CANCELLED) {
        log_attempt(s, o, *del, v);
        take_verdict(s, o, v);
    }
    cdx_feed_sending(&o->feed, 0);
    cdx_delivery_free(del);
    o->flight = IDLE;
    if (lane != NULL && lane->prober == o)
        lane->prober = NULL;
    if (lane != NULL && cdx_endpoint_health(lane->ep) != lane->health)
        cdx_send_health(s);
    cdx_send_pump(s, o);
    if (lane != NULL && o->lane == lane) {
        int64_t due = cdx_endpoint_due_ms(lane->ep);
        if (due != INT64_MAX)
            cdx_timer_set(&s->timers, &lane->timer, due);
        else
            cdx_lane_serve(s, lane);
    }
}

/* -- orders ------------------------------------------------------------------------------------------------------- */

static void copy_status(struct cdx_status *to, const struct cdx_status *from)
{
    free(to->error);
    free(to->error_code);
    *to = *from;
    to->error = from->error != NULL ? strdup(from->error) : NULL;
    to->error_code = from->error_code != NULL ? strdup(from->error_code) : NULL;
}

void cdx_send_order(struct cdx_stage2 *s, struct owned *o, const struct cdx_order *order,
                    bool loading)
{
    bool new_version =
        order->sub != NULL && (o->sub == NULL || o->sub->version != order->sub->version);
    struct cdx_sub *old = o->sub;

    o->timer.fire = on_timer;
    if (loading && order->status != NULL)
        copy_status(&o->status, order->status);
    free(o->refused);
    o->refused = order->refused != NULL ? strdup(order->refused) : NULL;
    o->sub = order->sub != NULL ? cdx_sub_ref(order->sub) : NULL;
    cdx_sub_unref(old); /* a delivery in flight has its own reference */
    if (o->sub == NULL)
        return;
    o->roster = cdx_view_client_roster(s->view, o->sub->client);
    if (new_version) {
        int64_t now = cdx_mono_ms(s->clock),
                early = o->sub->version_ms + LEAST_TO_ACTIVE_MS - cdx_wall_ms(s->clock);
        o->handshakes = 0;
        o->handshake_due = now + LEAST_TO_ACTIVE_MS;
        if (early > LEAST_TO_ACTIVE_MS &&
            early < 5 * LEAST_TO_ACTIVE_MS) /* the writer's clock is ahead of ours */
            o->handshake_due = now + early;
        o->message_due = 0;
    }
    cdx_lane_join(s, o);
}

void cdx_send_forget(struct cdx_stage2 *s, struct owned *o)
{
    cdx_scan_leave(s, o);
    cdx_lane_leave(s, o);
    cdx_timer_clear(&s->timers, &o->timer);
}
