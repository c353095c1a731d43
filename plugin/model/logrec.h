/*
 * model/logrec.h -- the value of one record of the notifications log: (subscription, event), rendered once.
 *
 * Text: header lines "<letter> <value>\n", an empty line, then the bytes that bundles are spliced from. With kcat a
 * person can read it. Letters, in this order; those marked * may repeat, those with ? may be missing:
 *   cdx1                       the format
 *   i <incarnation>            of the subscription it was matched for
 *   l <e|i|f>                  payload level: empty, id-only, full-resource
 *   t <instant>                when it happened (event timestamp)
 *   f <url>                    focus, absolute, versionless
 *   c <url>           *        additional context
 *   m <member key>    *        patients that the event names
 *   s <topic>/<partition>/<offset>/<index>   source coordinates
 *   e <bytes>                  length of the entries: focus entry and context entries, each with a leading ','
 *   p <n1> <n2> <n3> <n4> ?    Provenance entry in four pieces around: id, id, recorded
 *   x <reason>        ?        content was withheld when it was logged (too-large)
 */
#ifndef CDX_MODEL_LOGREC_H
#define CDX_MODEL_LOGREC_H

#include <stdint.h>

#include "core/err.h"
#include "core/text.h"
#include "model/subscription.h"

#define CDX_MAX_CONTEXTS 64
#define CDX_MAX_LOG_MEMBERS 64

/* A parsed view, borrowed from the record's value. */
struct cdx_logrec {
    int64_t incarnation;
    enum cdx_level_of_content level;
    struct cdx_text timestamp;
    struct cdx_text focus;
    struct cdx_text contexts[CDX_MAX_CONTEXTS];
    size_t contexts_n;
    struct cdx_text members[CDX_MAX_LOG_MEMBERS];
    size_t members_n;
    struct cdx_text source;
    struct cdx_text entries;
    struct cdx_text provenance[4]; /* n 0 in the first: none */
    struct cdx_text withheld;      /* reason, or empty */
};

/* Thread: any. Errors: CDX_INPUT (which line). */
enum cdx_code cdx_logrec_parse(struct cdx_text value, struct cdx_logrec *out,
                               struct cdx_err *err) CDX_MUST_CHECK;

#endif
