/*
 * tests/unit/notify/sample.h -- one change of an Encounter, ready to render.
 * Shared by the suites of this folder and the samples for the validator.
 */
#ifndef TESTS_NOTIFY_SAMPLE_H
#define TESTS_NOTIFY_SAMPLE_H

#include <stdlib.h>

#include "core/arena.h"
#include "core/digest.h"
#include "fhir/json.h"
#include "model/change.h"
#include "model/logrec.h"
#include "model/record.h"
#include "model/subscription.h"
#include "notify/notify.h"

#define SAMPLE_BASE "https://ehr.example.org/fhir"
#define SAMPLE_API "https://gateway.example.org/fhir/r4"
#define SAMPLE_TOPIC "https://gateway.example.org/SubscriptionTopic/encounter-start"

/* What a dumper would change: decimals, spaces, escapes, the order of members, the last line break. */
#define SAMPLE_RESOURCE                                                                                   \
    "{ \"resourceType\" : \"Encounter\",\n\t\"id\":\"e1\",\"meta\":{\"versionId\":\"3\","                 \
    "\"lastUpdated\":\"2030-05-01T11:59:58Z\"},\r\n  \"status\":\"in-progress\","                         \
    "\"class\":{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"IMP\"},"       \
    "\"subject\":{\"reference\":\"Patient/p1\",\"display\":\"Zo\\u00eb \\\"Z\\\" \xc3\x84rzt\\/in\"},"    \
    "\"length\":{\"value\":1.00,\"unit\":\"h\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"h\"}," \
    "\"extension\":[{\"url\":\"https://ehr.example.org/score\",\"valueDecimal\":0.10},"                   \
    "{\"url\":\"https://ehr.example.org/load\",\"valueDecimal\":1E+2}] }"

struct sample {
    struct cdx_arena *arena;
    struct cdx_json json;
    struct cdx_record rec;
    struct cdx_change change;
    struct cdx_text member;
    struct cdx_render render;
    char sha256[65];
};

/* Around the resource stand bytes that are not its own. Points into itself: not to be copied. */
static inline void sample_init(struct sample *s)
{
    static const char value[] = " \n" SAMPLE_RESOURCE "\n ";
    struct cdx_text bytes = CDX_LIT(value);

    *s = (struct sample){.arena = cdx_arena_create(1u << 20, NULL)};
    if (s->arena == NULL || cdx_json_parse(bytes.p, bytes.n, s->arena, &s->json, NULL) != CDX_OK ||
        cdx_sha256_hex(bytes.p, bytes.n, s->sha256, NULL) != CDX_OK)
        abort();
    s->rec = (struct cdx_record){.topic = CDX_LIT("ehr.fhir"),
                                 .partition = 7,
                                 .offset = 182044,
                                 .timestamp_ms = 1903867198000,
                                 .value = bytes};
    s->change = (struct cdx_change){
        .interaction = CDX_UPDATE,
        .base = CDX_LIT(SAMPLE_BASE),
        .type = CDX_LIT("Encounter"),
        .id = CDX_LIT("e1"),
        .version = CDX_LIT("3"),
        .updated = CDX_LIT("2030-05-01T11:59:58Z"),
        .event_ms = 1903867198000, /* date -u -d 2030-05-01T11:59:58Z +%s */
        .json = &s->json,
    };
    s->member = CDX_LIT(SAMPLE_BASE "/Patient/p1");
    s->render = (struct cdx_render){
        .rec = &s->rec,
        .record_sha256 = s->sha256,
        .cluster = "bus.example.org",
        .change = &s->change,
        .interaction = CDX_UPDATE,
        .members = &s->member,
        .members_n = 1,
        .author = {"Organization/hospital", "General Hospital"},
        .transmitter = {"Organization/gateway", "Health Information Gateway"},
        .base = SAMPLE_API,
    };
}

static inline void sample_fini(struct sample *s)
{
    cdx_arena_destroy(s->arena);
}

/* The change became a deletion: no body. */
static inline void sample_delete(struct sample *s)
{
    s->change.interaction = s->render.interaction = CDX_DELETE;
    s->change.json = NULL;
    s->change.version = s->change.updated = cdx_text(NULL, 0);
}

/* Rendered as flow does it, and read as stage 2 does it; `rec` looks into `log`. */
static inline void sample_log(const struct sample *s, int level, const char *withheld,
                              struct cdx_buf *log, struct cdx_logrec *rec)
{
    cdx_buf_init(log, 1u << 20);
    cdx_buf_add_z(log, "cdx1\ni 12\n");
    if (cdx_notify_render(&s->render, level, withheld, log, NULL) != CDX_OK ||
        cdx_logrec_parse(cdx_buf_text(log), rec, NULL) != CDX_OK)
        abort();
}

static inline struct cdx_sub sample_sub(enum cdx_level_of_content level)
{
    static char id[] = "sub-1", topic[] = SAMPLE_TOPIC;

    return (struct cdx_sub){
        .refs = 1, .id = id, .topic = topic, .level = level, .incarnation = 12, .version = 12};
}

static const struct cdx_server sample_server = {.base = SAMPLE_API};

#endif
