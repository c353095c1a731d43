/* core/count.c -- relaxed atomics: a reader sees each counter whole, not all of them at one instant. */
#include "core/count.h"

#include <stdatomic.h>

static _Atomic uint64_t counters[CDX_COUNTERS];

static struct {
    _Atomic uint64_t bucket[CDX_BUCKETS + 1];
    _Atomic uint64_t sum_ms, count;
} histograms[CDX_HISTOGRAMS];

#define X(id, name, label, help) {name, label, help},
const struct cdx_counter_row cdx_counter_rows[CDX_COUNTERS] = {CDX_COUNTER_MAP(X)};
const struct cdx_counter_row cdx_histogram_rows[CDX_HISTOGRAMS] = {CDX_HISTOGRAM_MAP(X)};
#undef X

const int64_t cdx_bucket_ms[CDX_BUCKETS] = {1,   2,   5,    10,   20,   40,    80,    120,
                                            250, 500, 1000, 2500, 5000, 10000, 30000, 60000};

void cdx_count(enum cdx_counter c, uint64_t n)
{
    atomic_fetch_add_explicit(&counters[c], n, memory_order_relaxed);
}

uint64_t cdx_counted(enum cdx_counter c)
{
    return atomic_load_explicit(&counters[c], memory_order_relaxed);
}

void cdx_count_to(enum cdx_counter c, uint64_t n)
{
    if (n > cdx_counted(c))
        atomic_store_explicit(&counters[c], n, memory_order_relaxed);
}

void cdx_observe_ms(enum cdx_histogram h, int64_t ms)
{
    int b = 0;

    if (ms < 0) /* clocks of two machines */
        ms = 0;
    while (b < CDX_BUCKETS && ms > cdx_bucket_ms[b])
        b++;
    atomic_fetch_add_explicit(&histograms[h].bucket[b], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histograms[h].sum_ms, (uint64_t)ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&histograms[h].count, 1, memory_order_relaxed);
}

void cdx_histogram_read(enum cdx_histogram h, struct cdx_histogram_data *out)
{
    for (int b = 0; b <= CDX_BUCKETS; b++)
        out->bucket[b] = atomic_load_explicit(&histograms[h].bucket[b], memory_order_relaxed);
    out->sum_ms = atomic_load_explicit(&histograms[h].sum_ms, memory_order_relaxed);
    out->count = atomic_load_explicit(&histograms[h].count, memory_order_relaxed);
}
