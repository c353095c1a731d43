/*
 * bench/match.c -- what does one event cost, and what does one more subscription weigh?
 *
 * Subscriptions on the shipped patient-data-feed topic, each for one patient, every fourth for its laboratory results
 * only. Events are Observations of 2 KB of random patients who are subscribed to, so that each is found. One column is
 * cdx_match alone, the other reads the JSON too; the patient's number is written into its bytes just before.
 * The bar (design.md 5): an event at a million subscriptions costs at most 1.5 times what it costs at a thousand.
 * Usage: match [--json] from the repository's root.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/arena.h"
#include "match/match.h"
#include "model/conf.h"
#include "model/subscription.h"

#define BASE "https://ehr.example.org/fhir"
#define TOPIC "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"
#define BP "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define EVENTS 20000
#define ROUNDS 10

struct result {
    size_t n;
    double build_ms, replace_ms;
    double match_us, event_us;     /* cdx_match; reading the JSON and cdx_match */
    double index_bytes, sub_bytes; /* a subscription */
    size_t shortfall;              /* events that did not find just what they should */
};

/* An event whose patient is written anew each time. */
struct event {
    struct cdx_text text;
    struct cdx_json json;
    struct cdx_change change;
    char *digits; /* of the patient's number, seven */
};

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static uint64_t dice_state = 7;

static size_t dice(size_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((dice_state >> 20) % n);
}

static uint32_t member(void *arg, struct cdx_text key)
{
    (void)arg;
    return (uint32_t)key.n;
}

static bool has(void *arg, uint32_t roster, uint32_t id)
{
    (void)arg;
    return roster == 1 && id != 0;
}

static const struct cdx_gate gate = {.member = member, .has = has};

static struct cdx_sub *make_sub(size_t i)
{
    char json[2048];
    struct cdx_err err = {0};
    struct cdx_sub *sub;

    snprintf(
        json, sizeof json,
        "{\"resourceType\":\"Subscription\",\"id\":\"%08zx-5a1e-4000-8000-00000000cafe\",\"meta\":{\"tag\":[{\"system\":"
        "\"urn:cdex:client\",\"code\":\"payer-a\"}]},\"status\":\"requested\",\"criteria\":\"" TOPIC
        "\",\"_criteria\":"
        "{\"extension\":[{\"url\":\"" BP
        "backport-filter-criteria\",\"valueString\":\"patient=Patient/%zu%s\"}]},"
        "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://hooks.payer-a.example.com/fhir/notifications\",\"payload\":"
        "\"application/fhir+json\",\"_payload\":{\"extension\":[{\"url\":\"" BP
        "backport-payload-content\",\"valueCode\":"
        "\"id-only\"}]},\"header\":[\"Authorization: Bearer 0123456789abcdef0123456789abcdef\"]}}",
        i, i + 1000000, i % 4 == 3 ? "&category=laboratory" : "");
    sub = cdx_sub_parse(cdx_text_z(json), &err);
    if (sub == NULL)
        die(err.text);
    return sub;
}

/* What else such a result carries. */
#define REST_OF(n)                                                                                                   \
    ",\"x" n                                                                                                         \
    "\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation\",\"code\":\"H\"}],\"y" n  \
    "\":[{\"low\":{\"value\":4.0,\"unit\":\"%%\",\"system\":\"http://unitsofmeasure.org\"},\"high\":{\"value\":5.6," \
    "\"system\":\"http://unitsofmeasure.org\"},\"text\":\"4.0-5.6\"}],\"z" n                                         \
    "\":[{\"use\":\"official\",\"value\":\"00471\"}]"

static void make_event(struct event *e, bool laboratory, struct cdx_arena *arena)
{
    struct cdx_err err = {0};
    struct cdx_text text;

    text = e->text = cdx_arena_printf(
        arena,
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"meta\":{\"versionId\":\"1\",\"lastUpdated\":\"2030-05-01T12:00:00Z\"},"
        "\"status\":\"final\",\"category\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/observation-category\","
        "\"code\":\"%s\"}]}],\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"4548-4\",\"display\":\"Hemoglobin A1c\"},"
        "{\"system\":\"urn:oid:1.2.3\",\"code\":\"A1C\"}],\"text\":\"Hemoglobin A1c\"},\"subject\":{\"reference\":\"Patient/1000000\"},"
        "\"encounter\":{\"reference\":\"Encounter/77\"},\"performer\":[{\"reference\":\"Practitioner/5\"}],"
        "\"valueQuantity\":{\"value\":6.3,\"unit\":\"%%\"}" REST_OF("1") REST_OF("2") REST_OF("3")
            REST_OF("4") "}",
        laboratory ? "laboratory" : "vital-signs");
    if (text.p == NULL || cdx_json_parse(text.p, text.n, arena, &e->json, &err) != CDX_OK)
        die(err.text);
    e->digits = strstr((char *)(uintptr_t)text.p, "Patient/") +
                strlen("Patient/"); /* the arena's own copy */
    e->change = (struct cdx_change){.interaction = CDX_UPSERT,
                                    .base = CDX_LIT(BASE),
                                    .type = CDX_LIT("Observation"),
                                    .id = CDX_LIT("o"),
                                    .json = &e->json};
}

static void write_patient(struct event *e, size_t patient)
{
    for (size_t i = 7; i-- > 0; patient /= 10)
        e->digits[i] = (char)('0' + patient % 10);
}

/* Microseconds an event. */
static double time_events(const struct cdx_index *index, bool read, struct result *r)
{
    struct cdx_arena *keep = cdx_arena_create(1u << 20, NULL),
                     *arena = cdx_arena_create(1u << 20, NULL);
    struct cdx_err err = {0};
    struct event events[2];
    double best = 1e9;

    if (keep == NULL || arena == NULL)
        die("out of memory");
    for (size_t i = 0; i < 2; i++)
        make_event(&events[i], i == 1, keep);
    for (size_t round = 0; round < ROUNDS; round++) {
        double start = now_ms(), took;
        for (size_t i = 0; i < EVENTS; i++) {
            size_t patient = dice(r->n), laboratory = i % 2;
            struct event *e = &events[laboratory];
            struct cdx_match match;
            write_patient(e, patient + 1000000);
            cdx_arena_reset(arena);
            if ((read && cdx_json_parse(e->text.p, e->text.n, arena, &e->json, &err) != CDX_OK) ||
                cdx_match(index, &e->change, NULL, &gate, 0, arena, &match, &err) != CDX_OK)
                die(err.text);
            r->shortfall += match.subs_n != (patient % 4 != 3 || laboratory);
        }
        took = now_ms() - start;
        if (took < best)
            best = took;
    }
    cdx_arena_destroy(arena);
    cdx_arena_destroy(keep);
    return best * 1e3 / EVENTS;
}

static struct result run(struct cdx_topics *topics, size_t n)
{
    struct result r = {.n = n};
    struct cdx_index_put *put = calloc(n, sizeof *put);
    struct cdx_err err = {0};
    struct cdx_index *index, *next;
    double start;

    if (put == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++) {
        put[i] = (struct cdx_index_put){.sub = make_sub(i), .roster = 1};
        r.sub_bytes += (double)malloc_usable_size(put[i].sub) +
                       sizeof(size_t); /* one block, and malloc's word */
    }
    start = now_ms();
    index = cdx_index_make(NULL, topics, put, n, NULL, 0, &err);
    r.build_ms = now_ms() - start;
    if (index == NULL)
        die(err.text);
    r.sub_bytes /= (double)n;
    r.index_bytes = (double)cdx_index_bytes(index) / (double)n;
    start = now_ms();
    next = cdx_index_make(index, topics, put, 1, NULL, 0, &err);
    r.replace_ms = now_ms() - start;
    if (next == NULL)
        die(err.text);
    r.match_us = time_events(next, false, &r);
    r.event_us = time_events(next, true, &r);
    cdx_index_unref(index);
    cdx_index_unref(next);
    for (size_t i = 0; i < n; i++)
        cdx_sub_unref(put[i].sub);
    free(put);
    return r;
}

static void print(const struct result *r, bool json)
{
    if (json)
        printf(
            "{\"subscriptions\":%zu,\"build_ms\":%.1f,\"replace_one_ms\":%.3f,\"match_us\":%.3f,\"event_us\":%.3f,\"index_bytes\":%.1f,"
            "\"subscription_bytes\":%.1f,\"wrong\":%zu}\n",
            r->n, r->build_ms, r->replace_ms, r->match_us, r->event_us, r->index_bytes,
            r->sub_bytes, r->shortfall);
    else
        printf("%13zu %10.1f %14.3f %10.3f %10.3f %12.1f %12.1f %6zu\n", r->n, r->build_ms,
               r->replace_ms, r->match_us, r->event_us, r->index_bytes, r->sub_bytes, r->shortfall);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1000, 100000, 1000000};
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0, failed = false;
    struct cdx_err err = {0};
    struct cdx_definitions *defs = cdx_definitions_load("mappings/r4", &err);
    struct cdx_topics *topics = defs != NULL ? cdx_topics_create(defs, &err) : NULL;
    size_t n;
    char *text = cdx_file_read("topics/patient-data-feed.json", 1 << 20, &n, &err);

    if (topics == NULL || text == NULL ||
        cdx_topics_add(topics, cdx_text(text, n), "patient-data-feed.json", &err) != CDX_OK)
        die(err.text);
    free(text);
    if (!json)
        printf("%13s %10s %14s %10s %10s %12s %12s %6s\n", "subscriptions", "build ms",
               "replace one ms", "match us", "read+match", "index bytes", "sub bytes", "wrong");
    for (size_t i = 0; i < CDX_COUNT(sizes); i++) {
        struct result r = run(topics, sizes[i]);
        print(&r, json);
        failed = failed || r.shortfall != 0;
    }
    cdx_topics_unref(topics);
    cdx_definitions_destroy(defs);
    return failed;
}
