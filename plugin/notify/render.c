/*
 * notify/render.c -- what of an event is written into the log, so that stage 2 only copies?
 *
 * In:    a change that matched, the record that it came from, the level at which it is logged.
 * Out:   a log record's text (model/logrec.h) below its `i` line: header lines, the focus entry, the Provenance entry
 *        in four pieces, between which stage 2 puts what it alone knows: the id (twice) and `recorded`.
 * Owns:  nothing; one scratch buffer during the call.
 *
 * The resource is spliced as the bytes that came (davinci.md 2.0): a dumper would change 1.00 to 1.0 and break hashes
 * and signatures. Lengths stand before what they measure, so the small parts are made aside and the resource, which may
 * be 16 MB, is copied once.
 *
 * The record's SHA-256 has no element of its own in R4 Provenance (Attachment.hash is SHA-1, an extension of ours would
 * be unknown to every receiver). So the source is named by two entities: by place, kafka://..., and by content, the
 * hash as a URI of RFC 6920 section 7, nih:sha-256;<hex>; both are plain urn:ietf:rfc:3986 identifiers.
 */
#include "notify/notify.h"

#include "core/instant.h"
#include "core/limits.h"
#include "fhir/view.h"
#include "model/change.h"
#include "model/logrec.h"
#include "model/record.h"

#define ADD(out, literal) cdx_buf_add((out), (literal), sizeof(literal) - 1)

/* The scratch buffer's bound: addresses, displays and constants of one event, never content. */
#define MAX_PARTS_BYTES (256u << 10)

/* How each interaction is told in a history entry (subscriptions.md 1.8). An UPSERT should have been decided by now. */
static const struct {
    struct cdx_text method;
    struct cdx_text status;
    bool with_id; /* url is Type/id, else Type */
} methods[] = {
    [CDX_UPSERT] = {CDX_LIT("PUT"), CDX_LIT("200"), true},
    [CDX_CREATE] = {CDX_LIT("POST"), CDX_LIT("201"), false},
    [CDX_UPDATE] = {CDX_LIT("PUT"), CDX_LIT("200"), true},
    [CDX_DELETE] = {CDX_LIT("DELETE"), CDX_LIT("204"), true},
};

/* Where each part ends in the scratch buffer; parts follow each other in this order. */
enum part { FOCUS, ENTRY_HEAD, ENTRY_TAIL, STAMP_1, STAMP_2, STAMP_3, STAMP_4, PARTS };

struct parts {
    struct cdx_buf text;
    size_t end[PARTS];
};

static struct cdx_text part(const struct parts *parts, enum part which)
{
    size_t from = which == 0 ? 0 : parts->end[which - 1];

    return cdx_text(parts->text.p + from, parts->end[which] - from);
}

/* What was added since the last call is this part. */
static void close_part(struct parts *parts, enum part which)
{
    parts->end[which] = parts->text.n;
}

/* As cdx_buf_add_json, without its quotes. */
static void add_inside(struct cdx_buf *out, struct cdx_text text)
{
    size_t at = out->n;

    cdx_buf_add_json(out, text);
    if (out->failed)
        return;
    out->n -= 2;
    memmove(out->p + at, out->p + at + 1, out->n - at);
}

/* A JSON string of several texts. */
static void add_joined(struct cdx_buf *out, const struct cdx_text *texts, size_t n)
{
    ADD(out, "\"");
    for (size_t i = 0; i < n; i++)
        add_inside(out, texts[i]);
    ADD(out, "\"");
}

#define JOIN(out, ...)                                                                             \
    add_joined((out), (const struct cdx_text[]){__VA_ARGS__},                                      \
               CDX_COUNT(((const struct cdx_text[]){__VA_ARGS__})))

/* The version as an ETag and in a URL; a source's version that is no FHIR id fits neither. */
static bool versioned(const struct cdx_change *change)
{
    return change->version.n != 0 && cdx_id_valid(change->version);
}

static void add_focus(struct cdx_buf *out, const struct cdx_change *change)
{
    cdx_buf_add_text(out, change->base);
    ADD(out, "/");
    cdx_buf_add_text(out, change->type);
    ADD(out, "/");
    cdx_buf_add_text(out, change->id);
}

static void add_entry_head(struct cdx_buf *out, const struct cdx_change *change)
{
    ADD(out, ",{\"fullUrl\":");
    JOIN(out, change->base, CDX_LIT("/"), change->type, CDX_LIT("/"), change->id);
    ADD(out, ",");
}

static void add_entry_tail(struct cdx_buf *out, const struct cdx_change *change, int interaction)
{
    int64_t ms;

    ADD(out, "\"request\":{\"method\":\"");
    cdx_buf_add_text(out, methods[interaction].method);
    ADD(out, "\",\"url\":");
    if (methods[interaction].with_id)
        JOIN(out, change->type, CDX_LIT("/"), change->id);
    else
        cdx_buf_add_json(out, change->type);
    ADD(out, "},\"response\":{\"status\":\"");
    cdx_buf_add_text(out, methods[interaction].status);
    ADD(out, "\"");
    if (versioned(change)) {
        ADD(out, ",\"etag\":\"W/\\\"");
        cdx_buf_add_text(out, change->version);
        ADD(out, "\\\"\"");
    }
    if (cdx_instant_parse(change->updated, &ms)) {
        ADD(out, ",\"lastModified\":");
        cdx_buf_add_json(out, change->updated);
    }
    ADD(out, "}}");
}

/* "Organization/x" of one server says nothing to another. */
static bool absolute(struct cdx_text reference)
{
    return memmem(reference.p, reference.n, "://", 3) != NULL ||
           cdx_text_starts(reference, CDX_LIT("urn:"));
}

static void add_who(struct cdx_buf *out, const struct cdx_organization *org, struct cdx_text base)
{
    struct cdx_text reference = cdx_text_z(org->reference);

    ADD(out, ",\"who\":{");
    if (reference.n != 0) {
        ADD(out, "\"reference\":");
        if (base.n == 0 || absolute(reference))
            cdx_buf_add_json(out, reference);
        else
            JOIN(out, base, CDX_LIT("/"), reference);
    }
    if (org->display != NULL || reference.n == 0) {
        if (reference.n != 0)
            ADD(out, ",");
        ADD(out, "\"display\":");
        cdx_buf_add_json(out, cdx_text_z(org->display != NULL ? org->display : "not named"));
    }
    ADD(out, "}}");
}

static void add_coordinates(struct cdx_buf *out, const struct cdx_record *rec)
{
    ADD(out, "/");
    cdx_buf_add_i64(out, rec->partition);
    ADD(out, "/");
    cdx_buf_add_i64(out, rec->offset);
}

#define PARTICIPANT "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
#define US_CORE_PARTICIPANT                                                                        \
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"

/* activity, agents and entities of the exchange stamp (davinci.md 3.3). */
static void add_stamp_end(struct cdx_buf *out, const struct cdx_render *r)
{
    ADD(out,
        "\",\"activity\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle\","
        "\"code\":\"transmit\"}]},\"agent\":[{\"type\":{\"coding\":[{\"system\":\"" PARTICIPANT
        "\",\"code\":\"author\"}]}");
    add_who(out, &r->author, r->change->base);
    ADD(out,
        ",{\"type\":{\"coding\":[{\"system\":\"" US_CORE_PARTICIPANT "\",\"code\":\"transmitter\"},"
        "{\"system\":\"" PARTICIPANT "\",\"code\":\"transmitter\"}]}");
    add_who(out, &r->transmitter, cdx_text_z(r->base));
    ADD(out,
        "],\"entity\":[{\"role\":\"source\",\"what\":{\"identifier\":{\"system\":\"urn:ietf:rfc:3986\","
        "\"value\":\"kafka://");
    add_inside(out, cdx_text_z(r->cluster));
    ADD(out, "/");
    add_inside(out, r->rec->topic);
    add_coordinates(out, r->rec);
    ADD(out,
        "\"}}},{\"role\":\"source\",\"what\":{\"identifier\":{\"system\":\"urn:ietf:rfc:3986\","
        "\"value\":\"nih:sha-256;");
    cdx_buf_add_z(out, r->record_sha256);
    ADD(out,
        "\"}}}]},\"request\":{\"method\":\"POST\",\"url\":\"Provenance\"},\"response\":{\"status\":\"201\"}}");
}

static void add_stamp(struct parts *parts, const struct cdx_render *r, const char *occurred)
{
    struct cdx_buf *out = &parts->text;
    const struct cdx_change *change = r->change;

    ADD(out, ",{\"fullUrl\":\"urn:uuid:");
    close_part(parts, STAMP_1);
    ADD(out, "\",\"resource\":{\"resourceType\":\"Provenance\",\"id\":\"");
    close_part(parts, STAMP_2);
    ADD(out,
        "\",\"meta\":{\"profile\":[\"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-provenance\"]},"
        "\"target\":[{\"reference\":");
    if (versioned(change))
        JOIN(out, change->base, CDX_LIT("/"), change->type, CDX_LIT("/"), change->id,
             CDX_LIT("/_history/"), change->version);
    else
        JOIN(out, change->base, CDX_LIT("/"), change->type, CDX_LIT("/"), change->id);
    ADD(out, "}],\"occurredDateTime\":\"");
    cdx_buf_add_z(out, occurred);
    ADD(out, "\",\"recorded\":\"");
    close_part(parts, STAMP_3);
    add_stamp_end(out, r);
    close_part(parts, STAMP_4);
}

/* A header line; what would end it early, or not be read back, is refused. */
static enum cdx_code add_line(struct cdx_buf *out, char letter, struct cdx_text value,
                              const char *what, struct cdx_err *err)
{
    const char start[] = {letter, ' '};

    if (value.n == 0 || memchr(value.p, '\n', value.n) != NULL)
        return cdx_fail(err, CDX_INPUT, "notify: %s is empty or holds a line break", what);
    cdx_buf_add(out, start, sizeof start);
    cdx_buf_add_text(out, value);
    ADD(out, "\n");
    return CDX_OK;
}

/* Lines l to s. */
static enum cdx_code add_lines(struct cdx_buf *out, const struct cdx_render *r, int level,
                               const char *occurred, struct cdx_text focus, struct cdx_err *err)
{
    static const char letters[] = "eif"; /* in the order of enum cdx_level_of_content */
    enum cdx_code rc;

    if (r->members_n > CDX_MAX_LOG_MEMBERS)
        return cdx_fail(err, CDX_INPUT, "notify: an event names more than %d patients",
                        CDX_MAX_LOG_MEMBERS);
    ADD(out, "l ");
    cdx_buf_add(out, &letters[level], 1);
    ADD(out, "\nt ");
    cdx_buf_add_z(out, occurred);
    ADD(out, "\n");
    rc = add_line(out, 'f', focus, "the focus address", err);
    for (size_t i = 0; rc == CDX_OK && i < r->members_n; i++)
        rc = add_line(out, 'm', r->members[i], "a member key", err);
    if (rc != CDX_OK)
        return rc;
    ADD(out, "s ");
    cdx_buf_add_text(out, r->rec->topic);
    add_coordinates(out, r->rec);
    ADD(out, "/");
    cdx_buf_add_i64(out, r->change->index);
    ADD(out, "\n");
    return CDX_OK;
}

#define RESOURCE "\"resource\":"

/* The resource's own bytes; empty where it has none to show. */
static struct cdx_text content_of(const struct cdx_render *r, int level, const char *withheld)
{
    if (level != CDX_FULL_RESOURCE || withheld != NULL || r->interaction == CDX_DELETE ||
        r->change->json == NULL)
        return cdx_text(NULL, 0);
    return cdx_json_raw(r->change->json, r->change->root);
}

/* Lines e and p, the empty line, and what they measure. */
static void add_body(struct cdx_buf *out, const struct parts *parts, struct cdx_text content,
                     const char *withheld)
{
    struct cdx_text head = part(parts, ENTRY_HEAD), tail = part(parts, ENTRY_TAIL);
    size_t resource_n = content.n != 0 ? sizeof RESOURCE - 1 + content.n + 1 : 0;

    ADD(out, "e ");
    cdx_buf_add_i64(out, (int64_t)(head.n + resource_n + tail.n));
    if (content.n != 0) {
        ADD(out, "\np");
        for (int i = STAMP_1; i <= STAMP_4; i++) {
            ADD(out, " ");
            cdx_buf_add_i64(out, (int64_t)part(parts, (enum part)i).n);
        }
    }
    if (withheld != NULL) {
        ADD(out, "\nx ");
        cdx_buf_add_z(out, withheld);
    }
    ADD(out, "\n\n");
    cdx_buf_add_text(out, head);
    if (content.n != 0) {
        ADD(out, RESOURCE);
        cdx_buf_add_text(out, content);
        ADD(out, ",");
    }
    cdx_buf_add_text(out, tail);
    cdx_buf_add_text(out, cdx_text(parts->text.p + parts->end[ENTRY_TAIL],
                                   parts->end[STAMP_4] - parts->end[ENTRY_TAIL]));
}

enum cdx_code cdx_notify_render(const struct cdx_render *r, int level, const char *withheld,
                                struct cdx_buf *out, struct cdx_err *err)
{
    struct cdx_text content = content_of(r, level, withheld);
    struct parts parts;
    char occurred[CDX_INSTANT_BYTES];
    enum cdx_code rc;

    cdx_buf_init(&parts.text, MAX_PARTS_BYTES);
    cdx_instant_format(r->change->event_ms, occurred);
    add_focus(&parts.text, r->change);
    close_part(&parts, FOCUS);
    if (level != CDX_EMPTY && withheld == NULL)
        add_entry_head(&parts.text, r->change);
    close_part(&parts, ENTRY_HEAD);
    if (level != CDX_EMPTY && withheld == NULL)
        add_entry_tail(&parts.text, r->change, r->interaction);
    for (int i = ENTRY_TAIL; i < PARTS; i++)
        close_part(&parts, (enum part)i);
    if (content.n != 0)
        add_stamp(&parts, r, occurred);
    if (parts.text.failed) {
        rc = cdx_fail(err, CDX_NOMEM, "notify: log record");
        goto out;
    }
    rc = add_lines(out, r, level, occurred, part(&parts, FOCUS), err);
    if (rc != CDX_OK)
        goto out;
    add_body(out, &parts, content, withheld);
    rc = out->failed ? cdx_fail(err, CDX_NOMEM, "notify: log record") : CDX_OK;
out:
    cdx_buf_fini(&parts.text);
    return rc;
}
