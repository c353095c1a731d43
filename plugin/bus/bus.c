/*
 * bus/bus.c -- how the brokers are reached, and what every client of ours has in common.
 *
 * The one surprising setting is retry.backoff.ms=2: the first request of a transaction that follows closely on a commit
 * is answered CONCURRENT_TRANSACTIONS while the broker writes the commit markers, and librdkafka then waits
 * retry.backoff.ms (100 by default) before it asks again. With 2 a commit takes 14 ms instead of 60.
 */
#include "bus/handle.h"

#include <librdkafka/rdkafka_mock.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "core/clock.h"
#include "core/log.h"

#define FAIL_EVERY_MS 10000

static const char *const topic_names[] = {
#define X(id, name) name,
    CDX_TOPIC_MAP(X)
#undef X
};

/* Defaults that the operator may change by the `kafka` section. */
static const struct cdx_setting defaults[] = {
    {"socket.nagle.disable", "true"}, {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.ms", "50"},   {"reconnect.backoff.max.ms", "1000"},
    {"retry.backoff.ms", "2"},        {"topic.metadata.refresh.interval.ms", "10000"},
    {"fetch.error.backoff.ms", "50"},
};

/*
 * Why a connection failed (refused, certificate, password) is told here even before anybody polls the client, so it must
 * be shown; but a broker that is away makes every client say it again and again. One line in so long tells enough.
 */
static bool worth_a_line(void)
{
    static _Atomic int64_t last = -FAIL_EVERY_MS;
    int64_t now = cdx_mono_ms(&cdx_clock_system), before = last;

    return now - before >= FAIL_EVERY_MS && atomic_compare_exchange_strong(&last, &before, now);
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    enum cdx_level l = level <= LOG_ERR ? CDX_WARN : level <= LOG_NOTICE ? CDX_INFO : CDX_DEBUG;

    if (strcmp(fac, "CONFWARN") == 0) /* settings of the other client kind, shared on purpose */
        l = CDX_DEBUG;
    else if (strcmp(fac, "FAIL") == 0)
        l = worth_a_line() ? CDX_WARN : CDX_DEBUG;
    cdx_log(l, "kafka.client", text, CDX_KV("client", rk != NULL ? rd_kafka_name(rk) : ""),
            CDX_KV("facility", fac));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *arg)
{
    (void)arg;
    cdx_log(CDX_WARN, "kafka.error", reason, CDX_KV("client", rd_kafka_name(rk)),
            CDX_KV("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)));
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct cdx_err *err)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    cdx_fail(err, CDX_CONFIG, "kafka.%s: %s", name, text);
    return false;
}

rd_kafka_conf_t *cdx_bus_conf(struct cdx_bus *bus, const char *name,
                              const struct cdx_setting *settings, size_t n, struct cdx_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char client_id[64];
    bool ok = conf != NULL;

    snprintf(client_id, sizeof client_id, "cdex-push-%.40s", name);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    ok = ok && set(conf, "client.id", client_id, err);
    for (size_t i = 0; ok && i < CDX_COUNT(defaults); i++)
        ok = set(conf, defaults[i].name, defaults[i].value, err);
    for (size_t i = 0; ok && i < bus->properties_n; i++)
        ok = set(conf, bus->properties[i].name, bus->properties[i].value, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = set(conf, settings[i].name, settings[i].value, err);
    if (ok && bus->bootstrap != NULL)
        ok = set(conf, "bootstrap.servers", bus->bootstrap, err);
    if (ok)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *cdx_bus_client(struct cdx_bus *bus, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                           struct cdx_err *err)
{
    char text[256];
    rd_kafka_t *rk;

    (void)bus;
    if (conf == NULL)
        return NULL;
    rk = rd_kafka_new(type, conf, text, sizeof text);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        cdx_fail(err, CDX_CONFIG, "kafka: %s", text);
    }
    return rk;
}

static bool start_mock(struct cdx_bus *bus, struct cdx_err *err)
{
    bus->mock_client =
        cdx_bus_client(bus, RD_KAFKA_PRODUCER, cdx_bus_conf(bus, "embedded", NULL, 0, err), err);
    if (bus->mock_client == NULL)
        return false;
    bus->mock = rd_kafka_mock_cluster_new(bus->mock_client, 1);
    if (bus->mock == NULL) {
        cdx_fail(err, CDX_NOMEM, "kafka.embedded: the mock cluster did not start");
        return false;
    }
    bus->bootstrap = strdup(rd_kafka_mock_cluster_bootstraps(bus->mock));
    return bus->bootstrap != NULL;
}

struct cdx_bus *cdx_bus_create(const struct cdx_bus_property *properties, size_t n,
                               const char *prefix, const char *instance, bool embedded,
                               struct cdx_err *err)
{
    struct cdx_bus *bus = calloc(1, sizeof *bus);
    bool ok = bus != NULL;

    if (ok) {
        bus->properties = properties;
        bus->properties_n = n;
        bus->prefix = strdup(prefix);
        bus->instance = strdup(instance);
        ok = bus->prefix != NULL && bus->instance != NULL;
    }
    for (size_t i = 0; ok && i < CDX_TOPICS; i++)
        ok = asprintf(&bus->names[i], "%s%s", prefix, topic_names[i]) > 0;
    for (size_t i = 0; ok && !embedded && i < n; i++)
        if (strcmp(properties[i].name, "bootstrap.servers") == 0) {
            free(bus->bootstrap);
            bus->bootstrap = strdup(properties[i].value);
            ok = bus->bootstrap != NULL;
        }
    if (ok && embedded)
        ok = start_mock(bus, err);
    if (ok)
        return bus;
    cdx_fail(err, CDX_NOMEM, "bus: connection");
    cdx_bus_destroy(bus);
    return NULL;
}

void cdx_bus_destroy(struct cdx_bus *bus)
{
    if (bus == NULL)
        return;
    if (bus->mock != NULL)
        rd_kafka_mock_cluster_destroy(bus->mock);
    if (bus->mock_client != NULL)
        rd_kafka_destroy(bus->mock_client);
    for (size_t i = 0; i < CDX_TOPICS; i++)
        free(bus->names[i]);
    free(bus->bootstrap);
    free(bus->prefix);
    free(bus->instance);
    free(bus);
}

bool cdx_bus_embedded(const struct cdx_bus *bus)
{
    return bus->mock != NULL;
}

const char *cdx_bus_bootstrap(const struct cdx_bus *bus)
{
    return bus->bootstrap != NULL ? bus->bootstrap : "";
}

const char *cdx_bus_topic(const struct cdx_bus *bus, enum cdx_topic topic)
{
    return bus->names[topic];
}

bool cdx_topic_matches(const char *expression, const char *topic)
{
    regex_t re;
    bool yes;

    if (regcomp(&re, expression, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    yes = regexec(&re, topic, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}
