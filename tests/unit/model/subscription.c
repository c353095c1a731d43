/* Subscription: the backport profile (1.1.0) element by element; what is refused says where. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/subscription.h"

#define BP "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define FILTER(v) "{\"url\":\"" BP "backport-filter-criteria\",\"valueString\":\"" v "\"}"
#define CONTENT(v)                                                                                 \
    "\"_payload\":{\"extension\":[{\"url\":\"" BP "backport-payload-content\",\"valueCode\":\"" v  \
    "\"}]}"
#define CHANNEL_OF(more)                                                                           \
    "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.com/h\","            \
    "\"payload\":\"application/fhir+json\"," CONTENT("id-only") more "}"
#define SUB_OF(id, status, criteria, more, channel)                                                \
    "{\"resourceType\":\"Subscription\",\"id\":\"" id "\",\"status\":\"" status                    \
    "\",\"reason\":\"r\","                                                                         \
    "\"criteria\":\"" criteria "\"" more "," channel "}"
#define SUB(more) SUB_OF("s", "requested", "http://t.example.org/t", more, CHANNEL_OF(""))
#define SUB_CHANNEL(channel) SUB_OF("s", "requested", "http://t.example.org/t", "", channel)
#define HEADER(h) SUB_CHANNEL(CHANNEL_OF(",\"header\":[\"" h "\"]"))
#define CHANNEL_EXTENSION(e) SUB_CHANNEL(CHANNEL_OF(",\"extension\":[" e "]"))

static struct cdx_sub *parse(const char *json, struct cdx_err *err)
{
    *err = (struct cdx_err){0};
    return cdx_sub_parse(cdx_text_z(json), err);
}

/* subscriptions.md 5.1, the profile's elements all present. */
static void a_full_subscription_is_read(void)
{
    struct cdx_err err;
    struct cdx_sub *sub = parse(
        "{\"resourceType\":\"Subscription\",\"id\":\"sub-1\",\"meta\":{\"tag\":[{\"system\":\"urn:cdex:client\",\"code\":\"payer-a\"}]},"
        "\"status\":\"requested\",\"end\":\"2031-01-01T00:00:00Z\",\"reason\":\"r\",\"criteria\":\"http://t.example.org/t|1.0\","
        "\"_criteria\":{\"extension\":[" FILTER("Encounter?patient=Patient/p-1&class=IMP,EMER") "," FILTER(
            "status:not=x\\\\,y") "]},"
                                  "\"channel\":{\"extension\":[{\"url\":\"" BP
                                  "backport-heartbeat-period\",\"valueUnsignedInt\":300},"
                                  "{\"url\":\"" BP
                                  "backport-timeout\",\"valueUnsignedInt\":30},{\"url\":\"" BP
                                  "backport-max-count\",\"valuePositiveInt\":10}],"
                                  "\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.com/hooks/fhir\",\"payload\":\"application/fhir+json; fhirVersion=4.0\"," CONTENT(
                                      "full-resource") ",\"header\":[\"Authorization: Bearer  t \",\"X-A:b\"]}}",
        &err);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sub);
    CU_ASSERT_STRING_EQUAL(sub->id, "sub-1");
    CU_ASSERT_STRING_EQUAL(sub->client, "payer-a");
    CU_ASSERT_STRING_EQUAL(sub->topic, "http://t.example.org/t");
    CU_ASSERT_STRING_EQUAL(sub->topic_version, "1.0");
    CU_ASSERT_EQUAL(sub->end_ms, 1924992000000);
    CU_ASSERT_EQUAL_FATAL(sub->filters_n, 3);
    CU_ASSERT_STRING_EQUAL(sub->filters[0].type, "Encounter");
    CU_ASSERT_STRING_EQUAL(sub->filters[0].param, "patient");
    CU_ASSERT_STRING_EQUAL(sub->filters[0].values[0], "Patient/p-1");
    CU_ASSERT_STRING_EQUAL(sub->filters[1].type, "Encounter");
    CU_ASSERT_EQUAL(sub->filters[1].values_n, 2);
    CU_ASSERT_STRING_EQUAL(sub->filters[1].values[1], "EMER");
    CU_ASSERT_PTR_NULL(sub->filters[2].type);
    CU_ASSERT_STRING_EQUAL(sub->filters[2].modifier, "not");
    CU_ASSERT_EQUAL(sub->filters[2].values_n, 1);
    CU_ASSERT_STRING_EQUAL(sub->filters[2].values[0], "x\\,y");
    CU_ASSERT_EQUAL(sub->level, CDX_FULL_RESOURCE);
    CU_ASSERT_EQUAL(sub->heartbeat_s, 300);
    CU_ASSERT_EQUAL(sub->timeout_s, 30);
    CU_ASSERT_EQUAL(sub->max_count, 10);
    CU_ASSERT_STRING_EQUAL(sub->endpoint, "https://payer.example.com/hooks/fhir");
    CU_ASSERT_STRING_EQUAL(sub->payload, "application/fhir+json; fhirVersion=4.0");
    CU_ASSERT_EQUAL_FATAL(sub->headers_n, 2);
    CU_ASSERT_STRING_EQUAL(sub->headers[0], "Authorization: Bearer  t "); /* verbatim: trap T4 */
    CU_ASSERT_EQUAL(sub->wanted, CDX_REQUESTED);
    cdx_sub_unref(sub);
}

/* subscriptions.md 1.6: a client may submit requested or off; active and error are treated as requested. */
static void submitted_statuses(void)
{
    static const struct {
        const char *json;
        enum cdx_sub_status wanted;
    } rows[] = {
        {SUB_OF("s", "requested", "http://t", "", CHANNEL_OF("")), CDX_REQUESTED},
        {SUB_OF("s", "active", "http://t", "", CHANNEL_OF("")), CDX_REQUESTED},
        {SUB_OF("s", "error", "http://t", "", CHANNEL_OF("")), CDX_REQUESTED},
        {SUB_OF("s", "off", "http://t", "", CHANNEL_OF("")), CDX_OFF},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_err err;
        struct cdx_sub *sub = parse(rows[i].json, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(sub);
        CU_ASSERT_EQUAL(sub->wanted, rows[i].wanted);
        CU_ASSERT_STRING_EQUAL(sub->client, "");
        CU_ASSERT_PTR_NULL(sub->topic_version);
        cdx_sub_unref(sub);
    }
}

static const struct {
    const char *json, *says;
} refused[] = {
    {"", "no JSON"},
    {"{}x", "no JSON"},
    {"{\"id\":1,\"id\":2}", "no JSON"},
    {"[]", "resourceType"},
    {"{\"resourceType\":\"Patient\"}", "resourceType"},
    {"{\"resourceType\":\"Subscription\"}", "Subscription.channel"},
    {SUB_OF("", "requested", "http://t", "", CHANNEL_OF("")), "Subscription.id"},
    {SUB_OF("a/b", "requested", "http://t", "", CHANNEL_OF("")), "Subscription.id"},
    {SUB_OF("s", "on", "http://t", "", CHANNEL_OF("")), "Subscription.status"},
    {SUB_OF("s", "entered-in-error", "http://t", "", CHANNEL_OF("")), "Subscription.status"},
    {SUB_OF("s", "requested", "Observation?code=x", "", CHANNEL_OF("")), "Subscription.criteria"},
    {SUB_OF("s", "requested", "", "", CHANNEL_OF("")), "Subscription.criteria"},
    {SUB_OF("s", "requested", "http://t|", "", CHANNEL_OF("")), "Subscription.criteria"},
    {SUB_OF("s", "requested", "http://t|1|2", "", CHANNEL_OF("")), "Subscription.criteria"},
    {SUB(",\"end\":\"tomorrow\""), "Subscription.end"},
    {SUB(",\"end\":20310101"), "Subscription.end"},
    {SUB(",\"meta\":{\"tag\":[{\"system\":\"urn:cdex:client\"}]}"), "Subscription.meta.tag[0]"},
    {SUB(",\"meta\":{\"tag\":[{\"system\":\"urn:cdex:client\",\"code\":\"a\"},{\"system\":\"urn:cdex:client\",\"code\":\"b\"}]}"),
     "Subscription.meta.tag[1]"},
    {SUB(",\"modifierExtension\":[{\"url\":\"http://x\"}]"), "modifierExtension"},
    /* traps T7, T9: nothing on criteria is passed over */
    {SUB(",\"_criteria\":{\"extension\":[" FILTER("patient=") "]}"), "_criteria.extension[0]"},
    {SUB(",\"_criteria\":{\"extension\":[" FILTER(
         "a=b") ",{\"url\":\"" BP "backport-filter-criteria\",\"valueCode\":\"a=b\"}]}"),
     "_criteria.extension[1]"},
    {SUB(",\"_criteria\":{\"extension\":[{\"url\":\"" BP
         "backport-additional-criteria\",\"valueString\":\"a=b\"}]}"),
     "_criteria.extension[0]"},
    {SUB(",\"_criteria\":{\"extension\":[{\"url\":\"http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.filterBy\"}]}"),
     "_criteria.extension[0]"},
    {SUB(",\"_criteria\":{\"extension\":[{\"url\":\"http://vendor.example.com/x\",\"valueString\":\"a\"}]}"),
     "_criteria.extension[0]"},
    {SUB(",\"_criteria\":{\"extension\":{}}"), "_criteria.extension"},
    {SUB(",\"extension\":[{\"url\":\"http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.filterBy\"}]"),
     "Subscription.extension[0]"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"email\",\"endpoint\":\"mailto:a@b\",\"payload\":\"application/fhir+json\"," CONTENT(
             "empty") "}"),
     "Subscription.channel.type"},
    {SUB_CHANNEL(CHANNEL_OF(",\"_type\":{\"extension\":[{\"url\":\"" BP
                            "backport-channel-type\",\"valueCoding\":{\"code\":\"kafka\"}}]}")),
     "channel._type.extension[0]"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"payload\":\"application/fhir+json\"," CONTENT(
             "empty") "}"),
     "channel.endpoint"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"ftp://a\",\"payload\":\"application/fhir+json\"," CONTENT(
             "empty") "}"),
     "channel.endpoint"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a/ b\",\"payload\":\"application/fhir+json\"," CONTENT(
             "empty") "}"),
     "channel.endpoint"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\"," CONTENT("empty") "}"),
     "channel.payload"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\",\"payload\":\"application/fhir+xml\"," CONTENT(
             "empty") "}"),
     "channel.payload"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\",\"payload\":\"application/json;a\\r\\nb\"," CONTENT(
             "empty") "}"),
     "channel.payload"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\",\"payload\":\"application/fhir+json; fhirVersion=5.0\"," CONTENT(
             "empty") "}"),
     "fhirVersion"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\",\"payload\":\"application/fhir+json\"}"),
     "channel._payload"},
    {SUB_CHANNEL(
         "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://a\",\"payload\":\"application/fhir+json\"," CONTENT(
             "Empty") "}"),
     "channel._payload"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP "backport-max-count\",\"valuePositiveInt\":0}"),
     "channel.extension[0]"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP "backport-timeout\",\"valueUnsignedInt\":-1}"),
     "channel.extension[0]"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP "backport-timeout\",\"valueUnsignedInt\":4294967296}"),
     "channel.extension[0]"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP "backport-timeout\",\"valueString\":\"30\"}"),
     "channel.extension[0]"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP "backport-timeout\",\"valueUnsignedInt\":1},{\"url\":\"" BP
                       "backport-timeout\",\"valueUnsignedInt\":2}"),
     "channel.extension[1]"},
    {CHANNEL_EXTENSION("{\"url\":\"" BP
                       "backport-notification-url-location\",\"valueCode\":\"all\"}"),
     "channel.extension[0]"},
    /* subscriptions.md 1.15: no colon, empty name, CR or LF anywhere, framing and hop-by-hop names */
    {HEADER("NoColon"), "channel.header[0]"},
    {HEADER(": value"), "channel.header[0]"},
    {HEADER("A B: c"), "channel.header[0]"},
    {HEADER("A: b\\r\\nC: d"), "channel.header[0]"},
    {HEADER("A\\n: b"), "channel.header[0]"},
    {HEADER("host: x"), "channel.header[0]"},
    {HEADER("Content-Length: 1"), "channel.header[0]"},
    {HEADER("Transfer-Encoding: chunked"), "channel.header[0]"},
    {HEADER("connection: close"), "channel.header[0]"},
    {HEADER("Content-Type: text/plain"), "channel.header[0]"},
    {HEADER("Expect: 100-continue"), "channel.header[0]"},
    {SUB_CHANNEL(CHANNEL_OF(",\"header\":\"A: b\"")), "channel.header"},
    {SUB_CHANNEL(CHANNEL_OF(",\"header\":[1]")), "channel.header[0]"},
};

static void what_is_refused_says_where(void)
{
    for (size_t i = 0; i < CDX_COUNT(refused); i++) {
        struct cdx_err err;
        struct cdx_sub *sub = parse(refused[i].json, &err);
        CU_ASSERT_PTR_NULL(sub);
        CU_ASSERT_EQUAL(err.code, CDX_INPUT);
        if (strstr(err.text, refused[i].says) == NULL) {
            fprintf(stderr, "%s\n  says: %s\n", refused[i].json, err.text);
            CU_FAIL("the place is not told");
        }
        cdx_sub_unref(sub);
    }
}

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

/* What a payer's subscriptions have in common is kept once; the last to go frees it. */
static void what_is_common_is_shared(void)
{
    struct cdx_err err;
    struct cdx_sub *a =
        parse(SUB_OF("a", "requested", "http://t", "", CHANNEL_OF(",\"header\":[\"A: b\"]")), &err);
    struct cdx_sub *b =
        parse(SUB_OF("b", "requested", "http://t", "", CHANNEL_OF(",\"header\":[\"A: b\"]")), &err);
    struct cdx_sub *c =
        parse(SUB_OF("c", "requested", "http://t", "", CHANNEL_OF(",\"header\":[\"A: c\"]")), &err);

    CU_ASSERT_PTR_EQUAL(a->topic, b->topic);
    CU_ASSERT_PTR_EQUAL(a->headers, b->headers);
    CU_ASSERT_PTR_NOT_EQUAL(a->headers, c->headers);
    CU_ASSERT_STRING_EQUAL(c->headers[0], "A: c");
    cdx_sub_unref(cdx_sub_ref(a));
    cdx_sub_unref(a);
    CU_ASSERT_STRING_EQUAL(b->headers[0], "A: b");
    cdx_sub_unref(b);
    cdx_sub_unref(c);
    cdx_sub_unref(NULL);
}

static void statuses_are_read_and_written(void)
{
    static const char *const texts[] = {"requested", "active", "error", "off"};
    enum cdx_sub_status status;

    for (size_t i = 0; i < CDX_COUNT(texts); i++) {
        CU_ASSERT(cdx_sub_status_parse(cdx_text_z(texts[i]), &status));
        CU_ASSERT_STRING_EQUAL(cdx_sub_status_text(status), texts[i]);
    }
    CU_ASSERT_FALSE(cdx_sub_status_parse(CDX_LIT("Active"), &status));
    CU_ASSERT_FALSE(cdx_sub_status_parse(CDX_LIT(""), &status));
}

static CU_TestInfo tests[] = {
    {"a full subscription is read", a_full_subscription_is_read},
    {"submitted statuses", submitted_statuses},
    {"what is refused says where", what_is_refused_says_where},
    {"filters are read by the grammar", filters_are_read_by_the_grammar},
    {"an error names the position and no value", an_error_names_the_position_and_no_value},
    {"filters are appended", filters_are_appended},
    {"bounds of filters hold", bounds_of_filters_hold},
    {"what is common is shared", what_is_common_is_shared},
    {"statuses are read and written", statuses_are_read_and_written},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_model_subscription = {.pName = "model/subscription", .pTests = tests};
