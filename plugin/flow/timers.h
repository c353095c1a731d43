/* flow/timers.h -- private to flow/: a binary heap of due times; each owner embeds its timer. */
#ifndef CDX_FLOW_TIMERS_H
#define CDX_FLOW_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdx_timer {
    int64_t due_ms; /* mono */
    size_t at;      /* place in the heap + 1; 0: not set */
    void (*fire)(void *arg, struct cdx_timer *timer);
};

struct cdx_timers {
    struct cdx_timer **heap; /* owned array of borrowed timers */
    size_t n, cap;
};

/* Sets or moves. Without memory a timer that was never set stays clear; its owner sets it again at its next change. Thread: one. */
void cdx_timer_set(struct cdx_timers *timers, struct cdx_timer *timer, int64_t due_ms);
void cdx_timer_clear(struct cdx_timers *timers, struct cdx_timer *timer);
/* Fires all that are due; a fired timer is clear. */
void cdx_timers_run(struct cdx_timers *timers, int64_t now_ms, void *arg);
/* Earliest due time, INT64_MAX when none. */
int64_t cdx_timers_next(const struct cdx_timers *timers);
void cdx_timers_fini(struct cdx_timers *timers);

#endif
