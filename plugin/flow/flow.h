/*
 * flow/flow.h -- joins the stages; the only place that knows their order, and decides who catches up when.
 *
 * | thread | owns | may touch | woken by | ends |
 * | ------ | ---- | --------- | -------- | ---- |
 * | match  | source consumer, stage 1 producer, trigger state | view's index (counted reference), rosters (their lock) | records | close: commits what is open, leaves the group |
 * | push   | log consumer, feeds, endpoints, curl, range readers | rosters, view (its lock) | epoll: log, sockets, view, flush, timers | close: waits 5 s for answers, flushes, leaves |
 * | flush  | cursor producer | one flush at a time, handed over whole | a flush to do | after push |
 * | view   | reader of cdex.subscriptions and cdex.rosters, index builder, file applier's producer | - | records, 200 ms | close |
 * | main   | everything's life; ops listener | counters, snapshots | signals | last |
 */
#ifndef CDX_FLOW_FLOW_H
#define CDX_FLOW_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct cdx_bus;
struct cdx_clock;
struct cdx_conf;
struct cdx_flow;

/* conf, bus and clock are borrowed and outlive the flow. Reads definitions and topics. Returns owned or NULL. Thread: main, as all below. */
struct cdx_flow *cdx_flow_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                 const struct cdx_clock *clock, struct cdx_err *err);
/* Starts the threads that the configuration's roles ask for. */
enum cdx_code cdx_flow_start(struct cdx_flow *flow, struct cdx_err *err) CDX_MUST_CHECK;
/* Asks all threads to end in order; does not block; idempotent. */
void cdx_flow_close(struct cdx_flow *flow);
/* Waits for them, at most `timeout_ms`. False: some thread did not end (the caller exits the process). */
bool cdx_flow_stop(struct cdx_flow *flow, int64_t timeout_ms);
/* After stop. Accepts NULL and half-built. */
void cdx_flow_destroy(struct cdx_flow *flow);

/* Reads topics, subscription files and rosters again (SIGHUP). Mistakes are logged and change nothing. */
void cdx_flow_reload(struct cdx_flow *flow);
/* Loops alive within 5 s. */
bool cdx_flow_live(const struct cdx_flow *flow);
/* State loaded and groups joined; `why` (n bytes) says what is missing. */
bool cdx_flow_ready(const struct cdx_flow *flow, char *why, size_t n);
/* A thread met something that only a restart or the operator can mend; its sentence. */
bool cdx_flow_failed(struct cdx_flow *flow, char *text, size_t n);

/* Where one subscription stands, for people and metrics. */
struct cdx_standing {
    char id[65];
    char endpoint[96];   /* configured id, or scheme://host:port */
    const char *status;  /* static: requested, active, error, off */
    const char *feed;    /* static: live, lagging, catching-up */
    const char *breaker; /* static: closed, open, half-open */
    int32_t partition;
    int64_t counted, delivered;
    int64_t head_ms; /* wall time of the first undelivered event's record; 0: none or not known */
    int64_t retries;
    char error[160];
};
/* Every subscription that this process serves; *out is malloc'd. Waits for the push thread, at most 2 s (n 0 then). */
enum cdx_code cdx_flow_standings(struct cdx_flow *flow, struct cdx_standing **out, size_t *n,
                                 struct cdx_err *err) CDX_MUST_CHECK;

#endif
