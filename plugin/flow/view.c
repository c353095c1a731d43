/*
 * flow/view.c -- who has ordered what, and who is a member of whom: followed from Kafka, compiled aside, swapped in.
 *
 * In:    cdex.subscriptions and cdex.rosters, all partitions, from their beginning.
 * Out:   an immutable index (counted), the rosters, the changes for owners of log partitions, and `fresh`: the instant
 *        as of which all of that is complete.
 * Hard:  stage 1 may only log with a view younger than the least time from a resource record to `active` (recovery.md
 *        C6), so the age must be known exactly. It is the time at which the ends of the partitions were asked for, once
 *        everything up to those ends has been applied and swapped in; a position at an end alone says nothing about now.
 * Not:   one consumer group for it: every process needs all of it.
 */
#include "flow/view.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "flow/thread.h"
#include "model/conf.h"

#define ASK_ENDS_MS 200
#define FETCH_WAIT_MS 50 /* the question for the ends waits behind the fetch that is out */
#define STALE_MS 2000    /* an age worth a line: stage 1 waits for a fresh view */
#define BUILD_AT 20000   /* changes that are gathered at most before an index is built */

struct names {
    char **items; /* owned strings */
    size_t n, cap;
};

struct cdx_view {
    const struct cdx_conf *conf;   /* borrowed */
    struct cdx_bus *bus;           /* borrowed */
    const struct cdx_clock *clock; /* borrowed */
    struct cdx_definitions *defs;  /* owned */
    struct cdx_rosters *rosters;   /* owned; own lock */
    pthread_t thread;
    bool started;
    atomic_bool closing, own_files, reload;
    _Atomic int64_t fresh, beat;
    int fd;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t cond;  /* fresh has moved */
    struct cdx_topics *topics;
    struct cdx_index *index;
    struct cdx_subs subs;
    struct names changed; /* for the owner of log partitions */

    /* view thread only */
    struct cdx_consumer *reader;
    struct cdx_place *places; /* positions reached; topics borrowed from the bus */
    size_t places_n;
    int32_t partitions, roster_partitions;
    struct names unbuilt;  /* for the index */
    struct cdx_map closes; /* struct cdx_roster_close */
    int64_t applied_version;
    bool apply_wanted;
};

/* -- small things ------------------------------------------------------------------------------------------------- */

static bool names_add(struct names *names, const char *id)
{
    if (names->n == names->cap) {
        size_t cap = names->cap == 0 ? 16 : names->cap * 2;
        char **items = reallocarray(names->items, cap, sizeof *items);
        if (items == NULL)
            return false;
        names->items = items;
        names->cap = cap;
    }
    names->items[names->n] = strdup(id);
    return names->items[names->n] != NULL && ++names->n > 0;
}

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_unique(struct names *names)
{
    size_t k = 0;

    if (names->n > 1)
        qsort(names->items, names->n, sizeof *names->items, by_name);
    for (size_t i = 0; i < names->n; i++)
        if (k == 0 || strcmp(names->items[k - 1], names->items[i]) != 0)
            names->items[k++] = names->items[i];
        else
            free(names->items[i]);
    names->n = k;
}

uint32_t cdx_view_client_roster(struct cdx_view *view, const char *client)
{
    const struct cdx_client *c = cdx_conf_client(view->conf, client);

    if (c == NULL || c->roster == NULL || c->roster[0] == '\0')
        return CDX_ROSTER_NONE;
    if (strcmp(c->roster, "*") == 0)
        return CDX_ROSTER_ALL;
    return cdx_rosters_id(view->rosters, cdx_text_z(c->roster));
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

static struct cdx_topics *load_topics(struct cdx_view *view, struct cdx_err *err)
{
    struct cdx_topics *topics = cdx_topics_create(view->defs, err);
    char **files = NULL;
    size_t n = 0;
    enum cdx_code rc =
        topics == NULL ? CDX_NOMEM
                       : cdx_conf_glob(view->conf->topics, view->conf->topics_n, &files, &n, err);

    for (size_t i = 0; rc == CDX_OK && i < n; i++) {
        size_t bytes;
        char *text = cdx_file_read(files[i], CDX_MAX_SUBSCRIPTION_BYTES, &bytes, err);
        rc = text == NULL ? CDX_CONFIG
                          : cdx_topics_add(topics, cdx_text(text, bytes), files[i], err);
        free(text);
    }
    cdx_strings_free(files, n);
    if (rc == CDX_OK)
        return topics;
    cdx_topics_unref(topics);
    return NULL;
}

static struct cdx_definitions *load_definitions(const struct cdx_conf *conf, struct cdx_err *err)
{
    struct cdx_definitions *defs = NULL;
    char *dir = NULL;

    for (size_t i = 0; defs == NULL && i < conf->mappings_n; i++) {
        free(dir);
        if (asprintf(&dir, "%s/r4", conf->mappings[i]) < 0)
            dir = NULL;
        if (dir != NULL && access(dir, R_OK) == 0)
            defs = cdx_definitions_load(dir, err);
    }
    if (defs == NULL)
        cdx_fail(err, CDX_CONFIG,
                 "mappings: no folder with r4/search-r4.csv; name the project's mappings folder");
    free(dir);
    return defs;
}

/* -- making and ending -------------------------------------------------------------------------------------------- */

struct cdx_view *cdx_view_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                 const struct cdx_clock *clock, struct cdx_err *err)
{
    struct cdx_view *view = calloc(1, sizeof *view);

    if (view == NULL) {
        cdx_fail(err, CDX_NOMEM, "flow: view");
        return NULL;
    }
    view->conf = conf;
    view->bus = bus;
    view->clock = clock;
    view->fresh = INT64_MIN;
    view->applied_version = -1;
    view->apply_wanted = true;
    view->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&view->lock, NULL);
    cdx_cond_init(&view->cond);
    view->defs = load_definitions(conf, err);
    view->rosters = cdx_rosters_create(err);
    view->topics = view->defs != NULL ? load_topics(view, err) : NULL;
    view->index =
        view->topics != NULL ? cdx_index_make(NULL, view->topics, NULL, 0, NULL, 0, err) : NULL;
    if (view->index != NULL && view->rosters != NULL && view->fd >= 0)
        return view;
    cdx_fail(err, CDX_NOMEM, "flow: view");
    cdx_view_destroy(view);
    return NULL;
}

static void closes_fini(struct cdx_map *closes)
{
    size_t i = 0;
    struct cdx_roster_close *c;

    while ((c = cdx_map_next(closes, &i)) != NULL) {
        free(c->name);
        free(c);
    }
    cdx_map_fini(closes);
}

void cdx_view_destroy(struct cdx_view *view)
{
    if (view == NULL)
        return;
    cdx_consumer_destroy(view->reader);
    cdx_index_unref(view->index);
    cdx_topics_unref(view->topics);
    cdx_definitions_destroy(view->defs);
    cdx_rosters_destroy(view->rosters);
    cdx_subs_fini(&view->subs);
    names_fini(&view->changed);
    names_fini(&view->unbuilt);
    closes_fini(&view->closes);
    free(view->places);
    if (view->fd >= 0)
        close(view->fd);
    pthread_cond_destroy(&view->cond);
    pthread_mutex_destroy(&view->lock);
    free(view);
}

/* -- applying records --------------------------------------------------------------------------------------------- */

static void apply_subscription(struct cdx_view *view, const struct cdx_record *rec)
{
    struct cdx_err err = {0};
    struct cdx_sub_entry *entry = NULL;
    bool fine = true;

    if (cdx_text_is(rec->key, CDX_APPLIED_KEY)) {
        json_auto_t *v =
            rec->value.p != NULL ? json_loadb(rec->value.p, rec->value.n, 0, NULL) : NULL;
        view->applied_version = v != NULL ? json_integer_value(json_object_get(v, "version")) : -1;
        return;
    }
    pthread_mutex_lock(&view->lock);
    if (cdx_subs_apply(&view->subs, rec->key, rec->value, rec->offset, rec->timestamp_ms, &entry,
                       &err) != CDX_OK)
        cdx_log(CDX_WARN, "view.subscription", err.text, CDX_KT("key", rec->key),
                CDX_KN("partition", rec->partition), CDX_KN("offset", rec->offset));
    if (entry != NULL)
        fine = names_add(&view->changed, entry->id) && names_add(&view->unbuilt, entry->id);
    pthread_mutex_unlock(&view->lock);
    if (!fine)
        cdx_log(CDX_ERROR, "view.memory",
                "out of memory while reading subscriptions; restart with more",
                CDX_KN("offset", rec->offset));
}

/* A closing record is kept for the applier of files; the store judges it too. */
static void apply_close(struct cdx_view *view, const struct cdx_record *rec)
{
    struct cdx_text name = cdx_text(rec->key.p, rec->key.n - 1);
    struct cdx_roster_close *c = cdx_map_take(&view->closes, name);
    json_auto_t *v = rec->value.p != NULL ? json_loadb(rec->value.p, rec->value.n, 0, NULL) : NULL;
    const char *hash;

    if (c != NULL) {
        free(c->name);
        free(c);
    }
    c = v != NULL ? calloc(1, sizeof *c) : NULL;
    if (c == NULL)
        return;
    c->name = strndup(name.p, name.n);
    hash = json_string_value(json_object_get(v, "hash"));
    snprintf(c->hash, sizeof c->hash, "%s", hash != NULL ? hash : "");
    c->from_file = json_string_value(json_object_get(v, "source")) != NULL;
    if (c->name == NULL || !cdx_map_put(&view->closes, cdx_text_z(c->name), c)) {
        free(c->name);
        free(c);
    }
}

static void apply_roster(struct cdx_view *view, const struct cdx_record *rec)
{
    struct cdx_err err = {0};

    if (cdx_rosters_apply(view->rosters, rec->key, rec->value, cdx_wall_ms(view->clock), &err) !=
        CDX_OK)
        cdx_log(CDX_WARN, "view.roster", err.text, CDX_KN("partition", rec->partition),
                CDX_KN("offset", rec->offset));
    if (rec->key.n > 1 && rec->key.p[rec->key.n - 1] == '#')
        apply_close(view, rec);
}

static void apply(struct cdx_view *view, const struct cdx_record *rec)
{
    if (rec->key.p == NULL)
        return;
    if (cdx_text_is(rec->topic, cdx_bus_topic(view->bus, CDX_T_SUBSCRIPTIONS)))
        apply_subscription(view, rec);
    else
        apply_roster(view, rec);
}

/* -- the index ---------------------------------------------------------------------------------------------------- */

/* Puts one subscription on the list of additions or of removals. */
static void sort_out(struct cdx_view *view, struct cdx_topics *topics, const char *id,
                     struct cdx_index_put *put, size_t *put_n, const char **gone, size_t *gone_n)
{
    struct cdx_sub_entry *e = cdx_map_get(&view->subs.by_id, cdx_text_z(id));
    struct cdx_err err = {0};

    if (e != NULL && e->sub != NULL && cdx_sub_logs(e)) {
        if (cdx_topics_accepts(topics, e->sub, &err) == CDX_OK) {
            free(e->refused);
            e->refused = NULL;
            put[(*put_n)++] =
                (struct cdx_index_put){e->sub, cdx_view_client_roster(view, e->sub->client)};
            return;
        }
        if (e->refused == NULL || strcmp(e->refused, err.text) != 0) {
            free(e->refused);
            e->refused = strdup(err.text);
            names_add(&view->changed, id);
            cdx_log(CDX_WARN, "view.refused", err.text, CDX_KV("subscription", id));
        }
    }
    gone[(*gone_n)++] = id;
}

/* Takes what has changed into a new index; `fresh` topics: into an empty one. */
static bool build(struct cdx_view *view, struct cdx_topics *new_topics)
{
    struct cdx_err err = {0};
    struct cdx_index *index = NULL;
    struct cdx_index_put *put;
    const char **gone;
    size_t put_n = 0, gone_n = 0, i = 0, n;
    struct cdx_sub_entry *e;

    pthread_mutex_lock(&view->lock);
    if (new_topics != NULL) {
        names_fini(&view->unbuilt);
        while ((e = cdx_map_next(&view->subs.by_id, &i)) != NULL)
            names_add(&view->unbuilt, e->id);
    }
    names_unique(&view->unbuilt);
    n = view->unbuilt.n;
    put = calloc(n + 1, sizeof *put);
    gone = calloc(n + 1, sizeof *gone);
    for (i = 0; put != NULL && gone != NULL && i < n; i++)
        sort_out(view, new_topics != NULL ? new_topics : view->topics, view->unbuilt.items[i], put,
                 &put_n, gone, &gone_n);
    if (put != NULL && gone != NULL)
        index = cdx_index_make(new_topics != NULL ? NULL : view->index,
                               new_topics != NULL ? new_topics : view->topics, put, put_n, gone,
                               gone_n, &err);
    if (index != NULL) {
        cdx_index_unref(view->index);
        view->index = index;
        if (new_topics != NULL) {
            cdx_topics_unref(view->topics);
            view->topics = cdx_topics_ref(new_topics);
        }
        names_fini(&view->unbuilt);
    }
    pthread_mutex_unlock(&view->lock);
    free(put);
    free(gone);
    if (index == NULL)
        cdx_log(CDX_ERROR, "view.index", err.text, CDX_KN("changes", n));
    return index != NULL;
}

static void tell_owner(struct cdx_view *view)
{
    static const uint64_t one = 1;
    bool some;

    pthread_mutex_lock(&view->lock);
    some = view->changed.n > 0;
    pthread_mutex_unlock(&view->lock);
    if (some && write(view->fd, &one, sizeof one) < 0 && errno != EAGAIN)
        cdx_log(CDX_ERROR, "view.wake", "eventfd", CDX_KN("errno", errno));
}

/* -- the thread --------------------------------------------------------------------------------------------------- */

static bool open_reader(struct cdx_view *view, struct cdx_err *err)
{
    const char *subs = cdx_bus_topic(view->bus, CDX_T_SUBSCRIPTIONS),
               *rosters = cdx_bus_topic(view->bus, CDX_T_ROSTERS);

    if (view->reader == NULL)
        view->reader =
            cdx_consumer_open(view->bus, "view", (struct cdx_prefetch){8192, FETCH_WAIT_MS}, err);
    if (view->reader == NULL)
        return false;
    view->partitions = cdx_consumer_partitions(view->reader, subs, err);
    view->roster_partitions =
        view->partitions > 0 ? cdx_consumer_partitions(view->reader, rosters, err) : 0;
    if (view->roster_partitions == 0)
        return false;
    view->places_n = (size_t)(view->partitions + view->roster_partitions);
    view->places = calloc(view->places_n, sizeof *view->places);
    for (int32_t p = 0; view->places != NULL && p < (int32_t)view->places_n; p++)
        view->places[p] = p < view->partitions
                              ? (struct cdx_place){subs, p, CDX_BEGINNING}
                              : (struct cdx_place){rosters, p - view->partitions, CDX_BEGINNING};
    return view->places != NULL &&
           cdx_consumer_assign(view->reader, view->places, view->places_n, err) == CDX_OK;
}

static struct cdx_place *place_of(struct cdx_view *view, const struct cdx_record *rec)
{
    bool subs = cdx_text_is(rec->topic, view->places[0].topic);
    size_t i = (size_t)rec->partition + (subs ? 0 : (size_t)view->partitions);

    return i < view->places_n ? &view->places[i] : NULL;
}

/* Applies what is there, for at most one build's worth. Returns records applied; -1: the client must end. */
static int drain(struct cdx_view *view, int timeout_ms)
{
    struct cdx_err err = {0};
    struct cdx_message m;
    int n = 0;

    while (n < BUILD_AT) {
        enum cdx_polled what = cdx_consumer_poll(view->reader, n == 0 ? timeout_ms : 0, &m, &err);
        struct cdx_place *p;

        if (what == CDX_POLL_NOTHING || what == CDX_POLL_FATAL)
            return what == CDX_POLL_FATAL ? -1 : n;
        p = place_of(view, &m.rec);
        if (what == CDX_POLL_OUT_OF_RANGE) {
            cdx_log(CDX_ERROR, "view.replaced",
                    "a topic was replaced while it was followed: restart all processes",
                    CDX_KT("topic", m.rec.topic), CDX_KN("partition", m.rec.partition));
            continue;
        }
        if (what == CDX_POLL_RECORD) {
            apply(view, &m.rec);
            n++;
        }
        if (p != NULL)
            p->offset = m.rec.offset + (what == CDX_POLL_RECORD);
        cdx_message_done(&m);
    }
    return n;
}

/* Are all positions at or beyond `ends`? */
static bool reached(const struct cdx_view *view, const struct cdx_place *ends)
{
    for (size_t i = 0; i < view->places_n; i++)
        if (view->places[i].offset < ends[i].offset && ends[i].offset > 0)
            return false;
    return true;
}

static void set_fresh(struct cdx_view *view, int64_t ms)
{
    if (view->fresh == INT64_MIN)
        cdx_log(CDX_INFO, "view.loaded", "", CDX_KN("subscriptions", view->subs.by_id.used),
                CDX_KN("index", cdx_index_count(view->index)));
    pthread_mutex_lock(&view->lock);
    view->fresh = ms;
    pthread_cond_broadcast(&view->cond);
    pthread_mutex_unlock(&view->lock);
}

static void reload_topics(struct cdx_view *view)
{
    struct cdx_err err = {0};
    struct cdx_topics *topics = load_topics(view, &err);

    if (topics == NULL) {
        cdx_log(CDX_ERROR, "view.topics", err.text,
                CDX_KV("kept", "the topics that were loaded before"));
        return;
    }
    if (build(view, topics))
        cdx_log(CDX_INFO, "view.topics", "topics were read again",
                CDX_KN("topics", cdx_topics_count(topics)));
    cdx_topics_unref(topics);
}

static void apply_files(struct cdx_view *view)
{
    struct cdx_err err = {0};
    struct cdx_files files = {view->conf,       view->bus,
                              &view->subs,      view->rosters,
                              &view->closes,    view->applied_version,
                              view->partitions, view->roster_partitions};

    if (cdx_files_apply(&files, &err) == CDX_OK)
        view->apply_wanted = false;
    else
        cdx_log(CDX_WARN, "files.again", err.text, CDX_KN("again_in_ms", 1000));
}

static void *run(void *arg)
{
    struct cdx_view *view = arg;
    struct cdx_err err = {0};
    struct cdx_place *ends = NULL;
    int64_t asked = INT64_MIN, last_ask = 0, last_apply = INT64_MIN;
    bool behind = false;

    cdx_thread_name("cdx-view");
    while (!view->closing && !open_reader(view, &err)) {
        view->beat = cdx_mono_ms(view->clock);
        cdx_log(CDX_WARN, "view.open", err.text, CDX_KN("again_in_ms", 1000));
        err = (struct cdx_err){0};
        cdx_thread_pause(&view->closing, 1000);
    }
    ends = view->places_n > 0 ? calloc(view->places_n, sizeof *ends) : NULL;
    while (!view->closing && ends != NULL) {
        int64_t now = cdx_mono_ms(view->clock);

        view->beat = now;
        if (!behind && now - last_ask >= ASK_ENDS_MS) {
            last_ask = now;
            memcpy(ends, view->places, view->places_n * sizeof *ends);
            err = (struct cdx_err){0};
            if (cdx_consumer_ends(view->reader, ends, view->places_n, 2000, &err) == CDX_OK)
                asked = now, behind = true;
            else if (view->fresh != INT64_MIN && now - view->fresh > STALE_MS)
                cdx_log(CDX_WARN, "view.stale", err.text, CDX_KN("age_ms", now - view->fresh));
            cdx_rosters_tick(view->rosters, cdx_wall_ms(view->clock));
            cdx_thread_cpu(CDX_C_CPU_VIEW_US);
        }
        if (drain(view, behind ? 20 : 50) < 0)
            break;
        if (view->unbuilt.n > 0)
            build(view, NULL);
        tell_owner(view);
        if (behind && view->unbuilt.n == 0 && reached(view, ends)) {
            behind = false;
            set_fresh(view, asked);
        }
        if (atomic_exchange(&view->reload, false)) {
            reload_topics(view);
            view->apply_wanted = true;
            last_apply = INT64_MIN;
        }
        if (view->own_files && view->apply_wanted && !behind && now - 1000 > last_apply) {
            last_apply = now;
            apply_files(view);
        }
    }
    free(ends);
    return NULL;
}

enum cdx_code cdx_view_start(struct cdx_view *view, struct cdx_err *err)
{
    if (pthread_create(&view->thread, NULL, run, view) != 0)
        return cdx_fail(err, CDX_NOMEM, "flow: view thread");
    view->started = true;
    return CDX_OK;
}

void cdx_view_close(struct cdx_view *view)
{
    view->closing = true;
    pthread_mutex_lock(&view->lock);
    pthread_cond_broadcast(&view->cond);
    pthread_mutex_unlock(&view->lock);
}

void cdx_view_join(struct cdx_view *view)
{
    if (view->started)
        pthread_join(view->thread, NULL);
    view->started = false;
}

/* -- readers ------------------------------------------------------------------------------------------------------ */

struct cdx_index *cdx_view_index(struct cdx_view *view)
{
    struct cdx_index *index;

    pthread_mutex_lock(&view->lock);
    index = cdx_index_ref(view->index);
    pthread_mutex_unlock(&view->lock);
    return index;
}

struct cdx_topics *cdx_view_topics(struct cdx_view *view)
{
    struct cdx_topics *topics;

    pthread_mutex_lock(&view->lock);
    topics = cdx_topics_ref(view->topics);
    pthread_mutex_unlock(&view->lock);
    return topics;
}

struct cdx_rosters *cdx_view_rosters(struct cdx_view *view)
{
    return view->rosters;
}

int64_t cdx_view_fresh_ms(const struct cdx_view *view)
{
    return view->fresh;
}

int64_t cdx_view_beat_ms(const struct cdx_view *view)
{
    return view->beat;
}

bool cdx_view_wait_fresh(struct cdx_view *view, int64_t since_ms, int64_t timeout_ms)
{
    int64_t until = cdx_mono_ms(view->clock) + timeout_ms;
    bool fresh;

    pthread_mutex_lock(&view->lock);
    while (view->fresh < since_ms && !view->closing && cdx_mono_ms(view->clock) < until)
        cdx_cond_wait_until(&view->cond, &view->lock, until);
    fresh = view->fresh >= since_ms;
    pthread_mutex_unlock(&view->lock);
    return fresh;
}

static void hand_over(const struct cdx_sub_entry *e,
                      void (*each)(void *arg, const struct cdx_order *order), void *arg)
{
    struct cdx_order order = {e->id, e->sub, e->refused, e->has_status ? &e->status : NULL};

    each(arg, &order);
}

void cdx_view_each(struct cdx_view *view, int32_t partition,
                   void (*each)(void *arg, const struct cdx_order *order), void *arg)
{
    size_t i = 0;
    struct cdx_sub_entry *e;

    pthread_mutex_lock(&view->lock);
    while ((e = cdx_map_next(&view->subs.by_id, &i)) != NULL)
        if (e->sub != NULL && e->sub->partition == partition)
            hand_over(e, each, arg);
    pthread_mutex_unlock(&view->lock);
}

void cdx_view_changes(struct cdx_view *view, void (*each)(void *arg, const struct cdx_order *order),
                      void *arg)
{
    struct names changed;
    uint64_t counter;

    if (read(view->fd, &counter, sizeof counter) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&view->lock);
    changed = view->changed;
    view->changed = (struct names){0};
    names_unique(&changed);
    for (size_t i = 0; i < changed.n; i++) {
        struct cdx_sub_entry *e = cdx_map_get(&view->subs.by_id, cdx_text_z(changed.items[i]));
        if (e != NULL)
            hand_over(e, each, arg);
    }
    pthread_mutex_unlock(&view->lock);
    names_fini(&changed);
}

int cdx_view_fd(const struct cdx_view *view)
{
    return view->fd;
}

void cdx_view_own_files(struct cdx_view *view, bool own)
{
    if (own && !view->own_files)
        view->reload = true;
    view->own_files = own;
}

void cdx_view_reload(struct cdx_view *view)
{
    view->reload = true;
}
