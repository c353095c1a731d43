/* flow/flow.c -- starts the threads in the order in which they need each other, and ends them in the reverse. */
#include "flow/flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "flow/stage1.h"
#include "flow/stage2.h"
#include "flow/thread.h"
#include "flow/view.h"
#include "model/conf.h"

#define ALIVE_MS 5000

struct cdx_flow {
    const struct cdx_conf *conf;   /* borrowed */
    const struct cdx_clock *clock; /* borrowed */
    struct cdx_view *view;         /* owned, as all below */
    struct cdx_stage1 *stage1;     /* NULL: not our role */
    struct cdx_stage2 *stage2;
    int lock; /* of data_dir */
    pthread_t ender;
    atomic_bool ended;
};

/* One process a data folder: a second one with the same instance on this machine is refused before it can fence the first. */
static bool lock_data_dir(struct cdx_flow *flow, struct cdx_err *err)
{
    const struct cdx_conf *conf = flow->conf;
    char *path = NULL;

    if (mkdir(conf->data_dir, 0700) != 0 && errno != EEXIST) {
        cdx_fail(err, CDX_CONFIG, "data_dir %s: %s; create it or name another", conf->data_dir,
                 strerror(errno));
        return false;
    }
    if (asprintf(&path, "%s/lock.%s", conf->data_dir, conf->instance) < 0) {
        cdx_fail(err, CDX_NOMEM, "flow: data_dir");
        return false;
    }
    flow->lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (flow->lock < 0)
        cdx_fail(err, CDX_CONFIG, "%s: %s; data_dir must be writable", path, strerror(errno));
    else if (flock(flow->lock, LOCK_EX | LOCK_NB) != 0)
        cdx_fail(
            err, CDX_CONFIG,
            "another process runs with instance '%s' and data_dir %s; stop it, or give this one its own `instance` and `data_dir`",
            conf->instance, conf->data_dir);
    free(path);
    return err->code == CDX_OK;
}

struct cdx_flow *cdx_flow_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                 const struct cdx_clock *clock, struct cdx_err *err)
{
    struct cdx_flow *flow = calloc(1, sizeof *flow);

    if (flow == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow");
        return NULL;
    }
    flow->conf = conf;
    flow->clock = clock;
    flow->lock = -1;
    if (lock_data_dir(flow, err))
        flow->view = cdx_view_create(conf, bus, clock, err);
    if (flow->view != NULL && conf->role_match)
        flow->stage1 = cdx_stage1_create(conf, bus, flow->view, clock, err);
    if (flow->view != NULL && conf->role_push)
        flow->stage2 = cdx_stage2_create(conf, bus, flow->view, clock, err);
    if (flow->view != NULL && (flow->stage1 != NULL || !conf->role_match) &&
        (flow->stage2 != NULL || !conf->role_push))
        return flow;
    cdx_fail(err, CDX_NOMEM, "flow");
    cdx_flow_destroy(flow);
    return NULL;
}

enum cdx_code cdx_flow_start(struct cdx_flow *flow, struct cdx_err *err)
{
    enum cdx_code rc = cdx_view_start(flow->view, err);

    if (rc == CDX_OK && flow->stage2 != NULL)
        rc = cdx_stage2_start(flow->stage2, err);
    if (rc == CDX_OK && flow->stage1 != NULL)
        rc = cdx_stage1_start(flow->stage1, err);
    return rc;
}

void cdx_flow_close(struct cdx_flow *flow)
{
    if (flow->stage1 != NULL)
        cdx_stage1_close(flow->stage1);
    if (flow->stage2 != NULL)
        cdx_stage2_close(flow->stage2);
}

static void *end_all(void *arg)
{
    struct cdx_flow *flow = arg;

    if (flow->stage1 != NULL)
        cdx_stage1_join(flow->stage1);
    if (flow->stage2 != NULL)
        cdx_stage2_join(flow->stage2);
    cdx_view_close(flow->view); /* last: the others rest on it */
    cdx_view_join(flow->view);
    flow->ended = true;
    return NULL;
}

bool cdx_flow_stop(struct cdx_flow *flow, int64_t timeout_ms)
{
    struct timespec until;

    cdx_flow_close(flow);
    if (pthread_create(&flow->ender, NULL, end_all, flow) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    return pthread_timedjoin_np(flow->ender, NULL, &until) == 0 && flow->ended;
}

void cdx_flow_destroy(struct cdx_flow *flow)
{
    if (flow == NULL)
        return;
    cdx_stage1_destroy(flow->stage1);
    cdx_stage2_destroy(flow->stage2);
    cdx_view_destroy(flow->view);
    if (flow->lock >= 0)
        close(flow->lock);
    free(flow);
}

void cdx_flow_reload(struct cdx_flow *flow)
{
    cdx_view_reload(flow->view);
}

bool cdx_flow_live(const struct cdx_flow *flow)
{
    int64_t now = cdx_mono_ms(flow->clock);

    return now - cdx_view_beat_ms(flow->view) < ALIVE_MS &&
           (flow->stage1 == NULL || now - cdx_stage1_beat_ms(flow->stage1) < 10 * ALIVE_MS) &&
           (flow->stage2 == NULL || now - cdx_stage2_beat_ms(flow->stage2) < 10 * ALIVE_MS);
}

bool cdx_flow_ready(const struct cdx_flow *flow, char *why, size_t n)
{
    const char *missing = cdx_view_fresh_ms(flow->view) == INT64_MIN
                              ? "subscriptions and rosters are being read"
                          : flow->stage1 != NULL && !cdx_stage1_ready(flow->stage1)
                              ? "the source group has not given us an assignment yet"
                          : flow->stage2 != NULL && !cdx_stage2_ready(flow->stage2)
                              ? "the push group has not given us an assignment yet"
                              : NULL;

    snprintf(why, n, "%s", missing != NULL ? missing : "ready");
    return missing == NULL;
}

bool cdx_flow_failed(struct cdx_flow *flow, char *text, size_t n)
{
    const char *a = flow->stage1 != NULL ? cdx_stage1_failed(flow->stage1) : "";
    const char *b = flow->stage2 != NULL ? cdx_stage2_failed(flow->stage2) : "";

    snprintf(text, n, "%s", a[0] != '\0' ? a : b);
    return text[0] != '\0';
}

enum cdx_code cdx_flow_standings(struct cdx_flow *flow, struct cdx_standing **out, size_t *n,
                                 struct cdx_err *err)
{
    *out = NULL;
    *n = 0;
    return flow->stage2 != NULL ? cdx_stage2_standings(flow->stage2, out, n, err) : CDX_OK;
}
