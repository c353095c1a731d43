/*
 * flow/take.c -- one source record: decoded, matched, rendered, remembered; or buried as a dead letter.
 *
 * In:    a record and the open transaction.
 * Out:   log records, trigger state and dead letters in that transaction.
 * Hard:  a record is wholly in the log or wholly not. When its failure shows after something of it was produced, it is
 *        remembered as poison and the transaction is rolled back; when it comes again it is buried at once.
 */
#include "flow/worker.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/digest.h"
#include "core/limits.h"
#include "core/log.h"
#include "decode/decode.h"
#include "flow/deadletter.h"
#include "flow/trace.h"
#include "model/change.h"
#include "model/conf.h"
#include "model/record.h"
#include "notify/notify.h"

static enum cdx_code send(struct cdx_stage1 *s, const struct cdx_out *out, struct cdx_err *err)
{
    s->batch_bytes += out->value.n + out->key.n + 64;
    return cdx_producer_send(s->producer, out, err);
}

/* The original bytes and headers, and why. What does not fit the topic goes without its value, with size and hash. */
static enum cdx_code bury(struct cdx_stage1 *s, const struct cdx_record *rec, const char *stage,
                          const char *klass, const char *text, struct cdx_err *err)
{
    struct cdx_deadletter_texts texts;
    struct cdx_header *headers =
        cdx_arena_alloc(s->event, (rec->headers_n + CDX_DEADLETTER_HEADERS) * sizeof *headers);
    bool fits = rec->value.n + rec->key.n + 65536 < CDX_MAX_MESSAGE_BYTES;
    char trace[CDX_TRACEPARENT_BYTES], note[100] = "";
    int64_t now = cdx_wall_ms(s->clock);
    struct cdx_deadletter d = {.stage = stage,
                               .klass = klass,
                               .error = cdx_text_z(text),
                               .first_ms = now,
                               .last_ms = now,
                               .attempts = 1,
                               .src_topic = rec->topic,
                               .src_partition = rec->partition,
                               .src_offset = rec->offset,
                               .src_ms = rec->timestamp_ms};
    struct cdx_out out = {
        CDX_T_DEAD_LETTERS, -1, rec->key, fits ? rec->value : cdx_text(NULL, 0), headers, 0, 0};

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
        d.note_value = cdx_text(
            note, (size_t)snprintf(note, sizeof note, "size=%zu sha256=%s", rec->value.n, hex));
    }
    if (rec->headers_n > 0)
        memcpy(headers, rec->headers, rec->headers_n * sizeof *headers);
    out.headers_n = rec->headers_n + cdx_deadletter_headers(&d, &texts, headers + rec->headers_n);
    s->counts[strcmp(klass, "too-large") == 0 ? CDX_C_DLQ_TOO_LARGE : CDX_C_DLQ_DECODE]++;
    cdx_log(CDX_WARN, "match.dead-letter", text, CDX_KT("topic", rec->topic),
            CDX_KN("partition", rec->partition), CDX_KN("offset", rec->offset),
            CDX_KV("class", klass));
    return send(s, &out, err);
}

static struct cdx_text state_key(struct cdx_stage1 *s, const struct cdx_change *c)
{
    return cdx_arena_printf(s->batch, "%.*s/%.*s/%.*s", CDX_TEXT(c->base), CDX_TEXT(c->type),
                            CDX_TEXT(c->id));
}

/* What the trigger state knew before this change; of the open transaction first. */
static enum cdx_code look_before(struct cdx_stage1 *s, struct state_part *sp, struct cdx_text key,
                                 struct cdx_before *out, struct cdx_err *err)
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

static enum cdx_code remember(struct cdx_stage1 *s, struct state_part *sp, struct cdx_text key,
                              const struct cdx_change *c, const struct cdx_match *m,
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
static enum cdx_code log_all(struct cdx_stage1 *s, struct cdx_render *r, const struct cdx_match *m,
                             const struct cdx_header *trace, struct cdx_err *err)
{
    bool rendered[3] = {false}, too_large = false;

    for (size_t i = 0; i < m->subs_n; i++) {
        const struct cdx_sub *sub = m->subs[i];
        struct cdx_buf *text = &s->levels[sub->level];
        struct cdx_out out = {
            CDX_T_NOTIFICATIONS, sub->partition, cdx_text_z(sub->id), {0}, trace, 1, 0};

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
    return too_large
               ? bury(
                     s, r->rec, "match", "too-large",
                     "a notification of it is larger than the log takes; it went out without content",
                     err)
               : CDX_OK;
}

static void count_why(struct cdx_stage1 *s, enum cdx_why why)
{
    static const enum cdx_counter by_why[] = {CDX_C_MATCHED,
                                              CDX_C_UNMATCHED_NO_TOPIC,
                                              CDX_C_UNMATCHED_NO_SUBSCRIPTION,
                                              CDX_C_UNMATCHED_NO_PATIENT,
                                              CDX_C_UNMATCHED_UNRESOLVED,
                                              CDX_C_UNMATCHED_NOT_MEMBER,
                                              CDX_C_UNMATCHED_UNKNOWN_DELETE};
    s->counts[by_why[why]]++;
}

static enum cdx_code take_change(struct cdx_stage1 *s, const struct cdx_record *rec,
                                 const struct source_part *part, const struct cdx_change *c,
                                 const char *sha256, const struct cdx_header *trace,
                                 struct cdx_err *err)
{
    struct cdx_gate gate = {cdx_view_rosters(s->view), gate_member, gate_has};
    struct cdx_text key = state_key(s, c);
    struct cdx_before before = {0};
    struct cdx_match m;
    bool kept = cdx_topics_needs_state(s->topics, c->type);
    struct cdx_render r = {.rec = rec,
                           .record_sha256 = sha256,
                           .cluster = cdx_producer_cluster(s->producer),
                           .change = c,
                           .author = {part->source->org_reference, part->source->org_display},
                           .transmitter = {s->conf->org_reference, s->conf->org_display},
                           .base = s->conf->api_base};
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
    count_why(s, m.subs_n > 0               ? CDX_WHY_MATCHED
                 : m.why == CDX_WHY_MATCHED ? CDX_WHY_NO_SUBSCRIPTION
                                            : m.why);
    return rc;
}

static enum cdx_code take_changes(struct cdx_stage1 *s, const struct cdx_record *rec,
                                  const struct source_part *part, struct cdx_err *err)
{
    struct cdx_changes changes;
    char trace[CDX_TRACEPARENT_BYTES], sha256[65];
    struct cdx_header header = {CDX_LIT("traceparent"), {trace, CDX_TRACEPARENT_BYTES - 1}};
    enum cdx_code rc =
        rec->value.n > CDX_MAX_RECORD_BYTES
            ? cdx_fail(err, CDX_INPUT,
                       "the record has %zu bytes, at most %u are read; send less in one record",
                       rec->value.n, CDX_MAX_RECORD_BYTES)
            : cdx_decode(cdx_text_z(part->source->format), rec, cdx_text_z(part->source->base),
                         s->event, &changes, err);

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
    return s->poison.set && s->poison.partition == rec->partition &&
           s->poison.offset == rec->offset && cdx_text_is(rec->topic, s->poison.topic);
}

/* "<topic>/<partition>/<offset>: <text>" */
static void place_text(const struct cdx_record *rec, const char *text, char *out, size_t n)
{
    snprintf(out, n, "%.*s/%d/%lld: %s", CDX_TEXT(rec->topic), (int)rec->partition,
             (long long)rec->offset, text);
}

bool cdx_take_record(struct cdx_stage1 *s, const struct cdx_record *rec, struct source_part *part)
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
    if (rc == CDX_REMOTE ||
        (rc == CDX_NOMEM && s->batch_records > 1)) { /* again, in a smaller batch */
        cdx_worker_roll_back(s, err.text);
        return false;
    }
    if (s->batch_bytes !=
        before) { /* something of it was produced already: roll back, and bury it when it comes again */
        s->poison = (struct poison){
            .set = true, .partition = rec->partition, .offset = rec->offset, .err = err};
        snprintf(s->poison.topic, sizeof s->poison.topic, "%.*s", CDX_TEXT(rec->topic));
        cdx_producer_abort(s->producer, NULL);
        cdx_worker_roll_back(s, err.text);
        return false;
    }
    place_text(rec, err.text, text, sizeof text);
    s->counts[CDX_C_EVENTS]++;
    if (bury(s, rec, "decode", rec->value.n > CDX_MAX_RECORD_BYTES ? "too-large" : "decode", text,
             &buried) == CDX_OK)
        return true;
    cdx_producer_abort(s->producer, NULL);
    cdx_worker_roll_back(s, buried.text);
    return false;
}
