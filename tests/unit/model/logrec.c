/*
 * tests/unit/model/logrec.c -- a log record is read back exactly, and nothing is taken on faith.
 * The rules are the format in model/logrec.h.
 */
#include <CUnit/CUnit.h>

#include "core/buf.h"
#include "model/logrec.h"

#define START "cdx1\ni 12\nl f\nt 2030-05-01T11:59:58.000Z\nf https://ehr/Encounter/e1\n"
#define SOURCE "s ehr.fhir/7/182044/0\n"

static struct cdx_logrec rec;

static enum cdx_code parse(const char *text)
{
    return cdx_logrec_parse(cdx_text_z(text), &rec, NULL);
}

static void every_letter_is_read_back(void)
{
    CU_ASSERT_EQUAL_FATAL(parse(START "c https://ehr/Patient/p1\nc https://ehr/Practitioner/d1\n"
                                      "m https://ehr/Patient/p1\nm https://ehr/Patient/p2\n" SOURCE
                                      "e 7\np 1 2 3 4\nx too-large\n\nENTRIES1223334444"),
                          CDX_OK);
    CU_ASSERT_EQUAL(rec.incarnation, 12);
    CU_ASSERT_EQUAL(rec.level, CDX_FULL_RESOURCE);
    CU_ASSERT(cdx_text_is(rec.timestamp, "2030-05-01T11:59:58.000Z"));
    CU_ASSERT(cdx_text_is(rec.focus, "https://ehr/Encounter/e1"));
    CU_ASSERT_EQUAL_FATAL(rec.contexts_n, 2);
    CU_ASSERT(cdx_text_is(rec.contexts[1], "https://ehr/Practitioner/d1"));
    CU_ASSERT_EQUAL_FATAL(rec.members_n, 2);
    CU_ASSERT(cdx_text_is(rec.members[0], "https://ehr/Patient/p1"));
    CU_ASSERT(cdx_text_is(rec.source, "ehr.fhir/7/182044/0"));
    CU_ASSERT(cdx_text_is(rec.entries, "ENTRIES"));
    CU_ASSERT(cdx_text_is(rec.provenance[0], "1"));
    CU_ASSERT(cdx_text_is(rec.provenance[1], "22"));
    CU_ASSERT(cdx_text_is(rec.provenance[2], "333"));
    CU_ASSERT(cdx_text_is(rec.provenance[3], "4444"));
    CU_ASSERT(cdx_text_is(rec.withheld, "too-large"));
}

static void what_is_missing_is_empty_even_in_a_used_view(void)
{
    CU_ASSERT_EQUAL_FATAL(parse(START "c a\nm b\n" SOURCE "e 1\np 1 1 1 1\nx y\n\n,1234"), CDX_OK);
    CU_ASSERT_EQUAL_FATAL(parse(START SOURCE "e 0\n\n"), CDX_OK);
    CU_ASSERT_EQUAL(rec.contexts_n, 0);
    CU_ASSERT_EQUAL(rec.members_n, 0);
    CU_ASSERT_EQUAL(rec.entries.n, 0);
    CU_ASSERT_EQUAL(rec.provenance[0].n, 0);
    CU_ASSERT_EQUAL(rec.withheld.n, 0);
}

static void each_level_has_its_letter(void)
{
    static const char rest[] = "\nt T\nf F\ns S\ne 0\n\n";
    static const struct {
        const char *start;
        enum cdx_level_of_content level;
    } cases[] = {
        {"cdx1\ni 0\nl e", CDX_EMPTY},
        {"cdx1\ni 0\nl i", CDX_ID_ONLY},
        {"cdx1\ni 0\nl f", CDX_FULL_RESOURCE},
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        struct cdx_buf text;

        cdx_buf_init(&text, 1000);
        cdx_buf_add_z(&text, cases[i].start);
        cdx_buf_add_z(&text, rest);
        CU_ASSERT_EQUAL(cdx_logrec_parse(cdx_buf_text(&text), &rec, NULL), CDX_OK);
        CU_ASSERT_EQUAL(rec.level, cases[i].level);
        cdx_buf_fini(&text);
    }
}

static void line_breaks_in_the_body_are_content(void)
{
    CU_ASSERT_EQUAL_FATAL(parse(START SOURCE "e 8\n\n,{\n\nx\n\n}"), CDX_OK);
    CU_ASSERT(cdx_text_is(rec.entries, ",{\n\nx\n\n}"));
}

static void what_is_no_log_record_is_refused(void)
{
    static const struct {
        const char *text, *said; /* a part of the error */
    } cases[] = {
        {"", "cdx1"},
        {"cdx1", "cdx1"},
        {"cdx2\ni 1\n", "cdx1"},
        {"cdx1\n", "'i'"},
        {"cdx1\ni 1", "'i'"}, /* no line end */
        {"cdx1\ni \nl e\n", "'i'"},
        {"cdx1\ni -1\nl e\n", "'i'"},
        {"cdx1\ni 01\nl e\n", "'i'"},
        {"cdx1\ni 1 \nl e\n", "'i'"},
        {"cdx1\ni 9223372036854775808\nl e\n", "'i'"}, /* 2^63 */
        {"cdx1\ni 1\nl g\n", "'l'"},
        {"cdx1\ni 1\nl ei\n", "'l'"},
        {"cdx1\ni 1\nf F\nl e\n", "'l'"}, /* out of order */
        {"cdx1\ni 1\nl e\nt\n", "'t'"},
        {START SOURCE "\n", "'e'"},
        {START SOURCE "e 0\n", "empty line"},
        {START SOURCE "e 0\nq 1\n\n", "empty line"},
        {START SOURCE "e 0\ne 0\n\n", "empty line"},
        {START SOURCE "e 0\nm b\n\n", "empty line"},
        {START SOURCE "e 4\n\nabc", "'e'"},
        {START SOURCE "e 2\n\nabc", "behind"},
        {START SOURCE "e 99999999999999999999\n\nabc", "'e'"},
        {START SOURCE "e 1\np 1 1 1\n\nabcd", "'p'"},
        {START SOURCE "e 1\np 1 1 1 1 1\n\nabcdef", "'p'"},
        {START SOURCE "e 1\np 1 0 1 1\n\nabcd", "'p'"},
        {START SOURCE "e 1\np 1,1,1,1\n\nabcde", "'p'"},
        {START SOURCE "e 1\np 1 1 1 2\n\nabcde", "'p'"},
        {START SOURCE "e 1\np 9223372036854775807 1 1 1\n\nabcde", "'p'"},
        {START SOURCE "e 0\nx \n\n", "'x'"},
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        struct cdx_err err = {0};

        CU_ASSERT_EQUAL(cdx_logrec_parse(cdx_text_z(cases[i].text), &rec, &err), CDX_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].said));
    }
}

/* As many lines of one letter as asked for. */
static enum cdx_code with_lines(const char *line, size_t n)
{
    struct cdx_buf text;
    enum cdx_code rc;

    cdx_buf_init(&text, 10000);
    cdx_buf_add_z(&text, START);
    for (size_t i = 0; i < n; i++)
        cdx_buf_add_z(&text, line);
    cdx_buf_add_z(&text, SOURCE "e 0\n\n");
    CU_ASSERT_FALSE(text.failed);
    rc = cdx_logrec_parse(cdx_buf_text(&text), &rec, NULL);
    cdx_buf_fini(&text);
    return rc;
}

static void repeated_letters_are_bounded(void)
{
    CU_ASSERT_EQUAL(with_lines("c x\n", CDX_MAX_CONTEXTS), CDX_OK);
    CU_ASSERT_EQUAL(rec.contexts_n, CDX_MAX_CONTEXTS);
    CU_ASSERT_EQUAL(with_lines("c x\n", CDX_MAX_CONTEXTS + 1), CDX_INPUT);
    CU_ASSERT_EQUAL(with_lines("m x\n", CDX_MAX_LOG_MEMBERS), CDX_OK);
    CU_ASSERT_EQUAL(rec.members_n, CDX_MAX_LOG_MEMBERS);
    CU_ASSERT_EQUAL(with_lines("m x\n", CDX_MAX_LOG_MEMBERS + 1), CDX_INPUT);
}

static void a_record_cut_anywhere_is_refused(void)
{
    static const char text[] = START "m a\n" SOURCE "e 2\np 1 1 1 1\n\n,xABCD";

    for (size_t n = 0; n < sizeof text - 1; n++)
        CU_ASSERT_EQUAL(cdx_logrec_parse(cdx_text(text, n), &rec, NULL), CDX_INPUT);
    CU_ASSERT_EQUAL(cdx_logrec_parse(cdx_text(text, sizeof text - 1), &rec, NULL), CDX_OK);
}

static void errors_never_show_the_record(void)
{
    struct cdx_err err = {0};

    CU_ASSERT_EQUAL(
        cdx_logrec_parse(CDX_LIT(START "m Patient/SECRET\n" SOURCE "e SECRET\n\n"), &rec, &err),
        CDX_INPUT);
    CU_ASSERT_PTR_NULL(strstr(err.text, "SECRET"));
}

static CU_TestInfo tests[] = {
    {"every letter is read back", every_letter_is_read_back},
    {"what is missing is empty even in a used view", what_is_missing_is_empty_even_in_a_used_view},
    {"each level has its letter", each_level_has_its_letter},
    {"line breaks in the body are content", line_breaks_in_the_body_are_content},
    {"what is no log record is refused", what_is_no_log_record_is_refused},
    {"repeated letters are bounded", repeated_letters_are_bounded},
    {"a record cut anywhere is refused", a_record_cut_anywhere_is_refused},
    {"errors never show the record", errors_never_show_the_record},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_model_logrec = {.pName = "model/logrec", .pTests = tests};
