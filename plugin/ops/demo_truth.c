/*
 * ops/demo_truth.c -- has every payer heard of exactly what it must hear of?
 *
 * In:    the feed, the payers' rosters and topics; what arrived.
 * Out:   how many events were due, came, are missing or too many, and whether they came in each patient's order and unchanged.
 * Owns:  the lists of what was due.
 *
 * An event is due to a payer when its topic is triggered by the type and its roster holds the patient; a delete names nobody
 * and is due to whoever was due the version before. Between patients the order is free (their records lie in different
 * partitions), so arrivals are laid to the queue of their patient. Not the gateway's counters: they would agree with
 * themselves.
 */
#include "ops/demo_truth.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/map.h"
#include "model/conf.h"
#include "ops/demo_feed.h"

/* -- what is due -------------------------------------------------------------------------------------------------- */

static bool triggers(const struct cdx_demo_topic *topic, const char *type)
{
    for (size_t i = 0; i < topic->types_n; i++)
        if (strcmp(topic->types[i], type) == 0)
            return true;
    return false;
}

static bool is_member(const struct cdx_demo_payer *payer, const struct cdx_demo_feed *feed,
                      const char *patient)
{
    for (size_t i = payer->members_from; i < payer->members_to && i < feed->members_n; i++)
        if (feed->members[i] == patient) /* the feed has one spelling of each */
            return true;
    return false;
}

/* `had`: references whose last version was due to this payer. */
static bool is_due(const struct cdx_demo_payer *payer, const struct cdx_demo_topic *topic,
                   const struct cdx_demo_feed *feed, const struct cdx_demo_event *ev,
                   struct cdx_map *had, bool *nomem)
{
    bool due;

    if (ev->text == NULL)
        return cdx_map_take(had, cdx_text_z(ev->reference)) != NULL;
    due = triggers(topic, ev->type) && ev->patient != NULL && is_member(payer, feed, ev->patient);
    if (!due)
        cdx_map_take(had, cdx_text_z(ev->reference));
    else if (!cdx_map_put(had, cdx_text_z(ev->reference), (void *)ev))
        *nomem = true;
    return due;
}

static bool add_payer(struct cdx_demo_truth *truth, size_t payer,
                      const struct cdx_demo_topic *topic, const struct cdx_demo_feed *feed,
                      bool *matched)
{
    struct cdx_map had = {0};
    bool nomem = false;

    truth->due[payer] = calloc(feed->events_n + 1, sizeof *truth->due[payer]);
    for (size_t i = 0; truth->due[payer] != NULL && i < feed->events_n; i++)
        if (is_due(&cdx_demo_payers[payer], topic, feed, &feed->events[i], &had, &nomem)) {
            truth->due[payer][truth->due_n[payer]++] = i;
            matched[i] = true;
        }
    cdx_map_fini(&had);
    return truth->due[payer] != NULL && !nomem;
}

enum cdx_code cdx_demo_truth_init(struct cdx_demo_truth *truth, const struct cdx_demo_feed *feed,
                                  const char *root, struct cdx_err *err)
{
    bool *matched = calloc(feed->events_n + 1, sizeof *matched);
    enum cdx_code rc = matched != NULL ? CDX_OK : cdx_fail(err, CDX_NOMEM, "demo: events");

    *truth = (struct cdx_demo_truth){.matched = 0};
    for (size_t p = 0; rc == CDX_OK && p < CDX_DEMO_PAYERS; p++) {
        struct cdx_demo_topic topic;
        rc = cdx_demo_topic_read(root, cdx_demo_payers[p].topic, &topic, err);
        if (rc == CDX_OK && !add_payer(truth, p, &topic, feed, matched))
            rc = cdx_fail(err, CDX_NOMEM, "demo: events");
        cdx_demo_topic_fini(&topic);
    }
    for (size_t i = 0; rc == CDX_OK && i < feed->events_n; i++)
        truth->matched += matched[i];
    truth->unmatched = feed->events_n - truth->matched;
    free(matched);
    return rc;
}

void cdx_demo_truth_fini(struct cdx_demo_truth *truth)
{
    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++)
        free(truth->due[p]);
}

/* -- what came ---------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Nearest rank. */
static int64_t rank(const int64_t *sorted, size_t n, size_t percent)
{
    return n > 0 ? sorted[(n * percent + 99) / 100 - 1] : -1;
}

/* The reference of a focus: the base is the hospital's. NULL: another base. */
static const char *relative(const char *focus)
{
    size_t n = sizeof CDX_DEMO_BASE - 1;

    return strncmp(focus, CDX_DEMO_BASE "/", n + 1) == 0 ? focus + n + 1 : NULL;
}

/* The next event that is due about this focus' patient, which must be about the focus itself. `met`: by place in due. */
static const struct cdx_demo_event *claim(const struct cdx_demo_truth *truth,
                                          const struct cdx_demo_feed *feed, size_t payer,
                                          const char *focus, bool *met)
{
    const char *reference = relative(focus), *patient = NULL;

    for (size_t i = 0; reference != NULL && i < truth->due_n[payer]; i++) {
        const struct cdx_demo_event *ev = &feed->events[truth->due[payer][i]];
        if (strcmp(ev->reference, reference) == 0)
            patient = ev->patient;
    }
    for (size_t i = 0; patient != NULL && i < truth->due_n[payer]; i++) {
        const struct cdx_demo_event *ev = &feed->events[truth->due[payer][i]];
        if (met[i] || ev->patient != patient)
            continue;
        met[i] = strcmp(ev->reference, reference) == 0;
        return met[i] ? ev : NULL;
    }
    return NULL;
}

/* Does the notification hold the resource, byte for byte? It must with full-resource, and must not otherwise. */
static bool is_altered(const struct cdx_demo_event *ev, const struct cdx_demo_arrival *arrival,
                       size_t payer)
{
    bool wanted = strcmp(cdx_demo_payers[payer].level, "full-resource") == 0, held;
    size_t n = 0;
    char *body =
        arrival->file != NULL ? cdx_file_read(arrival->file, CDX_MAX_BODY_BYTES, &n, NULL) : NULL;

    held = body != NULL && ev->text != NULL && memmem(body, n, ev->text, strlen(ev->text)) != NULL;
    free(body);
    return body == NULL || (ev->text != NULL && held != wanted);
}

enum cdx_code cdx_demo_truth_judge(const struct cdx_demo_truth *truth,
                                   const struct cdx_demo_feed *feed, struct cdx_demo_sink *sink,
                                   size_t payer, struct cdx_demo_verdict *out, struct cdx_err *err)
{
    size_t n, took_n = 0;
    const struct cdx_demo_arrival *arrivals = cdx_demo_sink_arrivals(sink, payer, &n);
    bool *met = calloc(truth->due_n[payer] + 1, sizeof *met);
    int64_t *took_ms = calloc(n + 1, sizeof *took_ms);
    bool with_focus = strcmp(cdx_demo_payers[payer].level, "empty") != 0;
    struct cdx_demo_seen seen;

    if (met == NULL || took_ms == NULL) {
        free(met);
        free(took_ms);
        return cdx_fail(err, CDX_NOMEM, "demo: arrivals");
    }
    cdx_demo_sink_seen(sink, payer, &seen);
    *out = (struct cdx_demo_verdict){.expected = (int64_t)truth->due_n[payer],
                                     .delivered = seen.delivered,
                                     .repeats = seen.repeats,
                                     .gaps = seen.highest - seen.delivered,
                                     .out_of_order = seen.out_of_order,
                                     .broken = seen.broken,
                                     .handshakes = seen.handshakes,
                                     .notifications = seen.notifications};
    for (size_t i = 0; i < n; i++) {
        const struct cdx_demo_event *ev;
        if (arrivals[i].repeat)
            continue;
        ev = with_focus && arrivals[i].focus != NULL
                 ? claim(truth, feed, payer, arrivals[i].focus, met)
                 : NULL;
        if (ev != NULL) {
            took_ms[took_n++] = arrivals[i].at_ms - ev->fed_ms;
            out->altered += is_altered(ev, &arrivals[i], payer);
        }
        out->wrong += with_focus ? ev == NULL : arrivals[i].focus != NULL;
    }
    out->lost = out->expected > out->delivered ? out->expected - out->delivered : 0;
    out->surplus = out->delivered > out->expected ? out->delivered - out->expected : 0;
    qsort(took_ms, took_n, sizeof *took_ms, by_value);
    out->p50_ms = rank(took_ms, took_n, 50);
    out->p99_ms = rank(took_ms, took_n, 99);
    free(met);
    free(took_ms);
    return CDX_OK;
}

bool cdx_demo_verdict_ok(const struct cdx_demo_verdict *v)
{
    return v->expected == v->delivered && v->gaps == 0 && v->lost == 0 && v->surplus == 0 &&
           v->wrong == 0 && v->altered == 0 && v->out_of_order == 0 && v->broken == 0;
}
