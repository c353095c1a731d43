/*
 * push/hold.c -- may this endpoint be asked now?
 *
 * In:    starts and results of requests, with the time.
 * Out:   yes or no, until when, and whether the failures are to be shown or to end the subscriptions.
 * Owns:  nothing beyond the struct; the schedule is borrowed.
 *
 * The hard thing is many requests in flight when an endpoint dies: sixty failures are one event, not sixty steps of the
 * schedule. So a request carries the number of the wave that it started in; only the first failure of a wave steps, and
 * a late result of an earlier wave neither ends a hold nor lengthens it, except by its own Retry-After. All failures
 * count for the breaker. Not a timer in here: whoever holds this asks with the time.
 */
#include "push/hold.h"

#include <string.h>

#include "core/err.h"
#include "model/verdict.h"

/* delivery.md 7, 3, 4 */
#define OPEN_AFTER 5
#define WINDOW_SLOT_MS 5000
#define WINDOW_RESULTS 20
#define REFUSED_IN_A_ROW 20
#define AUTH_WAIT_MS 60000
#define CONFIG_WAIT_MS (15 * 60000)
#define NOT_FOUND_OFF_MS (24 * INT64_C(3600000))
#define RESTORE_CAP_MS (24 * INT64_C(3600000))

enum kind { ALIVE, REFUSED, FAILED, AUTH, CONFIG, GONE };

static const enum kind kinds[CDX_OUTCOMES] = {
    [CDX_SUCCESS] = ALIVE,          [CDX_DUPLICATE_OK] = ALIVE,    [CDX_ENDPOINT_FAILURE] = FAILED,
    [CDX_AUTH_FAILURE] = AUTH,      [CDX_CONFIG_FAILURE] = CONFIG, [CDX_GONE] = GONE,
    [CDX_TOO_LARGE_BODY] = REFUSED, [CDX_ENCODING] = REFUSED,      [CDX_MESSAGE_FAILURE] = REFUSED,
};

void cdx_hold_init(struct cdx_hold *h, const struct cdx_hold_conf *conf, uint64_t seed)
{
    memset(h, 0, sizeof *h);
    h->conf = conf;
    h->random = seed;
}

bool cdx_hold_ready(const struct cdx_hold *h, int64_t now_ms)
{
    return !h->disabled && h->state != CDX_HALF_OPEN && now_ms >= h->due_ms;
}

int64_t cdx_hold_due_ms(const struct cdx_hold *h, int64_t now_ms)
{
    if (h->disabled || h->state == CDX_HALF_OPEN || (h->state == CDX_CLOSED && h->due_ms <= now_ms))
        return INT64_MAX;
    return h->due_ms;
}

struct cdx_hold_ticket cdx_hold_start(struct cdx_hold *h)
{
    if (h->state == CDX_OPEN) {
        h->state = CDX_HALF_OPEN;
        h->wave++; /* so the probe is the only one of its wave */
    }
    return (struct cdx_hold_ticket){.wave = h->wave};
}

/* splitmix64: jitter needs spread, not secrecy. */
static uint64_t next_random(struct cdx_hold *h)
{
    uint64_t z = h->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The schedule's next wait with equal jitter, in [d/2, d]. */
static int64_t step(struct cdx_hold *h)
{
    int64_t d = h->conf->schedule_ms[h->step];

    if (h->step + 1 < h->conf->schedule_n)
        h->step++;
    return d - (int64_t)(next_random(h) % (uint64_t)(d / 2 + 1));
}

/* Auth failures start at the first wait of a minute or more. */
static void skip_short_waits(struct cdx_hold *h)
{
    while (h->step + 1 < h->conf->schedule_n && h->conf->schedule_ms[h->step] < AUTH_WAIT_MS)
        h->step++;
}

static void hold_until(struct cdx_hold *h, int64_t due_ms, int64_t now_ms, int64_t wall_ms)
{
    if (due_ms <= now_ms || due_ms <= h->due_ms)
        return;
    h->due_ms = due_ms;
    h->due_wall_ms = wall_ms + (due_ms - now_ms);
}

static void note_window(struct cdx_hold *h, bool failure, int64_t now_ms)
{
    int64_t slot = now_ms / WINDOW_SLOT_MS;
    size_t i = (size_t)(slot % CDX_HOLD_SLOTS);

    if (h->window[i].slot != slot) {
        h->window[i].slot = slot;
        h->window[i].results = 0;
        h->window[i].failures = 0;
    }
    h->window[i].results++;
    h->window[i].failures += failure;
}

/* At least half of at least 20 results in the last minute. */
static bool half_fails(const struct cdx_hold *h, int64_t now_ms)
{
    int64_t slot = now_ms / WINDOW_SLOT_MS;
    unsigned results = 0, failures = 0;

    for (size_t i = 0; i < CDX_HOLD_SLOTS; i++) {
        if (h->window[i].slot <= slot - CDX_HOLD_SLOTS)
            continue;
        results += h->window[i].results;
        failures += h->window[i].failures;
    }
    return results >= WINDOW_RESULTS && failures * 2 >= results;
}

static void note_recent(struct cdx_hold *h, bool refused, uint64_t key)
{
    unsigned at = h->recent_at;

    if (key != 0)
        for (unsigned i = 0; i < h->recent_n; i++)
            if (h->recent[i].key == key) {
                h->recent[i].refused = refused;
                return;
            }
    h->recent[at].key = key;
    h->recent[at].refused = refused;
    h->recent_at = (at + 1) % CDX_HOLD_RECENT;
    if (h->recent_n < CDX_HOLD_RECENT)
        h->recent_n++;
}

/* More than 20 in a row, or more than half of the last 50 notifications. */
static bool refuses_everything(const struct cdx_hold *h)
{
    unsigned all = 0, row = 0;
    bool in_row = true;

    for (unsigned i = 1; i <= h->recent_n; i++) {
        bool refused = h->recent[(h->recent_at + CDX_HOLD_RECENT - i) % CDX_HOLD_RECENT].refused;

        all += refused;
        in_row = in_row && refused;
        row += in_row;
    }
    return row > REFUSED_IN_A_ROW || all > CDX_HOLD_RECENT / 2;
}

/* When the same endpoint has said 404 for more than a day it is not coming back by itself. */
static void note_not_found(struct cdx_hold *h, const struct cdx_verdict *v, int64_t now_ms)
{
    if (v->http_status != 404)
        h->not_found = false;
    else if (!h->not_found) {
        h->not_found = true;
        h->not_found_since_ms = now_ms;
    } else if (now_ms - h->not_found_since_ms > NOT_FOUND_OFF_MS) {
        h->disabled = true;
    }
}

static void healthy(struct cdx_hold *h, int64_t now_ms)
{
    h->step = 0;
    h->failing = false;
    h->at_once = false;
    h->error = NULL;
    h->detail = NULL;
    if (h->due_ms <= now_ms) /* a later one was asked for by another request */
        h->due_ms = 0;
}

/* The endpoint took the request, or at least looked at it. Returns whether the breaker closed. */
static bool alive(struct cdx_hold *h, struct cdx_hold_ticket ticket, int64_t now_ms)
{
    bool fresh = ticket.wave == h->wave;

    h->consecutive = 0;
    if (!fresh || h->state == CDX_OPEN)
        return false;
    healthy(h, now_ms);
    if (h->state == CDX_CLOSED)
        return false;
    h->state = CDX_CLOSED;
    memset(h->window, 0, sizeof h->window); /* the minute before would open it again at once */
    if (h->refusing) {
        h->refusing = false;
        h->recent_n = 0;
    }
    return true;
}

static void open_breaker(struct cdx_hold *h, int64_t now_ms)
{
    if (h->state == CDX_CLOSED)
        h->opened_ms = now_ms;
    h->state = CDX_OPEN;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t wait_of(struct cdx_hold *h, enum kind kind, bool fresh)
{
    if (kind == CONFIG)
        return CONFIG_WAIT_MS;
    if (!fresh)
        return 0;
    if (kind == AUTH)
        skip_short_waits(h);
    return step(h);
}

/* After so long give up. The last wait ends at that age, so that the decision rests on a try made then. */
static int64_t give_up(struct cdx_hold *h, int64_t wait_ms, int64_t least_ms, int64_t now_ms)
{
    int64_t left = h->failing_since_ms + h->conf->off_after_ms - now_ms;

    if (left <= 0)
        h->disabled = true;
    return most(left > 0 && left < wait_ms ? left : wait_ms, least_ms);
}

/* Returns whether this was the first failure of its wave. */
static bool fail(struct cdx_hold *h, struct cdx_hold_ticket ticket, enum kind kind,
                 const struct cdx_verdict *v, int64_t least_ms, int64_t now_ms, int64_t wall_ms)
{
    bool fresh = ticket.wave == h->wave;
    int64_t wait_ms;

    if (!h->failing) {
        h->failing = true;
        h->failing_since_ms = now_ms;
    }
    h->consecutive++;
    h->error = v->error_code;
    h->detail = v->detail;
    h->at_once = h->at_once || kind == CONFIG || h->refusing;
    wait_ms = wait_of(h, kind, fresh);
    hold_until(h, now_ms + give_up(h, wait_ms, least_ms, now_ms), now_ms, wall_ms);
    if (fresh)
        h->wave++;
    if (h->state == CDX_HALF_OPEN && !fresh)
        return false; /* a late one; the probe will tell */
    if (h->state == CDX_HALF_OPEN || kind != FAILED || h->consecutive >= OPEN_AFTER ||
        half_fails(h, now_ms))
        open_breaker(h, now_ms);
    return fresh;
}

struct cdx_hold_effect cdx_hold_result(struct cdx_hold *h, struct cdx_hold_ticket ticket,
                                       const struct cdx_verdict *v, uint64_t key,
                                       int64_t min_wait_ms, int64_t now_ms, int64_t wall_ms)
{
    struct cdx_hold_effect effect = {0};
    enum kind kind = kinds[v->outcome];
    int64_t least_ms = most(min_wait_ms, v->retry_after_ms);

    note_window(h, kind >= FAILED, now_ms);
    note_not_found(h, v, now_ms);
    if (kind == ALIVE || kind == REFUSED)
        note_recent(h, kind == REFUSED, key);
    if (kind == REFUSED && (h->refusing || refuses_everything(h)))
        effect.position = h->refusing = true;
    if (kind == GONE)
        h->disabled = true;
    if (kind >= FAILED || effect.position) {
        effect.stepped = fail(h, ticket, kind, v, least_ms, now_ms, wall_ms);
        return effect;
    }
    effect.closed = alive(h, ticket, now_ms);
    hold_until(h, now_ms + least_ms, now_ms,
               wall_ms); /* a refused message may carry Retry-After as well */
    return effect;
}

void cdx_hold_cancel(struct cdx_hold *h, struct cdx_hold_ticket ticket)
{
    if (ticket.wave == h->wave && h->state == CDX_HALF_OPEN)
        h->state = CDX_OPEN;
}

void cdx_hold_restore(struct cdx_hold *h, int64_t until_wall_ms, int64_t now_ms, int64_t wall_ms)
{
    int64_t wait = until_wall_ms - wall_ms;

    if (until_wall_ms <= wall_ms)
        return;
    hold_until(h, now_ms + (wait < RESTORE_CAP_MS ? wait : RESTORE_CAP_MS), now_ms, wall_ms);
}

int64_t cdx_hold_until_wall_ms(const struct cdx_hold *h, int64_t now_ms)
{
    return h->due_ms > now_ms ? h->due_wall_ms : 0;
}

void cdx_hold_reset(struct cdx_hold *h)
{
    const struct cdx_hold_conf *conf = h->conf;
    uint32_t wave = h->wave;
    uint64_t random = h->random;

    cdx_hold_init(h, conf, random);
    h->wave = wave + 1; /* what is in flight belongs to the past */
}

bool cdx_hold_failing(const struct cdx_hold *h, int64_t now_ms)
{
    if (h->disabled)
        return true;
    return h->state != CDX_CLOSED &&
           (h->at_once || now_ms - h->opened_ms >= h->conf->error_after_ms);
}
