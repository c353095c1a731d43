/* Instants and HTTP dates against another calendar's values (Python's datetime), and what is none. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/err.h"
#include "core/instant.h"

struct moment {
    const char *text;
    int64_t ms;
};

/* Leap days by the Gregorian rule: 2000 and 1600 have one, 1900 has none; times before 1970 are negative. */
static const struct moment both_ways[] = {
    {"1970-01-01T00:00:00.000Z", 0},
    {"1969-12-31T23:59:59.000Z", -1000},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2000-02-29T00:00:00.000Z", 951782400000},
    {"2024-02-29T12:00:00.000Z", 1709208000000},
    {"1900-03-01T00:00:00.000Z", -2203891200000},
    {"1600-02-29T00:00:00.000Z", -11670998400000},
    {"0001-01-01T00:00:00.000Z", -62135596800000},
    {"9999-12-31T23:59:59.000Z", 253402300799000},
    {"2030-05-01T12:00:00.250Z", 1903867200250},
};

static void instants_are_read_and_written(void)
{
    for (size_t i = 0; i < CDX_COUNT(both_ways); i++) {
        char out[CDX_INSTANT_BYTES];
        int64_t ms = 1;
        CU_ASSERT_TRUE(cdx_instant_parse(cdx_text_z(both_ways[i].text), &ms));
        CU_ASSERT_EQUAL(ms, both_ways[i].ms);
        CU_ASSERT_STRING_EQUAL(cdx_instant_format(both_ways[i].ms, out), both_ways[i].text);
    }
}

/* FHIR R4 datatypes, instant and dateTime: a zone is 'Z' or an offset to +-14:00; fractions may have any length. */
static const struct moment read_only[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T02:00:00+02:00", 0},
    {"1969-12-31T18:30:00-05:30", 0},
    {"1970-01-01T14:00:00+14:00", 0},
    {"1970-01-01T00:00:00+00:00", 0},
    {"1970-01-01T00:00:00-00:00", 0},
    {"1970-01-01T00:00:00.5Z", 500},
    {"1970-01-01T00:00:00.05Z", 50},
    {"1970-01-01T00:00:00.0019Z", 1},
    {"1970-01-01T00:00:00.9999999999999999999Z", 999},
    {"1998-12-31T23:59:60Z",
     915148800000}, /* a leap second: :60 is allowed by the type's expression */
};

static void zones_and_fractions_are_understood(void)
{
    for (size_t i = 0; i < CDX_COUNT(read_only); i++) {
        int64_t ms = 1;
        CU_ASSERT_TRUE(cdx_instant_parse(cdx_text_z(read_only[i].text), &ms));
        CU_ASSERT_EQUAL(ms, read_only[i].ms);
    }
}

static const char *const none[] = {
    "",
    "2030",
    "2030-05",
    "2030-05-01",
    "2030-05-01T12:00Z",
    "2030-05-01T12:00:00",
    "2030-05-01 12:00:00Z",
    "2030-05-01T12:00:00z",
    "2030-05-01t12:00:00Z",
    "2030-05-01T12:00:00.Z",
    "2030-05-01T12:00:00,5Z",
    "2030-05-01T24:00:00Z",
    "2030-05-01T12:60:00Z",
    "2030-05-01T12:00:61Z",
    "2030-00-01T12:00:00Z",
    "2030-13-01T12:00:00Z",
    "2030-05-00T12:00:00Z",
    "2030-04-31T12:00:00Z",
    "2023-02-29T12:00:00Z",
    "1900-02-29T12:00:00Z",
    "0000-01-01T00:00:00Z",
    "2030-05-01T12:00:00+2:00",
    "2030-05-01T12:00:00+0200",
    "2030-05-01T12:00:00+15:00",
    "2030-05-01T12:00:00+14:30",
    "2030-05-01T12:00:00+02:60",
    "2030-05-01T12:00:00+02",
    "2030-05-01T12:00:00Z ",
    " 2030-05-01T12:00:00Z",
    "2030-05-01T12:00:00ZZ",
    "+030-05-01T12:00:00Z",
    "-2030-05-01T12:00:00Z",
    "12030-05-01T12:00:00Z",
    "2030-5-01T12:00:00Z",
    "2030-05-01T12:00:0 Z",
};

static void what_is_no_instant_is_refused_and_nothing_written(void)
{
    for (size_t i = 0; i < CDX_COUNT(none); i++) {
        int64_t ms = 4711;
        CU_ASSERT_FALSE(cdx_instant_parse(cdx_text_z(none[i]), &ms));
        CU_ASSERT_EQUAL(ms, 4711);
    }
    CU_ASSERT_FALSE(cdx_instant_parse(cdx_text(NULL, 0), &(int64_t){0}));
}

static void every_cut_of_an_instant_is_none(void)
{
    const struct cdx_text whole = CDX_LIT("2030-05-01T12:00:00.250+02:00");

    for (size_t n = 0; n < whole.n; n++)
        CU_ASSERT_FALSE(cdx_instant_parse(cdx_text(whole.p, n), &(int64_t){0}));
    CU_ASSERT_TRUE(cdx_instant_parse(whole, &(int64_t){0}));
}

/* Through two turns of the calendar, one second before each day's end and at its start. */
static void reading_undoes_writing_on_every_day(void)
{
    size_t differ = 0;

    for (int64_t day = -135140; day < 157000; day++) /* 1600 .. 2399 */
        for (int64_t ms = day * 86400000 - 1; ms <= day * 86400000; ms++) {
            char out[CDX_INSTANT_BYTES];
            int64_t back;
            differ +=
                !cdx_instant_parse(cdx_text_z(cdx_instant_format(ms, out)), &back) || back != ms;
        }
    CU_ASSERT_EQUAL(differ, 0);
}

/* The three forms of RFC 9110 5.6.7, its own example. */
static void http_dates_have_three_forms(void)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};

    for (size_t i = 0; i < CDX_COUNT(forms); i++) {
        int64_t ms = 0;
        CU_ASSERT_TRUE(cdx_http_date_parse(cdx_text_z(forms[i]), &ms));
        CU_ASSERT_EQUAL(ms, 784111777000);
    }
}

static void what_is_no_http_date_is_refused(void)
{
    static const struct cdx_text texts[] = {
        {"", 0},
        {NULL, 0},
        {"120", 3},
        {"1994-11-06T08:49:37Z", 20},
        {"Sun, 06 Nov 1994 08:49:37", 25},
        {"Sun, 06 Nov 1994 08:49:37 CET", 29},
        {"Sun, 31 Feb 1994 08:49:37 GMT", 29},
        {"Sun, 06 Nov 1994 25:49:37 GMT", 29},
        {"Sun, 06 Nov 1994 08:49:37 GMT, x", 32},
        {"Sun, 06 Nov 1994 08:49:37 GMT\0x", 31},
        {"Sun, 06 Nov 1994 08:49:37 GMT                                           ", 72},
    };

    for (size_t i = 0; i < CDX_COUNT(texts); i++) {
        int64_t ms = 4711;
        CU_ASSERT_FALSE(cdx_http_date_parse(texts[i], &ms));
        CU_ASSERT_EQUAL(ms, 4711);
    }
}

static CU_TestInfo tests[] = {
    {"instants are read and written", instants_are_read_and_written},
    {"zones and fractions are understood", zones_and_fractions_are_understood},
    {"what is no instant is refused and nothing written",
     what_is_no_instant_is_refused_and_nothing_written},
    {"every cut of an instant is none", every_cut_of_an_instant_is_none},
    {"reading undoes writing on every day", reading_undoes_writing_on_every_day},
    {"HTTP dates have three forms", http_dates_have_three_forms},
    {"what is no HTTP date is refused", what_is_no_http_date_is_refused},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_instant = {.pName = "core/instant", .pTests = tests};
