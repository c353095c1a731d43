/* tests/unit/state/cursor.c -- a cursor written is the cursor read; what is none is refused. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <string.h>

#include "core/limits.h"
#include "state/cursor.h"

static enum cdx_code read(const char *z, struct cdx_cursor *out, struct cdx_err *err)
{
    static struct cdx_mark marks[CDX_MAX_MARKS];

    return cdx_cursor_read(cdx_text_z(z), marks, out, err);
}

static void written_as(const struct cdx_cursor *cursor, const char *expect)
{
    struct cdx_buf buf;

    cdx_buf_init(&buf, CDX_MAX_CURSOR_BYTES);
    cdx_cursor_write(cursor, &buf);
    CU_ASSERT(cdx_text_is(cdx_buf_text(&buf), expect));
    cdx_buf_fini(&buf);
}

static void comes_back(const struct cdx_cursor *cursor)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor back;
    struct cdx_buf buf;

    cdx_buf_init(&buf, CDX_MAX_CURSOR_BYTES);
    cdx_cursor_write(cursor, &buf);
    CU_ASSERT_FALSE(buf.failed);
    CU_ASSERT_EQUAL_FATAL(cdx_cursor_read(cdx_buf_text(&buf), marks, &back, NULL), CDX_OK);
    CU_ASSERT_EQUAL(back.delivered, cursor->delivered);
    CU_ASSERT_EQUAL(back.next_offset, cursor->next_offset);
    CU_ASSERT(cursor->next_offset == CDX_NO_OFFSET || back.next_number == cursor->next_number);
    CU_ASSERT_EQUAL(back.counted_offset, cursor->counted_offset);
    CU_ASSERT_EQUAL(back.counted_number, cursor->counted_number);
    CU_ASSERT_EQUAL(back.retry_after_ms, cursor->retry_after_ms);
    CU_ASSERT_EQUAL(back.sent_ms, cursor->sent_ms);
    CU_ASSERT_EQUAL_FATAL(back.marks_n, cursor->marks_n);
    for (size_t i = 0; i < back.marks_n; i++)
        CU_ASSERT(back.marks[i].number == cursor->marks[i].number &&
                  back.marks[i].offset == cursor->marks[i].offset);
    cdx_buf_fini(&buf);
}

/* The form that state/cursor.h states, which an older version in the same group reads too. */
static void a_cursor_is_one_line_of_json(void)
{
    static const struct cdx_mark marks[] = {{1000, 1432}, {2000, 3001}};

    written_as(
        &(struct cdx_cursor){.delivered = 7,
                             .next_offset = 19,
                             .next_number = 8,
                             .counted_offset = 3033,
                             .counted_number = 2009,
                             .marks = marks,
                             .marks_n = 2,
                             .retry_after_ms = 1893456000000,
                             .sent_ms = 1893455999000},
        "{\"delivered\":7,\"next\":{\"offset\":19,\"number\":8},\"counted\":{\"offset\":3033,\"number\":2009},"
        "\"marks\":[[1000,1432],[2000,3001]],\"retryAfter\":1893456000000,\"sent\":1893455999000}");
    written_as(&(struct cdx_cursor){.next_offset = CDX_NO_OFFSET, .counted_offset = -1},
               "{\"delivered\":0,\"counted\":{\"offset\":-1,\"number\":0}}");
}

static void a_cursor_comes_back_as_it_was(void)
{
    static const struct cdx_mark marks[] = {{5, 9}};

    comes_back(&(struct cdx_cursor){.next_offset = CDX_NO_OFFSET,
                                    .counted_offset = -1}); /* first cursor of an empty log */
    comes_back(&(struct cdx_cursor){.delivered = 4,
                                    .next_offset = 0,
                                    .next_number = 5,
                                    .counted_offset = 9,
                                    .counted_number = 6,
                                    .marks = marks,
                                    .marks_n = 1,
                                    .sent_ms = 1});
}

/* What cdx_cursor_write can make at most must be what cdx_cursor_read takes. */
static void the_largest_cursor_comes_back(void)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor c = {.delivered = INT64_MAX - 1,
                           .next_offset = INT64_MAX,
                           .next_number = INT64_MAX,
                           .counted_offset = INT64_MAX,
                           .counted_number = INT64_MAX,
                           .marks = marks,
                           .marks_n = CDX_MAX_MARKS,
                           .retry_after_ms = INT64_MAX,
                           .sent_ms = INT64_MAX};

    for (int i = 0; i < CDX_MAX_MARKS; i++)
        marks[i] = (struct cdx_mark){INT64_MAX - CDX_MAX_MARKS + i, INT64_MAX - CDX_MAX_MARKS + i};
    comes_back(&c);
}

static void a_member_of_a_newer_version_is_passed_over(void)
{
    struct cdx_cursor c;

    CU_ASSERT_EQUAL(
        read("{\"delivered\":1,\"window\":[3],\"counted\":{\"offset\":2,\"number\":1}}", &c, NULL),
        CDX_OK);
    CU_ASSERT_EQUAL(c.delivered, 1);
}

#define COUNTED "\"counted\":{\"offset\":33,\"number\":9}"
static void what_is_no_cursor_is_refused(void)
{
    static const struct {
        const char *value, *names;
    } bad[] = {
        {"", "value"},
        {"null", "value"},
        {"[]", "value"},
        {"7", "value"},
        {"{", "value"},
        {"{} ", "delivered"},
        {"{\"delivered\":7," COUNTED "}x", "value"},
        {"{\"delivered\":7,\"delivered\":7," COUNTED "}", "value"},
        {"{" COUNTED "}", "delivered"},
        {"{\"delivered\":7}", "counted"},
        {"{\"delivered\":-1," COUNTED "}", "delivered"},
        {"{\"delivered\":7.0," COUNTED "}", "delivered"},
        {"{\"delivered\":\"7\"," COUNTED "}", "delivered"},
        {"{\"delivered\":99999999999999999999," COUNTED "}", "value"},
        {"{\"delivered\":7,\"counted\":9}", "counted"},
        {"{\"delivered\":7,\"counted\":{\"number\":9}}", "counted"},
        {"{\"delivered\":7,\"counted\":{\"offset\":-2,\"number\":9}}", "offset"},
        {"{\"delivered\":7,\"next\":null," COUNTED "}", "next"},
        {"{\"delivered\":7,\"next\":{\"offset\":19}," COUNTED "}", "next"},
        {"{\"delivered\":7,\"next\":{\"offset\":-1,\"number\":8}," COUNTED "}", "offset"},
        {"{\"delivered\":7," COUNTED ",\"marks\":7}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[7]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[8]]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[8,20,1]]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[8,\"20\"]]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[8,20],[8,21]]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[8,20],[9,20]]}", "marks"},
        {"{\"delivered\":7," COUNTED ",\"marks\":[[10,20]]}", "marks"}, /* above counted.number */
        {"{\"delivered\":7," COUNTED ",\"marks\":[[9,34]]}", "marks"},  /* above counted.offset */
        {"{\"delivered\":7," COUNTED ",\"retryAfter\":-1}", "retryAfter"},
        {"{\"delivered\":7," COUNTED ",\"sent\":true}", "sent"},
    };

    for (size_t i = 0; i < CDX_COUNT(bad); i++) {
        struct cdx_cursor c = {.delivered = 77};
        struct cdx_err err = {0};

        CU_ASSERT_EQUAL(read(bad[i].value, &c, &err), CDX_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].names));
        CU_ASSERT_EQUAL(c.delivered, 77); /* written on success only */
    }
}

static void more_marks_than_a_feed_keeps_are_refused(void)
{
    struct cdx_cursor c;
    struct cdx_buf buf;

    cdx_buf_init(&buf, CDX_MAX_CURSOR_BYTES);
    cdx_buf_add_z(&buf,
                  "{\"delivered\":0,\"counted\":{\"offset\":99,\"number\":99},\"marks\":[[1,1]");
    for (int i = 2; i <= CDX_MAX_MARKS + 1; i++)
        cdx_buf_printf(&buf, ",[%d,%d]", i, i);
    cdx_buf_add_z(&buf, "]}");
    CU_ASSERT_EQUAL(read(buf.p, &c, NULL), CDX_INPUT);
    cdx_buf_fini(&buf);
}

static void a_value_over_the_bound_is_refused(void)
{
    static char long_one[CDX_MAX_CURSOR_BYTES + 2];
    static const char fine[] = "{\"delivered\":7," COUNTED "}";
    struct cdx_cursor c;

    memset(long_one, ' ', sizeof long_one - 1);
    memcpy(long_one, fine, sizeof fine - 1);
    CU_ASSERT_EQUAL(read(long_one, &c, NULL), CDX_INPUT);
    long_one[CDX_MAX_CURSOR_BYTES] = '\0';
    CU_ASSERT_EQUAL(read(long_one, &c, NULL), CDX_OK);
}

static void a_checkpoint_comes_back_as_it_was(void)
{
    struct cdx_buf buf;
    int64_t position = -1;

    cdx_buf_init(&buf, CDX_MAX_CURSOR_BYTES);
    cdx_checkpoint_write(1234567890123, &buf);
    CU_ASSERT(cdx_text_is(cdx_buf_text(&buf), "{\"position\":1234567890123}"));
    CU_ASSERT_EQUAL(cdx_checkpoint_read(cdx_buf_text(&buf), &position, NULL), CDX_OK);
    CU_ASSERT_EQUAL(position, 1234567890123);
    cdx_buf_fini(&buf);
}

static void what_is_no_checkpoint_is_refused(void)
{
    static const char *const bad[] = {"",
                                      "12",
                                      "{}",
                                      "{\"position\":-1}",
                                      "{\"position\":\"1\"}",
                                      "{\"position\":1.5}",
                                      "{\"position\":1"};

    for (size_t i = 0; i < CDX_COUNT(bad); i++) {
        struct cdx_err err = {0};
        int64_t position = 77;

        CU_ASSERT_EQUAL(cdx_checkpoint_read(cdx_text_z(bad[i]), &position, &err), CDX_INPUT);
        CU_ASSERT(err.text[0] != '\0');
        CU_ASSERT_EQUAL(position, 77);
    }
}

static CU_TestInfo tests[] = {
    {"a cursor is one line of JSON", a_cursor_is_one_line_of_json},
    {"a cursor comes back as it was", a_cursor_comes_back_as_it_was},
    {"the largest cursor comes back", the_largest_cursor_comes_back},
    {"a member of a newer version is passed over", a_member_of_a_newer_version_is_passed_over},
    {"what is no cursor is refused", what_is_no_cursor_is_refused},
    {"more marks than a feed keeps are refused", more_marks_than_a_feed_keeps_are_refused},
    {"a value over the bound is refused", a_value_over_the_bound_is_refused},
    {"a checkpoint comes back as it was", a_checkpoint_comes_back_as_it_was},
    {"what is no checkpoint is refused", what_is_no_checkpoint_is_refused},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_cursor = {.pName = "state/cursor", .pTests = tests};
