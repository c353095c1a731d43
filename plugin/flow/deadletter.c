/* flow/deadletter.c -- one row per header: name, and what of the dead letter it shows. */
#include "flow/deadletter.h"

#include <stdio.h>

#include "core/instant.h"

static void add(struct cdx_header *out, size_t *n, const char *name, struct cdx_text value)
{
    if (value.n > 0)
        out[(*n)++] = (struct cdx_header){cdx_text_z(name), value};
}

static struct cdx_text number(struct cdx_deadletter_texts *texts, int64_t v, bool show)
{
    char *z = texts->text[texts->n++];

    return show ? cdx_text(z, (size_t)snprintf(z, sizeof texts->text[0], "%lld", (long long)v))
                : cdx_text(NULL, 0);
}

static struct cdx_text instant(struct cdx_deadletter_texts *texts, int64_t ms)
{
    return ms > 0 ? cdx_text_z(cdx_instant_format(ms, texts->text[texts->n++])) : cdx_text(NULL, 0);
}

size_t cdx_deadletter_headers(const struct cdx_deadletter *d, struct cdx_deadletter_texts *texts,
                              struct cdx_header out[CDX_DEADLETTER_HEADERS])
{
    size_t n = 0;

    texts->n = 0;
    add(out, &n, "cdex-dlq-version", CDX_LIT("1"));
    add(out, &n, "cdex-dlq-stage", cdx_text_z(d->stage));
    add(out, &n, "cdex-dlq-class", cdx_text_z(d->klass));
    add(out, &n, "cdex-dlq-status", number(texts, d->status, d->status > 0));
    add(out, &n, "cdex-dlq-error", d->error.n > 512 ? cdx_text(d->error.p, 512) : d->error);
    add(out, &n, "cdex-dlq-attempts", number(texts, d->attempts, d->attempts > 0));
    add(out, &n, "cdex-dlq-first-ts", instant(texts, d->first_ms));
    add(out, &n, "cdex-dlq-last-ts", instant(texts, d->last_ms));
    add(out, &n, "cdex-subscription", d->subscription);
    add(out, &n, "cdex-endpoint", d->endpoint);
    add(out, &n, "cdex-event-first", number(texts, d->event_first, d->event_first > 0));
    add(out, &n, "cdex-event-last", number(texts, d->event_last, d->event_last > 0));
    add(out, &n, "cdex-src-topic", d->src_topic);
    add(out, &n, "cdex-src-partition", number(texts, d->src_partition, d->src_topic.n > 0));
    add(out, &n, "cdex-src-offset", number(texts, d->src_offset, d->src_topic.n > 0));
    add(out, &n, "cdex-src-ts", instant(texts, d->src_ms));
    add(out, &n, "webhook-id", d->webhook_id);
    add(out, &n, "traceparent", d->traceparent);
    if (d->note_name.n > 0)
        out[n++] = (struct cdx_header){d->note_name, d->note_value};
    return n;
}
