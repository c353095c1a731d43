/* ops/demo_truth.h -- who must have heard of what? Recomputed from feed, rosters and topics; no number of the gateway's is used. */
#ifndef CDX_OPS_DEMO_TRUTH_H
#define CDX_OPS_DEMO_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "ops/demo_site.h"
#include "ops/demo_sink.h"

struct cdx_demo_feed; /* ops/demo_feed.h */

struct cdx_demo_truth {
    size_t *due
        [CDX_DEMO_PAYERS]; /* owned: places in the feed of the events that a payer must hear of, in order */
    size_t due_n[CDX_DEMO_PAYERS];
    size_t matched, unmatched; /* events that go to somebody, and to nobody */
};

/* What came, held against what is due. */
struct cdx_demo_verdict {
    int64_t expected, delivered, repeats, gaps, out_of_order, broken;
    int64_t lost, surplus;
    int64_t
        wrong; /* events about another resource than the one that was next for that patient; 0 where no focus is sent */
    int64_t
        altered; /* resources that did not come byte for byte, or came at a level that sends none */
    int64_t p50_ms,
        p99_ms; /* from the record's sending to its arrival; -1 where no focus is sent */
    int64_t handshakes, notifications;
};

/* Returns CDX_OK, CDX_CONFIG (a topic cannot be read) or CDX_NOMEM. Thread: main, as all below. */
enum cdx_code cdx_demo_truth_init(struct cdx_demo_truth *truth, const struct cdx_demo_feed *feed,
                                  const char *root, struct cdx_err *err) CDX_MUST_CHECK;
void cdx_demo_truth_fini(struct cdx_demo_truth *truth);
enum cdx_code cdx_demo_truth_judge(const struct cdx_demo_truth *truth,
                                   const struct cdx_demo_feed *feed, struct cdx_demo_sink *sink,
                                   size_t payer, struct cdx_demo_verdict *out,
                                   struct cdx_err *err) CDX_MUST_CHECK;
/* Did exactly what was due arrive, in order? (Repeats are allowed: at least once.) */
bool cdx_demo_verdict_ok(const struct cdx_demo_verdict *v);

#endif
