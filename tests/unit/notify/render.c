/*
 * tests/unit/notify/render.c -- what stage 1 writes into the log.
 * Rules: model/logrec.h (format); spec subscriptions.md 1.8, 1.10, 1.13 (entries), davinci.md 2.0 (bytes), 3.3 (stamp).
 */
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>

#include "sample.h"

static struct sample s;
static struct cdx_buf log_text;
static struct cdx_logrec rec;

static void render(int level, const char *withheld)
{
    sample_log(&s, level, withheld, &log_text, &rec);
}

static void done(void)
{
    cdx_buf_fini(&log_text);
    sample_fini(&s);
}

/* The text of an entry as the bundle shows it: behind its leading ','. Owned. */
static json_t *parsed(struct cdx_text entry)
{
    json_t *v;

    CU_ASSERT_FATAL(entry.n > 1 && entry.p[0] == ',');
    v = json_loadb(entry.p + 1, entry.n - 1, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    return v;
}

/* The Provenance entry with its gaps filled. Owned. */
static json_t *stamp(void)
{
    static const char *const gaps[] = {"ID1", "ID2", "2030-05-01T12:00:00.250Z", ""};
    struct cdx_buf text;
    json_t *v;

    cdx_buf_init(&text, 100000);
    for (size_t i = 0; i < CDX_COUNT(gaps); i++) {
        cdx_buf_add_text(&text, rec.provenance[i]);
        cdx_buf_add_z(&text, gaps[i]);
    }
    v = parsed(cdx_buf_text(&text));
    cdx_buf_fini(&text);
    return v;
}

/* The text at a path like "agent/0/who/reference"; "" when there is none. */
static const char *at(const json_t *v, const char *path)
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
    return json_is_string(v) ? json_string_value(v) : "";
}

static void header_lines_stand_in_their_order(void)
{
    static const char head[] =
        "cdx1\ni 12\nl i\nt 2030-05-01T11:59:58.000Z\nf https://ehr.example.org/fhir/Encounter/e1\n"
        "m https://ehr.example.org/fhir/Patient/p1\ns ehr.fhir/7/182044/5\ne ";

    sample_init(&s);
    s.change.index = 5;
    render(CDX_ID_ONLY, NULL);
    CU_ASSERT(cdx_text_starts(cdx_buf_text(&log_text), CDX_LIT(head)));
    done();
}

/* subscriptions.md 1.8: created POST Type 201, updated PUT Type/id 200; 1.13: deleted DELETE Type/id 204. */
static void each_interaction_has_its_request_and_response(void)
{
    static const struct {
        int interaction;
        const char *method, *url, *status;
    } cases[] = {
        {CDX_CREATE, "POST", "Encounter", "201"},
        {CDX_UPDATE, "PUT", "Encounter/e1", "200"},
        {CDX_DELETE, "DELETE", "Encounter/e1", "204"},
    };

    for (int level = CDX_ID_ONLY; level <= CDX_FULL_RESOURCE; level++)
        for (size_t i = 0; i < CDX_COUNT(cases); i++) {
            sample_init(&s);
            s.render.interaction = cases[i].interaction;
            render(level, NULL);
            json_auto_t *entry = parsed(rec.entries);
            CU_ASSERT_STRING_EQUAL(at(entry, "fullUrl"),
                                   "https://ehr.example.org/fhir/Encounter/e1");
            CU_ASSERT_STRING_EQUAL(at(entry, "request/method"), cases[i].method);
            CU_ASSERT_STRING_EQUAL(at(entry, "request/url"), cases[i].url);
            CU_ASSERT_STRING_EQUAL(at(entry, "response/status"), cases[i].status);
            done();
        }
}

/* subscriptions.md 1.10: id-only entries never have a resource; 1.13: neither has a delete, at any level. */
static void only_full_resource_has_content(void)
{
    for (int level = CDX_ID_ONLY; level <= CDX_FULL_RESOURCE; level++)
        for (int interaction = CDX_CREATE; interaction <= CDX_DELETE; interaction++) {
            sample_init(&s);
            s.render.interaction = interaction;
            render(level, NULL);
            json_auto_t *entry = parsed(rec.entries);
            bool content = level == CDX_FULL_RESOURCE && interaction != CDX_DELETE;
            CU_ASSERT_EQUAL(json_object_get(entry, "resource") != NULL, content);
            CU_ASSERT_EQUAL(rec.provenance[0].n != 0,
                            content); /* nothing sent, nothing to vouch for */
            done();
        }
}

/* subscriptions.md 1.10: empty has no further entries. What stage 2 decides by (focus, members) stays in the log. */
static void empty_has_no_entries(void)
{
    sample_init(&s);
    render(CDX_EMPTY, NULL);
    CU_ASSERT_EQUAL(rec.level, CDX_EMPTY);
    CU_ASSERT_EQUAL(rec.entries.n, 0);
    CU_ASSERT_EQUAL(rec.provenance[0].n, 0);
    CU_ASSERT_EQUAL(rec.members_n, 1);
    CU_ASSERT(cdx_text_is(rec.focus, "https://ehr.example.org/fhir/Encounter/e1"));
    done();
}

static void withheld_content_is_not_in_the_log(void)
{
    sample_init(&s);
    render(CDX_FULL_RESOURCE, "too-large");
    CU_ASSERT(cdx_text_is(rec.withheld, "too-large"));
    CU_ASSERT_EQUAL(rec.entries.n, 0);
    CU_ASSERT_EQUAL(rec.provenance[0].n, 0);
    CU_ASSERT_PTR_NULL(memmem(log_text.p, log_text.n, "resource", 8));
    done();
}

/* davinci.md 2.0: never parsed and written again. */
static void the_focus_is_the_bytes_that_came(void)
{
    static const char spliced[] = "\"resource\":" SAMPLE_RESOURCE ",\"request\":";

    sample_init(&s);
    render(CDX_FULL_RESOURCE, NULL);
    CU_ASSERT_PTR_NOT_NULL(memmem(rec.entries.p, rec.entries.n, spliced, sizeof spliced - 1));
    done();
}

/* subscriptions.md 1.8: etag W/"version" and lastModified (an instant) where known. */
static void response_tells_version_and_time_where_known(void)
{
    static const struct {
        const char *version, *updated, *etag, *last_modified;
    } cases[] = {
        {"3", "2030-05-01T11:59:58Z", "W/\"3\"", "2030-05-01T11:59:58Z"},
        {"3", "2030-05-01T11:59:58.123456+02:00", "W/\"3\"", "2030-05-01T11:59:58.123456+02:00"},
        {"", "", "", ""},
        {"3", "2030-05-01", "W/\"3\"", ""},          /* a dateTime, no instant */
        {"3", "2030-05-01T11:59:58", "W/\"3\"", ""}, /* without zone */
        {"0/16B3748\"", "2030-05-01T11:59:58Z", "", "2030-05-01T11:59:58Z"}, /* no FHIR id */
    };

    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        sample_init(&s);
        s.change.version = cdx_text_z(cases[i].version);
        s.change.updated = cdx_text_z(cases[i].updated);
        render(CDX_ID_ONLY, NULL);
        json_auto_t *entry = parsed(rec.entries);
        CU_ASSERT_STRING_EQUAL(at(entry, "response/etag"), cases[i].etag);
        CU_ASSERT_STRING_EQUAL(at(entry, "response/lastModified"), cases[i].last_modified);
        CU_ASSERT_EQUAL(json_object_get(json_object_get(entry, "response"), "etag") != NULL,
                        cases[i].etag[0] != '\0');
        done();
    }
}

/* davinci.md 3.3, column "exchange stamp". */
static void provenance_is_the_exchange_stamp(void)
{
    sample_init(&s);
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    json_t *p = json_object_get(entry, "resource");
    CU_ASSERT_STRING_EQUAL(at(entry, "fullUrl"), "urn:uuid:ID1");
    CU_ASSERT_STRING_EQUAL(at(entry, "request/method"), "POST");
    CU_ASSERT_STRING_EQUAL(at(entry, "request/url"), "Provenance");
    CU_ASSERT_STRING_EQUAL(at(entry, "response/status"), "201");
    CU_ASSERT_STRING_EQUAL(at(p, "resourceType"), "Provenance");
    CU_ASSERT_STRING_EQUAL(at(p, "id"), "ID2");
    CU_ASSERT_STRING_EQUAL(
        at(p, "meta/profile/0"),
        "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-provenance");
    CU_ASSERT_STRING_EQUAL(at(p, "target/0/reference"),
                           "https://ehr.example.org/fhir/Encounter/e1/_history/3");
    CU_ASSERT_STRING_EQUAL(at(p, "occurredDateTime"), "2030-05-01T11:59:58.000Z");
    CU_ASSERT_STRING_EQUAL(at(p, "recorded"), "2030-05-01T12:00:00.250Z");
    CU_ASSERT_STRING_EQUAL(at(p, "activity/coding/0/system"),
                           "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle");
    CU_ASSERT_STRING_EQUAL(at(p, "activity/coding/0/code"), "transmit");
    CU_ASSERT_PTR_NULL(json_object_get(p, "signature"));
    done();
}

/* davinci.md 3.2: author and transmitter of US Core 7; 3.3: the transmitter with both codings, no assembler. */
static void provenance_names_author_and_transmitter(void)
{
    sample_init(&s);
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    json_t *agents = json_object_get(json_object_get(entry, "resource"), "agent");
    CU_ASSERT_EQUAL(json_array_size(agents), 2);
    CU_ASSERT_STRING_EQUAL(at(agents, "0/type/coding/0/system"),
                           "http://terminology.hl7.org/CodeSystem/provenance-participant-type");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/type/coding/0/code"), "author");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/who/reference"),
                           "https://ehr.example.org/fhir/Organization/hospital");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/who/display"), "General Hospital");
    CU_ASSERT_STRING_EQUAL(
        at(agents, "1/type/coding/0/system"),
        "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type");
    CU_ASSERT_STRING_EQUAL(at(agents, "1/type/coding/0/code"), "transmitter");
    CU_ASSERT_STRING_EQUAL(at(agents, "1/type/coding/1/system"),
                           "http://terminology.hl7.org/CodeSystem/provenance-participant-type");
    CU_ASSERT_STRING_EQUAL(at(agents, "1/type/coding/1/code"), "transmitter");
    CU_ASSERT_STRING_EQUAL(at(agents, "1/who/reference"),
                           "https://gateway.example.org/fhir/r4/Organization/gateway");
    done();
}

/* davinci.md 3.3: entity source = Kafka coordinates, with the record's SHA-256 (of the whole value, spaces included). */
static void provenance_names_the_record_by_place_and_content(void)
{
    char hash[100];

    sample_init(&s);
    snprintf(hash, sizeof hash, "nih:sha-256;%s", s.sha256);
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    json_t *entities = json_object_get(json_object_get(entry, "resource"), "entity");
    CU_ASSERT_EQUAL(json_array_size(entities), 2);
    CU_ASSERT_STRING_EQUAL(at(entities, "0/role"), "source");
    CU_ASSERT_STRING_EQUAL(at(entities, "0/what/identifier/system"), "urn:ietf:rfc:3986");
    CU_ASSERT_STRING_EQUAL(at(entities, "0/what/identifier/value"),
                           "kafka://bus.example.org/ehr.fhir/7/182044");
    CU_ASSERT_STRING_EQUAL(at(entities, "1/role"), "source");
    CU_ASSERT_STRING_EQUAL(at(entities, "1/what/identifier/system"), "urn:ietf:rfc:3986");
    CU_ASSERT_STRING_EQUAL(at(entities, "1/what/identifier/value"), hash);
    done();
}

/* davinci.md 3.3: versioned when versionId is known. */
static void provenance_target_without_version_is_the_focus(void)
{
    sample_init(&s);
    s.change.version = cdx_text(NULL, 0);
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    CU_ASSERT_STRING_EQUAL(at(entry, "resource/target/0/reference"),
                           "https://ehr.example.org/fhir/Encounter/e1");
    done();
}

static void absolute_organizations_stay_as_configured(void)
{
    sample_init(&s);
    s.render.author = (struct cdx_organization){"https://npd.example.org/Organization/1", NULL};
    s.render.transmitter =
        (struct cdx_organization){"urn:oid:2.16.840.1.113883.3.1", "A \"quoted\"\nname"};
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    json_t *agents = json_object_get(json_object_get(entry, "resource"), "agent");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/who/reference"), "https://npd.example.org/Organization/1");
    CU_ASSERT_PTR_NULL(
        json_object_get(json_object_get(json_array_get(agents, 0), "who"), "display"));
    CU_ASSERT_STRING_EQUAL(at(agents, "1/who/reference"), "urn:oid:2.16.840.1.113883.3.1");
    CU_ASSERT_STRING_EQUAL(at(agents, "1/who/display"), "A \"quoted\"\nname");
    done();
}

/* R4 Provenance.agent.who is 1..1 and may be a display alone. */
static void an_organization_without_reference_is_its_display(void)
{
    sample_init(&s);
    s.render.author = (struct cdx_organization){NULL, "General Hospital"};
    s.render.transmitter = (struct cdx_organization){NULL, NULL};
    render(CDX_FULL_RESOURCE, NULL);
    json_auto_t *entry = stamp();
    json_t *agents = json_object_get(json_object_get(entry, "resource"), "agent");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/who/display"), "General Hospital");
    CU_ASSERT_STRING_EQUAL(at(agents, "0/who/reference"), "");
    CU_ASSERT_STRING_NOT_EQUAL(at(agents, "1/who/display"), "");
    done();
}

/* A line break would let content speak as a header line: another member, another focus. */
static void what_would_break_a_line_is_refused(void)
{
    struct cdx_err err = {0};
    struct cdx_buf out;

    sample_init(&s);
    cdx_buf_init(&out, 100000);
    s.member = CDX_LIT("p1\nm SECRET");
    CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, &err), CDX_INPUT);
    CU_ASSERT_PTR_NULL(strstr(err.text, "SECRET"));
    s.member = CDX_LIT("");
    CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL), CDX_INPUT);
    s.member = CDX_LIT("p1");
    s.change.id = CDX_LIT("e1\nm p2");
    CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL), CDX_INPUT);
    cdx_buf_fini(&out);
    sample_fini(&s);
}

static void more_members_than_a_record_holds_are_refused(void)
{
    struct cdx_text members[CDX_MAX_LOG_MEMBERS + 1];
    struct cdx_buf out;

    sample_init(&s);
    for (size_t i = 0; i < CDX_COUNT(members); i++)
        members[i] = CDX_LIT("p");
    s.render.members = members;
    s.render.members_n = CDX_MAX_LOG_MEMBERS;
    render(CDX_FULL_RESOURCE, NULL);
    CU_ASSERT_EQUAL(rec.members_n, CDX_MAX_LOG_MEMBERS);
    s.render.members_n++;
    cdx_buf_init(&out, 100000);
    CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL), CDX_INPUT);
    cdx_buf_fini(&out);
    done();
}

static void every_smaller_bound_is_out_of_memory(void)
{
    struct cdx_buf out;
    size_t whole;

    sample_init(&s);
    cdx_buf_init(&out, 100000);
    CU_ASSERT_EQUAL_FATAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL),
                          CDX_OK);
    whole = out.n;
    for (size_t max = 0; max < whole; max++) {
        cdx_buf_fini(&out);
        cdx_buf_init(&out, max);
        CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL),
                        CDX_NOMEM);
    }
    cdx_buf_fini(&out);
    cdx_buf_init(&out, whole);
    CU_ASSERT_EQUAL(cdx_notify_render(&s.render, CDX_FULL_RESOURCE, NULL, &out, NULL), CDX_OK);
    cdx_buf_fini(&out);
    sample_fini(&s);
}

static CU_TestInfo tests[] = {
    {"header lines stand in their order", header_lines_stand_in_their_order},
    {"each interaction has its request and response",
     each_interaction_has_its_request_and_response},
    {"only full-resource has content", only_full_resource_has_content},
    {"empty has no entries", empty_has_no_entries},
    {"withheld content is not in the log", withheld_content_is_not_in_the_log},
    {"the focus is the bytes that came", the_focus_is_the_bytes_that_came},
    {"response tells version and time where known", response_tells_version_and_time_where_known},
    {"provenance is the exchange stamp", provenance_is_the_exchange_stamp},
    {"provenance names author and transmitter", provenance_names_author_and_transmitter},
    {"provenance names the record by place and content",
     provenance_names_the_record_by_place_and_content},
    {"provenance target without version is the focus",
     provenance_target_without_version_is_the_focus},
    {"absolute organizations stay as configured", absolute_organizations_stay_as_configured},
    {"an organization without reference is its display",
     an_organization_without_reference_is_its_display},
    {"what would break a line is refused", what_would_break_a_line_is_refused},
    {"more members than a record holds are refused", more_members_than_a_record_holds_are_refused},
    {"every smaller bound is out of memory", every_smaller_bound_is_out_of_memory},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_notify_render = {.pName = "notify/render", .pTests = tests};
