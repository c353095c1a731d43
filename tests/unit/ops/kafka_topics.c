/* Rules: design.md section 3 (topics, cleanup, retention, partition counts), kafka.md 12 (settings of compacted topics). */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/bus.h"
#include "core/limits.h"
#include "model/conf.h"
#include "ops/kafka_topics.h"

static char prefix[] = "gw.";
static const struct cdx_conf conf = {
    .prefix = prefix, .partitions = 6, .state_partitions = 4, .replication = -1};

static struct cdx_kafka_topics *shipped(const struct cdx_conf *with)
{
    struct cdx_err err = {0};
    struct cdx_kafka_topics *topics = cdx_kafka_topics_load(".", with, &err);

    CU_ASSERT_STRING_EQUAL(err.text, "");
    return topics;
}

static const struct cdx_topic_spec *spec_of(const struct cdx_kafka_topics *topics, const char *name)
{
    for (size_t i = 0; i < topics->specs_n; i++)
        if (strcmp(topics->specs[i].name, name) == 0)
            return &topics->specs[i];
    return NULL;
}

/* "": not set. */
static const char *config_of(const struct cdx_kafka_topics *topics, const char *topic,
                             const char *name)
{
    const struct cdx_topic_spec *spec = spec_of(topics, topic);

    CU_ASSERT_PTR_NOT_NULL_FATAL(spec);
    for (size_t i = 0; i < spec->config_n; i++)
        if (strcmp(spec->config[i].name, name) == 0)
            return spec->config[i].value;
    return "";
}

static void each_topic_is_kept_as_the_design_says(void)
{
    static const struct {
        const char *name, *cleanup, *retention;
        int partitions;
    } want[] = {
        {"gw.notifications", "delete", "604800000", 6}, /* 7 days */
        {"gw.subscriptions", "compact", "", 6},
        {"gw.cursors", "compact", "", 6},
        {"gw.rosters", "compact", "", 4},
        {"gw.members", "compact", "", 4},
        {"gw.trigger-state", "compact", "", 4},
        {"gw.deliveries", "delete", "2592000000", 6},   /* 30 days */
        {"gw.dead-letters", "delete", "7776000000", 6}, /* 90 days */
    };
    struct cdx_kafka_topics *topics = shipped(&conf);

    CU_ASSERT_PTR_NOT_NULL_FATAL(topics);
    CU_ASSERT_EQUAL(topics->specs_n, CDX_COUNT(want));
    for (size_t i = 0; i < CDX_COUNT(want); i++) {
        const struct cdx_topic_spec *spec = spec_of(topics, want[i].name);

        CU_ASSERT_PTR_NOT_NULL_FATAL(spec);
        CU_ASSERT_EQUAL(spec->partitions, want[i].partitions);
        CU_ASSERT_EQUAL(spec->replication, -1);
        CU_ASSERT_STRING_EQUAL(config_of(topics, want[i].name, "cleanup.policy"), want[i].cleanup);
        CU_ASSERT_STRING_EQUAL(config_of(topics, want[i].name, "retention.ms"), want[i].retention);
    }
    cdx_kafka_topics_free(topics);
}

static void the_largest_record_fits_the_log_and_the_dead_letters(void)
{
    struct cdx_kafka_topics *topics = shipped(&conf);

    CU_ASSERT_PTR_NOT_NULL_FATAL(topics);
    CU_ASSERT_EQUAL(strtol(config_of(topics, "gw.notifications", "max.message.bytes"), NULL, 10),
                    CDX_MAX_MESSAGE_BYTES);
    CU_ASSERT_EQUAL(strtol(config_of(topics, "gw.dead-letters", "max.message.bytes"), NULL, 10),
                    CDX_MAX_MESSAGE_BYTES);
    CU_ASSERT(strtol(config_of(topics, "gw.subscriptions", "max.message.bytes"), NULL, 10) >
              (long)CDX_MAX_SUBSCRIPTION_BYTES);
    cdx_kafka_topics_free(topics);
}

static void compacted_topics_are_cleaned_within_the_hour(void)
{
    static const char *const names[] = {"gw.subscriptions", "gw.cursors", "gw.rosters",
                                        "gw.members", "gw.trigger-state"};
    struct cdx_kafka_topics *topics = shipped(&conf);

    CU_ASSERT_PTR_NOT_NULL_FATAL(topics);
    for (size_t i = 0; i < CDX_COUNT(names); i++) {
        CU_ASSERT_STRING_EQUAL(config_of(topics, names[i], "segment.ms"), "3600000");
        CU_ASSERT_STRING_EQUAL(config_of(topics, names[i], "min.cleanable.dirty.ratio"), "0.1");
        CU_ASSERT_STRING_EQUAL(config_of(topics, names[i], "delete.retention.ms"), "86400000");
        CU_ASSERT_STRING_EQUAL(config_of(topics, names[i], "max.compaction.lag.ms"), "3600000");
    }
    cdx_kafka_topics_free(topics);
}

/* With one replica, min.insync.replicas 2 would refuse every write. */
static void two_replicas_in_sync_are_asked_for_only_of_three(void)
{
    struct cdx_conf three = conf;
    struct cdx_kafka_topics *topics = shipped(&conf);

    CU_ASSERT_PTR_NOT_NULL_FATAL(topics);
    CU_ASSERT_STRING_EQUAL(config_of(topics, "gw.cursors", "min.insync.replicas"), "");
    cdx_kafka_topics_free(topics);
    three.replication = 3;
    topics = shipped(&three);
    CU_ASSERT_PTR_NOT_NULL_FATAL(topics);
    CU_ASSERT_STRING_EQUAL(config_of(topics, "gw.cursors", "min.insync.replicas"), "2");
    CU_ASSERT_EQUAL(spec_of(topics, "gw.cursors")->replication, 3);
    cdx_kafka_topics_free(topics);
}

/* Loads a definition file with this text from a folder made for it; the error's text must hold `what`. */
static void expect_refused(const char *text, const char *what)
{
    char root[] = "/tmp/cdex-topics-XXXXXX", path[128];
    struct cdx_err err = {0};
    FILE *f;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
    snprintf(path, sizeof path, "%s/topics", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/topics/kafka", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/topics/kafka/topics.json", root);
    f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    fclose(f);
    CU_ASSERT_PTR_NULL(cdx_kafka_topics_load(root, &conf, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, what));
    unlink(path);
    snprintf(path, sizeof path, "%s/topics/kafka", root);
    rmdir(path);
    snprintf(path, sizeof path, "%s/topics", root);
    rmdir(path);
    rmdir(root);
}

#define CURSORS(rest) "{\"topics\": [{\"name\": \"cursors\", " rest "}]}"

static void a_wrong_definition_is_refused_with_its_place(void)
{
    static const struct {
        const char *text, *what;
    } wrong[] = {
        {"{\"topics\": [\n", "2:"},
        {"[]", "the list `topics`"},
        {"{\"topics\": [{\"name\": \"cursor\"}]}", "topics[0].name"},
        {CURSORS("\"partitions\": 3, \"cleanup.policy\": \"compact\", \"config\": {}"),
         "topics[0].partitions"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"keep\", \"config\": {}"),
         "topics[0].cleanup.policy"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"delete\", \"config\": {}"),
         "topics[0].retention.ms"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\", "
                 "\"retention.ms\": 1, \"config\": {}"),
         "topics[0].retention.ms"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\""),
         "topics[0].config"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\", \"config\": "
                 "{\"segment.ms\": 1}"),
         "topics[0].config.segment.ms"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\", \"config\": "
                 "{\"cleanup.policy\": \"delete\"}"),
         "topics[0].config.cleanup.policy"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\", \"config\": {}, "
                 "\"retention\": 1"),
         "topics[0].retention: no such member"},
        {CURSORS("\"partitions\": \"partitions\", \"cleanup.policy\": \"compact\", \"config\": {}"),
         "has no topic 'notifications'"},
    };

    for (size_t i = 0; i < CDX_COUNT(wrong); i++)
        expect_refused(wrong[i].text, wrong[i].what);
}

static void a_root_without_definitions_is_said_with_the_path(void)
{
    struct cdx_err err = {0};

    CU_ASSERT_PTR_NULL(cdx_kafka_topics_load("tests/cases/none", &conf, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "tests/cases/none/topics/kafka/topics.json"));
}

static CU_TestInfo tests[] = {
    {"each topic is kept as the design says", each_topic_is_kept_as_the_design_says},
    {"the largest record fits the log and the dead letters",
     the_largest_record_fits_the_log_and_the_dead_letters},
    {"compacted topics are cleaned within the hour", compacted_topics_are_cleaned_within_the_hour},
    {"two replicas in sync are asked for only of three",
     two_replicas_in_sync_are_asked_for_only_of_three},
    {"a wrong definition is refused with its place", a_wrong_definition_is_refused_with_its_place},
    {"a root without definitions is said with the path",
     a_root_without_definitions_is_said_with_the_path},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_ops_kafka_topics = {.pName = "ops/kafka_topics", .pTests = tests};
