/*
 * ops/kafka_topics.c -- which Kafka topics are ours, and how must each be kept?
 *
 * In:    topics/kafka/topics.json and the configuration.
 * Out:   one cdx_topic_spec a topic.
 * Owns:  an arena with every text.
 *
 * The hard thing is that a definition that is wrong loses data long after it was read (a cursor topic with `delete`), so
 * every member is checked and every topic that the program knows must be there. Not constants in C: retention and limits
 * are the site's to change.
 */
#include "ops/kafka_topics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/text.h"
#include "model/conf.h"

#define FILE_BYTES (1u << 20)
#define ARENA_BYTES (1u << 20)
#define OWN_CONFIGS 3 /* cleanup.policy, retention.ms, min.insync.replicas */

struct loader {
    const char *file;
    const struct cdx_conf *conf;
    struct cdx_kafka_topics *topics;
    bool seen[CDX_TOPICS];
    struct cdx_err *err;
};

static const char *const names[CDX_TOPICS] = {
#define X(id, name) name,
    CDX_TOPIC_MAP(X)
#undef X
};

static const char *const members[] = {"name",           "record",       "partitions",
                                      "cleanup.policy", "retention.ms", "min.insync.replicas",
                                      "config"};

static enum cdx_code no_memory(struct loader *l)
{
    return cdx_fail(l->err, CDX_NOMEM, "%s: out of memory", l->file);
}

/* Adds one config entry; room for it was made before. */
static enum cdx_code add(struct loader *l, struct cdx_bus_property *config, size_t *n,
                         const char *name, const char *value)
{
    struct cdx_text key = cdx_arena_copy(l->topics->arena, cdx_text_z(name));
    struct cdx_text text = cdx_arena_copy(l->topics->arena, cdx_text_z(value));

    if (key.p == NULL || text.p == NULL)
        return no_memory(l);
    config[(*n)++] = (struct cdx_bus_property){key.p, text.p};
    return CDX_OK;
}

static enum cdx_code add_number(struct loader *l, struct cdx_bus_property *config, size_t *n,
                                const char *name, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, value);
    return add(l, config, n, name, text);
}

/* The index of the topic's name; -1 after a mistake. */
static int topic_of(struct loader *l, size_t i, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    int t = 0;

    while (t < CDX_TOPICS && (name == NULL || strcmp(names[t], name) != 0))
        t++;
    if (t < CDX_TOPICS && !l->seen[t]) {
        l->seen[t] = true;
        return t;
    }
    cdx_fail(l->err, CDX_CONFIG, "%s: topics[%zu].name: %s", l->file, i,
             t < CDX_TOPICS ? "stands there twice" : "is none of the program's topics");
    return -1;
}

static enum cdx_code check_members(struct loader *l, size_t i, const json_t *item)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)item, key, value) {
        size_t m = 0;

        while (m < CDX_COUNT(members) && strcmp(members[m], key) != 0)
            m++;
        if (m == CDX_COUNT(members))
            return cdx_fail(l->err, CDX_CONFIG, "%s: topics[%zu].%.64s: no such member", l->file, i,
                            key);
    }
    return CDX_OK;
}

/* `partitions` names the option that counts them. */
static enum cdx_code read_partitions(struct loader *l, size_t i, const json_t *item,
                                     struct cdx_topic_spec *spec)
{
    const char *option = json_string_value(json_object_get(item, "partitions"));

    if (option != NULL && strcmp(option, "partitions") == 0)
        spec->partitions = (int)l->conf->partitions;
    else if (option != NULL && strcmp(option, "state.partitions") == 0)
        spec->partitions = (int)l->conf->state_partitions;
    else
        return cdx_fail(l->err, CDX_CONFIG,
                        "%s: topics[%zu].partitions: must be partitions or state.partitions",
                        l->file, i);
    return CDX_OK;
}

/* `delete` needs to know after how long; `compact` never drops the last record of a key. */
static enum cdx_code add_cleanup(struct loader *l, size_t i, const json_t *item,
                                 struct cdx_bus_property *config, size_t *n)
{
    const char *policy = json_string_value(json_object_get(item, "cleanup.policy"));
    const json_t *retention = json_object_get(item, "retention.ms");
    bool compact = policy != NULL && strcmp(policy, "compact") == 0;
    enum cdx_code rc;

    if (!compact && (policy == NULL || strcmp(policy, "delete") != 0))
        return cdx_fail(l->err, CDX_CONFIG,
                        "%s: topics[%zu].cleanup.policy: must be delete or compact", l->file, i);
    if (compact ? retention != NULL
                : !json_is_integer(retention) || json_integer_value(retention) < -1)
        return cdx_fail(l->err, CDX_CONFIG,
                        "%s: topics[%zu].retention.ms: must be milliseconds or -1 where the policy "
                        "is delete, and absent where it is compact",
                        l->file, i);
    rc = add(l, config, n, "cleanup.policy", policy);
    if (rc == CDX_OK && !compact)
        rc = add_number(l, config, n, "retention.ms", json_integer_value(retention));
    return rc;
}

static enum cdx_code add_min_insync(struct loader *l, size_t i, const json_t *item,
                                    struct cdx_bus_property *config, size_t *n)
{
    const json_t *value = json_object_get(item, "min.insync.replicas");

    if (value == NULL)
        return CDX_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1)
        return cdx_fail(l->err, CDX_CONFIG,
                        "%s: topics[%zu].min.insync.replicas: must be an integer from 1", l->file,
                        i);
    if (l->conf->replication < 3)
        return CDX_OK;
    return add_number(l, config, n, "min.insync.replicas", json_integer_value(value));
}

static enum cdx_code add_config(struct loader *l, size_t i, const json_t *given,
                                struct cdx_bus_property *config, size_t *n)
{
    enum cdx_code rc = CDX_OK;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)given, key, value) {
        if (!json_is_string(value))
            return cdx_fail(l->err, CDX_CONFIG, "%s: topics[%zu].config.%.64s: must be a string",
                            l->file, i, key);
        for (size_t c = 0; c < *n; c++)
            if (strcmp(config[c].name, key) == 0)
                return cdx_fail(l->err, CDX_CONFIG,
                                "%s: topics[%zu].config.%.64s: stands beside config already",
                                l->file, i, key);
        rc = add(l, config, n, key, json_string_value(value));
        if (rc != CDX_OK)
            return rc;
    }
    return rc;
}

static enum cdx_code read_config(struct loader *l, size_t i, const json_t *item,
                                 struct cdx_topic_spec *spec)
{
    const json_t *given = json_object_get(item, "config");
    struct cdx_bus_property *config;
    enum cdx_code rc;

    if (!json_is_object(given))
        return cdx_fail(l->err, CDX_CONFIG, "%s: topics[%zu].config: must be an object", l->file,
                        i);
    config =
        cdx_arena_zalloc(l->topics->arena, OWN_CONFIGS + json_object_size(given), sizeof *config);
    if (config == NULL)
        return no_memory(l);
    spec->config = config;
    rc = add_cleanup(l, i, item, config, &spec->config_n);
    if (rc == CDX_OK)
        rc = add_min_insync(l, i, item, config, &spec->config_n);
    if (rc == CDX_OK)
        rc = add_config(l, i, given, config, &spec->config_n);
    return rc;
}

static enum cdx_code read_topic(struct loader *l, size_t i, const json_t *item)
{
    struct cdx_topic_spec *spec = &l->topics->specs[i];
    int t = topic_of(l, i, item);
    enum cdx_code rc;

    if (t < 0)
        return CDX_CONFIG;
    spec->name = cdx_arena_printf(l->topics->arena, "%s%s", l->conf->prefix, names[t]).p;
    if (spec->name == NULL)
        return no_memory(l);
    spec->replication = (int)l->conf->replication;
    rc = check_members(l, i, item);
    if (rc == CDX_OK)
        rc = read_partitions(l, i, item, spec);
    if (rc == CDX_OK)
        rc = read_config(l, i, item, spec);
    return rc;
}

static enum cdx_code read_topics(struct loader *l, const json_t *list)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list))
        return cdx_fail(l->err, CDX_CONFIG, "%s: must be an object with the list `topics`",
                        l->file);
    l->topics->specs = cdx_arena_zalloc(l->topics->arena, n + 1, sizeof *l->topics->specs);
    if (l->topics->specs == NULL)
        return no_memory(l);
    for (size_t i = 0; i < n; i++) {
        enum cdx_code rc = read_topic(l, i, json_array_get(list, i));

        if (rc != CDX_OK)
            return rc;
    }
    l->topics->specs_n = n;
    for (int t = 0; t < CDX_TOPICS; t++)
        if (!l->seen[t])
            return cdx_fail(l->err, CDX_CONFIG, "%s: has no topic '%s'", l->file, names[t]);
    return CDX_OK;
}

static enum cdx_code load(struct loader *l, const char *root)
{
    struct cdx_text path = cdx_arena_printf(l->topics->arena, "%s/topics/kafka/topics.json", root);
    json_auto_t *doc = NULL;
    json_error_t e;
    char *text;
    size_t n;

    l->file = "topics.json";
    if (path.p == NULL)
        return no_memory(l);
    l->file = path.p;
    text = cdx_file_read(path.p, FILE_BYTES, &n, l->err);
    if (text == NULL)
        return CDX_CONFIG;
    doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    free(text);
    if (doc == NULL)
        return cdx_fail(l->err, CDX_CONFIG, "%s:%d:%d: %s", l->file, e.line, e.column, e.text);
    return read_topics(l, json_object_get(doc, "topics"));
}

struct cdx_kafka_topics *cdx_kafka_topics_load(const char *root, const struct cdx_conf *conf,
                                               struct cdx_err *err)
{
    struct cdx_kafka_topics *topics = calloc(1, sizeof *topics);
    struct loader l = {.conf = conf, .topics = topics, .err = err};

    if (topics == NULL) {
        cdx_fail(err, CDX_NOMEM, "ops: Kafka topics");
        return NULL;
    }
    topics->arena = cdx_arena_create(ARENA_BYTES, err);
    if (topics->arena != NULL && load(&l, root) == CDX_OK)
        return topics;
    cdx_kafka_topics_free(topics);
    return NULL;
}

void cdx_kafka_topics_free(struct cdx_kafka_topics *topics)
{
    if (topics == NULL)
        return;
    cdx_arena_destroy(topics->arena);
    free(topics);
}
