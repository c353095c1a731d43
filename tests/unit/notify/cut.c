/*
 * tests/unit/notify/cut.c -- the notification Bundles that endpoints get.
 * Rules: spec subscriptions.md 1.7-1.13 and the skeletons 5.2-5.8; davinci.md 2.0, 3.3; design 4.3 (derived ids).
 * The expected UUIDs were computed with another implementation (Python's uuid.uuid5).
 */
#include <CUnit/CUnit.h>
#include <jansson.h>

#include "sample.h"

#define NOW_MS 1903867200250 /* 2030-05-01T12:00:00.250Z */
#define FOCUS SAMPLE_BASE "/Encounter/e1"
#define STATUS_URL SAMPLE_API "/Subscription/sub-1/$status"

static struct sample s;
static struct cdx_buf log_text, out;
static struct cdx_logrec rec;
static struct cdx_sub sub;
static struct cdx_uuid id;
static json_t *bundle;

/* One record at `logged` for a subscription at `wanted`. */
static void begin(enum cdx_level_of_content wanted, enum cdx_level_of_content logged)
{
    sample_init(&s);
    sample_log(&s, logged, NULL, &log_text, &rec);
    sub = sample_sub(wanted);
    cdx_buf_init(&out, 1u << 20);
}

static void render_again(enum cdx_level_of_content level, const char *withheld)
{
    cdx_buf_fini(&log_text);
    sample_log(&s, level, withheld, &log_text, &rec);
}

static void load(void)
{
    json_decref(bundle);
    bundle = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bundle);
}

static void cut(const struct cdx_event *events, size_t n)
{
    cdx_buf_reset(&out);
    CU_ASSERT_EQUAL_FATAL(cdx_notify_cut(&sample_server, &sub, events, n, &out, &id, NULL), CDX_OK);
    load();
}

static void cut_one(void)
{
    cut(&(struct cdx_event){41, NOW_MS, &rec, false}, 1);
}

static void give_signal(enum cdx_signal kind, int64_t number, enum cdx_sub_status status,
                        int64_t counted, const char *error_code)
{
    cdx_buf_reset(&out);
    CU_ASSERT_EQUAL_FATAL(cdx_notify_signal(&sample_server, &sub, kind, number, status, counted,
                                            NOW_MS, error_code, &out, &id, NULL),
                          CDX_OK);
    load();
}

static void done(void)
{
    json_decref(bundle);
    bundle = NULL;
    cdx_buf_fini(&out);
    cdx_buf_fini(&log_text);
    sample_fini(&s);
}

static json_t *get(const json_t *v, const char *path)
{
    while (v != NULL && *path != '\0') {
        char step[64];
        size_t n = strcspn(path, "/");

        CU_ASSERT_FATAL(n < sizeof step);
        memcpy(step, path, n);
        step[n] = '\0';
        v = json_is_array(v) ? json_array_get(v, strtoul(step, NULL, 10))
                             : json_object_get(v, step);
        path += n + (path[n] == '/');
    }
    return (json_t *)v;
}

/* The text at a path like "entry/0/fullUrl"; "" when there is none. */
static const char *at(const json_t *v, const char *path)
{
    v = get(v, path);
    return json_is_string(v) ? json_string_value(v) : "";
}

static size_t entries_n(void)
{
    return json_array_size(json_object_get(bundle, "entry"));
}

/* The names of parameters or parts, in their order, each behind a space. */
static void names(const json_t *list, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = at(json_array_get(list, i), "name");

        CU_ASSERT_FATAL(used + strlen(name) + 2 < size);
        text[used++] = ' ';
        memcpy(text + used, name, strlen(name));
        used += strlen(name);
    }
    text[used] = '\0';
}

static bool parameters_are(const char *expect)
{
    char text[1000];

    names(get(bundle, "entry/0/resource/parameter"), text, sizeof text);
    return strcmp(text, expect) == 0;
}

static const json_t *parameter(const char *name, size_t nth)
{
    const json_t *list = get(bundle, "entry/0/resource/parameter");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(at(json_array_get(list, i), "name"), name) == 0 && nth-- == 0)
            return json_array_get(list, i);
    return NULL;
}

static bool parts_are(size_t event, const char *expect)
{
    char text[1000];

    names(get(parameter("notification-event", event), "part"), text, sizeof text);
    return strcmp(text, expect) == 0;
}

/* What holds for all notifications: 1.8 (bdl-3, bdl-4, bdl-8, entry 0), 1.9 (inv-1). */
static void check_every_bundle(void)
{
    size_t i;
    json_t *entry;
    char text[CDX_UUID_BYTES];

    CU_ASSERT_STRING_EQUAL(at(bundle, "resourceType"), "Bundle");
    CU_ASSERT_STRING_EQUAL(at(bundle, "type"), "history");
    CU_ASSERT_STRING_EQUAL(at(bundle, "id"), cdx_uuid_text(&id, text));
    CU_ASSERT_STRING_EQUAL(
        at(bundle, "meta/profile/0"),
        "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4");
    CU_ASSERT_PTR_NULL(json_object_get(bundle, "total"));
    CU_ASSERT_STRING_EQUAL(at(bundle, "timestamp"), "2030-05-01T12:00:00.250Z");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/resource/resourceType"), "Parameters");
    CU_ASSERT_STRING_EQUAL(
        at(bundle, "entry/0/resource/meta/profile/0"),
        "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4");
    CU_ASSERT(strncmp(at(bundle, "entry/0/fullUrl"), "urn:uuid:", 9) == 0);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/fullUrl") + 9, at(bundle, "entry/0/resource/id"));
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/request/method"), "GET");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/request/url"), STATUS_URL);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/response/status"), "200");
    CU_ASSERT_STRING_EQUAL(at(parameter("subscription", 0), "valueReference/reference"),
                           SAMPLE_API "/Subscription/sub-1");
    json_array_foreach (json_object_get(bundle, "entry"), i, entry) {
        CU_ASSERT_STRING_NOT_EQUAL(at(entry, "fullUrl"), "");
        CU_ASSERT_PTR_NULL(strstr(at(entry, "fullUrl"), "/_history/"));
        CU_ASSERT_STRING_NOT_EQUAL(at(entry, "request/method"), "");
        CU_ASSERT_STRING_NOT_EQUAL(at(entry, "request/url"), "");
        CU_ASSERT_STRING_NOT_EQUAL(at(entry, "response/status"), "");
        CU_ASSERT_PTR_NULL(json_object_get(entry, "search"));
        CU_ASSERT(i == 0 || strcmp(at(entry, "resource/resourceType"), "Parameters") != 0);
    }
}

/* 5.2 */
static void handshake_has_the_skeleton_of_5_2(void)
{
    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    give_signal(CDX_HANDSHAKE, 12, CDX_REQUESTED, 0, NULL);
    check_every_bundle();
    CU_ASSERT_EQUAL(entries_n(), 1);
    CU_ASSERT(parameters_are(" subscription topic status type events-since-subscription-start"));
    CU_ASSERT_STRING_EQUAL(at(parameter("topic", 0), "valueCanonical"), SAMPLE_TOPIC);
    CU_ASSERT_STRING_EQUAL(at(parameter("status", 0), "valueCode"), "requested");
    CU_ASSERT_STRING_EQUAL(at(parameter("type", 0), "valueCode"), "handshake");
    CU_ASSERT_STRING_EQUAL(at(parameter("events-since-subscription-start", 0), "valueString"), "0");
    CU_ASSERT_STRING_EQUAL(at(bundle, "id"),
                           "9a2f9e87-45be-5afa-82fd-e007cf1b6835"); /* ...|handshake|12-12 */
    done();
}

/* 5.3; 1.7: topic by payload level; 1.9: numbers are strings */
static void heartbeat_has_the_skeleton_of_5_3(void)
{
    begin(CDX_ID_ONLY, CDX_ID_ONLY);
    give_signal(CDX_HEARTBEAT, 1903867200000, CDX_ACTIVE, 7, NULL);
    check_every_bundle();
    CU_ASSERT_EQUAL(entries_n(), 1);
    CU_ASSERT(parameters_are(" subscription topic status type events-since-subscription-start"));
    CU_ASSERT_STRING_EQUAL(at(parameter("status", 0), "valueCode"), "active");
    CU_ASSERT_STRING_EQUAL(at(parameter("type", 0), "valueCode"), "heartbeat");
    CU_ASSERT_STRING_EQUAL(at(parameter("events-since-subscription-start", 0), "valueString"), "7");
    CU_ASSERT_STRING_EQUAL(at(bundle, "id"), "a677667b-0fc0-520c-9556-cfcf30cb4a34");
    sub.level = CDX_EMPTY;
    give_signal(CDX_HEARTBEAT, 1903867200000, CDX_ACTIVE, 7, NULL);
    CU_ASSERT(parameters_are(" subscription status type events-since-subscription-start"));
    done();
}

/* 5.8 */
static void heartbeat_in_error_names_the_error(void)
{
    begin(CDX_ID_ONLY, CDX_ID_ONLY);
    give_signal(CDX_HEARTBEAT, 1, CDX_ERROR_STATUS, 14, "error-response");
    check_every_bundle();
    CU_ASSERT(
        parameters_are(" subscription topic status type events-since-subscription-start error"));
    CU_ASSERT_STRING_EQUAL(at(parameter("status", 0), "valueCode"), "error");
    CU_ASSERT_STRING_EQUAL(at(parameter("error", 0), "valueCodeableConcept/coding/0/system"),
                           "http://terminology.hl7.org/CodeSystem/subscription-error");
    CU_ASSERT_STRING_EQUAL(at(parameter("error", 0), "valueCodeableConcept/coding/0/code"),
                           "error-response");
    done();
}

/* 5.4, 1.10 and trap T5: no topic, no focus, no further entries. */
static void empty_event_has_the_skeleton_of_5_4(void)
{
    begin(CDX_EMPTY, CDX_EMPTY);
    cut_one();
    check_every_bundle();
    CU_ASSERT_EQUAL(entries_n(), 1);
    CU_ASSERT(parameters_are(
        " subscription status type events-since-subscription-start notification-event"));
    CU_ASSERT(parts_are(0, " event-number timestamp"));
    CU_ASSERT_STRING_EQUAL(at(parameter("status", 0), "valueCode"), "active");
    CU_ASSERT_STRING_EQUAL(at(parameter("type", 0), "valueCode"), "event-notification");
    CU_ASSERT_STRING_EQUAL(at(parameter("events-since-subscription-start", 0), "valueString"),
                           "41");
    CU_ASSERT_STRING_EQUAL(at(parameter("notification-event", 0), "part/0/valueString"), "41");
    CU_ASSERT_STRING_EQUAL(at(parameter("notification-event", 0), "part/1/valueInstant"),
                           "2030-05-01T11:59:58.000Z");
    done();
}

/* 5.5, 1.10: focus and an entry without resource. */
static void id_only_event_has_the_skeleton_of_5_5(void)
{
    begin(CDX_ID_ONLY, CDX_ID_ONLY);
    cut_one();
    check_every_bundle();
    CU_ASSERT_EQUAL(entries_n(), 2);
    CU_ASSERT(parameters_are(
        " subscription topic status type events-since-subscription-start notification-event"));
    CU_ASSERT(parts_are(0, " event-number timestamp focus"));
    CU_ASSERT_STRING_EQUAL(
        at(parameter("notification-event", 0), "part/2/valueReference/reference"), FOCUS);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/fullUrl"), FOCUS);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/request/url"), "Encounter/e1");
    CU_ASSERT_PTR_NULL(get(bundle, "entry/1/resource"));
    done();
}

/* 5.6 and davinci.md 7.1: every reference of the event is matched by an entry (1.10). */
static void full_event_has_the_skeletons_of_5_6_and_7_1(void)
{
    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    cut_one();
    check_every_bundle();
    CU_ASSERT_EQUAL(entries_n(), 3);
    CU_ASSERT(parameters_are(
        " subscription topic status type events-since-subscription-start notification-event"));
    CU_ASSERT(parts_are(0, " event-number timestamp focus additional-context"));
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/fullUrl"), FOCUS);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/resource/id"), "e1");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/resourceType"), "Provenance");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/fullUrl"), at(parameter("notification-event", 0),
                                                             "part/3/valueReference/reference"));
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/recorded"), "2030-05-01T12:00:00.250Z");
    done();
}

/* design 4.3 */
static void ids_are_derived_from_names(void)
{
    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    cut_one();
    CU_ASSERT_STRING_EQUAL(at(bundle, "id"), "a27e7296-5486-5934-add5-0346253da7e1");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/0/resource/id"),
                           "41b3d00d-100a-5b03-8fc7-7a46ce5ade6c");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/id"),
                           "3ff11754-0151-5746-984b-be973f708c53");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/fullUrl"),
                           "urn:uuid:3ff11754-0151-5746-984b-be973f708c53");
    done();
}

/* davinci.md 2.0 */
static void the_focus_is_the_bytes_that_came(void)
{
    static const char spliced[] =
        "{\"fullUrl\":\"" FOCUS "\",\"resource\":" SAMPLE_RESOURCE ",\"request\":";

    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    cut_one();
    CU_ASSERT_PTR_NOT_NULL(memmem(out.p, out.n, spliced, sizeof spliced - 1));
    done();
}

/* 5.7, 1.13: DELETE 204 without resource; nothing to vouch for, so no Provenance. */
static void deleted_focus_has_no_resource_and_no_provenance(void)
{
    for (int level = CDX_ID_ONLY; level <= CDX_FULL_RESOURCE; level++) {
        begin((enum cdx_level_of_content)level, CDX_EMPTY);
        sample_delete(&s);
        render_again((enum cdx_level_of_content)level, NULL);
        cut_one();
        check_every_bundle();
        CU_ASSERT_EQUAL(entries_n(), 2);
        CU_ASSERT(parts_are(0, " event-number timestamp focus"));
        CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/fullUrl"), FOCUS);
        CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/request/method"), "DELETE");
        CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/response/status"), "204");
        CU_ASSERT_PTR_NULL(get(bundle, "entry/1/resource"));
        done();
    }
}

/* 1.11, 1.12: ascending events, the counter is the highest; a resource twice keeps both versions' entries, and the
 * two Provenances differ; Bundle.timestamp is the last event's, each `recorded` its own (design 4.3). */
static void a_batch_holds_its_events_in_order(void)
{
    struct cdx_logrec second;
    struct cdx_buf second_text;

    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    s.change.version = CDX_LIT("4");
    sample_log(&s, CDX_FULL_RESOURCE, NULL, &second_text, &second);
    cut((struct cdx_event[]){{41, NOW_MS - 2, &rec, false},
                             {42, NOW_MS - 1, &rec, true},
                             {43, NOW_MS, &second, false}},
        3);
    check_every_bundle();
    CU_ASSERT_STRING_EQUAL(at(bundle, "id"),
                           "fbeb726a-4d3f-5bee-918d-6b66dd2c6fd4"); /* ...|event|41-43 */
    CU_ASSERT_STRING_EQUAL(at(parameter("events-since-subscription-start", 0), "valueString"),
                           "43");
    CU_ASSERT_STRING_EQUAL(at(parameter("notification-event", 0), "part/0/valueString"), "41");
    CU_ASSERT_STRING_EQUAL(at(parameter("notification-event", 1), "part/0/valueString"), "42");
    CU_ASSERT_STRING_EQUAL(at(parameter("notification-event", 2), "part/0/valueString"), "43");
    CU_ASSERT(parts_are(1, " event-number timestamp")); /* the bare one */
    CU_ASSERT_EQUAL_FATAL(entries_n(), 5);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/fullUrl"), FOCUS);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/1/response/etag"), "W/\"3\"");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/id"),
                           "4afb6b9d-9e57-5a90-b0e3-28303d148c53");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/target/0/reference"), FOCUS "/_history/3");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/2/resource/recorded"), "2030-05-01T12:00:00.248Z");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/3/fullUrl"), FOCUS);
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/3/response/etag"), "W/\"4\"");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/4/resource/id"),
                           "6c0c10cb-2165-51b3-9e63-6867bf156a03");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/4/resource/target/0/reference"), FOCUS "/_history/4");
    CU_ASSERT_STRING_EQUAL(at(bundle, "entry/4/resource/recorded"), "2030-05-01T12:00:00.250Z");
    for (size_t i = 0; i < 3; i += 2)
        CU_ASSERT_STRING_EQUAL(
            at(parameter("notification-event", i), "part/3/valueReference/reference"),
            at(json_array_get(json_object_get(bundle, "entry"), i + 2), "fullUrl"));
    cdx_buf_fini(&second_text);
    done();
}

/* design 4.3: same numbers, same id, same content. */
static void a_repeat_is_the_same_bytes(void)
{
    struct cdx_event event = {41, NOW_MS, &rec, false};
    struct cdx_buf again;
    struct cdx_uuid again_id;

    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    cut_one();
    cdx_buf_init(&again, 1u << 20);
    CU_ASSERT_EQUAL(cdx_notify_cut(&sample_server, &sub, &event, 1, &again, &again_id, NULL),
                    CDX_OK);
    CU_ASSERT(cdx_text_eq(cdx_buf_text(&out), cdx_buf_text(&again)));
    CU_ASSERT(memcmp(&id, &again_id, sizeof id) == 0);
    cdx_buf_fini(&again);
    done();
}

/* The lower of both (1.10): a client that asks for less gets less of what is already logged, and no byte of content;
 * one that asks for more gets no more than was logged. */
static void the_lower_level_counts(void)
{
    static const struct {
        enum cdx_level_of_content wanted, logged;
        const char *parts;
        size_t entries_n;
        bool content;
    } cases[] = {
        {CDX_EMPTY, CDX_ID_ONLY, " event-number timestamp", 1, false},
        {CDX_EMPTY, CDX_FULL_RESOURCE, " event-number timestamp", 1, false},
        {CDX_ID_ONLY, CDX_FULL_RESOURCE, " event-number timestamp focus", 1, false},
        {CDX_ID_ONLY, CDX_EMPTY, " event-number timestamp", 1, false},
        {CDX_FULL_RESOURCE, CDX_EMPTY, " event-number timestamp", 1, false},
        {CDX_FULL_RESOURCE, CDX_ID_ONLY, " event-number timestamp focus", 2, false},
        {CDX_FULL_RESOURCE, CDX_FULL_RESOURCE, " event-number timestamp focus additional-context",
         3, true},
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        begin(cases[i].wanted, cases[i].logged);
        cut_one();
        check_every_bundle();
        CU_ASSERT(parts_are(0, cases[i].parts));
        CU_ASSERT_EQUAL(entries_n(), cases[i].entries_n);
        CU_ASSERT_EQUAL(memmem(out.p, out.n, "IMP", 3) != NULL,
                        cases[i].content); /* of the Encounter */
        CU_ASSERT_EQUAL(memmem(out.p, out.n, "Provenance", 10) != NULL, cases[i].content);
        done();
    }
}

/* design 4.6: keeps its number, goes out without focus and content. */
static void bare_and_withheld_events_are_number_and_timestamp(void)
{
    for (int bare = 0; bare < 2; bare++) {
        begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
        if (!bare)
            render_again(CDX_FULL_RESOURCE, "too-large");
        cut(&(struct cdx_event){41, NOW_MS, &rec, bare}, 1);
        check_every_bundle();
        CU_ASSERT_EQUAL(entries_n(), 1);
        CU_ASSERT(parts_are(0, " event-number timestamp"));
        CU_ASSERT_PTR_NULL(memmem(out.p, out.n, "Encounter/e1", 12));
        CU_ASSERT_PTR_NULL(memmem(out.p, out.n, "IMP", 3));
        done();
    }
}

/* 1.9: additional-context parts, as absolute references. */
static void contexts_of_the_log_are_named(void)
{
    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    rec.contexts[0] = CDX_LIT(SAMPLE_BASE "/Patient/p1");
    rec.contexts_n = 1;
    cut_one();
    CU_ASSERT(parts_are(0, " event-number timestamp focus additional-context additional-context"));
    CU_ASSERT_STRING_EQUAL(
        at(parameter("notification-event", 0), "part/3/valueReference/reference"),
        SAMPLE_BASE "/Patient/p1");
    done();
}

/* FHIR R4 canonical: url|version, as the client's criteria named it. */
static void topic_keeps_the_version_that_the_client_named(void)
{
    static char version[] = "1.2.0";

    begin(CDX_ID_ONLY, CDX_ID_ONLY);
    sub.topic_version = version;
    cut_one();
    CU_ASSERT_STRING_EQUAL(at(parameter("topic", 0), "valueCanonical"), SAMPLE_TOPIC "|1.2.0");
    done();
}

static void a_bundle_is_appended(void)
{
    struct cdx_event event = {41, NOW_MS, &rec, false};

    begin(CDX_ID_ONLY, CDX_ID_ONLY);
    cdx_buf_add_z(&out, "before");
    CU_ASSERT_EQUAL(cdx_notify_cut(&sample_server, &sub, &event, 1, &out, &id, NULL), CDX_OK);
    CU_ASSERT(cdx_text_starts(cdx_buf_text(&out), CDX_LIT("before{\"resourceType\":\"Bundle\"")));
    done();
}

static void every_smaller_bound_is_out_of_memory(void)
{
    struct cdx_event event = {41, NOW_MS, &rec, false};
    size_t whole;

    begin(CDX_FULL_RESOURCE, CDX_FULL_RESOURCE);
    cut_one();
    whole = out.n;
    for (size_t max = 0; max < whole; max++) {
        struct cdx_err err = {0};

        cdx_buf_fini(&out);
        cdx_buf_init(&out, max);
        CU_ASSERT_EQUAL(cdx_notify_cut(&sample_server, &sub, &event, 1, &out, &id, &err),
                        CDX_NOMEM);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "sub-1"));
    }
    for (size_t max = 0; max < 500; max++) { /* a handshake has 800 bytes of constants alone */
        cdx_buf_fini(&out);
        cdx_buf_init(&out, max);
        CU_ASSERT_EQUAL(cdx_notify_signal(&sample_server, &sub, CDX_HANDSHAKE, 1, CDX_REQUESTED, 0,
                                          NOW_MS, NULL, &out, &id, NULL),
                        CDX_NOMEM);
    }
    done();
}

static CU_TestInfo tests[] = {
    {"handshake has the skeleton of 5.2", handshake_has_the_skeleton_of_5_2},
    {"heartbeat has the skeleton of 5.3", heartbeat_has_the_skeleton_of_5_3},
    {"heartbeat in error names the error", heartbeat_in_error_names_the_error},
    {"empty event has the skeleton of 5.4", empty_event_has_the_skeleton_of_5_4},
    {"id-only event has the skeleton of 5.5", id_only_event_has_the_skeleton_of_5_5},
    {"full event has the skeletons of 5.6 and 7.1", full_event_has_the_skeletons_of_5_6_and_7_1},
    {"ids are derived from names", ids_are_derived_from_names},
    {"the focus is the bytes that came", the_focus_is_the_bytes_that_came},
    {"deleted focus has no resource and no provenance",
     deleted_focus_has_no_resource_and_no_provenance},
    {"a batch holds its events in order", a_batch_holds_its_events_in_order},
    {"a repeat is the same bytes", a_repeat_is_the_same_bytes},
    {"the lower level counts", the_lower_level_counts},
    {"bare and withheld events are number and timestamp",
     bare_and_withheld_events_are_number_and_timestamp},
    {"contexts of the log are named", contexts_of_the_log_are_named},
    {"topic keeps the version that the client named",
     topic_keeps_the_version_that_the_client_named},
    {"a bundle is appended", a_bundle_is_appended},
    {"every smaller bound is out of memory", every_smaller_bound_is_out_of_memory},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_notify_cut = {.pName = "notify/cut", .pTests = tests};
