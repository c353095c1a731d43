/* flow/timers.c -- the heap; a timer knows its place, so that moving one needs no search. */
#include "flow/timers.h"

#include <stdlib.h>

static void place(struct cdx_timers *t, size_t i, struct cdx_timer *timer)
{
    t->heap[i] = timer;
    timer->at = i + 1;
}

static void up(struct cdx_timers *t, size_t i)
{
    struct cdx_timer *timer = t->heap[i];

    for (; i > 0 && t->heap[(i - 1) / 2]->due_ms > timer->due_ms; i = (i - 1) / 2)
        place(t, i, t->heap[(i - 1) / 2]);
    place(t, i, timer);
}

static void down(struct cdx_timers *t, size_t i)
{
    struct cdx_timer *timer = t->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < t->n && t->heap[child + 1]->due_ms < t->heap[child]->due_ms)
            child++;
        if (child >= t->n || t->heap[child]->due_ms >= timer->due_ms)
            break;
        place(t, i, t->heap[child]);
        i = child;
    }
    place(t, i, timer);
}

void cdx_timer_set(struct cdx_timers *t, struct cdx_timer *timer, int64_t due_ms)
{
    if (timer->at == 0) {
        if (t->n == t->cap) {
            size_t cap = t->cap == 0 ? 64 : t->cap * 2;
            struct cdx_timer **heap = reallocarray(t->heap, cap, sizeof *heap);
            if (heap == NULL)
                return;
            t->heap = heap;
            t->cap = cap;
        }
        timer->due_ms = due_ms;
        place(t, t->n++, timer);
        up(t, t->n - 1);
        return;
    }
    timer->due_ms = due_ms;
    up(t, timer->at - 1);
    down(t, timer->at - 1);
}

void cdx_timer_clear(struct cdx_timers *t, struct cdx_timer *timer)
{
    size_t i = timer->at - 1;
    struct cdx_timer *last;

    if (timer->at == 0)
        return;
    timer->at = 0;
    last = t->heap[--t->n];
    if (last == timer)
        return;
    place(t, i, last);
    up(t, i);
    down(t, last->at - 1);
}

void cdx_timers_run(struct cdx_timers *t, int64_t now_ms, void *arg)
{
    while (t->n > 0 && t->heap[0]->due_ms <= now_ms) {
        struct cdx_timer *timer = t->heap[0];
        cdx_timer_clear(t, timer);
        timer->fire(arg, timer);
    }
}

int64_t cdx_timers_next(const struct cdx_timers *t)
{
    return t->n > 0 ? t->heap[0]->due_ms : INT64_MAX;
}

void cdx_timers_fini(struct cdx_timers *t)
{
    free(t->heap);
    *t = (struct cdx_timers){0};
}
