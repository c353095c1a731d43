/*
 * tests/bench/sink.c -- the endpoints of the benchmark: how many notifications came, and how old was each event?
 *
 * In:    sink COUNT: that many listeners on 127.0.0.1, one an endpoint, HTTP/1.1 with Content-Length and keep-alive.
 * Out:   "ready PORT PORT ..." on stdout; 200 to every POST; what came since POST /reset as JSON: GET /count in an instant,
 *        GET /stats with the ages' percentiles.
 * Owns:  its sockets, one buffer a connection, the ages of the first MAX_AGES events.
 *
 * A feed writes `bench-us-<wall microseconds>` into each resource right before it produces it; the sink takes the time
 * when a request is complete. Both run on one machine, so both read one clock. The hard thing is to cost little: sink,
 * broker and what is measured share the cores. So one thread, one read and one write a request, no parsing of the body
 * beyond a search for the mark. Not nginx: it counts, but knows no ages.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 1000
#define BUFFER_BYTES (256u << 10) /* one request; the benchmark's are 5 KB */
#define FIRST_BYTES (16u << 10)
#define MAX_AGES 1000000u
#define MARK "bench-us-"

struct connection {
    int fd;
    bool listens;
    char *buffer; /* owned */
    size_t n, cap;
};

static struct {
    uint64_t events, others, bytes, connections;
    int64_t first_us, last_us; /* wall */
    uint32_t ages[MAX_AGES];   /* microseconds, in the order of arrival */
    size_t ages_n;
} seen;

static int epoll;

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Nearest rank, in milliseconds. */
static double percentile(double share)
{
    size_t rank = (size_t)(share * (double)seen.ages_n + 0.999999);

    if (seen.ages_n == 0)
        return 0;
    return seen.ages[rank > 0 ? rank - 1 : 0] / 1e3;
}

static void note(const char *body, size_t n)
{
    const char *mark = memmem(body, n, MARK, sizeof MARK - 1);
    int64_t now = now_us(), then;

    if (mark == NULL) {
        seen.others++;
        return;
    }
    then = strtoll(mark + sizeof MARK - 1, NULL, 10); /* the buffer ends with a NUL */
    if (seen.events++ == 0)
        seen.first_us = now;
    seen.last_us = now;
    seen.bytes += n;
    if (seen.ages_n < MAX_AGES)
        seen.ages[seen.ages_n++] = now > then ? (uint32_t)(now - then) : 0;
}

static bool answer(int fd, const char *text, size_t n)
{
    return write(fd, text, n) ==
           (ssize_t)n; /* a few bytes into an empty socket buffer: whole or broken */
}

static bool answer_json(int fd, const char *body)
{
    char all[800];
    int n = snprintf(
        all, sizeof all,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);

    return answer(fd, all, (size_t)n);
}

static bool answer_count(int fd)
{
    char body[100];

    snprintf(body, sizeof body, "{\"events\":%llu,\"others\":%llu}",
             (unsigned long long)seen.events, (unsigned long long)seen.others);
    return answer_json(fd, body);
}

static bool answer_stats(int fd)
{
    char body[600];

    qsort(seen.ages, seen.ages_n, sizeof seen.ages[0], by_size);
    snprintf(
        body, sizeof body,
        "{\"events\":%llu,\"others\":%llu,\"bytes\":%llu,\"connections\":%llu,\"first_us\":%lld,\"last_us\":%lld,"
        "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
        (unsigned long long)seen.events, (unsigned long long)seen.others,
        (unsigned long long)seen.bytes, (unsigned long long)seen.connections,
        (long long)seen.first_us, (long long)seen.last_us, percentile(0.5), percentile(0.9),
        percentile(0.99), percentile(1));
    return answer_json(fd, body);
}

static void reset(void)
{
    seen.events = seen.others = seen.bytes = seen.connections = 0;
    seen.first_us = seen.last_us = 0;
    seen.ages_n = 0;
}

static bool starts(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

static bool serve(struct connection *c, const char *head, const char *body, size_t n)
{
    static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    if (starts(head, "GET /count "))
        return answer_count(c->fd);
    if (starts(head, "GET /stats "))
        return answer_stats(c->fd);
    if (starts(head, "POST /reset "))
        reset();
    else
        note(body, n);
    return answer(c->fd, fine, sizeof fine - 1);
}

/* Takes whole requests off the buffer. False: the connection is of no use any more. */
static bool take(struct connection *c)
{
    for (;;) {
        char *end = c->n > 0 ? strstr(c->buffer, "\r\n\r\n") : NULL;
        char *length;
        size_t head, whole;

        if (end == NULL)
            return c->n < BUFFER_BYTES;
        end[2] = '\0';
        length = strcasestr(c->buffer, "\r\nContent-Length:");
        end[2] = '\r';
        head = (size_t)(end - c->buffer) + 4;
        whole = head + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
        if (whole > BUFFER_BYTES)
            return false;
        if (c->n < whole)
            return true;
        if (!serve(c, c->buffer, c->buffer + head, whole - head))
            return false;
        memmove(c->buffer, c->buffer + whole, c->n - whole + 1);
        c->n -= whole;
    }
}

static bool grow(struct connection *c)
{
    size_t cap = c->cap == 0 ? FIRST_BYTES : c->cap * 2;
    char *more = cap <= 2 * BUFFER_BYTES ? realloc(c->buffer, cap) : NULL;

    if (more == NULL)
        return false;
    c->buffer = more;
    c->cap = cap;
    return true;
}

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->buffer);
    free(c);
}

static void on_data(struct connection *c)
{
    ssize_t n;

    if (c->cap - c->n < 2 && !grow(c)) {
        drop(c);
        return;
    }
    n = read(c->fd, c->buffer + c->n, c->cap - c->n - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        c->n += (size_t)n;
        c->buffer[c->n] = '\0';
    }
    if (n <= 0 || !take(c))
        drop(c);
}

static bool watch(int fd, bool listens)
{
    struct connection *c = calloc(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    if (c == NULL)
        return false;
    c->fd = fd;
    c->listens = listens;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void on_connect(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    seen.connections++;
    if (!watch(fd, false))
        close(fd);
}

/* A listener on a port that the system picks; the port, or 0. */
static int listen_any(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0 || !watch(fd, true))
        return 0;
    return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

    if (count < 1 || count > MAX_PORTS) {
        fprintf(stderr, "usage: sink COUNT (1 to %d listeners)\n", MAX_PORTS);
        return 2;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    printf("ready");
    for (long i = 0; i < count; i++) {
        int port = listen_any();

        if (port == 0) {
            fprintf(stderr, "sink: listener %ld: %s\n", i, strerror(errno));
            return 1;
        }
        printf(" %d", port);
    }
    printf("\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            if (c->listens)
                on_connect(c->fd);
            else
                on_data(c);
        }
    }
}
