/*
 * push/limit.c -- how many requests may one endpoint have in flight?
 *
 * In:    successes with their round trips, and signs of back-pressure.
 * Out:   `now`, between 1 and `max`.
 * Owns:  nothing beyond the struct.
 *
 * The hard thing is to tell a full endpoint from noise: a window is as many successes as the limit, and its mean must
 * exceed the usual by 2.5 sigma and by a millisecond (the scheduler's own noise) to count. Not one sample: on a local
 * network single round trips differ tenfold.
 */
#include "push/limit.h"

#define START 4
#define ALPHA 0.4 /* delivery.md 5 */
#define SIGMAS 2.5
#define NOISE_US 1000.0
#define WARM_WINDOWS 4 /* before these there is no "usual" */

void cdx_limit_init(struct cdx_limit *l, int max)
{
    *l = (struct cdx_limit){.now = max < START ? max : START, .max = max};
}

void cdx_limit_started(struct cdx_limit *l, int in_flight)
{
    l->reached = l->reached || in_flight >= l->now;
}

static void shrink(struct cdx_limit *l)
{
    l->now = l->now * 7 / 10 > 1 ? l->now * 7 / 10 : 1;
    l->slow_until = 0;
}

/* mean - usual > 2.5 sigma, compared as squares. */
static bool slower_than_usual(const struct cdx_limit *l, double mean)
{
    double over = mean - l->mean_us;

    return l->windows >= WARM_WINDOWS && over > NOISE_US &&
           over * over > SIGMAS * SIGMAS * l->variance;
}

static void window_over(struct cdx_limit *l)
{
    double mean = (double)l->sum_us / l->samples, diff = mean - l->mean_us;

    if (slower_than_usual(l, mean))
        shrink(l);
    else if (l->reached && l->slow_until == 0 && l->now < l->max)
        l->now++;
    l->variance = l->windows == 0 ? 0 : (1 - ALPHA) * (l->variance + ALPHA * diff * diff);
    l->mean_us = l->windows == 0 ? mean : l->mean_us + ALPHA * diff;
    if (l->windows < WARM_WINDOWS)
        l->windows++;
    l->samples = 0;
    l->sum_us = 0;
    l->reached = false;
}

void cdx_limit_success(struct cdx_limit *l, int64_t rtt_us)
{
    if (l->slow_until > 0) {
        l->now = l->now * 2 < l->slow_until ? l->now * 2 : l->slow_until;
        if (l->now == l->slow_until)
            l->slow_until = 0;
    }
    l->samples++;
    l->sum_us += rtt_us;
    if (l->samples >= l->now)
        window_over(l);
}

void cdx_limit_back_pressure(struct cdx_limit *l)
{
    shrink(l);
}

void cdx_limit_restart(struct cdx_limit *l)
{
    l->slow_until = l->now / 2 > 1 ? l->now / 2 : 0;
    l->now = 1;
    l->reached = false;
    l->samples = 0;
    l->sum_us = 0;
}
