/* flow/thread.h -- private to flow/: the few things that every thread of ours does alike. */
#ifndef CDX_FLOW_THREAD_H
#define CDX_FLOW_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/count.h"

/* A condition on the monotonic clock. */
void cdx_cond_init(pthread_cond_t *cond);
/* Waits until signalled or until the monotonic time `until_ms` of the system's clock; may wake early. */
void cdx_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);
/* Shown by top -H; at most 15 characters. */
void cdx_thread_name(const char *name);
/* Sets the counter to this thread's CPU time. */
void cdx_thread_cpu(enum cdx_counter counter);
/* A fence at `now_ms`: true when it is the first for a minute, and worth another try. *last_ms: INT64_MIN at first. */
bool cdx_thread_again(int64_t *last_ms, int64_t now_ms);
/* Waits `ms`, or until *closing. For waits between tries of something outside. */
void cdx_thread_pause(const atomic_bool *closing, int64_t ms);

#endif
