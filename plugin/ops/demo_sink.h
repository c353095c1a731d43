/* ops/demo_sink.h -- the payers' ends: an HTTP endpoint each, which writes down what came and can be taken down. */
#ifndef CDX_OPS_DEMO_SINK_H
#define CDX_OPS_DEMO_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct cdx_demo_sink;

/* One event that came, in the order of arrival. */
struct cdx_demo_arrival {
    int64_t number, at_ms; /* wall time */
    char *focus;           /* owned by the sink, as is file; NULL: none was named */
    char *file;            /* the notification that it came in */
    bool repeat;           /* its number had come before */
};

/* What one endpoint has seen so far. */
struct cdx_demo_seen {
    int64_t handshakes, notifications;
    int64_t delivered, highest; /* different event numbers, and the highest of them */
    int64_t repeats;
    int64_t out_of_order; /* numbers that came for the first time after a higher one */
    int64_t
        broken; /* bodies that were no notification of this payer, and repeats under another Bundle.id */
};

/**
 * One endpoint on a loopback port for each of n payers. Each notification is written to <dir>/<name>/<first>-<last>.json
 * (handshakes to handshake-<n>.json), before it is answered. names and dir are borrowed for its life. Returns owned or
 * NULL (CDX_CONFIG). Thread: main, as all below.
 */
struct cdx_demo_sink *cdx_demo_sink_create(const char *dir, const char *const *names, size_t n,
                                           struct cdx_err *err);
/* Accepts NULL. */
void cdx_demo_sink_destroy(struct cdx_demo_sink *sink);
/* "http://127.0.0.1:<port>/<name>"; borrowed. */
const char *cdx_demo_sink_url(const struct cdx_demo_sink *sink, size_t payer);

/* Connections are cut and refused until it is up again. */
void cdx_demo_sink_down(struct cdx_demo_sink *sink, size_t payer);
/* Errors: CDX_CONFIG. */
enum cdx_code cdx_demo_sink_up(struct cdx_demo_sink *sink, size_t payer,
                               struct cdx_err *err) CDX_MUST_CHECK;

void cdx_demo_sink_seen(struct cdx_demo_sink *sink, size_t payer, struct cdx_demo_seen *out);
/* All arrivals, once nothing is sent any more; borrowed. */
const struct cdx_demo_arrival *cdx_demo_sink_arrivals(const struct cdx_demo_sink *sink,
                                                      size_t payer, size_t *n);

#endif
