/*
 * flow/lane.c -- who of an endpoint's subscriptions may send now, and who waits?
 *
 * In:    subscriptions that want to send while their endpoint does not accept; the endpoint's hold, its due time.
 * Out:   pumps, in the order in which they came to wait; one probe at a time while the breaker is not closed.
 * Owns:  the lanes: one use of an endpoint each, the queue of those who wait, the timer of the next probe.
 * Hard:  whoever waits for a held endpoint gives its memory back and is read again from the log, so a dead endpoint
 *        costs nothing however many subscriptions it has; and a subscription that was to probe and has nothing to send must
 *        pass that on, or nobody ever probes.
 */
#include "flow/owner.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"

static void on_lane_timer(void *arg, struct cdx_timer *timer);

static struct lane *lane_of(struct cdx_stage2 *s, struct cdx_endpoint *ep)
{
    struct lane *lane = cdx_map_get(&s->lanes, cdx_text((const char *)&ep, sizeof ep));

    if (lane != NULL) {
        cdx_push_endpoint_release(s->pusher, ep); /* the lane has its use already */
        return lane;
    }
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->ep = ep;
    lane->waiting_end = &lane->waiting;
    lane->timer.fire = on_lane_timer;
    if (cdx_map_put(&s->lanes, cdx_text((const char *)&lane->ep, sizeof lane->ep), lane))
        return lane;
    free(lane);
    return NULL;
}

static void unwait(struct owned *o)
{
    struct owned **at = &o->lane->waiting;

    if (!o->waiting)
        return;
    while (*at != o)
        at = &(*at)->wait_next;
    *at = o->wait_next;
    if (o->lane->waiting_end == &o->wait_next)
        o->lane->waiting_end = at;
    o->waiting = false;
    o->wait_next = NULL;
}

void cdx_lane_leave(struct cdx_stage2 *s, struct owned *o)
{
    struct lane *lane = o->lane;
    struct owned **in;

    if (lane == NULL)
        return;
    unwait(o);
    for (in = &lane->subs; *in != o; in = &(*in)->lane_next)
        ;
    *in = o->lane_next;
    if (lane->prober == o)
        lane->prober = NULL;
    o->lane = NULL;
    if (lane->subs != NULL)
        return;
    cdx_map_take(&s->lanes, cdx_text((const char *)&lane->ep, sizeof lane->ep));
    cdx_timer_clear(&s->timers, &lane->timer);
    cdx_push_endpoint_release(s->pusher, lane->ep);
    free(lane);
}

void cdx_lane_join(struct cdx_stage2 *s, struct owned *o)
{
    struct cdx_err err = {0};
    struct cdx_endpoint *ep = cdx_push_endpoint(s->pusher, o->sub, &err);
    struct lane *lane = ep != NULL ? lane_of(s, ep) : NULL;

    if (lane == o->lane)
        return;
    cdx_lane_leave(s, o);
    if (lane == NULL) {
        cdx_log(CDX_ERROR, "push.endpoint", err.text, CDX_KV("subscription", o->id));
        return;
    }
    o->lane = lane;
    o->lane_next = lane->subs;
    lane->subs = o;
}

/* The endpoint may accept again: those who wait go on, in their order, for as long as it does. */
void cdx_lane_serve(struct cdx_stage2 *s, struct lane *lane)
{
    while (lane->waiting != NULL && cdx_endpoint_ready(lane->ep) && !s->draining) {
        struct owned *o = lane->waiting;
        bool probing = cdx_endpoint_probing(lane->ep);

        if (probing && lane->prober != NULL && lane->prober != o)
            return;
        unwait(o);
        if (probing)
            lane->prober = o;
        cdx_send_pump(s, o);
        if (probing) /* one probe: its head only */
            return;
    }
}

static void on_lane_timer(void *arg, struct cdx_timer *timer)
{
    struct lane *lane = (struct lane *)((char *)timer - offsetof(struct lane, timer));

    cdx_lane_serve(arg, lane);
}

/* What waits in memory is read again from the log when its time comes. */
void cdx_lane_rest(struct cdx_stage2 *s, struct owned *o)
{
    if (cdx_feed_ready(&o->feed) > 0 || o->feed.queue.n > 0)
        cdx_owner_lag(s, o);
    else
        cdx_scan_leave(s, o);
}

/* A subscription that was to probe its endpoint and has nothing to send lets another one do it. */
void cdx_lane_pass_probe_on(struct cdx_stage2 *s, struct owned *o)
{
    if (o->lane == NULL || o->lane->prober != o)
        return;
    o->lane->prober = NULL;
    if (o->lane->waiting != NULL)
        cdx_timer_set(&s->timers, &o->lane->timer, cdx_mono_ms(s->clock));
}

/* Waits for the endpoint. A held one gets its memory back: the range reader brings the records again. */
void cdx_lane_wait(struct cdx_stage2 *s, struct owned *o)
{
    int64_t due = cdx_endpoint_due_ms(o->lane->ep);

    if (due != INT64_MAX) {
        cdx_lane_rest(s, o);
        cdx_timer_set(&s->timers, &o->lane->timer, due);
    }
    if (o->waiting)
        return;
    o->waiting = true;
    o->wait_next = NULL;
    *o->lane->waiting_end = o;
    o->lane->waiting_end = &o->wait_next;
}
