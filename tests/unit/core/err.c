/* The first error wins, and its text never leaves its storage. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/err.h"

static void the_first_error_wins(void)
{
    struct cdx_err err = {0};

    CU_ASSERT_EQUAL(cdx_fail(&err, CDX_INPUT, "%s:%d: bad", "t", 7), CDX_INPUT);
    CU_ASSERT_EQUAL(cdx_fail(&err, CDX_NOMEM, "later"), CDX_INPUT);
    CU_ASSERT_EQUAL(err.code, CDX_INPUT);
    CU_ASSERT_STRING_EQUAL(err.text, "t:7: bad");
}

static void without_storage_the_code_is_returned(void)
{
    CU_ASSERT_EQUAL(cdx_fail(NULL, CDX_FULL, "nobody reads %d", 1), CDX_FULL);
}

static void a_long_text_is_cut_at_its_storage(void)
{
    struct {
        struct cdx_err err;
        char behind[8];
    } s = {.behind = "behind"};
    char longer[2 * CDX_ERR_TEXT_BYTES];

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    CU_ASSERT_EQUAL(cdx_fail(&s.err, CDX_CONFIG, "%s", longer), CDX_CONFIG);
    CU_ASSERT_EQUAL(strlen(s.err.text), CDX_ERR_TEXT_BYTES - 1);
    CU_ASSERT_STRING_EQUAL(s.behind, "behind");
}

static void every_code_has_a_text(void)
{
    CU_ASSERT_STRING_EQUAL(cdx_code_text(CDX_OK), "ok");
    CU_ASSERT_STRING_EQUAL(cdx_code_text(CDX_NOMEM), "out of memory");
    for (int c = CDX_OK; c <= CDX_NOMEM; c++)
        CU_ASSERT(cdx_code_text((enum cdx_code)c)[0] != '\0');
    CU_ASSERT_PTR_NOT_NULL(cdx_code_text((enum cdx_code)(CDX_NOMEM + 1)));
    CU_ASSERT_PTR_NOT_NULL(cdx_code_text((enum cdx_code) - 1));
}

static CU_TestInfo tests[] = {
    {"the first error wins", the_first_error_wins},
    {"without storage the code is returned", without_storage_the_code_is_returned},
    {"a long text is cut at its storage", a_long_text_is_cut_at_its_storage},
    {"every code has a text", every_code_has_a_text},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_err = {.pName = "core/err", .pTests = tests};
