/* ops/demo_feed.h -- the demo's hospital: a feed read from a file, and a producer that sends it. */
#ifndef CDX_OPS_DEMO_FEED_H
#define CDX_OPS_DEMO_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct cdx_demo_feeder; /* a producer */

#define CDX_DEMO_SOURCE "ehr.fhir"
#define CDX_DEMO_SOURCE_PARTITIONS 4

/* One change. Texts are owned by the feed. */
struct cdx_demo_event {
    char *text;             /* the resource as it stands in the file; NULL: a delete */
    char *type, *reference; /* "Condition", "Condition/c1" */
    const char *
        patient; /* "Patient/p1": whom it names, for a delete whom the last version named; NULL: nobody */
    int64_t fed_ms; /* wall time of sending; 0: not yet */
};

struct cdx_demo_feed {
    struct cdx_demo_event *events;
    size_t events_n;
    const char **members; /* "Patient/p1" in the order in which their Patient resources come */
    size_t members_n;
};

/**
 * Read a file of one R4 resource, or {"delete": "Type/id"}, a line. Returns owned, or NULL: CDX_CONFIG (file and line).
 * Thread: main, as all below.
 */
struct cdx_demo_feed *cdx_demo_feed_load(const char *file, struct cdx_err *err);
/* Accepts NULL. */
void cdx_demo_feed_free(struct cdx_demo_feed *feed);

/* Returns owned or NULL (CDX_CONFIG). */
struct cdx_demo_feeder *cdx_demo_feeder_create(const char *bootstrap, struct cdx_err *err);
/* Sends one event to its patient's partition, keyed by its reference, and stamps it. Errors: CDX_REMOTE. */
enum cdx_code cdx_demo_feeder_send(struct cdx_demo_feeder *f, struct cdx_demo_event *ev,
                                   struct cdx_err *err) CDX_MUST_CHECK;
/* Sends the first half of the event's text under its key: JSON that ends in the middle. */
enum cdx_code cdx_demo_feeder_poison(struct cdx_demo_feeder *f, const struct cdx_demo_event *ev,
                                     struct cdx_err *err) CDX_MUST_CHECK;
/* Lets the producer work; records that a broker refused since the start. */
size_t cdx_demo_feeder_failed(struct cdx_demo_feeder *f);
/* Waits at most 5 s for what was sent. Accepts NULL. */
void cdx_demo_feeder_destroy(struct cdx_demo_feeder *f);

#endif
