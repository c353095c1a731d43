/* A buffer keeps what was added, or says at its end that something did not fit. */
#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"

static void what_is_added_stands_in_order_and_ends_with_nul(void)
{
    struct cdx_buf b;

    cdx_buf_init(&b, 100000);
    cdx_buf_add(&b, "a\0b", 3);
    cdx_buf_add(&b, NULL, 0);
    cdx_buf_add_text(&b, CDX_LIT("cd"));
    cdx_buf_add_text(&b, cdx_text(NULL, 0));
    cdx_buf_add_z(&b, "ef");
    cdx_buf_printf(&b, "%s%d", "g", 8);
    CU_ASSERT_EQUAL(b.n, 9);
    CU_ASSERT_EQUAL(memcmp(b.p, "a\0bcdefg8", 10), 0);
    for (int i = 0; i < 5000; i++)
        cdx_buf_add_z(&b, "0123456789");
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_EQUAL(b.n, 50009);
    CU_ASSERT_EQUAL(memcmp(b.p + 49999, "0123456789", 11), 0);
    cdx_buf_fini(&b);
    CU_ASSERT_PTR_NULL(b.p);
}

static void the_maximum_may_be_filled_to_its_last_byte(void)
{
    struct cdx_buf b;

    cdx_buf_init(&b, 10);
    cdx_buf_add_z(&b, "01234567");
    cdx_buf_printf(&b, "%d", 89);
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_STRING_EQUAL(b.p, "0123456789");
    cdx_buf_add(&b, "", 0);
    CU_ASSERT_FALSE(b.failed);
    cdx_buf_add(&b, "x", 1);
    CU_ASSERT_TRUE(b.failed);
    cdx_buf_fini(&b);
}

static void a_failure_sticks_until_reset(void)
{
    struct cdx_buf b;

    cdx_buf_init(&b, 4);
    cdx_buf_add_z(&b, "abc");
    cdx_buf_add_z(&b, "de"); /* does not fit: nothing of it is added */
    CU_ASSERT_TRUE(b.failed);
    cdx_buf_add_z(&b, "f"); /* would fit */
    cdx_buf_printf(&b, "g");
    cdx_buf_add_i64(&b, 1);
    cdx_buf_add_json(&b, cdx_text(NULL, 0));
    CU_ASSERT_TRUE(b.failed);
    CU_ASSERT_EQUAL(b.n, 3);
    CU_ASSERT_STRING_EQUAL(b.p, "abc");
    cdx_buf_reset(&b);
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_EQUAL(b.n, 0);
    cdx_buf_add_z(&b, "wxyz");
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_STRING_EQUAL(b.p, "wxyz");
    cdx_buf_fini(&b);
}

static void a_length_that_would_wrap_is_refused(void)
{
    struct cdx_buf b;

    cdx_buf_init(&b, 100);
    cdx_buf_add_z(&b, "abc");
    cdx_buf_add(&b, "x", SIZE_MAX - 1);
    CU_ASSERT_TRUE(b.failed);
    CU_ASSERT_EQUAL(b.n, 3);
    cdx_buf_fini(&b);
}

/* The C library's own rendering is the oracle. */
static void integers_are_written_as_printf_writes_them(void)
{
    static const int64_t values[] = {0,         1,         -1,       9, 10, -10, 1234567890123,
                                     INT64_MAX, INT64_MIN, INT32_MIN};

    for (size_t i = 0; i < CDX_COUNT(values); i++) {
        char want[32];
        struct cdx_buf b;
        cdx_buf_init(&b, 64);
        cdx_buf_add_i64(&b, values[i]);
        snprintf(want, sizeof want, "%" PRId64, values[i]);
        CU_ASSERT_STRING_EQUAL(b.p, want);
        cdx_buf_fini(&b);
    }
}

/* RFC 8259 section 7: quotation mark, reverse solidus and U+0000..U+001F must be escaped, nothing else. */
static void json_strings_escape_what_they_must(void)
{
    static const struct {
        struct cdx_text in;
        const char *out;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"a/b", 3}, "\"a/b\""},
        {{"\"", 1}, "\"\\\"\""},
        {{"\\", 1}, "\"\\\\\""},
        {{"a\nb", 3}, "\"a\\u000ab\""},
        {{"\0x\x1f", 3}, "\"\\u0000x\\u001f\""},
        {{"\x7f\xc3\xa4", 3}, "\"\x7f\xc3\xa4\""},
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        struct cdx_buf b;
        cdx_buf_init(&b, 64);
        cdx_buf_add_json(&b, cases[i].in);
        CU_ASSERT_STRING_EQUAL(b.p, cases[i].out);
        cdx_buf_fini(&b);
    }
}

static void stolen_bytes_are_the_callers(void)
{
    struct cdx_buf b;
    size_t n = 99;
    char *p;

    cdx_buf_init(&b, 8);
    cdx_buf_add_z(&b, "abc");
    p = cdx_buf_steal(&b, &n);
    CU_ASSERT_EQUAL(n, 3);
    CU_ASSERT_STRING_EQUAL(p, "abc");
    free(p);
    CU_ASSERT_PTR_NULL(b.p);
    CU_ASSERT_EQUAL(b.max, 8);
    cdx_buf_add_z(&b, "again");
    CU_ASSERT_STRING_EQUAL(b.p, "again");
    cdx_buf_fini(&b);
}

static void nothing_is_stolen_of_a_failed_or_empty_buffer(void)
{
    struct cdx_buf b;
    size_t n = 99;

    cdx_buf_init(&b, 2);
    CU_ASSERT_PTR_NULL(cdx_buf_steal(&b, &n));
    CU_ASSERT_EQUAL(n, 0);
    cdx_buf_add_z(&b, "ab");
    cdx_buf_add_z(&b, "c");
    n = 99;
    CU_ASSERT_PTR_NULL(cdx_buf_steal(&b, &n));
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_FALSE(b.failed); /* empty again, fit again */
    cdx_buf_fini(&b);
}

static CU_TestInfo tests[] = {
    {"what is added stands in order and ends with NUL",
     what_is_added_stands_in_order_and_ends_with_nul},
    {"the maximum may be filled to its last byte", the_maximum_may_be_filled_to_its_last_byte},
    {"a failure sticks until reset", a_failure_sticks_until_reset},
    {"a length that would wrap is refused", a_length_that_would_wrap_is_refused},
    {"integers are written as printf writes them", integers_are_written_as_printf_writes_them},
    {"JSON strings escape what they must", json_strings_escape_what_they_must},
    {"stolen bytes are the caller's", stolen_bytes_are_the_callers},
    {"nothing is stolen of a failed or empty buffer",
     nothing_is_stolen_of_a_failed_or_empty_buffer},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_buf = {.pName = "core/buf", .pTests = tests};
