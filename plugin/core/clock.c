/* core/clock.c -- the system's clock. */
#include "core/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t mono_ms(const struct cdx_clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_MONOTONIC);
}

static int64_t wall_ms(const struct cdx_clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_REALTIME);
}

const struct cdx_clock cdx_clock_system = {mono_ms, wall_ms};
