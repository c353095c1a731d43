/* ops/demo_site.h -- the demo's installation: payers, and the files that an operator would have written for them. */
#ifndef CDX_OPS_DEMO_SITE_H
#define CDX_OPS_DEMO_SITE_H

#include <stddef.h>

#include "core/err.h"

struct cdx_demo_feed; /* ops/demo_feed.h */

#define CDX_DEMO_BASE "https://ehr.example.org/fhir"

/* One payer: its client, roster, subscription and folder have its name. Members are counted in the feed's order. */
struct cdx_demo_payer {
    const char *name, *level; /* payload content of the subscription */
    const char *topic;        /* topics/<topic>.json */
    int max_count;            /* events a notification; 0: the gateway's choice */
    size_t members_from, members_to;
};
#define CDX_DEMO_PAYERS 3
extern const struct cdx_demo_payer cdx_demo_payers[CDX_DEMO_PAYERS];

/* A topic file: its canonical URL, and the types that trigger. */
struct cdx_demo_topic {
    char *url;
    char **types;
    size_t types_n;
};
/* root: the folder of topics/. Errors: CDX_CONFIG. Thread: main, as all below. */
enum cdx_code cdx_demo_topic_read(const char *root, const char *topic, struct cdx_demo_topic *out,
                                  struct cdx_err *err) CDX_MUST_CHECK;
void cdx_demo_topic_fini(struct cdx_demo_topic *topic);

/**
 * An empty folder for the demo, with one for each payer: makes it, or empties it of what an earlier demo wrote.
 * Returns its absolute path (malloc'd), or NULL: CDX_CONFIG (it holds what is no demo's, or cannot be written).
 */
char *cdx_demo_site_open(const char *out, struct cdx_err *err);
/**
 * Write <out>/cdex-push.json, rosters/ and subscriptions/. urls: one a payer. Returns the configuration's path (malloc'd)
 * or NULL.
 */
char *cdx_demo_site_write(const char *out, const char *root, const struct cdx_demo_feed *feed,
                          const char *const *urls, struct cdx_err *err);

#endif
