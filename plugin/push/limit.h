/* push/limit.h -- how many requests may one endpoint have in flight? AIMD (delivery.md 5) and slow start (7). Pure. */
#ifndef CDX_PUSH_LIMIT_H
#define CDX_PUSH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* A plain value; init, then the calls below. */
struct cdx_limit {
    int now, max;
    int slow_until; /* slow start doubles up to this; 0: it is over */
    bool reached;   /* the limit was used up in this window */
    int samples;    /* successes in this window */
    int64_t sum_us;
    double mean_us, variance; /* exponentially weighted, of window means */
    int windows;
};

void cdx_limit_init(struct cdx_limit *l, int max);
/* A request started with so many in flight, itself included. */
void cdx_limit_started(struct cdx_limit *l, int in_flight);
/* A success; rtt_us: from the request's first byte to the response's. */
void cdx_limit_success(struct cdx_limit *l, int64_t rtt_us);
/* A timeout, 429 or 503. Once per wave of failures, not once per request. */
void cdx_limit_back_pressure(struct cdx_limit *l);
/* The breaker closed after a probe: start at 1 again. */
void cdx_limit_restart(struct cdx_limit *l);

#endif
