/* tests/fuzz/logrec.c -- any bytes as a log record: refused, or views that lie inside and can be cut into a Bundle. */
#include <stdlib.h>

#include "core/limits.h"
#include "model/logrec.h"
#include "notify/notify.h"

#include "fuzz.h"

static void must_lie_inside(struct cdx_text whole, struct cdx_text part)
{
    if (part.n != 0 && (part.p < whole.p || part.n > whole.n - (size_t)(part.p - whole.p)))
        abort();
}

static void cut_a_bundle(const struct cdx_logrec *rec)
{
    static char id[] = "s1", topic[] = "http://t";
    static const struct cdx_server server = {.base = "https://gateway.example.org/fhir/r4"};
    const struct cdx_sub sub = {.refs = 1, .id = id, .topic = topic, .level = CDX_FULL_RESOURCE};
    struct cdx_uuid uuid;
    struct cdx_buf out;

    cdx_buf_init(&out, CDX_MAX_BODY_BYTES);
    if (cdx_notify_cut(&server, &sub, &(struct cdx_event){1, 0, rec, false}, 1, &out, &uuid,
                       NULL) == CDX_OK &&
        (out.n == 0 || out.p[0] != '{'))
        abort();
    cdx_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cdx_text value = cdx_text((const char *)data, size);
    struct cdx_logrec rec;

    if (cdx_logrec_parse(value, &rec, NULL) != CDX_OK)
        return 0;
    must_lie_inside(value, rec.timestamp);
    must_lie_inside(value, rec.focus);
    must_lie_inside(value, rec.source);
    must_lie_inside(value, rec.entries);
    must_lie_inside(value, rec.withheld);
    for (size_t i = 0; i < rec.contexts_n; i++)
        must_lie_inside(value, rec.contexts[i]);
    for (size_t i = 0; i < rec.members_n; i++)
        must_lie_inside(value, rec.members[i]);
    for (size_t i = 0; i < CDX_COUNT(rec.provenance); i++)
        must_lie_inside(value, rec.provenance[i]);
    cut_a_bundle(&rec);
    return 0;
}
