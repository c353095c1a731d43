/*
 * decode/auto.c -- what is this record, when nobody said?
 *
 * In:    a record: its headers, first bytes, and the members of its JSON.
 * Out:   its changes when it is FHIR JSON; else an error that names what it looks like, so that the
 *        operator knows what stands on the topic and which word to write into the configuration.
 * Owns:  nothing.
 *
 * The hard thing is the order: a mark that is decisive comes before one that others share (a frame
 * before its payload, resourceType before the members that any application may use). Not a score
 * over all marks: a site that sees a wrong guess must be able to follow why.
 */
#include <strings.h>

#include "decode/formats.h"
#include "fhir/view.h"

/* Bytes of an XML text in which its root element must begin to be recognised. */
#define XML_HEAD_BYTES 4096

/* Schema registry framing, version 0: a zero byte and a schema id of four. */
#define FRAME_BYTES 5

static enum cdx_code looks_like(const char *what, struct cdx_err *err)
{
    return cdx_fail(err, CDX_INPUT,
                    "the record looks like %s, which this build cannot read; set sources[].format "
                    "if it is something "
                    "else, or remove the topic",
                    what);
}

static enum cdx_code unknown(const char *why, struct cdx_err *err)
{
    return cdx_fail(err, CDX_INPUT,
                    "the record's format is unknown (%s); set sources[].format, correct the "
                    "producer, or remove the "
                    "topic",
                    why);
}

/* ---- marks in headers ---- */

static const struct {
    const char *header;
    const char *starts; /* with this, in any case; "": it is enough that it is there */
    const char *what;
} header_marks[] = {
    {"content-type", "application/cloudevents", "a CloudEvents event (structured mode)"},
    {"ce_specversion", "", "a CloudEvents event (binary mode)"},
};

static const char *seen_in_headers(const struct cdx_record *rec)
{
    for (size_t i = 0; i < CDX_COUNT(header_marks); i++) {
        const struct cdx_header *h = cdx_record_header(rec, header_marks[i].header);
        size_t n = strlen(header_marks[i].starts);
        if (h != NULL && h->value.n >= n &&
            (n == 0 || strncasecmp(h->value.p, header_marks[i].starts, n) == 0))
            return header_marks[i].what;
    }
    return NULL;
}

/* ---- marks in first bytes ---- */

static const struct {
    struct cdx_text starts;
    const char *what;
} byte_marks[] = {
    {{"\x0BMSH", 4}, "HL7 v2 in an MLLP frame"},
    {{"MSH", 3}, "HL7 v2"},
    {{"FHS", 3}, "an HL7 v2 batch"},
    {{"BHS", 3}, "an HL7 v2 batch"},
    {{"\x03\x00", 2}, "an AWS Glue schema registry frame"},
    {{"\x03\x05", 2}, "an AWS Glue schema registry frame"},
};

static const char *seen_in_bytes(struct cdx_text value)
{
    for (size_t i = 0; i < CDX_COUNT(byte_marks); i++)
        if (cdx_text_starts(value, byte_marks[i].starts))
            return byte_marks[i].what;
    return NULL;
}

/* Namespaces of root elements. The first that is named is the root's own. */
static const struct {
    struct cdx_text namespace;
    const char *what;
} xml_marks[] = {
    {CDX_LIT("http://hl7.org/fhir"), "FHIR XML"},
    {CDX_LIT("urn:hl7-org:v3"), "C-CDA or another HL7 v3 document"},
    {CDX_LIT("urn:hl7-org:v2xml"), "HL7 v2 XML"},
};

static const char *seen_in_xml(struct cdx_text value)
{
    const char *first = NULL, *what = "XML";
    size_t n = value.n < XML_HEAD_BYTES ? value.n : XML_HEAD_BYTES;

    for (size_t i = 0; i < CDX_COUNT(xml_marks); i++) {
        const char *at = memmem(value.p, n, xml_marks[i].namespace.p, xml_marks[i].namespace.n);
        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            what = xml_marks[i].what;
        }
    }
    return what;
}

/* ---- marks in members ---- */

/* A row is met when each of its paths reaches something. */
static const struct {
    const char *paths[4];
    const char *what;
} member_marks[] = {
    {{"specversion", "type", "source", "id"}, "a CloudEvents event"},
    {{"payload.op"}, "a Debezium change event"},
    {{"op", "source"}, "a Debezium change event"},
    {{"messageType", "message"}, "a MassTransit envelope (Firely PubSub)"},
    {{"changes.reference", "changes.changeType"}, "a Firely PubSub event"},
    {{"payload.operationType"}, "a HAPI FHIR ResourceModifiedMessage"},
    {{"payload.payloadId"}, "a HAPI FHIR ResourceModifiedMessage"},
    {{"operationType", "location", "resourceId"}, "a LinuxForHealth notification event"},
    {{"message.attributes", "message.data"}, "a Google Pub/Sub push body"},
    {{"eventType", "subject", "dataVersion"}, "an Azure Event Grid event"},
};

static bool stop_at_first(void *arg, cdx_node value)
{
    (void)arg;
    (void)value;
    return false;
}

static const char *seen_in_members(const struct cdx_json *j)
{
    for (size_t i = 0; i < CDX_COUNT(member_marks); i++) {
        size_t k = 0;
        while (k < CDX_COUNT(member_marks[i].paths) && member_marks[i].paths[k] != NULL &&
               !cdx_path_walk(j, 0, cdx_text_z(member_marks[i].paths[k]), stop_at_first, NULL))
            k++;
        if (k == CDX_COUNT(member_marks[i].paths) || member_marks[i].paths[k] == NULL)
            return member_marks[i].what;
    }
    return NULL;
}

static enum cdx_code read_json(const struct cdx_decoding *d, struct cdx_text value,
                               struct cdx_err *err)
{
    const struct cdx_json *j;
    const char *what;
    cdx_node type;
    enum cdx_code rc = cdx_decode_index(d, value, &j, err);

    if (rc != CDX_OK)
        return rc;
    type = cdx_json_get(j, 0, "resourceType");
    if (type != CDX_NO_NODE && cdx_json_kind(j, type) == CDX_JSON_STRING)
        return cdx_decode_fhir_json(d, j, err);
    what = seen_in_members(j);
    return what != NULL ? looks_like(what, err)
                        : unknown("JSON without the members of any known format", err);
}

/* ---- the order ---- */

static struct cdx_text skip_bom_and_space(struct cdx_text t)
{
    if (cdx_text_starts(t, CDX_LIT("\xEF\xBB\xBF")))
        t = cdx_text(t.p + 3, t.n - 3);
    while (t.n != 0 && (*t.p == ' ' || *t.p == '\t' || *t.p == '\r' || *t.p == '\n'))
        t = cdx_text(t.p + 1, t.n - 1);
    return t;
}

/* A schema registry's JSON needs no registry to be read; Avro and Protobuf do. */
static enum cdx_code read_framed(const struct cdx_decoding *d, struct cdx_err *err)
{
    struct cdx_text payload = d->rec->value;

    payload = cdx_text(payload.p + FRAME_BYTES, payload.n - FRAME_BYTES);
    if (payload.p[0] == '{')
        return read_json(d, payload, err);
    return looks_like("Avro or Protobuf in a Confluent schema registry frame", err);
}

enum cdx_code cdx_decode_auto(const struct cdx_decoding *d, struct cdx_err *err)
{
    const struct cdx_record *rec = d->rec;
    struct cdx_text inner = skip_bom_and_space(rec->value);
    const char *what;

    if (rec->value.p == NULL)
        return cdx_decode_fhir(d, err);
    if ((what = seen_in_headers(rec)) != NULL)
        return looks_like(what, err);
    if (rec->value.n > FRAME_BYTES && rec->value.p[0] == '\0')
        return read_framed(d, err);
    if ((what = seen_in_bytes(rec->value)) != NULL)
        return looks_like(what, err);
    if (inner.n != 0 && inner.p[0] == '<')
        return looks_like(seen_in_xml(inner), err);
    if (inner.n != 0 && (inner.p[0] == '{' || inner.p[0] == '['))
        return read_json(d, rec->value, err);
    if (cdx_record_header(rec, "__value_schema_id") != NULL)
        return looks_like("Avro or Protobuf with a Confluent schema id in its header", err);
    return unknown("neither JSON, XML nor HL7 v2 by its first bytes", err);
}
