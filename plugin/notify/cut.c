/*
 * notify/cut.c -- which bytes does an endpoint get?
 *
 * In:    a subscription and consecutive log records, or a signal (handshake, heartbeat) without events.
 * Out:   an R4 backport notification Bundle (Subscriptions R5 Backport IG 1.1.0) and its id.
 * Owns:  nothing; two scratch buffers during the call.
 *
 * Everything is derived from log records and names (design 4.3), so a repeat is the same bytes. The status entry comes
 * first and names each event's Provenance, whose entry comes later: the ids are made once, in the first walk, and used
 * up in the same order by the second.
 *
 * Written by hand into one buffer, not built as a tree: what is not constant is a dozen short strings, and the clinical
 * bytes must not be parsed and written again.
 */
#include "notify/notify.h"

#include "core/instant.h"
#include "core/limits.h"
#include "model/logrec.h"
#include "model/subscription.h"

#define ADD(out, literal) cdx_buf_add((out), (literal), sizeof(literal) - 1)
#define BACKPORT "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define UUID_TEXT_BYTES (CDX_UUID_BYTES - 1)
#define STATUS_OPERATION "/$status"

/* A name is an address and some numbers. */
#define MAX_NAME_BYTES (64u << 10)

struct cutting {
    const struct cdx_server *server;
    const struct cdx_sub *sub;
    struct cdx_uuid id;
    struct cdx_buf name;   /* scratch: one name or address at a time, each begun with new_name */
    bool name_failed;      /* one of them did */
    struct cdx_buf stamps; /* texts of the Provenance ids, in the order of their events */
    struct cdx_buf *out;
    struct cdx_err *err;
};

/* The status entry's values, in the order of their parameters (subscriptions.md 1.9). */
struct status {
    enum cdx_sub_status status;
    struct cdx_text type;
    int64_t counted;
    const struct cdx_event *events;
    size_t events_n;
    const char *error_code;
};

static void start(struct cutting *c, const struct cdx_server *server, const struct cdx_sub *sub,
                  struct cdx_buf *out, struct cdx_err *err)
{
    *c = (struct cutting){.server = server, .sub = sub, .out = out, .err = err};
    cdx_buf_init(&c->name, MAX_NAME_BYTES);
    cdx_buf_init(&c->stamps, CDX_MAX_BODY_BYTES);
}

/* Empties c->name; that an earlier name failed is remembered, since reset forgets it and an id may be made of it. */
static void new_name(struct cutting *c)
{
    c->name_failed = c->name_failed || c->name.failed;
    cdx_buf_reset(&c->name);
}

/* Says what the buffers remember, and frees ours. */
static enum cdx_code finish(struct cutting *c, enum cdx_code rc)
{
    if (rc == CDX_OK && (c->out->failed || c->name_failed || c->name.failed || c->stamps.failed))
        rc = cdx_fail(c->err, CDX_NOMEM, "notify: bundle for subscription %s", c->sub->id);
    cdx_buf_fini(&c->name);
    cdx_buf_fini(&c->stamps);
    return rc;
}

/* UUIDv5(UUIDv5(URL, api.base), "Subscription/<id>|<kind>|<first>-<last>") (design 4.3). */
static enum cdx_code name_bundle(struct cutting *c, struct cdx_text kind, int64_t first,
                                 int64_t last)
{
    struct cdx_uuid ns;
    enum cdx_code rc = cdx_uuid5(&cdx_uuid_url, cdx_text_z(c->server->base), &ns, c->err);

    if (rc != CDX_OK)
        return rc;
    new_name(c);
    ADD(&c->name, "Subscription/");
    cdx_buf_add_z(&c->name, c->sub->id);
    ADD(&c->name, "|");
    cdx_buf_add_text(&c->name, kind);
    ADD(&c->name, "|");
    cdx_buf_add_i64(&c->name, first);
    ADD(&c->name, "-");
    cdx_buf_add_i64(&c->name, last);
    return cdx_uuid5(&ns, cdx_buf_text(&c->name), &c->id, c->err);
}

/* An id below Bundle.id, of c->name. */
static enum cdx_code name_part(struct cutting *c, char out[CDX_UUID_BYTES])
{
    struct cdx_uuid id;
    enum cdx_code rc = cdx_uuid5(&c->id, cdx_buf_text(&c->name), &id, c->err);

    if (rc == CDX_OK)
        cdx_uuid_text(&id, out);
    return rc;
}

/* The lower of both; EMPTY for what may show nothing at all. */
static enum cdx_level_of_content level_of(const struct cutting *c, const struct cdx_event *event)
{
    if (event->bare || event->rec->withheld.n != 0)
        return CDX_EMPTY;
    return event->rec->level < c->sub->level ? event->rec->level : c->sub->level;
}

static bool stamped(const struct cutting *c, const struct cdx_event *event)
{
    return level_of(c, event) == CDX_FULL_RESOURCE && event->rec->provenance[0].n != 0;
}

static void add_bundle_head(struct cutting *c, const char *timestamp)
{
    char id[CDX_UUID_BYTES];

    ADD(c->out, "{\"resourceType\":\"Bundle\",\"id\":\"");
    cdx_buf_add(c->out, cdx_uuid_text(&c->id, id), UUID_TEXT_BYTES);
    ADD(c->out, "\",\"meta\":{\"profile\":[\"" BACKPORT "backport-subscription-notification-r4\"]},"
                "\"type\":\"history\",\"timestamp\":\"");
    cdx_buf_add_z(c->out, timestamp);
    ADD(c->out, "\",\"entry\":[");
}

static void add_reference_part(struct cdx_buf *out, struct cdx_text context)
{
    ADD(out, ",{\"name\":\"additional-context\",\"valueReference\":{\"reference\":");
    cdx_buf_add_json(out, context);
    ADD(out, "}}");
}

/* The context part that names the event's Provenance; its id is kept for the entry. */
static enum cdx_code add_stamp_part(struct cutting *c, const struct cdx_event *event)
{
    char id[CDX_UUID_BYTES];
    enum cdx_code rc;

    new_name(c);
    cdx_buf_add_text(&c->name, event->rec->focus);
    ADD(&c->name, "|"); /* one resource may be changed by several events of a bundle */
    cdx_buf_add_i64(&c->name, event->number);
    rc = name_part(c, id);
    if (rc != CDX_OK)
        return rc;
    cdx_buf_add(&c->stamps, id, UUID_TEXT_BYTES);
    ADD(c->out, ",{\"name\":\"additional-context\",\"valueReference\":{\"reference\":\"urn:uuid:");
    cdx_buf_add(c->out, id, UUID_TEXT_BYTES);
    ADD(c->out, "\"}}");
    return CDX_OK;
}

static enum cdx_code add_event(struct cutting *c, const struct cdx_event *event)
{
    const struct cdx_logrec *rec = event->rec;
    enum cdx_code rc = CDX_OK;

    ADD(c->out,
        ",{\"name\":\"notification-event\",\"part\":[{\"name\":\"event-number\",\"valueString\":\"");
    cdx_buf_add_i64(c->out, event->number);
    ADD(c->out, "\"},{\"name\":\"timestamp\",\"valueInstant\":");
    cdx_buf_add_json(c->out, rec->timestamp);
    ADD(c->out, "}");
    if (level_of(c, event) != CDX_EMPTY) {
        ADD(c->out, ",{\"name\":\"focus\",\"valueReference\":{\"reference\":");
        cdx_buf_add_json(c->out, rec->focus);
        ADD(c->out, "}}");
        for (size_t i = 0; i < rec->contexts_n; i++)
            add_reference_part(c->out, rec->contexts[i]);
        if (stamped(c, event))
            rc = add_stamp_part(c, event);
    }
    ADD(c->out, "]}");
    return rc;
}

/* By payload level: not with empty (subscriptions.md T5). */
static void add_topic(struct cutting *c)
{
    if (c->sub->level == CDX_EMPTY)
        return;
    new_name(c);
    cdx_buf_add_z(&c->name, c->sub->topic);
    if (c->sub->topic_version != NULL) {
        ADD(&c->name, "|");
        cdx_buf_add_z(&c->name, c->sub->topic_version);
    }
    ADD(c->out, ",{\"name\":\"topic\",\"valueCanonical\":");
    cdx_buf_add_json(c->out, cdx_buf_text(&c->name));
    ADD(c->out, "}");
}

static enum cdx_code add_parameters(struct cutting *c, const struct status *status)
{
    add_topic(c);
    ADD(c->out, ",{\"name\":\"status\",\"valueCode\":\"");
    cdx_buf_add_z(c->out, cdx_sub_status_text(status->status));
    ADD(c->out, "\"},{\"name\":\"type\",\"valueCode\":\"");
    cdx_buf_add_text(c->out, status->type);
    ADD(c->out, "\"},{\"name\":\"events-since-subscription-start\",\"valueString\":\"");
    cdx_buf_add_i64(c->out, status->counted);
    ADD(c->out, "\"}");
    for (size_t i = 0; i < status->events_n; i++) {
        enum cdx_code rc = add_event(c, &status->events[i]);
        if (rc != CDX_OK)
            return rc;
    }
    if (status->error_code != NULL) {
        ADD(c->out, ",{\"name\":\"error\",\"valueCodeableConcept\":{\"coding\":[{\"system\":"
                    "\"http://terminology.hl7.org/CodeSystem/subscription-error\",\"code\":");
        cdx_buf_add_json(c->out, cdx_text_z(status->error_code));
        ADD(c->out, "}]}}");
    }
    return CDX_OK;
}

/* <base>/Subscription/<id>/$status, in c->name. */
static void name_status(struct cutting *c)
{
    new_name(c);
    cdx_buf_add_z(&c->name, c->server->base);
    ADD(&c->name, "/Subscription/");
    cdx_buf_add_z(&c->name, c->sub->id);
    ADD(&c->name, STATUS_OPERATION);
}

/* Entry 0 (subscriptions.md 1.8). */
static enum cdx_code add_status_entry(struct cutting *c, const struct status *status)
{
    char id[CDX_UUID_BYTES];
    enum cdx_code rc;

    name_status(c);
    rc = name_part(c, id);
    if (rc != CDX_OK)
        return rc;
    ADD(c->out, "{\"fullUrl\":\"urn:uuid:");
    cdx_buf_add(c->out, id, UUID_TEXT_BYTES);
    ADD(c->out, "\",\"resource\":{\"resourceType\":\"Parameters\",\"id\":\"");
    cdx_buf_add(c->out, id, UUID_TEXT_BYTES);
    ADD(c->out, "\",\"meta\":{\"profile\":[\"" BACKPORT "backport-subscription-status-r4\"]},"
                "\"parameter\":[{\"name\":\"subscription\",\"valueReference\":{\"reference\":");
    cdx_buf_add_json(
        c->out,
        cdx_text(c->name.p, c->name.failed ? 0 : c->name.n - (sizeof STATUS_OPERATION - 1)));
    ADD(c->out, "}}");
    rc = add_parameters(c, status);
    if (rc != CDX_OK)
        return rc;
    name_status(c);
    ADD(c->out, "]},\"request\":{\"method\":\"GET\",\"url\":");
    cdx_buf_add_json(c->out, cdx_buf_text(&c->name));
    ADD(c->out, "},\"response\":{\"status\":\"200\"}}");
    return CDX_OK;
}

/* The event's own entries; `*stamp` walks over c->stamps. */
static void add_entries(struct cutting *c, const struct cdx_event *event, size_t *stamp,
                        char recorded[CDX_INSTANT_BYTES])
{
    const struct cdx_text *piece = event->rec->provenance;

    if (level_of(c, event) == CDX_EMPTY || level_of(c, event) < event->rec->level)
        return; /* entries of a higher level hold what this one may not show */
    cdx_buf_add_text(c->out, event->rec->entries);
    if (!stamped(c, event) || c->stamps.failed)
        return;
    cdx_buf_add_text(c->out, piece[0]);
    cdx_buf_add(c->out, c->stamps.p + *stamp, UUID_TEXT_BYTES);
    cdx_buf_add_text(c->out, piece[1]);
    cdx_buf_add(c->out, c->stamps.p + *stamp, UUID_TEXT_BYTES);
    cdx_buf_add_text(c->out, piece[2]);
    cdx_buf_add_z(c->out, cdx_instant_format(event->timestamp_ms, recorded));
    cdx_buf_add_text(c->out, piece[3]);
    *stamp += UUID_TEXT_BYTES;
}

static enum cdx_code add_bundle(struct cutting *c, const struct status *status,
                                int64_t timestamp_ms)
{
    char instant[CDX_INSTANT_BYTES];
    size_t stamp = 0;
    enum cdx_code rc;

    add_bundle_head(c, cdx_instant_format(timestamp_ms, instant));
    rc = add_status_entry(c, status);
    if (rc != CDX_OK)
        return rc;
    for (size_t i = 0; i < status->events_n; i++)
        add_entries(c, &status->events[i], &stamp, instant);
    ADD(c->out, "]}");
    return CDX_OK;
}

enum cdx_code cdx_notify_cut(const struct cdx_server *server, const struct cdx_sub *sub,
                             const struct cdx_event *events, size_t n, struct cdx_buf *out,
                             struct cdx_uuid *id, struct cdx_err *err)
{
    const struct cdx_event *last = &events[n - 1];
    const struct status status = {
        .status = CDX_ACTIVE, /* not the present one: a repeat must be the same bytes */
        .type = CDX_LIT("event-notification"),
        .counted = last->number,
        .events = events,
        .events_n = n,
    };
    struct cutting c;
    enum cdx_code rc;

    start(&c, server, sub, out, err);
    rc = name_bundle(&c, CDX_LIT("event"), events[0].number, last->number);
    if (rc == CDX_OK)
        rc = add_bundle(&c, &status, last->timestamp_ms);
    rc = finish(&c, rc);
    if (rc == CDX_OK)
        *id = c.id;
    return rc;
}

enum cdx_code cdx_notify_signal(const struct cdx_server *server, const struct cdx_sub *sub,
                                enum cdx_signal kind, int64_t number, int status, int64_t counted,
                                int64_t wall_ms, const char *error_code, struct cdx_buf *out,
                                struct cdx_uuid *id, struct cdx_err *err)
{
    static const struct cdx_text kinds[] = {
        [CDX_HANDSHAKE] = CDX_LIT("handshake"),
        [CDX_HEARTBEAT] = CDX_LIT("heartbeat"),
    };
    const struct status shown = {
        .status = (enum cdx_sub_status)status,
        .type = kinds[kind],
        .counted = counted,
        .error_code = error_code,
    };
    struct cutting c;
    enum cdx_code rc;

    start(&c, server, sub, out, err);
    rc = name_bundle(&c, kinds[kind], number, number);
    if (rc == CDX_OK)
        rc = add_bundle(&c, &shown, wall_ms);
    rc = finish(&c, rc);
    if (rc == CDX_OK)
        *id = c.id;
    return rc;
}
