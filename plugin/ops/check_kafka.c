/*
 * ops/check_kafka.c -- does this librdkafka know the properties that the configuration passes on?
 *
 * In:    the `kafka` object of the configuration.
 * Out:   a sentence for each property that is unknown or has a value that the library refuses.
 * Owns:  nothing; the scratch configuration ends with the call.
 *
 * The library itself is asked, since its properties differ by version and build. The hard thing is that its own sentence
 * repeats the value, which may be a password; ours does not. Not a list of names of our own: it would age.
 */
#include "ops/check_kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#include "model/conf.h"

/* By what rd_kafka_conf_set answers. */
static const char *what_is_wrong(rd_kafka_conf_res_t res)
{
    if (res == RD_KAFKA_CONF_UNKNOWN)
        return "this librdkafka has no such property; compare the name with its CONFIGURATION.md";
    return "this librdkafka refuses the value; see the property's range in its CONFIGURATION.md, "
           "and whether this "
           "build supports it";
}

enum cdx_code cdx_check_kafka_properties(const struct cdx_conf *conf,
                                         void (*say)(void *arg, const char *text), void *arg)
{
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    enum cdx_code rc = CDX_OK;

    if (scratch == NULL)
        return CDX_NOMEM;
    for (size_t i = 0; i < conf->kafka_n; i++) {
        char text[CDX_ERR_TEXT_BYTES], unused[8];
        rd_kafka_conf_res_t res = rd_kafka_conf_set(scratch, conf->kafka[i].name,
                                                    conf->kafka[i].value, unused, sizeof unused);

        if (res == RD_KAFKA_CONF_OK)
            continue;
        rc = CDX_CONFIG;
        snprintf(text, sizeof text, "kafka.%s: %s", conf->kafka[i].name, what_is_wrong(res));
        if (say != NULL)
            say(arg, text);
    }
    rd_kafka_conf_destroy(scratch);
    return rc;
}
