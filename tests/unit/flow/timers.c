/* Timers fire when due, in their order, once; under random operations as a plain list would. */
#include <CUnit/CUnit.h>
#include <stddef.h>
#include <string.h>

#include "flow/timers.h"

#define TIMERS 300
#define STEPS 20000

struct fired {
    struct cdx_timers *timers;
    int64_t due[TIMERS]; /* of each firing, in order */
    struct cdx_timer *which[TIMERS];
    size_t n;
};

static void note(void *arg, struct cdx_timer *timer)
{
    struct fired *f = arg;

    CU_ASSERT_EQUAL(timer->at, 0); /* a fired timer is clear */
    f->due[f->n] = timer->due_ms;
    f->which[f->n++] = timer;
}

static void they_fire_when_due_and_in_order(void)
{
    static const int64_t due[] = {50, 10, 40, 10, 20, 30};
    struct cdx_timer timer[6];
    struct cdx_timers timers = {0};
    struct fired f = {0};

    for (size_t i = 0; i < 6; i++) {
        timer[i] = (struct cdx_timer){.fire = note};
        cdx_timer_set(&timers, &timer[i], due[i]);
    }
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 10);
    cdx_timers_run(&timers, 9, &f);
    CU_ASSERT_EQUAL(f.n, 0);
    cdx_timers_run(&timers, 30, &f);
    CU_ASSERT_EQUAL(f.n, 4);
    for (size_t i = 1; i < f.n; i++)
        CU_ASSERT(f.due[i - 1] <= f.due[i]);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 40);
    cdx_timers_run(&timers, 1000, &f);
    CU_ASSERT_EQUAL(f.n, 6);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), INT64_MAX);
    cdx_timers_run(&timers, INT64_MAX, &f);
    CU_ASSERT_EQUAL(f.n, 6);
    cdx_timers_fini(&timers);
}

static void setting_again_moves_a_timer(void)
{
    struct cdx_timer a = {.fire = note}, b = {.fire = note};
    struct cdx_timers timers = {0};
    struct fired f = {0};

    cdx_timer_set(&timers, &a, 10);
    cdx_timer_set(&timers, &b, 20);
    cdx_timer_set(&timers, &a, 30);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 20);
    cdx_timer_set(&timers, &a, 5);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 5);
    cdx_timers_run(&timers, 100, &f);
    CU_ASSERT_EQUAL(f.n, 2);
    CU_ASSERT_PTR_EQUAL(f.which[0], &a);
    cdx_timers_fini(&timers);
}

static void a_cleared_timer_does_not_fire(void)
{
    struct cdx_timer a = {.fire = note};
    struct cdx_timers timers = {0};
    struct fired f = {0};

    cdx_timer_clear(&timers, &a); /* was never set */
    cdx_timer_set(&timers, &a, 10);
    cdx_timer_clear(&timers, &a);
    cdx_timer_clear(&timers, &a);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), INT64_MAX);
    cdx_timers_run(&timers, 100, &f);
    CU_ASSERT_EQUAL(f.n, 0);
    cdx_timer_set(&timers, &a, 20);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 20);
    cdx_timers_fini(&timers);
}

static void set_later(void *arg, struct cdx_timer *timer)
{
    struct fired *f = arg;

    note(arg, timer);
    cdx_timer_set(f->timers, timer, timer->due_ms + 100);
}

static void a_timer_may_set_itself_while_it_fires(void)
{
    struct cdx_timer a = {.fire = set_later}, b = {.fire = note};
    struct cdx_timers timers = {0};
    struct fired f = {.timers = &timers};

    cdx_timer_set(&timers, &a, 10);
    cdx_timer_set(&timers, &b, 120);
    cdx_timers_run(&timers, 250, &f); /* 10, 110, b at 120, 210 */
    CU_ASSERT_EQUAL(f.n, 4);
    CU_ASSERT_PTR_EQUAL(f.which[2], &b);
    CU_ASSERT_EQUAL(cdx_timers_next(&timers), 310);
    cdx_timers_fini(&timers);
}

static uint32_t next(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* The plain list: due times, -1 where not set. */
static int64_t earliest(const int64_t *due)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < TIMERS; i++)
        if (due[i] >= 0 && due[i] < first)
            first = due[i];
    return first;
}

/* Takes out what the list says is due; true when exactly that has fired, in order. */
static bool fired_as_listed(const struct fired *f, const struct cdx_timer *timer, int64_t *due,
                            int64_t now)
{
    size_t expected = 0;
    bool same = true;

    for (size_t i = 0; i < f->n; i++) {
        size_t which = (size_t)(f->which[i] - timer);
        same &=
            due[which] == f->due[i] && f->due[i] <= now && (i == 0 || f->due[i - 1] <= f->due[i]);
        due[which] = -2;
    }
    for (size_t i = 0; i < TIMERS; i++) {
        expected += due[i] == -2 || (due[i] >= 0 && due[i] <= now);
        due[i] = due[i] == -2 ? -1 : due[i];
    }
    return same && expected == f->n;
}

static void random_operations_agree_with_a_plain_list(void)
{
    static struct cdx_timer timer[TIMERS];
    static struct fired f;
    static int64_t due[TIMERS];
    struct cdx_timers timers = {0};
    uint32_t random = 4711;
    int64_t now = 0;
    size_t differ = 0;

    for (size_t i = 0; i < TIMERS; i++) {
        timer[i] = (struct cdx_timer){.fire = note};
        due[i] = -1;
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = next(&random) % TIMERS;
        switch (next(&random) % 8) {
        case 0:
            cdx_timer_clear(&timers, &timer[i]);
            due[i] = -1;
            break;
        case 1:
            now += next(&random) % 40;
            f.n = 0;
            cdx_timers_run(&timers, now, &f);
            differ += !fired_as_listed(&f, timer, due, now);
            break;
        default: due[i] = now + next(&random) % 500; cdx_timer_set(&timers, &timer[i], due[i]);
        }
        differ += cdx_timers_next(&timers) != earliest(due);
    }
    CU_ASSERT_EQUAL(differ, 0);
    cdx_timers_fini(&timers);
}

static CU_TestInfo tests[] = {
    {"they fire when due and in order", they_fire_when_due_and_in_order},
    {"setting again moves a timer", setting_again_moves_a_timer},
    {"a cleared timer does not fire", a_cleared_timer_does_not_fire},
    {"a timer may set itself while it fires", a_timer_may_set_itself_while_it_fires},
    {"random operations agree with a plain list", random_operations_agree_with_a_plain_list},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_flow_timers = {.pName = "flow/timers", .pTests = tests};
