/*
 * ops/run.c -- the daemon: starts the flow and the ops listener, waits for signals.
 *
 * SIGTERM and SIGINT drain and end within 10 s; a second one ends at once. SIGHUP reads topics, subscriptions and
 * rosters again. Exit 1 when a thread met something that only the operator can mend: a supervisor then starts us anew.
 */
#include "ops/ops.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/log.h"
#include "flow/flow.h"
#include "model/conf.h"
#include "ops/http.h"
#include "ops/kafka_topics.h"
#include "ops/metrics.h"

#define STOP_MS 9000
#define LOOK_MS 200
#define TRIM_EVERY 25 /* looks: what a burst took goes back to the system within 5 s */

struct daemon {
    struct cdx_conf *conf;
    struct cdx_bus *bus;
    struct cdx_flow *flow;
    struct cdx_ops_http *http;
};

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

/* -- the ops listener's answers ----------------------------------------------------------------------------------- */

static bool is_live(void *arg)
{
    return cdx_flow_live(((struct daemon *)arg)->flow);
}

static bool is_ready(void *arg, char *why, size_t n)
{
    return cdx_flow_ready(((struct daemon *)arg)->flow, why, n);
}

/* One gauge family over all standings. */
static void gauge(struct cdx_buf *out, const char *name, const char *help,
                  const struct cdx_standing *st, size_t n,
                  double (*value)(const struct cdx_standing *st, int64_t now))
{
    int64_t now = cdx_wall_ms(&cdx_clock_system);

    cdx_metrics_family(out, name, "gauge", help);
    for (size_t i = 0; i < n; i++) {
        struct cdx_label labels[] = {{"subscription", cdx_text_z(st[i].id)},
                                     {"endpoint", cdx_text_z(st[i].endpoint)}};
        cdx_metrics_sample(out, name, labels, CDX_COUNT(labels), value(&st[i], now));
    }
}

static double lag_events(const struct cdx_standing *st, int64_t now)
{
    (void)now;
    return (double)(st->counted - st->delivered);
}

static double lag_seconds(const struct cdx_standing *st, int64_t now)
{
    return st->head_ms > 0 && now > st->head_ms ? (double)(now - st->head_ms) / 1000 : 0;
}

static double delivered(const struct cdx_standing *st, int64_t now)
{
    (void)now;
    return (double)st->delivered;
}

static void states(struct cdx_buf *out, const char *name, const char *help, const char *key,
                   const struct cdx_standing *st, size_t n,
                   const char *(*word)(const struct cdx_standing *st))
{
    cdx_metrics_family(out, name, "gauge", help);
    for (size_t i = 0; i < n; i++) {
        struct cdx_label labels[] = {{"subscription", cdx_text_z(st[i].id)},
                                     {"endpoint", cdx_text_z(st[i].endpoint)},
                                     {key, cdx_text_z(word(&st[i]))}};
        cdx_metrics_sample(out, name, labels, CDX_COUNT(labels), 1);
    }
}

static const char *status_word(const struct cdx_standing *st)
{
    return st->status;
}

static const char *feed_word(const struct cdx_standing *st)
{
    return st->feed;
}

static const char *breaker_word(const struct cdx_standing *st)
{
    return st->breaker;
}

static void per_subscription(void *arg, struct cdx_buf *out)
{
    struct daemon *d = arg;
    struct cdx_standing *st = NULL;
    size_t n = 0;

    if (cdx_flow_standings(d->flow, &st, &n, NULL) == CDX_OK) {
        gauge(out, "cdex_subscription_lag_events", "Events counted and not delivered", st, n,
              lag_events);
        gauge(out, "cdex_subscription_lag_seconds", "Age of the first undelivered event", st, n,
              lag_seconds);
        gauge(out, "cdex_subscription_delivered_number",
              "Number up to which everything is delivered or reported as gone", st, n, delivered);
        states(out, "cdex_subscription_status", "Status shown, 1 for the one in force", "status",
               st, n, status_word);
        states(out, "cdex_subscription_feed",
               "Where its next record comes from, 1 for the one in force", "feed", st, n,
               feed_word);
        states(out, "cdex_endpoint_state", "Breaker of its endpoint, 1 for the one in force",
               "state", st, n, breaker_word);
    }
    free(st);
}

static void write_metrics(void *arg, struct cdx_buf *out)
{
    cdx_metrics_render(out, per_subscription, arg);
}

/* -- starting ----------------------------------------------------------------------------------------------------- */

static void topic_made(void *arg, const struct cdx_topic_spec *spec, enum cdx_topic_state state,
                       const char *text)
{
    (void)arg;
    cdx_log(CDX_DEBUG, "embedded.topic", text, CDX_KV("topic", spec->name), CDX_KN("state", state));
}

/* The mock cluster starts empty: our topics and the sources that are named are made. */
static bool make_embedded_topics(struct daemon *d, const struct cdx_args *args, struct cdx_err *err)
{
    char *root = cdx_ops_root(args);
    struct cdx_kafka_topics *topics =
        cdx_kafka_topics_load(root != NULL ? root : ".", d->conf, err);
    bool ok = topics != NULL && cdx_bus_topics(d->bus, topics->specs, topics->specs_n, true,
                                               topic_made, NULL, err) == CDX_OK;

    for (size_t i = 0; ok && i < d->conf->sources_n; i++)
        for (size_t k = 0; ok && k < d->conf->sources[i].topics_n; k++) {
            struct cdx_topic_spec spec = {
                .name = d->conf->sources[i].topics[k], .partitions = 4, .replication = 1};
            if (spec.name[0] != '^')
                ok = cdx_bus_topics(d->bus, &spec, 1, true, topic_made, NULL, err) == CDX_OK;
        }
    cdx_kafka_topics_free(topics);
    free(root);
    if (ok)
        cdx_log(
            CDX_WARN, "embedded",
            "Kafka is inside this process: in memory, a few MB a partition, transactions not isolated; for trial only",
            CDX_KV("bootstrap", cdx_bus_bootstrap(d->bus)));
    return ok;
}

static bool start(struct daemon *d, const struct cdx_args *args, struct cdx_err *err)
{
    struct cdx_ops_handler handler = {d, is_live, is_ready, write_metrics};

    d->conf = cdx_conf_load(args->config, say, NULL, err);
    if (d->conf == NULL)
        return false;
    d->bus = cdx_bus_create((const struct cdx_bus_property *)d->conf->kafka, d->conf->kafka_n,
                            d->conf->prefix, d->conf->instance, d->conf->embedded, err);
    if (d->bus == NULL || (d->conf->embedded && !make_embedded_topics(d, args, err)))
        return false;
    d->flow = cdx_flow_create(d->conf, d->bus, &cdx_clock_system, err);
    if (d->flow == NULL)
        return false;
    d->http = cdx_ops_http_create(d->conf->ops_host, d->conf->ops_port, &handler, err);
    if (d->http == NULL || cdx_flow_start(d->flow, err) != CDX_OK)
        return false;
    cdx_log(CDX_INFO, "run.started", "", CDX_KV("version", CDX_VERSION),
            CDX_KV("instance", d->conf->instance), CDX_KV("kafka", cdx_bus_bootstrap(d->bus)),
            CDX_KV("ops_host", d->conf->ops_host), CDX_KN("ops_port", cdx_ops_http_port(d->http)));
    return true;
}

/* Waits for a signal or a failure. */
static int wait_for_end(struct daemon *d, const sigset_t *signals)
{
    struct timespec look = {0, LOOK_MS * 1000000L};
    char text[512], why[160];
    bool said = false;

    for (unsigned looks = 1;; looks++) {
        int sig = sigtimedwait(signals, NULL, &look);
        if (sig == SIGTERM || sig == SIGINT)
            return CDX_EXIT_OK;
        if (sig == SIGHUP) {
            cdx_log(CDX_INFO, "run.reload", "topics, subscriptions and rosters are read again",
                    CDX_KV("file", d->conf->file));
            cdx_flow_reload(d->flow);
        }
        if (looks % TRIM_EVERY == 0)
            malloc_trim(0);
        if (!said && cdx_flow_ready(d->flow, why, sizeof why)) {
            cdx_log(CDX_INFO, "run.ready", "", CDX_KN("ops_port", cdx_ops_http_port(d->http)));
            said = true;
        }
        if (cdx_flow_failed(d->flow, text, sizeof text)) {
            cdx_log(CDX_ERROR, "run.failed", text, CDX_KV("instance", d->conf->instance));
            return CDX_EXIT_FINDING;
        }
    }
}

/*
 * Kafka's and our threads hand buffers to each other; with an arena a thread, what one frees is of no use to the next, and
 * a burst stays in memory for ever. What it took goes back to the system by malloc_trim, within 5 s; mapping each fetched block
 * by itself would do it at once, and costs a tenth of all CPU time in page faults.
 */
static void limit_malloc(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

int cdx_ops_run(const struct cdx_args *args)
{
    struct daemon d = {0};
    struct cdx_err err = {0};
    int rc = CDX_EXIT_FINDING;
    sigset_t signals;

    limit_malloc();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before any thread: they inherit it */
    signal(SIGPIPE, SIG_IGN);
    cdx_log_setup(args->verbose ? CDX_DEBUG : CDX_INFO, args->log_json);
    if (!start(&d, args, &err)) {
        fprintf(stderr, "cdex-push run: %s\n", err.text);
    } else {
        rc = wait_for_end(&d, &signals);
        cdx_log(CDX_INFO, "run.stopping",
                "no new requests; waiting for answers, then the cursors are flushed",
                CDX_KN("at_most_ms", STOP_MS));
        sigprocmask(SIG_UNBLOCK, &signals, NULL); /* a second signal ends at once */
        if (!cdx_flow_stop(d.flow, STOP_MS)) {
            cdx_log(CDX_ERROR, "run.stop",
                    "a thread did not end in time; nothing is lost, some events may be sent again",
                    CDX_KN("after_ms", STOP_MS));
            _exit(rc == CDX_EXIT_OK ? CDX_EXIT_FINDING : rc);
        }
        cdx_log(CDX_INFO, "run.stopped", "", CDX_KV("instance", d.conf->instance));
    }
    cdx_ops_http_destroy(d.http);
    cdx_flow_destroy(d.flow);
    cdx_bus_destroy(d.bus);
    cdx_conf_free(d.conf);
    return rc;
}
