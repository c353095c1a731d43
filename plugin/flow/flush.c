/*
 * flow/flush.c -- commits take tens of milliseconds, so they have a thread of their own; the push thread never waits for
 * one except when its partitions are taken away.
 *
 * Owns: the cursor producer. A flush belongs to the push thread, then to this one, then to the push thread again.
 */
#include "flow/flush.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/limits.h"
#include "core/log.h"
#include "flow/thread.h"

#define MAX_FLUSH_BYTES (256u << 20)

/* One record; its bytes lie one behind the other in the flush's buffer. */
struct entry {
    enum cdx_topic topic;
    int32_t partition;
    bool sticky, has_key, has_value;
    size_t at, key_n, value_n; /* key, value, then headers: name, value */
    size_t headers;            /* first of `heads` */
    size_t headers_n;
};

struct head {
    size_t name_n, value_n;
};

struct cdx_flush {
    struct cdx_buf bytes;
    struct entry *entries;
    size_t n, cap;
    struct head *heads;
    size_t heads_n, heads_cap;
    struct cdx_place *places; /* topics are set when it is committed */
    size_t places_n, places_cap;
};

struct cdx_flusher {
    struct cdx_bus *bus;           /* borrowed */
    struct cdx_producer *producer; /* owned; flush thread */
    pthread_t thread;
    bool started;
    int fd;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t cond;
    struct cdx_flush *todo, *done;
    const struct cdx_group *group;
    struct cdx_consumer *consumer;
    enum cdx_committed how;
    struct cdx_err err;
    bool busy, closing;
};

/* -- a flush ------------------------------------------------------------------------------------------------------ */

static void *grown(void *items, size_t n, size_t *cap, size_t size)
{
    void *more;

    if (n < *cap)
        return items;
    more = reallocarray(items, *cap == 0 ? 32 : *cap * 2, size);
    if (more != NULL)
        *cap = *cap == 0 ? 32 : *cap * 2;
    return more;
}

struct cdx_flush *cdx_flush_create(void)
{
    struct cdx_flush *flush = calloc(1, sizeof *flush);

    if (flush != NULL)
        cdx_buf_init(&flush->bytes, MAX_FLUSH_BYTES);
    return flush;
}

void cdx_flush_free(struct cdx_flush *flush)
{
    if (flush == NULL)
        return;
    cdx_buf_fini(&flush->bytes);
    free(flush->entries);
    free(flush->heads);
    free(flush->places);
    free(flush);
}

bool cdx_flush_empty(const struct cdx_flush *flush)
{
    return flush->n == 0 && flush->places_n == 0;
}

bool cdx_flush_add(struct cdx_flush *flush, const struct cdx_out *out, bool sticky)
{
    struct entry e = {out->topic,           out->partition, sticky,     out->key.p != NULL,
                      out->value.p != NULL, flush->bytes.n, out->key.n, out->value.n,
                      flush->heads_n,       out->headers_n};
    struct entry *entries = grown(flush->entries, flush->n, &flush->cap, sizeof *entries);

    if (entries == NULL)
        return false;
    flush->entries = entries;
    cdx_buf_add_text(&flush->bytes, out->key);
    cdx_buf_add_text(&flush->bytes, out->value);
    for (size_t i = 0; i < out->headers_n; i++) {
        struct head *heads = grown(flush->heads, flush->heads_n, &flush->heads_cap, sizeof *heads);
        if (heads == NULL)
            return false;
        flush->heads = heads;
        heads[flush->heads_n++] = (struct head){out->headers[i].name.n, out->headers[i].value.n};
        cdx_buf_add_text(&flush->bytes, out->headers[i].name);
        cdx_buf_add_text(&flush->bytes, out->headers[i].value);
    }
    if (flush->bytes.failed)
        return false;
    flush->entries[flush->n++] = e;
    return true;
}

bool cdx_flush_position(struct cdx_flush *flush, int32_t partition, int64_t offset)
{
    struct cdx_place *places =
        grown(flush->places, flush->places_n, &flush->places_cap, sizeof *places);

    if (places == NULL)
        return false;
    flush->places = places;
    places[flush->places_n++] = (struct cdx_place){NULL, partition, offset};
    return true;
}

/* The i-th record as it is to be produced; headers go to `headers`. */
static struct cdx_out record_of(const struct cdx_flush *flush, size_t i, struct cdx_header *headers)
{
    const struct entry *e = &flush->entries[i];
    const char *p = flush->bytes.p + e->at;
    struct cdx_out out = {e->topic,
                          e->partition,
                          cdx_text(e->has_key ? p : NULL, e->key_n),
                          cdx_text(e->has_value ? p + e->key_n : NULL, e->value_n),
                          headers,
                          e->headers_n,
                          0};

    p += e->key_n + e->value_n;
    for (size_t h = 0; h < e->headers_n; h++) {
        const struct head *head = &flush->heads[e->headers + h];
        headers[h] = (struct cdx_header){cdx_text(p, head->name_n),
                                         cdx_text(p + head->name_n, head->value_n)};
        p += head->name_n + head->value_n;
    }
    return out;
}

static size_t most_headers(const struct cdx_flush *flush)
{
    size_t most = 0;

    for (size_t i = 0; i < flush->n; i++)
        most = flush->entries[i].headers_n > most ? flush->entries[i].headers_n : most;
    return most;
}

bool cdx_flush_carry_over(struct cdx_flush *to, struct cdx_flush *from)
{
    struct cdx_flush all = {0};
    struct cdx_flush *const parts[] = {from, to};
    size_t a = most_headers(from), b = most_headers(to);
    struct cdx_header *headers = calloc((a > b ? a : b) + 1, sizeof *headers);
    bool ok = headers != NULL;

    cdx_buf_init(&all.bytes, MAX_FLUSH_BYTES);
    for (size_t k = 0; k < CDX_COUNT(parts); k++)
        for (size_t i = 0; ok && i < parts[k]->n; i++)
            if (parts[k]->entries[i].sticky || parts[k] == to) {
                struct cdx_out out = record_of(parts[k], i, headers);
                ok = cdx_flush_add(&all, &out, parts[k]->entries[i].sticky);
            }
    free(headers);
    if (!ok) {
        cdx_buf_fini(&all.bytes);
        free(all.entries);
        free(all.heads);
        return false;
    }
    cdx_buf_fini(&to->bytes);
    free(to->entries);
    free(to->heads);
    all.places = to->places;
    all.places_n = to->places_n;
    all.places_cap = to->places_cap;
    *to = all;
    return true;
}

/* -- the thread --------------------------------------------------------------------------------------------------- */

static enum cdx_committed commit(struct cdx_flusher *f, struct cdx_flush *flush,
                                 struct cdx_err *err)
{
    struct cdx_header *headers = calloc(most_headers(flush) + 1, sizeof *headers);
    enum cdx_code rc = headers == NULL ? cdx_fail(err, CDX_NOMEM, "flow: flush")
                                       : cdx_producer_begin(f->producer, err);

    if (rc != CDX_OK) {
        free(headers);
        return CDX_ABORTED;
    }
    for (size_t i = 0; rc == CDX_OK && i < flush->n; i++) {
        struct cdx_out out = record_of(flush, i, headers);
        rc = cdx_producer_send(f->producer, &out, err);
    }
    free(headers);
    if (rc != CDX_OK)
        return cdx_producer_abort(f->producer, err);
    for (size_t i = 0; i < flush->places_n; i++)
        flush->places[i].topic = cdx_bus_topic(f->bus, CDX_T_NOTIFICATIONS);
    return cdx_producer_commit(f->producer, flush->places, flush->places_n, f->group, f->consumer,
                               err);
}

static void *run(void *arg)
{
    static const uint64_t one = 1;
    struct cdx_flusher *f = arg;

    cdx_thread_name("cdx-flush");
    pthread_mutex_lock(&f->lock);
    while (!f->closing || f->todo != NULL) {
        struct cdx_flush *flush = f->todo;
        struct cdx_err err = {0};
        enum cdx_committed how;
        int64_t began;

        if (flush == NULL) {
            pthread_cond_wait(&f->cond, &f->lock);
            continue;
        }
        f->todo = NULL;
        pthread_mutex_unlock(&f->lock);
        began = cdx_mono_ms(&cdx_clock_system);
        how = commit(f, flush, &err);
        cdx_observe_ms(CDX_H_FLUSH, cdx_mono_ms(&cdx_clock_system) - began);
        cdx_thread_cpu(CDX_C_CPU_FLUSH_US);
        pthread_mutex_lock(&f->lock);
        f->done = flush;
        f->how = how;
        f->err = err;
        pthread_cond_broadcast(&f->cond);
        if (write(f->fd, &one, sizeof one) < 0 && errno != EAGAIN)
            cdx_log(CDX_ERROR, "flush.wake", "eventfd", CDX_KN("errno", errno));
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

struct cdx_flusher *cdx_flusher_create(struct cdx_bus *bus, struct cdx_err *err)
{
    struct cdx_flusher *f = calloc(1, sizeof *f);

    if (f == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: flusher");
        return NULL;
    }
    f->bus = bus;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->cond, NULL);
    f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    f->producer = cdx_producer_create(bus, "push", true, err);
    if (f->producer != NULL && f->fd >= 0 && pthread_create(&f->thread, NULL, run, f) == 0) {
        f->started = true;
        return f;
    }
    cdx_fail(err, CDX_NOMEM, "flow: flush thread");
    cdx_flusher_destroy(f);
    return NULL;
}

void cdx_flusher_begin(struct cdx_flusher *f, struct cdx_flush *flush,
                       const struct cdx_group *group, struct cdx_consumer *consumer)
{
    pthread_mutex_lock(&f->lock);
    f->todo = flush;
    f->group = group;
    f->consumer = consumer;
    f->busy = true;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

bool cdx_flusher_busy(const struct cdx_flusher *f)
{
    return f->busy; /* push thread only: begin and take are its calls */
}

int cdx_flusher_fd(const struct cdx_flusher *f)
{
    return f->fd;
}

struct cdx_flush *cdx_flusher_take(struct cdx_flusher *f, bool wait, enum cdx_committed *how,
                                   struct cdx_err *err)
{
    struct cdx_flush *flush;
    uint64_t counter;

    if (read(f->fd, &counter, sizeof counter) < 0 && errno != EAGAIN)
        cdx_log(CDX_ERROR, "flush.wake", "eventfd", CDX_KN("errno", errno));
    pthread_mutex_lock(&f->lock);
    while (wait && f->busy && f->done == NULL)
        pthread_cond_wait(&f->cond, &f->lock);
    flush = f->done;
    f->done = NULL;
    if (flush != NULL) {
        f->busy = false;
        *how = f->how;
        *err = f->err;
    }
    pthread_mutex_unlock(&f->lock);
    return flush;
}

void cdx_flusher_destroy(struct cdx_flusher *f)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
    if (f->started)
        pthread_join(f->thread, NULL);
    cdx_flush_free(f->todo);
    cdx_flush_free(f->done);
    cdx_producer_destroy(f->producer);
    if (f->fd >= 0)
        close(f->fd);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->cond);
    free(f);
}
