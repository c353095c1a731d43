/* core/clock.h -- the time, as an argument, so that tests own it. */
#ifndef CDX_CORE_CLOCK_H
#define CDX_CORE_CLOCK_H

#include <stdint.h>

struct cdx_clock {
    int64_t (*mono_ms)(const struct cdx_clock *clock); /* durations; never steps */
    int64_t (*wall_ms)(
        const struct cdx_clock *clock); /* since 1970-01-01Z; for what is persisted or shown */
};

/* The system's clock. Thread: any. */
extern const struct cdx_clock cdx_clock_system;

static inline int64_t cdx_mono_ms(const struct cdx_clock *clock)
{
    return clock->mono_ms(clock);
}

static inline int64_t cdx_wall_ms(const struct cdx_clock *clock)
{
    return clock->wall_ms(clock);
}

#endif
