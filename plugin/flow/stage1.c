/*
 * flow/stage1.c -- what of the source becomes what in the log, exactly once?
 *
 * In:    records of the source topics.
 * Out:   notifications, trigger state and dead letters, in one Kafka transaction with the source offsets.
 * Owns:  the source consumer, the stage 1 producer, the caches of the state partitions that belong to its source partitions.
 * Hard:  a batch that is rolled back must leave no trace. Trigger state of an open transaction lives in an overlay and goes
 *        to the cache only after the commit.
 * Not:   a thread a partition: one core's worth of matching fills the log faster than endpoints drain it; processes scale it.
 */
#include "flow/stage1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "flow/thread.h"
#include "flow/worker.h"
#include "model/conf.h"

#define VIEW_AGE_MS                                                                                \
    800 /* at most when a record is taken; below the 1 s from resource record to `active` */
#define BATCH_BYTES (16u << 20) /* produced in one transaction */

static void fail(struct cdx_stage1 *s, const char *text)
{
    snprintf(s->failed, sizeof s->failed, "%s", text);
    s->has_failed = true;
    cdx_log(CDX_ERROR, "match.ended", text, CDX_KV("instance", s->conf->instance));
}

/* -- assignment --------------------------------------------------------------------------------------------------- */

static void on_assign(void *arg, struct cdx_place *places, size_t n)
{
    struct cdx_stage1 *s = arg;

    cdx_count(CDX_C_REBALANCES, 1);
    cdx_sources_drop(s);
    cdx_group_free(s->group);
    s->group = cdx_consumer_group(s->consumer);
    while (!s->closing && !cdx_sources_load(s, places, n)) {
        s->beat = cdx_mono_ms(s->clock);
        cdx_thread_pause(&s->closing, 500);
    }
    cdx_log(CDX_INFO, "match.assigned", "", CDX_KN("partitions", n));
    s->ready = true;
}

static void forget_batch(struct cdx_stage1 *s)
{
    cdx_map_fini(&s->overlay);
    cdx_arena_reset(s->batch);
    memset(s->counts, 0, sizeof s->counts);
    s->batch_records = s->batch_bytes = 0;
    s->open = false;
    for (size_t i = 0; i < s->parts_n; i++) {
        s->parts[i].next = s->parts[i].safe;
        s->parts[i].touched = false;
    }
}

static bool commit(struct cdx_stage1 *s);

static void on_revoke(void *arg, const struct cdx_place *places, size_t n, bool lost)
{
    struct cdx_stage1 *s = arg;

    (void)places;
    if (s->open && (lost || !commit(s))) {
        if (s->open)
            cdx_producer_abort(s->producer, NULL);
        forget_batch(s);
    }
    cdx_sources_drop(s);
    cdx_group_free(s->group);
    s->group = NULL;
    cdx_log(CDX_INFO, "match.revoked", "", CDX_KN("partitions", n), CDX_KN("lost", lost));
}

/* Back to what was committed. */
static void rewind_all(struct cdx_stage1 *s)
{
    struct cdx_err err = {0};
    struct cdx_place *places = calloc(s->parts_n + 1, sizeof *places);

    forget_batch(s);
    for (size_t i = 0; places != NULL && i < s->parts_n; i++)
        places[i] = (struct cdx_place){s->parts[i].topic, s->parts[i].partition, s->parts[i].safe};
    if (places == NULL || cdx_consumer_assign(s->consumer, places, s->parts_n, &err) != CDX_OK)
        fail(s, err.text[0] != '\0' ? err.text : "out of memory");
    free(places);
}

void cdx_worker_roll_back(struct cdx_stage1 *s, const char *why)
{
    cdx_log(CDX_WARN, "match.rolled-back", why, CDX_KN("records", s->batch_records));
    cdx_count(CDX_C_TXN_ABORTS, 1);
    rewind_all(s);
}

/* -- committing --------------------------------------------------------------------------------------------------- */

static bool commit(struct cdx_stage1 *s)
{
    struct cdx_place *places = calloc(s->parts_n + 1, sizeof *places);
    struct cdx_err err = {0};
    int64_t began = cdx_mono_ms(s->clock);
    enum cdx_committed how;
    size_t n = 0;

    for (size_t i = 0; places != NULL && i < s->parts_n; i++)
        if (s->parts[i].touched)
            places[n++] =
                (struct cdx_place){s->parts[i].topic, s->parts[i].partition, s->parts[i].next};
    how = places == NULL ? cdx_producer_abort(s->producer, &err)
                         : cdx_producer_commit(s->producer, places, n, s->group, s->consumer, &err);
    free(places);
    s->open = false;
    if (how != CDX_COMMITTED) {
        cdx_worker_roll_back(s, err.text);
        return false;
    }
    if (cdx_sources_keep(s, &err) !=
        CDX_OK) /* the caches are behind the topic now: only a new fill mends them */
        fail(s, err.text);
    for (size_t i = 0; i < s->parts_n; i++)
        if (s->parts[i].touched)
            s->parts[i].safe = s->parts[i].next;
    for (int c = 0; c < CDX_COUNTERS; c++)
        if (s->counts[c] != 0)
            cdx_count((enum cdx_counter)c, s->counts[c]);
    cdx_count(CDX_C_TXN_COMMITS, 1);
    cdx_observe_ms(CDX_H_COMMIT, cdx_mono_ms(s->clock) - began);
    forget_batch(s);
    return true;
}

static bool begin(struct cdx_stage1 *s)
{
    struct cdx_err err = {0};

    if (s->open)
        return true;
    if (cdx_producer_begin(s->producer, &err) != CDX_OK) {
        cdx_log(CDX_WARN, "match.begin", err.text, CDX_KN("again_in_ms", 500));
        cdx_thread_pause(&s->closing, 500);
        return false;
    }
    s->open = true;
    s->opened_ms = cdx_mono_ms(s->clock);
    cdx_index_unref(s->index);
    cdx_topics_unref(s->topics);
    s->index = cdx_view_index(s->view);
    s->topics = cdx_view_topics(s->view);
    return true;
}

/* Source records that retention took before we read them: said aloud, and counted on from what is left. */
static void out_of_range(struct cdx_stage1 *s, struct source_part *part)
{
    struct cdx_err err = {0};
    int64_t start, end, was = part->next;

    if (s->open)
        commit(s);
    if (cdx_consumer_bounds(s->consumer, part->topic, part->partition, &start, &end, &err) !=
        CDX_OK) {
        cdx_log(CDX_WARN, "match.range", err.text, CDX_KV("topic", part->topic));
        start = was;
    } else {
        cdx_log(
            CDX_ERROR, "match.source-gap",
            "source records are gone that were not read: retention is shorter than our delay, or the topic was replaced",
            CDX_KV("topic", part->topic), CDX_KN("partition", part->partition), CDX_KN("from", was),
            CDX_KN("to", start - 1));
    }
    part->next = part->safe = start;
    rewind_all(s);
}

static void on_record(struct cdx_stage1 *s, const struct cdx_record *rec)
{
    struct source_part *part = cdx_sources_find(s, rec);

    if (part == NULL || part->source == NULL || (part->next >= 0 && rec->offset < part->next))
        return;
    while (!s->closing && !cdx_view_wait_fresh(s->view, cdx_mono_ms(s->clock) - VIEW_AGE_MS, 1000))
        s->beat = cdx_mono_ms(s->clock);
    if (s->closing || !begin(s)) {
        rewind_all(s);
        return;
    }
    s->batch_records++;
    if (!cdx_take_record(s, rec, part))
        return;
    part->next = rec->offset + 1;
    part->touched = true;
    if (rec->timestamp_ms > 0)
        cdx_observe_ms(CDX_H_LATENCY_MATCHED, cdx_wall_ms(s->clock) - rec->timestamp_ms);
}

/* -- the thread --------------------------------------------------------------------------------------------------- */

static bool join(struct cdx_stage1 *s, struct cdx_err *err)
{
    struct cdx_rebalance rebalance = {on_assign, on_revoke, s};
    char **topics = NULL;
    size_t n = 0;

    for (size_t i = 0; i < s->conf->sources_n; i++)
        n += s->conf->sources[i].topics_n;
    topics = calloc(n + 1, sizeof *topics);
    n = 0;
    for (size_t i = 0; topics != NULL && i < s->conf->sources_n; i++)
        for (size_t k = 0; k < s->conf->sources[i].topics_n; k++)
            topics[n++] = s->conf->sources[i].topics[k];
    s->consumer = topics != NULL
                      ? cdx_consumer_join(s->bus, "match", topics, n, true, &rebalance, err)
                      : NULL;
    free(topics);
    return s->consumer != NULL;
}

/* Fenced: perhaps only because the broker was away for long. What is open is rolled back and read again by the new member. */
static void join_again(struct cdx_stage1 *s, const char *why)
{
    struct cdx_err err = {0};

    if (!cdx_thread_again(&s->fenced_ms, cdx_mono_ms(s->clock))) {
        fail(s, why);
        return;
    }
    cdx_log(CDX_WARN, "match.join-again", why, CDX_KV("instance", s->conf->instance));
    if (s->open)
        cdx_producer_abort(s->producer, NULL);
    forget_batch(s);
    cdx_consumer_destroy(s->consumer);
    s->consumer = NULL;
    cdx_sources_drop(s);
    s->ready = false;
    while (!s->closing && !join(s, &err)) {
        cdx_log(CDX_WARN, "match.open", err.text, CDX_KN("again_in_ms", 1000));
        err = (struct cdx_err){0};
        cdx_thread_pause(&s->closing, 1000);
    }
}

static void turn(struct cdx_stage1 *s)
{
    struct cdx_err err = {0};
    struct cdx_message m;
    int64_t now = cdx_mono_ms(s->clock);
    int64_t left = s->open ? s->opened_ms + s->conf->commit_ms - now : 200;
    enum cdx_polled what;

    s->beat = now;
    if (s->open && (left <= 0 || s->batch_records >= (size_t)s->conf->batch_records ||
                    s->batch_bytes >= BATCH_BYTES)) {
        commit(s);
        cdx_thread_cpu(CDX_C_CPU_MATCH_US);
        return;
    }
    what = cdx_consumer_poll(s->consumer, (int)left, &m, &err);
    if (what == CDX_POLL_RECORD) {
        on_record(s, &m.rec);
        cdx_message_done(&m);
    } else if (what == CDX_POLL_OUT_OF_RANGE) {
        struct source_part *part = cdx_sources_find(s, &m.rec);
        if (part != NULL)
            out_of_range(s, part);
    } else if (what == CDX_POLL_FATAL) {
        join_again(s, err.text);
    }
}

static bool open_all(struct cdx_stage1 *s, struct cdx_err *err)
{
    if (s->producer == NULL &&
        (s->producer = cdx_producer_create(s->bus, "match", true, err)) == NULL)
        return false;
    if (s->loader == NULL && (s->loader = cdx_consumer_open(
                                  s->bus, "state", (struct cdx_prefetch){16384, 10}, err)) == NULL)
        return false;
    s->state_partitions =
        cdx_consumer_partitions(s->loader, cdx_bus_topic(s->bus, CDX_T_TRIGGER_STATE), err);
    if (s->state_partitions == 0)
        return false;
    return join(s, err);
}

static void *run(void *arg)
{
    struct cdx_stage1 *s = arg;
    struct cdx_err err = {0};

    cdx_thread_name("cdx-match");
    while (!s->closing && !open_all(s, &err)) {
        s->beat = cdx_mono_ms(s->clock);
        cdx_log(CDX_WARN, "match.open", err.text, CDX_KN("again_in_ms", 1000));
        err = (struct cdx_err){0};
        cdx_thread_pause(&s->closing, 1000);
    }
    while (!s->closing && !s->has_failed)
        turn(s);
    if (s->open && !s->has_failed)
        commit(s);
    cdx_consumer_close(s->consumer);
    s->ready = false;
    return NULL;
}

struct cdx_stage1 *cdx_stage1_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                     struct cdx_view *view, const struct cdx_clock *clock,
                                     struct cdx_err *err)
{
    struct cdx_stage1 *s = calloc(1, sizeof *s);

    if (s == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: stage 1");
        return NULL;
    }
    s->conf = conf;
    s->bus = bus;
    s->view = view;
    s->clock = clock;
    s->fenced_ms = INT64_MIN;
    s->random = (uint64_t)cdx_wall_ms(clock) * 2654435761u + 88172645463325252u;
    s->event = cdx_arena_create(CDX_MAX_ARENA_BYTES, err);
    s->batch = cdx_arena_create(CDX_MAX_ARENA_BYTES, err);
    for (size_t i = 0; i < CDX_COUNT(s->levels); i++)
        cdx_buf_init(&s->levels[i], CDX_MAX_BODY_BYTES);
    cdx_buf_init(&s->value, CDX_MAX_BODY_BYTES);
    if (s->event != NULL && s->batch != NULL)
        return s;
    cdx_stage1_destroy(s);
    return NULL;
}

enum cdx_code cdx_stage1_start(struct cdx_stage1 *s, struct cdx_err *err)
{
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return cdx_fail(err, CDX_NOMEM, "flow: match thread");
    s->started = true;
    return CDX_OK;
}

void cdx_stage1_close(struct cdx_stage1 *s)
{
    s->closing = true;
}

void cdx_stage1_join(struct cdx_stage1 *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
}

void cdx_stage1_destroy(struct cdx_stage1 *s)
{
    if (s == NULL)
        return;
    cdx_consumer_destroy(s->consumer);
    cdx_consumer_destroy(s->loader);
    cdx_producer_destroy(s->producer);
    cdx_sources_drop(s);
    cdx_group_free(s->group);
    cdx_index_unref(s->index);
    cdx_topics_unref(s->topics);
    cdx_map_fini(&s->overlay);
    cdx_arena_destroy(s->event);
    cdx_arena_destroy(s->batch);
    for (size_t i = 0; i < CDX_COUNT(s->levels); i++)
        cdx_buf_fini(&s->levels[i]);
    cdx_buf_fini(&s->value);
    free(s);
}

bool cdx_stage1_ready(const struct cdx_stage1 *s)
{
    return s->ready;
}

int64_t cdx_stage1_beat_ms(const struct cdx_stage1 *s)
{
    return s->beat;
}

const char *cdx_stage1_failed(const struct cdx_stage1 *s)
{
    return s->has_failed ? s->failed : "";
}
