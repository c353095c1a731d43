/* Topics: what is refused says where, and a Subscription is understood whole or not at all. */
#include "world.h"

#define HEAD "{\"resourceType\":\"SubscriptionTopic\",\"url\":\"" TOPIC "\",\"status\":\"active\","
#define ENC "\"resourceTrigger\":[{\"resource\":\"Encounter\"}]"

static const struct {
    const char *json, *says; /* says NULL: taken */
} topics_json[] = {
    {HEAD ENC "}", NULL},
    {HEAD
     "\"resourceTrigger\":[{\"resource\":\"http://hl7.org/fhir/StructureDefinition/Encounter\"}]}",
     NULL},
    {HEAD ENC ",\"canFilterBy\":[{\"filterParameter\":\"patient\",\"modifier\":[\"in\"]}]}", NULL},
    {HEAD ENC ",\"canFilterBy\":[{\"resource\":\"Encounter\",\"filterParameter\":\"date\"}]}",
     NULL},
    {HEAD ENC
     ",\"canFilterBy\":[{\"filterParameter\":\"http://hl7.org/fhir/SearchParameter/Encounter-class\"}]}",
     NULL},
    {"[]", "SubscriptionTopic resource is needed"},
    {"{", "line 1"},
    {"{\"resourceType\":\"Basic\"}", "resourceType"},
    {"{\"resourceType\":\"SubscriptionTopic\",\"status\":\"active\"," ENC "}",
     "SubscriptionTopic.url"},
    {"{\"resourceType\":\"SubscriptionTopic\",\"url\":\"http://a\"," ENC "}",
     "SubscriptionTopic.status"},
    {HEAD "\"version\":1," ENC "}", "SubscriptionTopic.version"},
    {HEAD "\"title\":\"x\"}", "SubscriptionTopic.resourceTrigger"},
    {HEAD "\"resourceTrigger\":[{\"resource\":\"Visit\"}]}", "resourceTrigger[0].resource"},
    {HEAD
     "\"resourceTrigger\":[{\"resource\":\"Encounter\",\"supportedInteraction\":[\"create\",\"patch\"]}]}",
     "resourceTrigger[0].supportedInteraction[1]"},
    {HEAD "\"resourceTrigger\":[{\"resource\":\"Encounter\",\"supportedInteraction\":\"create\"}]}",
     "supportedInteraction"},
    {HEAD
     "\"resourceTrigger\":[{\"resource\":\"Encounter\",\"queryCriteria\":{\"current\":\"status=finished\"}}]}",
     "resourceTrigger[0].queryCriteria"},
    {HEAD "\"resourceTrigger\":[{\"resource\":\"Encounter\",\"fhirPathCriteria\":\"true\"}]}",
     "resourceTrigger[0].fhirPathCriteria"},
    {HEAD ENC ",\"eventTrigger\":[{\"resource\":\"Encounter\"}]}",
     "SubscriptionTopic.eventTrigger"},
    {HEAD ENC ",\"modifierExtension\":[{\"url\":\"http://x\"}]}", "modifierExtension"},
    {HEAD ENC
     ",\"canFilterBy\":[{\"filterParameter\":\"patient\"},{\"filterParameter\":\"member\"}]}",
     "canFilterBy[1].filterParameter"},
    {HEAD ENC ",\"canFilterBy\":[{\"resource\":\"Patient\",\"filterParameter\":\"name\"}]}",
     "canFilterBy[0].resource"},
    {HEAD ENC ",\"canFilterBy\":[{\"resource\":\"Encounter\"}]}", "canFilterBy[0].filterParameter"},
};

static void a_topic_is_understood_whole_or_refused(void)
{
    for (size_t i = 0; i < CDX_COUNT(topics_json); i++) {
        struct cdx_err err = {0};
        struct cdx_topics *topics = cdx_topics_create(world_definitions(), &err);
        enum cdx_code rc = cdx_topics_add(topics, cdx_text_z(topics_json[i].json), "t.json", &err);
        if (topics_json[i].says == NULL) {
            CU_ASSERT_EQUAL(rc, CDX_OK);
            CU_ASSERT_EQUAL(cdx_topics_count(topics), 1);
        } else {
            CU_ASSERT_EQUAL(rc, CDX_CONFIG);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "t.json"));
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, topics_json[i].says));
            CU_ASSERT_EQUAL(cdx_topics_count(topics), 0);
            CU_ASSERT_FALSE(cdx_topics_needs_state(topics, CDX_LIT("Encounter")));
        }
        cdx_topics_unref(topics);
    }
}

static void the_same_url_and_version_twice_is_refused(void)
{
    const char *json = HEAD ENC "}";
    struct cdx_topics *topics = world_topics(&json, 1);
    struct cdx_err err = {0};

    CU_ASSERT_EQUAL(cdx_topics_add(topics, cdx_text_z(json), "again.json", &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "again.json"));
    err = (struct cdx_err){0};
    CU_ASSERT_EQUAL(
        cdx_topics_add(topics, CDX_LIT(HEAD "\"version\":\"2\"," ENC "}"), "next.json", &err),
        CDX_OK);
    cdx_topics_unref(topics);
}

static void every_triggering_type_needs_state(void)
{
    const char *json = HEAD ENC "}";
    struct cdx_topics *topics = world_topics(&json, 1);

    CU_ASSERT(cdx_topics_needs_state(topics, CDX_LIT("Encounter")));
    CU_ASSERT_FALSE(cdx_topics_needs_state(topics, CDX_LIT("Observation")));
    cdx_topics_unref(topics);
}

/* subscriptions.md 1.4, 1.5: an unknown filter, modifier or comparator SHALL refuse the Subscription (trap T7). */
static const struct {
    const char *filter, *says; /* says NULL: accepted */
} filters[] = {
    {"patient=Patient/1", NULL},
    {"Encounter?patient=Patient/1,Patient/2", NULL},
    {"patient=1", NULL},
    {"patient=https://other.example.org/fhir/Patient/1", NULL},
    {"class=IMP", NULL},
    {"category=a", "class, patient, date, code, subject"}, /* what would be accepted */
    {"Observation.class=IMP", "Observation.class"},
    {"Condition.code=x", "Condition.code"},
    {"Patient=1", "'Patient'"},
    {"patient.name=x", "'patient.name'"},
    {"patient:in=Group/1", "modifier ':in'"},
    {"class:not=IMP", "modifier ':not'"},
    {"patient:Patient=1", "modifier ':Patient'"},
    {"date=ge2020", "type date"},
    {"patient=Observation/1", "does not point to that resource type"},
    {"subject=1", "ambiguous"},
    {"patient=#p", "contained"},
    {"patient=Patient?identifier=1", "conditional"},
    {"patient=Patient/1|2", "canonical"},
    {"patient=a b", "write Type/id"},
    {"class=a|b|c", "more than one '|'"},
    {"class=|", "value is empty"},
};

static void a_subscription_is_understood_whole_or_refused(void)
{
    static const char *const json[] = {
        HEAD
        "\"resourceTrigger\":[{\"resource\":\"Encounter\"},{\"resource\":\"Observation\"}],\"canFilterBy\":["
        "{\"resource\":\"Encounter\",\"filterParameter\":\"class\"},{\"filterParameter\":\"patient\"},"
        "{\"filterParameter\":\"date\"},{\"resource\":\"Observation\",\"filterParameter\":\"code\"},{\"filterParameter\":\"subject\"}]}"};
    struct cdx_topics *topics = world_topics(json, 1);

    for (size_t i = 0; i < CDX_COUNT(filters); i++) {
        struct cdx_sub *sub = world_sub("s", filters[i].filter);
        struct cdx_err err = {0};
        enum cdx_code rc = cdx_topics_accepts(topics, sub, &err);
        CU_ASSERT_EQUAL(rc, filters[i].says == NULL ? CDX_OK : CDX_INPUT);
        if (filters[i].says != NULL && strstr(err.text, filters[i].says) == NULL) {
            fprintf(stderr, "%s: %s\n", filters[i].filter, err.text);
            CU_FAIL("the reason is not told");
        }
        cdx_sub_unref(sub);
    }
    cdx_topics_unref(topics);
}

/* criteria `url|version`: that version; without: any (subscriptions.md 1.2). */
static void the_topic_is_found_by_url_and_version(void)
{
    static const char *const json[] = {HEAD "\"version\":\"1.0.0\"," ENC "}"};
    static const struct {
        const char *criteria;
        enum cdx_code rc;
    } asked[] = {
        {TOPIC, CDX_OK},
        {TOPIC "|1.0.0", CDX_OK},
        {TOPIC "|2.0.0", CDX_INPUT},
        {TOPIC "/", CDX_INPUT},
        {"https://topics.example.org/other", CDX_INPUT},
    };
    struct cdx_topics *topics = world_topics(json, 1);

    for (size_t i = 0; i < CDX_COUNT(asked); i++) {
        struct cdx_sub *sub = world_sub_of("s", asked[i].criteria, NULL, 0, "");
        struct cdx_err err = {0};
        CU_ASSERT_EQUAL(cdx_topics_accepts(topics, sub, &err), asked[i].rc);
        if (asked[i].rc != CDX_OK)
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, TOPIC)); /* the topics that there are */
        cdx_sub_unref(sub);
    }
    cdx_topics_unref(topics);
}

static CU_TestInfo tests[] = {
    {"a topic is understood whole or refused", a_topic_is_understood_whole_or_refused},
    {"the same url and version twice is refused", the_same_url_and_version_twice_is_refused},
    {"every triggering type needs state", every_triggering_type_needs_state},
    {"a subscription is understood whole or refused",
     a_subscription_is_understood_whole_or_refused},
    {"the topic is found by url and version", the_topic_is_found_by_url_and_version},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_match_topics = {.pName = "match/topics", .pTests = tests};
