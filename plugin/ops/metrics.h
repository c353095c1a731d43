/* ops/metrics.h -- Prometheus' text format 0.0.4: our counters and histograms, the process, and what the caller adds. */
#ifndef CDX_OPS_METRICS_H
#define CDX_OPS_METRICS_H

#include <stddef.h>

#include "core/buf.h"
#include "core/text.h"

struct cdx_label {
    const char *key; /* [a-zA-Z_][a-zA-Z0-9_]* */
    struct cdx_text
        value; /* UTF-8, any length; no patient's data, no URL of a subscriber (delivery.md 12) */
};

/* Starts a family; its samples follow at once. type: "counter", "gauge". Thread: one at a time, as for all below. */
void cdx_metrics_family(struct cdx_buf *out, const char *name, const char *type, const char *help);
/* One sample of it. labels: may be NULL when n is 0. */
void cdx_metrics_sample(struct cdx_buf *out, const char *name, const struct cdx_label *labels,
                        size_t n, double value);

/**
 * Everything: the tables of core/count.h, cdex_build_info, process_*, then what `more` adds (NULL: nothing) by the two
 * functions above. The caller looks at out->failed.
 */
void cdx_metrics_render(struct cdx_buf *out, void (*more)(void *arg, struct cdx_buf *out),
                        void *arg);

#endif
