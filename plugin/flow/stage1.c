/*
 * flow/stage1.c -- what of the source becomes what in the log, exactly once?
 *
 * In:    records of the source topics.
 * Out:   notifications, trigger state and dead letters, in one Kafka transaction with the source offsets.
 * Owns:  the source consumer, the stage 1 producer, the caches of the state partitions that belong to its source partitions.
 * Hard:  a batch that is rolled back must leave no trace. Trigger state of an open transaction lives in an overlay and goes
 *        to the cache only after the commit; a record whose failure shows half-way is remembered, the batch is rolled
 *        back, and the record becomes a dead letter when it comes again: a record is wholly in the log or wholly not.
 * Not:   a thread a partition: one core's worth of matching fills the log faster than endpoints drain it; processes scale it.
 */
#include "flow/stage1.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/digest.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/map.h"
#include "decode/decode.h"
#include "flow/deadletter.h"
#include "flow/thread.h"
#include "flow/trace.h"
#include "flow/view.h"
#include "match/match.h"
#include "model/change.h"
#include "model/conf.h"
#include "model/record.h"
#include "notify/notify.h"
#include "state/trigger.h"

#define VIEW_AGE_MS 800        /* at most when a record is taken; below the 1 s from resource record to `active` */
#define BATCH_BYTES (8u << 20) /* produced in one transaction */
#define COMMITTED_MS 40000     /* a transaction that nobody ends holds the answer up to 20 s */
#define STATE_READ_MS 30000

/* One source partition of ours. */
struct source_part {
    char *topic;      /* owned */
    int32_t partition;
    int64_t next;     /* offset to read next */
    int64_t safe;     /* the same as of the last commit; CDX_BEGINNING: nothing was committed */
    const struct cdx_source *source; /* borrowed from the configuration */
    struct state_part *state;        /* borrowed */
    bool touched;     /* `next` moved in this transaction */
};

/* One partition of cdex.trigger-state that belongs to source partitions of ours. */
struct state_part {
    int32_t partition;
    struct cdx_trigger *cache; /* owned */
    struct state_part *next;
    bool open;                 /* a cache transaction is open (while committing) */
};

/* A trigger state of the open transaction. */
struct pending {
    struct cdx_text key, value; /* in the batch's arena; value.p NULL: deleted */
    struct state_part *part;
};

/* A record that cannot be taken; found half-way, dealt with when it comes again. */
struct poison {
    bool set;
    char topic[250];
    int32_t partition;
    int64_t offset;
    struct cdx_err err;
    const char *stage, *klass;
};

struct cdx_stage1 {
    const struct cdx_conf *conf;   /* borrowed, as the next three */
    struct cdx_bus *bus;
    struct cdx_view *view;
    const struct cdx_clock *clock;
    pthread_t thread;
    bool started;
    atomic_bool closing, ready;
    _Atomic int64_t beat;
    char failed[CDX_ERR_TEXT_BYTES];
    atomic_bool has_failed;

    /* match thread only */
    struct cdx_consumer *consumer;
    struct cdx_consumer *loader;   /* reads state partitions */
    struct cdx_producer *producer;
    struct cdx_group *group;       /* owned; taken at assign, of this assignment only: what is asked later may be of a newer generation */
    int32_t state_partitions;
    struct source_part *parts;     /* owned */
    size_t parts_n;
    struct state_part *states;     /* owned list */
    struct cdx_index *index;       /* reference; of this batch */
    struct cdx_topics *topics;     /* reference; of this batch */
    struct cdx_arena *event, *batch;
    struct cdx_map overlay;        /* struct pending by key */
    struct cdx_buf levels[3];      /* one rendering a payload level, of the change at hand */
    struct cdx_buf value;
    bool open;                     /* a transaction */
    int64_t opened_ms;
    size_t batch_records, batch_bytes;
    struct poison poison;
    uint64_t random;
    /* counts of the open transaction; they become true with the commit */
    uint64_t counts[CDX_COUNTERS];
};

static void fail(struct cdx_stage1 *s, const char *text)
{
    snprintf(s->failed, sizeof s->failed, "%s", text);
    s->has_failed = true;
    cdx_log(CDX_ERROR, "match.ended", text, CDX_KV("instance", s->conf->instance));
}

/* -- source and state partitions ---------------------------------------------------------------------------------- */

static bool names_source(const struct cdx_source *source, const char *topic)
{
    for (size_t i = 0; i < source->topics_n; i++)
        if (source->topics[i][0] == '^' ? cdx_topic_matches(source->topics[i], topic) : strcmp(source->topics[i], topic) == 0)
            return true;
    return false;
}

static const struct cdx_source *source_of(const struct cdx_conf *conf, const char *topic)
{
    for (size_t i = 0; i < conf->sources_n; i++)
        if (names_source(&conf->sources[i], topic))
            return &conf->sources[i];
    return NULL;
}

/* Which state partition belongs to a source partition: a function of its name only, so every process agrees. */
static int32_t state_partition_of(const struct cdx_stage1 *s, const char *topic, int32_t partition)
{
    char name[300];
    int n = snprintf(name, sizeof name, "%s/%d", topic, (int)partition);

    return cdx_partition_of(cdx_text(name, (size_t)n), s->state_partitions);
}

static void drop_states(struct cdx_stage1 *s)
{
    while (s->states != NULL) {
        struct state_part *next = s->states->next;
        cdx_trigger_close(s->states->cache);
        free(s->states);
        s->states = next;
    }
    for (size_t i = 0; i < s->parts_n; i++)
        free(s->parts[i].topic);
    free(s->parts);
    s->parts = NULL;
    s->parts_n = 0;
}

struct filling {
    struct cdx_trigger *cache;
    struct cdx_err *err;
};

static bool fill_one(void *arg, const struct cdx_record *rec)
{
    struct filling *f = arg;

    return rec->key.p == NULL || cdx_trigger_put(f->cache, rec->key, rec->value, f->err) == CDX_OK;
}

/* Brings a cache up to the end of its state partition. */
static enum cdx_code fill(struct cdx_stage1 *s, struct state_part *sp, struct cdx_err *err)
{
    struct cdx_place place = {cdx_bus_topic(s->bus, CDX_T_TRIGGER_STATE), sp->partition, cdx_trigger_filled(sp->cache)};
    struct filling f = {sp->cache, err};
    int64_t start, end;
    enum cdx_code rc = cdx_consumer_bounds(s->loader, place.topic, place.partition, &start, &end, err);

    if (rc == CDX_OK && (place.offset > end || (place.offset > 0 && place.offset < start)))
        rc = cdx_trigger_clear(sp->cache, err), place.offset = start; /* another topic, or one cut below us */
    if (rc == CDX_OK && place.offset < start)
        place.offset = start;
    if (rc == CDX_OK)
        rc = cdx_trigger_begin(sp->cache, err);
    if (rc == CDX_OK)
        rc = cdx_consumer_read_all(s->loader, &place, 1, STATE_READ_MS, fill_one, &f, err);
    if (rc == CDX_OK)
        rc = cdx_trigger_commit(sp->cache, place.offset, cdx_wall_ms(s->clock), err);
    return rc;
}

static struct state_part *state_part(struct cdx_stage1 *s, int32_t partition, struct cdx_err *err)
{
    struct state_part *sp = s->states;

    while (sp != NULL && sp->partition != partition)
        sp = sp->next;
    if (sp != NULL)
        return sp;
    sp = calloc(1, sizeof *sp);
    if (sp == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: state partition");
        return NULL;
    }
    sp->partition = partition;
    sp->cache = cdx_trigger_open(s->conf->data_dir, partition, cdx_wall_ms(s->clock), err);
    if (sp->cache == NULL || fill(s, sp, err) != CDX_OK) {
        cdx_trigger_close(sp->cache);
        free(sp);
        return NULL;
    }
    sp->next = s->states;
    s->states = sp;
    return sp;
}

/* -- assignment --------------------------------------------------------------------------------------------------- */

/* Committed offsets, then the state partitions to their ends. False: try again. */
static bool load(struct cdx_stage1 *s, struct cdx_place *places, size_t n)
{
    struct cdx_err err = {0};
    bool ok = cdx_consumer_committed(s->consumer, places, n, COMMITTED_MS, &err) == CDX_OK;

    s->parts = calloc(n + 1, sizeof *s->parts);
    ok = ok && s->parts != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        struct source_part *part = &s->parts[s->parts_n++];
        part->topic = strdup(places[i].topic);
        part->partition = places[i].partition;
        part->source = source_of(s->conf, places[i].topic);
        if (places[i].offset == CDX_NONE)
            places[i].offset = CDX_BEGINNING;
        part->next = part->safe = places[i].offset;
        part->state = state_part(s, state_partition_of(s, places[i].topic, places[i].partition), &err);
        ok = part->topic != NULL && part->state != NULL;
    }
    if (!ok) {
        cdx_log(CDX_WARN, "match.load", err.text, CDX_KN("partitions", n));
        drop_states(s);
    }
    return ok;
}

static void on_assign(void *arg, struct cdx_place *places, size_t n)
{
    struct cdx_stage1 *s = arg;

    cdx_count(CDX_C_REBALANCES, 1);
    drop_states(s);
    cdx_group_free(s->group);
    s->group = cdx_consumer_group(s->consumer);
    while (!s->closing && !load(s, places, n)) {
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
    drop_states(s);
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

static void roll_back(struct cdx_stage1 *s, const char *why)
{
    cdx_log(CDX_WARN, "match.rolled-back", why, CDX_KN("records", s->batch_records));
    cdx_count(CDX_C_TXN_ABORTS, 1);
    rewind_all(s);
}

/* -- committing --------------------------------------------------------------------------------------------------- */

/* The overlay becomes the caches' truth. */
static void keep_states(struct cdx_stage1 *s)
{
    struct cdx_err err = {0};
    size_t i = 0;
    struct pending *p;

    while ((p = cdx_map_next(&s->overlay, &i)) != NULL) {
        if (!p->part->open && cdx_trigger_begin(p->part->cache, &err) == CDX_OK)
            p->part->open = true;
        if (p->part->open && cdx_trigger_put(p->part->cache, p->key, p->value, &err) != CDX_OK)
            break;
    }
    for (struct state_part *sp = s->states; sp != NULL; sp = sp->next) {
        if (sp->open && cdx_trigger_commit(sp->cache, -1, cdx_wall_ms(s->clock), &err) != CDX_OK)
            break;
        sp->open = false;
    }
    if (err.code != CDX_OK) /* the cache is behind the topic now: only a new fill mends it */
        fail(s, err.text);
}

static bool commit(struct cdx_stage1 *s)
{
    struct cdx_place *places = calloc(s->parts_n + 1, sizeof *places);
    struct cdx_err err = {0};
    int64_t began = cdx_mono_ms(s->clock);
    enum cdx_committed how;
    size_t n = 0;

    for (size_t i = 0; places != NULL && i < s->parts_n; i++)
        if (s->parts[i].touched)
            places[n++] = (struct cdx_place){s->parts[i].topic, s->parts[i].partition, s->parts[i].next};
    how = places == NULL ? cdx_producer_abort(s->producer, &err) : cdx_producer_commit(s->producer, places, n, s->group, s->consumer, &err);
    free(places);
    s->open = false;
    if (how != CDX_COMMITTED) {
        roll_back(s, err.text);
        return false;
    }
    keep_states(s);
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

/* -- one record --------------------------------------------------------------------------------------------------- */

static enum cdx_code send(struct cdx_stage1 *s, const struct cdx_out *out, struct cdx_err *err)
{
    s->batch_bytes += out->value.n + out->key.n + 64;
    return cdx_producer_send(s->producer, out, err);
}

/* The original bytes and headers, and why. What does not fit the topic goes without its value, with size and hash. */
static enum cdx_code bury(struct cdx_stage1 *s, const struct cdx_record *rec, const char *stage, const char *klass, const char *text, struct cdx_err *err)
{
    struct cdx_deadletter_texts texts;
    struct cdx_header *headers = cdx_arena_alloc(s->event, (rec->headers_n + CDX_DEADLETTER_HEADERS) * sizeof *headers);
    bool fits = rec->value.n + rec->key.n + 65536 < CDX_MAX_MESSAGE_BYTES;
    char trace[CDX_TRACEPARENT_BYTES], note[100] = "";
    int64_t now = cdx_wall_ms(s->clock);
    struct cdx_deadletter d = {.stage = stage, .klass = klass, .error = cdx_text_z(text), .first_ms = now, .last_ms = now, .attempts = 1,
                               .src_topic = rec->topic, .src_partition = rec->partition, .src_offset = rec->offset, .src_ms = rec->timestamp_ms};
    struct cdx_out out = {CDX_T_DEAD_LETTERS, -1, rec->key, fits ? rec->value : cdx_text(NULL, 0), headers, 0, 0};

    if (headers == NULL)
        return cdx_fail(err, CDX_NOMEM, "flow: dead letter");
    if (cdx_record_header(rec, "traceparent") == NULL) {
        cdx_trace_continue(rec, &s->random, trace);
        d.traceparent = cdx_text(trace, 55);
    }
    if (!fits) {
        char hex[65];
        if (cdx_sha256_hex(rec->value.p, rec->value.n, hex, err) != CDX_OK)
            return CDX_NOMEM;
        d.note_name = CDX_LIT("cdex-dlq-omitted");
        d.note_value = cdx_text(note, (size_t)snprintf(note, sizeof note, "size=%zu sha256=%s", rec->value.n, hex));
    }
    if (rec->headers_n > 0)
        memcpy(headers, rec->headers, rec->headers_n * sizeof *headers);
    out.headers_n = rec->headers_n + cdx_deadletter_headers(&d, &texts, headers + rec->headers_n);
    s->counts[strcmp(klass, "too-large") == 0 ? CDX_C_DLQ_TOO_LARGE : CDX_C_DLQ_DECODE]++;
    cdx_log(CDX_WARN, "match.dead-letter", text, CDX_KT("topic", rec->topic), CDX_KN("partition", rec->partition), CDX_KN("offset", rec->offset),
            CDX_KV("class", klass));
    return send(s, &out, err);
}

static struct cdx_text state_key(struct cdx_stage1 *s, const struct cdx_change *c)
{
    return cdx_arena_printf(s->batch, "%.*s/%.*s/%.*s", CDX_TEXT(c->base), CDX_TEXT(c->type), CDX_TEXT(c->id));
}

/* What the trigger state knew before this change; of the open transaction first. */
static enum cdx_code look_before(struct cdx_stage1 *s, struct state_part *sp, struct cdx_text key, struct cdx_before *out, struct cdx_err *err)
{
    struct pending *p = cdx_map_get(&s->overlay, key);
    struct cdx_trigger_value v;
    struct cdx_text value = {0};
    enum cdx_code rc = CDX_OK;

    if (p != NULL)
        value = p->value;
    else
        rc = cdx_trigger_get(sp->cache, key, s->event, &value, err);
    if (rc != CDX_OK || value.p == NULL)
        return rc;
    rc = cdx_trigger_parse(value, s->event, &v, err);
    if (rc == CDX_OK)
        *out = (struct cdx_before){true, v.members, v.members_n, v.receivers, v.receivers_n};
    return rc;
}

static enum cdx_code remember(struct cdx_stage1 *s, struct state_part *sp, struct cdx_text key, const struct cdx_change *c, const struct cdx_match *m,
                              const struct cdx_header *trace, struct cdx_err *err)
{
    struct pending *p = cdx_map_get(&s->overlay, key);
    struct cdx_out out = {CDX_T_TRIGGER_STATE, sp->partition, key, cdx_text(NULL, 0), trace, 1, 0};

    if (p == NULL) {
        p = cdx_arena_zalloc(s->batch, 1, sizeof *p);
        if (p == NULL || !cdx_map_put(&s->overlay, key, p))
            return cdx_fail(err, CDX_NOMEM, "flow: trigger state");
        p->key = key;
        p->part = sp;
    }
    p->value = cdx_text(NULL, 0);
    if (m->interaction != CDX_DELETE) {
        size_t n = m->subs_n < CDX_MAX_RECEIVERS ? m->subs_n : CDX_MAX_RECEIVERS;
        struct cdx_text *receivers = cdx_arena_alloc(s->event, (n + 1) * sizeof *receivers);
        struct cdx_trigger_value v = {c->version, m->members, m->members_n, receivers, n};

        if (receivers == NULL)
            return cdx_fail(err, CDX_NOMEM, "flow: trigger state");
        for (size_t i = 0; i < n; i++)
            receivers[i] = cdx_text_z(m->subs[i]->id);
        cdx_buf_reset(&s->value);
        cdx_trigger_write(&v, &s->value);
        p->value = cdx_arena_copy(s->batch, cdx_buf_text(&s->value));
        if (p->value.p == NULL || s->value.failed)
            return cdx_fail(err, CDX_NOMEM, "flow: trigger state");
    }
    out.value = p->value;
    return send(s, &out, err);
}

static uint32_t gate_member(void *arg, struct cdx_text key)
{
    return cdx_rosters_member(arg, key);
}

static bool gate_has(void *arg, uint32_t roster, uint32_t member)
{
    return cdx_rosters_has(arg, roster, member);
}

/* One log record a subscription. The rendering below the `i` line is shared by all of one level. */
static enum cdx_code log_all(struct cdx_stage1 *s, struct cdx_render *r, const struct cdx_match *m, const struct cdx_header *trace, struct cdx_err *err)
{
    bool rendered[3] = {false}, too_large = false;

    for (size_t i = 0; i < m->subs_n; i++) {
        const struct cdx_sub *sub = m->subs[i];
        struct cdx_buf *text = &s->levels[sub->level];
        struct cdx_out out = {CDX_T_NOTIFICATIONS, sub->partition, cdx_text_z(sub->id), {0}, trace, 1, 0};

        if (!rendered[sub->level]) {
            cdx_buf_reset(text);
            if (cdx_notify_render(r, (int)sub->level, NULL, text, err) != CDX_OK)
                return err->code;
            if (text->n + 4096 > CDX_MAX_MESSAGE_BYTES) {
                cdx_buf_reset(text);
                too_large = true;
                if (cdx_notify_render(r, (int)sub->level, "too-large", text, err) != CDX_OK)
                    return err->code;
            }
            rendered[sub->level] = true;
        }
        cdx_buf_reset(&s->value);
        cdx_buf_add_z(&s->value, "cdx1\ni ");
        cdx_buf_add_i64(&s->value, sub->incarnation);
        cdx_buf_add(&s->value, "\n", 1);
        cdx_buf_add_text(&s->value, cdx_buf_text(text));
        if (s->value.failed)
            return cdx_fail(err, CDX_NOMEM, "flow: log record");
        out.value = cdx_buf_text(&s->value);
        if (send(s, &out, err) != CDX_OK)
            return err->code;
        s->counts[CDX_C_LOGGED]++;
    }
    return too_large ? bury(s, r->rec, "match", "too-large", "a notification of it is larger than the log takes; it went out without content", err) : CDX_OK;
}

static void count_why(struct cdx_stage1 *s, enum cdx_why why)
{
    static const enum cdx_counter by_why[] = {CDX_C_MATCHED, CDX_C_UNMATCHED_NO_TOPIC, CDX_C_UNMATCHED_NO_SUBSCRIPTION, CDX_C_UNMATCHED_NO_PATIENT,
                                              CDX_C_UNMATCHED_UNRESOLVED, CDX_C_UNMATCHED_NOT_MEMBER, CDX_C_UNMATCHED_UNKNOWN_DELETE};
    s->counts[by_why[why]]++;
}

static enum cdx_code take_change(struct cdx_stage1 *s, const struct cdx_record *rec, const struct source_part *part, const struct cdx_change *c,
                                 const char *sha256, const struct cdx_header *trace, struct cdx_err *err)
{
    struct cdx_gate gate = {cdx_view_rosters(s->view), gate_member, gate_has};
    struct cdx_text key = state_key(s, c);
    struct cdx_before before = {0};
    struct cdx_match m;
    bool kept = cdx_topics_needs_state(s->topics, c->type);
    struct cdx_render r = {.rec = rec, .record_sha256 = sha256, .cluster = cdx_bus_bootstrap(s->bus), .change = c,
                           .author = {part->source->org_reference, part->source->org_display},
                           .transmitter = {s->conf->org_reference, s->conf->org_display}, .base = s->conf->api_base};
    enum cdx_code rc = key.p == NULL ? cdx_fail(err, CDX_NOMEM, "flow: change") : CDX_OK;

    if (rc == CDX_OK && kept)
        rc = look_before(s, part->state, key, &before, err);
    if (rc == CDX_OK)
        rc = cdx_match(s->index, c, &before, &gate, cdx_wall_ms(s->clock), s->event, &m, err);
    if (rc != CDX_OK)
        return rc;
    r.interaction = (int)m.interaction;
    r.members = m.members;
    r.members_n = m.members_n;
    rc = log_all(s, &r, &m, trace, err);
    if (rc == CDX_OK && kept && (before.known || m.interaction != CDX_DELETE))
        rc = remember(s, part->state, key, c, &m, trace, err);
    s->counts[CDX_C_EVENTS]++;
    count_why(s, m.subs_n > 0 ? CDX_WHY_MATCHED : m.why == CDX_WHY_MATCHED ? CDX_WHY_NO_SUBSCRIPTION : m.why);
    return rc;
}

static enum cdx_code take_changes(struct cdx_stage1 *s, const struct cdx_record *rec, const struct source_part *part, struct cdx_err *err)
{
    struct cdx_changes changes;
    char trace[CDX_TRACEPARENT_BYTES], sha256[65];
    struct cdx_header header = {CDX_LIT("traceparent"), {trace, CDX_TRACEPARENT_BYTES - 1}};
    enum cdx_code rc = rec->value.n > CDX_MAX_RECORD_BYTES
                           ? cdx_fail(err, CDX_INPUT, "the record has %zu bytes, at most %u are read; send less in one record", rec->value.n, CDX_MAX_RECORD_BYTES)
                           : cdx_decode(cdx_text_z(part->source->format), rec, cdx_text_z(part->source->base), s->event, &changes, err);

    if (rc == CDX_OK)
        rc = cdx_sha256_hex(rec->value.p, rec->value.n, sha256, err);
    if (rc != CDX_OK)
        return rc;
    cdx_trace_continue(rec, &s->random, trace);
    for (size_t i = 0; rc == CDX_OK && i < changes.n; i++)
        rc = take_change(s, rec, part, &changes.items[i], sha256, &header, err);
    return rc;
}

static bool is_poison(const struct cdx_stage1 *s, const struct cdx_record *rec)
{
    return s->poison.set && s->poison.partition == rec->partition && s->poison.offset == rec->offset && cdx_text_is(rec->topic, s->poison.topic);
}

/* "<topic>/<partition>/<offset>: <text>" */
static void place_text(const struct cdx_record *rec, const char *text, char *out, size_t n)
{
    snprintf(out, n, "%.*s/%d/%lld: %s", CDX_TEXT(rec->topic), (int)rec->partition, (long long)rec->offset, text);
}

/* Takes one record into the open transaction; false: the transaction must be rolled back. */
static bool take_record(struct cdx_stage1 *s, const struct cdx_record *rec, struct source_part *part)
{
    struct cdx_err err = {0}, buried = {0};
    char text[CDX_ERR_TEXT_BYTES + 320];
    size_t before = s->batch_bytes;
    enum cdx_code rc;

    cdx_arena_reset(s->event);
    s->counts[CDX_C_SOURCE_RECORDS]++;
    if (is_poison(s, rec)) {
        rc = s->poison.err.code;
        err = s->poison.err;
        s->poison.set = false;
    } else {
        rc = take_changes(s, rec, part, &err);
    }
    if (rc == CDX_OK)
        return true;
    if (rc == CDX_REMOTE || (rc == CDX_NOMEM && s->batch_records > 1)) { /* again, in a smaller batch */
        roll_back(s, err.text);
        return false;
    }
    if (s->batch_bytes != before) { /* something of it was produced already: roll back, and bury it when it comes again */
        s->poison = (struct poison){.set = true, .partition = rec->partition, .offset = rec->offset, .err = err};
        snprintf(s->poison.topic, sizeof s->poison.topic, "%.*s", CDX_TEXT(rec->topic));
        cdx_producer_abort(s->producer, NULL);
        roll_back(s, err.text);
        return false;
    }
    place_text(rec, err.text, text, sizeof text);
    s->counts[CDX_C_EVENTS]++;
    if (bury(s, rec, "decode", rec->value.n > CDX_MAX_RECORD_BYTES ? "too-large" : "decode", text, &buried) == CDX_OK)
        return true;
    cdx_producer_abort(s->producer, NULL);
    roll_back(s, buried.text);
    return false;
}

static struct source_part *part_of(struct cdx_stage1 *s, const struct cdx_record *rec)
{
    for (size_t i = 0; i < s->parts_n; i++)
        if (s->parts[i].partition == rec->partition && cdx_text_is(rec->topic, s->parts[i].topic))
            return &s->parts[i];
    return NULL;
}

/* Source records that retention took before we read them: said aloud, and counted on from what is left. */
static void out_of_range(struct cdx_stage1 *s, struct source_part *part)
{
    struct cdx_err err = {0};
    int64_t start, end, was = part->next;

    if (s->open)
        commit(s);
    if (cdx_consumer_bounds(s->consumer, part->topic, part->partition, &start, &end, &err) != CDX_OK) {
        cdx_log(CDX_WARN, "match.range", err.text, CDX_KV("topic", part->topic));
        start = was;
    } else {
        cdx_log(CDX_ERROR, "match.source-gap", "source records are gone that were not read: retention is shorter than our delay, or the topic was replaced",
                CDX_KV("topic", part->topic), CDX_KN("partition", part->partition), CDX_KN("from", was), CDX_KN("to", start - 1));
    }
    part->next = part->safe = start;
    rewind_all(s);
}

static void on_record(struct cdx_stage1 *s, const struct cdx_record *rec)
{
    struct source_part *part = part_of(s, rec);

    if (part == NULL || part->source == NULL || (part->next >= 0 && rec->offset < part->next))
        return;
    while (!s->closing && !cdx_view_wait_fresh(s->view, cdx_mono_ms(s->clock) - VIEW_AGE_MS, 1000))
        s->beat = cdx_mono_ms(s->clock);
    if (s->closing || !begin(s)) {
        rewind_all(s);
        return;
    }
    s->batch_records++;
    if (!take_record(s, rec, part))
        return;
    part->next = rec->offset + 1;
    part->touched = true;
    if (rec->timestamp_ms > 0)
        cdx_observe_ms(CDX_H_LATENCY_MATCHED, cdx_wall_ms(s->clock) - rec->timestamp_ms);
}

/* -- the thread --------------------------------------------------------------------------------------------------- */

static void turn(struct cdx_stage1 *s)
{
    struct cdx_err err = {0};
    struct cdx_message m;
    int64_t now = cdx_mono_ms(s->clock);
    int64_t left = s->open ? s->opened_ms + s->conf->commit_ms - now : 200;
    enum cdx_polled what;

    s->beat = now;
    if (s->open && (left <= 0 || s->batch_records >= (size_t)s->conf->batch_records || s->batch_bytes >= BATCH_BYTES)) {
        commit(s);
        cdx_thread_cpu(CDX_C_CPU_MATCH_US);
        return;
    }
    what = cdx_consumer_poll(s->consumer, (int)left, &m, &err);
    if (what == CDX_POLL_RECORD) {
        on_record(s, &m.rec);
        cdx_message_done(&m);
    } else if (what == CDX_POLL_OUT_OF_RANGE) {
        struct source_part *part = part_of(s, &m.rec);
        if (part != NULL)
            out_of_range(s, part);
    } else if (what == CDX_POLL_FATAL) {
        fail(s, err.text);
    }
}

static bool open_all(struct cdx_stage1 *s, struct cdx_err *err)
{
    struct cdx_rebalance rebalance = {on_assign, on_revoke, s};
    char **topics = NULL;
    size_t n = 0;

    if (s->producer == NULL && (s->producer = cdx_producer_create(s->bus, "match", true, err)) == NULL)
        return false;
    if (s->loader == NULL && (s->loader = cdx_consumer_open(s->bus, "state", (struct cdx_prefetch){16384, 10}, err)) == NULL)
        return false;
    s->state_partitions = cdx_consumer_partitions(s->loader, cdx_bus_topic(s->bus, CDX_T_TRIGGER_STATE), err);
    if (s->state_partitions == 0)
        return false;
    for (size_t i = 0; i < s->conf->sources_n; i++)
        n += s->conf->sources[i].topics_n;
    topics = calloc(n + 1, sizeof *topics);
    n = 0;
    for (size_t i = 0; topics != NULL && i < s->conf->sources_n; i++)
        for (size_t k = 0; k < s->conf->sources[i].topics_n; k++)
            topics[n++] = s->conf->sources[i].topics[k];
    s->consumer = topics != NULL ? cdx_consumer_join(s->bus, "match", topics, n, true, &rebalance, err) : NULL;
    free(topics);
    return s->consumer != NULL;
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

struct cdx_stage1 *cdx_stage1_create(const struct cdx_conf *conf, struct cdx_bus *bus, struct cdx_view *view, const struct cdx_clock *clock, struct cdx_err *err)
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
    drop_states(s);
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
