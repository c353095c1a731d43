/* push/outcome.h -- what did this exchange come to? One table from (transport, HTTP status) to an outcome. Pure. */
#ifndef CDX_PUSH_OUTCOME_H
#define CDX_PUSH_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"
#include "model/verdict.h"

/* How the exchange ended below HTTP. */
enum cdx_transport {
    CDX_T_DONE, /* a whole response */
    CDX_T_CUT,  /* we stopped reading it (cap) */
    CDX_T_DNS,
    CDX_T_CONNECT, /* refused, unreachable */
    CDX_T_DIAL_TIMEOUT,
    CDX_T_TIMEOUT, /* connected, then no answer in time */
    CDX_T_TLS,     /* handshake */
    CDX_T_CERTIFICATE,
    CDX_T_LOCAL_TLS, /* our own certificate, key or CA file */
    CDX_T_RESET,     /* died before the response was whole */
    CDX_T_PROTOCOL,  /* what came is not HTTP */
    CDX_T_BLOCKED,   /* by the dial guard */
    CDX_T_LOCAL,     /* our side: memory, descriptors */
    CDX_T_CANCELLED,
    CDX_TRANSPORTS
};

struct cdx_exchange {
    enum cdx_transport transport;
    int status; /* of the final response head; 0: there was none, or it was not whole */
    bool duplicate_is_success; /* 409 */
    bool encoded;              /* Content-Encoding was sent */
};

struct cdx_outcome_row {
    enum cdx_outcome outcome;
    const char *error_code; /* subscription-error; NULL on success and when cancelled. Static */
    const char *detail;     /* Static */
    int64_t min_wait_ms;    /* the endpoint waits at least so long: 429 and 503 */
    bool back_pressure;     /* the endpoint has too much to do: its in-flight bound shrinks */
    bool new_connection;    /* the next request wants one: 421 */
};

/* Never NULL. Thread: any. */
const struct cdx_outcome_row *cdx_outcome_of(const struct cdx_exchange *x);

/**
 * A libcurl result (CURLcode) as transport. connected: the request had begun, so a timeout is one of the answer.
 * blocked: the dial guard refused every address.
 */
enum cdx_transport cdx_transport_of(int curl_code, bool connected, bool blocked);

#define CDX_MAX_RETRY_AFTER_MS INT64_C(86400000) /* 24 h, delivery.md 4 */

/**
 * A Retry-After value (RFC 9110 10.2.3) as milliseconds from now: seconds (a fraction is rounded up) or an HTTP date (a
 * past one is 0). At most CDX_MAX_RETRY_AFTER_MS; -1: neither. wall_ms: now.
 */
int64_t cdx_retry_after_ms(struct cdx_text value, int64_t wall_ms);

#endif
