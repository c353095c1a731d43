/* core/instant.h -- FHIR instants and HTTP dates to milliseconds since 1970-01-01Z and back. */
#ifndef CDX_CORE_INSTANT_H
#define CDX_CORE_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

#define CDX_INSTANT_BYTES 32

/* "2030-05-01T12:00:00.250Z" (FHIR R4 instant, always UTC with milliseconds). Returns `out`. Thread: any. */
const char *cdx_instant_format(int64_t ms, char out[CDX_INSTANT_BYTES]);
/* A FHIR instant or dateTime with time and zone (fractions beyond ms are cut). False: not one. Thread: any. */
bool cdx_instant_parse(struct cdx_text text, int64_t *ms);
/* An IMF-fixdate, RFC 850 or asctime date (RFC 9110 5.6.7). False: not one. Thread: any. */
bool cdx_http_date_parse(struct cdx_text text, int64_t *ms);

#endif
