/* tests/oom/match.c -- definitions, topics, the index: an old index serves on when a new one cannot be made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "match/definitions.h"
#include "match/match.h"
#include "model/subscription.h"
#include "oom.h"

#define BASE "https://ehr.example.org/fhir"
#define TOPIC "https://topics.example.org/t"
#define BACKPORT "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define SUBS 40

static const char topic_json[] =
    "{\"resourceType\":\"SubscriptionTopic\",\"url\":\"" TOPIC
    "\",\"status\":\"active\",\"resourceTrigger\":[{\"resource\":\"Encounter\"},"
    "{\"resource\":\"Observation\",\"supportedInteraction\":[\"create\",\"update\"]}],\"canFilterBy\":[{\"filterParameter\":\"patient\"},"
    "{\"resource\":\"Encounter\",\"filterParameter\":\"class\"},{\"resource\":\"Encounter\",\"filterParameter\":\"status\"}]}";
static const char event_json[] =
    "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"status\":\"in-progress\",\"class\":{\"system\":\"http://s\",\"code\":\"C\\u0031\"},"
    "\"subject\":{\"reference\":\"Patient/p1\"}}";

static struct cdx_definitions *defs; /* for the life of the program */
static struct cdx_sub *subs
    [SUBS]; /* likewise; made where they are used: the scenarios of model/ would see what they share */

/* A parameter is compiled or not; that it is not must not be for want of memory. */
static void print_params(const struct cdx_restype *type)
{
    for (size_t i = 0; i < type->params_n; i++)
        oom_print("%.*s %zu paths, %s\n", CDX_TEXT(type->params[i].code), type->params[i].paths_n,
                  type->params[i].reason != NULL ? type->params[i].reason : "compiled");
}

static enum cdx_code definitions_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_definitions *loaded = cdx_definitions_load(arg, &err);

    oom_check((loaded == NULL) == (err.code != CDX_OK));
    if (loaded != NULL)
        print_params(cdx_definitions_type(loaded, CDX_LIT("Encounter")));
    cdx_definitions_destroy(loaded);
    return err.code;
}

/* A topic that could not be added is not half there, and can be added later. */
static enum cdx_code topics_story(const void *arg)
{
    const struct cdx_text *file = arg;
    struct cdx_err err = {0}, later = {0};
    struct cdx_topics *topics = cdx_topics_create(defs, &err);
    enum cdx_code code;

    if (topics == NULL)
        return err.code;
    code = cdx_topics_add(topics, CDX_LIT(topic_json), "first", &err);
    if (code == CDX_OK)
        code = cdx_topics_add(topics, *file, "file", &err);
    oom_check(code == err.code);
    oom_print("%zu", cdx_topics_count(topics));
    if (code == CDX_NOMEM && cdx_topics_count(topics) == 1) {
        oom_pause();
        oom_check(cdx_topics_add(topics, *file, "file", &later) == CDX_OK &&
                  cdx_topics_count(topics) == 2);
        oom_resume();
    }
    cdx_topics_unref(topics);
    return code;
}

/* Filters of several shapes: none, one, two, values that hit and values that do not. */
static struct cdx_sub *make_sub(size_t i)
{
    static const char *const filters[] = {"patient=Patient/p1", "class=C1,C2",
                                          "status=in-progress&class=http://s|C1", "class=C9"};
    char json[2000], list[400] = "";
    struct cdx_err err = {0};
    struct cdx_sub *sub;

    if (i % 5 != 4)
        snprintf(list, sizeof list,
                 ",\"_criteria\":{\"extension\":[{\"url\":\"" BACKPORT
                 "backport-filter-criteria\",\"valueString\":\"%s%s\"}]}",
                 i % 5 == 3 ? "" : "Encounter?", filters[i % 5]);
    snprintf(
        json, sizeof json,
        "{\"resourceType\":\"Subscription\",\"id\":\"s%zu\",\"status\":\"requested\",\"criteria\":\"" TOPIC
        "\"%s,"
        "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.org/h\",\"payload\":\"application/fhir+json\","
        "\"_payload\":{\"extension\":[{\"url\":\"" BACKPORT
        "backport-payload-content\",\"valueCode\":\"id-only\"}]}}}",
        i, list);
    sub = cdx_sub_parse(cdx_text_z(json), &err);
    if (sub == NULL) {
        fprintf(stderr, "oom: %s\n", err.text);
        exit(2);
    }
    return sub;
}

static void make_subs(void)
{
    for (size_t i = 0; i < SUBS; i++)
        subs[i] = make_sub(i);
}

/* -- the index ---------------------------------------------------------------------------------------------------- */

static uint32_t gate_member(void *arg, struct cdx_text key)
{
    (void)arg;
    return cdx_text_is(key, BASE "/Patient/p1") ? 1 : UINT32_MAX;
}

static bool gate_has(void *arg, uint32_t roster, uint32_t member)
{
    (void)arg;
    return roster == 3 && member == 1;
}

/* Matches the event; how many got it, or -1 and a code. */
static enum cdx_code match_event(const struct cdx_index *index, size_t *n)
{
    static const struct cdx_gate gate = {.member = gate_member, .has = gate_has};
    static const struct cdx_before before = {0};
    struct cdx_err err = {0};
    struct cdx_arena *arena = cdx_arena_create(1u << 20, &err);
    struct cdx_change change = {.interaction = CDX_UPSERT,
                                .base = CDX_LIT(BASE),
                                .type = CDX_LIT("Encounter"),
                                .id = CDX_LIT("e1")};
    struct cdx_match match;
    struct cdx_json json;
    enum cdx_code code;

    if (arena == NULL)
        return err.code;
    code = cdx_json_parse(event_json, sizeof event_json - 1, arena, &json, &err);
    change.json = &json;
    if (code == CDX_OK)
        code = cdx_match(index, &change, &before, &gate, 0, arena, &match, &err);
    oom_check(code == err.code);
    if (code == CDX_OK)
        *n = match.subs_n;
    cdx_arena_destroy(arena);
    return code;
}

static struct cdx_topics *undisturbed_topics(void)
{
    struct cdx_topics *topics;
    struct cdx_err err = {0};

    oom_pause();
    topics = cdx_topics_create(defs, &err);
    if (topics == NULL || cdx_topics_add(topics, CDX_LIT(topic_json), "t", &err) != CDX_OK)
        abort();
    oom_resume();
    return topics;
}

static struct cdx_index *make(struct cdx_index *old, struct cdx_topics *topics, size_t from,
                              size_t to, struct cdx_err *err)
{
    static const char *const gone[] = {"s3", "s4", "not-there"};
    struct cdx_index_put put[SUBS];

    for (size_t i = from; i < to; i++)
        put[i - from] = (struct cdx_index_put){subs[i], 3};
    return cdx_index_make(old, topics, put, to - from, gone, old != NULL ? CDX_COUNT(gone) : 0,
                          err);
}

/* Twenty subscriptions, then twenty more and two gone: the first index answers as before whatever became of the second. */
static enum cdx_code index_story(const void *arg)
{
    struct cdx_topics *topics = undisturbed_topics();
    struct cdx_index *first, *second = NULL;
    struct cdx_err err = {0};
    size_t n = 0, again = 0;
    int refs = subs[0]->refs;

    (void)arg;
    first = make(NULL, topics, 0, SUBS / 2, &err);
    if (first != NULL)
        second = make(first, topics, SUBS / 2, SUBS, &err);
    oom_check((second == NULL) == (err.code != CDX_OK));
    if (first != NULL) {
        oom_pause();
        oom_check(match_event(first, &n) == CDX_OK);
        oom_check(cdx_index_count(first) == SUBS / 2);
        oom_check(second == NULL ||
                  (match_event(second, &again) == CDX_OK && cdx_index_count(second) == SUBS - 2));
        oom_resume();
    }
    oom_print("%zu %zu", n, again);
    cdx_index_unref(second);
    cdx_index_unref(first);
    cdx_topics_unref(topics);
    oom_check(subs[0]->refs == refs);
    return err.code;
}

static enum cdx_code match_story(const void *arg)
{
    struct cdx_topics *topics = undisturbed_topics();
    struct cdx_index *index;
    size_t n = 0;
    enum cdx_code code;

    (void)arg;
    oom_pause();
    index = make(NULL, topics, 0, SUBS, NULL);
    oom_resume();
    code = match_event(index, &n);
    oom_print("%zu", n);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
    return code;
}

static enum cdx_code accepts_story(const void *arg)
{
    struct cdx_topics *topics = undisturbed_topics();
    struct cdx_err err = {0};
    enum cdx_code code = CDX_OK;

    (void)arg;
    for (size_t i = 0; code == CDX_OK && i < SUBS; i++)
        code = cdx_topics_accepts(topics, subs[i], &err);
    cdx_topics_unref(topics);
    return code;
}

void oom_match(void)
{
    static struct cdx_text feed;
    struct cdx_err err = {0};

    feed = oom_file("topics/patient-data-feed.json");
    defs = cdx_definitions_load("mappings/r4", &err);
    if (defs == NULL) {
        fprintf(stderr, "oom: %s\n", err.text);
        exit(2);
    }
    oom_add(
        (struct oom_scenario){"match/definitions", definitions_story, "mappings/r4", CDX_OK, NULL});
    oom_add((struct oom_scenario){"match/topics", topics_story, &feed, CDX_OK, NULL});
    oom_add((struct oom_scenario){"match/accepts", accepts_story, NULL, CDX_OK, make_subs});
    oom_add((struct oom_scenario){"match/index", index_story, NULL, CDX_OK, make_subs});
    oom_add((struct oom_scenario){"match/match", match_story, NULL, CDX_OK, make_subs});
}

void oom_match_end(void)
{
    cdx_definitions_destroy(defs);
}
