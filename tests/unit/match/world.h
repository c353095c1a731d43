/* tests/unit/match/world.h -- a small world for the match suites: definitions, topics, subscriptions, a roster, one event. */
#ifndef CDX_TEST_MATCH_WORLD_H
#define CDX_TEST_MATCH_WORLD_H

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "match/match.h"
#include "model/subscription.h"

#define BASE "https://ehr.example.org/fhir"
#define TOPIC "https://topics.example.org/t"
#define BP "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"

/* Roster 1 holds the listed keys; a key's member id is its place. It claims to have the unknown member, whom nobody may ask for. */
struct world_roster {
    const char *keys[64];
    size_t n;
    unsigned asked; /* calls of has */
};

static inline uint32_t world_member(void *arg, struct cdx_text key)
{
    struct world_roster *r = arg;

    for (size_t i = 0; i < r->n; i++)
        if (cdx_text_is(key, r->keys[i]))
            return (uint32_t)i;
    return UINT32_MAX;
}

static inline bool world_has(void *arg, uint32_t roster, uint32_t member)
{
    struct world_roster *r = arg;

    r->asked++;
    return roster == 1 && (member < r->n || member == UINT32_MAX);
}

static inline struct cdx_definitions *world_definitions(void)
{
    static struct cdx_definitions *defs; /* of the process: never freed */
    struct cdx_err err = {0};

    if (defs == NULL)
        defs = cdx_definitions_load("mappings/r4", &err);
    if (defs == NULL) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return defs;
}

static inline struct cdx_topics *world_topics(const char *const *json, size_t n)
{
    struct cdx_err err = {0};
    struct cdx_topics *topics = cdx_topics_create(world_definitions(), &err);

    for (size_t i = 0; i < n; i++)
        if (cdx_topics_add(topics, cdx_text_z(json[i]), "test topic", &err) != CDX_OK) {
            fprintf(stderr, "%s\n", err.text);
            abort();
        }
    return topics;
}

/* A Subscription with filters, each one extension; `more` is JSON members that begin with a comma, or "". */
static inline struct cdx_sub *world_sub_of(const char *id, const char *topic,
                                           const char *const *filters, size_t n, const char *more)
{
    char json[8192], list[4096] = "";
    struct cdx_err err = {0};
    struct cdx_sub *sub;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(list + at, sizeof list - at,
                               "%s{\"url\":\"" BP
                               "backport-filter-criteria\",\"valueString\":\"%s\"}",
                               i != 0 ? "," : "", filters[i]);
    snprintf(
        json, sizeof json,
        "{\"resourceType\":\"Subscription\",\"id\":\"%s\",\"status\":\"requested\",\"criteria\":\"%s\","
        "\"_criteria\":{\"extension\":[%s]},\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.org/h\","
        "\"payload\":\"application/fhir+json\",\"_payload\":{\"extension\":[{\"url\":\"" BP
        "backport-payload-content\","
        "\"valueCode\":\"id-only\"}]}}%s}",
        id, topic, list, more);
    sub = cdx_sub_parse(cdx_text_z(json), &err);
    if (sub == NULL) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return sub;
}

/* One filter, or none when NULL. */
static inline struct cdx_sub *world_sub(const char *id, const char *filter)
{
    return world_sub_of(id, TOPIC, &filter, filter != NULL, "");
}

/* An index of these subscriptions, all with one roster; the references are taken over. */
static inline struct cdx_index *world_index(struct cdx_index *old, struct cdx_topics *topics,
                                            struct cdx_sub **subs, size_t n, uint32_t roster)
{
    struct cdx_index_put *put = calloc(n + 1, sizeof *put);
    struct cdx_err err = {0};
    struct cdx_index *index;

    for (size_t i = 0; i < n; i++)
        put[i] = (struct cdx_index_put){.sub = subs[i], .roster = roster};
    index = cdx_index_make(old, topics, put, n, NULL, 0, &err);
    if (index == NULL)
        fprintf(stderr, "%s\n", err.text);
    for (size_t i = 0; i < n; i++)
        cdx_sub_unref(subs[i]);
    free(put);
    return index;
}

/* The change of a resource in JSON (NULL: a delete); everything lives in the arena and the text. */
static inline struct cdx_change world_change(const char *type, const char *id, const char *json,
                                             struct cdx_arena *arena)
{
    struct cdx_change change = {.interaction = json != NULL ? CDX_UPSERT : CDX_DELETE,
                                .base = CDX_LIT(BASE),
                                .type = cdx_text_z(type),
                                .id = cdx_text_z(id)};
    struct cdx_err err = {0};

    if (json != NULL) {
        struct cdx_json *j = cdx_arena_alloc(arena, sizeof *j);
        if (cdx_json_parse(json, strlen(json), arena, j, &err) != CDX_OK) {
            fprintf(stderr, "%s\n", err.text);
            abort();
        }
        change.json = j;
    }
    return change;
}

/* The ids of the result, "a b c". */
static inline const char *world_ids(const struct cdx_match *match)
{
    static char text[4096];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < match->subs_n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i != 0 ? " " : "",
                               match->subs[i]->id);
    return text;
}

#endif
