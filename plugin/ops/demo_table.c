/*
 * ops/demo_table.c -- where is everybody, at a glance?
 *
 * In:    the rows as they are now.
 * Out:   a table that stays in its place on a terminal; plain lines where somebody will read a file.
 * Owns:  nothing but how many lines it drew.
 *
 * No curses: six lines, two control sequences (up, clear to the end), and the scrollback stays readable. On a terminal too
 * narrow for a row, moving up by lines would tear, so it gets the plain lines.
 */
#include "ops/demo_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS 80
#define REDRAW_MS 250
#define LINE_MS 1000
#define BAR_CELLS 10
#define BAR_FULL 40 /* events behind that fill the bar */

void cdx_demo_table_init(struct cdx_demo_table *table, FILE *out)
{
    struct winsize size = {0};
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    bool tty = out != NULL && isatty(fileno(out)) && term != NULL && strcmp(term, "dumb") != 0;

    *table = (struct cdx_demo_table){.out = out, .shown_ms = -1};
    table->colour = tty && (plain == NULL || plain[0] == '\0'); /* no-color.org */
    table->terminal = tty && (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
                              size.ws_col >= COLUMNS);
}

const char *cdx_demo_table_style(const struct cdx_demo_table *table, const char *code)
{
    return table->colour ? code : "";
}

/* Back to the table's first line, everything below cleared. */
static void lift(struct cdx_demo_table *table)
{
    if (table->lines > 0)
        fprintf(table->out, "\033[%zuA\r\033[J", table->lines);
    table->lines = 0;
}

void cdx_demo_table_say(struct cdx_demo_table *table, const char *format, ...)
{
    va_list args;

    if (table->out == NULL)
        return;
    lift(table);
    va_start(args, format);
    vfprintf(table->out, format, args);
    va_end(args);
    fputc('\n', table->out);
    fflush(table->out);
    table->shown_ms = -1;
}

static const char *seconds(int64_t ms, char out[24])
{
    snprintf(out, 24, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    return out;
}

static void draw_bar(const struct cdx_demo_table *table, int64_t behind)
{
    int64_t full = behind >= BAR_FULL ? BAR_CELLS : (behind * BAR_CELLS + BAR_FULL - 1) / BAR_FULL;

    fprintf(table->out, "%s",
            cdx_demo_table_style(table, full > BAR_CELLS / 2 ? "\033[31m" : "\033[33m"));
    for (int64_t i = 0; i < BAR_CELLS; i++)
        fputc(i < full ? '#' : '.', table->out);
    fprintf(table->out, "%s", cdx_demo_table_style(table, "\033[0m"));
}

static void draw_row(const struct cdx_demo_table *table, const struct cdx_demo_row *row)
{
    const char *style =
        cdx_demo_table_style(table, row->down || row->lag_ms > 2000 ? "\033[31m" : "\033[32m");
    char lag[24];

    fprintf(table->out, "  %-6s %-14s%s%-22.22s%s%4" PRId64 "/%-4" PRId64 "  ", row->name,
            row->level, style, row->state, cdx_demo_table_style(table, "\033[0m"), row->delivered,
            row->expected);
    draw_bar(table, row->lag_events);
    fprintf(table->out, "%4" PRId64 " %7s %5" PRId64 "\n", row->lag_events,
            seconds(row->lag_ms, lag), row->retries);
}

static void draw_table(struct cdx_demo_table *table, const struct cdx_demo_feed_row *feed,
                       const struct cdx_demo_row *rows, size_t n)
{
    char at[24];

    lift(table);
    fprintf(table->out,
            "\n  %s  hospital's feed %" PRId64 "/%" PRId64 ": matched %" PRId64
            ", unmatched %" PRId64 ", dead letters %" PRId64 "\n",
            seconds(feed->elapsed_ms, at), feed->fed, feed->to_feed, feed->matched, feed->unmatched,
            feed->dead_letters);
    fprintf(table->out, "%s  %-6s %-14s%-22s%9s  %-10s%4s %7s %5s%s\n",
            cdx_demo_table_style(table, "\033[1m"), "payer", "payload", "state", "delivered",
            "behind", "", "for", "retry", cdx_demo_table_style(table, "\033[0m"));
    for (size_t i = 0; i < n; i++)
        draw_row(table, &rows[i]);
    table->lines = 3 + n;
}

static void write_line(const struct cdx_demo_table *table, const struct cdx_demo_feed_row *feed,
                       const struct cdx_demo_row *rows, size_t n)
{
    char at[24];

    fprintf(table->out, "%7s  fed %" PRId64 "/%" PRId64, seconds(feed->elapsed_ms, at), feed->fed,
            feed->to_feed);
    for (size_t i = 0; i < n; i++)
        fprintf(table->out,
                " | %s %s: %" PRId64 "/%" PRId64 ", behind %" PRId64 " (%s), retries %" PRId64,
                rows[i].name, rows[i].state, rows[i].delivered, rows[i].expected,
                rows[i].lag_events, seconds(rows[i].lag_ms, at), rows[i].retries);
    fputc('\n', table->out);
}

void cdx_demo_table_show(struct cdx_demo_table *table, const struct cdx_demo_feed_row *feed,
                         const struct cdx_demo_row *rows, size_t n, bool now)
{
    int64_t every = table->terminal ? REDRAW_MS : LINE_MS;

    if (table->out == NULL ||
        (!now && table->shown_ms >= 0 && feed->elapsed_ms - table->shown_ms < every))
        return;
    if (table->terminal)
        draw_table(table, feed, rows, n);
    else
        write_line(table, feed, rows, n);
    fflush(table->out);
    table->shown_ms = feed->elapsed_ms;
}
