/* push/endpoint.h -- one URL with its headers: who may be asked how much, and what is sent with every request. */
#ifndef CDX_PUSH_ENDPOINT_H
#define CDX_PUSH_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <curl/curl.h>

#include "core/err.h"
#include "core/text.h"
#include "push/hold.h"
#include "push/limit.h"

struct cdx_clock;
struct cdx_endpoint_conf;
struct cdx_guard;
struct cdx_outcome_row;
struct cdx_push_conf;
struct cdx_request;
struct cdx_sub;
struct cdx_verdict;

/* Requests of all endpoints. */
struct cdx_load {
    int in_flight, max;
};

struct cdx_endpoint {
    char *key;                            /* owned: URL and headers, a line each */
    char *url;                            /* owned */
    char *id;                             /* owned */
    const struct cdx_endpoint_conf *conf; /* borrowed; NULL: none configured */
    const struct cdx_clock *clock;        /* borrowed, as the next two: the pusher's */
    const struct cdx_load *load;
    const struct cdx_guard *guard;
    bool tls;
    struct curl_slist *headers; /* owned: the static lines; requests link their own before them */
    struct cdx_hold hold;
    struct cdx_limit limit;
    struct cdx_err refusal;   /* the guard's word on the URL; code CDX_OK: it may be dialled */
    char refused_detail[192]; /* what cdx_endpoint_refused was told */
    bool new_connection;      /* the next request wants one (421) */
    int uses, in_flight;
    struct cdx_request *idle; /* owned list */
    int idle_n;
};

/* "url\nheader\n...": what makes two subscriptions share an endpoint. malloc'd; NULL: no memory. */
char *cdx_endpoint_key(const struct cdx_sub *sub);
/* Takes key (frees it on failure too). Returns owned without a use, or NULL (CDX_NOMEM). */
struct cdx_endpoint *cdx_endpoint_create(char *key, const struct cdx_sub *sub,
                                         const struct cdx_push_conf *conf,
                                         const struct cdx_hold_conf *hold_conf,
                                         const struct cdx_load *load, const struct cdx_guard *guard,
                                         const struct cdx_clock *clock, struct cdx_err *err);
/* Nothing may be in flight. Accepts NULL and half-built. */
void cdx_endpoint_destroy(struct cdx_endpoint *ep);

/* A request starts: counts it and returns its ticket. */
struct cdx_hold_ticket cdx_endpoint_started(struct cdx_endpoint *ep);
/**
 * It ended: counts it, moves the hold and the limit, and logs a step of the breaker. rtt_us: of a success. May turn
 * v->outcome from a message's failure into the endpoint's (the guard of delivery.md 3).
 */
void cdx_endpoint_ended(struct cdx_endpoint *ep, struct cdx_hold_ticket ticket,
                        const struct cdx_outcome_row *row, struct cdx_verdict *v, uint64_t key,
                        int64_t rtt_us);

/* May a subscription send this header line? Not over ours, nor hop-by-hop, nor a split one. Pure. */
bool cdx_endpoint_header_ok(const char *line);
/* Does the configured prefix cover this URL? A prefix without path must end where the host and port do. Pure. */
bool cdx_endpoint_prefix(const char *prefix, const char *url);

#endif
