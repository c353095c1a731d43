/* model/delivery.h -- one notification on its way to one endpoint: bytes and headers, no FHIR. */
#ifndef CDX_MODEL_DELIVERY_H
#define CDX_MODEL_DELIVERY_H

#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"

struct cdx_sub; /* model/subscription.h */

struct cdx_delivery {
    char *body; /* owned, malloc'd */
    size_t body_n;
    struct cdx_sub *sub; /* owned reference: headers, payload type, timeout */
    char webhook_id[CDX_WEBHOOK_ID_BYTES];
    char traceparent[56]; /* of the event, continued with a new span id; "" when none */
    void *arg;            /* the submitter's; comes back with the verdict */
};

/* Frees what it owns and `*d`; sets it to NULL. Accepts NULL inside. */
void cdx_delivery_free(struct cdx_delivery **d);

#endif
