/* model/record.h -- one Kafka record as the bus read it. */
#ifndef CDX_MODEL_RECORD_H
#define CDX_MODEL_RECORD_H

#include <stdint.h>

#include "core/text.h"

struct cdx_header {
    struct cdx_text name;
    struct cdx_text value; /* p NULL: a null value */
};

/* A view: everything is borrowed from the bus until the next poll. */
struct cdx_record {
    struct cdx_text topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;             /* create or append time; -1 unknown */
    struct cdx_text key;              /* p NULL: none */
    struct cdx_text value;            /* p NULL: a tombstone */
    const struct cdx_header *headers; /* in order; names may repeat */
    size_t headers_n;
};

/* The last header called `name`, or NULL. */
static inline const struct cdx_header *cdx_record_header(const struct cdx_record *rec,
                                                         const char *name)
{
    for (size_t i = rec->headers_n; i-- > 0;)
        if (cdx_text_is(rec->headers[i].name, name))
            return &rec->headers[i];
    return NULL;
}

#endif
