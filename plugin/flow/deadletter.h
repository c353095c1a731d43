/* flow/deadletter.h -- private to flow/: the headers of a dead letter (delivery.md 10), beside the original ones. */
#ifndef CDX_FLOW_DEADLETTER_H
#define CDX_FLOW_DEADLETTER_H

#include <stdint.h>

#include "core/text.h"
#include "model/record.h"

#define CDX_DEADLETTER_HEADERS 24

/* All borrowed; empty texts and negative numbers are left out. */
struct cdx_deadletter {
    const char *stage; /* decode, map, match, push */
    const char *klass; /* decode, message, too-large, gap, ... */
    struct cdx_text error;
    struct cdx_text subscription, endpoint, webhook_id, traceparent;
    int status; /* HTTP; 0: none */
    int attempts;
    int64_t first_ms, last_ms; /* wall */
    int64_t event_first, event_last;
    struct cdx_text src_topic;
    int32_t src_partition;
    int64_t src_offset, src_ms;
    struct cdx_text note_name, note_value; /* one more, such as cdex-dlq-sha256 */
};

/* Storage for the texts that are made here. */
struct cdx_deadletter_texts {
    char text[16][40];
    int n;
};

/* Fills `out`; returns how many. `texts` must live as long as `out` is used. */
size_t cdx_deadletter_headers(const struct cdx_deadletter *d, struct cdx_deadletter_texts *texts,
                              struct cdx_header out[CDX_DEADLETTER_HEADERS]);

#endif
