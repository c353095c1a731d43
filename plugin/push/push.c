/*
 * push/push.c -- deliver notifications: libcurl's multi handle on an epoll of our own.
 *
 * In:    deliveries, one POST each.
 * Out:   a verdict for each, by the callback, never from inside submit.
 * Owns:  endpoints (by URL and headers), requests in flight, and the deliveries that they carry.
 *
 * The hard thing is callbacks that call back: `done` may submit, release or cancel. So libcurl is never inside one of
 * its own calls when `done` runs, a finished request is off every list before it, and its endpoint is pinned meanwhile.
 * Not curl_multi_poll: it builds its set anew at every wait, and the caller could not wait for anything else.
 */
#include "push/push.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/digest.h"
#include "core/map.h"
#include "model/delivery.h"
#include "model/subscription.h"
#include "model/verdict.h"
#include "push/endpoint.h"
#include "push/outcome.h"
#include "push/request.h"

#define MAX_EVENTS 64
#define MAX_TIMEOUT_S 120   /* delivery.md 8 */
#define MAX_IDLE_REQUESTS 8 /* handles kept by one endpoint */

/* delivery.md 4 */
static const int64_t default_schedule_ms[] = {
    1000, 2000, 5000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000,
};

struct cdx_pusher {
    struct cdx_push_conf conf; /* endpoints and schedule borrowed; zeros replaced by defaults */
    struct cdx_hold_conf hold;
    const struct cdx_guard *guard; /* borrowed */
    const struct cdx_clock *clock; /* borrowed */
    cdx_push_done *done;
    void *arg;
    CURLM *multi;               /* owned */
    int epoll;                  /* owned */
    int64_t timer_ms;           /* mono, when libcurl wants to be called; -1: not */
    struct cdx_map endpoints;   /* by key; owned */
    struct cdx_request *flying; /* owned list of requests in flight */
    struct cdx_load load;
    bool short_of_memory; /* libcurl said so; a request may be lost to it */
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct cdx_pusher *p = arg;
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(p->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
        if (epoll_ctl(p->epoll, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
            return -1;
    }
    curl_multi_assign(p->multi, fd, p);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct cdx_pusher *p = arg;

    (void)multi;
    p->timer_ms = timeout_ms < 0 ? -1 : cdx_mono_ms(p->clock) + timeout_ms;
    return 0;
}

static void defaults(struct cdx_push_conf *conf)
{
    if (conf->timeout_ms <= 0)
        conf->timeout_ms = 30000;
    if (conf->connect_timeout_ms <= 0)
        conf->connect_timeout_ms = 5000;
    if (conf->max_in_flight <= 0)
        conf->max_in_flight = 1024;
    if (conf->max_connections <= 0)
        conf->max_connections = 2048;
    if (conf->error_after_ms <= 0)
        conf->error_after_ms = 60000;
    if (conf->off_after_ms <= 0)
        conf->off_after_ms = 72 * INT64_C(3600000);
    if (conf->schedule_n == 0) {
        conf->schedule_ms = default_schedule_ms;
        conf->schedule_n = CDX_COUNT(default_schedule_ms);
    }
}

/* Files are read by libcurl at each new connection; one that is missing is better told at start. */
static bool files_readable(const struct cdx_push_conf *conf, struct cdx_err *err)
{
    for (size_t i = 0; i < conf->endpoints_n; i++) {
        const struct cdx_endpoint_conf *e = &conf->endpoints[i];
        const char *files[] = {e->ca_file, e->cert_file, e->key_file};

        for (size_t k = 0; k < CDX_COUNT(files); k++)
            if (files[k] != NULL && access(files[k], R_OK) != 0) {
                cdx_fail(err, CDX_CONFIG, "endpoints[%zu]: %s cannot be read; give a PEM file", i,
                         files[k]);
                return false;
            }
    }
    return true;
}

static bool set_up(struct cdx_pusher *p)
{
    return curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p) == CURLM_OK &&
           curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p) == CURLM_OK &&
           curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)p->conf.max_connections) ==
               CURLM_OK &&
           curl_multi_setopt(p->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                             (long)p->conf.max_connections) == CURLM_OK;
}

struct cdx_pusher *cdx_push_create(const struct cdx_push_conf *conf, const struct cdx_guard *guard,
                                   const struct cdx_clock *clock, cdx_push_done *done, void *arg,
                                   struct cdx_err *err)
{
    struct cdx_pusher *p;

    if (!files_readable(conf, err))
        return NULL;
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        cdx_fail(err, CDX_NOMEM, "push: pusher");
        return NULL;
    }
    p->conf = *conf;
    defaults(&p->conf);
    p->hold = (struct cdx_hold_conf){p->conf.schedule_ms, p->conf.schedule_n,
                                     p->conf.error_after_ms, p->conf.off_after_ms};
    p->guard = guard;
    p->clock = clock;
    p->done = done;
    p->arg = arg;
    p->timer_ms = -1;
    p->load.max = p->conf.max_in_flight;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        p->multi = curl_multi_init();
    if (p->epoll < 0 || p->multi == NULL || !set_up(p)) {
        cdx_fail(err, CDX_NOMEM, "push: HTTP client");
        cdx_push_destroy(p);
        return NULL;
    }
    return p;
}

static void fly(struct cdx_request **list, struct cdx_request *r)
{
    r->prev = NULL;
    r->next = *list;
    if (r->next != NULL)
        r->next->prev = r;
    *list = r;
}

static void land(struct cdx_request **list, struct cdx_request *r)
{
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        *list = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
}

void cdx_push_destroy(struct cdx_pusher *p)
{
    struct cdx_endpoint *ep;

    if (p == NULL)
        return;
    while (p->flying != NULL) {
        struct cdx_request *r = p->flying;

        land(&p->flying, r);
        curl_multi_remove_handle(p->multi, r->easy);
        cdx_delivery_free(&r->del);
        cdx_request_destroy(r);
    }
    for (size_t i = 0; (ep = cdx_map_next(&p->endpoints, &i)) != NULL;)
        cdx_endpoint_destroy(ep);
    cdx_map_fini(&p->endpoints);
    if (p->multi != NULL)
        curl_multi_cleanup(p->multi);
    if (p->epoll >= 0)
        close(p->epoll);
    free(p);
}

struct cdx_endpoint *cdx_push_endpoint(struct cdx_pusher *p, const struct cdx_sub *sub,
                                       struct cdx_err *err)
{
    char *key = cdx_endpoint_key(sub);
    struct cdx_endpoint *ep = key != NULL ? cdx_map_get(&p->endpoints, cdx_text_z(key)) : NULL;

    if (ep != NULL) {
        free(key);
        ep->uses++;
        return ep;
    }
    if (key == NULL) {
        cdx_fail(err, CDX_NOMEM, "push: endpoint");
        return NULL;
    }
    ep = cdx_endpoint_create(key, sub, &p->conf, &p->hold, &p->load, p->guard, p->clock, err);
    if (ep == NULL)
        return NULL;
    if (!cdx_map_put(&p->endpoints, cdx_text_z(ep->key), ep)) {
        cdx_fail(err, CDX_NOMEM, "push: endpoint");
        cdx_endpoint_destroy(ep);
        return NULL;
    }
    ep->uses = 1;
    return ep;
}

static void drop_if_unused(struct cdx_pusher *p, struct cdx_endpoint *ep)
{
    if (ep->uses > 0 || ep->in_flight > 0)
        return;
    (void)cdx_map_take(&p->endpoints, cdx_text_z(ep->key));
    cdx_endpoint_destroy(ep);
}

void cdx_push_endpoint_release(struct cdx_pusher *p, struct cdx_endpoint *ep)
{
    if (ep == NULL)
        return;
    ep->uses--;
    drop_if_unused(p, ep);
}

static struct cdx_request *request_take(struct cdx_pusher *p, struct cdx_endpoint *ep,
                                        struct cdx_err *err)
{
    struct cdx_request *r = ep->idle;

    if (r == NULL)
        return cdx_request_create(ep, p->conf.connect_timeout_ms, err);
    ep->idle = r->next;
    ep->idle_n--;
    return r;
}

static void request_give(struct cdx_request *r)
{
    struct cdx_endpoint *ep = r->ep;

    if (ep->idle_n >= MAX_IDLE_REQUESTS) {
        cdx_request_destroy(r);
        return;
    }
    r->next = ep->idle;
    ep->idle = r;
    ep->idle_n++;
}

static int64_t timeout_of(const struct cdx_pusher *p, const struct cdx_sub *sub)
{
    int32_t s = sub->timeout_s < MAX_TIMEOUT_S ? sub->timeout_s : MAX_TIMEOUT_S;

    return s > 0 ? s * INT64_C(1000) : p->conf.timeout_ms;
}

enum cdx_code cdx_push_submit(struct cdx_pusher *p, struct cdx_endpoint *ep,
                              struct cdx_delivery **del, struct cdx_err *err)
{
    struct cdx_request *r;

    if (ep->refusal.code != CDX_OK) {
        cdx_count(CDX_C_SSRF_BLOCKED, 1);
        return cdx_fail(err, CDX_CONFIG, "%s", ep->refusal.text);
    }
    if (!cdx_endpoint_ready(ep))
        return cdx_fail(err, CDX_FULL, "push: endpoint %s takes nothing now", ep->id);
    r = request_take(p, ep, err);
    if (r == NULL)
        return CDX_NOMEM;
    if (cdx_request_prepare(r, *del, timeout_of(p, (*del)->sub), ep->new_connection, err) !=
        CDX_OK) {
        request_give(r);
        return CDX_NOMEM;
    }
    if (curl_multi_add_handle(p->multi, r->easy) != CURLM_OK) {
        request_give(r);
        return cdx_fail(err, CDX_NOMEM, "push: request");
    }
    ep->new_connection = false;
    r->started_ms = cdx_mono_ms(p->clock);
    r->ticket = cdx_endpoint_started(ep);
    r->del = *del;
    *del = NULL;
    fly(&p->flying, r);
    p->load.in_flight++;
    return CDX_OK;
}

/* Hands the verdict over. `r` is off every list when `done` runs, and its endpoint cannot go. */
static void conclude(struct cdx_pusher *p, struct cdx_request *r, const struct cdx_verdict *v)
{
    struct cdx_endpoint *ep = r->ep;
    struct cdx_delivery *del = r->del;

    r->del = NULL;
    request_give(r);
    p->load.in_flight--;
    ep->uses++;
    p->done(p->arg, &del, v);
    cdx_delivery_free(&del);
    cdx_push_endpoint_release(p, ep);
}

static void observe(const struct cdx_verdict *v, bool begun)
{
    if (v->outcome == CDX_CANCELLED)
        return;
    if (begun)
        cdx_count(v->reused ? CDX_C_CONN_REUSED : CDX_C_CONN_NEW, 1);
    cdx_observe_ms(CDX_H_DELIVERY, v->duration_ms);
}

/* The request has left the multi handle and the list; say what it came to. */
static void finish(struct cdx_pusher *p, struct cdx_request *r, enum cdx_transport transport)
{
    struct cdx_exchange x = {.transport = transport,
                             .status = r->status,
                             .duplicate_is_success = p->conf.duplicate_is_success};
    const struct cdx_outcome_row *row = cdx_outcome_of(&x);
    struct cdx_verdict v = {
        .outcome = row->outcome,
        .http_status = r->status,
        .error_code = row->error_code,
        .detail = row->detail,
        .retry_after_ms = r->status >= 300 ? r->retry_after_ms : -1,
        .duration_ms = cdx_mono_ms(p->clock) - r->started_ms,
        .reused = cdx_request_reused(r),
    };
    uint64_t key = cdx_hash(r->del->webhook_id, strlen(r->del->webhook_id), 0);

    observe(&v, r->begun);
    cdx_endpoint_ended(r->ep, r->ticket, row, &v, key, cdx_request_rtt_us(r));
    conclude(p, r, &v);
}

/* A reused connection may have been closed by the other side while it lay idle: once more, on a fresh one. */
static bool again(struct cdx_pusher *p, struct cdx_request *r, enum cdx_transport transport)
{
    if (r->retried || !cdx_request_died_idle(r, transport))
        return false;
    r->retried = true;
    cdx_request_rewind(r, true);
    return curl_multi_add_handle(p->multi, r->easy) == CURLM_OK;
}

static void collect(struct cdx_pusher *p)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(p->multi, &left)) != NULL) {
        CURL *easy = msg->easy_handle;
        CURLcode code = msg->data.result; /* msg dies with the next call */
        struct cdx_request *r = NULL;
        enum cdx_transport transport;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r);
        transport = cdx_request_transport(r, code);
        curl_multi_remove_handle(p->multi, easy);
        if (again(p, r, transport))
            continue;
        land(&p->flying, r);
        finish(p, r, transport);
    }
}

int cdx_push_fd(const struct cdx_pusher *p)
{
    return p->epoll;
}

int64_t cdx_push_timeout_ms(const struct cdx_pusher *p)
{
    int64_t left;

    if (p->timer_ms < 0)
        return -1;
    left = p->timer_ms - cdx_mono_ms(p->clock);
    return left > 0 ? left : 0;
}

/* Ends requests without waiting for libcurl. Chosen first, told after: `done` may submit, and that is not ended too. */
static void end_flying(struct cdx_pusher *p, enum cdx_transport transport,
                       bool (*which)(void *arg, const struct cdx_delivery *del), void *arg)
{
    struct cdx_request *list = NULL, *next;

    for (struct cdx_request *r = p->flying; r != NULL; r = next) {
        next = r->next;
        if (which != NULL && !which(arg, r->del))
            continue;
        land(&p->flying, r);
        curl_multi_remove_handle(p->multi, r->easy);
        fly(&list, r);
    }
    while (list != NULL) {
        struct cdx_request *r = list;

        land(&list, r);
        finish(p, r, transport);
    }
}

/* Without memory libcurl may forget a request, and does not say which: then all are ended, rather than one never. */
static void act(struct cdx_pusher *p, curl_socket_t fd, int mask)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(p->multi, fd, mask, &running);

    p->short_of_memory = p->short_of_memory || (rc != CURLM_OK && rc != CURLM_BAD_SOCKET);
}

void cdx_push_run(struct cdx_pusher *p)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(p->epoll, events, MAX_EVENTS, 0);

    for (int i = 0; i < n; i++) {
        int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

        act(p, events[i].data.fd, mask);
    }
    if (cdx_push_timeout_ms(p) == 0) {
        p->timer_ms = -1; /* libcurl sets the next one from inside */
        act(p, CURL_SOCKET_TIMEOUT, 0);
    }
    collect(p);
    if (p->short_of_memory) {
        p->short_of_memory = false;
        end_flying(p, CDX_T_LOCAL, NULL, NULL);
    }
}

int cdx_push_in_flight(const struct cdx_pusher *p)
{
    return p->load.in_flight;
}

void cdx_push_cancel(struct cdx_pusher *p, bool (*which)(void *arg, const struct cdx_delivery *del),
                     void *arg)
{
    end_flying(p, CDX_T_CANCELLED, which, arg);
}

const struct cdx_endpoint *cdx_push_next(const struct cdx_pusher *p, size_t *i)
{
    return cdx_map_next(&p->endpoints, i);
}
