/* push/request.h -- one easy handle, used again and again: request lines out, response head in. */
#ifndef CDX_PUSH_REQUEST_H
#define CDX_PUSH_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <curl/curl.h>

#include "core/err.h"
#include "push/hold.h"
#include "push/outcome.h"

struct cdx_delivery;
struct cdx_endpoint;
struct cdx_verdict;

enum { CDX_LINE_TYPE, CDX_LINE_ID, CDX_LINE_TIME, CDX_LINE_KEY, CDX_LINE_TRACE, CDX_LINES };
#define CDX_LINE_BYTES 80

struct cdx_request {
    struct cdx_request *prev, *next; /* in flight, or the endpoint's idle list */
    struct cdx_endpoint *ep;         /* borrowed; outlives us */
    CURL *easy;                      /* owned */
    struct cdx_delivery *del;        /* owned while in flight */
    struct cdx_hold_ticket ticket;
    int64_t started_ms; /* mono */
    bool retried;       /* on a fresh connection, after a reused one died */
    bool fresh_connect; /* what the easy handle is set to */
    /* lines of this request; the last one links to the endpoint's */
    char *type; /* owned "Content-Type: ..." */
    char text[CDX_LINES][CDX_LINE_BYTES];
    struct curl_slist lines[CDX_LINES];
    /* what came */
    bool dialled, blocked,
        begun;               /* a socket was opened; the guard refused; the request may be sent */
    int head_status, status; /* of the head being read; of the final head once whole */
    size_t head_bytes, body_bytes;
    int64_t retry_after_ms;
};

/* Returns owned, or NULL (CDX_NOMEM). connect_timeout_ms: connect and TLS. Thread: push, as for all below. */
struct cdx_request *cdx_request_create(struct cdx_endpoint *ep, int64_t connect_timeout_ms,
                                       struct cdx_err *err);
void cdx_request_destroy(struct cdx_request *r);

/* Make it ready to send `del` (borrowed until taken by the caller). CDX_NOMEM. */
enum cdx_code cdx_request_prepare(struct cdx_request *r, const struct cdx_delivery *del,
                                  int64_t timeout_ms, bool fresh_connect,
                                  struct cdx_err *err) CDX_MUST_CHECK;
/* Forget what came, before the same request is sent again. */
void cdx_request_rewind(struct cdx_request *r, bool fresh_connect);
/* Did a reused connection die before any byte of a response? */
bool cdx_request_died_idle(const struct cdx_request *r, enum cdx_transport transport);
enum cdx_transport cdx_request_transport(const struct cdx_request *r, CURLcode code);
/* From the request's start to the response's first byte. */
int64_t cdx_request_rtt_us(const struct cdx_request *r);
bool cdx_request_reused(const struct cdx_request *r);

#endif
