/* Counters add up from any thread; buckets are Prometheus's; the table can be exposed as it stands. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/count.h"
#include "core/err.h"
#include "core/text.h"

#define THREADS 4
#define ADDS 20000

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ADDS; i++) {
        cdx_count(CDX_C_EVENTS, 3);
        cdx_observe_ms(CDX_H_COMMIT, 7);
    }
    return NULL;
}

static void additions_of_many_threads_are_not_lost(void)
{
    struct cdx_histogram_data before, after;
    uint64_t events = cdx_counted(CDX_C_EVENTS);
    pthread_t threads[THREADS];

    cdx_histogram_read(CDX_H_COMMIT, &before);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cdx_histogram_read(CDX_H_COMMIT, &after);
    CU_ASSERT_EQUAL(cdx_counted(CDX_C_EVENTS) - events, 3 * THREADS * ADDS);
    CU_ASSERT_EQUAL(after.count - before.count, THREADS * ADDS);
    CU_ASSERT_EQUAL(after.sum_ms - before.sum_ms, 7 * THREADS * ADDS);
}

static void counters_do_not_touch_each_other(void)
{
    uint64_t before[CDX_COUNTERS];

    for (int c = 0; c < CDX_COUNTERS; c++)
        before[c] = cdx_counted((enum cdx_counter)c);
    cdx_count(CDX_C_GAPS, 5);
    for (int c = 0; c < CDX_COUNTERS; c++)
        CU_ASSERT_EQUAL(cdx_counted((enum cdx_counter)c) - before[c], c == CDX_C_GAPS ? 5 : 0);
}

static void a_mirrored_counter_never_goes_down(void)
{
    uint64_t now = cdx_counted(CDX_C_CPU_VIEW_US);

    cdx_count_to(CDX_C_CPU_VIEW_US, now + 100);
    CU_ASSERT_EQUAL(cdx_counted(CDX_C_CPU_VIEW_US), now + 100);
    cdx_count_to(CDX_C_CPU_VIEW_US, now + 40);
    CU_ASSERT_EQUAL(cdx_counted(CDX_C_CPU_VIEW_US), now + 100);
}

/* Prometheus exposition: a bucket counts what is less than or equal to its bound. */
static void a_duration_falls_into_the_bucket_whose_bound_holds_it(void)
{
    static const struct {
        int64_t ms;
        int bucket;
        uint64_t sum;
    } cases[] = {
        {-5, 0, 0}, /* clocks of two machines: no time passed */
        {0, 0, 0},
        {1, 0, 1},
        {2, 1, 2},
        {3, 2, 3},
        {60000, CDX_BUCKETS - 1, 60000},
        {60001, CDX_BUCKETS, 60001},
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        struct cdx_histogram_data before, after;
        cdx_histogram_read(CDX_H_FLUSH, &before);
        cdx_observe_ms(CDX_H_FLUSH, cases[i].ms);
        cdx_histogram_read(CDX_H_FLUSH, &after);
        for (int b = 0; b <= CDX_BUCKETS; b++)
            CU_ASSERT_EQUAL(after.bucket[b] - before.bucket[b], b == cases[i].bucket);
        CU_ASSERT_EQUAL(after.count - before.count, 1);
        CU_ASSERT_EQUAL(after.sum_ms - before.sum_ms, cases[i].sum);
    }
}

static void bounds_rise_from_a_millisecond_to_a_minute(void)
{
    CU_ASSERT_EQUAL(cdx_bucket_ms[0], 1);
    CU_ASSERT_EQUAL(cdx_bucket_ms[CDX_BUCKETS - 1], 60000);
    for (int b = 1; b < CDX_BUCKETS; b++)
        CU_ASSERT(cdx_bucket_ms[b] > cdx_bucket_ms[b - 1]);
}

/* Prometheus data model and naming: [a-z_] names, counters end in _total; HELP and TYPE stand once, before a family. */
static void check_rows(const struct cdx_counter_row *rows, size_t n, const char *suffix)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = rows[i].name;
        bool first = true, behind = i > 0 && strcmp(rows[i - 1].name, name) == 0;
        for (size_t k = 0; k < i; k++)
            first &= strcmp(rows[k].name, name) != 0;
        CU_ASSERT_EQUAL(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        CU_ASSERT_EQUAL(strncmp(name, "cdex_", 5), 0);
        CU_ASSERT(strlen(name) > strlen(suffix) &&
                  strcmp(name + strlen(name) - strlen(suffix), suffix) == 0);
        CU_ASSERT_EQUAL(rows[i].help[0] != '\0', first);
        CU_ASSERT(first || behind);
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_FALSE(strcmp(rows[k].name, name) == 0 &&
                            strcmp(rows[k].label, rows[i].label) == 0);
    }
}

static void the_tables_can_be_exposed_as_they_stand(void)
{
    check_rows(cdx_counter_rows, CDX_COUNTERS, "_total");
    check_rows(cdx_histogram_rows, CDX_HISTOGRAMS, "_seconds");
}

static CU_TestInfo tests[] = {
    {"additions of many threads are not lost", additions_of_many_threads_are_not_lost},
    {"counters do not touch each other", counters_do_not_touch_each_other},
    {"a mirrored counter never goes down", a_mirrored_counter_never_goes_down},
    {"a duration falls into the bucket whose bound holds it",
     a_duration_falls_into_the_bucket_whose_bound_holds_it},
    {"bounds rise from a millisecond to a minute", bounds_rise_from_a_millisecond_to_a_minute},
    {"the tables can be exposed as they stand", the_tables_can_be_exposed_as_they_stand},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_count = {.pName = "core/count", .pTests = tests};
