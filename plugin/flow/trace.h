/* flow/trace.h -- private to flow/: W3C trace context, continued from record to record and to the request. */
#ifndef CDX_FLOW_TRACE_H
#define CDX_FLOW_TRACE_H

#include <stdint.h>

#include "model/record.h"

#define CDX_TRACEPARENT_BYTES 56 /* 55 characters and NUL */

/* A traceparent with a new span: of the record's `traceparent` or `ce_traceparent`, or a new trace where it has none. */
void cdx_trace_continue(const struct cdx_record *rec, uint64_t *random,
                        char out[CDX_TRACEPARENT_BYTES]);
/* The same for a text; empty: a new trace. */
void cdx_trace_child(struct cdx_text parent, uint64_t *random, char out[CDX_TRACEPARENT_BYTES]);

#endif
