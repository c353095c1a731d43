/* tests/unit/state/feed.c -- each step of recovery.md 1 by example; [Cn] is the correction there that asks for it. */
#include <CUnit/CUnit.h>

#include "core/limits.h"
#include "state/feed.h"

static const struct cdx_feed_bounds three = {3, 100}, one = {1, 100};
static char rec; /* stands for any record */
static int dropped;

static void drop(void *p)
{
    CU_ASSERT_PTR_EQUAL(p, &rec);
    dropped++;
}

static struct cdx_feed first_at(int64_t log_end)
{
    struct cdx_feed f;

    cdx_feed_first(&f, log_end, drop);
    dropped = 0;
    return f;
}

/* Lagging: `counted` events at `counted_offset`, none undelivered below `next_offset`. */
static struct cdx_feed lagging(int64_t delivered, int64_t next_offset, int64_t counted_offset,
                               int64_t counted)
{
    const struct cdx_cursor cursor = {
        .delivered = delivered,
        .next_offset = next_offset,
        .next_number = delivered + 1,
        .counted_offset = counted_offset,
        .counted_number = counted,
    };
    struct cdx_feed f;

    CU_ASSERT_EQUAL_FATAL(cdx_feed_load(&f, &cursor, drop, NULL), CDX_OK);
    dropped = 0;
    return f;
}

static enum cdx_counted count(struct cdx_feed *f, int64_t offset)
{
    return cdx_feed_count(f, offset, &rec, 10, &three);
}

static bool scan(struct cdx_feed *f, int64_t offset)
{
    return cdx_feed_scan_record(f, offset, &rec, 10, &three);
}

static void next_is(const struct cdx_feed *f, int64_t offset, int64_t number)
{
    struct cdx_cursor c;

    cdx_feed_cursor(f, &c);
    CU_ASSERT_EQUAL(c.next_offset, offset);
    if (offset != CDX_NO_OFFSET)
        CU_ASSERT_EQUAL(c.next_number, number);
}

/* -- life --------------------------------------------------------------------------------------------------------- */

/* recovery.md 1 "first cursor": {end offset - 1, number 0}. */
static void first_cursor_counts_from_the_logs_end(void)
{
    struct cdx_feed f = first_at(40);

    CU_ASSERT(f.live && f.dirty);
    CU_ASSERT_EQUAL(f.counted_offset, 39);
    CU_ASSERT_EQUAL(count(&f, 39), CDX_PASSED); /* at or below it: not counted */
    CU_ASSERT_EQUAL(count(&f, 40), CDX_QUEUED);
    CU_ASSERT_EQUAL(f.counted_number, 1);
    cdx_feed_fini(&f);
    CU_ASSERT_EQUAL(dropped, 1);
}

/* C2: a `next`, at whatever offset, starts as lagging from it. */
static void a_cursor_with_a_next_starts_as_lagging(void)
{
    struct cdx_feed f = lagging(4, 900, 20, 6);

    CU_ASSERT_FALSE(f.live);
    CU_ASSERT_EQUAL(f.scan, 900);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 0);
    next_is(&f, 900, 5);
    cdx_feed_fini(&f);
}

static void a_cursor_without_a_next_starts_as_live(void)
{
    const struct cdx_cursor cursor = {
        .delivered = 6, .next_offset = CDX_NO_OFFSET, .counted_offset = 20, .counted_number = 6};
    struct cdx_feed f;

    CU_ASSERT_EQUAL_FATAL(cdx_feed_load(&f, &cursor, drop, NULL), CDX_OK);
    CU_ASSERT(f.live);
    CU_ASSERT_FALSE(f.dirty); /* it is what is persisted */
    next_is(&f, CDX_NO_OFFSET, 0);
    cdx_feed_fini(&f);
}

/* Each would lose events or give their numbers to others (I1, I2). */
static void a_cursor_that_contradicts_itself_is_refused(void)
{
    static const struct cdx_cursor bad[] = {
        {.delivered = 3, .next_offset = CDX_NO_OFFSET, .counted_offset = 9, .counted_number = 5},
        {.delivered = 6, .next_offset = CDX_NO_OFFSET, .counted_offset = 9, .counted_number = 5},
        {.delivered = 3,
         .next_offset = 7,
         .next_number = 5,
         .counted_offset = 9,
         .counted_number = 5},
        {.delivered = 3,
         .next_offset = -2,
         .next_number = 4,
         .counted_offset = 9,
         .counted_number = 5},
        {.delivered = -1,
         .next_offset = 0,
         .next_number = 0,
         .counted_offset = 9,
         .counted_number = 5},
        {.delivered = 0, .next_offset = CDX_NO_OFFSET, .counted_offset = -2, .counted_number = 0},
        {.delivered = 0,
         .next_offset = 0,
         .next_number = 1,
         .counted_offset = 9,
         .counted_number = 5,
         .marks_n = CDX_MAX_MARKS + 1},
    };

    for (size_t i = 0; i < CDX_COUNT(bad); i++) {
        struct cdx_err err = {0};
        struct cdx_feed f;

        CU_ASSERT_EQUAL(cdx_feed_load(&f, &bad[i], drop, &err), CDX_INPUT);
        CU_ASSERT(err.text[0] != '\0');
    }
}

/* -- the live reader ---------------------------------------------------------------------------------------------- */

/* recovery.md 1 "count": at or below counted.offset pass; else number + 1. */
static void a_record_is_counted_once(void)
{
    struct cdx_feed f = first_at(0);

    CU_ASSERT_EQUAL(count(&f, 5), CDX_QUEUED);
    CU_ASSERT_EQUAL(count(&f, 5), CDX_PASSED);
    CU_ASSERT_EQUAL(count(&f, 4), CDX_PASSED);
    CU_ASSERT_EQUAL(f.counted_number, 1);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1);
    cdx_feed_fini(&f);
}

/* "Whatever the subscription's status is, lagging or off." */
static void a_lagging_subscription_is_counted_and_not_queued(void)
{
    struct cdx_feed f = lagging(0, 3, 3, 1);

    CU_ASSERT_EQUAL(count(&f, 8), CDX_COUNTED);
    CU_ASSERT_EQUAL(f.counted_number, 2);
    CU_ASSERT_EQUAL(f.counted_offset, 8);
    CU_ASSERT(f.dirty); /* or a flush would miss it */
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 0);
    next_is(&f, 3, 1);
    cdx_feed_fini(&f);
}

/* "if full: free the queue, lagging, next = its head". */
static void an_overflow_lags_from_the_queues_head(void)
{
    struct cdx_feed f = first_at(0);

    count(&f, 10), count(&f, 20), count(&f, 30);
    CU_ASSERT_EQUAL(count(&f, 40), CDX_OVERFLOWED);
    CU_ASSERT_EQUAL(dropped, 3);
    CU_ASSERT_PTR_NULL(f.queue.ring);
    CU_ASSERT_FALSE(f.live);
    CU_ASSERT_EQUAL(f.counted_number, 4);
    next_is(&f, 10, 1);
    cdx_feed_fini(&f);
}

/* A record that no queue may hold is read again alone, by the scan. */
static void a_record_over_the_bytes_lags_from_itself(void)
{
    struct cdx_feed f = first_at(0);

    CU_ASSERT_EQUAL(cdx_feed_count(&f, 7, &rec, 101, &three), CDX_OVERFLOWED);
    next_is(&f, 7, 1);
    CU_ASSERT(cdx_feed_scan_record(&f, 7, &rec, 101, &three));
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 1);
    cdx_feed_fini(&f);
}

/* I7: what the endpoint is about to accept is not read and sent again. */
static void an_overflow_keeps_the_events_of_a_request(void)
{
    struct cdx_feed f = first_at(0);

    count(&f, 10), count(&f, 20), count(&f, 30);
    cdx_feed_sending(&f, 2);
    CU_ASSERT_EQUAL(count(&f, 40), CDX_OVERFLOWED);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 2);
    CU_ASSERT_EQUAL(f.scan, 21); /* behind the request, so 30 is found as number 3 */
    next_is(&f, 10, 1);          /* nothing is acknowledged yet */
    cdx_feed_acked(&f, 2);
    CU_ASSERT_EQUAL(f.delivered, 2);
    CU_ASSERT(scan(&f, 30));
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 3);
    cdx_feed_fini(&f);
}

static void to_lagging_after_a_failed_request_starts_at_its_head(void)
{
    struct cdx_feed f = first_at(0);

    count(&f, 10), count(&f, 20);
    cdx_feed_sending(&f, 1);
    cdx_feed_sending(&f, 0); /* ended, nothing accepted */
    cdx_feed_to_lagging(&f);
    CU_ASSERT_EQUAL(dropped, 2);
    next_is(&f, 10, 1);
    cdx_feed_fini(&f);
}

static void to_lagging_of_an_empty_feed_goes_on_behind_what_is_counted(void)
{
    struct cdx_feed f = first_at(0);

    count(&f, 10);
    cdx_feed_acked(&f, 1);
    cdx_feed_to_lagging(&f);
    next_is(&f, CDX_NO_OFFSET, 0); /* nothing is undelivered */
    CU_ASSERT_EQUAL(count(&f, 20), CDX_COUNTED);
    next_is(&f, 11, 2);
    cdx_feed_fini(&f);
}

/* -- sending ------------------------------------------------------------------------------------------------------ */

/* "delivered = number, next head". */
static void acknowledged_moves_delivered_to_the_new_head(void)
{
    struct cdx_feed f = first_at(0);

    count(&f, 10), count(&f, 20), count(&f, 30);
    f.dirty = false;
    cdx_feed_acked(&f, 2);
    CU_ASSERT_EQUAL(f.delivered, 2);
    CU_ASSERT(f.dirty);
    CU_ASSERT_EQUAL(dropped, 2);
    next_is(&f, 30, 3);
    cdx_feed_acked(&f, 1);
    next_is(&f, CDX_NO_OFFSET, 0);
    CU_ASSERT_PTR_NULL(f.queue.ring);
    cdx_feed_fini(&f);
}

static void a_queue_keeps_its_order_while_it_grows_and_wraps(void)
{
    static const struct cdx_feed_bounds many = {64, 1000};
    struct cdx_feed f = first_at(0);
    int64_t offset = 0;

    for (int round = 0; round < 20; round++) {
        for (int k = 0; k < 5; k++)
            CU_ASSERT_EQUAL(cdx_feed_count(&f, offset++, &rec, 1, &many), CDX_QUEUED);
        cdx_feed_acked(&f, 3);
    }
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 40);
    for (uint32_t i = 0; i < cdx_feed_ready(&f); i++) {
        CU_ASSERT_EQUAL(cdx_feed_item(&f, i)->number, 61 + i);
        CU_ASSERT_EQUAL(cdx_feed_item(&f, i)->offset, 60 + i);
    }
    cdx_feed_fini(&f);
    CU_ASSERT_EQUAL(dropped, 100);
}

/* -- the range reader --------------------------------------------------------------------------------------------- */

static void a_scan_numbers_on_from_what_is_delivered(void)
{
    struct cdx_feed f = lagging(4, 50, 90, 9);

    CU_ASSERT(scan(&f, 50) && scan(&f, 55));
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 1)->number, 6);
    CU_ASSERT_EQUAL(f.scan, 56);
    next_is(&f, 50, 5); /* the chunk's head is undelivered */
    cdx_feed_acked(&f, 2);
    next_is(&f, 56, 7); /* C4: a lower bound */
    cdx_feed_fini(&f);
}

static void a_full_chunk_takes_no_more_and_an_empty_one_takes_any(void)
{
    struct cdx_feed f = lagging(0, 0, 90, 9);

    CU_ASSERT(cdx_feed_scan_record(&f, 0, &rec, 5000, &one));
    CU_ASSERT_FALSE(cdx_feed_scan_record(&f, 1, &rec, 10, &one));
    CU_ASSERT_EQUAL(f.scan, 1); /* the record at 1 is found again */
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1);
    cdx_feed_fini(&f);
}

/* C3: never beyond the live position; below J. */
static void a_scan_stays_behind_the_live_reader_and_below_j(void)
{
    struct cdx_feed f = lagging(0, 10, 30, 3);

    CU_ASSERT_EQUAL(cdx_feed_scan_limit(&f, 31), 31);
    cdx_feed_scan_passed(&f, 99, 31);
    CU_ASSERT_EQUAL(f.scan, 31);
    cdx_feed_scan_passed(&f, 12, 31);
    CU_ASSERT_EQUAL(f.scan, 31); /* never back */
    cdx_feed_pick_join(&f, 31, 1000);
    CU_ASSERT_EQUAL(cdx_feed_scan_limit(&f, 500), 31);
    cdx_feed_fini(&f);
}

/* C2: J = max(live position, counted + 1). */
static void j_lies_above_what_is_counted(void)
{
    struct cdx_feed f = lagging(0, 10, 30, 3);

    cdx_feed_pick_join(&f, 12, 1000); /* the live reader is behind `counted` after a load */
    CU_ASSERT_EQUAL(f.join, 31);
    cdx_feed_fini(&f);
    f = lagging(0, 10, 30, 3);
    cdx_feed_pick_join(&f, 200, 1000);
    CU_ASSERT_EQUAL(f.join, 200);
    cdx_feed_fini(&f);
}

static void j_is_picked_within_the_window_only(void)
{
    struct cdx_feed f = lagging(0, 10, 30, 3);

    cdx_feed_pick_join(&f, 1011, 1000);
    CU_ASSERT_EQUAL(f.join, CDX_NO_OFFSET);
    cdx_feed_pick_join(&f, 9, 1000); /* the scan is beyond the live reader */
    CU_ASSERT_EQUAL(f.join, CDX_NO_OFFSET);
    cdx_feed_pick_join(&f, 1010, 1000);
    CU_ASSERT_EQUAL(f.join, 1010);
    cdx_feed_fini(&f);
}

/* "when scan position >= J: live", and the chunk goes first. */
static void joining_queues_from_j_and_becomes_live_behind_the_chunk(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);

    CU_ASSERT(scan(&f, 10));
    cdx_feed_pick_join(&f, 21, 1000);
    CU_ASSERT_EQUAL(count(&f, 21), CDX_QUEUED); /* at J */
    CU_ASSERT(scan(&f, 20));
    cdx_feed_scan_passed(&f, 21, 22);
    CU_ASSERT_FALSE(cdx_feed_join(&f)); /* two wait in the chunk */
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 2);
    cdx_feed_acked(&f, 2);
    CU_ASSERT(cdx_feed_join(&f));
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1);
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 3);
    next_is(&f, 21, 3);
    CU_ASSERT_FALSE(cdx_feed_join(&f)); /* it has */
    cdx_feed_fini(&f);
}

static void an_overflow_while_joining_keeps_the_chunk_and_forgets_j(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);

    CU_ASSERT(scan(&f, 10));
    cdx_feed_pick_join(&f, 21, 1000);
    CU_ASSERT_EQUAL(cdx_feed_count(&f, 21, &rec, 10, &one), CDX_QUEUED);
    CU_ASSERT_EQUAL(cdx_feed_count(&f, 22, &rec, 10, &one), CDX_OVERFLOWED);
    CU_ASSERT_EQUAL(f.join, CDX_NO_OFFSET);
    CU_ASSERT_EQUAL(f.queue.n, 0);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1);
    CU_ASSERT_EQUAL(f.scan, 11); /* 20, 21 and 22 are read from the log */
    cdx_feed_fini(&f);
}

static void to_lagging_while_joining_scans_again_from_the_chunks_head(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);

    CU_ASSERT(scan(&f, 10));
    cdx_feed_pick_join(&f, 21, 1000);
    count(&f, 21);
    cdx_feed_to_lagging(&f);
    CU_ASSERT_EQUAL(dropped, 2);
    CU_ASSERT_EQUAL(f.scan, 10);
    CU_ASSERT_EQUAL(f.join, CDX_NO_OFFSET);
    next_is(&f, 10, 1);
    cdx_feed_fini(&f);
}

/* -- what retention took ------------------------------------------------------------------------------------------ */

/* "first surviving number by counting back from a mark or counted". */
static void a_gap_is_counted_back(void)
{
    struct cdx_feed f = lagging(2, 30, 90, 9);
    struct cdx_mark anchor;
    int64_t from = 0, to = 0;

    CU_ASSERT_FALSE(cdx_feed_below(&f, 30));
    CU_ASSERT(cdx_feed_below(&f, 31));
    cdx_feed_anchor(&f, 60, &anchor);
    CU_ASSERT(cdx_feed_gap(&f, 60, &anchor, 4, &from, &to)); /* 6, 7, 8, 9 survive */
    CU_ASSERT_EQUAL(from, 3);
    CU_ASSERT_EQUAL(to, 5);
    CU_ASSERT_EQUAL(f.scan, 60);
    next_is(&f, 60, 6);
    cdx_feed_fini(&f);
}

/* C4: `next` below the start with its event above it is no gap. */
static void a_next_below_the_start_whose_event_survives_is_no_gap(void)
{
    struct cdx_feed f = lagging(2, 30, 90, 4);
    struct cdx_mark anchor;
    int64_t from, to;

    cdx_feed_anchor(&f, 60, &anchor);
    CU_ASSERT_FALSE(cdx_feed_gap(&f, 60, &anchor, 2, &from, &to));
    CU_ASSERT_EQUAL(f.delivered, 2);
    next_is(&f, 60, 3);
    cdx_feed_fini(&f);
}

/* C4: while joining, a gap ends before the first number in the queue. */
static void a_gap_ends_before_what_is_queued(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);
    struct cdx_mark anchor;
    int64_t from = 0, to = 0;

    cdx_feed_pick_join(&f, 21, 1000);
    count(&f, 25); /* number 3, in memory */
    cdx_feed_anchor(&f, 40, &anchor);
    CU_ASSERT(cdx_feed_gap(&f, 40, &anchor, 0, &from, &to));
    CU_ASSERT_EQUAL(from, 1);
    CU_ASSERT_EQUAL(to, 2);
    CU_ASSERT_EQUAL(f.scan, 25);             /* the queue's head is lower than the start */
    CU_ASSERT_FALSE(cdx_feed_below(&f, 40)); /* C4: join is tested first */
    CU_ASSERT(cdx_feed_join(&f));
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 3);
    cdx_feed_fini(&f);
}

/* What is in memory is not lost. */
static void a_gap_waits_for_the_chunk(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);

    CU_ASSERT(scan(&f, 10));
    CU_ASSERT_FALSE(cdx_feed_below(&f, 40));
    cdx_feed_acked(&f, 1);
    CU_ASSERT(cdx_feed_below(&f, 40));
    cdx_feed_fini(&f);
}

/* C5: number += log end - position, counted.offset = start - 1. */
static void a_jump_goes_by_the_distance_to_the_logs_end(void)
{
    struct cdx_feed f = first_at(0);
    struct cdx_numbers lost[2];

    CU_ASSERT_EQUAL(cdx_feed_jump(&f, 5, 8, lost), 1);
    CU_ASSERT_EQUAL(lost[0].from, 1);
    CU_ASSERT_EQUAL(lost[0].to, 8);
    CU_ASSERT_EQUAL(f.counted_offset, 4);
    CU_ASSERT_EQUAL(f.delivered, 8);
    CU_ASSERT_EQUAL(count(&f, 5), CDX_QUEUED);
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 9);
    cdx_feed_fini(&f);
}

/* C5: "each subscription not counted beyond the start". */
static void a_jump_leaves_what_is_counted_beyond_the_start(void)
{
    struct cdx_feed f = lagging(0, 2, 5, 3);
    struct cdx_numbers lost[2];

    CU_ASSERT_EQUAL(cdx_feed_jump(&f, 5, 8, lost), 0);
    CU_ASSERT_EQUAL(f.counted_number, 3);
    CU_ASSERT_FALSE(f.live);
    cdx_feed_fini(&f);
}

/* C5: every scan ends; chunk (1) and queue (3) are in memory and go out, 2 and 4..8 are reported. */
static void a_jump_ends_the_scan_and_keeps_what_is_in_memory(void)
{
    struct cdx_feed f = lagging(0, 10, 20, 2);
    struct cdx_numbers lost[2];

    CU_ASSERT(scan(&f, 10));
    cdx_feed_pick_join(&f, 21, 1000);
    count(&f, 21);
    CU_ASSERT_EQUAL(cdx_feed_jump(&f, 40, 5, lost), 2);
    CU_ASSERT(lost[0].from == 2 && lost[0].to == 2);
    CU_ASSERT(lost[1].from == 4 && lost[1].to == 8);
    CU_ASSERT(f.live);
    CU_ASSERT_EQUAL(count(&f, 40), CDX_QUEUED);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1); /* no batch spans a hole in the numbers */
    cdx_feed_acked(&f, 1);
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 3);
    CU_ASSERT_EQUAL(cdx_feed_ready(&f), 1);
    cdx_feed_acked(&f, 1);
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 9);
    CU_ASSERT_EQUAL(f.delivered, 8);
    cdx_feed_fini(&f);
}

/* A scan must not give number 4 to what is 9: it starts below the log's start and so counts back. */
static void an_overflow_behind_a_jump_starts_below_the_hole(void)
{
    struct cdx_feed f = first_at(0);
    struct cdx_numbers lost[2];
    struct cdx_mark anchor;
    int64_t from = 0, to = 0;

    count(&f, 1), count(&f, 2), count(&f, 3);
    cdx_feed_sending(&f, 3);
    CU_ASSERT_EQUAL(cdx_feed_jump(&f, 6, 5, lost), 1);
    CU_ASSERT_EQUAL(count(&f, 6), CDX_OVERFLOWED);
    CU_ASSERT_EQUAL(f.counted_number, 9);
    cdx_feed_acked(&f, 3);
    CU_ASSERT(cdx_feed_below(&f, 6));
    cdx_feed_anchor(&f, 6, &anchor);
    CU_ASSERT(cdx_feed_gap(&f, 6, &anchor, 1, &from, &to));
    CU_ASSERT(from == 4 && to == 8);
    CU_ASSERT(scan(&f, 6));
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 9);
    cdx_feed_fini(&f);
}

/* design 4.5: go on from its start, numbers unchanged. */
static void a_replaced_log_goes_on_with_its_numbers(void)
{
    struct cdx_feed f = lagging(2, 30, 90, 5);
    int64_t from = 0, to = 0;

    CU_ASSERT(scan(&f, 30));
    CU_ASSERT(cdx_feed_replaced(&f, 0, &from, &to));
    CU_ASSERT(from == 3 && to == 5);
    CU_ASSERT_EQUAL(dropped, 1);
    CU_ASSERT_EQUAL(count(&f, 0), CDX_QUEUED);
    CU_ASSERT_EQUAL(cdx_feed_item(&f, 0)->number, 6);
    next_is(&f, 0, 6);
    cdx_feed_acked(&f, 1);
    CU_ASSERT_FALSE(cdx_feed_replaced(&f, 0, &from, &to)); /* nothing is undelivered */
    cdx_feed_fini(&f);
}

/* -- marks -------------------------------------------------------------------------------------------------------- */

static void count_to(struct cdx_feed *f, int64_t number)
{
    while (f->counted_number < number)
        (void)count(f, 3 * (f->counted_number + 1)); /* event n lies at 3n */
}

/* delivery.md 2.1: one per 1000 events. */
static void a_mark_is_set_every_thousand_events(void)
{
    struct cdx_feed f = lagging(0, 1, 3, 1);
    struct cdx_mark anchor;

    count_to(&f, 2500);
    CU_ASSERT_EQUAL(f.marks_n, 2);
    CU_ASSERT(f.marks[1].number == 2000 && f.marks[1].offset == 6000);
    cdx_feed_anchor(&f, 3001, &anchor);
    CU_ASSERT_EQUAL(anchor.number, 2000);
    cdx_feed_anchor(&f, 3000, &anchor);
    CU_ASSERT_EQUAL(anchor.number, 1000);
    cdx_feed_anchor(&f, 6001, &anchor);
    CU_ASSERT(anchor.number == 2500 && anchor.offset == 7500);
    cdx_feed_fini(&f);
}

static void marks_are_thinned_to_every_second_when_full(void)
{
    struct cdx_feed f = lagging(0, 1, 3, 1);

    count_to(&f, CDX_MAX_MARKS * CDX_MARK_EVERY);
    CU_ASSERT_EQUAL(f.marks_n, CDX_MAX_MARKS);
    count_to(&f, (CDX_MAX_MARKS + 2) * CDX_MARK_EVERY);
    CU_ASSERT_EQUAL(f.marks_n, CDX_MAX_MARKS / 2 + 1);
    for (uint32_t i = 0; i < f.marks_n; i++) {
        CU_ASSERT_EQUAL(f.marks[i].number, 2 * CDX_MARK_EVERY * (i + 1));
        CU_ASSERT_EQUAL(f.marks[i].offset, 3 * f.marks[i].number);
    }
    cdx_feed_fini(&f);
}

/* The distance is not persisted. */
static void loaded_marks_are_thinned_by_their_own_distance(void)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor cursor = {
        .next_offset = 0, .next_number = 1, .marks = marks, .marks_n = CDX_MAX_MARKS};
    struct cdx_feed f;

    for (int i = 0; i < CDX_MAX_MARKS; i++)
        marks[i] = (struct cdx_mark){4 * CDX_MARK_EVERY * (i + 1), i};
    cursor.counted_number = marks[CDX_MAX_MARKS - 1].number + CDX_MARK_EVERY - 1;
    cursor.counted_offset = 3 * cursor.counted_number;
    CU_ASSERT_EQUAL_FATAL(cdx_feed_load(&f, &cursor, drop, NULL), CDX_OK);
    count_to(&f, cursor.counted_number + 1);
    CU_ASSERT_EQUAL(f.marks_n, CDX_MAX_MARKS / 2);
    CU_ASSERT_EQUAL(f.marks[0].number, 8 * CDX_MARK_EVERY);
    cdx_feed_fini(&f);
}

static void marks_of_what_is_delivered_are_dropped(void)
{
    struct cdx_feed f = lagging(999, 1, 2999, 999);
    struct cdx_cursor c;

    count_to(&f, 2000);
    CU_ASSERT_EQUAL(f.marks_n, 2);
    CU_ASSERT(scan(&f, 3000));
    cdx_feed_acked(&f, 1);
    cdx_feed_cursor(&f, &c);
    CU_ASSERT_EQUAL(c.marks_n, 1);
    CU_ASSERT_EQUAL(c.marks[0].number, 2000);
    cdx_feed_fini(&f);
}

static CU_TestInfo tests[] = {
    {"first cursor counts from the log's end", first_cursor_counts_from_the_logs_end},
    {"a cursor with a next starts as lagging", a_cursor_with_a_next_starts_as_lagging},
    {"a cursor without a next starts as live", a_cursor_without_a_next_starts_as_live},
    {"a cursor that contradicts itself is refused", a_cursor_that_contradicts_itself_is_refused},
    {"a record is counted once", a_record_is_counted_once},
    {"a lagging subscription is counted and not queued",
     a_lagging_subscription_is_counted_and_not_queued},
    {"an overflow lags from the queue's head", an_overflow_lags_from_the_queues_head},
    {"a record over the bytes lags from itself", a_record_over_the_bytes_lags_from_itself},
    {"an overflow keeps the events of a request", an_overflow_keeps_the_events_of_a_request},
    {"to lagging after a failed request starts at its head",
     to_lagging_after_a_failed_request_starts_at_its_head},
    {"to lagging of an empty feed goes on behind the count",
     to_lagging_of_an_empty_feed_goes_on_behind_what_is_counted},
    {"acknowledged moves delivered to the new head", acknowledged_moves_delivered_to_the_new_head},
    {"a queue keeps its order while it grows and wraps",
     a_queue_keeps_its_order_while_it_grows_and_wraps},
    {"a scan numbers on from what is delivered", a_scan_numbers_on_from_what_is_delivered},
    {"a full chunk takes no more, an empty one takes any",
     a_full_chunk_takes_no_more_and_an_empty_one_takes_any},
    {"a scan stays behind the live reader and below J",
     a_scan_stays_behind_the_live_reader_and_below_j},
    {"J lies above what is counted", j_lies_above_what_is_counted},
    {"J is picked within the window only", j_is_picked_within_the_window_only},
    {"joining queues from J, live behind the chunk",
     joining_queues_from_j_and_becomes_live_behind_the_chunk},
    {"an overflow while joining keeps the chunk, forgets J",
     an_overflow_while_joining_keeps_the_chunk_and_forgets_j},
    {"to lagging while joining scans from the chunk's head",
     to_lagging_while_joining_scans_again_from_the_chunks_head},
    {"a gap is counted back", a_gap_is_counted_back},
    {"a next below the start whose event survives is no gap",
     a_next_below_the_start_whose_event_survives_is_no_gap},
    {"a gap ends before what is queued", a_gap_ends_before_what_is_queued},
    {"a gap waits for the chunk", a_gap_waits_for_the_chunk},
    {"a jump goes by the distance to the log's end", a_jump_goes_by_the_distance_to_the_logs_end},
    {"a jump leaves what is counted beyond the start",
     a_jump_leaves_what_is_counted_beyond_the_start},
    {"a jump ends the scan and keeps what is in memory",
     a_jump_ends_the_scan_and_keeps_what_is_in_memory},
    {"an overflow behind a jump starts below the hole",
     an_overflow_behind_a_jump_starts_below_the_hole},
    {"a replaced log goes on with its numbers", a_replaced_log_goes_on_with_its_numbers},
    {"a mark is set every thousand events", a_mark_is_set_every_thousand_events},
    {"marks are thinned to every second when full", marks_are_thinned_to_every_second_when_full},
    {"loaded marks are thinned by their own distance",
     loaded_marks_are_thinned_by_their_own_distance},
    {"marks of what is delivered are dropped", marks_of_what_is_delivered_are_dropped},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_feed = {.pName = "state/feed", .pTests = tests};
