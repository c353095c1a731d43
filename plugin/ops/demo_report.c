/*
 * ops/demo_report.c -- did it all add up?
 *
 * In:    two independent accounts: the gateway's counters, and what feed, rosters, topics and endpoints say.
 * Out:   a summary that holds one against the other and names each difference; the head of one notification.
 * Owns:  nothing.
 *
 * One list of checks decides the exit code, the text and the JSON alike, so that they cannot disagree.
 */
#include "ops/demo_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"

#define HEAD_LINES 30
#define HEAD_COLUMNS 130
#define HEAD_CUT 140
#define HEAD_BYTES (4u << 20)

/* -- the checks --------------------------------------------------------------------------------------------------- */

static bool fed_arrived(const struct cdx_demo_report *r)
{
    return r->events == r->fed && r->feed_failed == 0;
}

static bool adds_up(const struct cdx_demo_report *r)
{
    return r->events == r->matched + r->unmatched + r->dead_letters;
}

static bool agrees(const struct cdx_demo_report *r)
{
    return r->matched == r->due_matched && r->unmatched == r->due_unmatched &&
           r->dead_letters == r->poison;
}

static bool poison_kept(const struct cdx_demo_report *r)
{
    return r->dead_letters_kept == r->poison;
}

static bool payers_got_all(const struct cdx_demo_report *r)
{
    for (size_t i = 0; i < CDX_DEMO_PAYERS; i++)
        if (!cdx_demo_verdict_ok(&r->verdicts[i]))
            return false;
    return true;
}

static bool caught_up(const struct cdx_demo_report *r)
{
    return r->outage_ms >= 0 && r->caught_up_ms >= 0;
}

static const struct {
    const char *name, *what;
    bool (*holds)(const struct cdx_demo_report *r);
} checks[] = {
    {"fed_arrived", "every record that the hospital sent was read", fed_arrived},
    {"adds_up", "events in = matched + unmatched + dead letters", adds_up},
    {"agrees", "matched, unmatched and dead letters are as feed, rosters and topics alone say",
     agrees},
    {"poison_kept", "the poison record lies in the dead letter topic, byte for byte", poison_kept},
    {"payers_got_all", "every payer got what was due, unchanged, in order, without a gap",
     payers_got_all},
    {"caught_up", "the endpoint that was down caught up", caught_up},
};

bool cdx_demo_report_ok(const struct cdx_demo_report *report)
{
    for (size_t i = 0; i < CDX_COUNT(checks); i++)
        if (!checks[i].holds(report))
            return false;
    return report->why[0] == '\0';
}

/* -- a notification's head ---------------------------------------------------------------------------------------- */

/* JSON for a reader: what fits a line stays on one. `used`: columns before it. */
static void layout(struct cdx_buf *out, const json_t *value, size_t indent, size_t used)
{
    char *flat = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    size_t i = 0, n = json_is_object(value) ? json_object_size(value) : json_array_size(value);
    void *it = json_object_iter((json_t *)value);

    if (flat == NULL || n == 0 || indent + used + strlen(flat) <= HEAD_COLUMNS) {
        cdx_buf_add_z(out, flat != NULL ? flat : "");
        free(flat);
        return;
    }
    free(flat);
    cdx_buf_add_z(out, json_is_object(value) ? "{\n" : "[\n");
    for (; i < n; i++) {
        cdx_buf_printf(out, "%*s", (int)indent + 2, "");
        if (it != NULL) {
            cdx_buf_add_json(out, cdx_text_z(json_object_iter_key(it)));
            cdx_buf_add_z(out, ": ");
        }
        layout(out, it != NULL ? json_object_iter_value(it) : json_array_get(value, i), indent + 2,
               it != NULL ? strlen(json_object_iter_key(it)) + 4 : 0);
        cdx_buf_add_z(out, i + 1 < n ? ",\n" : "\n");
        it = it != NULL ? json_object_iter_next((json_t *)value, it) : NULL;
    }
    cdx_buf_printf(out, "%*s%s", (int)indent, "", json_is_object(value) ? "}" : "]");
}

static void write_head(const struct cdx_demo_report *r, FILE *out)
{
    json_auto_t *bundle = r->sample != NULL ? json_load_file(r->sample, 0, NULL) : NULL;
    struct cdx_buf text;
    const char *line;

    if (bundle == NULL)
        return;
    cdx_buf_init(&text, HEAD_BYTES);
    layout(&text, bundle, 0, 0);
    fprintf(out, "\nThe head of one notification (%s):\n\n", r->sample);
    line = text.failed || text.p == NULL ? "" : text.p;
    for (int i = 0; i < HEAD_LINES && *line != '\0'; i++) {
        size_t n = strcspn(line, "\n");
        fprintf(out, "  %.*s%s\n", n > HEAD_CUT ? HEAD_CUT : (int)n, line,
                n > HEAD_CUT ? "..." : "");
        line += n + (line[n] != '\0');
    }
    if (*line != '\0')
        fputs("  ...\n", out);
    cdx_buf_fini(&text);
}

/* -- text --------------------------------------------------------------------------------------------------------- */

static void write_payer(const struct cdx_demo_report *r, size_t i, FILE *out)
{
    const struct cdx_demo_verdict *v = &r->verdicts[i];
    char took[48] = "not known (no focus is sent)";

    if (v->p50_ms >= 0)
        snprintf(took, sizeof took, "%" PRId64 " / %" PRId64 " ms", v->p50_ms, v->p99_ms);
    fprintf(
        out,
        "  %-6s %-14s expected %4" PRId64 " %s delivered %4" PRId64 ", %" PRId64 " gaps, %" PRId64
        " lost, %" PRId64 " repeats, %" PRId64 " retries; latency p50 / p99 %s\n",
        r->rows[i].name, r->rows[i].level, v->expected, v->expected == v->delivered ? "=" : "but",
        v->delivered, v->gaps, v->lost, v->repeats, r->rows[i].retries, took);
    if (v->surplus + v->wrong + v->altered + v->out_of_order + v->broken != 0)
        fprintf(out,
                "         WRONG: %" PRId64 " too many, %" PRId64
                " about another resource than was due, %" PRId64 " altered, %" PRId64
                " out of order, %" PRId64 " unreadable\n",
                v->surplus, v->wrong, v->altered, v->out_of_order, v->broken);
}

static void write_checks(const struct cdx_demo_report *r, const struct cdx_demo_table *table)
{
    fputc('\n', table->out);
    for (size_t i = 0; i < CDX_COUNT(checks); i++) {
        bool holds = checks[i].holds(r);
        fprintf(table->out, "  %s%-3s%s %s\n",
                cdx_demo_table_style(table, holds ? "\033[32m" : "\033[31m"), holds ? "ok" : "NOT",
                cdx_demo_table_style(table, "\033[0m"), checks[i].what);
    }
}

static void write_next(const struct cdx_demo_report *r, FILE *out)
{
    fprintf(out,
            "\nWritten to %s:\n"
            "  alder/ birch/ cedar/       every notification as it came, <first>-<last event "
            "number>.json\n"
            "  dead-letters/              what could not be read, as it came, and why\n"
            "  cdex-push.json rosters/ subscriptions/   what an operator writes; gateway.log   "
            "what the gateway said\n"
            "\nTry next:\n"
            "  cdex-push check --config %s     what would be wrong with it\n"
            "  README.md                       the same against your own Kafka\n"
            "  make test                       how it is held to its promises\n",
            r->out, r->config);
}

void cdx_demo_report_text(const struct cdx_demo_report *r, const struct cdx_demo_table *table)
{
    const char *bold = cdx_demo_table_style(table, "\033[1m"),
               *plain = cdx_demo_table_style(table, "\033[0m");
    FILE *out = table->out;

    fprintf(out, "\n%sSummary%s after %" PRId64 ".%" PRId64 " s\n\n", bold, plain,
            r->elapsed_ms / 1000, r->elapsed_ms % 1000 / 100);
    fprintf(out,
            "  events in %" PRId64 " = matched %" PRId64 " + unmatched %" PRId64
            " + dead letters %" PRId64 "\n",
            r->events, r->matched, r->unmatched, r->dead_letters);
    fprintf(out,
            "  by feed, rosters and topics alone: %" PRId64 " = %" PRId64 " + %" PRId64
            " + %" PRId64 "\n\n",
            r->fed, r->due_matched, r->due_unmatched, r->poison);
    for (size_t i = 0; i < CDX_DEMO_PAYERS; i++)
        write_payer(r, i, out);
    if (r->outage_ms >= 0 && r->caught_up_ms >= 0)
        fprintf(out,
                "\n  %s's endpoint was down for %" PRId64 ".%" PRId64
                " s and had caught up %" PRId64 ".%" PRId64 " s after it came back\n",
                r->down, r->outage_ms / 1000, r->outage_ms % 1000 / 100, r->caught_up_ms / 1000,
                r->caught_up_ms % 1000 / 100);
    write_checks(r, table);
    write_head(r, out);
    write_next(r, out);
    if (!cdx_demo_report_ok(r))
        fprintf(out, "\n%sNot everything is as it should be%s%s%s: see above and %s/gateway.log\n",
                cdx_demo_table_style(table, "\033[31m"), plain, r->why[0] != '\0' ? ", " : "",
                r->why, r->out);
    fflush(out);
}

/* -- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *payer_json(const struct cdx_demo_report *r, size_t i)
{
    const struct cdx_demo_verdict *v = &r->verdicts[i];
    const struct cdx_demo_row *row = &r->rows[i];

    return json_pack(
        "{ss ss ss sI sI sI sI sI sI sI sI sI sI sI sI sI sI so}", "id", row->name, "payload",
        row->level, "state", row->state, "expected", (json_int_t)v->expected, "delivered",
        (json_int_t)v->delivered, "gaps", (json_int_t)v->gaps, "lost", (json_int_t)v->lost,
        "surplus", (json_int_t)v->surplus, "repeats", (json_int_t)v->repeats, "wrong",
        (json_int_t)v->wrong, "altered", (json_int_t)v->altered, "out_of_order",
        (json_int_t)v->out_of_order, "broken", (json_int_t)v->broken, "notifications",
        (json_int_t)v->notifications, "handshakes", (json_int_t)v->handshakes, "retries",
        (json_int_t)row->retries, "lag_events", (json_int_t)row->lag_events, "latency_ms",
        v->p50_ms < 0
            ? json_null()
            : json_pack("{sI sI}", "p50", (json_int_t)v->p50_ms, "p99", (json_int_t)v->p99_ms));
}

void cdx_demo_report_json(const struct cdx_demo_report *r, FILE *out)
{
    json_t *payers = json_array(), *held = json_object();
    json_auto_t *all = NULL;

    for (size_t i = 0; i < CDX_DEMO_PAYERS; i++)
        json_array_append_new(payers, payer_json(r, i));
    for (size_t i = 0; i < CDX_COUNT(checks); i++)
        json_object_set_new(held, checks[i].name, json_boolean(checks[i].holds(r)));
    all = json_pack(
        "{sb ss sf so s{sI sI sI sI} s{sI sI sI sI} s{sI sI} so s{ss sI sI} ss ss}", "ok",
        cdx_demo_report_ok(r), "why", r->why, "seconds", (double)r->elapsed_ms / 1000, "checks",
        held, "events", "in", (json_int_t)r->events, "matched", (json_int_t)r->matched, "unmatched",
        (json_int_t)r->unmatched, "dead_letters", (json_int_t)r->dead_letters, "expected", "in",
        (json_int_t)r->fed, "matched", (json_int_t)r->due_matched, "unmatched",
        (json_int_t)r->due_unmatched, "dead_letters", (json_int_t)r->poison, "poison", "sent",
        (json_int_t)r->poison, "kept", (json_int_t)r->dead_letters_kept, "subscribers", payers,
        "outage", "subscriber", r->down, "ms", (json_int_t)r->outage_ms, "caught_up_ms",
        (json_int_t)r->caught_up_ms, "out", r->out, "config", r->config);
    json_dumpf(all, out, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    fflush(out);
}
