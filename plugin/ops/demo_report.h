/* ops/demo_report.h -- how the demo ends: the summary, for people and for machines. */
#ifndef CDX_OPS_DEMO_REPORT_H
#define CDX_OPS_DEMO_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ops/demo_site.h"
#include "ops/demo_table.h"
#include "ops/demo_truth.h"

struct cdx_demo_report {
    const char *out, *config; /* borrowed */
    const char *sample;       /* file of a full notification; NULL: none */
    int64_t elapsed_ms;
    /* what the hospital sent, and what became of it by feed, rosters and topics alone; the poison record is in fed */
    int64_t fed, poison, due_matched, due_unmatched;
    /* what the gateway counted */
    int64_t events, matched, unmatched, dead_letters;
    int64_t dead_letters_kept; /* records of the dead letter topic that hold the poison's bytes */
    int64_t feed_failed;       /* records that Kafka refused */
    struct cdx_demo_row rows[CDX_DEMO_PAYERS];
    struct cdx_demo_verdict verdicts[CDX_DEMO_PAYERS];
    const char *down;                /* payer */
    int64_t outage_ms, caught_up_ms; /* -1: it never was down; it did not catch up */
    const char *why;                 /* why the demo ended early; "" when it did not */
};

/* Does everything add up and agree? Thread: main, as all below. */
bool cdx_demo_report_ok(const struct cdx_demo_report *report);
/* table: whose stream and colours are used. */
void cdx_demo_report_text(const struct cdx_demo_report *report, const struct cdx_demo_table *table);
/* One JSON object and a line end. */
void cdx_demo_report_json(const struct cdx_demo_report *report, FILE *out);

#endif
