/*
 * ops/lag.c -- where every subscription stands, from what is committed in Kafka; the processes that run are not asked.
 *
 * In:    cdex.subscriptions and cdex.cursors to their ends; the log's record at each `next`, for its age.
 * Out:   a table, or JSON.
 * Hard:  a cursor's `counted` is as new as the last flush (200 ms); what was logged after it is counted here from the log.
 */
#include "ops/ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/map.h"
#include "model/conf.h"
#include "state/cursor.h"
#include "state/subs.h"

#define READ_MS 30000

struct position {
    char *id; /* owned */
    int32_t partition;
    bool has_cursor;
    struct cdx_cursor cursor;
    int64_t counted; /* by the log's end */
    int64_t head_ms; /* age of the first undelivered record; 0 unknown */
};

struct lag {
    const struct cdx_args *args;
    struct cdx_bus *bus;
    struct cdx_consumer *reader;
    struct cdx_subs subs;
    struct cdx_map positions; /* struct position by id */
    int32_t partitions;
    int64_t checkpoint; /* of the partition at hand */
    struct cdx_err *err;
};

static struct position *position_of(struct lag *l, struct cdx_text id, bool make)
{
    struct position *p = cdx_map_get(&l->positions, id);

    if (p != NULL || !make)
        return p;
    p = calloc(1, sizeof *p);
    if (p == NULL || (p->id = strndup(id.p, id.n)) == NULL ||
        !cdx_map_put(&l->positions, cdx_text_z(p->id), p))
        return NULL;
    p->cursor.next_offset = CDX_NO_OFFSET;
    return p;
}

static bool take_subscription(void *arg, const struct cdx_record *rec)
{
    struct lag *l = arg;
    struct cdx_err ignored = {0};

    if (rec->key.p == NULL || rec->key.n == 0 || rec->key.p[0] == '#')
        return true;
    return cdx_subs_apply(&l->subs, rec->key, rec->value, rec->offset, rec->timestamp_ms, NULL,
                          &ignored) != CDX_NOMEM;
}

static bool take_cursor(void *arg, const struct cdx_record *rec)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct lag *l = arg;
    struct position *p;

    if (rec->key.p == NULL || rec->value.p == NULL || rec->key.n == 0 || rec->key.p[0] == '#')
        return true;
    p = position_of(l, rec->key, true);
    if (p == NULL)
        return false;
    p->partition = rec->partition;
    p->has_cursor = cdx_cursor_read(rec->value, marks, &p->cursor, NULL) == CDX_OK;
    p->cursor.marks = NULL;
    p->counted = p->cursor.counted_number;
    return true;
}

static bool count_record(void *arg, const struct cdx_record *rec)
{
    struct position *p = rec->key.p != NULL ? position_of(arg, rec->key, false) : NULL;

    if (p == NULL || !p->has_cursor)
        return true;
    if (rec->offset > p->cursor.counted_offset) {
        p->counted++;
        if (p->cursor.next_offset == CDX_NO_OFFSET)
            p->cursor.next_offset = rec->offset;
    }
    if (p->head_ms == 0 && p->cursor.next_offset != CDX_NO_OFFSET &&
        rec->offset >= p->cursor.next_offset)
        p->head_ms = rec->timestamp_ms;
    return true;
}

/* The log from the lowest `next` or uncounted record of each partition on. */
static enum cdx_code read_log(struct lag *l)
{
    struct cdx_place *places = calloc((size_t)l->partitions + 1, sizeof *places);
    enum cdx_code rc = places == NULL ? cdx_fail(l->err, CDX_NOMEM, "lag") : CDX_OK;
    struct position *p;
    size_t i = 0, n = 0;

    for (int32_t k = 0; rc == CDX_OK && k < l->partitions; k++)
        places[k] = (struct cdx_place){cdx_bus_topic(l->bus, CDX_T_NOTIFICATIONS), k, INT64_MAX};
    while (rc == CDX_OK && (p = cdx_map_next(&l->positions, &i)) != NULL) {
        int64_t from = p->cursor.next_offset != CDX_NO_OFFSET ? p->cursor.next_offset
                                                              : p->cursor.counted_offset + 1;
        if (p->has_cursor && p->partition < l->partitions && from < places[p->partition].offset)
            places[p->partition].offset = from;
    }
    for (int32_t k = 0; rc == CDX_OK && k < l->partitions; k++) {
        int64_t start, end;
        if (places[k].offset == INT64_MAX)
            continue;
        rc = cdx_consumer_bounds(l->reader, places[k].topic, k, &start, &end, l->err);
        if (places[k].offset < start)
            places[k].offset = start;
        if (places[k].offset < end)
            places[n++] = places[k];
    }
    if (rc == CDX_OK && n > 0)
        rc = cdx_consumer_read_all(l->reader, places, n, READ_MS, count_record, l, l->err);
    free(places);
    return rc;
}

static enum cdx_code read_topic(struct lag *l, enum cdx_topic topic,
                                bool (*each)(void *arg, const struct cdx_record *rec))
{
    const char *name = cdx_bus_topic(l->bus, topic);
    int32_t n = cdx_consumer_partitions(l->reader, name, l->err);
    struct cdx_place *places = n > 0 ? calloc((size_t)n, sizeof *places) : NULL;
    enum cdx_code rc;

    if (places == NULL)
        return l->err->code != CDX_OK ? l->err->code : CDX_NOMEM;
    l->partitions = n;
    for (int32_t k = 0; k < n; k++)
        places[k] = (struct cdx_place){name, k, CDX_BEGINNING};
    rc = cdx_consumer_read_all(l->reader, places, (size_t)n, READ_MS, each, l, l->err);
    free(places);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct cdx_sub_entry *const *)a)->id,
                  (*(const struct cdx_sub_entry *const *)b)->id);
}

static void print_row(const struct lag *l, const struct cdx_sub_entry *e, bool first)
{
    const struct position *p = cdx_map_get(&l->positions, cdx_text_z(e->id));
    int64_t now = cdx_wall_ms(&cdx_clock_system), delivered = p != NULL ? p->cursor.delivered : 0,
            counted = p != NULL ? p->counted : 0;
    double seconds = p != NULL && counted > delivered && p->head_ms > 0 && now > p->head_ms
                         ? (double)(now - p->head_ms) / 1000
                         : 0;
    const char *error = e->refused != NULL                               ? e->refused
                        : cdx_sub_answered(e) && e->status.error != NULL ? e->status.error
                                                                         : "";
    const char *status = e->refused != NULL ? "refused" : cdx_sub_status_text(cdx_sub_shown(e));

    if (l->args->json) {
        struct cdx_buf b;
        cdx_buf_init(&b, 65536);
        cdx_buf_add_json(&b, cdx_text_z(error));
        printf("%s{\"subscription\":\"%s\",\"status\":\"%s\",\"partition\":%d,\"counted\":%" PRId64
               ",\"delivered\":%" PRId64 ",\"lagEvents\":%" PRId64
               ",\"lagSeconds\":%.3f,\"error\":%.*s}",
               first ? "[" : ",\n ", e->id, status, e->sub != NULL ? (int)e->sub->partition : -1,
               counted, delivered, counted - delivered, seconds, CDX_TEXT(cdx_buf_text(&b)));
        cdx_buf_fini(&b);
        return;
    }
    if (first)
        printf("%-32s %-10s %9s %10s %10s %8s %9s  %s\n", "subscription", "status", "partition",
               "counted", "delivered", "lag", "lag s", "error");
    printf("%-32s %-10s %9d %10" PRId64 " %10" PRId64 " %8" PRId64 " %9.1f  %s\n", e->id, status,
           e->sub != NULL ? (int)e->sub->partition : -1, counted, delivered, counted - delivered,
           seconds, error);
}

/* False: the one that was asked for is not known. */
static bool print_all(const struct lag *l)
{
    struct cdx_sub_entry **rows = calloc(l->subs.by_id.used + 1, sizeof *rows), *e;
    size_t i = 0, n = 0;

    while (rows != NULL && (e = cdx_map_next(&l->subs.by_id, &i)) != NULL)
        if ((e->sub != NULL || e->refused != NULL) &&
            (l->args->subscription == NULL || strcmp(l->args->subscription, e->id) == 0))
            rows[n++] = e;
    if (rows != NULL)
        qsort(rows, n, sizeof *rows, by_id);
    for (i = 0; rows != NULL && i < n; i++)
        print_row(l, rows[i], i == 0);
    if (l->args->json)
        printf(n > 0 ? "]\n" : "[]\n");
    else if (n == 0 && l->args->subscription == NULL)
        printf(
            "no subscriptions yet: name files in the configuration's `subscriptions`, or create them by REST\n");
    free(rows);
    return n > 0 || l->args->subscription == NULL;
}

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

int cdx_ops_lag(const struct cdx_args *args)
{
    struct cdx_err err = {0};
    struct lag l = {.args = args, .err = &err};
    struct cdx_conf *conf = cdx_conf_load(args->config, say, NULL, &err);
    int rc = CDX_EXIT_FINDING;
    struct position *p;
    size_t i = 0;

    cdx_log_setup(CDX_ERROR, false);
    if (conf != NULL)
        l.bus = cdx_bus_create((const struct cdx_bus_property *)conf->kafka, conf->kafka_n,
                               conf->prefix, "lag", conf->embedded, &err);
    if (l.bus != NULL)
        l.reader = cdx_consumer_open(l.bus, "lag", (struct cdx_prefetch){16384, 10}, &err);
    if (l.reader != NULL && read_topic(&l, CDX_T_SUBSCRIPTIONS, take_subscription) == CDX_OK &&
        read_topic(&l, CDX_T_CURSORS, take_cursor) == CDX_OK && read_log(&l) == CDX_OK) {
        if (print_all(&l))
            rc = CDX_EXIT_OK;
        else
            fprintf(stderr, "cdex-push lag: no subscription '%s'\n", args->subscription);
    } else {
        fprintf(stderr, "cdex-push lag: %s\n", err.text);
    }
    while ((p = cdx_map_next(&l.positions, &i)) != NULL) {
        free(p->id);
        free(p);
    }
    cdx_map_fini(&l.positions);
    cdx_subs_fini(&l.subs);
    cdx_consumer_destroy(l.reader);
    cdx_bus_destroy(l.bus);
    cdx_conf_free(conf);
    return rc;
}
