/*
 * bus/consumer.c -- bytes from Kafka: group members and readers.
 *
 * In:    records of assigned partitions, always read_committed.
 * Out:   one view at a time; ends and out-of-range positions as events of their own, since both carry a decision.
 * Owns:  the librdkafka handle and its positions; who reads what is decided by the caller.
 *
 * Eager assignment (range, roundrobin), because librdkafka 2.0.2 has defects with cooperative-sticky (endless loops,
 * lost assignments) that eager does not have. No pause and resume: a resume of a partition that is not paused
 * rewinds it in 2.0.2.
 */
#include "bus/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

struct cdx_consumer {
    struct cdx_bus *bus; /* borrowed */
    rd_kafka_t *rk;      /* owned */
    struct cdx_rebalance rebalance;
    struct cdx_header *headers; /* owned; of the message given out */
    size_t headers_cap;
    rd_kafka_topic_t *known[CDX_TOPICS]; /* owned; topics that this client has metadata of */
    size_t known_n;
    int fd;
    bool member, closed;
};

/* -- places and librdkafka's lists -------------------------------------------------------------------------------- */

rd_kafka_topic_partition_list_t *cdx_bus_list(const struct cdx_place *places, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n + 1);

    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset =
            places[i].offset;
    return list;
}

static struct cdx_place *from_list(const rd_kafka_topic_partition_list_t *list)
{
    struct cdx_place *places = calloc((size_t)list->cnt + 1, sizeof *places);

    for (int i = 0; places != NULL && i < list->cnt; i++)
        places[i] = (struct cdx_place){list->elems[i].topic, list->elems[i].partition,
                                       list->elems[i].offset};
    return places;
}

/* -- making ------------------------------------------------------------------------------------------------------- */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct cdx_consumer *c = arg;
    struct cdx_place *places = from_list(list);

    if (places == NULL || (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
                           code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)) {
        rd_kafka_assign(rk, NULL);
    } else if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        c->rebalance.assign(c->rebalance.arg, places, (size_t)list->cnt);
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = places[i].offset;
        rd_kafka_assign(rk, list);
    } else {
        c->rebalance.revoke(c->rebalance.arg, places, (size_t)list->cnt,
                            rd_kafka_assignment_lost(rk) != 0);
        rd_kafka_assign(rk, NULL);
    }
    free(places);
}

static struct cdx_consumer *make(struct cdx_bus *bus, const char *name,
                                 const struct cdx_setting *settings, size_t n,
                                 const struct cdx_rebalance *rebalance, struct cdx_err *err)
{
    struct cdx_consumer *c = calloc(1, sizeof *c);
    rd_kafka_conf_t *conf = c != NULL ? cdx_bus_conf(bus, name, settings, n, err) : NULL;

    if (conf == NULL) {
        cdx_fail(err, CDX_NOMEM, "bus: consumer");
        free(c);
        return NULL;
    }
    c->bus = bus;
    c->fd = -1;
    rd_kafka_conf_set_opaque(conf, c);
    if (rebalance != NULL) {
        c->member = true;
        c->rebalance = *rebalance;
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    }
    c->rk = cdx_bus_client(bus, RD_KAFKA_CONSUMER, conf, err);
    if (c->rk == NULL) {
        free(c);
        return NULL;
    }
    rd_kafka_poll_set_consumer(c->rk);
    return c;
}

struct cdx_consumer *cdx_consumer_join(struct cdx_bus *bus, const char *group, char *const *topics,
                                       size_t n, bool sources,
                                       const struct cdx_rebalance *rebalance, struct cdx_err *err)
{
    char group_id[256], own[300];
    struct cdx_setting settings[] = {
        {"group.id", group_id},
        {"group.instance.id", bus->instance},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"isolation.level", "read_committed"},
        {"auto.offset.reset", "error"},
        {"partition.assignment.strategy", "range,roundrobin"},
        {"session.timeout.ms", "10000"},
        {"queued.max.messages.kbytes", "32768"},
        {"fetch.wait.max.ms", cdx_bus_embedded(bus) ? "5" : "500"},
        {"topic.blacklist", own},
    };
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
    struct cdx_consumer *c;
    size_t o = 0;

    snprintf(group_id, sizeof group_id, "%s%s", bus->prefix, group);
    own[o++] = '^';
    for (const char *p = bus->prefix; *p != '\0' && o < sizeof own - 3; p++) {
        if (*p == '.')
            own[o++] = '\\';
        own[o++] = *p;
    }
    own[o] = '\0';
    c = make(bus, group, settings,
             CDX_COUNT(settings) - (sources && bus->prefix[0] != '\0' ? 0 : 1), rebalance, err);
    if (c == NULL)
        return NULL;
    list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return c;
    cdx_fail(err, CDX_CONFIG, "bus: group %s: %s", group_id, rd_kafka_err2str(code));
    cdx_consumer_destroy(c);
    return NULL;
}

struct cdx_consumer *cdx_consumer_open(struct cdx_bus *bus, const char *name,
                                       struct cdx_prefetch prefetch, struct cdx_err *err)
{
    char group_id[256], kbytes[16], wait[16];
    struct cdx_setting settings[] = {
        {"group.id", group_id}, /* never joined; librdkafka wants one */
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"isolation.level", "read_committed"},
        {"auto.offset.reset", "error"},
        {"queued.max.messages.kbytes", kbytes},
        {"fetch.wait.max.ms", cdx_bus_embedded(bus) ? "5" : wait},
    };

    snprintf(wait, sizeof wait, "%d", prefetch.wait_ms);
    snprintf(group_id, sizeof group_id, "%s%s-reader-%s", bus->prefix, name, bus->instance);
    snprintf(kbytes, sizeof kbytes, "%d", prefetch.kbytes);
    return make(bus, name, settings, CDX_COUNT(settings), NULL, err);
}

void cdx_consumer_close(struct cdx_consumer *c)
{
    if (c == NULL || c->closed)
        return;
    c->closed = true;
    if (c->member)
        rd_kafka_consumer_close(c->rk);
}

void cdx_consumer_destroy(struct cdx_consumer *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->known_n; i++)
        rd_kafka_topic_destroy(c->known[i]);
    if (c->rk != NULL)
        rd_kafka_destroy_flags(c->rk,
                               c->closed || !c->member ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
    if (c->fd >= 0)
        close(c->fd);
    free(c->headers);
    free(c);
}

int cdx_consumer_fd(struct cdx_consumer *c)
{
    static const uint64_t one = 1;
    rd_kafka_queue_t *q;

    if (c->fd >= 0)
        return c->fd;
    c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    q = rd_kafka_queue_get_consumer(c->rk);
    if (c->fd >= 0 && q != NULL)
        rd_kafka_queue_io_event_enable(q, c->fd, &one, sizeof one);
    if (q != NULL)
        rd_kafka_queue_destroy(q);
    return c->fd;
}

/* -- polling ------------------------------------------------------------------------------------------------------ */

static void read_headers(struct cdx_consumer *c, rd_kafka_message_t *m, struct cdx_record *rec)
{
    rd_kafka_headers_t *h;
    const char *name;
    const void *value;
    size_t size, n;

    rec->headers = NULL;
    rec->headers_n = 0;
    if (rd_kafka_message_headers(m, &h) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    n = rd_kafka_header_cnt(h);
    if (n > c->headers_cap) {
        struct cdx_header *more = reallocarray(c->headers, n, sizeof *more);
        if (more == NULL)
            return;
        c->headers = more;
        c->headers_cap = n;
    }
    for (size_t i = 0;
         i < n && rd_kafka_header_get_all(h, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        c->headers[i] =
            (struct cdx_header){cdx_text_z(name), cdx_text(value, value != NULL ? size : 0)};
        rec->headers_n = i + 1;
    }
    rec->headers = c->headers;
}

static enum cdx_polled fatal(struct cdx_consumer *c, struct cdx_err *err)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(c->rk, text, sizeof text);

    c->closed = true; /* there is no group to leave in order */
    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        cdx_fail(
            err, CDX_CONFIG,
            "another process runs with instance '%s': give each its own `instance` in the configuration",
            c->bus->instance);
    else
        cdx_fail(err, CDX_REMOTE, "kafka consumer: %s", text);
    return CDX_POLL_FATAL;
}

enum cdx_polled cdx_consumer_poll(struct cdx_consumer *c, int timeout_ms, struct cdx_message *out,
                                  struct cdx_err *err)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, timeout_ms);
    enum cdx_polled what = CDX_POLL_NOTHING;
    rd_kafka_timestamp_type_t kind;

    if (m == NULL)
        return CDX_POLL_NOTHING;
    out->rec =
        (struct cdx_record){.topic = cdx_text_z(m->rkt != NULL ? rd_kafka_topic_name(m->rkt) : ""),
                            .partition = m->partition,
                            .offset = m->offset};
    out->handle = m;
    switch (m->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        out->rec.timestamp_ms = rd_kafka_message_timestamp(m, &kind);
        out->rec.key = cdx_text(m->key, m->key != NULL ? m->key_len : 0);
        out->rec.value = cdx_text(m->payload, m->payload != NULL ? m->len : 0);
        if (out->rec.value.p == NULL && m->len == 0 && m->payload != NULL)
            out->rec.value.p = "";
        read_headers(c, m, &out->rec);
        return CDX_POLL_RECORD;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: what = CDX_POLL_END; break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: what = CDX_POLL_OUT_OF_RANGE; break;
    case RD_KAFKA_RESP_ERR__FATAL: what = fatal(c, err); break;
    default:
        if (rd_kafka_fatal_error(c->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
            what = fatal(c, err);
        else
            cdx_log(CDX_WARN, "kafka.consumer", rd_kafka_message_errstr(m),
                    CDX_KV("client", rd_kafka_name(c->rk)),
                    CDX_KV("code", rd_kafka_err2name(m->err)));
    }
    rd_kafka_message_destroy(m);
    out->handle = NULL;
    return what;
}

void cdx_message_done(struct cdx_message *message)
{
    if (message->handle != NULL)
        rd_kafka_message_destroy(message->handle);
    message->handle = NULL;
}

/* -- positions ---------------------------------------------------------------------------------------------------- */

/* A reader's first fetch of a topic that it has no metadata of waits for the next refresh, ten seconds: ask at once. */
static void know_topic(struct cdx_consumer *c, const char *topic)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt;

    for (size_t i = 0; i < c->known_n; i++)
        if (strcmp(rd_kafka_topic_name(c->known[i]), topic) == 0)
            return;
    if (c->known_n == CDX_TOPICS || (rkt = rd_kafka_topic_new(c->rk, topic, NULL)) == NULL)
        return;
    c->known[c->known_n++] = rkt;
    if (rd_kafka_metadata(c->rk, 0, rkt, &md, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(md);
}

enum cdx_code cdx_consumer_assign(struct cdx_consumer *c, const struct cdx_place *places, size_t n,
                                  struct cdx_err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    for (size_t i = 0; !c->member && i < n; i++)
        know_topic(c, places[i].topic);
    list = cdx_bus_list(places, n);
    code = rd_kafka_assign(c->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CDX_OK
               : cdx_fail(err, CDX_REMOTE, "bus: assign: %s", rd_kafka_err2str(code));
}

enum cdx_code cdx_consumer_committed(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                     int timeout_ms, struct cdx_err *err)
{
    rd_kafka_topic_partition_list_t *list = cdx_bus_list(places, n);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, list, timeout_ms);

    for (size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < n; i++) {
        code = list->elems[i].err;
        places[i].offset = list->elems[i].offset >= 0 ? list->elems[i].offset : CDX_NONE;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CDX_OK
               : cdx_fail(err, CDX_REMOTE, "bus: committed offsets: %s", rd_kafka_err2str(code));
}

enum cdx_code cdx_consumer_bounds(struct cdx_consumer *c, const char *topic, int32_t partition,
                                  int64_t *start, int64_t *end, struct cdx_err *err)
{
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(c->rk, topic, partition, start, end, 5000);

    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CDX_OK
               : cdx_fail(err, CDX_REMOTE, "bus: offsets of %s/%d: %s", topic, (int)partition,
                          rd_kafka_err2str(code));
}

static void refresh_leaders(struct cdx_consumer *c)
{
    const struct rd_kafka_metadata *md = NULL;

    if (rd_kafka_metadata(c->rk, 0, NULL, &md, 2000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(md);
}

enum cdx_code cdx_consumer_ends(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                int timeout_ms, struct cdx_err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
    int64_t start;

    if (cdx_bus_embedded(c->bus)) { /* the mock answers offsets-for-times with -1 */
        for (size_t i = 0; i < n; i++)
            if (cdx_consumer_bounds(c, places[i].topic, places[i].partition, &start,
                                    &places[i].offset, err) != CDX_OK)
                return err != NULL ? err->code : CDX_REMOTE;
        return CDX_OK;
    }
    list = cdx_bus_list(places, n);
    for (size_t i = 0; i < n; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    code = rd_kafka_offsets_for_times(c->rk, list, timeout_ms);
    for (size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < n; i++) {
        code = list->elems[i].err;
        places[i].offset = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return CDX_OK;
    refresh_leaders(c); /* librdkafka 2.0.2 goes on asking the leader that it knew */
    return cdx_fail(err, CDX_REMOTE, "bus: end offsets: %s", rd_kafka_err2str(code));
}

int32_t cdx_consumer_partitions(struct cdx_consumer *c, const char *topic, struct cdx_err *err)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(c->rk, topic, NULL);
    rd_kafka_resp_err_t code =
        rkt == NULL ? rd_kafka_last_error() : rd_kafka_metadata(c->rk, 0, rkt, &md, 10000);
    int32_t n = 0;

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1) {
        code = md->topics[0].err;
        n = code == RD_KAFKA_RESP_ERR_NO_ERROR ? md->topics[0].partition_cnt : 0;
    }
    if (md != NULL)
        rd_kafka_metadata_destroy(md);
    if (rkt != NULL)
        rd_kafka_topic_destroy(rkt);
    if (n == 0)
        cdx_fail(err, code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? CDX_CONFIG : CDX_REMOTE,
                 "bus: topic %s: %s%s", topic, rd_kafka_err2str(code),
                 code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                     ? "; run `cdex-push topics` to create it"
                     : "");
    return n;
}

/* A place whose topic and partition these are, or NULL. */
static struct cdx_place *find(struct cdx_place *places, size_t n, const struct cdx_record *rec)
{
    for (size_t i = 0; i < n; i++)
        if (places[i].partition == rec->partition && cdx_text_is(rec->topic, places[i].topic))
            return &places[i];
    return NULL;
}

enum cdx_code cdx_consumer_read_all(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                    int timeout_ms,
                                    bool (*each)(void *arg, const struct cdx_record *rec),
                                    void *arg, struct cdx_err *err)
{
    struct cdx_place *ends = calloc(n + 1, sizeof *ends);
    struct cdx_place *at = calloc(n + 1, sizeof *at);
    enum cdx_code rc =
        ends == NULL || at == NULL ? cdx_fail(err, CDX_NOMEM, "bus: read to the end") : CDX_OK;
    int64_t start, progress = cdx_mono_ms(&cdx_clock_system);
    size_t left = 0, k = 0;
    struct cdx_message m;

    if (rc == CDX_OK && n > 0) {
        memcpy(ends, places, n * sizeof *ends);
        rc = cdx_consumer_ends(c, ends, n, timeout_ms, err);
    }
    for (size_t i = 0; rc == CDX_OK && i < n; i++) {
        if (places[i].offset < 0 ||
            places[i].offset > ends[i].offset) { /* unknown, or of a topic that was replaced */
            rc = cdx_consumer_bounds(c, places[i].topic, places[i].partition, &start, &(int64_t){0},
                                     err);
            places[i].offset = start;
        }
        if (rc == CDX_OK && places[i].offset < ends[i].offset) {
            at[k++] = places[i];
            left++;
        }
    }
    if (rc == CDX_OK && left > 0)
        rc = cdx_consumer_assign(c, at, k, err);
    while (rc == CDX_OK && left > 0) {
        enum cdx_polled what = cdx_consumer_poll(c, 200, &m, err);
        struct cdx_place *p =
            what == CDX_POLL_RECORD || what == CDX_POLL_END ? find(places, n, &m.rec) : NULL;
        struct cdx_place *end = p != NULL ? &ends[p - places] : NULL;
        bool open = p != NULL && p->offset < end->offset;

        if (what == CDX_POLL_FATAL)
            rc = CDX_REMOTE;
        else if (what == CDX_POLL_OUT_OF_RANGE)
            rc = cdx_fail(err, CDX_REMOTE, "bus: %.*s/%d changed while it was read",
                          CDX_TEXT(m.rec.topic), (int)m.rec.partition);
        else if (what == CDX_POLL_NOTHING && cdx_mono_ms(&cdx_clock_system) - progress > timeout_ms)
            rc = cdx_fail(err, CDX_REMOTE, "bus: no answer while reading to the end of %s",
                          at[0].topic);
        if (p == NULL)
            continue;
        progress = cdx_mono_ms(&cdx_clock_system);
        if (what == CDX_POLL_RECORD && !each(arg, &m.rec))
            rc = cdx_fail(err, CDX_NOMEM, "bus: reading %s", p->topic);
        p->offset = m.rec.offset + (what == CDX_POLL_RECORD);
        cdx_message_done(&m);
        left -= open && p->offset >= end->offset;
    }
    if (k > 0 && cdx_consumer_assign(c, NULL, 0, err) != CDX_OK && rc == CDX_OK)
        rc = CDX_REMOTE;
    free(ends);
    free(at);
    return rc;
}

struct cdx_group *cdx_consumer_group(struct cdx_consumer *c)
{
    return (struct cdx_group *)rd_kafka_consumer_group_metadata(c->rk);
}

void cdx_group_free(struct cdx_group *g)
{
    if (g != NULL)
        rd_kafka_consumer_group_metadata_destroy((rd_kafka_consumer_group_metadata_t *)g);
}

rd_kafka_t *cdx_consumer_handle(struct cdx_consumer *c)
{
    return c->rk;
}
