/*
 * decode/bundle.c -- which changes do the entries of this Bundle state?
 *
 * In:    the index of a Bundle that is a record's value.
 * Out:   one change for each entry that changed something, in the order in which that happened; the
 *        urn: names that entries have for each other.
 * Owns:  nothing; changes and urns live in the event's arena. A map of the urns lives for the call.
 *
 * The hard thing is that an entry says twice what it is about (request.url and resource) and that
 * the two must not differ: the wrong one of them might be another member's. So whatever disagrees
 * refuses the whole record. Not a resolution of urn: references here: match needs the few that a
 * search parameter reads, and the bytes are sent as they came.
 */
#include <stdio.h>

#include "core/arena.h"
#include "core/limits.h"
#include "core/map.h"
#include "decode/formats.h"
#include "fhir/view.h"

/* One row per Bundle.type (FHIR R4 and R5 bundle-type). */
static const struct bundle_type {
    const char *name;
    bool requests;       /* each entry must have a request (R4 bdl-3) */
    bool newest_first;   /* R4 http.html#history */
    bool versioned_urls; /* servers write the version into request.url */
    const char *refusal; /* not NULL: not a list of changes, and what to do */
} types[] = {
    {"transaction", true, false, false, NULL},
    {"batch", true, false, false, NULL},
    {"history", true, true, true, NULL},
    {"collection", false, false, false, NULL},
    {"searchset", false, false, false, NULL},
    {"document",
     .refusal =
         "a document is one unit and no list of changes; publish the resources as they are stored"},
    {"message",
     .refusal = "a message is no list of changes; publish the resources as they are stored"},
    {"transaction-response",
     .refusal = "a response does not say what changed; publish a history Bundle"},
    {"batch-response", .refusal = "a response does not say what changed; publish a history Bundle"},
    {"subscription-notification",
     .refusal = "it is a notification already; read the topic that it was made from"},
};

struct bundle {
    const struct cdx_decoding *d;
    const struct cdx_json *j;
    const struct bundle_type *type;
    struct cdx_change *items; /* in the arena; room for every entry */
    size_t n;
    struct cdx_urn *urns; /* in the arena; room for every entry */
    size_t urns_n;
    struct cdx_map by_urn; /* owned; its values are the urns */
};

struct entry {
    cdx_node node, resource;
    uint32_t index;
    char where[40];
    struct cdx_text url;    /* request.url, without the source's base */
    struct cdx_text status; /* response.status */
};

static const struct bundle_type *find_type(struct cdx_text name)
{
    for (size_t i = 0; i < CDX_COUNT(types); i++)
        if (cdx_text_is(name, types[i].name))
            return &types[i];
    return NULL;
}

/* ---- a Bundle that is a notification ---- */

struct status_names {
    const struct bundle *b;
    bool subscription, type;
    enum cdx_code rc;
    struct cdx_err *err;
};

static bool note_name(void *arg, cdx_node value)
{
    struct status_names *s = arg;
    struct cdx_text name;

    s->rc = cdx_decode_text(s->b->d, s->b->j, value, &name, s->err);
    s->subscription |= cdx_text_is(name, "subscription");
    s->type |= cdx_text_is(name, "type");
    return s->rc == CDX_OK;
}

/*
 * A chained service's own output: its first entry is the status (R5 SubscriptionStatus, Aidbox's,
 * or the Backport guide's Parameters for R4, which must name the subscription and the type of
 * notification).
 */
static enum cdx_code refuse_notification(const struct bundle *b, cdx_node entries,
                                         struct cdx_err *err)
{
    struct status_names names = {.b = b, .err = err, .rc = CDX_OK};
    cdx_node first = cdx_json_first(b->j, entries);
    cdx_node resource = first != CDX_NO_NODE ? cdx_json_get(b->j, first, "resource") : CDX_NO_NODE;
    struct cdx_text type;
    bool is_status;
    enum cdx_code rc =
        cdx_decode_text(b->d, b->j, cdx_json_get(b->j, resource, "resourceType"), &type, err);

    if (rc != CDX_OK)
        return rc;
    is_status =
        cdx_text_is(type, "SubscriptionStatus") || cdx_text_is(type, "AidboxSubscriptionStatus");
    if (cdx_text_is(type, "Parameters")) {
        cdx_path_walk(b->j, resource, CDX_LIT("parameter.name"), note_name, &names);
        is_status = names.subscription && names.type;
    }
    if (names.rc != CDX_OK || !is_status)
        return names.rc;
    return cdx_fail(err, CDX_INPUT,
                    "Bundle.entry[0]: its status says that this Bundle is a notification already; "
                    "read the topic that "
                    "it was made from");
}

/* ---- what an entry's request means ---- */

static enum cdx_code read_resource(const struct bundle *b, const struct entry *e,
                                   struct cdx_change *c, struct cdx_err *err)
{
    if (e->resource == CDX_NO_NODE)
        return cdx_fail(
            err, CDX_INPUT,
            "%sno resource, so what changed cannot be read; publish the resource with it",
            e->where);
    return cdx_decode_resource(b->d, b->j, e->resource, e->where, c, err);
}

static enum cdx_code disagree(const struct entry *e, struct cdx_err *err)
{
    return cdx_fail(err, CDX_INPUT,
                    "%srequest.url does not name the entry's resource as Type/id (relative, or "
                    "under sources[].base); "
                    "correct the producer",
                    e->where);
}

/*
 * A version in the URL is one that happened in a history, and nothing that anybody could write
 * elsewhere.
 */
static bool version_agrees(const struct bundle *b, const struct cdx_reference *ref,
                           struct cdx_change *c)
{
    if (ref->version.n == 0)
        return true;
    if (!b->type->versioned_urls || (c->version.n != 0 && !cdx_text_eq(c->version, ref->version)))
        return false;
    c->version = ref->version;
    return true;
}

static bool url_agrees(const struct bundle *b, const struct entry *e, struct cdx_change *c)
{
    struct cdx_reference ref;

    cdx_reference_split(e->url, &ref);
    if (ref.kind == CDX_REF_CONDITIONAL)
        return cdx_text_eq(ref.type, c->type);
    return ref.kind == CDX_REF_RELATIVE && cdx_text_eq(ref.type, c->type) &&
           cdx_text_eq(ref.id, c->id) && version_agrees(b, &ref, c);
}

/* R4 http.html#create: to the type; an operation or a search by POST is none. */
static enum cdx_code read_post(const struct bundle *b, const struct entry *e, struct cdx_change *c,
                               struct cdx_err *err)
{
    enum cdx_code rc = read_resource(b, e, c, err);

    if (rc != CDX_OK)
        return rc;
    c->interaction = CDX_CREATE;
    return cdx_text_eq(e->url, c->type) || url_agrees(b, e, c) ? CDX_OK : disagree(e, err);
}

/* PUT, and PATCH where the entry holds what became of the resource. */
static enum cdx_code read_put(const struct bundle *b, const struct entry *e, struct cdx_change *c,
                              struct cdx_err *err)
{
    enum cdx_code rc = read_resource(b, e, c, err);

    if (rc != CDX_OK)
        return rc;
    if (cdx_text_starts(e->status, CDX_LIT("201")))
        c->interaction = CDX_CREATE;
    else if (cdx_text_starts(e->status, CDX_LIT("200")))
        c->interaction = CDX_UPDATE;
    return url_agrees(b, e, c) ? CDX_OK : disagree(e, err);
}

static enum cdx_code read_delete(const struct bundle *b, const struct entry *e,
                                 struct cdx_change *c, struct cdx_err *err)
{
    struct cdx_change held = {0};
    struct cdx_reference ref;
    enum cdx_code rc;

    cdx_reference_split(e->url, &ref);
    *c = (struct cdx_change){
        .interaction = CDX_DELETE,
        .base = b->d->base,
        .type = ref.type,
        .id = ref.id,
        .event_ms = b->d->rec->timestamp_ms,
    };
    if (ref.kind != CDX_REF_RELATIVE || !version_agrees(b, &ref, c))
        return cdx_fail(err, CDX_INPUT,
                        "%sthe request.url of a DELETE is not Type/id (relative, or under "
                        "sources[].base), so what was "
                        "deleted cannot be told; publish a history Bundle",
                        e->where);
    if (e->resource == CDX_NO_NODE)
        return CDX_OK;
    rc = read_resource(
        b, e, &held,
        err); /* some servers add the last state: then it must be that of the same resource */
    if (rc != CDX_OK)
        return rc;
    return cdx_text_eq(held.type, c->type) && cdx_text_eq(held.id, c->id) ? CDX_OK
                                                                          : disagree(e, err);
}

typedef enum cdx_code method_fn(const struct bundle *b, const struct entry *e, struct cdx_change *c,
                                struct cdx_err *err);

/* One row per code of http-verb (FHIR R4); NULL: it changes nothing. */
static const struct method {
    const char *name;
    method_fn *read;
} methods[] = {
    {"POST", read_post},     {"PUT", read_put}, {"PATCH", read_put},
    {"DELETE", read_delete}, {"GET", NULL},     {"HEAD", NULL},
};

static const struct method no_request = {"", read_resource};

/* Sets *out to the row of request.method, where there may be one. Errors: CDX_INPUT, it is none. */
static enum cdx_code find_method(const struct bundle *b, const struct entry *e, cdx_node request,
                                 const struct method **out, struct cdx_err *err)
{
    struct cdx_text name;
    enum cdx_code rc;

    if (request == CDX_NO_NODE && !b->type->requests)
        return CDX_OK;
    rc = cdx_decode_text(b->d, b->j, cdx_json_get(b->j, request, "method"), &name, err);
    if (rc != CDX_OK)
        return rc;
    for (size_t i = 0; i < CDX_COUNT(methods); i++) {
        if (cdx_text_is(name, methods[i].name)) {
            *out = &methods[i];
            return CDX_OK;
        }
    }
    return cdx_fail(
        err, CDX_INPUT,
        "%sno request.method that FHIR knows (POST, PUT, PATCH, DELETE); correct the producer",
        e->where);
}

/* ---- entries ---- */

/* An entry's fullUrl, when it is a urn:, as another name of its resource. */
static enum cdx_code add_urn(struct bundle *b, const struct entry *e, const struct cdx_change *c,
                             struct cdx_err *err)
{
    struct cdx_text urn, reference;
    struct cdx_urn *known;
    enum cdx_code rc =
        cdx_decode_text(b->d, b->j, cdx_json_get(b->j, e->node, "fullUrl"), &urn, err);

    if (rc != CDX_OK || !cdx_text_starts(urn, CDX_LIT("urn:")))
        return rc;
    reference = cdx_arena_printf(b->d->arena, "%.*s/%.*s", CDX_TEXT(c->type), CDX_TEXT(c->id));
    if (reference.p == NULL)
        return cdx_fail(err, CDX_NOMEM, "decode: urn");
    known = cdx_map_get(&b->by_urn, urn);
    if (known != NULL && cdx_text_eq(known->reference, reference))
        return CDX_OK;
    if (known != NULL) /* R4 bdl-7; a reference to it could be to either */
        return cdx_fail(
            err, CDX_INPUT,
            "%sits fullUrl is that of another resource of the Bundle; correct the producer",
            e->where);
    b->urns[b->urns_n] = (struct cdx_urn){urn, reference};
    if (!cdx_map_put(&b->by_urn, urn, &b->urns[b->urns_n]))
        return cdx_fail(err, CDX_NOMEM, "decode: urns");
    b->urns_n++;
    return CDX_OK;
}

/* Did the server say that nothing came of it (RFC 9110 section 15: 4xx and 5xx)? */
static bool failed(const struct entry *e)
{
    return e->status.n != 0 && (e->status.p[0] == '4' || e->status.p[0] == '5');
}

static enum cdx_code read_entry(struct bundle *b, struct entry *e, struct cdx_err *err)
{
    const struct cdx_json *j = b->j;
    cdx_node request = cdx_json_get(j, e->node, "request");
    struct cdx_change *c = &b->items[b->n];
    const struct method *method = &no_request;
    struct cdx_text mode;
    enum cdx_code rc;

    e->resource = cdx_json_get(j, e->node, "resource");
    rc = cdx_decode_text(b->d, j, cdx_json_get(j, cdx_json_get(j, e->node, "search"), "mode"),
                         &mode, err);
    if (rc == CDX_OK)
        rc = cdx_decode_text(b->d, j,
                             cdx_json_get(j, cdx_json_get(j, e->node, "response"), "status"),
                             &e->status, err);
    if (rc == CDX_OK)
        rc = cdx_decode_text(b->d, j, cdx_json_get(j, request, "url"), &e->url, err);
    if (rc != CDX_OK || cdx_text_is(mode, "outcome"))
        return rc;
    e->url = cdx_decode_relative(e->url, b->d->base);
    rc = find_method(b, e, request, &method, err);
    if (rc != CDX_OK || method->read == NULL || failed(e))
        return rc;
    rc = method->read(b, e, c, err);
    if (rc != CDX_OK)
        return rc;
    c->index = e->index;
    b->n++;
    return add_urn(b, e, c, err);
}

static void turn_round(struct cdx_change *items, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct cdx_change held = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = held;
    }
}

static enum cdx_code read_entries(struct bundle *b, cdx_node entries, struct cdx_err *err)
{
    struct entry e = {.index = 0};
    enum cdx_code rc;

    for (e.node = cdx_json_first(b->j, entries); e.node != CDX_NO_NODE;
         e.node = cdx_json_next(b->j, entries, e.node), e.index++) {
        snprintf(e.where, sizeof e.where, "Bundle.entry[%u]: ", e.index);
        rc = read_entry(b, &e, err);
        if (rc != CDX_OK)
            return rc;
    }
    for (size_t i = 0; i < b->n; i++) {
        b->items[i].urns = b->urns;
        b->items[i].urns_n = b->urns_n;
    }
    if (b->type->newest_first)
        turn_round(b->items, b->n);
    return CDX_OK;
}

/* Memory for what `entries` may become. */
static enum cdx_code prepare(struct bundle *b, cdx_node entries, struct cdx_err *err)
{
    size_t n = 0;

    for (cdx_node v = cdx_json_first(b->j, entries); v != CDX_NO_NODE;
         v = cdx_json_next(b->j, entries, v))
        n++;
    if (n > CDX_MAX_BUNDLE_ENTRIES)
        return cdx_fail(err, CDX_INPUT,
                        "Bundle.entry: more than %u entries; publish smaller Bundles",
                        CDX_MAX_BUNDLE_ENTRIES);
    b->items = cdx_arena_zalloc(b->d->arena, n, sizeof *b->items);
    b->urns = cdx_arena_zalloc(b->d->arena, n, sizeof *b->urns);
    if (b->items == NULL || b->urns == NULL)
        return cdx_fail(err, CDX_NOMEM, "decode: changes of a Bundle");
    return CDX_OK;
}

enum cdx_code cdx_decode_bundle(const struct cdx_decoding *d, const struct cdx_json *j,
                                struct cdx_err *err)
{
    struct bundle b = {.d = d, .j = j};
    cdx_node entries = cdx_json_get(j, 0, "entry");
    struct cdx_text type;
    enum cdx_code rc = cdx_decode_text(d, j, cdx_json_get(j, 0, "type"), &type, err);

    if (rc != CDX_OK)
        return rc;
    b.type = find_type(type);
    if (b.type == NULL)
        return cdx_fail(err, CDX_INPUT,
                        "Bundle.type: no type that FHIR knows; correct the producer");
    if (b.type->refusal != NULL)
        return cdx_fail(err, CDX_INPUT, "Bundle.type: %s", b.type->refusal);
    if (entries != CDX_NO_NODE && cdx_json_kind(j, entries) != CDX_JSON_ARRAY)
        return cdx_fail(err, CDX_INPUT, "Bundle.entry: not an array; correct the producer");
    if (entries == CDX_NO_NODE) {
        *d->out = (struct cdx_changes){NULL, 0};
        return CDX_OK;
    }
    rc = refuse_notification(&b, entries, err);
    if (rc == CDX_OK)
        rc = prepare(&b, entries, err);
    if (rc == CDX_OK)
        rc = read_entries(&b, entries, err);
    cdx_map_fini(&b.by_urn);
    if (rc == CDX_OK)
        *d->out = (struct cdx_changes){b.items, b.n};
    return rc;
}
