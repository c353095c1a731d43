/* Subscription: the backport profile (1.1.0) element by element; what is refused says where. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

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
    {"what is common is shared", what_is_common_is_shared},
    {"statuses are read and written", statuses_are_read_and_written},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_model_subscription = {.pName = "model/subscription", .pTests = tests};
