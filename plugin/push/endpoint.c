/*
 * push/endpoint.c -- one URL with its headers.
 *
 * In:    a subscription at creation; then starts and ends of requests.
 * Out:   may it be asked, how it is doing, and the lines that every request of it carries.
 * Owns:  its texts, its static header lines, its idle requests. The hold (hold.c) and the limit (limit.c) live in it.
 *
 * The hard thing is what may be shared: subscriptions of one payer share URL and credentials, so the headers are part
 * of the key, and two payers behind one URL do not hold each other. The payload type is not: it is sent per request.
 * Not keyed by host: one path of a host may be gone while the others are well.
 */
#include "push/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/limits.h"
#include "core/log.h"
#include "model/subscription.h"
#include "model/verdict.h"
#include "net/guard.h"
#include "push/outcome.h"
#include "push/push.h"
#include "push/request.h"

#define MAX_IN_FLIGHT 64 /* delivery.md 5 */
#define MAX_KEY_BYTES (64u << 10)

/* delivery.md 9, subscriptions.md 1.15 [D], RFC 9110 7.6.1 */
static const char *const reserved[] = {
    "content-type",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "trailer",
    "expect",
};

bool cdx_endpoint_header_ok(const char *line)
{
    const char *colon = strchr(line, ':');
    size_t n = colon != NULL ? (size_t)(colon - line) : 0;

    if (n == 0)
        return false;
    for (const char *p = line; *p != '\0'; p++)
        if (*p == '\r' || *p == '\n' || (p < colon && ((unsigned char)*p <= ' ' || *p == ';')))
            return false;
    for (size_t i = 0; i < CDX_COUNT(reserved); i++)
        if (strlen(reserved[i]) == n && strncasecmp(reserved[i], line, n) == 0)
            return false;
    return true;
}

bool cdx_endpoint_prefix(const char *prefix, const char *url)
{
    size_t n = strlen(prefix);
    const char *host = strstr(prefix, "://");

    if (strncmp(prefix, url, n) != 0)
        return false;
    if (host == NULL || strchr(host + 3, '/') != NULL)
        return host != NULL;
    return strchr("/?:", url[n]) != NULL; /* the NUL too */
}

static const struct cdx_endpoint_conf *conf_of(const struct cdx_push_conf *conf, const char *url)
{
    const struct cdx_endpoint_conf *best = NULL;

    for (size_t i = 0; i < conf->endpoints_n; i++)
        if (cdx_endpoint_prefix(conf->endpoints[i].url, url) &&
            (best == NULL || strlen(conf->endpoints[i].url) > strlen(best->url)))
            best = &conf->endpoints[i];
    return best;
}

char *cdx_endpoint_key(const struct cdx_sub *sub)
{
    struct cdx_buf buf;
    char *key;
    size_t n;

    cdx_buf_init(&buf, MAX_KEY_BYTES + CDX_MAX_SUBSCRIPTION_BYTES);
    cdx_buf_add_z(&buf, sub->endpoint);
    for (size_t i = 0; i < sub->headers_n; i++) {
        cdx_buf_add_z(&buf, "\n");
        cdx_buf_add_z(&buf, sub->headers[i]);
    }
    key = cdx_buf_steal(&buf, &n);
    cdx_buf_fini(&buf);
    return key;
}

/* "scheme://host:port"; nothing else of the URL, which may hold a secret. */
static char *origin(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *out = NULL;

    if (u != NULL && curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        if (asprintf(&out, "%s://%s:%s", scheme, host, port) < 0)
            out = NULL;
    } else {
        out = strdup("unreadable-url");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return out;
}

/* Appends a line as it is. libcurl leaves out "Name:" with nothing behind it; "Name;" is how it is told to send one. */
static bool add_header(struct curl_slist **list, const char *line)
{
    const char *colon = strchr(line, ':');
    struct curl_slist *more;
    char *empty = NULL;

    if (colon[1 + strspn(colon + 1, " \t")] == '\0') {
        empty = strdup(line);
        if (empty == NULL)
            return false;
        empty[colon - line] = ';';
        empty[colon - line + 1] = '\0';
    }
    more = curl_slist_append(*list, empty != NULL ? empty : line);
    free(empty);
    if (more != NULL)
        *list = more;
    return more != NULL;
}

static bool add_headers(struct cdx_endpoint *ep, const struct cdx_sub *sub)
{
    /* libcurl adds "Expect: 100-continue" above 1 MiB and waits a second; an empty one takes it away */
    ep->headers = curl_slist_append(NULL, "Expect:");
    if (ep->headers == NULL)
        return false;
    for (size_t i = 0; i < sub->headers_n; i++)
        if (cdx_endpoint_header_ok(sub->headers[i]) && !add_header(&ep->headers, sub->headers[i]))
            return false;
    return true;
}

struct cdx_endpoint *cdx_endpoint_create(char *key, const struct cdx_sub *sub,
                                         const struct cdx_push_conf *conf,
                                         const struct cdx_hold_conf *hold_conf,
                                         const struct cdx_load *load, const struct cdx_guard *guard,
                                         const struct cdx_clock *clock, struct cdx_err *err)
{
    struct cdx_endpoint *ep = calloc(1, sizeof *ep);
    struct cdx_text url = cdx_text_z(sub->endpoint);

    if (ep == NULL) {
        free(key);
        cdx_fail(err, CDX_NOMEM, "push: endpoint");
        return NULL;
    }
    ep->key = key;
    ep->conf = conf_of(conf, sub->endpoint);
    ep->clock = clock;
    ep->load = load;
    ep->guard = guard;
    ep->url = strdup(sub->endpoint);
    ep->id =
        ep->conf != NULL && ep->conf->id != NULL ? strdup(ep->conf->id) : origin(sub->endpoint);
    ep->tls = url.n > 8 && strncasecmp(url.p, "https://", 8) == 0;
    cdx_hold_init(&ep->hold, hold_conf, conf->seed ^ cdx_hash(key, strlen(key), 0));
    cdx_limit_init(&ep->limit, ep->conf != NULL && ep->conf->max_in_flight > 0
                                   ? ep->conf->max_in_flight
                                   : MAX_IN_FLIGHT);
    if (cdx_guard_url(guard, url, &ep->refusal) == CDX_OK)
        ep->refusal.code = CDX_OK;
    if (ep->url == NULL || ep->id == NULL || !add_headers(ep, sub)) {
        cdx_fail(err, CDX_NOMEM, "push: endpoint");
        cdx_endpoint_destroy(ep);
        return NULL;
    }
    return ep;
}

void cdx_endpoint_destroy(struct cdx_endpoint *ep)
{
    if (ep == NULL)
        return;
    while (ep->idle != NULL) {
        struct cdx_request *r = ep->idle;

        ep->idle = r->next;
        cdx_request_destroy(r);
    }
    curl_slist_free_all(ep->headers);
    free(ep->url);
    free(ep->id);
    free(ep->key);
    free(ep);
}

/* One line when the breaker has moved. */
static void note_breaker(const struct cdx_endpoint *ep, const char *from)
{
    const char *to = cdx_endpoint_state(ep);

    if (from == to)
        return;
    cdx_log(ep->hold.state == CDX_OPEN ? CDX_WARN : CDX_INFO, "push.breaker", "",
            CDX_KV("endpoint", ep->id), CDX_KV("from", from), CDX_KV("to", to),
            CDX_KV("why", ep->hold.detail != NULL ? ep->hold.detail : ""));
}

struct cdx_hold_ticket cdx_endpoint_started(struct cdx_endpoint *ep)
{
    const char *from = cdx_endpoint_state(ep);
    struct cdx_hold_ticket ticket = cdx_hold_start(&ep->hold);

    ep->in_flight++;
    cdx_limit_started(&ep->limit, ep->in_flight);
    note_breaker(ep, from);
    return ticket;
}

void cdx_endpoint_ended(struct cdx_endpoint *ep, struct cdx_hold_ticket ticket,
                        const struct cdx_outcome_row *row, struct cdx_verdict *v, uint64_t key,
                        int64_t rtt_us)
{
    const char *from = cdx_endpoint_state(ep);
    struct cdx_hold_effect effect;

    ep->in_flight--;
    if (v->outcome == CDX_CANCELLED) {
        cdx_hold_cancel(&ep->hold, ticket);
        note_breaker(ep, from);
        return;
    }
    effect = cdx_hold_result(&ep->hold, ticket, v, key, row->min_wait_ms, cdx_mono_ms(ep->clock),
                             cdx_wall_ms(ep->clock));
    ep->new_connection = ep->new_connection || row->new_connection;
    if (effect.position)
        v->outcome = CDX_ENDPOINT_FAILURE;
    if (effect.closed)
        cdx_limit_restart(&ep->limit);
    else if (row->outcome == CDX_SUCCESS)
        cdx_limit_success(&ep->limit, rtt_us);
    else if (effect.stepped && row->back_pressure)
        cdx_limit_back_pressure(&ep->limit);
    note_breaker(ep, from);
}

const char *cdx_endpoint_id(const struct cdx_endpoint *ep)
{
    return ep->id;
}

bool cdx_endpoint_ready(const struct cdx_endpoint *ep)
{
    return ep->load->in_flight < ep->load->max && ep->in_flight < ep->limit.now &&
           cdx_hold_ready(&ep->hold, cdx_mono_ms(ep->clock));
}

bool cdx_endpoint_probing(const struct cdx_endpoint *ep)
{
    return ep->hold.state != CDX_CLOSED;
}

int64_t cdx_endpoint_due_ms(const struct cdx_endpoint *ep)
{
    return cdx_hold_due_ms(&ep->hold, cdx_mono_ms(ep->clock));
}

int64_t cdx_endpoint_retry_after_wall_ms(const struct cdx_endpoint *ep)
{
    return cdx_hold_until_wall_ms(&ep->hold, cdx_mono_ms(ep->clock));
}

void cdx_endpoint_restore(struct cdx_endpoint *ep, int64_t retry_after_wall_ms)
{
    cdx_hold_restore(&ep->hold, retry_after_wall_ms, cdx_mono_ms(ep->clock),
                     cdx_wall_ms(ep->clock));
}

enum cdx_health cdx_endpoint_health(const struct cdx_endpoint *ep)
{
    if (ep->hold.disabled)
        return CDX_DISABLED;
    return cdx_hold_failing(&ep->hold, cdx_mono_ms(ep->clock)) ? CDX_FAILING : CDX_HEALTHY;
}

const char *cdx_endpoint_error(const struct cdx_endpoint *ep, const char **detail)
{
    if (detail != NULL)
        *detail = ep->hold.detail;
    return ep->hold.error;
}

void cdx_endpoint_reset(struct cdx_endpoint *ep)
{
    const char *from = cdx_endpoint_state(ep);

    cdx_hold_reset(&ep->hold);
    note_breaker(ep, from);
}

void cdx_endpoint_refused(struct cdx_endpoint *ep, const char *detail)
{
    static const struct cdx_exchange blocked = {.transport = CDX_T_BLOCKED};
    const struct cdx_outcome_row *row = cdx_outcome_of(&blocked);
    struct cdx_verdict v = {
        .outcome = row->outcome, .error_code = row->error_code, .retry_after_ms = -1};
    struct cdx_hold_ticket ticket = {.wave = ep->hold.wave};

    snprintf(ep->refused_detail, sizeof ep->refused_detail, "%s", detail);
    v.detail = ep->refused_detail;
    if (cdx_hold_ready(&ep->hold, cdx_mono_ms(ep->clock)))
        ticket = cdx_endpoint_started(ep);
    else
        ep->in_flight++;
    cdx_endpoint_ended(ep, ticket, row, &v, 0, 0);
}

int cdx_endpoint_in_flight(const struct cdx_endpoint *ep)
{
    return ep->in_flight;
}

const char *cdx_endpoint_state(const struct cdx_endpoint *ep)
{
    static const char *const words[] = {
        [CDX_CLOSED] = "closed", [CDX_OPEN] = "open", [CDX_HALF_OPEN] = "half-open"};

    return words[ep->hold.state];
}
