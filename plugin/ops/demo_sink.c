/*
 * ops/demo_sink.c -- what really arrived at a payer?
 *
 * In:    POSTs of notification Bundles.
 * Out:   a file each, and a list of event numbers with the resource that each named; 200 once both are kept.
 * Owns:  the listeners, their threads, the list.
 *
 * It counts for itself and believes nothing that the gateway counts. The hard thing is to be down as a real endpoint is:
 * connections refused, then the same port again. A second socket stays bound to the port without listening, so that nobody
 * else can be given it meanwhile. Not an answer of 503: a payer that is down does not answer.
 */
#include "ops/demo_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/limits.h"

#define IDLE_S 60u
#define PATH_BYTES 4096
#define URL_BYTES 128

/* One Bundle with events. */
struct notification {
    int64_t first, last;
    char *id;
};

struct endpoint {
    struct cdx_demo_sink *sink;
    const char *name; /* borrowed */
    char url[URL_BYTES];
    uint16_t port;
    int holder;                /* bound to the port, never listens */
    struct MHD_Daemon *daemon; /* NULL: down */
    /* guarded by the sink's lock */
    struct cdx_demo_seen seen;
    struct cdx_demo_arrival *arrivals;
    size_t arrivals_n;
    struct notification *notifications;
    size_t notifications_n;
};

struct cdx_demo_sink {
    const char *dir;
    pthread_mutex_t lock; /* guards what has come; never held while anything is sent */
    struct endpoint *endpoints;
    size_t n;
};

/* -- one notification --------------------------------------------------------------------------------------------- */

static const json_t *entry0_parameters(const json_t *bundle)
{
    return json_object_get(
        json_object_get(json_array_get(json_object_get(bundle, "entry"), 0), "resource"),
        "parameter");
}

/* The parameter or part of that name; NULL: none. */
static const json_t *named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *found = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (found != NULL && strcmp(found, name) == 0)
            return json_array_get(list, i);
    }
    return NULL;
}

static bool is_code(const json_t *list, const char *name, const char *code)
{
    const char *found = json_string_value(json_object_get(named(list, name), "valueCode"));

    return found != NULL && strcmp(found, code) == 0;
}

/* Does the notification say that it is of this payer's subscription? */
static bool is_mine(const struct endpoint *e, const json_t *parameters)
{
    const char *reference = json_string_value(json_object_get(
        json_object_get(named(parameters, "subscription"), "valueReference"), "reference"));
    const char *slash = reference != NULL ? strrchr(reference, '/') : NULL;

    return slash != NULL && strcmp(slash + 1, e->name) == 0;
}

static bool seen_before(const struct endpoint *e, int64_t number)
{
    for (size_t i = 0; i < e->arrivals_n; i++)
        if (e->arrivals[i].number == number)
            return true;
    return false;
}

/* Event numbers are strings in R4 (backport 1.1.0 subscription-status-r4). 0: no number. */
static int64_t number_of(const json_t *parts)
{
    const char *text =
        json_string_value(json_object_get(named(parts, "event-number"), "valueString"));

    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static bool keep_event(struct endpoint *e, const json_t *parts, int64_t number, int64_t now)
{
    const char *focus = json_string_value(
        json_object_get(json_object_get(named(parts, "focus"), "valueReference"), "reference"));
    struct cdx_demo_arrival a = {.number = number, .at_ms = now, .repeat = seen_before(e, number)};
    struct cdx_demo_arrival *more = realloc(e->arrivals, (e->arrivals_n + 1) * sizeof *more);

    if (more == NULL)
        return false;
    e->arrivals = more;
    a.focus = focus != NULL ? strdup(focus) : NULL;
    e->arrivals[e->arrivals_n++] = a;
    e->seen.repeats += a.repeat;
    e->seen.delivered += !a.repeat;
    e->seen.out_of_order += !a.repeat && number < e->seen.highest;
    if (number > e->seen.highest)
        e->seen.highest = number;
    return true;
}

/* A repeat of the same numbers must have the same Bundle.id (design 4.3). */
static bool keep_notification(struct endpoint *e, int64_t first, int64_t last, const char *id)
{
    struct notification *more = realloc(e->notifications, (e->notifications_n + 1) * sizeof *more);

    if (more == NULL)
        return false;
    e->notifications = more;
    if (id == NULL)
        return false;
    for (size_t i = 0; i < e->notifications_n; i++)
        if (more[i].first == first && more[i].last == last)
            return strcmp(more[i].id, id) == 0;
    more[e->notifications_n] = (struct notification){first, last, strdup(id)};
    return more[e->notifications_n++].id != NULL;
}

static bool keep_events(struct endpoint *e, const json_t *bundle, const json_t *parameters,
                        int64_t *first, int64_t *last)
{
    int64_t now = cdx_wall_ms(&cdx_clock_system);

    *first = *last = 0;
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *p = json_array_get(parameters, i);
        const char *name = json_string_value(json_object_get(p, "name"));
        int64_t number;
        if (name == NULL || strcmp(name, "notification-event") != 0)
            continue;
        number = number_of(json_object_get(p, "part"));
        if (number <= 0 || !keep_event(e, json_object_get(p, "part"), number, now))
            return false;
        *first = *first == 0 ? number : *first;
        *last = number;
    }
    return *first > 0 &&
           keep_notification(e, *first, *last, json_string_value(json_object_get(bundle, "id")));
}

static bool write_body(const char *path, const struct cdx_buf *body)
{
    FILE *f = fopen(path, "w");
    bool ok = f != NULL && fwrite(body->p, 1, body->n, f) == body->n;

    return f != NULL && fclose(f) == 0 && ok;
}

/* Under the lock. False: the body was not what it should be; it is written under a name that says so. */
static bool keep(struct endpoint *e, const json_t *bundle, char *path, size_t path_n)
{
    const json_t *parameters = entry0_parameters(bundle);
    size_t before = e->arrivals_n;
    int64_t first, last;

    e->seen.notifications++;
    if (is_mine(e, parameters) && is_code(parameters, "type", "handshake")) {
        snprintf(path, path_n, "%s/%s/handshake-%" PRId64 ".json", e->sink->dir, e->name,
                 ++e->seen.handshakes);
        return true;
    }
    if (is_mine(e, parameters) && is_code(parameters, "type", "event-notification") &&
        keep_events(e, bundle, parameters, &first, &last)) {
        snprintf(path, path_n, "%s/%s/%04" PRId64 "-%04" PRId64 ".json", e->sink->dir, e->name,
                 first, last);
        for (size_t i = before; i < e->arrivals_n; i++)
            e->arrivals[i].file = strdup(path);
        return true;
    }
    snprintf(path, path_n, "%s/%s/broken-%" PRId64 ".json", e->sink->dir, e->name,
             ++e->seen.broken);
    return false;
}

static bool take(struct endpoint *e, const struct cdx_buf *body)
{
    json_auto_t *bundle = body->failed || body->n == 0
                              ? NULL
                              : json_loadb(body->p, body->n, JSON_REJECT_DUPLICATES, NULL);
    char path[PATH_BYTES];

    pthread_mutex_lock(&e->sink->lock);
    keep(e, bundle, path, sizeof path);
    pthread_mutex_unlock(&e->sink->lock);
    return write_body(path, body);
}

/* -- HTTP --------------------------------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued =
        response != NULL ? MHD_queue_response(connection, status, response) : MHD_NO;

    if (response != NULL)
        MHD_destroy_response(response);
    return queued;
}

/* Called at the headers (*request NULL), for each part of the body, and at its end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **request)
{
    struct endpoint *e = arg;
    struct cdx_buf *body = *request;

    (void)path;
    (void)version;
    if (body == NULL) {
        *request = body = calloc(1, sizeof *body);
        if (body != NULL)
            cdx_buf_init(body, CDX_MAX_BODY_BYTES);
        return body != NULL ? MHD_YES : MHD_NO;
    }
    if (*upload_n > 0) {
        cdx_buf_add(body, upload, *upload_n);
        *upload_n = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED);
    return answer(connection, take(e, body) ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
    struct cdx_buf *body = *request;

    (void)arg;
    (void)connection;
    (void)why;
    if (body != NULL)
        cdx_buf_fini(body);
    free(body);
    *request = NULL;
}

/* A socket on 127.0.0.1 and this port (0: any free one), not yet listening; -1. */
static int bound(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static enum cdx_code fail_listen(const struct endpoint *e, struct cdx_err *err)
{
    return cdx_fail(err, CDX_CONFIG, "demo: %s's endpoint cannot listen on 127.0.0.1: %s", e->name,
                    strerror(errno));
}

static enum cdx_code up(struct endpoint *e, struct cdx_err *err)
{
    int fd = bound(e->port);

    if (fd < 0 || listen(fd, SOMAXCONN) != 0) {
        fail_listen(e, err);
        if (fd >= 0)
            close(fd);
        return CDX_CONFIG;
    }
    e->daemon =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                         e, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (e->daemon == NULL) {
        close(fd);
        return fail_listen(e, err);
    }
    return CDX_OK;
}

static void down(struct endpoint *e)
{
    if (e->daemon != NULL)
        MHD_stop_daemon(e->daemon); /* closes its socket and every connection */
    e->daemon = NULL;
}

/* -- the object --------------------------------------------------------------------------------------------------- */

static enum cdx_code open_endpoint(struct endpoint *e, struct cdx_err *err)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;

    e->holder = bound(0);
    if (e->holder < 0 || getsockname(e->holder, (struct sockaddr *)&at, &n) != 0)
        return fail_listen(e, err);
    e->port = ntohs(at.sin_port);
    snprintf(e->url, sizeof e->url, "http://127.0.0.1:%u/%s", e->port, e->name);
    return up(e, err);
}

struct cdx_demo_sink *cdx_demo_sink_create(const char *dir, const char *const *names, size_t n,
                                           struct cdx_err *err)
{
    struct cdx_demo_sink *sink = calloc(1, sizeof *sink);

    if (sink == NULL || (sink->endpoints = calloc(n, sizeof *sink->endpoints)) == NULL) {
        free(sink);
        cdx_fail(err, CDX_NOMEM, "demo: endpoints");
        return NULL;
    }
    pthread_mutex_init(&sink->lock, NULL);
    sink->dir = dir;
    for (; sink->n < n; sink->n++) {
        struct endpoint *e = &sink->endpoints[sink->n];
        *e = (struct endpoint){.sink = sink, .name = names[sink->n], .holder = -1};
        if (open_endpoint(e, err) != CDX_OK) {
            sink->n++;
            cdx_demo_sink_destroy(sink);
            return NULL;
        }
    }
    return sink;
}

void cdx_demo_sink_destroy(struct cdx_demo_sink *sink)
{
    if (sink == NULL)
        return;
    for (size_t i = 0; i < sink->n; i++) {
        struct endpoint *e = &sink->endpoints[i];
        down(e);
        if (e->holder >= 0)
            close(e->holder);
        for (size_t k = 0; k < e->arrivals_n; k++) {
            free(e->arrivals[k].focus);
            free(e->arrivals[k].file);
        }
        for (size_t k = 0; k < e->notifications_n; k++)
            free(e->notifications[k].id);
        free(e->arrivals);
        free(e->notifications);
    }
    pthread_mutex_destroy(&sink->lock);
    free(sink->endpoints);
    free(sink);
}

const char *cdx_demo_sink_url(const struct cdx_demo_sink *sink, size_t payer)
{
    return sink->endpoints[payer].url;
}

void cdx_demo_sink_down(struct cdx_demo_sink *sink, size_t payer)
{
    down(&sink->endpoints[payer]);
}

enum cdx_code cdx_demo_sink_up(struct cdx_demo_sink *sink, size_t payer, struct cdx_err *err)
{
    return sink->endpoints[payer].daemon != NULL ? CDX_OK : up(&sink->endpoints[payer], err);
}

void cdx_demo_sink_seen(struct cdx_demo_sink *sink, size_t payer, struct cdx_demo_seen *out)
{
    pthread_mutex_lock(&sink->lock);
    *out = sink->endpoints[payer].seen;
    pthread_mutex_unlock(&sink->lock);
}

const struct cdx_demo_arrival *cdx_demo_sink_arrivals(const struct cdx_demo_sink *sink,
                                                      size_t payer, size_t *n)
{
    *n = sink->endpoints[payer].arrivals_n;
    return sink->endpoints[payer].arrivals;
}
