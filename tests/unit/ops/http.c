/* Rules: delivery.md 12 (/livez, /readyz, /metrics), RFC 9110 9.3.2 (HEAD), 15.5.6 (405 needs Allow). */
#include <CUnit/CUnit.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "ops/http.h"

#define MAX_BYTES (1u << 20)

struct answers {
    bool live, ready;
    size_t metrics_bytes; /* of x after the first line */
};

struct got {
    long status;
    struct cdx_buf body, head;
};

static bool on_live(void *arg)
{
    return ((struct answers *)arg)->live;
}

static bool on_ready(void *arg, char *why, size_t n)
{
    const struct answers *answers = arg;

    if (!answers->ready)
        snprintf(why, n, "cdex.cursors partition 3 is still being read");
    return answers->ready;
}

static void on_metrics(void *arg, struct cdx_buf *out)
{
    const struct answers *answers = arg;

    cdx_buf_add_z(out, "cdex_test 1\n");
    for (size_t i = 0; i < answers->metrics_bytes; i += 1024)
        cdx_buf_printf(out, "%1024s", "x");
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
    cdx_buf_add(arg, p, size * n);
    return size * n;
}

static struct cdx_ops_http *started(struct answers *answers)
{
    const struct cdx_ops_handler handler = {answers, on_live, on_ready, on_metrics};
    struct cdx_err err = {0};

    return cdx_ops_http_create("127.0.0.1", 0, &handler, &err);
}

static void ask(const struct cdx_ops_http *http, const char *method, const char *path,
                struct got *got)
{
    CURL *curl = curl_easy_init();
    char url[128];

    *got = (struct got){0};
    cdx_buf_init(&got->body, 64u << 20);
    cdx_buf_init(&got->head, MAX_BYTES);
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", cdx_ops_http_port(http), path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
    if (strcmp(method, "POST") == 0)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "a=b");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &got->head);
    CU_ASSERT_EQUAL(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got->status);
    curl_easy_cleanup(curl);
}

/* One request and what it must bring: a status, and a text in the body (NULL: an empty body) and in the head. */
static void expect(struct answers *answers, const char *method, const char *path, long status,
                   const char *body, const char *head)
{
    struct cdx_ops_http *http = started(answers);
    struct got got;

    CU_ASSERT_PTR_NOT_NULL_FATAL(http);
    ask(http, method, path, &got);
    CU_ASSERT_EQUAL(got.status, status);
    if (body == NULL)
        CU_ASSERT_EQUAL(got.body.n, 0);
    if (body != NULL)
        CU_ASSERT(got.body.p != NULL && strstr(got.body.p, body) != NULL);
    CU_ASSERT(got.head.p != NULL && strstr(got.head.p, head) != NULL);
    cdx_buf_fini(&got.body);
    cdx_buf_fini(&got.head);
    cdx_ops_http_destroy(http);
}

static struct answers fine = {.live = true, .ready = true};

static void livez_says_200_while_alive(void)
{
    expect(&fine, "GET", "/livez", 200, "alive", "text/plain");
}

static void livez_says_503_when_a_thread_is_stuck(void)
{
    struct answers stuck = {.live = false, .ready = true};

    expect(&stuck, "GET", "/livez", 503, "stopped", "text/plain");
}

static void readyz_says_200_when_ready(void)
{
    expect(&fine, "GET", "/readyz?verbose", 200, "ready\n", "text/plain");
}

static void readyz_says_why_it_is_not(void)
{
    struct answers waiting = {.live = true, .ready = false};

    expect(&waiting, "GET", "/readyz", 503, "cdex.cursors partition 3 is still being read\n",
           "text/plain");
}

static void metrics_are_of_prometheus_type(void)
{
    expect(&fine, "GET", "/metrics", 200, "cdex_test 1\n", "text/plain; version=0.0.4");
}

static void a_large_answer_arrives_whole(void)
{
    struct answers large = {.metrics_bytes = 4u << 20};
    struct cdx_ops_http *http = started(&large);
    struct got got;

    CU_ASSERT_PTR_NOT_NULL_FATAL(http);
    ask(http, "GET", "/metrics", &got);
    CU_ASSERT_EQUAL(got.body.n, strlen("cdex_test 1\n") + (4u << 20));
    cdx_buf_fini(&got.body);
    cdx_buf_fini(&got.head);
    cdx_ops_http_destroy(http);
}

static void an_answer_beyond_its_bound_is_an_error_and_no_half(void)
{
    struct answers endless = {.metrics_bytes = 16u << 20};

    expect(&endless, "GET", "/metrics", 500, "larger than its bound", "text/plain");
}

static void the_index_lists_the_pages(void)
{
    expect(&fine, "GET", "/", 200, "/metrics", "text/plain");
}

static void another_path_is_not_found(void)
{
    expect(&fine, "GET", "/livez/", 404, "/ lists them", "text/plain");
}

static void head_has_no_body(void)
{
    expect(&fine, "HEAD", "/livez", 200, NULL, "Content-Length: 6");
}

static void post_is_refused_with_what_is_allowed(void)
{
    expect(&fine, "POST", "/metrics", 405, "GET and HEAD only", "Allow: GET, HEAD");
}

static void a_port_in_use_is_said_with_its_address(void)
{
    const struct cdx_ops_handler handler = {&fine, on_live, on_ready, on_metrics};
    struct cdx_ops_http *http = started(&fine);
    struct cdx_err err = {0};
    char port[32];

    CU_ASSERT_PTR_NOT_NULL_FATAL(http);
    CU_ASSERT(cdx_ops_http_port(http) > 0);
    CU_ASSERT_PTR_NULL(cdx_ops_http_create("127.0.0.1", cdx_ops_http_port(http), &handler, &err));
    snprintf(port, sizeof port, "127.0.0.1 port %d", cdx_ops_http_port(http));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, port));
    cdx_ops_http_destroy(http);
}

static void a_port_is_free_again_after_destroy(void)
{
    const struct cdx_ops_handler handler = {&fine, on_live, on_ready, on_metrics};
    struct cdx_ops_http *http = started(&fine);
    struct cdx_err err = {0};
    int port;

    CU_ASSERT_PTR_NOT_NULL_FATAL(http);
    port = cdx_ops_http_port(http);
    cdx_ops_http_destroy(http);
    http = cdx_ops_http_create("127.0.0.1", port, &handler, &err);
    CU_ASSERT_PTR_NOT_NULL(http);
    cdx_ops_http_destroy(http);
}

static CU_TestInfo tests[] = {
    {"livez says 200 while alive", livez_says_200_while_alive},
    {"livez says 503 when a thread is stuck", livez_says_503_when_a_thread_is_stuck},
    {"readyz says 200 when ready", readyz_says_200_when_ready},
    {"readyz says why it is not", readyz_says_why_it_is_not},
    {"metrics are of Prometheus' type", metrics_are_of_prometheus_type},
    {"a large answer arrives whole", a_large_answer_arrives_whole},
    {"an answer beyond its bound is an error and no half",
     an_answer_beyond_its_bound_is_an_error_and_no_half},
    {"the index lists the pages", the_index_lists_the_pages},
    {"another path is not found", another_path_is_not_found},
    {"HEAD has no body", head_has_no_body},
    {"POST is refused with what is allowed", post_is_refused_with_what_is_allowed},
    {"a port in use is said with its address", a_port_in_use_is_said_with_its_address},
    {"a port is free again after destroy", a_port_is_free_again_after_destroy},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_ops_http = {.pName = "ops/http", .pTests = tests};
