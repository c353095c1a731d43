/* bus/handle.h -- private to bus/: the settings that every librdkafka client of ours has. */
#ifndef CDX_BUS_HANDLE_H
#define CDX_BUS_HANDLE_H

#include <librdkafka/rdkafka.h>

#include "bus/bus.h"

struct cdx_bus {
    const struct cdx_bus_property *properties; /* borrowed */
    size_t properties_n;
    char *prefix, *instance;              /* owned */
    char *bootstrap;                      /* owned */
    char *names[CDX_TOPICS];              /* owned */
    rd_kafka_t *mock_client;              /* owned; holds the mock cluster */
    struct rd_kafka_mock_cluster_s *mock; /* owned */
};

/* A setting of ours; `ours` ones may not be changed by the operator, the others only are defaults. */
struct cdx_setting {
    const char *name, *value;
};

/**
 * A configuration: our defaults, the operator's properties, then `settings`. `name` becomes part of client.id.
 * Returns owned or NULL (CDX_CONFIG names the property).
 */
rd_kafka_conf_t *cdx_bus_conf(struct cdx_bus *bus, const char *name,
                              const struct cdx_setting *settings, size_t n, struct cdx_err *err);
/* Takes conf, whatever happens. Returns owned or NULL. */
rd_kafka_t *cdx_bus_client(struct cdx_bus *bus, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                           struct cdx_err *err);

/* Places as librdkafka's list; owned by the caller. */
rd_kafka_topic_partition_list_t *cdx_bus_list(const struct cdx_place *places, size_t n);

/* A consumer's client, for the offsets that embedded mode commits beside a transaction. Borrowed. */
rd_kafka_t *cdx_consumer_handle(struct cdx_consumer *c);

#endif
