/* ops/kafka_topics.h -- our Kafka topics as topics/kafka/topics.json defines them, ready for the bus. */
#ifndef CDX_OPS_KAFKA_TOPICS_H
#define CDX_OPS_KAFKA_TOPICS_H

#include <stddef.h>

#include "core/err.h"

struct cdx_arena;      /* core/arena.h */
struct cdx_conf;       /* model/conf.h */
struct cdx_topic_spec; /* bus/bus.h */

struct cdx_kafka_topics {
    struct cdx_topic_spec
        *specs; /* in the file's order; whole names, counts of the configuration */
    size_t specs_n;
    struct cdx_arena *arena; /* owned; all texts above lie in it */
};

/**
 * Read <root>/topics/kafka/topics.json and join it with conf's prefix, partition counts and replication.
 * min.insync.replicas is set only where replication is at least 3: with fewer it would stop writers at the first failure.
 * Every topic of bus.h's CDX_TOPIC_MAP must be there once and no other. Returns owned; NULL: CDX_CONFIG naming file and
 * entry, or CDX_NOMEM. Thread: main.
 */
struct cdx_kafka_topics *cdx_kafka_topics_load(const char *root, const struct cdx_conf *conf,
                                               struct cdx_err *err);
/* Accepts NULL. */
void cdx_kafka_topics_free(struct cdx_kafka_topics *topics);

#endif
