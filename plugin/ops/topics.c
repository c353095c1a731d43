/* ops/topics.c -- creates and verifies the Kafka topics; says of each what it found. */
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "core/log.h"
#include "model/conf.h"
#include "ops/kafka_topics.h"

struct telling {
    bool json;
    size_t n;
};

static void tell(void *arg, const struct cdx_topic_spec *spec, enum cdx_topic_state state,
                 const char *text)
{
    static const char *const words[] = {"created", "present", "differs", "missing", "failed"};
    struct telling *t = arg;

    if (t->json)
        printf("%s{\"topic\":\"%s\",\"state\":\"%s\",\"partitions\":%d,\"text\":\"%s\"}",
               t->n > 0 ? ",\n " : "[", spec->name, words[state], spec->partitions, text);
    else
        printf("  %-32s %-8s %s\n", spec->name, words[state], text);
    t->n++;
}

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

int cdx_ops_topics(const struct cdx_args *args)
{
    struct telling t = {args->json, 0};
    struct cdx_err err = {0};
    struct cdx_conf *conf = cdx_conf_load(args->config, say, NULL, &err);
    char *root = cdx_ops_root(args);
    struct cdx_kafka_topics *topics = NULL;
    struct cdx_bus *bus = NULL;
    int rc = CDX_EXIT_FINDING;

    cdx_log_setup(CDX_ERROR, false);
    if (conf != NULL && root == NULL)
        cdx_fail(
            &err, CDX_CONFIG,
            "the folder that holds topics/kafka/topics.json was not found; name it with --root");
    if (conf != NULL && root != NULL)
        topics = cdx_kafka_topics_load(root, conf, &err);
    if (topics != NULL)
        bus = cdx_bus_create((const struct cdx_bus_property *)conf->kafka, conf->kafka_n,
                             conf->prefix, conf->instance, conf->embedded, &err);
    if (bus != NULL) {
        rc = cdx_bus_topics(bus, topics->specs, topics->specs_n, args->create, tell, &t, &err) ==
                     CDX_OK
                 ? CDX_EXIT_OK
                 : CDX_EXIT_FINDING;
        if (args->json)
            printf("]\n");
        else if (rc == CDX_EXIT_OK)
            printf("fine. Next: cdex-push run --config %s\n", args->config);
        else
            printf(
                "not fine. Missing ones are created with --create; what differs is yours to change (kafka-configs --alter)\n");
    } else {
        fprintf(stderr, "cdex-push topics: %s\n", err.text);
    }
    cdx_bus_destroy(bus);
    cdx_kafka_topics_free(topics);
    cdx_conf_free(conf);
    free(root);
    return rc;
}
