/* Filter texts: the grammar of subscriptions.md 1.4 and 4.1, its bounds, and what an error tells. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/subscription.h"

/* subscriptions.md 1.4: the four forms of the prose, the IG examples and the test kit; and 4.1. Written back as terms. */
static const struct {
    const char *text, *terms; /* terms NULL: refused */
} filters[] = {
    {"patient=Patient/123", "patient=[Patient/123]"},
    {"status:not=finished", "status:not=[finished]"},
    {"Encounter.patient=Patient/123", "Encounter patient=[Patient/123]"},
    {"Encounter?patient=Patient/123", "Encounter patient=[Patient/123]"},
    {"/Encounter?patient=Patient/123", "Encounter patient=[Patient/123]"},
    {"Encounter?patient=Patient/123&class=IMP",
     "Encounter patient=[Patient/123] Encounter class=[IMP]"},
    {"Encounter.patient=Patient/123&class=IMP",
     "Encounter patient=[Patient/123] Encounter class=[IMP]"},
    {"Encounter.patient=1&Encounter.class=IMP", "Encounter patient=[1] Encounter class=[IMP]"},
    {"Encounter.patient:identifier=sys|v", "Encounter patient:identifier=[sys|v]"},
    {"patient.gender=male", "patient.gender=[male]"},
    {"code=a,b,c", "code=[a][b][c]"},
    {"code=a\\,b,c\\|d", "code=[a\\,b][c\\|d]"},
    {"code=http://x?y=1|2", "code=[http://x?y=1|2]"},
    {"code=http%3A%2F%2Fx%7C1", "code=[http://x|1]"},
    {"code=a%2Cb", "code=[a][b]"},
    {"code=50%", "code=[50%]"},
    {"code=%zz", "code=[%zz]"},
    {"date=2020-01-01T00:00:00+05:00", "date=[2020-01-01T00:00:00+05:00]"},
    {"&a=b&&c=d&", "a=[b] c=[d]"},
    {"_id=x", "_id=[x]"},
    {"", NULL},
    {"&", NULL},
    {"patient", NULL},
    {"=x", NULL},
    {"patient=", NULL}, /* it would widen disclosure */
    {"code=a,,b", NULL},
    {"code=a,", NULL},
    {"code=,a", NULL},
    {"code=a\\", NULL},
    {"code=a\\n", NULL},
    {"code=a%00b", NULL},
    {"code=a%0Ab", NULL},
    {"pa tient=1", NULL},
    {"status:=x", NULL},
    {"subject:Patient.name=peter", NULL},
    {"encounter?patient=1", NULL},
    {"Encounter?", NULL},
    {"Encounter?Observation.code=x", NULL},
    {"Encounter.=x", NULL},
};

static const char *terms_text(const struct cdx_filter *f, size_t n)
{
    static char text[1024];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s%s%s%s%s=", i != 0 ? " " : "",
                               f[i].type != NULL ? f[i].type : "", f[i].type != NULL ? " " : "",
                               f[i].param, f[i].modifier != NULL ? ":" : "",
                               f[i].modifier != NULL ? f[i].modifier : "");
        for (size_t k = 0; k < f[i].values_n; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "[%s]", f[i].values[k]);
    }
    return text;
}

static void filters_are_read_by_the_grammar(void)
{
    for (size_t i = 0; i < CDX_COUNT(filters); i++) {
        struct cdx_filter *list = NULL;
        struct cdx_err err = {0};
        size_t n = 0;
        enum cdx_code rc = cdx_filter_parse(cdx_text_z(filters[i].text), &list, &n, &err);
        CU_ASSERT_EQUAL(rc, filters[i].terms != NULL ? CDX_OK : CDX_INPUT);
        if (filters[i].terms == NULL) {
            CU_ASSERT_EQUAL(n, 0);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "at character"));
        } else if (strcmp(terms_text(list, n), filters[i].terms) != 0) {
            fprintf(stderr, "%s: %s\n", filters[i].text, terms_text(list, n));
            CU_FAIL("other terms");
        }
        cdx_filters_free(list, n);
    }
}

static void an_error_names_the_position_and_no_value(void)
{
    struct cdx_filter *list = NULL;
    struct cdx_err err = {0};
    size_t n = 0;

    CU_ASSERT_EQUAL(cdx_filter_parse(CDX_LIT("code=a&patient=Patient/secret\\x"), &list, &n, &err),
                    CDX_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "character 16")); /* where the value begins, from 1 */
    CU_ASSERT_PTR_NULL(strstr(err.text, "secret"));
}

static void filters_are_appended(void)
{
    struct cdx_filter *list = NULL;
    struct cdx_err err = {0};
    size_t n = 0;

    CU_ASSERT_EQUAL(cdx_filter_parse(CDX_LIT("a=b"), &list, &n, &err), CDX_OK);
    CU_ASSERT_EQUAL(cdx_filter_parse(CDX_LIT("c=d&e=f"), &list, &n, &err), CDX_OK);
    CU_ASSERT_EQUAL(cdx_filter_parse(CDX_LIT("g"), &list, &n, &err), CDX_INPUT);
    CU_ASSERT_STRING_EQUAL(terms_text(list, n),
                           "a=[b] c=[d] e=[f]"); /* an error leaves what was there */
    cdx_filters_free(list, n);
}

/* core/limits.h CDX_MAX_FILTERS, CDX_MAX_FILTER_VALUES, CDX_MAX_FILTER_VALUE_BYTES: at the bound taken, past it refused. */
static void bounds_of_filters_hold(void)
{
    for (size_t past = 0; past < 2; past++) {
        char terms[512] = "", values[512] = "v=", *value = calloc(1, 4096);
        struct cdx_filter *list = NULL;
        size_t n = 0;
        CU_ASSERT_PTR_NOT_NULL_FATAL(value);
        for (size_t i = 0; i < CDX_MAX_FILTERS + past; i++)
            strncat(terms, "a=b&", sizeof terms - strlen(terms) - 1);
        for (size_t i = 0; i < CDX_MAX_FILTER_VALUES + past; i++)
            strncat(values, i != 0 ? ",x" : "x", sizeof values - strlen(values) - 1);
        memcpy(value, "v=", 2);
        memset(value + 2, 'x', CDX_MAX_FILTER_VALUE_BYTES + past);
        CU_ASSERT_EQUAL(cdx_filter_parse(cdx_text_z(terms), &list, &n, NULL),
                        past == 0 ? CDX_OK : CDX_INPUT);
        CU_ASSERT_EQUAL(cdx_filter_parse(cdx_text_z(values), &list, &n, NULL),
                        past == 0 ? CDX_OK : CDX_INPUT);
        CU_ASSERT_EQUAL(cdx_filter_parse(cdx_text_z(value), &list, &n, NULL),
                        past == 0 ? CDX_OK : CDX_INPUT);
        cdx_filters_free(list, n);
        free(value);
    }
}

static CU_TestInfo tests[] = {
    {"filters are read by the grammar", filters_are_read_by_the_grammar},
    {"an error names the position and no value", an_error_names_the_position_and_no_value},
    {"filters are appended", filters_are_appended},
    {"bounds of filters hold", bounds_of_filters_hold},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_model_filter = {.pName = "model/filter", .pTests = tests};
