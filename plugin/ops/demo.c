/*
 * ops/demo.c -- what does this program do, shown in one command?
 *
 * In:    a sample feed of a hospital.
 * Out:   a gateway in embedded mode between it and three payers; an outage and a poison record on the way; a summary.
 * Owns:  everything that it starts, until the end of the command.
 *
 * The gateway is the real one: it reads a configuration from a file and is told nothing that `run` would not be told. The
 * hard thing is to be believed: what must arrive is recomputed from the feed, and what arrived is counted by the endpoints
 * (demo_truth, demo_sink). One thread, a tick of 20 ms: hospital, outage and display are steps of one loop, so that the
 * story has one order. Not a script around `run`: that needs a broker.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/log.h"
#include "flow/flow.h"
#include "model/conf.h"
#include "ops/demo_dead.h"
#include "ops/demo_feed.h"
#include "ops/demo_report.h"
#include "ops/demo_sink.h"
#include "ops/demo_site.h"
#include "ops/demo_table.h"
#include "ops/demo_truth.h"
#include "ops/kafka_topics.h"

#define DEFAULT_OUT "cdex-demo"
#define TICK_MS 20
#define LOOK_MS 200     /* standings are asked for so often */
#define PACE_MS 40      /* one event of the feed */
#define START_MS 45000  /* ready and all handshakes done */
#define SETTLE_MS 90000 /* from the first event to the last delivery */
#define STOP_MS 9000
#define OUTAGE_MS 5000
#define DOWN_PAYER 0   /* alder */
#define MIN_MEMBERS 20 /* so that no roster is empty */
#define PATH_BYTES 4096

struct demo {
    const struct cdx_args *args;
    sigset_t signals; /* that end it */
    FILE *err;        /* the caller's standard error; the gateway logs to a file */
    struct cdx_demo_table table;
    char *root, *out, *config; /* owned, as all below */
    struct cdx_demo_feed *feed;
    struct cdx_demo_truth truth;
    struct cdx_demo_sink *sink;
    struct cdx_demo_feeder *feeder;
    struct cdx_conf *conf;
    struct cdx_bus *bus;
    struct cdx_flow *flow;
    /* the story */
    int64_t start_ms, looked_ms;          /* monotonic, as all below */
    int64_t down_ms, up_ms, caught_up_ms; /* 0: not yet */
    size_t sent;                          /* events of the feed */
    size_t poison_at;                     /* it goes after so many */
    bool poisoned;
    struct cdx_demo_report report;
    char why[512];
};

static int64_t now_ms(void)
{
    return cdx_mono_ms(&cdx_clock_system);
}

/* Waits for a tick, or for whoever wants to end the demo. False: it shall end. */
static bool tick(struct demo *d)
{
    const struct timespec t = {0, TICK_MS * 1000000L};

    if (sigtimedwait(&d->signals, NULL, &t) < 0)
        return true;
    snprintf(d->why, sizeof d->why, "interrupted");
    sigprocmask(SIG_UNBLOCK, &d->signals, NULL); /* a second signal ends at once */
    return false;
}

/* Before any thread: they inherit it. */
static void catch_signals(struct demo *d)
{
    sigemptyset(&d->signals);
    sigaddset(&d->signals, SIGINT);
    sigaddset(&d->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &d->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* -- starting ----------------------------------------------------------------------------------------------------- */

/* The sample lies beside the sources, or where it was installed. */
static bool load_feed(struct demo *d, struct cdx_err *err)
{
    static const char *const places[] = {"tests/demo/feed.ndjson", "demo/feed.ndjson"};
    char path[PATH_BYTES];

    for (size_t i = 0; d->args->data == NULL && i < CDX_COUNT(places); i++) {
        snprintf(path, sizeof path, "%s/%s", d->root, places[i]);
        if (access(path, R_OK) == 0)
            break;
    }
    if (d->args->data != NULL)
        snprintf(path, sizeof path, "%s/feed.ndjson", d->args->data);
    d->feed = cdx_demo_feed_load(path, err);
    if (d->feed == NULL)
        return false;
    d->poison_at = d->feed->events_n * 3 / 5;
    while (d->poison_at < d->feed->events_n && d->feed->events[d->poison_at].text == NULL)
        d->poison_at++;
    if (d->feed->members_n >= MIN_MEMBERS && d->poison_at < d->feed->events_n)
        return true;
    cdx_fail(err, CDX_CONFIG, "%s: the demo needs resources of at least %d patients", path,
             MIN_MEMBERS);
    return false;
}

static bool open_sink(struct demo *d, const char *urls[CDX_DEMO_PAYERS], struct cdx_err *err)
{
    const char *names[CDX_DEMO_PAYERS];

    for (size_t i = 0; i < CDX_DEMO_PAYERS; i++)
        names[i] = cdx_demo_payers[i].name;
    d->sink = cdx_demo_sink_create(d->out, names, CDX_DEMO_PAYERS, err);
    for (size_t i = 0; d->sink != NULL && i < CDX_DEMO_PAYERS; i++)
        urls[i] = cdx_demo_sink_url(d->sink, i);
    return d->sink != NULL;
}

static bool prepare(struct demo *d, struct cdx_err *err)
{
    const char *urls[CDX_DEMO_PAYERS];

    d->root = cdx_ops_root(d->args);
    if (d->root == NULL) {
        cdx_fail(err, CDX_CONFIG,
                 "topics/ was not found; run it from the project's folder, or give --root");
        return false;
    }
    if (!load_feed(d, err) || cdx_demo_truth_init(&d->truth, d->feed, d->root, err) != CDX_OK)
        return false;
    d->out = cdx_demo_site_open(d->args->out != NULL ? d->args->out : DEFAULT_OUT, err);
    if (d->out == NULL || !open_sink(d, urls, err))
        return false;
    d->config = cdx_demo_site_write(d->out, d->root, d->feed, urls, err);
    return d->config != NULL;
}

/* What the gateway logs goes to a file, so that the table stays whole; d->err remains the caller's. */
static bool redirect_log(struct demo *d, struct cdx_err *err)
{
    char path[PATH_BYTES];
    int fd;

    snprintf(path, sizeof path, "%s/gateway.log", d->out);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        cdx_fail(err, CDX_CONFIG, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    cdx_log_setup(d->args->verbose ? CDX_DEBUG : CDX_INFO, d->args->log_json);
    return err->code == CDX_OK;
}

static void topic_made(void *arg, const struct cdx_topic_spec *spec, enum cdx_topic_state state,
                       const char *text)
{
    (void)arg;
    cdx_log(CDX_DEBUG, "demo.topic", text, CDX_KV("topic", spec->name), CDX_KN("state", state));
}

static bool make_topics(struct demo *d, struct cdx_err *err)
{
    const struct cdx_topic_spec source = {
        .name = CDX_DEMO_SOURCE, .partitions = CDX_DEMO_SOURCE_PARTITIONS, .replication = 1};
    struct cdx_kafka_topics *ours = cdx_kafka_topics_load(d->root, d->conf, err);
    bool ok =
        ours != NULL &&
        cdx_bus_topics(d->bus, ours->specs, ours->specs_n, true, topic_made, NULL, err) == CDX_OK &&
        cdx_bus_topics(d->bus, &source, 1, true, topic_made, NULL, err) == CDX_OK;

    cdx_kafka_topics_free(ours);
    return ok;
}

static void say_mistake(void *arg, const char *text)
{
    fprintf((FILE *)arg, "%s\n", text);
}

static bool start_gateway(struct demo *d, struct cdx_err *err)
{
    d->conf = cdx_conf_load(d->config, say_mistake, d->err, err);
    if (d->conf == NULL)
        return false;
    d->bus = cdx_bus_create((const struct cdx_bus_property *)d->conf->kafka, d->conf->kafka_n,
                            d->conf->prefix, d->conf->instance, d->conf->embedded, err);
    if (d->bus == NULL || !make_topics(d, err))
        return false;
    d->feeder = cdx_demo_feeder_create(cdx_bus_bootstrap(d->bus), err);
    if (d->feeder == NULL)
        return false;
    d->flow = cdx_flow_create(d->conf, d->bus, &cdx_clock_system, err);
    return d->flow != NULL && cdx_flow_start(d->flow, err) == CDX_OK;
}

/* -- looking ------------------------------------------------------------------------------------------------------ */

static void see_standing(struct cdx_demo_row *row, const struct cdx_standing *st)
{
    int64_t wall = cdx_wall_ms(&cdx_clock_system);
    bool live = strcmp(st->feed, "live") == 0;

    snprintf(row->state, sizeof row->state, "%s%s%s", st->status, live ? "" : ", ",
             live ? "" : st->feed);
    row->lag_events = st->counted - st->delivered;
    row->lag_ms =
        row->lag_events > 0 && st->head_ms > 0 && wall > st->head_ms ? wall - st->head_ms : 0;
    row->retries = st->retries;
}

/* Asks the gateway where everybody stands; a gateway that does not answer in time leaves the rows as they were. */
static void look(struct demo *d)
{
    struct cdx_standing *st = NULL;
    struct cdx_demo_seen seen;
    size_t n = 0;

    if (cdx_flow_standings(d->flow, &st, &n, NULL) != CDX_OK)
        n = 0;
    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++) {
        struct cdx_demo_row *row = &d->report.rows[p];
        for (size_t i = 0; i < n; i++)
            if (strcmp(st[i].id, row->name) == 0)
                see_standing(row, &st[i]);
        cdx_demo_sink_seen(d->sink, p, &seen);
        row->delivered = seen.delivered;
        row->down = p == DOWN_PAYER && d->down_ms != 0 && d->up_ms == 0;
    }
    free(st);
    d->looked_ms = now_ms();
}

/* All counters of one family. */
static int64_t family(const char *name)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < CDX_COUNTERS; i++)
        if (strcmp(cdx_counter_rows[i].name, name) == 0)
            sum += cdx_counted((enum cdx_counter)i);
    return (int64_t)sum;
}

static void count(struct demo *d)
{
    struct cdx_demo_report *r = &d->report;

    r->elapsed_ms = now_ms() - d->start_ms;
    r->fed = (int64_t)d->sent + d->poisoned;
    r->poison = d->poisoned;
    r->events = (int64_t)cdx_counted(CDX_C_EVENTS);
    r->matched = (int64_t)cdx_counted(CDX_C_MATCHED);
    r->unmatched = family("cdex_events_unmatched_total");
    r->dead_letters = family("cdex_dlq_records_total");
}

static void show(struct demo *d, bool now)
{
    const struct cdx_demo_report *r = &d->report;
    const struct cdx_demo_feed_row feed = {
        r->elapsed_ms, r->fed,       (int64_t)d->feed->events_n + 1,
        r->matched,    r->unmatched, r->dead_letters};

    cdx_demo_table_show(&d->table, &feed, r->rows, CDX_DEMO_PAYERS, now);
}

/* One turn of any of the loops below. False: the gateway met what only an operator can mend, or somebody wants to end it. */
static bool turn(struct demo *d)
{
    if (now_ms() - d->looked_ms >= LOOK_MS)
        look(d);
    count(d);
    show(d, false);
    return tick(d) && !cdx_flow_failed(d->flow, d->why, sizeof d->why);
}

/* -- the story ---------------------------------------------------------------------------------------------------- */

static bool all_active(const struct demo *d)
{
    struct cdx_demo_seen seen;

    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++) {
        cdx_demo_sink_seen(d->sink, p, &seen);
        if (strncmp(d->report.rows[p].state, "active", 6) != 0 || seen.handshakes == 0)
            return false;
    }
    return true;
}

/* Groups joined, files applied, handshakes answered. */
static bool wait_active(struct demo *d)
{
    int64_t until = now_ms() + START_MS;
    char missing[160];

    while (!cdx_flow_ready(d->flow, missing, sizeof missing) || !all_active(d)) {
        if (!turn(d))
            return false;
        if (now_ms() > until) {
            snprintf(d->why, sizeof d->why,
                     "after %d s not every subscription is active (gateway: %s)", START_MS / 1000,
                     missing);
            return false;
        }
    }
    return true;
}

/* Sends what is due by now: an event every PACE_MS, and the poison record in its place. */
static bool feed(struct demo *d, int64_t begin_ms, struct cdx_err *err)
{
    enum cdx_code rc = CDX_OK;

    while (rc == CDX_OK && d->sent < d->feed->events_n &&
           (int64_t)d->sent * PACE_MS <= now_ms() - begin_ms) {
        rc = cdx_demo_feeder_send(d->feeder, &d->feed->events[d->sent], err);
        if (rc == CDX_OK && ++d->sent == d->poison_at) {
            rc = cdx_demo_feeder_poison(d->feeder, &d->feed->events[d->poison_at], err);
            d->poisoned = rc == CDX_OK;
            cdx_demo_table_say(
                &d->table,
                "A record that ends in the middle is sent: it can only be a dead letter.");
        }
    }
    return rc == CDX_OK;
}

/* Takes one endpoint down after a third of the feed, for OUTAGE_MS, and sees when it has caught up. */
static bool outage(struct demo *d, struct cdx_err *err)
{
    const struct cdx_demo_row *row = &d->report.rows[DOWN_PAYER];

    if (d->down_ms == 0 && d->sent >= d->feed->events_n / 3) {
        cdx_demo_sink_down(d->sink, DOWN_PAYER);
        d->down_ms = now_ms();
        cdx_demo_table_say(&d->table, "%s's endpoint goes down: connections are refused.",
                           row->name);
    } else if (d->down_ms != 0 && d->up_ms == 0 && now_ms() - d->down_ms >= OUTAGE_MS) {
        if (cdx_demo_sink_up(d->sink, DOWN_PAYER, err) != CDX_OK)
            return false;
        d->up_ms = now_ms();
        cdx_demo_table_say(&d->table,
                           "%s's endpoint is back; it is given what it missed, in order, at the "
                           "gateway's next try.",
                           row->name);
    } else if (d->up_ms != 0 && d->caught_up_ms == 0 && d->looked_ms > d->up_ms &&
               row->lag_events == 0) {
        d->caught_up_ms = now_ms();
        cdx_demo_table_say(&d->table, "%s has caught up.", row->name);
    }
    return true;
}

/* Is everything over: all sent, all read, nobody behind, everybody has what was due? */
static bool settled(struct demo *d)
{
    if (d->sent < d->feed->events_n || d->report.events < d->report.fed || d->caught_up_ms == 0)
        return false;
    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++)
        if (d->report.rows[p].lag_events != 0 ||
            d->report.rows[p].delivered < (int64_t)d->truth.due_n[p])
            return false;
    return true;
}

static bool play(struct demo *d, struct cdx_err *err)
{
    int64_t begin_ms = now_ms();

    cdx_demo_table_say(&d->table,
                       "All three are active. The hospital's feed begins: %zu changes of %zu "
                       "patients, %d a second.",
                       d->feed->events_n, d->feed->members_n, 1000 / PACE_MS);
    while (!settled(d)) {
        if (!feed(d, begin_ms, err) || !outage(d, err) || !turn(d))
            return false;
        if (now_ms() - begin_ms > SETTLE_MS) {
            snprintf(d->why, sizeof d->why, "not everything was delivered within %d s",
                     SETTLE_MS / 1000);
            return false;
        }
    }
    return true;
}

/* -- the end ------------------------------------------------------------------------------------------------------ */

static void look_at_dead_letters(struct demo *d, struct cdx_err *err)
{
    const char *text = d->feed->events[d->poison_at].text;
    char dir[PATH_BYTES];

    snprintf(dir, sizeof dir, "%s/dead-letters", d->out);
    if (cdx_demo_dead_letters(d->bus, dir, cdx_text(text, strlen(text) / 2),
                              &d->report.dead_letters_kept, err) != CDX_OK)
        cdx_log(CDX_WARN, "demo.dead_letters", err->text, CDX_KV("folder", dir));
}

static void judge(struct demo *d, struct cdx_err *err)
{
    struct cdx_demo_report *r = &d->report;
    const struct cdx_demo_arrival *arrivals;
    size_t n;

    r->due_matched = (int64_t)d->truth.matched;
    r->due_unmatched = (int64_t)d->truth.unmatched;
    r->down = cdx_demo_payers[DOWN_PAYER].name;
    r->outage_ms = d->up_ms != 0 ? d->up_ms - d->down_ms : -1;
    r->caught_up_ms = d->caught_up_ms != 0 ? d->caught_up_ms - d->up_ms : -1;
    r->feed_failed = (int64_t)cdx_demo_feeder_failed(d->feeder);
    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++)
        if (cdx_demo_truth_judge(&d->truth, d->feed, d->sink, p, &r->verdicts[p], err) != CDX_OK)
            r->verdicts[p].expected = -1; /* never ok */
    arrivals = cdx_demo_sink_arrivals(d->sink, DOWN_PAYER, &n);
    r->sample = n > 0 ? arrivals[0].file : NULL;
    r->out = d->out;
    r->config = d->config;
    r->why = d->why;
}

static int tell(struct demo *d)
{
    if (d->args->json)
        cdx_demo_report_json(&d->report, stdout);
    else
        cdx_demo_report_text(&d->report, &d->table);
    return cdx_demo_report_ok(&d->report) ? CDX_EXIT_OK : CDX_EXIT_FINDING;
}

static void fini(struct demo *d)
{
    cdx_demo_feeder_destroy(d->feeder);
    cdx_flow_destroy(d->flow);
    cdx_bus_destroy(d->bus);
    cdx_conf_free(d->conf);
    cdx_demo_sink_destroy(d->sink);
    cdx_demo_truth_fini(&d->truth);
    cdx_demo_feed_free(d->feed);
    free(d->root);
    free(d->out);
    free(d->config);
    if (d->err != NULL)
        fclose(d->err);
}

/* From the gateway's start to the summary. */
static int perform(struct demo *d)
{
    struct cdx_err err = {0}, later = {0};
    bool ok = wait_active(d) && play(d, &err);

    if (!ok && d->why[0] == '\0')
        snprintf(d->why, sizeof d->why, "%s", err.text);
    look(d);
    count(d);
    show(d, true);
    look_at_dead_letters(d, &later);
    if (!cdx_flow_stop(d->flow, STOP_MS)) {
        fprintf(
            d->err,
            "cdex-push demo: a thread of the gateway did not end within %d s; see %s/gateway.log\n",
            STOP_MS / 1000, d->out);
        _exit(CDX_EXIT_FINDING);
    }
    judge(d, &later);
    return tell(d);
}

int cdx_ops_demo(const struct cdx_args *args)
{
    struct demo d = {.args = args, .start_ms = now_ms()};
    struct cdx_err err = {0};
    int rc = CDX_EXIT_FINDING, kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    catch_signals(&d);
    d.err = kept >= 0 ? fdopen(kept, "w") : NULL;
    if (d.err == NULL)
        return CDX_EXIT_USE;
    cdx_demo_table_init(&d.table, args->json ? NULL : stdout);
    if (!prepare(&d, &err)) {
        fprintf(d.err, "cdex-push demo: %s\n", err.text);
        fini(&d);
        return CDX_EXIT_USE;
    }
    for (size_t p = 0; p < CDX_DEMO_PAYERS; p++)
        d.report.rows[p] = (struct cdx_demo_row){.name = cdx_demo_payers[p].name,
                                                 .level = cdx_demo_payers[p].level,
                                                 .state = "waiting",
                                                 .expected = (int64_t)d.truth.due_n[p]};
    cdx_demo_table_say(&d.table,
                       "cdex-push demo: a hospital's feed to three payers, with Kafka inside this "
                       "process (in memory, for trial only).\n"
                       "Configuration, subscriptions, rosters and all that arrives: %s",
                       d.out);
    if (!redirect_log(&d, &err) || !start_gateway(&d, &err))
        fprintf(d.err, "cdex-push demo: %s\n", err.text);
    else
        rc = perform(&d);
    fini(&d);
    return rc;
}
