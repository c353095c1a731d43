/* ops/demo_table.h -- the demo while it runs: a table redrawn in place on a terminal, a line a second elsewhere. */
#ifndef CDX_OPS_DEMO_TABLE_H
#define CDX_OPS_DEMO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One payer, now. */
struct cdx_demo_row {
    const char *name, *level;
    char state[48];
    bool down; /* its endpoint is */
    int64_t delivered, expected, lag_events, lag_ms, retries;
};

/* What has become of the feed, now. */
struct cdx_demo_feed_row {
    int64_t elapsed_ms, fed, to_feed, matched, unmatched, dead_letters;
};

struct cdx_demo_table {
    FILE *out;     /* NULL: nothing is shown */
    bool terminal; /* redraw in place */
    bool colour;
    int64_t shown_ms; /* when it was last shown; -1: never */
    size_t lines;     /* drawn last time */
};

/* out NULL: quiet. Looks whether it is a terminal of at least 80 columns, and at NO_COLOR and TERM. Thread: main, as all below. */
void cdx_demo_table_init(struct cdx_demo_table *table, FILE *out);
/* A step of the story, above the table. */
void cdx_demo_table_say(struct cdx_demo_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Shows the rows if it is time: four times a second on a terminal, once elsewhere; `now` forces it. */
void cdx_demo_table_show(struct cdx_demo_table *table, const struct cdx_demo_feed_row *feed,
                         const struct cdx_demo_row *rows, size_t n, bool now);
/* "\033[..m" on a coloured terminal, else "". */
const char *cdx_demo_table_style(const struct cdx_demo_table *table, const char *code);

#endif
