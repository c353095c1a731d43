/* tests/unit/push/hold.c -- delivery.md 3 (guard), 4 (schedule, Retry-After, giving up) and 7 (breaker). */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/err.h"
#include "model/verdict.h"
#include "push/hold.h"

#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)
#define WALL_AHEAD INT64_C(1700000000000) /* of the mono clock of these tests */

/* delivery.md 4, in milliseconds */
static const int64_t schedule[] = {
    1000, 2000, 5000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000,
};
static const struct cdx_hold_conf conf = {schedule, CDX_COUNT(schedule), MINUTE, 72 * HOUR};

struct lab {
    struct cdx_hold hold;
    int64_t now;
    uint64_t key;
};

static void begin(struct lab *lab)
{
    cdx_hold_init(&lab->hold, &conf, 42);
    lab->now = 1000000;
    lab->key = 1000;
}

static struct cdx_hold_effect end(struct lab *lab, struct cdx_hold_ticket ticket,
                                  enum cdx_outcome outcome, int status, int64_t retry_after_ms,
                                  int64_t min_wait_ms)
{
    struct cdx_verdict v = {.outcome = outcome,
                            .http_status = status,
                            .error_code = "code",
                            .detail = "detail",
                            .retry_after_ms = retry_after_ms};

    return cdx_hold_result(&lab->hold, ticket, &v, lab->key++, min_wait_ms, lab->now,
                           WALL_AHEAD + lab->now);
}

/* One request that starts now and ends now. */
static struct cdx_hold_effect once(struct lab *lab, enum cdx_outcome outcome)
{
    CU_ASSERT_TRUE_FATAL(cdx_hold_ready(&lab->hold, lab->now));
    return end(lab, cdx_hold_start(&lab->hold), outcome, 0, -1, 0);
}

static void wait_out(struct lab *lab)
{
    int64_t due = cdx_hold_due_ms(&lab->hold, lab->now);

    if (due != INT64_MAX && due > lab->now)
        lab->now = due;
}

/* Fails as often as it takes, one request at a time. */
static void open_it(struct lab *lab)
{
    for (int i = 0; i < 5; i++) {
        wait_out(lab);
        once(lab, CDX_ENDPOINT_FAILURE);
    }
    CU_ASSERT_EQUAL_FATAL(lab->hold.state, CDX_OPEN);
}

static void a_new_endpoint_is_ready(void)
{
    struct lab lab;

    begin(&lab);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), INT64_MAX);
    CU_ASSERT_EQUAL(cdx_hold_until_wall_ms(&lab.hold, lab.now), 0);
    CU_ASSERT_FALSE(cdx_hold_failing(&lab.hold, lab.now));
}

static void every_failure_waits_within_half_and_whole_of_the_schedule(void)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct lab lab;

        begin(&lab);
        lab.hold.random = seed;
        for (size_t i = 0; i < CDX_COUNT(schedule) + 3; i++) {
            int64_t d = schedule[i < CDX_COUNT(schedule) ? i : CDX_COUNT(schedule) - 1], wait;

            once(&lab, CDX_ENDPOINT_FAILURE);
            CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
            wait = cdx_hold_due_ms(&lab.hold, lab.now) - lab.now;
            CU_ASSERT_TRUE(wait >= d / 2 && wait <= d);
            lab.now += wait - 1;
            CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
            lab.now++;
            CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
        }
    }
}

static void the_jitter_spreads_endpoints(void)
{
    struct lab a, b;

    begin(&a);
    begin(&b);
    b.hold.random = 43;
    once(&a, CDX_ENDPOINT_FAILURE);
    once(&b, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_NOT_EQUAL(a.hold.due_ms, b.hold.due_ms);
}

static void a_success_starts_the_schedule_again(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 3; i++) {
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    CU_ASSERT_STRING_EQUAL(lab.hold.detail, "detail");
    once(&lab, CDX_SUCCESS);
    CU_ASSERT_FALSE(lab.hold.failing);
    CU_ASSERT_PTR_NULL(lab.hold.error);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), INT64_MAX);
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_TRUE(lab.hold.due_ms - lab.now <= 1000);
}

static void the_breaker_opens_at_the_fifth_failure_in_a_row(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 4; i++) {
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    once(&lab, CDX_SUCCESS);
    for (int i = 0; i < 4; i++) {
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
}

/* ">= 50 % failures of >= 20 results in 60 s" */
static void the_breaker_opens_when_half_of_twenty_fail(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 10; i++) {
        once(&lab, CDX_SUCCESS);
        CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
}

static void nineteen_results_or_old_ones_do_not_open_it(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 9; i++) {
        once(&lab, CDX_SUCCESS);
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    lab.now += MINUTE;
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
}

static void fewer_failures_than_half_leave_it_closed(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 30; i++)
        once(&lab, CDX_SUCCESS);
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
}

/* Late failures open it while a request of a newer wave is on its way: only a probe closes it again. */
static void a_success_that_comes_after_it_opened_does_not_close_it(void)
{
    struct lab lab;
    struct cdx_hold_ticket early[5], fresh;

    begin(&lab);
    for (int i = 0; i < 5; i++)
        early[i] = cdx_hold_start(&lab.hold);
    end(&lab, early[0], CDX_ENDPOINT_FAILURE, 0, -1, 0);
    wait_out(&lab);
    fresh = cdx_hold_start(&lab.hold);
    for (int i = 1; i < 5; i++)
        end(&lab, early[i], CDX_ENDPOINT_FAILURE, 0, -1, 0);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    CU_ASSERT_FALSE(end(&lab, fresh, CDX_SUCCESS, 200, -1, 0).closed);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
}

static void an_open_breaker_lets_exactly_one_probe_through(void)
{
    struct lab lab;

    begin(&lab);
    open_it(&lab);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
    wait_out(&lab);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
    cdx_hold_start(&lab.hold);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_HALF_OPEN);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now + 1000 * HOUR));
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), INT64_MAX);
}

static void an_open_breaker_that_is_due_says_since_when(void)
{
    struct lab lab;
    int64_t due;

    begin(&lab);
    open_it(&lab);
    due = cdx_hold_due_ms(&lab.hold, lab.now);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, due + 5), due);
}

static void a_good_probe_closes_it_and_a_bad_one_opens_it_for_longer(void)
{
    struct lab lab;
    struct cdx_hold_effect effect;
    int64_t opened;

    begin(&lab);
    open_it(&lab);
    opened = lab.hold.opened_ms;
    wait_out(&lab);
    effect = once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_TRUE(effect.stepped);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    CU_ASSERT_EQUAL(lab.hold.opened_ms, opened);
    CU_ASSERT_TRUE(lab.hold.due_ms - lab.now >= 30000); /* the sixth wait: a minute */
    wait_out(&lab);
    effect = once(&lab, CDX_SUCCESS);
    CU_ASSERT_TRUE(effect.closed);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    once(&lab, CDX_ENDPOINT_FAILURE); /* the failures before do not open it again */
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
}

/* An endpoint that answers 400 to a probe is there; the notification is the caller's business. */
static void a_probe_that_is_refused_as_a_message_closes_the_breaker(void)
{
    struct lab lab;

    begin(&lab);
    open_it(&lab);
    wait_out(&lab);
    CU_ASSERT_TRUE(once(&lab, CDX_MESSAGE_FAILURE).closed);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
}

static void a_cancelled_probe_leaves_the_breaker_open_and_due(void)
{
    struct lab lab;
    struct cdx_hold_ticket probe, late = {0};

    begin(&lab);
    open_it(&lab);
    wait_out(&lab);
    probe = cdx_hold_start(&lab.hold);
    cdx_hold_cancel(&lab.hold, late);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_HALF_OPEN);
    cdx_hold_cancel(&lab.hold, probe);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
}

static void many_failures_of_one_wave_are_one_step(void)
{
    struct lab lab;
    struct cdx_hold_ticket t[4];

    begin(&lab);
    for (int i = 0; i < 4; i++)
        t[i] = cdx_hold_start(&lab.hold);
    CU_ASSERT_TRUE(end(&lab, t[0], CDX_ENDPOINT_FAILURE, 0, -1, 0).stepped);
    for (int i = 1; i < 4; i++)
        CU_ASSERT_FALSE(end(&lab, t[i], CDX_ENDPOINT_FAILURE, 0, -1, 0).stepped);
    CU_ASSERT_TRUE(lab.hold.due_ms - lab.now <= 1000);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    wait_out(&lab);
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN); /* though all five count */
    CU_ASSERT_TRUE(lab.hold.due_ms - lab.now <= 2000);
}

static void a_late_success_does_not_end_a_hold(void)
{
    struct lab lab;
    struct cdx_hold_ticket early, second;

    begin(&lab);
    early = cdx_hold_start(&lab.hold);
    second = cdx_hold_start(&lab.hold);
    end(&lab, second, CDX_ENDPOINT_FAILURE, 503, 60000, 5000);
    end(&lab, early, CDX_SUCCESS, 200, -1, 0);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 60000);
}

static void a_late_result_does_not_decide_for_the_probe(void)
{
    struct lab lab;
    struct cdx_hold_ticket early[2], probe;

    begin(&lab);
    early[0] = cdx_hold_start(&lab.hold);
    early[1] = cdx_hold_start(&lab.hold);
    open_it(&lab);
    wait_out(&lab);
    probe = cdx_hold_start(&lab.hold);
    CU_ASSERT_FALSE(end(&lab, early[0], CDX_SUCCESS, 200, -1, 0).closed);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_HALF_OPEN);
    end(&lab, early[1], CDX_ENDPOINT_FAILURE, 0, -1, 0);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_HALF_OPEN);
    CU_ASSERT_TRUE(end(&lab, probe, CDX_SUCCESS, 200, -1, 0).closed);
}

static void a_late_retry_after_outlives_a_success(void)
{
    struct lab lab;
    struct cdx_hold_ticket early, fresh;

    begin(&lab);
    early = cdx_hold_start(&lab.hold);
    once(&lab, CDX_ENDPOINT_FAILURE);
    wait_out(&lab);
    fresh = cdx_hold_start(&lab.hold);
    end(&lab, early, CDX_ENDPOINT_FAILURE, 429, 120000, 5000);
    end(&lab, fresh, CDX_SUCCESS, 200, -1, 0);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), lab.now + 120000);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
}

/* delivery.md 4: Retry-After "replaces the schedule value when larger"; without it min 5 s on 429 and 503 */
static void retry_after_counts_when_it_is_longer(void)
{
    struct lab lab;

    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_ENDPOINT_FAILURE, 503, 90000, 5000);
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 90000);
    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_ENDPOINT_FAILURE, 500, 0, 0);
    CU_ASSERT_TRUE(lab.hold.due_ms >= lab.now + 500);
    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_ENDPOINT_FAILURE, 429, -1, 5000);
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 5000);
}

static void retry_after_of_a_refused_message_holds_the_endpoint_without_failing_it(void)
{
    struct lab lab;

    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_MESSAGE_FAILURE, 422, 30000, 0);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), lab.now + 30000);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
    CU_ASSERT_FALSE(lab.hold.failing);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
}

static void the_hold_is_known_as_wall_time_and_comes_back_from_it(void)
{
    struct lab lab, after;
    int64_t until;

    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_ENDPOINT_FAILURE, 503, 90000, 5000);
    until = cdx_hold_until_wall_ms(&lab.hold, lab.now);
    CU_ASSERT_EQUAL(until, WALL_AHEAD + lab.now + 90000);
    CU_ASSERT_EQUAL(cdx_hold_until_wall_ms(&lab.hold, lab.now + 90000), 0);
    begin(&after); /* another boot: its mono clock starts anew, the wall clock went on by 30 s */
    after.now = 500;
    cdx_hold_restore(&after.hold, until, after.now, until - 60000);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&after.hold, after.now), 60500);
    CU_ASSERT_FALSE(cdx_hold_ready(&after.hold, 60499));
    CU_ASSERT_TRUE(cdx_hold_ready(&after.hold, 60500));
    CU_ASSERT_EQUAL(cdx_hold_until_wall_ms(&after.hold, after.now), until);
}

static void a_restored_hold_is_ignored_when_past_or_shorter_and_capped_at_a_day(void)
{
    struct lab lab;
    int64_t wall;

    begin(&lab);
    wall = WALL_AHEAD + lab.now;
    cdx_hold_restore(&lab.hold, 0, lab.now, wall);
    cdx_hold_restore(&lab.hold, wall - 1, lab.now, wall);
    cdx_hold_restore(&lab.hold, INT64_MIN, lab.now, wall);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
    cdx_hold_restore(&lab.hold, wall + 60000, lab.now, wall);
    cdx_hold_restore(&lab.hold, wall + 30000, lab.now, wall);
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 60000);
    cdx_hold_restore(&lab.hold, INT64_MAX, lab.now, wall);
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 24 * HOUR);
}

static void an_auth_failure_starts_at_a_minute_and_opens_the_breaker(void)
{
    struct lab lab;
    int64_t wait;

    begin(&lab);
    once(&lab, CDX_AUTH_FAILURE);
    wait = lab.hold.due_ms - lab.now;
    CU_ASSERT_TRUE(wait >= 30000 && wait <= 60000); /* equal jitter of 60 s */
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    CU_ASSERT_FALSE(cdx_hold_failing(&lab.hold, lab.now + MINUTE - 1));
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, lab.now + MINUTE));
    wait_out(&lab);
    once(&lab, CDX_AUTH_FAILURE);
    wait = lab.hold.due_ms - lab.now;
    CU_ASSERT_TRUE(wait >= 60000 && wait <= 120000);
}

static void an_auth_failure_with_a_short_schedule_takes_its_last_wait(void)
{
    static const int64_t brief[] = {100, 200};
    static const struct cdx_hold_conf c = {brief, 2, MINUTE, 72 * HOUR};
    struct lab lab;

    begin(&lab);
    lab.hold.conf = &c;
    once(&lab, CDX_AUTH_FAILURE);
    CU_ASSERT_TRUE(lab.hold.due_ms - lab.now >= 100 && lab.hold.due_ms - lab.now <= 200);
}

/* delivery.md 3: "endpoint to error, retry at 15 min, alert at once" */
static void a_configuration_failure_is_an_error_at_once_and_is_tried_after_fifteen_minutes(void)
{
    struct lab lab;

    begin(&lab);
    once(&lab, CDX_CONFIG_FAILURE);
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), lab.now + 15 * MINUTE);
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, lab.now));
    CU_ASSERT_FALSE(lab.hold.disabled);
    wait_out(&lab);
    CU_ASSERT_TRUE(once(&lab, CDX_SUCCESS).closed);
    CU_ASSERT_FALSE(cdx_hold_failing(&lab.hold, lab.now));
}

static void a_404_for_more_than_a_day_disables(void)
{
    struct lab lab;
    int64_t first;

    begin(&lab);
    first = lab.now;
    while (lab.now - first <= 24 * HOUR) {
        CU_ASSERT_FALSE(lab.hold.disabled);
        end(&lab, cdx_hold_start(&lab.hold), CDX_CONFIG_FAILURE, 404, -1, 0);
        lab.now += 15 * MINUTE;
    }
    CU_ASSERT_FALSE(lab.hold.disabled);
    end(&lab, cdx_hold_start(&lab.hold), CDX_CONFIG_FAILURE, 404, -1, 0);
    CU_ASSERT_TRUE(lab.hold.disabled);
}

static void another_answer_in_between_starts_the_day_again(void)
{
    struct lab lab;

    begin(&lab);
    end(&lab, cdx_hold_start(&lab.hold), CDX_CONFIG_FAILURE, 404, -1, 0);
    lab.now += 24 * HOUR;
    end(&lab, cdx_hold_start(&lab.hold), CDX_CONFIG_FAILURE, 405, -1, 0);
    lab.now += HOUR;
    end(&lab, cdx_hold_start(&lab.hold), CDX_CONFIG_FAILURE, 404, -1, 0);
    CU_ASSERT_FALSE(lab.hold.disabled);
}

static void gone_disables_at_once_until_the_order_to_go_on(void)
{
    struct lab lab;

    begin(&lab);
    once(&lab, CDX_GONE);
    CU_ASSERT_TRUE(lab.hold.disabled);
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, lab.now));
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now + 1000 * HOUR));
    CU_ASSERT_EQUAL(cdx_hold_due_ms(&lab.hold, lab.now), INT64_MAX);
    cdx_hold_reset(&lab.hold);
    CU_ASSERT_FALSE(lab.hold.disabled);
    CU_ASSERT_TRUE(cdx_hold_ready(&lab.hold, lab.now));
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
}

static void what_was_in_flight_at_a_reset_changes_nothing_after_it(void)
{
    struct lab lab;
    struct cdx_hold_ticket probe;

    begin(&lab);
    open_it(&lab);
    wait_out(&lab);
    probe = cdx_hold_start(&lab.hold);
    cdx_hold_reset(&lab.hold);
    open_it(&lab);
    wait_out(&lab);
    cdx_hold_start(&lab.hold);
    CU_ASSERT_FALSE(end(&lab, probe, CDX_SUCCESS, 200, -1, 0).closed);
    CU_ASSERT_FALSE(end(&lab, probe, CDX_ENDPOINT_FAILURE, 0, -1, 0).stepped);
    cdx_hold_cancel(&lab.hold, probe);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_HALF_OPEN);
}

/* delivery.md 7: "subscription status becomes error after 60 s open" */
static void it_is_shown_as_failing_after_a_minute_open_and_through_the_probes(void)
{
    struct lab lab;
    int64_t opened;

    begin(&lab);
    open_it(&lab);
    opened = lab.now;
    CU_ASSERT_FALSE(cdx_hold_failing(&lab.hold, opened + MINUTE - 1));
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, opened + MINUTE));
    wait_out(&lab);
    once(&lab, CDX_ENDPOINT_FAILURE);
    wait_out(&lab);
    cdx_hold_start(&lab.hold);
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, opened + MINUTE));
}

/* delivery.md 4: "disabled after 72 h of uninterrupted failure" */
static void it_is_given_up_after_three_days_of_failure(void)
{
    struct lab lab;
    int64_t first;

    begin(&lab);
    first = lab.now;
    while (!lab.hold.disabled && lab.now < first + 100 * HOUR) {
        once(&lab, CDX_ENDPOINT_FAILURE);
        wait_out(&lab);
    }
    CU_ASSERT_TRUE(lab.hold.disabled);
    CU_ASSERT_EQUAL(lab.now, first + 72 * HOUR); /* a try is made exactly then */
}

static void one_success_in_between_starts_the_three_days_again(void)
{
    struct lab lab;

    begin(&lab);
    once(&lab, CDX_ENDPOINT_FAILURE);
    lab.now += 71 * HOUR;
    once(&lab, CDX_SUCCESS);
    once(&lab, CDX_ENDPOINT_FAILURE);
    lab.now += 2 * HOUR;
    once(&lab, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_FALSE(lab.hold.disabled);
}

static void giving_up_does_not_cut_a_retry_after_short(void)
{
    struct lab lab;

    begin(&lab);
    once(&lab, CDX_ENDPOINT_FAILURE);
    lab.now += 72 * HOUR - 1000;
    end(&lab, cdx_hold_start(&lab.hold), CDX_ENDPOINT_FAILURE, 503, 60000, 5000);
    CU_ASSERT_EQUAL(lab.hold.due_ms, lab.now + 60000);
}

/* delivery.md 3 guard: "> 20 consecutive" */
static void more_than_twenty_refusals_in_a_row_are_the_endpoints_failure(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_FALSE(once(&lab, CDX_MESSAGE_FAILURE).position);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    CU_ASSERT_TRUE(once(&lab, CDX_MESSAGE_FAILURE).position);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    CU_ASSERT_FALSE(cdx_hold_ready(&lab.hold, lab.now));
    CU_ASSERT_TRUE(cdx_hold_failing(&lab.hold, lab.now));
}

/* "> 50 % of the last 50 notifications" */
static void more_than_half_of_the_last_fifty_refused_are_the_endpoints_failure(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 50; i++) {
        CU_ASSERT_FALSE(once(&lab, i % 2 ? CDX_TOO_LARGE_BODY : CDX_SUCCESS).position);
        CU_ASSERT_EQUAL(lab.hold.state, CDX_CLOSED);
    }
    CU_ASSERT_TRUE(
        once(&lab, CDX_MESSAGE_FAILURE).position); /* takes the place of a success: 26 of 50 */
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
}

static void repeats_of_one_notification_count_once(void)
{
    struct lab lab;

    begin(&lab);
    for (int i = 0; i < 63; i++) {
        lab.key = 1 + (uint64_t)i / 3; /* 21 notifications, three tries each */
        CU_ASSERT_EQUAL(once(&lab, CDX_MESSAGE_FAILURE).position, i == 60);
        if (i == 60)
            break;
    }
    begin(&lab);
    for (int i = 0; i < 20; i++)
        once(&lab, CDX_MESSAGE_FAILURE);
    lab.key = 1019; /* the last of them is taken after all */
    once(&lab, CDX_SUCCESS);
    CU_ASSERT_FALSE(once(&lab, CDX_MESSAGE_FAILURE).position);
}

static void notifications_without_a_key_all_count(void)
{
    struct lab lab;
    bool position = false;

    begin(&lab);
    for (int i = 0; i < 21; i++) {
        lab.key = 0;
        position = once(&lab, CDX_ENCODING).position;
    }
    CU_ASSERT_TRUE(position);
}

static void a_refusing_endpoint_needs_an_accepted_probe(void)
{
    struct lab lab;
    struct cdx_hold_effect effect;

    begin(&lab);
    for (int i = 0; i < 21; i++)
        once(&lab, CDX_MESSAGE_FAILURE);
    wait_out(&lab);
    effect = once(&lab, CDX_MESSAGE_FAILURE);
    CU_ASSERT_TRUE(effect.position);
    CU_ASSERT_FALSE(effect.closed);
    CU_ASSERT_EQUAL(lab.hold.state, CDX_OPEN);
    wait_out(&lab);
    CU_ASSERT_TRUE(once(&lab, CDX_SUCCESS).closed);
    CU_ASSERT_FALSE(once(&lab, CDX_MESSAGE_FAILURE).position); /* what was before is forgotten */
}

static CU_TestInfo tests[] = {
    {"a new endpoint is ready", a_new_endpoint_is_ready},
    {"every failure waits within half and whole of the schedule",
     every_failure_waits_within_half_and_whole_of_the_schedule},
    {"the jitter spreads endpoints", the_jitter_spreads_endpoints},
    {"a success starts the schedule again", a_success_starts_the_schedule_again},
    {"the breaker opens at the fifth failure in a row",
     the_breaker_opens_at_the_fifth_failure_in_a_row},
    {"the breaker opens when half of twenty fail", the_breaker_opens_when_half_of_twenty_fail},
    {"nineteen results or old ones do not open it", nineteen_results_or_old_ones_do_not_open_it},
    {"fewer failures than half leave it closed", fewer_failures_than_half_leave_it_closed},
    {"a success that comes after it opened does not close it",
     a_success_that_comes_after_it_opened_does_not_close_it},
    {"an open breaker lets exactly one probe through",
     an_open_breaker_lets_exactly_one_probe_through},
    {"an open breaker that is due says since when", an_open_breaker_that_is_due_says_since_when},
    {"a good probe closes it and a bad one opens it for longer",
     a_good_probe_closes_it_and_a_bad_one_opens_it_for_longer},
    {"a probe that is refused as a message closes the breaker",
     a_probe_that_is_refused_as_a_message_closes_the_breaker},
    {"a cancelled probe leaves the breaker open and due",
     a_cancelled_probe_leaves_the_breaker_open_and_due},
    {"many failures of one wave are one step", many_failures_of_one_wave_are_one_step},
    {"a late success does not end a hold", a_late_success_does_not_end_a_hold},
    {"a late result does not decide for the probe", a_late_result_does_not_decide_for_the_probe},
    {"a late Retry-After outlives a success", a_late_retry_after_outlives_a_success},
    {"Retry-After counts when it is longer", retry_after_counts_when_it_is_longer},
    {"Retry-After of a refused message holds without failing",
     retry_after_of_a_refused_message_holds_the_endpoint_without_failing_it},
    {"the hold is known as wall time and comes back from it",
     the_hold_is_known_as_wall_time_and_comes_back_from_it},
    {"a restored hold is ignored when past or shorter",
     a_restored_hold_is_ignored_when_past_or_shorter_and_capped_at_a_day},
    {"an auth failure starts at a minute and opens the breaker",
     an_auth_failure_starts_at_a_minute_and_opens_the_breaker},
    {"an auth failure with a short schedule takes its last wait",
     an_auth_failure_with_a_short_schedule_takes_its_last_wait},
    {"a configuration failure is an error at once",
     a_configuration_failure_is_an_error_at_once_and_is_tried_after_fifteen_minutes},
    {"a 404 for more than a day disables", a_404_for_more_than_a_day_disables},
    {"another answer in between starts the day again",
     another_answer_in_between_starts_the_day_again},
    {"gone disables at once until the order to go on",
     gone_disables_at_once_until_the_order_to_go_on},
    {"what was in flight at a reset changes nothing after it",
     what_was_in_flight_at_a_reset_changes_nothing_after_it},
    {"it is shown as failing after a minute open",
     it_is_shown_as_failing_after_a_minute_open_and_through_the_probes},
    {"it is given up after three days of failure", it_is_given_up_after_three_days_of_failure},
    {"one success in between starts the three days again",
     one_success_in_between_starts_the_three_days_again},
    {"giving up does not cut a Retry-After short", giving_up_does_not_cut_a_retry_after_short},
    {"more than twenty refusals in a row are the endpoint's failure",
     more_than_twenty_refusals_in_a_row_are_the_endpoints_failure},
    {"more than half of the last fifty are the endpoint's failure",
     more_than_half_of_the_last_fifty_refused_are_the_endpoints_failure},
    {"repeats of one notification count once", repeats_of_one_notification_count_once},
    {"notifications without a key all count", notifications_without_a_key_all_count},
    {"a refusing endpoint needs an accepted probe", a_refusing_endpoint_needs_an_accepted_probe},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_push_hold = {.pName = "push/hold", .pTests = tests};
