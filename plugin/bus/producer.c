/*
 * bus/producer.c -- bytes to Kafka, in transactions.
 *
 * A transaction ends in one of three ways for its caller: committed; rolled back, begin again; or refused, because the
 * group's generation is over. Whatever librdkafka calls fatal (also the spurious ones of 2.0.2, and the epoch bump that a broker
 * gives to a transaction which outlived its timeout) is cured by a new client with the same transactional id: its
 * init_transactions decides what was pending, and the caller starts from what was committed. That a second
 * process has our instance is found by the consumer's static membership, which ends the older one.
 */
#include "bus/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/log.h"

#define STEP_MS 5000 /* one call of librdkafka */
#define TRANSACTION_MS "10000"
#define GIVE_UP_STEPS 12 /* a minute without a decision: a new client decides */

struct cdx_producer {
    struct cdx_bus *bus; /* borrowed */
    char *name;          /* owned */
    bool transactional;
    rd_kafka_t *rk;                       /* owned; NULL after a fatal error until the next begin */
    rd_kafka_topic_t *topics[CDX_TOPICS]; /* owned */
    char *cluster;                        /* owned by librdkafka; NULL until asked for */
    uint64_t failed; /* messages that were not acknowledged, not transactional */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct cdx_producer *p = arg;

    (void)rk;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        p->failed++;
}

static void drop_client(struct cdx_producer *p)
{
    for (size_t i = 0; i < CDX_TOPICS; i++) {
        if (p->topics[i] != NULL)
            rd_kafka_topic_destroy(p->topics[i]);
        p->topics[i] = NULL;
    }
    if (p->rk != NULL) {
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(p->rk);
    }
    p->rk = NULL;
}

/* Asks for the metadata of every topic once: the first produce to an unknown topic waits for a timer of 1 s. */
static enum cdx_code warm_up(struct cdx_producer *p, struct cdx_err *err)
{
    for (size_t i = 0; i < CDX_TOPICS; i++) {
        const struct rd_kafka_metadata *md = NULL;
        rd_kafka_resp_err_t code;

        p->topics[i] = rd_kafka_topic_new(p->rk, p->bus->names[i], NULL);
        code = p->topics[i] == NULL ? rd_kafka_last_error()
                                    : rd_kafka_metadata(p->rk, 0, p->topics[i], &md, 10000);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1)
            code = md->topics[0].err;
        if (md != NULL)
            rd_kafka_metadata_destroy(md);
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            return cdx_fail(err, CDX_CONFIG,
                            "Kafka topic %s is not there; run `cdex-push topics` to create it",
                            p->bus->names[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return cdx_fail(err, CDX_REMOTE, "Kafka topic %s: %s", p->bus->names[i],
                            rd_kafka_err2str(code));
    }
    return CDX_OK;
}

static enum cdx_code open_client(struct cdx_producer *p, struct cdx_err *err)
{
    char id[300], max[16];
    struct cdx_setting settings[] = {
        {"enable.idempotence", "true"},
        {"linger.ms",
         p->transactional
             ? "20"
             : "2"}, /* a request a partition: a transaction sends when it ends, or when a batch is full */
        {"message.max.bytes", max},
        {"partitioner", "murmur2_random"},
        {"transactional.id", id},
        {"transaction.timeout.ms", TRANSACTION_MS},
        {"message.timeout.ms", "8000"},
    };
    rd_kafka_conf_t *conf;
    rd_kafka_error_t *e;

    snprintf(id, sizeof id, "%s%s.%s", p->bus->prefix, p->name, p->bus->instance);
    snprintf(max, sizeof max, "%d", CDX_MAX_MESSAGE_BYTES);
    conf = cdx_bus_conf(p->bus, p->name, settings, CDX_COUNT(settings) - (p->transactional ? 0 : 3),
                        err);
    if (conf == NULL)
        return CDX_CONFIG;
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery); /* without it flush polls in steps of 10 ms */
    p->rk = cdx_bus_client(p->bus, RD_KAFKA_PRODUCER, conf, err);
    if (p->rk == NULL)
        return CDX_CONFIG;
    if (warm_up(p, err) != CDX_OK)
        return err != NULL ? err->code : CDX_REMOTE;
    if (!p->transactional)
        return CDX_OK;
    e = rd_kafka_init_transactions(p->rk, 15000);
    if (e == NULL)
        return CDX_OK;
    cdx_fail(err, CDX_REMOTE, "kafka: init_transactions(%s): %s", id, rd_kafka_error_string(e));
    rd_kafka_error_destroy(e);
    return CDX_REMOTE;
}

struct cdx_producer *cdx_producer_create(struct cdx_bus *bus, const char *name, bool transactional,
                                         struct cdx_err *err)
{
    struct cdx_producer *p = calloc(1, sizeof *p);

    if (p == NULL || (p->name = strdup(name)) == NULL) {
        cdx_fail(err, CDX_NOMEM, "bus: producer");
        cdx_producer_destroy(p);
        return NULL;
    }
    p->bus = bus;
    p->transactional = transactional;
    if (open_client(p, err) == CDX_OK)
        return p;
    cdx_producer_destroy(p);
    return NULL;
}

void cdx_producer_destroy(struct cdx_producer *p)
{
    if (p == NULL)
        return;
    if (p->cluster != NULL)
        rd_kafka_mem_free(NULL, p->cluster);
    drop_client(p);
    free(p->name);
    free(p);
}

const char *cdx_producer_cluster(struct cdx_producer *p)
{
    if (p->cluster == NULL && p->rk != NULL)
        p->cluster = rd_kafka_clusterid(p->rk, STEP_MS);
    return p->cluster != NULL ? p->cluster : "unknown";
}

static rd_kafka_headers_t *make_headers(const struct cdx_out *out)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(out->headers_n);

    for (size_t i = 0; i < out->headers_n; i++)
        rd_kafka_header_add(h, out->headers[i].name.p, (ssize_t)out->headers[i].name.n,
                            out->headers[i].value.p,
                            out->headers[i].value.p != NULL ? (ssize_t)out->headers[i].value.n : 0);
    return h;
}

enum cdx_code cdx_producer_send(struct cdx_producer *p, const struct cdx_out *out,
                                struct cdx_err *err)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t code;

    if (p->rk == NULL)
        return cdx_fail(err, CDX_REMOTE, "kafka: no client; begin again");
    if (out->headers_n > 0)
        headers = make_headers(out);
    for (;;) {
        code = rd_kafka_producev(
            p->rk, RD_KAFKA_V_RKT(p->topics[out->topic]),
            RD_KAFKA_V_PARTITION(out->partition >= 0 ? out->partition : RD_KAFKA_PARTITION_UA),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(out->key.p, out->key.n),
            RD_KAFKA_V_VALUE((void *)out->value.p, out->value.n),
            RD_KAFKA_V_TIMESTAMP(out->timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        rd_kafka_poll(p->rk, 10);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return CDX_OK;
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    return cdx_fail(err, code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? CDX_FULL : CDX_REMOTE,
                    "kafka: produce to %s: %s", p->bus->names[out->topic], rd_kafka_err2str(code));
}

enum cdx_code cdx_producer_begin(struct cdx_producer *p, struct cdx_err *err)
{
    rd_kafka_error_t *e;

    if (p->rk == NULL && open_client(p, err) != CDX_OK) {
        drop_client(p);
        return err != NULL ? err->code : CDX_REMOTE;
    }
    e = rd_kafka_begin_transaction(p->rk);
    if (e == NULL)
        return CDX_OK;
    cdx_fail(err, CDX_REMOTE, "kafka: begin_transaction: %s", rd_kafka_error_string(e));
    rd_kafka_error_destroy(e);
    drop_client(p);
    return CDX_REMOTE;
}

/* The member is none of the group's present generation. */
static bool generation_over(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ||
           code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
}

enum cdx_committed cdx_producer_abort(struct cdx_producer *p, struct cdx_err *err)
{
    for (int i = 0; p->rk != NULL; i++) {
        rd_kafka_error_t *e = rd_kafka_abort_transaction(p->rk, STEP_MS);
        bool again = e != NULL && rd_kafka_error_is_retriable(e) && i < GIVE_UP_STEPS;

        if (e == NULL)
            break;
        if (!again) {
            cdx_fail(err, CDX_REMOTE, "kafka: abort_transaction: %s", rd_kafka_error_string(e));
            drop_client(p);
        }
        rd_kafka_error_destroy(e);
    }
    return CDX_ABORTED;
}

/* Ends a transaction that met `e`; takes e. */
static enum cdx_committed settle(struct cdx_producer *p, rd_kafka_error_t *e, const char *step,
                                 struct cdx_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(e);
    bool fatal = rd_kafka_error_is_fatal(e) || !rd_kafka_error_txn_requires_abort(e);

    cdx_fail(err, CDX_REMOTE, "kafka: %s: %s (%s)", step, rd_kafka_error_string(e),
             rd_kafka_err2name(code));
    rd_kafka_error_destroy(e);
    if (fatal)
        drop_client(p);
    else
        cdx_producer_abort(p, NULL);
    return generation_over(code) ? CDX_REFUSED : CDX_ABORTED;
}

static rd_kafka_error_t *send_offsets(struct cdx_producer *p, rd_kafka_topic_partition_list_t *list,
                                      const struct cdx_group *group)
{
    rd_kafka_error_t *e = NULL;

    for (int i = 0; i < GIVE_UP_STEPS; i++) {
        e = rd_kafka_send_offsets_to_transaction(
            p->rk, list, (const rd_kafka_consumer_group_metadata_t *)group, STEP_MS);
        if (e == NULL || !rd_kafka_error_is_retriable(e) || rd_kafka_error_txn_requires_abort(e) ||
            i == GIVE_UP_STEPS - 1)
            break;
        rd_kafka_error_destroy(e);
    }
    return e;
}

enum cdx_committed cdx_producer_commit(struct cdx_producer *p, const struct cdx_place *places,
                                       size_t n, const struct cdx_group *group,
                                       struct cdx_consumer *c, struct cdx_err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_error_t *e = NULL;

    if (p->rk == NULL) {
        cdx_fail(err, CDX_REMOTE, "kafka: no client; begin again");
        return CDX_ABORTED;
    }
    list = cdx_bus_list(places, n);
    if (n > 0)
        e = send_offsets(p, list, group);
    if (e != NULL) {
        rd_kafka_topic_partition_list_destroy(list);
        return settle(p, e, "send_offsets_to_transaction", err);
    }
    for (int i = 0; i < GIVE_UP_STEPS; i++) {
        e = rd_kafka_commit_transaction(p->rk, STEP_MS);
        if (e == NULL || !rd_kafka_error_is_retriable(e) || i == GIVE_UP_STEPS - 1)
            break;
        rd_kafka_error_destroy(e);
    }
    if (e == NULL && n > 0 && cdx_bus_embedded(p->bus) && c != NULL)
        rd_kafka_commit(cdx_consumer_handle(c), list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    return e == NULL ? CDX_COMMITTED : settle(p, e, "commit_transaction", err);
}

enum cdx_code cdx_producer_flush(struct cdx_producer *p, int timeout_ms, struct cdx_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(p->rk, timeout_ms);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && p->failed == 0)
        return CDX_OK;
    p->failed = 0;
    return cdx_fail(err, CDX_REMOTE, "kafka: not acknowledged: %s", rd_kafka_err2str(code));
}
