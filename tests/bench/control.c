/*
 * tests/bench/control.c -- what does the bare way from Kafka to HTTP cost? The yardstick that the engine is held against.
 *
 * In:    control BROKERS TOPIC GROUP PORT...: every record of the topic, from where the group stands.
 * Out:   one POST of the record's value a record, to the endpoint that the number at the end of its key picks; "ready"
 *        when partitions are assigned; at SIGTERM one JSON line with records, failures and its CPU time.
 * Owns:  its consumer, one easy handle a request in flight.
 *
 * It does nothing else: no parsing, no order, no retry, no record of what went where, the default offset commits. Both
 * clients wait on one epoll, the way of the least cost: librdkafka wakes it through a pipe, libcurl through its sockets.
 * In flight is at most one request an endpoint on average, the engine's own bound with one subscription an endpoint.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 1000
#define MAX_EVENTS 64

struct flight {
    CURL *easy;
    rd_kafka_message_t *m; /* owned while in flight: its value is the body */
    struct flight *next;   /* idle ones */
};

static struct {
    CURLM *multi;
    int epoll, wake[2];
    int64_t timer_ms; /* mono; -1: none */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    char (*urls)[64];
    size_t urls_n;
    struct flight *flights, *idle;
    struct curl_slist *headers;
    unsigned long records, failures, in_flight;
} ctl;

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
    (void)sig;
    ended = 1;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* -- libcurl on epoll --------------------------------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    (void)arg;
    if (what == CURL_POLL_REMOVE)
        return epoll_ctl(ctl.epoll, EPOLL_CTL_DEL, fd, &event), 0;
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(ctl.epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        epoll_ctl(ctl.epoll, EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(ctl.multi, fd, &ctl);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    (void)arg;
    ctl.timer_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    (void)p;
    (void)arg;
    return size * n;
}

static bool open_http(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    ctl.multi = curl_multi_init();
    ctl.headers = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/fhir+json"),
                                    "Expect:");
    ctl.flights = calloc(ctl.urls_n, sizeof *ctl.flights);
    if (ctl.multi == NULL || ctl.headers == NULL || ctl.flights == NULL)
        return false;
    curl_multi_setopt(ctl.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(ctl.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(ctl.multi, CURLMOPT_MAXCONNECTS, 2048L);
    for (size_t i = 0; i < ctl.urls_n; i++) {
        struct flight *f = &ctl.flights[i];

        f->easy = curl_easy_init();
        if (f->easy == NULL)
            return false;
        curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(f->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, ctl.headers);
        curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(f->easy, CURLOPT_BUFFERSIZE, 4096L);
        curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
        f->next = ctl.idle;
        ctl.idle = f;
    }
    return true;
}

static void collect(void)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(ctl.multi, &left)) != NULL) {
        bool fine = msg->data.result == CURLE_OK;
        struct flight *f = NULL;

        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &f);
        curl_multi_remove_handle(ctl.multi, f->easy);
        ctl.failures += !fine;
        rd_kafka_message_destroy(f->m);
        f->next = ctl.idle;
        ctl.idle = f;
        ctl.in_flight--;
    }
}

/* -- Kafka -------------------------------------------------------------------------------------------------------- */

/* "Patient/p17": the 17th endpoint. */
static const char *url_of(const rd_kafka_message_t *m)
{
    const char *key = m->key;
    size_t at = m->key_len, n = 0;

    while (at > 0 && key[at - 1] >= '0' && key[at - 1] <= '9')
        at--;
    for (; at < m->key_len; at++)
        n = n * 10 + (size_t)(key[at] - '0');
    return ctl.urls[n % ctl.urls_n];
}

static void post(rd_kafka_message_t *m)
{
    struct flight *f = ctl.idle;

    ctl.idle = f->next;
    f->m = m;
    curl_easy_setopt(f->easy, CURLOPT_URL, url_of(m));
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, m->payload);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE, (long)m->len);
    curl_multi_add_handle(ctl.multi, f->easy);
    ctl.records++;
    ctl.in_flight++;
}

/* As many records as there are idle handles. */
static void read_records(void)
{
    rd_kafka_message_t *m;

    while (ctl.idle != NULL && (m = rd_kafka_consumer_poll(ctl.rk, 0)) != NULL) {
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            post(m);
        else
            rd_kafka_message_destroy(m);
    }
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    (void)arg;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_assign(rk, list);
        printf("ready\n");
        fflush(stdout);
    } else {
        rd_kafka_assign(rk, NULL);
    }
}

static bool open_kafka(const char *brokers, const char *topic, const char *group)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers},
        {"group.id", group},
        {"auto.offset.reset", "earliest"},
        {"log_level", "3"},
    };
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    bool ok = true;

    for (size_t i = 0; ok && i < sizeof settings / sizeof settings[0]; i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) ==
             RD_KAFKA_CONF_OK;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    ctl.rk = ok ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text) : NULL;
    if (ctl.rk == NULL) {
        fprintf(stderr, "control: %s\n", text);
        return false;
    }
    rd_kafka_poll_set_consumer(ctl.rk);
    ctl.queue = rd_kafka_queue_get_consumer(ctl.rk);
    rd_kafka_queue_io_event_enable(ctl.queue, ctl.wake[1], "1", 1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    ok = rd_kafka_subscribe(ctl.rk, topics) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(topics);
    return ok;
}

/* -- the loop ----------------------------------------------------------------------------------------------------- */

static bool open_epoll(void)
{
    struct epoll_event event = {.events = EPOLLIN};

    ctl.epoll = epoll_create1(EPOLL_CLOEXEC);
    ctl.timer_ms = -1;
    if (ctl.epoll < 0 || pipe2(ctl.wake, O_NONBLOCK | O_CLOEXEC) != 0)
        return false;
    event.data.fd = ctl.wake[0];
    return epoll_ctl(ctl.epoll, EPOLL_CTL_ADD, ctl.wake[0], &event) == 0;
}

static int wait_ms(void)
{
    int64_t left = ctl.timer_ms < 0 ? 200 : ctl.timer_ms - now_ms();

    return left < 0 ? 0 : left > 200 ? 200 : (int)left;
}

static void turn(void)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(ctl.epoll, events, MAX_EVENTS, wait_ms()), running;
    char junk[512];

    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

        if (fd != ctl.wake[0])
            curl_multi_socket_action(ctl.multi, fd, mask, &running);
        else if (read(fd, junk, sizeof junk) < 0)
            continue;
    }
    if (ctl.timer_ms >= 0 && ctl.timer_ms <= now_ms()) {
        ctl.timer_ms = -1;
        curl_multi_socket_action(ctl.multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    collect();
    read_records();
}

int main(int argc, char **argv)
{
    struct rusage used;

    if (argc < 5 || argc - 4 > MAX_PORTS) {
        fprintf(stderr, "usage: control BROKERS TOPIC GROUP PORT...\n");
        return 2;
    }
    signal(SIGTERM, on_term);
    signal(SIGPIPE, SIG_IGN);
    ctl.urls_n = (size_t)argc - 4;
    ctl.urls = calloc(ctl.urls_n, sizeof *ctl.urls);
    for (size_t i = 0; ctl.urls != NULL && i < ctl.urls_n; i++)
        snprintf(ctl.urls[i], sizeof ctl.urls[i], "http://127.0.0.1:%ld/notify",
                 strtol(argv[4 + i], NULL, 10));
    if (ctl.urls == NULL || !open_epoll() || !open_http() || !open_kafka(argv[1], argv[2], argv[3]))
        return 1;
    while (!ended)
        turn();
    getrusage(RUSAGE_SELF, &used);
    printf("{\"records\":%lu,\"failures\":%lu,\"cpu_seconds\":%.6f}\n", ctl.records, ctl.failures,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    rd_kafka_consumer_close(ctl.rk);
    return ctl.failures != 0;
}
