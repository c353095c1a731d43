/*
 * tests/unit/push/push.c -- the pusher against a scripted endpoint on the loopback. Rules: delivery.md 3, 4, 8, 9.
 *
 * Waiting is by poll on cdx_push_fd and has a bound. The clock is the system's plus an offset that the test moves, so
 * that the waits of a hold cost nothing.
 */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/limits.h"
#include "model/delivery.h"
#include "model/subscription.h"
#include "model/verdict.h"
#include "net/guard.h"
#include "push/endpoint.h"
#include "push/push.h"

#include "scripted.h"

#define BOUND_MS 10000
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static int64_t ahead_ms; /* of the system's clock */

static int64_t mono(const struct cdx_clock *clock)
{
    (void)clock;
    return cdx_mono_ms(&cdx_clock_system) + ahead_ms;
}

static int64_t wall(const struct cdx_clock *clock)
{
    (void)clock;
    return cdx_wall_ms(&cdx_clock_system) + ahead_ms;
}

static const struct cdx_clock test_clock = {mono, wall};

struct bench {
    struct scripted server;
    struct cdx_guard *guard;
    struct cdx_pusher *p;
    struct cdx_endpoint *ep;
    struct cdx_sub sub;
    char url[128];
    int done;                   /* verdicts so far */
    struct cdx_verdict verdict; /* the last */
    char last_id[CDX_WEBHOOK_ID_BYTES];
    bool follow_up; /* submit another from inside the next `done` */
};

static struct cdx_delivery *delivery(struct cdx_sub *sub, const char *body, const char *id)
{
    struct cdx_delivery *del = calloc(1, sizeof *del);

    CU_ASSERT_PTR_NOT_NULL_FATAL(del);
    del->body = strdup(body);
    del->body_n = strlen(body);
    snprintf(del->webhook_id, sizeof del->webhook_id, "%s", id);
    del->sub = cdx_sub_ref(sub);
    return del;
}

static enum cdx_code submit(struct bench *b, const char *id)
{
    struct cdx_delivery *del = delivery(&b->sub, "{\"resourceType\":\"Bundle\"}", id);
    enum cdx_code rc = cdx_push_submit(b->p, b->ep, &del, NULL);

    CU_ASSERT_TRUE((rc == CDX_OK) == (del == NULL));
    cdx_delivery_free(&del);
    return rc;
}

static void on_done(void *arg, struct cdx_delivery **del, const struct cdx_verdict *verdict)
{
    struct bench *b = arg;

    b->done++;
    b->verdict = *verdict;
    snprintf(b->last_id, sizeof b->last_id, "%s", (*del)->webhook_id);
    if (b->done % 2 == 0)
        cdx_delivery_free(del); /* both ways of taking it */
    if (b->follow_up) {
        b->follow_up = false;
        CU_ASSERT_EQUAL(submit(b, "msg_FOLLOW"), CDX_OK);
    }
}

/* Runs until so many verdicts are in; the bound is the test's, not the code's. */
static void run_until(struct bench *b, int done)
{
    int64_t end = cdx_mono_ms(&cdx_clock_system) + BOUND_MS;

    while (b->done < done && cdx_mono_ms(&cdx_clock_system) < end) {
        struct pollfd fd = {.fd = cdx_push_fd(b->p), .events = POLLIN};
        int64_t wait = cdx_push_timeout_ms(b->p);

        poll(&fd, 1, wait < 0 || wait > 100 ? 100 : (int)wait);
        cdx_push_run(b->p);
    }
    CU_ASSERT_EQUAL_FATAL(b->done, done);
}

static struct cdx_verdict *deliver(struct bench *b)
{
    CU_ASSERT_EQUAL_FATAL(submit(b, "msg_A"), CDX_OK);
    run_until(b, b->done + 1);
    return &b->verdict;
}

static const char *const loopback[] = {"127.0.0.0/8"};

static void open_on(struct bench *b, const char *url, const struct cdx_push_conf *conf)
{
    static const struct cdx_push_conf none = {0};
    struct cdx_err err = {0};

    snprintf(b->url, sizeof b->url, "%s", url);
    b->sub.refs += 1;
    b->sub.endpoint = b->url;
    if (b->sub.payload == NULL)
        b->sub.payload = (char *)(uintptr_t) "application/fhir+json";
    if (b->guard == NULL)
        b->guard = cdx_guard_create(loopback, 1, true, &err);
    b->p = cdx_push_create(conf != NULL ? conf : &none, b->guard, &test_clock, on_done, b, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->p);
    b->ep = cdx_push_endpoint(b->p, &b->sub, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->ep);
}

/* A plain server with this script, and a pusher for it. */
static void setup(struct bench *b, const struct scripted_step *steps, size_t n,
                  const struct cdx_push_conf *conf)
{
    char url[64];

    CU_ASSERT_TRUE_FATAL(scripted_start(&b->server, NULL, steps, n));
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook?a=b", b->server.port);
    open_on(b, url, conf);
}

static void teardown(struct bench *b)
{
    cdx_push_endpoint_release(b->p, b->ep);
    cdx_push_destroy(b->p);
    cdx_guard_destroy(b->guard);
    CU_ASSERT_EQUAL(b->sub.refs, 1); /* every delivery gave its reference back */
    if (b->server.port != 0)
        scripted_stop(&b->server);
    ahead_ms = 0;
}

#define SCRIPT(...)                                                                                \
    (const struct scripted_step[]){__VA_ARGS__},                                                   \
        sizeof((const struct scripted_step[]){__VA_ARGS__}) / sizeof(struct scripted_step)

/* delivery.md 9; subscriptions.md 1.15, T4 (verbatim) and T24 (payload first). */
static void a_delivery_carries_our_headers_and_the_subscriptions_own(void)
{
    static char *headers[] = {
        (char *)(uintptr_t) "X-API-Key: Some Secret:with: colons",
        (char *)(uintptr_t) "authorization: Bearer abc",
        (char *)(uintptr_t) "X-Empty: ",
        (char *)(uintptr_t) "Webhook-ID: forged",
        (char *)(uintptr_t) "HOST: evil.example",
        (char *)(uintptr_t) "content-length: 1",
        (char *)(uintptr_t) "Transfer-Encoding: chunked",
        (char *)(uintptr_t) "User-Agent: me",
        (char *)(uintptr_t) "Content-Type: text/plain",
        (char *)(uintptr_t) "no colon",
        (char *)(uintptr_t) "X-Split: a\r\nX-Injected: b",
        (char *)(uintptr_t) ": nameless",
    };
    struct bench b = {
        .sub = {.headers = headers,
                .headers_n = CDX_COUNT(headers),
                .payload = (char *)(uintptr_t) "application/fhir+json; charset=UTF-8"}};
    struct cdx_delivery *del;
    const char *r;
    long long stamp = 0;

    setup(&b, SCRIPT({REPLY, OK}), NULL);
    del = delivery(&b.sub, "{\"a\":1}", "msg_ABC234");
    snprintf(del->traceparent, sizeof del->traceparent,
             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    CU_ASSERT_EQUAL_FATAL(cdx_push_submit(b.p, b.ep, &del, NULL), CDX_OK);
    run_until(&b, 1);
    CU_ASSERT_EQUAL(b.server.requests, 1);
    r = b.server.request[0];
    CU_ASSERT_TRUE(strncmp(r, "POST /hook?a=b HTTP/1.1\r\n", 25) == 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nContent-Type: application/fhir+json; charset=UTF-8\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nUser-Agent: cdex-push/" CDX_VERSION "\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nwebhook-id: msg_ABC234\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nIdempotency-Key: msg_ABC234\r\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(r, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nX-API-Key: Some Secret:with: colons\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nauthorization: Bearer abc\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nX-Empty:\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\nContent-Length: 7\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r, "\r\n\r\n{\"a\":1}"));
    CU_ASSERT_PTR_NULL(strstr(r, "forged"));
    CU_ASSERT_PTR_NULL(strstr(r, "evil"));
    CU_ASSERT_PTR_NULL(strstr(r, "chunked"));
    CU_ASSERT_PTR_NULL(strstr(r, "text/plain"));
    CU_ASSERT_PTR_NULL(strstr(r, "Injected"));
    CU_ASSERT_PTR_NULL(strstr(r, "Expect"));
    r = strstr(r, "\r\nwebhook-timestamp: ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    stamp = strtoll(r + 21, NULL, 10);
    CU_ASSERT_TRUE(stamp * 1000 <= wall(NULL) && stamp * 1000 > wall(NULL) - BOUND_MS - 1000);
    CU_ASSERT_EQUAL(b.verdict.outcome, CDX_SUCCESS);
    CU_ASSERT_EQUAL(b.verdict.http_status, 200);
    CU_ASSERT_PTR_NULL(b.verdict.error_code);
    CU_ASSERT_EQUAL(b.verdict.retry_after_ms, -1);
    teardown(&b);
}

static void an_event_without_trace_sends_no_traceparent(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, OK}), NULL);
    deliver(&b);
    CU_ASSERT_EQUAL(b.server.requests, 1);
    CU_ASSERT_PTR_NULL(strstr(b.server.request[0], "traceparent"));
    teardown(&b);
}

static void a_connection_is_used_again_and_counted(void)
{
    struct bench b = {0};
    uint64_t fresh = cdx_counted(CDX_C_CONN_NEW), reused = cdx_counted(CDX_C_CONN_REUSED);
    struct cdx_histogram_data before, after;

    cdx_histogram_read(CDX_H_DELIVERY, &before);
    setup(&b, SCRIPT({REPLY, OK}), NULL);
    CU_ASSERT_FALSE(deliver(&b)->reused);
    CU_ASSERT_TRUE(deliver(&b)->reused);
    CU_ASSERT_TRUE(deliver(&b)->reused);
    CU_ASSERT_EQUAL(b.server.accepted, 1);
    CU_ASSERT_EQUAL(b.server.requests, 3);
    CU_ASSERT_EQUAL(cdx_counted(CDX_C_CONN_NEW) - fresh, 1);
    CU_ASSERT_EQUAL(cdx_counted(CDX_C_CONN_REUSED) - reused, 2);
    cdx_histogram_read(CDX_H_DELIVERY, &after);
    CU_ASSERT_EQUAL(after.count - before.count, 3);
    teardown(&b);
}

/* delivery.md 4: "one immediate retry on a fresh connection, not counted as an attempt for backoff". */
static void a_reused_connection_that_died_is_tried_once_more_on_a_fresh_one(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, OK}, {REPLY_CLOSE, ""}, {REPLY, OK}, {REPLY_RESET, ""}, {REPLY, OK}),
          NULL);
    deliver(&b);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    CU_ASSERT_FALSE(b.verdict.reused);
    CU_ASSERT_EQUAL(b.server.accepted, 2);
    CU_ASSERT_EQUAL(b.server.requests, 3);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    CU_ASSERT_EQUAL(b.server.accepted, 3);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_HEALTHY);
    CU_ASSERT_PTR_NULL(cdx_endpoint_error(b.ep, NULL));
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

static void a_fresh_connection_that_dies_is_an_endpoint_failure(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY_RESET, ""}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_STRING_EQUAL(b.verdict.error_code, "no-response");
    CU_ASSERT_EQUAL(b.server.requests, 1);
    CU_ASSERT_FALSE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

static void an_endpoint_that_never_answers_times_out_as_the_subscription_says(void)
{
    struct bench b = {.sub = {.timeout_s = 1}};

    setup(&b, SCRIPT({SILENCE, NULL}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_STRING_EQUAL(b.verdict.error_code, "no-response");
    CU_ASSERT_TRUE(b.verdict.duration_ms >= 900 && b.verdict.duration_ms < 5000);
    CU_ASSERT_EQUAL(b.verdict.http_status, 0);
    teardown(&b);
}

static void the_default_timeout_is_the_configurations(void)
{
    struct bench b = {0};
    struct cdx_push_conf conf = {.timeout_ms = 100};

    setup(&b, SCRIPT({SILENCE, NULL}), &conf);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_TRUE(b.verdict.duration_ms >= 90 && b.verdict.duration_ms < 5000);
    teardown(&b);
}

static void a_refused_connection_is_an_endpoint_failure_and_holds_the_endpoint(void)
{
    struct bench b = {0};
    char url[64];
    const char *detail = NULL;

    snprintf(url, sizeof url, "http://127.0.0.1:%d/", scripted_dead_port());
    open_on(&b, url, NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_error(b.ep, &detail), "no-response");
    CU_ASSERT_STRING_EQUAL(detail, b.verdict.detail);
    CU_ASSERT_EQUAL(submit(&b, "msg_B"), CDX_FULL);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) <= mono(NULL) + 1000);
    ahead_ms += 1000; /* the first wait is within [0.5 s, 1 s] */
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

static void the_breaker_opens_probes_and_closes(void)
{
    struct bench b = {0};

    setup(&b,
          SCRIPT({REPLY, "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n"}, {REPLY, OK}),
          NULL);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_FALSE(cdx_endpoint_probing(b.ep));
        CU_ASSERT_STRING_EQUAL(cdx_endpoint_state(b.ep), "closed");
        CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
        ahead_ms += 30000;
    }
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_state(b.ep), "open");
    CU_ASSERT_TRUE(cdx_endpoint_probing(b.ep));
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_HEALTHY);
    ahead_ms += 30000;
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_FAILING);
    CU_ASSERT_EQUAL(submit(&b, "msg_P"), CDX_OK);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_state(b.ep), "half-open");
    CU_ASSERT_FALSE(cdx_endpoint_ready(b.ep));
    CU_ASSERT_EQUAL(submit(&b, "msg_Q"), CDX_FULL);
    run_until(&b, b.done + 1);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_state(b.ep), "closed");
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_HEALTHY);
    CU_ASSERT_EQUAL(submit(&b, "msg_R"), CDX_OK);
    CU_ASSERT_EQUAL(submit(&b, "msg_S"), CDX_FULL); /* slow start: limit 1 */
    run_until(&b, b.done + 1);
    teardown(&b);
}

static void retry_after_in_seconds_and_as_a_date_holds_the_endpoint(void)
{
    struct bench b = {0};
    char reply[160], date[64];
    time_t then;
    struct tm tm;
    int64_t until;

    setup(&b,
          SCRIPT({REPLY, "HTTP/1.1 503 Busy\r\nretry-after: 3600\r\nContent-Length: 0\r\n\r\n"}),
          NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(b.verdict.retry_after_ms, 3600000);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) > mono(NULL) + 3590000);
    until = cdx_endpoint_retry_after_wall_ms(b.ep);
    CU_ASSERT_TRUE(until > wall(NULL) + 3590000 && until <= wall(NULL) + 3600000);
    cdx_endpoint_reset(b.ep);
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    CU_ASSERT_EQUAL(cdx_endpoint_retry_after_wall_ms(b.ep), 0);
    cdx_endpoint_restore(b.ep, until);
    CU_ASSERT_FALSE(cdx_endpoint_ready(b.ep));
    teardown(&b);

    b = (struct bench){0};
    then = (time_t)(wall(NULL) / 1000) + 7200;
    gmtime_r(&then, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(reply, sizeof reply,
             "HTTP/1.1 429 Slow\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    setup(&b, SCRIPT({REPLY, reply}), NULL);
    deliver(&b);
    CU_ASSERT_TRUE(b.verdict.retry_after_ms > 7190000 && b.verdict.retry_after_ms <= 7200000);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) > mono(NULL) + 7180000);
    teardown(&b);
}

/* delivery.md 4: 429 and 503 without Retry-After wait at least 5 s. */
static void busy_without_retry_after_waits_five_seconds(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}), NULL);
    deliver(&b);
    CU_ASSERT_EQUAL(b.verdict.retry_after_ms, -1);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) > mono(NULL) + 4000);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) <= mono(NULL) + 5000);
    teardown(&b);
}

static void gone_disables_the_endpoint_until_it_is_reset(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"}, {REPLY, OK}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_GONE);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_DISABLED);
    CU_ASSERT_EQUAL(submit(&b, "msg_B"), CDX_FULL);
    cdx_endpoint_reset(b.ep);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_HEALTHY);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    teardown(&b);
}

/* delivery.md 3: 421 (new connection). */
static void a_misdirected_request_goes_out_again_on_a_new_connection(void)
{
    struct bench b = {0};

    setup(&b,
          SCRIPT({REPLY, OK}, {REPLY, "HTTP/1.1 421 Misdirected\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, OK}),
          NULL);
    deliver(&b);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_TRUE(b.verdict.reused);
    ahead_ms += 1000;
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    CU_ASSERT_FALSE(b.verdict.reused);
    CU_ASSERT_EQUAL(b.server.accepted, 2);
    CU_ASSERT_TRUE(deliver(&b)->reused); /* once only */
    teardown(&b);
}

static void a_message_that_is_refused_leaves_the_endpoint_free(void)
{
    struct bench b = {0};

    setup(&b,
          SCRIPT({REPLY, "HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n"},
                 {REPLY, "HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"}),
          NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_TOO_LARGE_BODY);
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_MESSAGE_FAILURE);
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

/* delivery.md 3 guard: the 21st notification refused in a row keeps its place. */
static void an_endpoint_that_refuses_everything_keeps_the_notification_in_place(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"}), NULL);
    for (int i = 0; i < 20; i++) {
        char id[16];

        snprintf(id, sizeof id, "msg_%d", i);
        CU_ASSERT_EQUAL(submit(&b, id), CDX_OK);
        run_until(&b, b.done + 1);
        CU_ASSERT_EQUAL(b.verdict.outcome, CDX_MESSAGE_FAILURE);
    }
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(b.verdict.http_status, 400);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_FAILING);
    teardown(&b);
}

static void a_redirect_is_not_followed(void)
{
    struct bench b = {0};
    char reply[128], url[64];

    CU_ASSERT_TRUE_FATAL(scripted_start(&b.server, NULL, SCRIPT({REPLY, reply})));
    snprintf(
        reply, sizeof reply,
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/other\r\nContent-Length: 0\r\n\r\n",
        b.server.port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", b.server.port);
    open_on(&b, url, NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_CONFIG_FAILURE);
    CU_ASSERT_EQUAL(b.verdict.http_status, 302);
    CU_ASSERT_EQUAL(b.server.requests, 1);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_FAILING);
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) > mono(NULL) + 890000);
    teardown(&b);
}

static void a_response_that_breaks_off_is_truncated(void)
{
    struct bench b = {0};
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";

    setup(&b, SCRIPT({REPLY_CLOSE, half}, {REPLY_RESET, "HTTP/1.1 200 OK\r\nContent-Le"}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_STRING_EQUAL(b.verdict.detail, "truncated response");
    CU_ASSERT_EQUAL(b.verdict.http_status, 200);
    ahead_ms += 60000;
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(b.verdict.http_status, 0);
    teardown(&b);
}

/* delivery.md 1: headers suffice, the body is drained up to the cap; 6: 64 KiB. */
static void a_flood_behind_a_2xx_is_cut_and_still_success(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({FLOOD_BODY, NULL}, {REPLY, OK}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    CU_ASSERT_TRUE(b.verdict.duration_ms < 5000);
    CU_ASSERT_FALSE(deliver(&b)->reused);
    CU_ASSERT_EQUAL(b.server.accepted, 2);
    teardown(&b);
}

static void a_flood_of_header_lines_is_cut_and_a_failure(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({FLOOD_HEAD, NULL}), NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    CU_ASSERT_EQUAL(b.verdict.http_status, 0);
    teardown(&b);
}

static void an_interim_response_is_not_the_answer(void)
{
    struct bench b = {0};

    setup(
        &b,
        SCRIPT(
            {REPLY,
             "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"},
            {REPLY, "hello, no HTTP\r\n\r\n"}),
        NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_SUCCESS);
    CU_ASSERT_EQUAL(b.verdict.http_status, 202);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_ENDPOINT_FAILURE);
    teardown(&b);
}

static void a_conflict_counts_as_delivered_where_configured(void)
{
    struct bench b = {0};
    struct cdx_push_conf conf = {.duplicate_is_success = true};

    setup(&b, SCRIPT({REPLY, "HTTP/1.1 409 Again\r\nContent-Length: 0\r\n\r\n"}), &conf);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_DUPLICATE_OK);
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

/* The URL passes as a name; what it resolves to does not (delivery.md 8, DNS that flips to 127.0.0.1). */
static void a_name_that_resolves_to_a_private_address_is_not_dialled(void)
{
    static const char *const other[] = {"10.20.0.0/16"};
    struct bench b = {0};
    uint64_t blocked = cdx_counted(CDX_C_SSRF_BLOCKED);
    char url[64];

    b.guard = cdx_guard_create(other, 1, true, NULL);
    CU_ASSERT_TRUE_FATAL(scripted_start(&b.server, NULL, SCRIPT({REPLY, OK})));
    snprintf(url, sizeof url, "http://localhost:%d/", b.server.port);
    open_on(&b, url, NULL);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, CDX_CONFIG_FAILURE);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.verdict.detail, "push.allow"));
    CU_ASSERT_EQUAL(b.server.accepted, 0);
    CU_ASSERT_TRUE(cdx_counted(CDX_C_SSRF_BLOCKED) > blocked);
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_FAILING);
    teardown(&b);
}

static void a_url_that_the_guard_refuses_is_never_submitted(void)
{
    struct bench b = {0};
    struct cdx_err err = {0};
    struct cdx_delivery *del;
    const char *detail = NULL;

    open_on(&b, "https://10.9.8.7/s3cret", NULL);
    del = delivery(&b.sub, "{}", "msg_A");
    CU_ASSERT_EQUAL(cdx_push_submit(b.p, b.ep, &del, &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(del);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "10.9.8.7"));
    cdx_endpoint_refused(b.ep, err.text);
    err.text[0] = '\0';
    CU_ASSERT_EQUAL(cdx_endpoint_health(b.ep), CDX_FAILING);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_error(b.ep, &detail), "no-response");
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, "10.9.8.7"));
    CU_ASSERT_TRUE(cdx_endpoint_due_ms(b.ep) > mono(NULL) + 890000);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_id(b.ep), "https://10.9.8.7:443");
    cdx_endpoint_refused(b.ep, "again");
    CU_ASSERT_EQUAL(cdx_endpoint_in_flight(b.ep), 0);
    cdx_delivery_free(&del);
    teardown(&b);
}

static bool only_b(void *arg, const struct cdx_delivery *del)
{
    (void)arg;
    return strcmp(del->webhook_id, "msg_B") == 0;
}

static void cancelling_tells_at_once_and_is_no_failure(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({SILENCE, NULL}), NULL);
    CU_ASSERT_EQUAL(submit(&b, "msg_A"), CDX_OK);
    CU_ASSERT_EQUAL(submit(&b, "msg_B"), CDX_OK);
    CU_ASSERT_EQUAL(cdx_push_in_flight(b.p), 2);
    cdx_push_cancel(b.p, only_b, NULL);
    CU_ASSERT_EQUAL(b.done, 1);
    CU_ASSERT_STRING_EQUAL(b.last_id, "msg_B");
    CU_ASSERT_EQUAL(b.verdict.outcome, CDX_CANCELLED);
    b.follow_up = true;
    cdx_push_cancel(b.p, NULL, NULL); /* what `done` submits meanwhile is not cancelled */
    CU_ASSERT_EQUAL(b.done, 2);
    CU_ASSERT_EQUAL(cdx_push_in_flight(b.p), 1);
    CU_ASSERT_TRUE(cdx_endpoint_ready(b.ep));
    CU_ASSERT_PTR_NULL(cdx_endpoint_error(b.ep, NULL));
    teardown(&b); /* aborts the last one without a verdict */
    CU_ASSERT_EQUAL(b.done, 2);
}

static void done_may_submit_the_next(void)
{
    struct bench b = {0};

    setup(&b, SCRIPT({REPLY, OK}), NULL);
    b.follow_up = true;
    CU_ASSERT_EQUAL(submit(&b, "msg_A"), CDX_OK);
    run_until(&b, 2);
    CU_ASSERT_STRING_EQUAL(b.last_id, "msg_FOLLOW");
    teardown(&b);
}

static void an_endpoint_that_nobody_uses_goes_after_its_last_request(void)
{
    struct bench b = {0};
    size_t i = 0;

    setup(&b, SCRIPT({REPLY, OK}), NULL);
    CU_ASSERT_EQUAL(submit(&b, "msg_A"), CDX_OK);
    cdx_push_endpoint_release(b.p, b.ep);
    b.ep = NULL;
    CU_ASSERT_PTR_NOT_NULL(cdx_push_next(b.p, &i));
    run_until(&b, 1);
    i = 0;
    CU_ASSERT_PTR_NULL(cdx_push_next(b.p, &i));
    teardown(&b);
}

static void subscriptions_with_the_same_url_and_headers_share_an_endpoint(void)
{
    struct bench b = {0};
    static char *headers[] = {(char *)(uintptr_t) "X-Key: other"};
    struct cdx_sub same = {.endpoint = (char *)(uintptr_t) "https://h.example/",
                           .payload = (char *)(uintptr_t) "text/plain"};
    struct cdx_sub other = {
        .endpoint = (char *)(uintptr_t) "https://h.example/", .headers = headers, .headers_n = 1};
    struct cdx_endpoint *one, *two;

    open_on(&b, "https://h.example/", NULL);
    one = cdx_push_endpoint(b.p, &same, NULL);
    two = cdx_push_endpoint(b.p, &other, NULL);
    CU_ASSERT_PTR_EQUAL(one, b.ep);
    CU_ASSERT_PTR_NOT_EQUAL(two, b.ep);
    cdx_push_endpoint_release(b.p, one);
    cdx_push_endpoint_release(b.p, two);
    cdx_push_endpoint_release(b.p, NULL);
    teardown(&b);
}

static void in_flight_bounds_are_kept(void)
{
    struct bench b = {0};
    struct cdx_endpoint_conf narrow = {
        .id = "narrow", .url = "http://127.0.0.1", .max_in_flight = 2};
    struct cdx_push_conf conf = {.endpoints = &narrow, .endpoints_n = 1},
                         one = {.max_in_flight = 1};

    setup(&b, SCRIPT({SILENCE, NULL}), &conf);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_id(b.ep), "narrow");
    CU_ASSERT_EQUAL(submit(&b, "msg_A"), CDX_OK);
    CU_ASSERT_EQUAL(submit(&b, "msg_B"), CDX_OK);
    CU_ASSERT_EQUAL(submit(&b, "msg_C"), CDX_FULL);
    CU_ASSERT_EQUAL(cdx_endpoint_in_flight(b.ep), 2);
    teardown(&b);
    b = (struct bench){0};
    setup(&b, SCRIPT({SILENCE, NULL}), &one);
    CU_ASSERT_EQUAL(submit(&b, "msg_A"), CDX_OK);
    CU_ASSERT_FALSE(cdx_endpoint_ready(b.ep));
    teardown(&b);
}

static void a_configured_prefix_without_path_ends_where_the_host_does(void)
{
    CU_ASSERT_TRUE(cdx_endpoint_prefix("https://h.example", "https://h.example"));
    CU_ASSERT_TRUE(cdx_endpoint_prefix("https://h.example", "https://h.example/a"));
    CU_ASSERT_TRUE(cdx_endpoint_prefix("https://h.example", "https://h.example:8443/a"));
    CU_ASSERT_TRUE(cdx_endpoint_prefix("https://h.example/a", "https://h.example/ab"));
    CU_ASSERT_FALSE(cdx_endpoint_prefix("https://h.example", "https://h.example.evil.example/a"));
    CU_ASSERT_FALSE(cdx_endpoint_prefix("https://h.example:84", "https://h.example:8443/a"));
    CU_ASSERT_FALSE(cdx_endpoint_prefix("https://h.example/a", "https://h.example/b"));
    CU_ASSERT_FALSE(cdx_endpoint_prefix("h", "https://h.example/b"));
}

static void the_longest_configured_prefix_wins(void)
{
    struct bench b = {0};
    struct cdx_endpoint_conf list[] = {
        {.id = "host", .url = "https://h.example/"},
        {.id = "path", .url = "https://h.example/a/"},
        {.id = "also", .url = "https://h.example"},
    };
    struct cdx_push_conf conf = {.endpoints = list, .endpoints_n = CDX_COUNT(list)};

    open_on(&b, "https://h.example/a/b", &conf);
    CU_ASSERT_STRING_EQUAL(cdx_endpoint_id(b.ep), "path");
    teardown(&b);
}

static void a_missing_ca_file_is_told_at_the_start(void)
{
    struct cdx_endpoint_conf e = {
        .id = "a", .url = "https://h.example/", .ca_file = "/nonexistent/ca.pem"};
    struct cdx_push_conf conf = {.endpoints = &e, .endpoints_n = 1};
    struct cdx_err err = {0};

    CU_ASSERT_PTR_NULL(cdx_push_create(&conf, NULL, &test_clock, on_done, NULL, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nonexistent/ca.pem"));
}

/* One TLS delivery to a server whose certificate is for `host`; trusted: by endpoints[].ca. */
static void tls_delivery(const char *host, bool trusted, enum cdx_outcome expected)
{
    struct bench b = {0};
    char ca_file[] = "/tmp/cdex-test-ca-XXXXXX", url[64];
    SSL_CTX *tls = scripted_tls(host, ca_file);
    struct cdx_endpoint_conf e = {.id = "tls", .url = "https://127.0.0.1", .ca_file = ca_file};
    struct cdx_push_conf conf = {.endpoints = &e, .endpoints_n = trusted ? 1 : 0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    CU_ASSERT_TRUE_FATAL(scripted_start(&b.server, tls, SCRIPT({REPLY, OK})));
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", b.server.port);
    open_on(&b, url, &conf);
    CU_ASSERT_EQUAL(deliver(&b)->outcome, expected);
    CU_ASSERT_EQUAL(b.server.requests, expected == CDX_SUCCESS ? 1 : 0);
    if (expected == CDX_SUCCESS)
        CU_ASSERT_TRUE(deliver(&b)->reused);
    teardown(&b);
    SSL_CTX_free(tls);
    unlink(ca_file);
}

static void a_certificate_of_a_configured_ca_is_accepted(void)
{
    tls_delivery("IP:127.0.0.1", true, CDX_SUCCESS);
}

static void an_untrusted_certificate_is_a_configuration_failure(void)
{
    tls_delivery("IP:127.0.0.1", false, CDX_CONFIG_FAILURE);
}

static void a_certificate_for_another_host_is_a_configuration_failure(void)
{
    tls_delivery("DNS:other.example", true, CDX_CONFIG_FAILURE);
}

static CU_TestInfo tests[] = {
    {"a delivery carries our headers and the subscription's own",
     a_delivery_carries_our_headers_and_the_subscriptions_own},
    {"an event without trace sends no traceparent", an_event_without_trace_sends_no_traceparent},
    {"a connection is used again and counted", a_connection_is_used_again_and_counted},
    {"a reused connection that died is tried once more on a fresh one",
     a_reused_connection_that_died_is_tried_once_more_on_a_fresh_one},
    {"a fresh connection that dies is an endpoint failure",
     a_fresh_connection_that_dies_is_an_endpoint_failure},
    {"an endpoint that never answers times out",
     an_endpoint_that_never_answers_times_out_as_the_subscription_says},
    {"the default timeout is the configuration's", the_default_timeout_is_the_configurations},
    {"a refused connection holds the endpoint",
     a_refused_connection_is_an_endpoint_failure_and_holds_the_endpoint},
    {"the breaker opens, probes and closes", the_breaker_opens_probes_and_closes},
    {"Retry-After in seconds and as a date holds the endpoint",
     retry_after_in_seconds_and_as_a_date_holds_the_endpoint},
    {"busy without Retry-After waits five seconds", busy_without_retry_after_waits_five_seconds},
    {"gone disables the endpoint until it is reset", gone_disables_the_endpoint_until_it_is_reset},
    {"a misdirected request goes out again on a new connection",
     a_misdirected_request_goes_out_again_on_a_new_connection},
    {"a message that is refused leaves the endpoint free",
     a_message_that_is_refused_leaves_the_endpoint_free},
    {"an endpoint that refuses everything keeps the notification",
     an_endpoint_that_refuses_everything_keeps_the_notification_in_place},
    {"a redirect is not followed", a_redirect_is_not_followed},
    {"a response that breaks off is truncated", a_response_that_breaks_off_is_truncated},
    {"a flood behind a 2xx is cut and still success",
     a_flood_behind_a_2xx_is_cut_and_still_success},
    {"a flood of header lines is cut and a failure", a_flood_of_header_lines_is_cut_and_a_failure},
    {"an interim response is not the answer", an_interim_response_is_not_the_answer},
    {"a conflict counts as delivered where configured",
     a_conflict_counts_as_delivered_where_configured},
    {"a name that resolves to a private address is not dialled",
     a_name_that_resolves_to_a_private_address_is_not_dialled},
    {"a url that the guard refuses is never submitted",
     a_url_that_the_guard_refuses_is_never_submitted},
    {"cancelling tells at once and is no failure", cancelling_tells_at_once_and_is_no_failure},
    {"done may submit the next", done_may_submit_the_next},
    {"an endpoint that nobody uses goes after its last request",
     an_endpoint_that_nobody_uses_goes_after_its_last_request},
    {"the same url and headers share an endpoint",
     subscriptions_with_the_same_url_and_headers_share_an_endpoint},
    {"in-flight bounds are kept", in_flight_bounds_are_kept},
    {"a configured prefix without path ends where the host does",
     a_configured_prefix_without_path_ends_where_the_host_does},
    {"the longest configured prefix wins", the_longest_configured_prefix_wins},
    {"a missing CA file is told at the start", a_missing_ca_file_is_told_at_the_start},
    {"a certificate of a configured CA is accepted", a_certificate_of_a_configured_ca_is_accepted},
    {"an untrusted certificate is a configuration failure",
     an_untrusted_certificate_is_a_configuration_failure},
    {"a certificate for another host is a configuration failure",
     a_certificate_for_another_host_is_a_configuration_failure},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_push_push = {.pName = "push/push", .pTests = tests};
