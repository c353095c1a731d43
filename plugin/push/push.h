/*
 * push/push.h -- deliver notifications to endpoints, and hold those that fail. Knows HTTP, knows no FHIR and no Kafka.
 *
 * libcurl multi on an epoll of its own; the caller waits on cdx_push_fd() and calls cdx_push_run(). An endpoint is one
 * URL with its headers; its hold state (breaker, schedule, Retry-After) is shared by all subscriptions that use it.
 * Source of the rules: delivery.md 3 (outcomes), 4 (schedule), 7 (breaker), 8 (HTTP client).
 */
#ifndef CDX_PUSH_PUSH_H
#define CDX_PUSH_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_clock;    /* core/clock.h */
struct cdx_delivery; /* model/delivery.h */
struct cdx_guard;    /* net/guard.h */
struct cdx_sub;      /* model/subscription.h */
struct cdx_verdict;  /* model/verdict.h */
struct cdx_pusher;   /* opaque */
struct cdx_endpoint; /* opaque; owned by the pusher, counted by users */

/* Per-endpoint options from the configuration; the longest `url` prefix wins. Borrowed for the pusher's life. */
struct cdx_endpoint_conf {
    const char *id;                   /* label in metrics and logs */
    const char *url;                  /* prefix */
    const char *ca_file;              /* PEM of a private CA, or NULL */
    const char *cert_file, *key_file; /* client certificate, or NULL */
    int max_in_flight;                /* 0: 64 */
};

/* Copied; `endpoints` and `schedule_ms` are borrowed. A number that is 0 or less means the default named here. */
struct cdx_push_conf {
    const struct cdx_endpoint_conf *endpoints;
    size_t endpoints_n;
    int64_t timeout_ms;         /* whole attempt where the subscription names none: 30000 */
    int64_t connect_timeout_ms; /* connect and TLS: 5000 */
    int max_in_flight;          /* all endpoints: 1024 */
    int max_connections;        /* 2048 */
    bool duplicate_is_success;  /* 409 */
    int64_t error_after_ms; /* open for so long: the subscriptions' status becomes error: 60000 */
    int64_t off_after_ms;   /* uninterrupted failure for so long: off: 72 h */
    const int64_t *schedule_ms; /* waits after the 1st, 2nd ... failure; the last repeats */
    size_t schedule_n;
    uint64_t seed; /* of the jitter */
};

/* Called from cdx_push_run, once per submitted delivery. Takes *del (sets it to NULL or leaves it to be freed by push). */
typedef void cdx_push_done(void *arg, struct cdx_delivery **del, const struct cdx_verdict *verdict);

/* conf, guard and clock are borrowed and outlive the pusher. Returns owned or NULL (CDX_NOMEM, CDX_CONFIG). */
struct cdx_pusher *cdx_push_create(const struct cdx_push_conf *conf, const struct cdx_guard *guard,
                                   const struct cdx_clock *clock, cdx_push_done *done, void *arg,
                                   struct cdx_err *err);
/* Aborts what is in flight without calling done. Accepts NULL. */
void cdx_push_destroy(struct cdx_pusher *p);

/* The endpoint of this subscription (found or made); one use is counted. NULL: CDX_NOMEM. Thread: push, as all below. */
struct cdx_endpoint *cdx_push_endpoint(struct cdx_pusher *p, const struct cdx_sub *sub,
                                       struct cdx_err *err);
/* Gives a use back; the endpoint goes when nobody uses it and nothing is in flight. Accepts NULL. */
void cdx_push_endpoint_release(struct cdx_pusher *p, struct cdx_endpoint *ep);
/* Configured id, or scheme://host:port. Borrowed. */
const char *cdx_endpoint_id(const struct cdx_endpoint *ep);

/**
 * May a request start now? False while held (breaker open and its wait not over, or a probe in flight), at its
 * in-flight bound, or when the pusher is at its own.
 */
bool cdx_endpoint_ready(const struct cdx_endpoint *ep);
/* True while the breaker is not closed: the next request is a probe and should be one event only. */
bool cdx_endpoint_probing(const struct cdx_endpoint *ep);
/* When a held endpoint may be probed, mono ms; INT64_MAX when it is not held. */
int64_t cdx_endpoint_due_ms(const struct cdx_endpoint *ep);
/* The hold as wall time, to be kept in cursors; 0: none. And back after a restart (ignored when past, or shorter than what is known; cap 24 h). */
int64_t cdx_endpoint_retry_after_wall_ms(const struct cdx_endpoint *ep);
void cdx_endpoint_restore(struct cdx_endpoint *ep, int64_t retry_after_wall_ms);

/* What an endpoint's failures make of its subscriptions' status. */
enum cdx_health {
    CDX_HEALTHY,  /* or failing for less than error_after_ms */
    CDX_FAILING,  /* status error; goes on being probed */
    CDX_DISABLED, /* status off: 410, or failing for off_after_ms */
};
enum cdx_health cdx_endpoint_health(const struct cdx_endpoint *ep);
/* The last failure's subscription-error code and detail; NULL when there is none. Texts live as long as the endpoint. */
const char *cdx_endpoint_error(const struct cdx_endpoint *ep, const char **detail);
/* Closes the breaker by order (a client asked again by writing its Subscription). */
void cdx_endpoint_reset(struct cdx_endpoint *ep);

/**
 * Start one POST. Takes *del and sets it to NULL on CDX_OK; on any error the caller still owns it.
 * The verdict comes by `done` later, never from inside this call. A reused connection that died before any response byte
 * is tried once more on a fresh one before there is a verdict. A verdict MESSAGE_FAILURE leaves the endpoint free and
 * the repeat to the caller; when an endpoint refuses one notification after another it is ENDPOINT_FAILURE instead, so
 * that the notification keeps its place (delivery.md 3, guard).
 * Errors: CDX_CONFIG (the guard refuses the URL: `err` says why), CDX_FULL (not ready), CDX_NOMEM.
 */
enum cdx_code cdx_push_submit(struct cdx_pusher *p, struct cdx_endpoint *ep,
                              struct cdx_delivery **del, struct cdx_err *err) CDX_MUST_CHECK;
/* Tell the hold machine of a verdict that never was a request (the guard's refusal). `detail` is copied. */
void cdx_endpoint_refused(struct cdx_endpoint *ep, const char *detail);

/* Readable when there is work; wait at most cdx_push_timeout_ms (-1: for ever), then call run. */
int cdx_push_fd(const struct cdx_pusher *p);
int64_t cdx_push_timeout_ms(const struct cdx_pusher *p);
void cdx_push_run(struct cdx_pusher *p);
int cdx_push_in_flight(const struct cdx_pusher *p);
/* Cancels the requests for which `which` says so (NULL: all); their verdict CANCELLED comes by done before this returns. Not counted as failures. */
void cdx_push_cancel(struct cdx_pusher *p, bool (*which)(void *arg, const struct cdx_delivery *del),
                     void *arg);

/* For metrics: walk endpoints, *i = 0 first; NULL at the end. */
const struct cdx_endpoint *cdx_push_next(const struct cdx_pusher *p, size_t *i);
int cdx_endpoint_in_flight(const struct cdx_endpoint *ep);
/* "closed", "open", "half-open" */
const char *cdx_endpoint_state(const struct cdx_endpoint *ep);

#endif
