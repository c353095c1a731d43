/* bus/topics.c -- creates and verifies our Kafka topics by the admin interface, or by the mock's own. */
#include "bus/handle.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_MS 15000

typedef void tell_fn(void *arg, const struct cdx_topic_spec *spec, enum cdx_topic_state state,
                     const char *text);

/* What decides whether a topic fits; the other settings may be the operator's own. */
static const char *const compared[] = {"cleanup.policy", "retention.ms", "max.message.bytes"};

static const char *wanted(const struct cdx_topic_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->config_n; i++)
        if (strcmp(spec->config[i].name, name) == 0)
            return spec->config[i].value;
    return NULL;
}

static int partitions_of(rd_kafka_t *rk, const char *name)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, name, NULL);
    int n = -1;

    if (rkt != NULL && rd_kafka_metadata(rk, 0, rkt, &md, ADMIN_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        n = md->topic_cnt == 1 && md->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR
                ? md->topics[0].partition_cnt
                : 0;
        rd_kafka_metadata_destroy(md);
    }
    if (rkt != NULL)
        rd_kafka_topic_destroy(rkt);
    return n;
}

static enum cdx_topic_state create_one(rd_kafka_t *rk, const struct cdx_topic_spec *spec,
                                       char *text, size_t text_n)
{
    rd_kafka_NewTopic_t *t =
        rd_kafka_NewTopic_new(spec->name, spec->partitions, spec->replication, text, text_n);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev = NULL;
    enum cdx_topic_state state = CDX_TOPIC_FAILED;
    const rd_kafka_topic_result_t **results;
    size_t n = 0;

    if (t == NULL)
        goto out;
    for (size_t i = 0; i < spec->config_n; i++)
        rd_kafka_NewTopic_set_config(t, spec->config[i].name, spec->config[i].value);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_MS, text, text_n);
    rd_kafka_AdminOptions_set_operation_timeout(options, ADMIN_MS, text, text_n);
    rd_kafka_CreateTopics(rk, &t, 1, options, q);
    ev = rd_kafka_queue_poll(q, ADMIN_MS + 1000);
    if (ev == NULL || rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(text, text_n, "%s", ev == NULL ? "no answer" : rd_kafka_event_error_string(ev));
        goto out;
    }
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    if (n == 1 && rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR)
        state = CDX_TOPIC_CREATED;
    else if (n == 1)
        snprintf(text, text_n, "%s", rd_kafka_topic_result_error_string(results[0]));
out:
    if (ev != NULL)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(q);
    rd_kafka_AdminOptions_destroy(options);
    if (t != NULL)
        rd_kafka_NewTopic_destroy(t);
    return state;
}

/* Compares what the broker says of one topic with the specification; differences go to text. */
static enum cdx_topic_state verify(rd_kafka_t *rk, const struct cdx_topic_spec *spec,
                                   int partitions, char *text, size_t text_n)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, spec->name);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev;
    const rd_kafka_ConfigResource_t **results;
    const rd_kafka_ConfigEntry_t **entries;
    enum cdx_topic_state state = CDX_TOPIC_PRESENT;
    size_t n = 0, entries_n = 0, used = 0;

    text[0] = '\0';
    if (partitions != spec->partitions)
        used += (size_t)snprintf(text, text_n, "%d partitions (%d for a new one)", partitions,
                                 spec->partitions);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, q);
    ev = rd_kafka_queue_poll(q, ADMIN_MS);
    if (ev != NULL && rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        results = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(ev), &n);
        entries = n == 1 ? rd_kafka_ConfigResource_configs(results[0], &entries_n) : NULL;
        for (size_t i = 0; i < entries_n; i++)
            for (size_t k = 0; k < CDX_COUNT(compared); k++) {
                const char *name = rd_kafka_ConfigEntry_name(entries[i]),
                           *value = rd_kafka_ConfigEntry_value(entries[i]);
                const char *want = strcmp(name, compared[k]) == 0 ? wanted(spec, name) : NULL;
                if (want == NULL || value == NULL || strcmp(value, want) == 0 || used >= text_n)
                    continue;
                state = CDX_TOPIC_DIFFERS;
                used += (size_t)snprintf(text + used, text_n - used, "%s%s is %s, should be %s",
                                         used > 0 ? "; " : "", name, value, want);
            }
    }
    if (ev != NULL)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(q);
    rd_kafka_ConfigResource_destroy(resource);
    return state;
}

static void one(struct cdx_bus *bus, rd_kafka_t *rk, const struct cdx_topic_spec *spec, bool create,
                tell_fn *tell, void *arg, bool *bad)
{
    char text[512] = "";
    enum cdx_topic_state state;
    int partitions;

    if (bus->mock != NULL) {
        state = rd_kafka_mock_topic_create(bus->mock, spec->name, spec->partitions, 1) ==
                        RD_KAFKA_RESP_ERR_NO_ERROR
                    ? CDX_TOPIC_CREATED
                    : CDX_TOPIC_PRESENT;
    } else if ((partitions = partitions_of(rk, spec->name)) < 0) {
        state = CDX_TOPIC_FAILED;
        snprintf(text, sizeof text, "no answer from %s", cdx_bus_bootstrap(bus));
    } else if (partitions > 0) {
        state = verify(rk, spec, partitions, text, sizeof text);
    } else {
        state = create ? create_one(rk, spec, text, sizeof text) : CDX_TOPIC_MISSING;
    }
    *bad |= state >= CDX_TOPIC_DIFFERS;
    tell(arg, spec, state, text);
}

enum cdx_code cdx_bus_topics(struct cdx_bus *bus, const struct cdx_topic_spec *specs, size_t n,
                             bool create, tell_fn *tell, void *arg, struct cdx_err *err)
{
    rd_kafka_t *rk =
        cdx_bus_client(bus, RD_KAFKA_PRODUCER, cdx_bus_conf(bus, "topics", NULL, 0, err), err);
    bool bad = false;

    if (rk == NULL)
        return CDX_CONFIG;
    for (size_t i = 0; i < n; i++)
        one(bus, rk, &specs[i], create, tell, arg, &bad);
    rd_kafka_destroy(rk);
    return bad ? cdx_fail(err, CDX_CONFIG, "some Kafka topics are not as they should be") : CDX_OK;
}
