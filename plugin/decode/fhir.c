/*
 * decode/fhir.c -- which change does a FHIR resource, or the lack of one, state?
 *
 * In:    a record whose value is FHIR JSON or null.
 * Out:   one upsert of the resource, one delete for a tombstone; a Bundle is handed on to bundle.c.
 * Owns:  nothing; the index and unescaped texts live in the event's arena.
 *
 * The hard thing is to know whose id it is: a key may be written relative, absolute or as a JSON
 * string, and an absolute one of another server names another resource (a Patient/1 of one hospital
 * is not that of another). Not a lookup of the resource type in a list: lists belong to a release,
 * the form of a type's name does not.
 */
#include "core/arena.h"
#include "core/instant.h"
#include "decode/formats.h"
#include "fhir/view.h"

enum cdx_code cdx_decode_text(const struct cdx_decoding *d, const struct cdx_json *j, cdx_node v,
                              struct cdx_text *out, struct cdx_err *err)
{
    *out = cdx_json_string(j, v, d->arena);
    if (out->p == NULL && v != CDX_NO_NODE && cdx_json_kind(j, v) == CDX_JSON_STRING)
        return cdx_fail(err, CDX_NOMEM, "decode: text");
    return CDX_OK;
}

struct cdx_text cdx_decode_relative(struct cdx_text url, struct cdx_text base)
{
    if (base.n == 0 || url.n <= base.n || !cdx_text_starts(url, base) || url.p[base.n] != '/')
        return url;
    return cdx_text(url.p + base.n + 1, url.n - base.n - 1);
}

enum cdx_code cdx_decode_index(const struct cdx_decoding *d, struct cdx_text value,
                               const struct cdx_json **out, struct cdx_err *err)
{
    const struct cdx_text bom = CDX_LIT("\xEF\xBB\xBF");
    struct cdx_json *j = cdx_arena_alloc(d->arena, sizeof *j);
    struct cdx_err unread = {0};
    enum cdx_code rc;

    if (j == NULL)
        return cdx_fail(err, CDX_NOMEM, "decode: index");
    if (cdx_text_starts(value, bom))
        value = cdx_text(value.p + bom.n, value.n - bom.n);
    rc = cdx_json_parse(value.p, value.n, d->arena, j, &unread);
    if (rc == CDX_INPUT)
        return cdx_fail(err, rc, "%s; correct the producer, or sources[].format", unread.text);
    if (rc != CDX_OK)
        return cdx_fail(err, rc, "%s", unread.text);
    *out = j;
    return CDX_OK;
}

/* ---- one resource ---- */

/* meta.versionId and meta.lastUpdated (FHIR R4 resource.html#Meta). */
static enum cdx_code read_meta(const struct cdx_decoding *d, const struct cdx_json *j,
                               const char *where, struct cdx_change *c, struct cdx_err *err)
{
    cdx_node meta = cdx_json_get(j, c->root, "meta");
    cdx_node version = cdx_json_get(j, meta, "versionId");
    enum cdx_code rc;

    rc = cdx_decode_text(d, j, version, &c->version, err);
    if (rc == CDX_OK)
        rc = cdx_decode_text(d, j, cdx_json_get(j, meta, "lastUpdated"), &c->updated, err);
    if (rc != CDX_OK)
        return rc;
    if (version != CDX_NO_NODE && !cdx_id_valid(c->version))
        return cdx_fail(err, CDX_INPUT,
                        "%smeta.versionId is not an id (1 to 64 of A-Z a-z 0-9 - . as a string); "
                        "correct the producer",
                        where);
    if (!cdx_instant_parse(c->updated, &c->event_ms))
        c->event_ms = d->rec->timestamp_ms;
    return CDX_OK;
}

enum cdx_code cdx_decode_resource(const struct cdx_decoding *d, const struct cdx_json *j,
                                  cdx_node root, const char *where, struct cdx_change *out,
                                  struct cdx_err *err)
{
    struct cdx_change c = {.interaction = CDX_UPSERT, .base = d->base, .json = j, .root = root};
    enum cdx_code rc;

    rc = cdx_decode_text(d, j, cdx_json_get(j, root, "resourceType"), &c.type, err);
    if (rc == CDX_OK)
        rc = cdx_decode_text(d, j, cdx_json_get(j, root, "id"), &c.id, err);
    if (rc != CDX_OK)
        return rc;
    if (!cdx_type_name_valid(c.type))
        return cdx_fail(err, CDX_INPUT,
                        "%sno resourceType that names a FHIR resource; correct the producer, or "
                        "sources[].format",
                        where);
    if (!cdx_id_valid(c.id))
        return cdx_fail(err, CDX_INPUT,
                        "%sthe resource has no valid id (1 to 64 of A-Z a-z 0-9 - . as a string), "
                        "so nobody can say "
                        "what changed; publish it as the server stored it",
                        where);
    rc = read_meta(d, j, where, &c, err);
    if (rc == CDX_OK)
        *out = c;
    return rc;
}

static enum cdx_code single(const struct cdx_decoding *d, const struct cdx_json *j,
                            struct cdx_err *err)
{
    struct cdx_change *c = cdx_arena_alloc(d->arena, sizeof *c);
    enum cdx_code rc;

    if (c == NULL)
        return cdx_fail(err, CDX_NOMEM, "decode: change");
    rc = cdx_decode_resource(d, j, 0, "", c, err);
    if (rc == CDX_OK)
        *d->out = (struct cdx_changes){c, 1};
    return rc;
}

/* ---- tombstones ---- */

/* The key as text: bytes as they are, or the JSON string that a JSON converter made of them. */
static enum cdx_code key_text(const struct cdx_decoding *d, struct cdx_text *out,
                              struct cdx_err *err)
{
    const struct cdx_json *j;
    enum cdx_code rc;

    *out = d->rec->key;
    if (out->n == 0 || out->p[0] != '"')
        return CDX_OK;
    rc = cdx_decode_index(d, *out, &j, err);
    return rc == CDX_OK ? cdx_decode_text(d, j, 0, out, err) : rc;
}

static enum cdx_code tombstone(const struct cdx_decoding *d, struct cdx_err *err)
{
    struct cdx_change *c;
    struct cdx_reference ref;
    struct cdx_text key;
    struct cdx_err unread = {0};
    enum cdx_code rc = key_text(d, &key, &unread);

    if (rc == CDX_NOMEM)
        return cdx_fail(err, rc, "%s", unread.text);
    if (rc == CDX_OK)
        cdx_reference_split(cdx_decode_relative(key, d->base), &ref);
    if (rc != CDX_OK || ref.kind != CDX_REF_RELATIVE || ref.version.n != 0)
        return cdx_fail(err, CDX_INPUT,
                        "a null value whose key is not Type/id of this source; key the topic so "
                        "(compacted topics: by "
                        "resource, absolute URLs: under sources[].base), or remove the topic");
    c = cdx_arena_alloc(d->arena, sizeof *c);
    if (c == NULL)
        return cdx_fail(err, CDX_NOMEM, "decode: change");
    *c = (struct cdx_change){
        .interaction = CDX_DELETE,
        .base = d->base,
        .type = ref.type,
        .id = ref.id,
        .event_ms = d->rec->timestamp_ms,
    };
    *d->out = (struct cdx_changes){c, 1};
    return CDX_OK;
}

/* ---- what kind of value ---- */

enum cdx_code cdx_decode_fhir_json(const struct cdx_decoding *d, const struct cdx_json *j,
                                   struct cdx_err *err)
{
    struct cdx_text type;
    enum cdx_code rc = cdx_decode_text(d, j, cdx_json_get(j, 0, "resourceType"), &type, err);

    if (rc != CDX_OK)
        return rc;
    return cdx_text_is(type, "Bundle") ? cdx_decode_bundle(d, j, err) : single(d, j, err);
}

enum cdx_code cdx_decode_fhir(const struct cdx_decoding *d, struct cdx_err *err)
{
    const struct cdx_json *j;
    enum cdx_code rc;

    if (d->rec->value.p == NULL)
        return tombstone(d, err);
    rc = cdx_decode_index(d, d->rec->value, &j, err);
    return rc == CDX_OK ? cdx_decode_fhir_json(d, j, err) : rc;
}
