/* tests/unit/push/limit.c -- delivery.md 5 (AIMD) and 7 (slow start). */
#include <CUnit/CUnit.h>

#include "push/limit.h"

/* One window in which the limit was used up, every success after rtt_us. */
static void window(struct cdx_limit *l, int64_t rtt_us)
{
    int n = l->now;

    cdx_limit_started(l, l->now);
    for (int i = 0; i < n; i++)
        cdx_limit_success(l, rtt_us);
}

static void it_starts_at_four_and_never_above_its_maximum(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 64);
    CU_ASSERT_EQUAL(l.now, 4);
    cdx_limit_init(&l, 2);
    CU_ASSERT_EQUAL(l.now, 2);
    for (int i = 0; i < 10; i++)
        window(&l, 100);
    CU_ASSERT_EQUAL(l.now, 2);
}

static void it_grows_by_one_per_window_in_which_it_was_reached(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 64);
    window(&l, 100);
    CU_ASSERT_EQUAL(l.now, 5);
    window(&l, 100);
    CU_ASSERT_EQUAL(l.now, 6);
    cdx_limit_started(&l, 5);
    for (int i = 0; i < 6; i++)
        cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 6);
    for (int i = 0; i < 200; i++)
        window(&l, 100);
    CU_ASSERT_EQUAL(l.now, 64);
}

static void back_pressure_takes_three_tenths_but_leaves_one(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 64);
    l.now = 10;
    cdx_limit_back_pressure(&l);
    CU_ASSERT_EQUAL(l.now, 7);
    for (int i = 0; i < 20; i++)
        cdx_limit_back_pressure(&l);
    CU_ASSERT_EQUAL(l.now, 1);
}

static void a_window_far_slower_than_usual_is_back_pressure(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 10);
    for (int i = 0; i < 10; i++)
        window(&l, 5000);
    CU_ASSERT_EQUAL(l.now, 10);
    window(&l, 50000);
    CU_ASSERT_EQUAL(l.now, 7);
}

static void less_than_a_millisecond_more_is_noise(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 10);
    for (int i = 0; i < 10; i++)
        window(&l, 100);
    window(&l, 1000);
    CU_ASSERT_EQUAL(l.now, 10);
}

static void a_spread_that_is_usual_is_no_back_pressure(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 10);
    l.now = 10;
    for (int i = 0; i < 20; i++)
        window(&l, i % 2 == 0 ? 5000 : 15000);
    CU_ASSERT_EQUAL(l.now, 10);
}

/* "limit 1, slow start x2 per success up to the old limit/2, then AIMD" */
static void after_a_probe_it_doubles_up_to_half_of_what_it_was(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 64);
    l.now = 20;
    cdx_limit_restart(&l);
    CU_ASSERT_EQUAL(l.now, 1);
    cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 2);
    cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 4);
    cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 8);
    cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 10);
    CU_ASSERT_EQUAL(l.slow_until, 0);
    cdx_limit_success(&l, 100);
    CU_ASSERT_EQUAL(l.now, 10);
}

static void a_small_limit_skips_slow_start(void)
{
    struct cdx_limit l;

    cdx_limit_init(&l, 64);
    l.now = 3;
    cdx_limit_restart(&l);
    CU_ASSERT_EQUAL(l.now, 1);
    window(&l, 100);
    CU_ASSERT_EQUAL(l.now, 2);
}

static CU_TestInfo tests[] = {
    {"it starts at four and never above its maximum",
     it_starts_at_four_and_never_above_its_maximum},
    {"it grows by one per window in which it was reached",
     it_grows_by_one_per_window_in_which_it_was_reached},
    {"back-pressure takes three tenths but leaves one",
     back_pressure_takes_three_tenths_but_leaves_one},
    {"a window far slower than usual is back-pressure",
     a_window_far_slower_than_usual_is_back_pressure},
    {"less than a millisecond more is noise", less_than_a_millisecond_more_is_noise},
    {"a spread that is usual is no back-pressure", a_spread_that_is_usual_is_no_back_pressure},
    {"after a probe it doubles up to half of what it was",
     after_a_probe_it_doubles_up_to_half_of_what_it_was},
    {"a small limit skips slow start", a_small_limit_skips_slow_start},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_push_limit = {.pName = "push/limit", .pTests = tests};
