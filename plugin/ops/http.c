/*
 * ops/http.c -- is this process alive, is it ready, what has it done?
 *
 * In:    GET and HEAD of a handful of paths.
 * Out:   short plain texts; what is in them comes from the handler's callbacks.
 * Owns:  the listening socket and libmicrohttpd's one thread.
 *
 * The hard thing is to fail with a sentence: libmicrohttpd tells no reason when it cannot bind, so we bind and hand it the
 * socket. Not on the engine's own loops: a probe has to be answered while one of them is stuck, that is what it asks.
 */
#include "ops/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"

#define CONNECTIONS 64u /* probes and two scrapers; what is more waits in the backlog */
#define TIMEOUT_S 10u   /* of an idle connection */
#define REQUEST_BYTES                                                                              \
    ((size_t)16 << 10)           /* of memory for one connection: request line, headers, answer */
#define METRICS_BYTES (8u << 20) /* a thousand subscriptions take 500 KB */
#define WHY_BYTES 256

struct cdx_ops_http {
    struct cdx_ops_handler handler; /* arg borrowed */
    struct MHD_Daemon *daemon;      /* owns the socket once it runs */
    int port;
};

typedef unsigned route_fn(const struct cdx_ops_http *http,
                          struct cdx_buf *out); /* writes a body, returns the status */

static unsigned answer_live(const struct cdx_ops_http *http, struct cdx_buf *out)
{
    bool live = http->handler.live(http->handler.arg);

    cdx_buf_add_z(out, live ? "alive\n" : "a thread has stopped turning\n");
    return live ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned answer_ready(const struct cdx_ops_http *http, struct cdx_buf *out)
{
    char why[WHY_BYTES] = "";
    bool ready = http->handler.ready(http->handler.arg, why, sizeof why);

    cdx_buf_printf(out, "%s\n", ready ? "ready" : why[0] != '\0' ? why : "not ready");
    return ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned answer_metrics(const struct cdx_ops_http *http, struct cdx_buf *out)
{
    http->handler.metrics(http->handler.arg, out);
    return MHD_HTTP_OK;
}

static route_fn answer_index;

static const struct {
    const char *path, *type, *help;
    route_fn *answer;
} routes[] = {
    {"/", "text/plain; charset=utf-8", "this page", answer_index},
    {"/livez", "text/plain; charset=utf-8", "200 while every thread turns", answer_live},
    {"/readyz", "text/plain; charset=utf-8", "200 when state is loaded and the groups are joined",
     answer_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "for Prometheus", answer_metrics},
};

static unsigned answer_index(const struct cdx_ops_http *http, struct cdx_buf *out)
{
    (void)http;
    cdx_buf_add_z(out, "cdex-push " CDX_VERSION "\n\n");
    for (size_t i = 0; i < CDX_COUNT(routes); i++)
        cdx_buf_printf(out, "%-9s %s\n", routes[i].path, routes[i].help);
    return MHD_HTTP_OK;
}

/* Takes the buffer's bytes. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, unsigned status,
                                   const char *type, struct cdx_buf *body)
{
    struct MHD_Response *response;
    enum MHD_Result sent;
    size_t n;
    char *bytes = cdx_buf_steal(body, &n);

    if (bytes == NULL)
        return MHD_NO; /* closes the connection: there was no memory for a body */
    response = MHD_create_response_from_buffer(n, bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) /* RFC 9110 15.5.6 */
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    sent = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *text)
{
    struct cdx_buf body;

    cdx_buf_init(&body, WHY_BYTES);
    cdx_buf_add_z(&body, text);
    return send_answer(connection, status, "text/plain; charset=utf-8", &body);
}

static enum MHD_Result send_route(const struct cdx_ops_http *http,
                                  struct MHD_Connection *connection, size_t route)
{
    struct cdx_buf body;
    unsigned status;

    cdx_buf_init(&body, METRICS_BYTES);
    status = routes[route].answer(http, &body);
    if (body.failed) {
        cdx_buf_fini(&body);
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "the answer is larger than its bound\n");
    }
    return send_answer(connection, status, routes[route].type, &body);
}

/* Called twice a request: at its headers (*seen NULL), then at its end; an answer at the first call would close the connection. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **seen)
{
    static char mark;

    (void)version;
    (void)upload;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    if (*seen == NULL) {
        *seen = &mark;
        return MHD_YES;
    }
    if (*upload_n != 0) { /* a GET's body is nobody's business */
        *upload_n = 0;
        return MHD_YES;
    }
    for (size_t i = 0; i < CDX_COUNT(routes); i++)
        if (strcmp(routes[i].path, path) == 0)
            return send_route(arg, connection, i);
    return send_text(connection, MHD_HTTP_NOT_FOUND, "no such page; / lists them\n");
}

/* -- the socket ---------------------------------------------------------------------------------------------------- */

static int listen_at(const struct addrinfo *at)
{
    int on = 1,
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        int why = errno;

        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* A listening socket on the first address of the name that works; -1 and `err`. */
static int listen_on(const char *host, int port, struct cdx_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16];
    int rc, fd = -1;

    snprintf(service, sizeof service, "%d", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        cdx_fail(err, CDX_CONFIG, "ops.listen: %s has no address: %s", host, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = listen_at(at);
    if (fd < 0)
        cdx_fail(err, CDX_CONFIG,
                 "ops.listen: cannot listen on %s port %d: %s; choose another address or end what "
                 "uses it",
                 host, port, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    in_port_t port;

    if (getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        return 0;
    port = at.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&at)->sin6_port
                                    : ((const struct sockaddr_in *)&at)->sin_port;
    return ntohs(port);
}

struct cdx_ops_http *cdx_ops_http_create(const char *host, int port,
                                         const struct cdx_ops_handler *handler, struct cdx_err *err)
{
    struct cdx_ops_http *http = calloc(1, sizeof *http);
    int fd;

    if (http == NULL) {
        cdx_fail(err, CDX_NOMEM, "ops: listener");
        return NULL;
    }
    http->handler = *handler;
    fd = listen_on(host, port, err);
    if (fd < 0) {
        free(http);
        return NULL;
    }
    http->port = port_of(fd);
    http->daemon =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                         http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_BYTES, MHD_OPTION_END);
    if (http->daemon == NULL) {
        cdx_fail(err, CDX_NOMEM, "ops: thread of the listener");
        close(fd);
        free(http);
        return NULL;
    }
    return http;
}

int cdx_ops_http_port(const struct cdx_ops_http *http)
{
    return http->port;
}

void cdx_ops_http_destroy(struct cdx_ops_http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon); /* closes the socket, joins the thread */
    free(http);
}
