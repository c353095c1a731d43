/* ops/check_kafka.h -- does this librdkafka know the properties that the configuration passes on? */
#ifndef CDX_OPS_CHECK_KAFKA_H
#define CDX_OPS_CHECK_KAFKA_H

#include "core/err.h"

struct cdx_conf; /* model/conf.h */

/**
 * Each mistake is handed to `say` (NULL: none) as "kafka.<name>: <what> <what to do>", without the value.
 * Returns CDX_OK, or CDX_CONFIG when there was one, or CDX_NOMEM. No broker is asked.
 * Thread: main. A property that loads a library (plugin.library.paths) loads it.
 */
enum cdx_code cdx_check_kafka_properties(const struct cdx_conf *conf,
                                         void (*say)(void *arg, const char *text),
                                         void *arg) CDX_MUST_CHECK;

#endif
