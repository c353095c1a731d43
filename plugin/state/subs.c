/*
 * state/subs.c -- what is known of this subscription, and does stage 1 log for it?
 *
 * In:    the records of cdex.subscriptions, in the order of their partition, once or again.
 * Out:   one entry an id: the newest resource and the newest status, and what follows from the two.
 * Owns:  the entries. They are never removed: a deleted id keeps its offset, so an old record cannot bring it back.
 *
 * The hard thing is that both records change on their own: the client writes one, the owner of the partition the other.
 * Nothing is derived when a record comes; each question is answered from the two newest records at the time it is asked
 * (recovery.md "log or not"), because compaction leaves no more than these and every instance must give the same answer.
 *
 * Not a state machine over the records: an instance that started later would have missed steps.
 */
#include "state/subs.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/digest.h"
#include "core/limits.h"

/* -- entries ----------------------------------------------------------------------------------------------------- */

static void status_fini(struct cdx_status *status)
{
    free(status->error);
    free(status->error_code);
    *status = (struct cdx_status){0};
}

static void entry_free(struct cdx_sub_entry *e)
{
    cdx_sub_unref(e->sub);
    status_fini(&e->status);
    free(e->refused);
    free(e->id);
    free(e);
}

void cdx_subs_fini(struct cdx_subs *subs)
{
    struct cdx_sub_entry *e;
    size_t i = 0;

    while ((e = cdx_map_next(&subs->by_id, &i)) != NULL)
        entry_free(e);
    cdx_map_fini(&subs->by_id);
    subs->bytes = 0;
}

static int64_t weight(const char *z)
{
    return z != NULL ? (int64_t)strlen(z) + 1 : 0;
}

static int64_t sub_weight(const struct cdx_sub *sub)
{
    int64_t n = (int64_t)sizeof *sub + weight(sub->id) + weight(sub->client) + weight(sub->topic) +
                weight(sub->topic_version) + weight(sub->endpoint) + weight(sub->payload);

    for (size_t i = 0; i < sub->headers_n; i++)
        n += (int64_t)sizeof(char *) + weight(sub->headers[i]);
    for (size_t i = 0; i < sub->filters_n; i++) {
        const struct cdx_filter *f = &sub->filters[i];
        n += (int64_t)sizeof *f + weight(f->type) + weight(f->param) + weight(f->modifier);
        for (size_t k = 0; k < f->values_n; k++)
            n += (int64_t)sizeof(char *) + weight(f->values[k]);
    }
    return n;
}

static int64_t entry_weight(const struct cdx_sub_entry *e)
{
    return (int64_t)sizeof *e + weight(e->id) + weight(e->refused) + weight(e->status.error) +
           weight(e->status.error_code) + (e->sub != NULL ? sub_weight(e->sub) : 0);
}

/* NULL: no memory. */
static struct cdx_sub_entry *entry_of(struct cdx_subs *subs, struct cdx_text id)
{
    struct cdx_sub_entry *e = cdx_map_get(&subs->by_id, id);

    if (e != NULL)
        return e;
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->resource_offset = e->status_offset = -1;
    e->id = strndup(id.p, id.n);
    if (e->id == NULL || !cdx_map_put(&subs->by_id, cdx_text(e->id, id.n), e)) {
        entry_free(e);
        return NULL;
    }
    subs->bytes += entry_weight(e);
    return e;
}

/* -- the resource record ------------------------------------------------------------------------------------------ */

static struct cdx_text text_of(const json_t *string)
{
    return cdx_text(json_string_value(string), json_string_length(string));
}

/* A member that must be an integer in [least, most]. */
static enum cdx_code integer(const json_t *json, const char *name, int64_t least, int64_t most,
                             int64_t *out, struct cdx_err *err)
{
    const json_t *v = json_object_get(json, name);

    if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most)
        return cdx_fail(err, CDX_INPUT, "%s is missing, no integer or out of its range", name);
    *out = json_integer_value(v);
    return CDX_OK;
}

/* What an <id> record comes to. */
struct resource {
    struct cdx_sub *sub; /* owned; NULL: deleted or refused */
    uint64_t hash;
    char *refused; /* owned */
};

static enum cdx_code hash_of(const json_t *resource, uint64_t *out, struct cdx_err *err);

static enum cdx_code read_sub(const json_t *json, struct cdx_text id, int64_t offset,
                              struct resource *out, struct cdx_err *err)
{
    const json_t *resource = json_object_get(json, "resource");
    struct cdx_text source = text_of(json_object_get(json, "source"));
    int64_t incarnation = 0, partition = 0;
    enum cdx_code rc;
    char *text;

    if (!json_is_object(resource))
        return cdx_fail(err, CDX_INPUT, "resource is missing or not an object");
    rc = hash_of(resource, &out->hash, err);
    if (rc == CDX_OK)
        rc = integer(json, "incarnation", -1, INT64_MAX, &incarnation, err);
    if (rc == CDX_OK)
        rc = integer(json, "partition", 0, INT32_MAX, &partition, err);
    if (rc != CDX_OK)
        return rc;
    if (!cdx_text_is(source, "file") && !cdx_text_is(source, "rest"))
        return cdx_fail(err, CDX_INPUT, "source is neither file nor rest");
    text = json_dumps(resource, JSON_COMPACT);
    if (text == NULL)
        return cdx_fail(err, CDX_NOMEM, "resource");
    out->sub = cdx_sub_parse(cdx_text_z(text), err);
    free(text);
    if (out->sub == NULL)
        return cdx_fail(err, CDX_INPUT, "resource was refused"); /* no-op: the parser spoke */
    if (!cdx_text_is(id, out->sub->id)) {
        cdx_sub_unref(out->sub);
        out->sub = NULL;
        return cdx_fail(err, CDX_INPUT, "resource.id is not the record's key");
    }
    out->sub->incarnation = incarnation == -1 ? offset : incarnation;
    out->sub->partition = (int32_t)partition;
    out->sub->from_file = cdx_text_is(source, "file");
    return CDX_OK;
}

/* CDX_INPUT: *out holds the reason. Else CDX_OK or CDX_NOMEM. */
static enum cdx_code read_resource(struct cdx_text value, struct cdx_text id, int64_t offset,
                                   struct resource *out, struct cdx_err *err)
{
    struct cdx_err why = {0};
    json_auto_t *json = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    enum cdx_code rc = json != NULL ? read_sub(json, id, offset, out, &why)
                                    : cdx_fail(&why, CDX_INPUT, "not JSON");

    if (rc == CDX_OK)
        return rc;
    if (rc != CDX_NOMEM) {
        out->refused = strdup(why.text);
        rc = out->refused != NULL ? CDX_INPUT : CDX_NOMEM;
    }
    return cdx_fail(err, rc, "Subscription/%.*s at offset %lld: %s", CDX_TEXT(id),
                    (long long)offset, why.text);
}

static enum cdx_code apply_resource(struct cdx_sub_entry *e, struct cdx_text value, int64_t offset,
                                    int64_t timestamp_ms, struct cdx_err *err)
{
    struct resource res = {0};
    enum cdx_code rc = CDX_OK;

    if (value.p != NULL)
        rc = read_resource(value, cdx_text_z(e->id), offset, &res, err);
    if (rc == CDX_NOMEM)
        return rc;
    if (res.sub != NULL) {
        res.sub->version = offset;
        res.sub->version_ms = timestamp_ms;
    }
    cdx_sub_unref(e->sub);
    free(e->refused);
    e->sub = res.sub;
    e->refused = res.refused;
    e->resource_hash = res.hash;
    e->resource_offset = offset;
    return rc;
}

/* -- the status record -------------------------------------------------------------------------------------------- */

/* An optional string, copied. */
static enum cdx_code optional(const json_t *json, const char *name, char **out, struct cdx_err *err)
{
    const json_t *v = json_object_get(json, name);

    if (v == NULL)
        return CDX_OK;
    if (!json_is_string(v))
        return cdx_fail(err, CDX_INPUT, "%s is no string", name);
    *out = strdup(json_string_value(v));
    return *out != NULL ? CDX_OK : cdx_fail(err, CDX_NOMEM, "%s", name);
}

/* On an error *out may hold texts that the caller frees. */
static enum cdx_code read_status(const json_t *json, struct cdx_status *out, struct cdx_err *err)
{
    const json_t *activated = json_object_get(json, "activated");
    enum cdx_code rc;

    if (json == NULL)
        return cdx_fail(err, CDX_INPUT, "not JSON");
    if (!cdx_sub_status_parse(text_of(json_object_get(json, "status")), &out->status))
        return cdx_fail(err, CDX_INPUT, "status is none that is known");
    if (!json_is_boolean(activated))
        return cdx_fail(err, CDX_INPUT, "activated is neither true nor false");
    out->activated = json_is_true(activated);
    rc = integer(json, "version", 0, INT64_MAX, &out->version, err);
    if (rc == CDX_OK)
        rc = integer(json, "incarnation", 0, INT64_MAX, &out->incarnation, err);
    if (rc == CDX_OK)
        rc = integer(json, "since", INT64_MIN, INT64_MAX, &out->since_ms, err);
    if (rc == CDX_OK)
        rc = optional(json, "error", &out->error, err);
    if (rc == CDX_OK)
        rc = optional(json, "errorCode", &out->error_code, err);
    return rc;
}

static enum cdx_code apply_status(struct cdx_sub_entry *e, struct cdx_text value, int64_t offset,
                                  struct cdx_err *err)
{
    struct cdx_status status = {0};
    struct cdx_err why = {0};
    enum cdx_code rc = CDX_OK;

    if (value.p != NULL) {
        json_auto_t *json = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
        rc = read_status(json, &status, &why);
    }
    if (rc != CDX_OK) {
        status_fini(&status);
        cdx_fail(err, rc, "Subscription/%s#status at offset %lld: %s", e->id, (long long)offset,
                 why.text);
        if (rc == CDX_NOMEM)
            return rc;
    }
    status_fini(&e->status);
    e->status = status;
    e->has_status = value.p != NULL && rc == CDX_OK;
    e->status_offset = offset;
    return rc;
}

/* -- both --------------------------------------------------------------------------------------------------------- */

/* "<id>" or "<id>#status"; false: a key of somebody else. */
static bool key_parse(struct cdx_text key, struct cdx_text *id, bool *is_status)
{
    const char *hash = key.n != 0 ? memchr(key.p, '#', key.n) : NULL;

    *id = cdx_text(key.p, hash != NULL ? (size_t)(hash - key.p) : key.n);
    *is_status = hash != NULL;
    return id->n != 0 && id->n <= CDX_MAX_ID_BYTES &&
           (hash == NULL || cdx_text_is(cdx_text(hash, key.n - id->n), "#status"));
}

enum cdx_code cdx_subs_apply(struct cdx_subs *subs, struct cdx_text key, struct cdx_text value,
                             int64_t offset, int64_t timestamp_ms, struct cdx_sub_entry **changed,
                             struct cdx_err *err)
{
    struct cdx_sub_entry *e;
    struct cdx_text id;
    bool is_status;
    int64_t before;
    enum cdx_code rc;

    if (changed != NULL)
        *changed = NULL;
    if (!key_parse(key, &id, &is_status))
        return CDX_OK;
    e = entry_of(subs, id);
    if (e == NULL)
        return cdx_fail(err, CDX_NOMEM, "Subscription/%.*s", CDX_TEXT(id));
    if (offset <= (is_status ? e->status_offset : e->resource_offset))
        return CDX_OK;
    before = entry_weight(e);
    rc = is_status ? apply_status(e, value, offset, err)
                   : apply_resource(e, value, offset, timestamp_ms, err);
    subs->bytes += entry_weight(e) - before;
    if (rc == CDX_NOMEM && e->resource_offset < 0 &&
        e->status_offset < 0) { /* made for this record only */
        cdx_map_take(&subs->by_id, id);
        subs->bytes -= entry_weight(e);
        entry_free(e);
    } else if (changed != NULL && rc != CDX_NOMEM) {
        *changed = e;
    }
    return rc;
}

/* The status of this incarnation, or NULL. */
static const struct cdx_status *own_status(const struct cdx_sub_entry *e)
{
    return e->sub != NULL && e->has_status && e->status.incarnation == e->sub->incarnation
               ? &e->status
               : NULL;
}

bool cdx_sub_answered(const struct cdx_sub_entry *e)
{
    const struct cdx_status *status = own_status(e);

    return status != NULL && status->version >= e->sub->version;
}

bool cdx_sub_logs(const struct cdx_sub_entry *e)
{
    const struct cdx_status *status = own_status(e);

    if (e->sub == NULL || e->sub->wanted != CDX_REQUESTED)
        return false;
    if (status != NULL && status->activated)
        return true;
    return !cdx_sub_answered(e) || status->status != CDX_ERROR_STATUS;
}

enum cdx_sub_status cdx_sub_shown(const struct cdx_sub_entry *e)
{
    if (e->sub == NULL)
        return e->refused != NULL ? CDX_ERROR_STATUS : CDX_OFF;
    if (e->sub->wanted == CDX_OFF)
        return CDX_OFF;
    return cdx_sub_answered(e) ? e->status.status : CDX_REQUESTED;
}

void cdx_sub_record_write(struct cdx_text resource_json, int64_t incarnation, int32_t partition,
                          bool from_file, struct cdx_buf *out)
{
    cdx_buf_add_z(out, "{\"resource\":");
    cdx_buf_add_text(out, resource_json);
    cdx_buf_add_z(out, ",\"incarnation\":");
    cdx_buf_add_i64(out, incarnation);
    cdx_buf_add_z(out, ",\"partition\":");
    cdx_buf_add_i64(out, partition);
    cdx_buf_add_z(out, from_file ? ",\"source\":\"file\"}" : ",\"source\":\"rest\"}");
}

static void write_text(struct cdx_buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    cdx_buf_add_z(out, name);
    cdx_buf_add_json(out, cdx_text_z(text));
}

void cdx_status_write(const struct cdx_status *status, struct cdx_buf *out)
{
    write_text(out, "{\"status\":", cdx_sub_status_text(status->status));
    write_text(out, ",\"error\":", status->error);
    write_text(out, ",\"errorCode\":", status->error_code);
    cdx_buf_add_z(out, ",\"since\":");
    cdx_buf_add_i64(out, status->since_ms);
    cdx_buf_add_z(out, ",\"version\":");
    cdx_buf_add_i64(out, status->version);
    cdx_buf_add_z(out, ",\"incarnation\":");
    cdx_buf_add_i64(out, status->incarnation);
    cdx_buf_add_z(out, status->activated ? ",\"activated\":true}" : ",\"activated\":false}");
}

/* -- what a file is compared by ------------------------------------------------------------------------------------ */

/* A copy of `from` without these members; NULL: no memory. The members are shared. */
static json_t *without(const json_t *from, const char *const *names, size_t n)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)from); /* jansson reads it only */

    for (size_t i = 0; copy != NULL && i < n; i++)
        json_object_del(copy, names[i]);
    return copy;
}

static enum cdx_code hash_of(const json_t *resource, uint64_t *out, struct cdx_err *err)
{
    static const char *const server[] = {"status", "error"}, *const version[] = {"versionId",
                                                                                 "lastUpdated"};
    json_auto_t *copy = without(resource, server, CDX_COUNT(server));
    json_auto_t *meta = NULL;
    bool off = cdx_text_is(text_of(json_object_get(resource, "status")), "off");
    const json_t *old = json_object_get(resource, "meta");
    char *text;

    if (json_is_object(
            old)) { /* a file without meta is like a stored one that holds but the server's part */
        meta = without(old, version, CDX_COUNT(version));
        if (meta == NULL ||
            (json_object_size(meta) == 0 ? json_object_del(copy, "meta")
                                         : json_object_set(copy, "meta", meta)) != 0)
            return cdx_fail(err, CDX_NOMEM, "resource");
    }
    text = json_dumps(copy, JSON_SORT_KEYS | JSON_COMPACT);
    if (text == NULL)
        return cdx_fail(err, CDX_NOMEM, "resource");
    *out = cdx_hash(text, strlen(text), off);
    free(text);
    return CDX_OK;
}

enum cdx_code cdx_sub_resource_hash(struct cdx_text json, uint64_t *out, struct cdx_err *err)
{
    json_auto_t *resource =
        json_loadb(json.p != NULL ? json.p : "", json.n, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(resource))
        return cdx_fail(err, CDX_INPUT,
                        "Subscription: not a JSON object, or one with a member twice");
    return hash_of(resource, out, err);
}
