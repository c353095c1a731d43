/* What a flush gathers, and what of a flush that was rolled back goes on to the next; the thread needs brokers (tests/system). */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "flow/flush.h"

static struct cdx_flush *flush_of(void)
{
    struct cdx_flush *flush = cdx_flush_create();

    CU_ASSERT_PTR_NOT_NULL_FATAL(flush);
    return flush;
}

static bool add(struct cdx_flush *flush, bool sticky)
{
    static const struct cdx_header headers[] = {{{"name", 4}, {"value", 5}},
                                                {{"null", 4}, {NULL, 0}}};
    const struct cdx_out out = {.topic = CDX_T_DELIVERIES,
                                .partition = 3,
                                .key = {"key", 3},
                                .value = {"value", 5},
                                .headers = headers,
                                .headers_n = sticky ? 2 : 0};

    return cdx_flush_add(flush, &out, sticky);
}

static void a_new_flush_is_empty(void)
{
    struct cdx_flush *flush = flush_of();

    CU_ASSERT_TRUE(cdx_flush_empty(flush));
    cdx_flush_free(flush);
    cdx_flush_free(NULL);
}

static void a_record_or_a_position_fills_it(void)
{
    struct cdx_flush *a = flush_of(), *b = flush_of();

    CU_ASSERT_TRUE(add(a, false));
    CU_ASSERT_FALSE(cdx_flush_empty(a));
    CU_ASSERT_TRUE(cdx_flush_position(b, 1, 7));
    CU_ASSERT_FALSE(cdx_flush_empty(b));
    cdx_flush_free(a);
    cdx_flush_free(b);
}

/* A tombstone (null value), a record without key, an empty value: all are records. */
static void null_and_empty_texts_are_records(void)
{
    static const struct cdx_out outs[] = {
        {.topic = CDX_T_CURSORS, .key = {"k", 1}},
        {.topic = CDX_T_CURSORS, .value = {"v", 1}},
        {.topic = CDX_T_CURSORS, .key = {"", 0}, .value = {"", 0}},
        {.topic = CDX_T_CURSORS},
    };

    for (size_t i = 0; i < CDX_COUNT(outs); i++) {
        struct cdx_flush *flush = flush_of(), *to = flush_of();
        CU_ASSERT_TRUE(cdx_flush_add(flush, &outs[i], true));
        CU_ASSERT_FALSE(cdx_flush_empty(flush));
        CU_ASSERT_TRUE(cdx_flush_carry_over(to, flush));
        CU_ASSERT_FALSE(cdx_flush_empty(to));
        cdx_flush_free(flush);
        cdx_flush_free(to);
    }
}

/* recovery.md "flush": cursors and positions are rendered anew, what was reported must be reported again. */
static void only_sticky_records_are_carried_over(void)
{
    struct cdx_flush *from = flush_of(), *to = flush_of();

    CU_ASSERT_TRUE(add(from, false));
    CU_ASSERT_TRUE(cdx_flush_position(from, 1, 7));
    CU_ASSERT_TRUE(cdx_flush_carry_over(to, from));
    CU_ASSERT_TRUE(cdx_flush_empty(to));
    CU_ASSERT_TRUE(add(from, true));
    CU_ASSERT_TRUE(cdx_flush_carry_over(to, from));
    CU_ASSERT_FALSE(cdx_flush_empty(to));
    cdx_flush_free(from);
    cdx_flush_free(to);
}

static void what_was_carried_over_is_carried_on(void)
{
    struct cdx_flush *from = flush_of();

    for (int i = 0; i < 100; i++)
        CU_ASSERT_TRUE(add(from, i % 3 == 0));
    for (int round = 0; round < 10; round++) {
        struct cdx_flush *to = flush_of();
        CU_ASSERT_TRUE(add(to, false));
        CU_ASSERT_TRUE(cdx_flush_carry_over(to, from));
        cdx_flush_free(from);
        from = to;
    }
    CU_ASSERT_FALSE(cdx_flush_empty(from));
    cdx_flush_free(from);
}

static void a_record_beyond_the_bound_is_refused_and_leaves_nothing(void)
{
    struct cdx_flush *flush = flush_of();
    const struct cdx_out out = {
        .topic = CDX_T_DEAD_LETTERS, .key = {"k", 1}, .value = {"never read", (size_t)1 << 40}};

    CU_ASSERT_FALSE(cdx_flush_add(flush, &out, true));
    CU_ASSERT_TRUE(cdx_flush_empty(flush));
    cdx_flush_free(flush);
}

static CU_TestInfo tests[] = {
    {"a new flush is empty", a_new_flush_is_empty},
    {"a record or a position fills it", a_record_or_a_position_fills_it},
    {"null and empty texts are records", null_and_empty_texts_are_records},
    {"only sticky records are carried over", only_sticky_records_are_carried_over},
    {"what was carried over is carried on", what_was_carried_over_is_carried_on},
    {"a record beyond the bound is refused and leaves nothing",
     a_record_beyond_the_bound_is_refused_and_leaves_nothing},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_flow_flush = {.pName = "flow/flush", .pTests = tests};
