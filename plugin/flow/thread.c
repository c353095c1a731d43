/* flow/thread.c -- names, clocks and waits of our threads. */
#include "flow/thread.h"

#include <poll.h>
#include <time.h>

#include "core/clock.h"

void cdx_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void cdx_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms)
{
    struct timespec ts = {until_ms / 1000, until_ms % 1000 * 1000000};

    pthread_cond_timedwait(cond, lock, &ts);
}

void cdx_thread_name(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

void cdx_thread_cpu(enum cdx_counter counter)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    cdx_count_to(counter, (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void cdx_thread_pause(const atomic_bool *closing, int64_t ms)
{
    int64_t until = cdx_mono_ms(&cdx_clock_system) + ms, now;

    while (!*closing && (now = cdx_mono_ms(&cdx_clock_system)) < until)
        poll(NULL, 0, until - now > 50 ? 50 : (int)(until - now));
}

bool cdx_thread_again(int64_t *last_ms, int64_t now_ms)
{
    bool first = *last_ms == INT64_MIN || now_ms - *last_ms > 60000;

    *last_ms = now_ms;
    return first;
}
