/* W3C Trace Context level 1: whose trace an event belongs to, and with which span it goes on. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/err.h"
#include "flow/trace.h"

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define PARENT "00-" TRACE_ID "-b7ad6b7169203331-01" /* the recommendation's own example, 3.2.3 */

/* 3.2.2: version 00, 32 and 16 lower-case hex digits that are not all zero, flags. */
static bool well_formed(const char *t)
{
    static const char hex[] = "0123456789abcdef";

    return strlen(t) == 55 && strncmp(t, "00-", 3) == 0 && strspn(t + 3, hex) == 32 &&
           t[35] == '-' && strspn(t + 36, hex) == 16 && t[52] == '-' && strspn(t + 53, hex) == 2 &&
           strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

static void a_trace_goes_on_with_a_new_span(void)
{
    uint64_t random = 1;
    char out[CDX_TRACEPARENT_BYTES];

    cdx_trace_child(CDX_LIT(PARENT), &random, out);
    CU_ASSERT_TRUE(well_formed(out));
    CU_ASSERT_EQUAL(strncmp(out, "00-" TRACE_ID "-", 36), 0);
    CU_ASSERT_NOT_EQUAL(strncmp(out + 36, "b7ad6b7169203331", 16), 0);
    CU_ASSERT_STRING_EQUAL(out + 52, "-01"); /* sampled stays sampled, 3.4 */
}

/* 3.2.2.3, 3.2.2.4 and 4.3: what cannot be parsed, or has ids of zeroes only, starts a new trace. */
static const struct cdx_text strangers[] = {
    {NULL, 0},
    {"", 0},
    {"x", 1},
    {"00-" TRACE_ID "-b7ad6b7169203331-0", 54},
    {"00-" TRACE_ID "-b7ad6b7169203331-011", 56},
    {"ff-" TRACE_ID "-b7ad6b7169203331-01", 55},
    {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", 55},
    {"00_" TRACE_ID "_b7ad6b7169203331_01", 55},
    {"00-" TRACE_ID "-b7ad6b716920333g-01", 55},
    {"00-0af7651916cd43dd8448eb211c8031-9c-b7ad6b7169203331-1", 55},
    {"00-00000000000000000000000000000000-b7ad6b7169203331-01", 55},
    {"00-" TRACE_ID "-0000000000000000-01", 55},
};

static void what_is_no_parent_starts_a_new_trace(void)
{
    uint64_t random = 1;

    for (size_t i = 0; i < CDX_COUNT(strangers); i++) {
        char out[CDX_TRACEPARENT_BYTES];
        cdx_trace_child(strangers[i], &random, out);
        CU_ASSERT_TRUE(well_formed(out));
        CU_ASSERT_NOT_EQUAL(strncmp(out + 3, TRACE_ID, 32), 0);
    }
}

/* 3.2: what we send is of the version that we know; its flags are those that version 00 defines. */
static void a_newer_version_goes_on_as_ours(void)
{
    uint64_t random = 1;
    char out[CDX_TRACEPARENT_BYTES];

    cdx_trace_child(CDX_LIT("cc-" TRACE_ID "-b7ad6b7169203331-01"), &random, out);
    CU_ASSERT_TRUE(well_formed(out));
    CU_ASSERT_EQUAL(strncmp(out + 3, TRACE_ID, 32), 0);
}

static void spans_differ(void)
{
    uint64_t random = 1;
    char a[CDX_TRACEPARENT_BYTES], b[CDX_TRACEPARENT_BYTES];

    cdx_trace_child(CDX_LIT(PARENT), &random, a);
    cdx_trace_child(CDX_LIT(PARENT), &random, b);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
    cdx_trace_child(CDX_LIT(""), &random, a);
    cdx_trace_child(CDX_LIT(""), &random, b);
    CU_ASSERT_NOT_EQUAL(strncmp(a + 3, b + 3, 32), 0);
}

static bool continues(const struct cdx_header *headers, size_t n)
{
    const struct cdx_record rec = {.headers = headers, .headers_n = n};
    uint64_t random = 1;
    char out[CDX_TRACEPARENT_BYTES];

    cdx_trace_continue(&rec, &random, out);
    CU_ASSERT_TRUE(well_formed(out));
    return strncmp(out + 3, TRACE_ID, 32) == 0;
}

/* kafka.md "Trace": `traceparent`, or `ce_traceparent` of a CloudEvent in binary mode; the Kafka header is the carrier's own. */
static void the_records_headers_name_the_trace(void)
{
    static const struct cdx_header plain[] = {{{"x", 1}, {"y", 1}},
                                              {{"traceparent", 11}, {PARENT, 55}}};
    static const struct cdx_header event[] = {{{"ce_traceparent", 14}, {PARENT, 55}}};
    static const struct cdx_header both[] = {
        {{"ce_traceparent", 14}, {"00-11111111111111111111111111111111-b7ad6b7169203331-01", 55}},
        {{"traceparent", 11}, {PARENT, 55}}};
    static const struct cdx_header null[] = {{{"traceparent", 11}, {NULL, 0}}};

    CU_ASSERT_TRUE(continues(plain, 2));
    CU_ASSERT_TRUE(continues(event, 1));
    CU_ASSERT_TRUE(continues(both, 2));
    CU_ASSERT_FALSE(continues(null, 1));
    CU_ASSERT_FALSE(continues(NULL, 0));
}

static CU_TestInfo tests[] = {
    {"a trace goes on with a new span", a_trace_goes_on_with_a_new_span},
    {"what is no parent starts a new trace", what_is_no_parent_starts_a_new_trace},
    {"a newer version goes on as ours", a_newer_version_goes_on_as_ours},
    {"spans differ", spans_differ},
    {"the record's headers name the trace", the_records_headers_name_the_trace},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_flow_trace = {.pName = "flow/trace", .pTests = tests};
