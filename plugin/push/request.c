/*
 * push/request.c -- one easy handle, used again and again.
 *
 * In:    an endpoint once; then a delivery at a time.
 * Out:   a libcurl handle that is ready to be added, and what the response head said.
 * Owns:  the handle and the text of its own header lines.
 *
 * The hard thing is the cost per delivery: what does not change is set once, the header list is five nodes inside the
 * struct linked to the endpoint's list, and the body is lent, so a delivery allocates nothing here. libcurl never frees
 * or changes a header list. Every address is judged twice: when its socket is opened, so a name that resolves elsewhere
 * later is judged again, and before the request goes out, which covers reused connections. Not
 * CURLOPT_FAILONERROR: the status is read by the table in outcome.c.
 */
#include "push/request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/limits.h"
#include "model/delivery.h"
#include "model/subscription.h"
#include "net/guard.h"
#include "push/endpoint.h"
#include "push/push.h"

#define DNS_CACHE_S 60L
#define IDLE_CONNECTION_S 60L
#define CONNECTION_LIFE_S 600L
#define READ_BUFFER_BYTES 4096L /* responses are small; 1000 idle endpoints are not */
#define DEFAULT_TYPE "application/fhir+json"

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct cdx_request *r = arg;

    (void)purpose;
    if (cdx_guard_address(r->ep->guard, &address->addr, r->ep->tls, NULL) != CDX_OK) {
        r->blocked = true;
        cdx_count(CDX_C_SSRF_BLOCKED, 1);
        return CURL_SOCKET_BAD;
    }
    r->dialled = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Right before the request is written, on new and reused connections alike. */
static int on_begin(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct cdx_request *r = arg;
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;

    (void)local_ip;
    (void)local_port;
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
    }
    if (cdx_guard_address(r->ep->guard, (const struct sockaddr *)&address, r->ep->tls, NULL) ==
        CDX_OK) {
        r->begun = true;
        return CURL_PREREQFUNC_OK;
    }
    r->blocked = true;
    r->dialled = false;
    cdx_count(CDX_C_SSRF_BLOCKED, 1);
    return CURL_PREREQFUNC_ABORT;
}

/* "HTTP/1.1 200 OK" -> 200 */
static int status_of(struct cdx_text line)
{
    const char *blank = memchr(line.p, ' ', line.n);
    size_t at = blank != NULL ? (size_t)(blank - line.p) + 1 : line.n;
    int status = 0;

    for (size_t i = at; i < at + 3; i++) {
        if (i >= line.n || line.p[i] < '0' || line.p[i] > '9')
            return 0;
        status = status * 10 + (line.p[i] - '0');
    }
    return status;
}

static bool name_is(struct cdx_text line, const char *name)
{
    size_t n = strlen(name);

    return line.n > n && strncasecmp(line.p, name, n) == 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct cdx_request *r = arg;
    struct cdx_text line = cdx_text(p, size * n);

    r->head_bytes += line.n;
    if (r->head_bytes > CDX_MAX_RESPONSE_BYTES)
        return CURL_WRITEFUNC_ERROR;
    if (name_is(line, "HTTP/")) {
        r->head_status = status_of(line);
        r->retry_after_ms = -1;
    } else if (name_is(line, "Retry-After:")) {
        r->retry_after_ms =
            cdx_retry_after_ms(cdx_text(line.p + 12, line.n - 12), cdx_wall_ms(r->ep->clock));
    } else if (line.n <= 2 && r->head_status >= 200) {
        r->status = r->head_status; /* an interim 1xx head is followed by another */
    }
    return line.n;
}

/* The body is read and thrown away, so that the connection can be used again; beyond the cap it is closed. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct cdx_request *r = arg;

    (void)p;
    r->body_bytes += size * n;
    return r->body_bytes > CDX_MAX_RESPONSE_BYTES ? CURL_WRITEFUNC_ERROR : size * n;
}

/* What never changes for an endpoint: delivery.md 8. */
static bool set_up(struct cdx_request *r, int64_t connect_timeout_ms)
{
    CURL *easy = r->easy;
    const struct cdx_endpoint *ep = r->ep;
    bool ok = true;

#define SET(option, value) ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok
    SET(CURLOPT_URL, ep->url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, ep->tls ? "https" : "http");
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_USERAGENT, "cdex-push/" CDX_VERSION);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_timeout_ms);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
    SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    SET(CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
    SET(CURLOPT_BUFFERSIZE, READ_BUFFER_BYTES);
    SET(CURLOPT_HTTP_VERSION, ep->tls ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (ep->conf != NULL && ep->conf->ca_file != NULL) {
        SET(CURLOPT_CAINFO, ep->conf->ca_file);
        SET(CURLOPT_CAPATH, NULL); /* the private CA and no other */
    }
    if (ep->conf != NULL && ep->conf->cert_file != NULL) {
        SET(CURLOPT_SSLCERT, ep->conf->cert_file);
        SET(CURLOPT_SSLKEY, ep->conf->key_file != NULL ? ep->conf->key_file : ep->conf->cert_file);
    }
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, r);
    SET(CURLOPT_PREREQFUNCTION, on_begin);
    SET(CURLOPT_PREREQDATA, r);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, r);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, r);
    SET(CURLOPT_PRIVATE, r);
#undef SET
    return ok;
}

struct cdx_request *cdx_request_create(struct cdx_endpoint *ep, int64_t connect_timeout_ms,
                                       struct cdx_err *err)
{
    struct cdx_request *r = calloc(1, sizeof *r);

    if (r != NULL) {
        r->ep = ep;
        r->easy = curl_easy_init();
    }
    if (r == NULL || r->easy == NULL || !set_up(r, connect_timeout_ms)) {
        cdx_fail(err, CDX_NOMEM, "push: request handle");
        cdx_request_destroy(r);
        return NULL;
    }
    return r;
}

void cdx_request_destroy(struct cdx_request *r)
{
    if (r == NULL)
        return;
    curl_easy_cleanup(r->easy);
    free(r->type);
    free(r);
}

static bool header_value_ok(const char *value)
{
    if (value == NULL || *value == '\0')
        return false;
    for (; *value != '\0'; value++)
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            return false;
    return true;
}

/* The subscription's payload type as it stands (subscriptions.md T24), kept for the next delivery of the same type. */
static bool set_type(struct cdx_request *r, const char *payload)
{
    static const char name[] = "Content-Type: ";
    const char *type = header_value_ok(payload) ? payload : DEFAULT_TYPE;

    if (r->type != NULL && strcmp(r->type + sizeof name - 1, type) == 0)
        return true;
    free(r->type);
    if (asprintf(&r->type, "%s%s", name, type) < 0)
        r->type = NULL;
    return r->type != NULL;
}

static void set_lines(struct cdx_request *r, const struct cdx_delivery *del)
{
    int last = del->traceparent[0] != '\0' ? CDX_LINE_TRACE : CDX_LINE_KEY;

    snprintf(r->text[CDX_LINE_ID], CDX_LINE_BYTES, "webhook-id: %s", del->webhook_id);
    snprintf(r->text[CDX_LINE_TIME], CDX_LINE_BYTES, "webhook-timestamp: %lld",
             (long long)(cdx_wall_ms(r->ep->clock) / 1000));
    snprintf(r->text[CDX_LINE_KEY], CDX_LINE_BYTES, "Idempotency-Key: %s", del->webhook_id);
    snprintf(r->text[CDX_LINE_TRACE], CDX_LINE_BYTES, "traceparent: %s", del->traceparent);
    for (int i = 0; i <= last; i++) {
        r->lines[i].data = i == CDX_LINE_TYPE ? r->type : r->text[i];
        r->lines[i].next = i < last ? &r->lines[i + 1] : r->ep->headers;
    }
}

void cdx_request_rewind(struct cdx_request *r, bool fresh_connect)
{
    r->dialled = r->blocked = r->begun = false;
    r->head_status = r->status = 0;
    r->head_bytes = r->body_bytes = 0;
    r->retry_after_ms = -1;
    if (fresh_connect != r->fresh_connect)
        curl_easy_setopt(r->easy, CURLOPT_FRESH_CONNECT, fresh_connect ? 1L : 0L);
    r->fresh_connect = fresh_connect;
}

enum cdx_code cdx_request_prepare(struct cdx_request *r, const struct cdx_delivery *del,
                                  int64_t timeout_ms, bool fresh_connect, struct cdx_err *err)
{
    if (!set_type(r, del->sub->payload))
        return cdx_fail(err, CDX_NOMEM, "push: request headers");
    set_lines(r, del);
    r->retried = false;
    cdx_request_rewind(r, fresh_connect);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, &r->lines[0]);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, del->body != NULL ? del->body : "");
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)del->body_n);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    return CDX_OK;
}

bool cdx_request_reused(const struct cdx_request *r)
{
    long connects = 0;

    curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
    return r->begun && connects == 0;
}

bool cdx_request_died_idle(const struct cdx_request *r, enum cdx_transport transport)
{
    return transport == CDX_T_RESET && r->head_bytes == 0 && cdx_request_reused(r);
}

enum cdx_transport cdx_request_transport(const struct cdx_request *r, CURLcode code)
{
    return cdx_transport_of((int)code, r->begun, r->blocked && !r->dialled);
}

int64_t cdx_request_rtt_us(const struct cdx_request *r)
{
    curl_off_t begun = 0, first = 0;

    curl_easy_getinfo(r->easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
    curl_easy_getinfo(r->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    return first > begun ? first - begun : 0;
}
