/*
 * push/hold.h -- may this endpoint be asked now? Schedule, Retry-After, breaker, and when to give up. Pure: the time is
 * passed in. Rules: delivery.md 3 (guard), 4, 7.
 */
#ifndef CDX_PUSH_HOLD_H
#define CDX_PUSH_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdx_verdict; /* model/verdict.h */

struct cdx_hold_conf {
    const int64_t *schedule_ms; /* borrowed; at least one */
    size_t schedule_n;
    int64_t error_after_ms, off_after_ms;
};

enum cdx_breaker { CDX_CLOSED, CDX_OPEN, CDX_HALF_OPEN };

#define CDX_HOLD_SLOTS 12  /* of 5 s: the window of 60 s */
#define CDX_HOLD_RECENT 50 /* notifications that the guard looks back */

/* A plain value; init, then the calls below. Fields are read by push.c and the tests. */
struct cdx_hold {
    const struct cdx_hold_conf *conf; /* borrowed */
    enum cdx_breaker state;
    uint64_t random;
    uint32_t
        wave; /* counts holds: a request of an earlier wave says nothing new about the schedule */
    size_t step;          /* next entry of the schedule */
    unsigned consecutive; /* endpoint failures */
    int64_t due_ms;       /* mono; 0: no hold was set */
    int64_t due_wall_ms;
    bool failing;
    int64_t failing_since_ms;
    int64_t opened_ms;
    bool not_found; /* the last result was a 404 */
    int64_t not_found_since_ms;
    bool at_once;  /* shown as an error without waiting error_after_ms */
    bool refusing; /* opened because notifications are refused one after another */
    bool disabled;
    const char *error, *detail; /* of the last failure; borrowed, static */
    struct {
        int64_t slot; /* time / 5 s */
        unsigned results, failures;
    } window[CDX_HOLD_SLOTS];
    struct {
        uint64_t key;
        bool refused;
    } recent[CDX_HOLD_RECENT];
    unsigned recent_n, recent_at; /* filled; next to write */
};

/* Of one request, from start to result. */
struct cdx_hold_ticket {
    uint32_t wave;
};

/* What a result did. */
struct cdx_hold_effect {
    bool closed;  /* the breaker closed after a probe */
    bool stepped; /* the first failure of its wave */
    bool
        position; /* a message failure that counts as the endpoint's: the notification keeps its place */
};

void cdx_hold_init(struct cdx_hold *h, const struct cdx_hold_conf *conf, uint64_t seed);
/* May a request start? False while held, disabled, or probed already. */
bool cdx_hold_ready(const struct cdx_hold *h, int64_t now_ms);
/* When it may be asked again; INT64_MAX: not held, or only a verdict or an order changes it. */
int64_t cdx_hold_due_ms(const struct cdx_hold *h, int64_t now_ms);
/* Call only when ready. */
struct cdx_hold_ticket cdx_hold_start(struct cdx_hold *h);
/**
 * key: of the notification, so that its repeats count once in the guard; 0: unknown. min_wait_ms: of the outcome.
 * A cancelled request goes to cdx_hold_cancel instead.
 */
struct cdx_hold_effect cdx_hold_result(struct cdx_hold *h, struct cdx_hold_ticket ticket,
                                       const struct cdx_verdict *v, uint64_t key,
                                       int64_t min_wait_ms, int64_t now_ms, int64_t wall_ms);
void cdx_hold_cancel(struct cdx_hold *h, struct cdx_hold_ticket ticket);
/* A hold known from before a restart. */
void cdx_hold_restore(struct cdx_hold *h, int64_t until_wall_ms, int64_t now_ms, int64_t wall_ms);
/* The hold as wall time; 0: none. */
int64_t cdx_hold_until_wall_ms(const struct cdx_hold *h, int64_t now_ms);
/* By order: as new. */
void cdx_hold_reset(struct cdx_hold *h);
/* Open for error_after_ms, or failed in a way that the operator must mend. */
bool cdx_hold_failing(const struct cdx_hold *h, int64_t now_ms);

#endif
