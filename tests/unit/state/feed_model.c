/*
 * tests/unit/state/feed_model.c -- do the rules of state/feed.h hold whatever happens, in whatever order?
 *
 * An explicit-state search: breadth first over every state that a small log, one or two owners, their flushes and a
 * budget of faults can reach. The steps of an owner are the real functions of feed.c; the log, the group, the flush
 * transaction and the endpoint are simulated around them. Each state is checked as it is made (invariants I1, I2, I4,
 * I5, I7 of recovery.md 3), and on the finished graph every state must have a way without faults to a state in which
 * everything is delivered (I3).
 *
 * The second half removes one rule at a time, here in the driver, and expects the search to find the loss, the repeat
 * or the wrong number that recovery.md 2 says the rule prevents: a search that finds nothing proves nothing otherwise.
 *
 * What stands beside the protocol's own search (recovery.md 4): requests in flight of several events, chunks, marks,
 * memory taken back during a request, a replaced log.
 */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "state/feed.h"

#define OWNERS 2
#define SUBS 2
#define LOG_MAX 6
#define MARKS_MAX 8
#define STATE_BYTES 512
#define NOBODY 7
#define MARK_EVERY 2 /* so that five events have marks, and records behind the last one */
#define WINDOW 1
#define MAX_STATES 900000u

/* -- what is searched --------------------------------------------------------------------------------------------- */

struct faults {
    int64_t crash, zombie, retain, noack, down, replace;
};

struct config {
    const char *name;
    const char *log; /* the subscription of each record: "010" */
    int64_t first;   /* records that are there from the beginning */
    uint32_t queue, chunk, batch;
    struct faults faults;
};

/* The rules that the driver can remove. */
enum broken {
    NONE,
    NEXT_LAGS,
    COUNTED,
    COUNT_LAGGING,
    FLUSH_ALL,
    ATOMIC_FLUSH,
    FENCE,
    STABLE_WAIT,
    SCAN_BEHIND_LIVE,
    SCAN_BELOW_J,
    JOIN_POSITION,
    JOIN_CHUNK,
    OVERFLOW_LAGS,
    ACK_BEFORE_PASS,
    KEEP_SENDING,
    GAP_BY_NUMBER,
    GAP_COUNT_BACK,
    GAP_BELOW_QUEUE,
    GAP_CHUNK,
    OUT_OF_RANGE,
    JUMP,
    JUMP_TO_END,
    JUMP_ACKED,
    JUMP_IN_FLUSH,
    REPLACED,
};

struct saved {
    struct cdx_cursor c;
    struct cdx_mark marks[MARKS_MAX];
};

/* loaded: LOADING; RUNNING; HELD: a jump is not in a flush yet; HELD_FLUSHED: it is, and not committed yet */
enum { LOADING, RUNNING, HELD, HELD_FLUSHED };
enum { NO_FLUSH, BEGUN, ACCEPTED };

struct owner {
    int64_t there, loaded, position;
    struct cdx_feed feeds[SUBS];
    int64_t flush, flush_position, flush_has[SUBS];
    struct saved flush_cursor[SUBS];
};

struct world {
    int64_t end, start, assigned, jumped, replacing,
        position; /* position: the committed checkpoint */
    struct faults left;
    struct saved cursor[SUBS]; /* committed */
    struct owner owners[OWNERS];
    int64_t arrived_n[SUBS], arrived[SUBS][LOG_MAX * 2][2]; /* first arrivals: number, offset */
    int64_t gaps[SUBS]; /* bit n: number n was reported as gone */
    int64_t safe[SUBS]; /* newest persisted `delivered` */
    int64_t base[SUBS]; /* numbers used up when the log was replaced */
};

struct edge {
    uint32_t from, next;
};

struct search {
    const struct config *conf;
    enum broken broken;
    int64_t log[LOG_MAX], log_n, subs, truth[LOG_MAX];
    const char *violated; /* the invariant, or NULL */
    uint32_t at;          /* where: the state, and the step from it */
    uint16_t step;
    char what[160];
    /* states */
    unsigned char *bytes;
    size_t bytes_n, bytes_cap;
    size_t *where; /* state -> its bytes; one more entry closes the last */
    uint32_t *parent, *edges_of, n, cap;
    uint16_t *step_of;
    bool *good;
    uint32_t *table, table_n;
    struct edge *edges;
    uint32_t edges_n, edges_cap;
};

static char tokens[LOG_MAX]; /* record at offset o is &tokens[o] */

static void drop_nothing(void *rec)
{
    (void)rec;
}

static void violate(struct search *s, const char *rule, const char *what, int64_t sub,
                    int64_t number, int64_t offset)
{
    if (s->violated != NULL)
        return;
    s->violated = rule;
    snprintf(s->what, sizeof s->what, "%s: subscription %lld, number %lld, offset %lld", what,
             (long long)sub, (long long)number, (long long)offset);
}

/* -- a state as bytes and back ------------------------------------------------------------------------------------ */

struct tape {
    unsigned char *p;
    bool writing;
};

static void io(struct tape *t, int64_t *v)
{
    if (t->writing)
        *t->p = (unsigned char)(*v + 2);
    else
        *v = (int64_t)*t->p - 2;
    t->p++;
}

static void io_u32(struct tape *t, uint32_t *v)
{
    int64_t wide = *v;

    io(t, &wide);
    *v = (uint32_t)wide;
}

static void io_bool(struct tape *t, bool *v)
{
    int64_t wide = *v;

    io(t, &wide);
    *v = wide != 0;
}

static void io_mask(struct tape *t, int64_t *v)
{
    memcpy(t->writing ? (void *)t->p : (void *)v, t->writing ? (void *)v : (void *)t->p, sizeof *v);
    t->p += sizeof *v;
}

static void io_items(struct tape *t, struct cdx_items *items)
{
    uint32_t n = items->n;

    io_u32(t, &n);
    if (!t->writing) {
        *items = (struct cdx_items){.cap = n != 0 ? 8 : 0, .n = n, .bytes = n};
        items->ring = n != 0 ? calloc(8, sizeof *items->ring) : NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct cdx_item *item = &items->ring[(items->head + i) & (items->cap - 1)];

        io(t, &item->offset);
        io(t, &item->number);
        item->bytes = 1;
        item->rec = &tokens[item->offset];
    }
}

static void io_marks(struct tape *t, struct cdx_mark *marks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        io(t, &marks[i].number);
        io(t, &marks[i].offset);
    }
}

static void io_feed(struct tape *t, struct cdx_feed *f)
{
    io(t, &f->delivered);
    io(t, &f->counted_offset);
    io(t, &f->counted_number);
    io_bool(t, &f->live);
    io_bool(t, &f->dirty);
    if (t->writing && f->live)
        f->scan = 0; /* means nothing while live */
    io(t, &f->scan);
    io(t, &f->join);
    io_u32(t, &f->sending);
    io_items(t, &f->queue);
    io_items(t, &f->chunk);
    io_u32(t, &f->marks_n);
    if (!t->writing) {
        f->marks = f->marks_n != 0 ? calloc(f->marks_n, sizeof *f->marks) : NULL;
        f->mark_every = MARK_EVERY;
        f->drop = drop_nothing;
    }
    io_marks(t, f->marks, f->marks_n);
}

static void io_saved(struct tape *t, struct saved *saved)
{
    uint32_t n = (uint32_t)saved->c.marks_n;

    io(t, &saved->c.delivered);
    io(t, &saved->c.next_offset);
    io(t, &saved->c.next_number);
    io(t, &saved->c.counted_offset);
    io(t, &saved->c.counted_number);
    io_u32(t, &n);
    io_marks(t, saved->marks, n);
    saved->c.marks_n = n;
}

static void io_owner(struct tape *t, struct owner *o, int64_t subs)
{
    io(t, &o->there);
    if (o->there == 0)
        return;
    io(t, &o->loaded);
    io(t, &o->position);
    io(t, &o->flush);
    for (int64_t s = 0; s < subs; s++) {
        if (o->loaded != LOADING)
            io_feed(t, &o->feeds[s]);
        if (o->flush == NO_FLUSH)
            continue;
        io(t, &o->flush_has[s]);
        if (o->flush_has[s])
            io_saved(t, &o->flush_cursor[s]);
    }
    if (o->flush != NO_FLUSH)
        io(t, &o->flush_position);
}

static void io_world(struct tape *t, struct world *w, int64_t subs)
{
    io(t, &w->end);
    io(t, &w->start);
    io(t, &w->assigned);
    io(t, &w->jumped);
    io(t, &w->replacing);
    io(t, &w->position);
    io(t, &w->left.crash);
    io(t, &w->left.zombie);
    io(t, &w->left.retain);
    io(t, &w->left.noack);
    io(t, &w->left.down);
    io(t, &w->left.replace);
    for (int64_t s = 0; s < subs; s++) {
        io_saved(t, &w->cursor[s]);
        io(t, &w->arrived_n[s]);
        for (int64_t i = 0; i < w->arrived_n[s]; i++) {
            io(t, &w->arrived[s][i][0]);
            io(t, &w->arrived[s][i][1]);
        }
        io_mask(t, &w->gaps[s]);
        io(t, &w->safe[s]);
        io(t, &w->base[s]);
    }
    for (int i = 0; i < OWNERS; i++)
        io_owner(t, &w->owners[i], subs);
}

static void leave(struct search *s, struct owner *o)
{
    if (o->there && o->loaded != LOADING)
        for (int64_t sub = 0; sub < s->subs; sub++)
            cdx_feed_fini(&o->feeds[sub]);
    memset(o, 0, sizeof *o);
}

static void free_world(struct search *s, struct world *w)
{
    for (int i = 0; i < OWNERS; i++)
        leave(s, &w->owners[i]);
}

/* -- the steps: each checks whether it may be taken, then takes it; false: it may not, and nothing has changed -------- */

typedef bool step_fn(struct search *s, struct world *w, int i, int sub, int arg);

static bool is_zombie(const struct world *w, int i)
{
    return w->assigned != i;
}

static int64_t lowest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool step_append(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)i, (void)sub, (void)arg;
    if (w->end >= s->log_n || w->replacing)
        return false;
    w->end++;
    return true;
}

static bool step_retain(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)s, (void)i, (void)sub;
    if (w->left.retain == 0 || w->start + 1 + arg > w->end)
        return false;
    w->left.retain--;
    w->start += 1 + arg;
    return true;
}

/* The partition comes back empty while nobody owns it. A log that outgrows the checkpoint unseen is not told apart. */
static bool step_replace(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)i, (void)sub, (void)arg;
    if (w->left.replace == 0 || w->owners[0].there || w->owners[1].there || w->position == 0)
        return false;
    w->left.replace--;
    w->end = w->start = 0;
    w->replacing = 1;
    for (int64_t k = 0; k < s->subs; k++)
        w->arrived_n[k] = 0;
    return true;
}

static bool step_assign(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)s, (void)sub, (void)arg;
    if (w->assigned != NOBODY || w->owners[i].there || (i > 0 && !w->owners[0].there))
        return false;
    w->assigned = i;
    w->owners[i].there = 1;
    w->owners[i].loaded = LOADING;
    return true;
}

static bool step_become_zombie(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)s, (void)sub, (void)arg;
    if (w->left.zombie == 0 || is_zombie(w, i) || w->owners[i].loaded == LOADING ||
        w->owners[1 - i].there)
        return false;
    w->left.zombie--;
    w->assigned = NOBODY;
    return true;
}

static bool step_zombie_ends(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)sub, (void)arg;
    if (!is_zombie(w, i))
        return false;
    leave(s, &w->owners[i]);
    return true;
}

/* An open flush is in the log as a whole. `cursors`: not the whole of it (ATOMIC_FLUSH broken). */
static void land(struct search *s, struct world *w, struct owner *o, bool cursors)
{
    w->position = o->flush_position;
    for (int64_t k = 0; cursors && k < s->subs; k++) {
        if (!o->flush_has[k])
            continue;
        w->cursor[k] = o->flush_cursor[k];
        if (w->cursor[k].c.delivered > w->safe[k])
            w->safe[k] = w->cursor[k].c.delivered;
        if (w->replacing && o->loaded == HELD_FLUSHED)
            w->base[k] = w->cursor[k].c.counted_number;
    }
    if (o->loaded == HELD_FLUSHED)
        w->replacing = 0;
}

static void die(struct search *s, struct world *w, int i)
{
    w->left.crash--;
    if (w->assigned == i)
        w->assigned = NOBODY;
    leave(s, &w->owners[i]);
}

static bool step_crash(struct search *s, struct world *w, int i, int sub, int arg)
{
    (void)sub, (void)arg;
    if (w->left.crash == 0)
        return false;
    die(s, w, i);
    return true;
}

/* Its last flush was on the wire and lands after all. */
static bool step_crash_landed(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct owner *o = &w->owners[i];
    bool cursors = s->broken != ATOMIC_FLUSH;

    (void)sub, (void)arg;
    if (w->left.crash == 0 || o->flush == NO_FLUSH ||
        (o->flush == BEGUN && s->conf->faults.zombie != 0))
        return false;
    land(s, w, o, cursors);
    die(s, w, i);
    return true;
}

/* -- an owner starts ---------------------------------------------------------------------------------------------- */

static int64_t true_count(const struct search *s, int64_t sub, int64_t below)
{
    int64_t n = 0;

    for (int64_t o = 0; o < below && o < s->log_n; o++)
        n += s->log[o] == sub;
    return n;
}

static void report(struct world *w, int64_t sub, int64_t from, int64_t to)
{
    for (int64_t n = from; n <= to; n++)
        w->gaps[sub] |= (int64_t)1 << n;
}

static void jump(struct search *s, struct world *w, struct owner *o)
{
    int64_t distance = (s->broken == JUMP_TO_END ? w->start : w->end) - o->position;

    o->position = w->start;
    if (s->broken == JUMP)
        return;
    for (int64_t sub = 0; sub < s->subs; sub++) {
        struct cdx_numbers lost[2];
        size_t n = cdx_feed_jump(&o->feeds[sub], w->start, distance, lost);

        for (size_t i = 0; i < n; i++)
            report(w, sub, lost[i].from, lost[i].to);
    }
    w->jumped = 1;
    o->loaded = s->broken == JUMP_ACKED ? RUNNING : HELD;
}

static void replaced(struct search *s, struct world *w, struct owner *o)
{
    o->position = w->start;
    for (int64_t sub = 0; sub < s->subs; sub++) {
        int64_t from, to;

        if (s->broken != REPLACED && cdx_feed_replaced(&o->feeds[sub], w->start, &from, &to))
            report(w, sub, from, to);
    }
    o->loaded = HELD;
}

static bool others_flush_is_open(const struct world *w, int i)
{
    return w->owners[1 - i].there && w->owners[1 - i].flush == ACCEPTED;
}

static void load_feed(struct search *s, struct world *w, int64_t sub, struct cdx_feed *f)
{
    struct saved *saved = &w->cursor[sub];

    saved->c.marks = saved->marks;
    if (cdx_feed_load(f, &saved->c, drop_nothing, NULL) != CDX_OK) {
        memset(f, 0, sizeof *f);
        f->drop = drop_nothing;
        violate(s, "I5", "a cursor that contradicts itself", sub, saved->c.counted_number,
                saved->c.counted_offset);
        return;
    }
    if (s->broken == NEXT_LAGS && !f->live) {
        f->live = true;
        f->delivered = f->counted_number;
    }
    if (s->broken == COUNTED) {
        f->counted_offset = w->position - 1;
        f->counted_number = f->delivered;
    }
    if (saved->c.delivered < w->safe[sub])
        violate(s, "I7", "less is loaded as delivered than was persisted", sub, saved->c.delivered,
                saved->c.next_offset);
    if (!w->jumped && !w->replacing) {
        int64_t below = f->counted_offset + 1 > w->position ? f->counted_offset + 1 : w->position;
        if (f->counted_number != w->base[sub] + true_count(s, sub, below))
            violate(s, "I5", "a wrong count is loaded", sub, f->counted_number, f->counted_offset);
    }
}

static bool step_load(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct owner *o = &w->owners[i];

    (void)sub, (void)arg;
    if (o->loaded != LOADING || (s->broken != STABLE_WAIT && others_flush_is_open(w, i)))
        return false;
    o->loaded = RUNNING;
    o->position = w->position;
    for (int64_t k = 0; k < s->subs; k++)
        load_feed(s, w, k, &o->feeds[k]);
    if (o->position > w->end)
        replaced(s, w, o);
    else if (o->position < w->start)
        jump(s, w, o);
    return true;
}

/* -- the live reader ---------------------------------------------------------------------------------------------- */

static void count(struct search *s, struct owner *o, int64_t sub)
{
    struct cdx_feed_bounds bounds = {s->conf->queue, 100};
    struct cdx_feed *f = &o->feeds[sub];

    if (s->broken == COUNT_LAGGING && !f->live)
        return;
    if (s->broken == KEEP_SENDING && f->live && f->queue.n >= s->conf->queue)
        f->sending = 0; /* the answer will find nothing */
    f->mark_every = MARK_EVERY;
    if (s->broken != OVERFLOW_LAGS || f->queue.n < s->conf->queue) {
        (void)cdx_feed_count(f, o->position, &tokens[o->position], 1, &bounds);
        return;
    }
    bounds.events++; /* counted, and cut */
    if (cdx_feed_count(f, o->position, &tokens[o->position], 1, &bounds) == CDX_QUEUED) {
        f->queue.n--;
        f->queue.bytes--;
    }
}

static bool step_live(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct owner *o = &w->owners[i];

    (void)sub, (void)arg;
    if (o->loaded != RUNNING || o->position >= w->end)
        return false;
    if (o->position < w->start) {
        jump(s, w, o);
        return true;
    }
    count(s, o, s->log[o->position]);
    o->position++;
    return true;
}

/* -- sending ------------------------------------------------------------------------------------------------------ */

/* What the endpoint has not had before must come in order, and be the record that has this number. */
static void first_arrival(struct search *s, struct world *w, int64_t sub, int64_t number,
                          int64_t offset)
{
    int64_t n = w->arrived_n[sub], last = n != 0 ? w->arrived[sub][n - 1][0] : w->base[sub];

    for (int64_t k = last + 1; k < number; k++)
        if ((w->gaps[sub] >> k & 1) == 0)
            violate(s, "I1", "a number arrives before one that has not and is not reported", sub, k,
                    offset);
    if (number <= last)
        violate(s, "I1", "a lower number arrives first after a higher one", sub, number, offset);
    if (!w->jumped && number != w->base[sub] + s->truth[offset])
        violate(s, "I2", "a record has another number", sub, number, offset);
    w->arrived[sub][n][0] = number;
    w->arrived[sub][n][1] = offset;
    if (n + 1 < LOG_MAX * 2)
        w->arrived_n[sub]++;
}

static void arrive(struct search *s, struct world *w, const struct cdx_feed *f, int64_t sub,
                   const struct cdx_item *item)
{
    const struct faults *was = &s->conf->faults;
    bool excused =
        w->left.crash != was->crash || w->left.zombie != was->zombie || w->left.noack != was->noack;
    int64_t offset = (char *)item->rec - tokens;

    if (item->number <= f->delivered)
        violate(s, "I7", "repeated by an owner that knows it as delivered", sub, item->number,
                offset);
    for (int64_t k = 0; k < w->arrived_n[sub]; k++) {
        const int64_t *a = w->arrived[sub][k];

        if (a[0] == item->number && a[1] == offset) {
            if (!excused)
                violate(s, "I7", "repeated although nothing was lost", sub, item->number, offset);
            return;
        }
        if (a[0] == item->number || (a[1] == offset && !w->jumped))
            violate(s, "I2", "one number means two records, or one record has two", sub,
                    item->number, offset);
    }
    first_arrival(s, w, sub, item->number, offset);
}

static bool step_post(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];
    uint32_t n = (uint32_t)arg + 1;

    if (w->owners[i].loaded != RUNNING || f->sending != 0 || n > s->conf->batch ||
        n > cdx_feed_ready(f))
        return false;
    for (uint32_t k = 0; k < n; k++)
        arrive(s, w, f, sub, cdx_feed_item(f, k));
    cdx_feed_sending(f, n);
    return true;
}

/* Sent is taken for delivered: the answer is not waited for. */
static bool step_pass_unsent(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)arg;
    if (s->broken != ACK_BEFORE_PASS || w->owners[i].loaded != RUNNING || cdx_feed_ready(f) == 0 ||
        f->sending != 0)
        return false;
    cdx_feed_acked(f, 1);
    return true;
}

static bool step_answer(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)s, (void)arg;
    if (w->owners[i].loaded == LOADING || f->sending == 0)
        return false;
    cdx_feed_acked(f, f->sending);
    return true;
}

static bool step_answer_lost(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)s, (void)arg;
    if (w->left.noack == 0 || w->owners[i].loaded == LOADING || f->sending == 0)
        return false;
    w->left.noack--;
    cdx_feed_sending(f, 0);
    return true;
}

/* The endpoint refuses, or memory is wanted back; a request may be under way meanwhile. */
static bool step_lag(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)s, (void)arg;
    if (w->left.down == 0 || w->owners[i].loaded == LOADING ||
        (!f->live && f->chunk.n + f->queue.n == 0))
        return false;
    w->left.down--;
    cdx_feed_to_lagging(f);
    return true;
}

/* -- the range reader --------------------------------------------------------------------------------------------- */

static bool scans(const struct world *w, int i, int sub)
{
    return w->owners[i].loaded == RUNNING && !w->owners[i].feeds[sub].live;
}

static bool step_join(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)arg;
    if (!scans(w, i, sub))
        return false;
    if (s->broken == JOIN_POSITION && f->join != CDX_NO_OFFSET && f->chunk.n == 0)
        f->scan = f->join; /* "the live reader has it from here on" */
    if (s->broken == JOIN_CHUNK && f->join != CDX_NO_OFFSET && f->scan >= f->join &&
        f->sending == 0)
        while (f->chunk.n != 0)
            f->chunk.bytes--, f->chunk.n--;
    if (!cdx_feed_join(f))
        return false;
    return true;
}

/* The reader's error "out of range", and what the owner makes of it. */
static bool step_gap(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];
    struct cdx_mark anchor;
    int64_t alive = 0, from, to;
    uint32_t queued = f->queue.n, waiting = f->chunk.n;
    bool below, lost;

    (void)arg;
    if (!scans(w, i, sub))
        return false;
    if (s->broken == OUT_OF_RANGE && f->scan < w->start && f->join == CDX_NO_OFFSET) {
        f->scan = w->start;
        return true;
    }
    if (s->broken == GAP_CHUNK)
        f->chunk.n = 0; /* as if nothing waited */
    below = cdx_feed_below(f, w->start);
    f->chunk.n = waiting;
    if (!below)
        return false;
    cdx_feed_anchor(f, w->start, &anchor);
    for (int64_t o = w->start; o <= anchor.offset; o++)
        alive += s->log[o] == sub;
    if (s->broken == GAP_COUNT_BACK)
        alive = anchor.number - f->delivered; /* "the next one follows the last one" */
    if (s->broken == GAP_BY_NUMBER && f->delivered < anchor.number)
        alive = lowest(alive, anchor.number - f->delivered -
                                  1); /* "next below the start is a gap of one at least" */
    if (s->broken == GAP_BELOW_QUEUE)
        f->queue.n = 0; /* as if nothing were queued */
    lost = cdx_feed_gap(f, w->start, &anchor, alive, &from, &to);
    f->queue.n = queued;
    if (!lost)
        return true;
    for (int64_t n = from; n <= to; n++) {
        bool removed = w->jumped != 0 || n <= w->base[sub];

        for (int64_t o = 0; o < w->start; o++)
            removed = removed || (s->log[o] == sub && w->base[sub] + s->truth[o] == n);
        if (!removed || n <= w->safe[sub])
            violate(s, "I4", "a gap that is none", sub, n, w->start);
    }
    report(w, sub, from, to);
    return true;
}

static bool step_pick(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed *f = &w->owners[i].feeds[sub];

    (void)s, (void)arg;
    if (!scans(w, i, sub) || f->join != CDX_NO_OFFSET || f->scan < w->start)
        return false;
    cdx_feed_pick_join(f, w->owners[i].position, WINDOW);
    return f->join != CDX_NO_OFFSET;
}

static bool step_scan(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct cdx_feed_bounds bounds = {s->conf->chunk, 100};
    struct cdx_feed *f = &w->owners[i].feeds[sub];
    int64_t live = s->broken == SCAN_BEHIND_LIVE ? w->end : w->owners[i].position;
    int64_t limit = cdx_feed_scan_limit(f, live);

    (void)arg;
    if (s->broken == SCAN_BELOW_J)
        limit = lowest(live, f->join != CDX_NO_OFFSET ? f->join + 1 : live);
    if (!scans(w, i, sub) || f->scan < w->start || f->scan >= limit)
        return false;
    if (s->log[f->scan] == sub)
        return cdx_feed_scan_record(f, f->scan, &tokens[f->scan], 1, &bounds);
    if (s->broken == SCAN_BELOW_J)
        f->scan++;
    else
        cdx_feed_scan_passed(f, f->scan + 1, live);
    return true;
}

/* -- the flush ---------------------------------------------------------------------------------------------------- */

static void save(const struct cdx_feed *f, struct saved *out)
{
    cdx_feed_cursor(f, &out->c);
    if (out->c.marks_n != 0)
        memcpy(out->marks, out->c.marks, out->c.marks_n * sizeof *out->marks);
    out->c.marks = NULL;
}

static bool step_flush(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct owner *o = &w->owners[i];
    bool any = o->loaded == HELD;

    (void)sub, (void)arg;
    if (o->loaded == LOADING || o->flush != NO_FLUSH)
        return false;
    for (int64_t k = 0; k < s->subs; k++)
        any = any || o->feeds[k].dirty;
    if (!any)
        return false;
    for (int64_t k = 0; k < s->subs; k++) {
        struct cdx_feed *f = &o->feeds[k];

        o->flush_has[k] = f->dirty && (s->broken != FLUSH_ALL || f->live);
        if (o->flush_has[k])
            save(f, &o->flush_cursor[k]);
        f->dirty = false;
    }
    o->flush = BEGUN;
    o->flush_position = o->position;
    if (o->loaded == HELD)
        o->loaded = HELD_FLUSHED;
    return true;
}

/* The coordinator takes offsets of the present generation only; with a zombie about, that and the commit are two steps. */
static bool step_commit(struct search *s, struct world *w, int i, int sub, int arg)
{
    struct owner *o = &w->owners[i];

    (void)sub, (void)arg;
    if (o->flush == NO_FLUSH)
        return false;
    if (o->flush == BEGUN && is_zombie(w, i) && s->broken != FENCE) {
        leave(s, o);
        return true;
    }
    if (o->flush == BEGUN && s->conf->faults.zombie != 0) {
        o->flush = ACCEPTED;
        return true;
    }
    land(s, w, o, true);
    o->flush = NO_FLUSH;
    if (o->loaded == HELD_FLUSHED || (o->loaded == HELD && s->broken == JUMP_IN_FLUSH))
        o->loaded = RUNNING;
    return true;
}

enum scope {
    WORLD,
    SLOT,
    OWNER,
    FEED
}; /* tried: once; per slot; per owner there; per owner and subscription */

static const struct {
    const char *name;
    step_fn *take;
    enum scope scope;
    int args;
    bool fault;
} steps[] = {
    {"append", step_append, WORLD, 1, false},
    {"retention", step_retain, WORLD, LOG_MAX, true},
    {"log replaced", step_replace, WORLD, 1, true},
    {"assign", step_assign, SLOT, 1, false},
    {"becomes a zombie", step_become_zombie, OWNER, 1, true},
    {"zombie ends", step_zombie_ends, OWNER, 1, false},
    {"crash", step_crash, OWNER, 1, true},
    {"crash, its flush lands", step_crash_landed, OWNER, 1, true},
    {"loads", step_load, OWNER, 1, false},
    {"live reader", step_live, OWNER, 1, false},
    {"flush", step_flush, OWNER, 1, false},
    {"commit", step_commit, OWNER, 1, false},
    {"post", step_post, FEED, 2, false},
    {"passed unsent", step_pass_unsent, FEED, 1, false},
    {"answer", step_answer, FEED, 1, false},
    {"answer lost", step_answer_lost, FEED, 1, true},
    {"to lagging", step_lag, FEED, 1, true},
    {"join", step_join, FEED, 1, false},
    {"gap", step_gap, FEED, 1, false},
    {"pick J", step_pick, FEED, 1, false},
    {"scan", step_scan, FEED, 1, false},
};

/* -- what must hold in every state -------------------------------------------------------------------------------- */

static void check_items(struct search *s, const struct cdx_items *items, int64_t above, int64_t sub)
{
    for (uint32_t i = 0; i < items->n; i++) {
        const struct cdx_item *item = &items->ring[(items->head + i) & (items->cap - 1)];

        if (item->offset <= above || item->rec != &tokens[item->offset])
            violate(s, "order", "items are not ascending, or hold another record", sub,
                    item->number, item->offset);
        above = item->offset;
    }
    if (items->bytes != items->n)
        violate(s, "order", "wrong bytes", sub, (int64_t)items->bytes, items->n);
}

/* The promises of feed.h's fields. */
static void check_feed(struct search *s, const struct cdx_feed *f, int64_t sub)
{
    int64_t end = f->chunk.n != 0
                      ? f->chunk.ring[(f->chunk.head + f->chunk.n - 1) & (f->chunk.cap - 1)].offset
                      : -1;

    check_items(s, &f->chunk, -1, sub);
    check_items(s, &f->queue, end, sub);
    if (f->sending > cdx_feed_ready(f))
        violate(s, "order", "a request's events are not in memory", sub, f->delivered, f->sending);
    if (cdx_feed_ready(f) != 0 && f->live && cdx_feed_item(f, 0)->number != f->delivered + 1)
        violate(s, "order", "the head does not follow what is delivered", sub, f->delivered, 0);
    if (f->live && f->chunk.n + f->queue.n == 0 && f->delivered != f->counted_number)
        violate(s, "order", "an empty live feed is not delivered", sub, f->delivered,
                f->counted_number);
    if (!f->live && f->join == CDX_NO_OFFSET && f->queue.n != 0)
        violate(s, "order", "a queue without a join", sub, f->delivered, f->scan);
    if (f->delivered > f->counted_number)
        violate(s, "I5", "more is delivered than counted", sub, f->delivered, f->counted_number);
}

static void check_world(struct search *s, const struct world *w)
{
    if (s->broken != NONE) /* what an endpoint would see is to be found, not how it came about */
        return;
    for (int i = 0; i < OWNERS; i++)
        for (int64_t k = 0; k < s->subs; k++)
            if (w->owners[i].there && w->owners[i].loaded != LOADING)
                check_feed(s, &w->owners[i].feeds[k], k);
}

static bool has_arrived(const struct world *w, int64_t sub, int64_t offset)
{
    for (int64_t i = 0; i < w->arrived_n[sub]; i++)
        if (w->arrived[sub][i][1] == offset)
            return true;
    return false;
}

/* Everything is delivered, or removed and reported. */
static bool is_goal(const struct search *s, const struct world *w)
{
    if (w->end < s->log_n || w->replacing)
        return false;
    for (int64_t o = 0; o < s->log_n; o++) {
        int64_t sub = s->log[o], number = w->base[sub] + s->truth[o];

        if (!has_arrived(w, sub, o) &&
            (o >= w->start || !(w->jumped || (w->gaps[sub] >> number & 1))))
            return false;
    }
    return true;
}

/* -- the search --------------------------------------------------------------------------------------------------- */

static void *grown(void *p, size_t n, size_t size)
{
    void *out = realloc(p, n * size);

    if (out == NULL)
        abort();
    return out;
}

static void make_room(struct search *s)
{
    if (s->n + 1 < s->cap)
        return;
    s->cap = s->cap == 0 ? 1024 : s->cap * 2;
    s->where = grown(s->where, s->cap + 1, sizeof *s->where);
    s->parent = grown(s->parent, s->cap, sizeof *s->parent);
    s->step_of = grown(s->step_of, s->cap, sizeof *s->step_of);
    s->edges_of = grown(s->edges_of, s->cap, sizeof *s->edges_of);
    s->good = grown(s->good, s->cap, sizeof *s->good);
}

static size_t length_of(const struct search *s, uint32_t state)
{
    return s->where[state + 1] - s->where[state];
}

/* The slot where these bytes are or belong; 0 in the table: free, else state + 1. */
static uint32_t *slot_of(struct search *s, const unsigned char *p, size_t n)
{
    uint32_t i = (uint32_t)cdx_hash(p, n, 1) & (s->table_n - 1);

    for (;; i = (i + 1) & (s->table_n - 1)) {
        uint32_t at = s->table[i];

        if (at == 0 ||
            (length_of(s, at - 1) == n && memcmp(s->bytes + s->where[at - 1], p, n) == 0))
            return &s->table[i];
    }
}

static void grow_table(struct search *s)
{
    if (s->n * 2 < s->table_n)
        return;
    free(s->table);
    s->table_n = s->table_n == 0 ? 4096 : s->table_n * 4;
    s->table = calloc(s->table_n, sizeof *s->table);
    if (s->table == NULL)
        abort();
    for (uint32_t i = 0; i < s->n; i++)
        *slot_of(s, s->bytes + s->where[i], length_of(s, i)) = i + 1;
}

/* The number of this state, made when it is new. */
static uint32_t state_of(struct search *s, struct world *w, uint32_t parent, uint16_t step)
{
    unsigned char p[STATE_BYTES];
    struct tape t = {p, true};
    uint32_t *slot;
    size_t n;

    io_world(&t, w, s->subs);
    n = (size_t)(t.p - p);
    make_room(s);
    grow_table(s);
    slot = slot_of(s, p, n);
    if (*slot != 0)
        return *slot - 1;
    if (s->bytes_n + n > s->bytes_cap) {
        s->bytes_cap = s->bytes_cap == 0 ? 1 << 16 : s->bytes_cap * 2;
        s->bytes = grown(s->bytes, s->bytes_cap, 1);
    }
    memcpy(s->bytes + s->bytes_n, p, n);
    s->where[s->n] = s->bytes_n;
    s->bytes_n += n;
    s->where[s->n + 1] = s->bytes_n;
    s->parent[s->n] = parent;
    s->step_of[s->n] = step;
    s->edges_of[s->n] = UINT32_MAX;
    s->good[s->n] = is_goal(s, w);
    *slot = ++s->n;
    return s->n - 1;
}

static void read_state(struct search *s, uint32_t state, struct world *w)
{
    struct tape t = {s->bytes + s->where[state], false};

    memset(w, 0, sizeof *w);
    io_world(&t, w, s->subs);
}

static void add_edge(struct search *s, uint32_t from, uint32_t to)
{
    if (s->edges_n == s->edges_cap) {
        s->edges_cap = s->edges_cap == 0 ? 4096 : s->edges_cap * 2;
        s->edges = grown(s->edges, s->edges_cap, sizeof *s->edges);
    }
    s->edges[s->edges_n] = (struct edge){from, s->edges_of[to]};
    s->edges_of[to] = s->edges_n++;
}

/* Takes one step from *w when it may be taken, and reads *w anew. */
static void try_step(struct search *s, uint32_t state, struct world *w, size_t step, int i, int sub,
                     int arg)
{
    uint32_t to;

    if (s->violated != NULL)
        return;
    s->at = state;
    s->step = (uint16_t)(step * 64 + (size_t)(i * 16 + sub * 8 + arg));
    if (!steps[step].take(s, w, i, sub, arg))
        return;
    check_world(s, w);
    to = state_of(s, w, state, s->step);
    if (!steps[step].fault)
        add_edge(s, state, to);
    free_world(s, w);
    read_state(s, state, w);
}

static void try_all(struct search *s, uint32_t state, struct world *w, size_t step)
{
    enum scope scope = steps[step].scope;
    int owners = scope == WORLD ? 1 : OWNERS, subs = scope == FEED ? (int)s->subs : 1;

    for (int i = 0; i < owners; i++)
        for (int sub = 0; sub < subs; sub++)
            for (int arg = 0; arg < steps[step].args; arg++)
                if (scope < OWNER || w->owners[i].there)
                    try_step(s, state, w, step, i, sub, arg);
}

/* I3: the states that have a way without faults to a goal, found backwards. */
static void check_all_can_deliver(struct search *s)
{
    uint32_t *todo = grown(NULL, s->n, sizeof *todo), n = 0;

    for (uint32_t i = 0; i < s->n; i++)
        if (s->good[i])
            todo[n++] = i;
    while (n > 0)
        for (uint32_t e = s->edges_of[todo[--n]], more = 1; more != 0 && e != UINT32_MAX;) {
            uint32_t from = s->edges[e].from;

            e = s->edges[e].next;
            if (s->good[from])
                continue;
            s->good[from] = true;
            todo[n++] = from;
        }
    free(todo);
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->good[i]) {
            s->at = i;
            violate(s, "I3", "behind this step nothing delivers all", 0, 0, 0);
            return;
        }
}

static void print_step(uint16_t step)
{
    printf("      %s (owner %d, subscription %d, %d)\n", steps[step / 64].name, step / 16 % 4,
           step / 8 % 2, step % 8);
}

static void print_way(const struct search *s, uint32_t state)
{
    if (state == 0)
        return;
    print_way(s, s->parent[state]);
    print_step(s->step_of[state]);
}

static void print_violation(const struct search *s)
{
    printf("\n    %s: %s\n", s->violated, s->what);
    print_way(s, s->at);
    print_step(s->step);
}

static void begin(struct search *s, struct world *w)
{
    int64_t seen[SUBS] = {0};

    s->log_n = (int64_t)strlen(s->conf->log);
    for (int64_t o = 0; o < s->log_n; o++) {
        s->log[o] = s->conf->log[o] - '0';
        s->truth[o] = ++seen[s->log[o]];
        if (s->log[o] >= s->subs)
            s->subs = s->log[o] + 1;
    }
    *w = (struct world){.end = s->conf->first, .assigned = NOBODY, .left = s->conf->faults};
    for (int64_t k = 0; k < s->subs;
         k++) { /* the first cursor: end offset of an empty log - 1, number 0 */
        struct cdx_feed f;

        cdx_feed_first(&f, 0, drop_nothing);
        save(&f, &w->cursor[k]);
    }
}

static void run(struct search *s)
{
    struct world w;
    uint32_t state;

    begin(s, &w);
    state_of(s, &w, 0, 0);
    for (state = 0; state < s->n && s->violated == NULL; state++) {
        read_state(s, state, &w);
        for (size_t step = 0; step < CDX_COUNT(steps) && s->violated == NULL; step++)
            try_all(s, state, &w, step);
        free_world(s, &w);
        if (s->n > MAX_STATES)
            violate(s, "bound", "too many states", 0, 0, s->n);
    }
    if (s->violated == NULL)
        check_all_can_deliver(s);
}

static void end(struct search *s)
{
    free(s->bytes);
    free(s->where);
    free(s->parent);
    free(s->edges_of);
    free(s->step_of);
    free(s->good);
    free(s->table);
    free(s->edges);
}

/* -- with every rule in force ------------------------------------------------------------------------------------- */

static const struct config configs[] = {
    {"crash", "010", 0, 2, 2, 2, {.crash = 1}},
    {"crash-twice", "010", 2, 2, 1, 1, {.crash = 2, .noack = 1}},
    {"five-events", "00000", 4, 3, 2, 2, {.crash = 1, .noack = 1}},
    {"overflow", "0010", 3, 1, 1, 1, {.crash = 1}},
    {"overflow-one", "0000", 2, 1, 2, 2, {.crash = 1, .down = 1}},
    {"down", "010", 1, 2, 2, 2, {.crash = 1, .down = 1}},
    {"zombie-one", "00", 1, 2, 2, 2, {.crash = 1, .zombie = 1}},
    {"zombie-two", "01", 2, 2, 1, 1, {.crash = 1, .zombie = 1}},
    {"retention", "011", 2, 1, 1, 1, {.crash = 1, .retain = 1}},
    {"retention-aside",
     "010",
     3,
     1,
     1,
     1,
     {.crash = 1, .retain = 1}}, /* the start passes a record of another */
    {"retention-down", "000", 2, 2, 2, 2, {.crash = 1, .retain = 2, .down = 1}},
    {"retention-late", "000", 2, 1, 2, 2, {.crash = 2, .retain = 2}},
    {"retention-live",
     "0000",
     3,
     1,
     1,
     1,
     {.crash = 1, .retain = 1}}, /* below a running owner, with a flush open */
    {"replaced", "000", 2, 2, 2, 1, {.crash = 2, .replace = 1}},
};

static const struct config *config(const char *name)
{
    for (size_t i = 0; i < CDX_COUNT(configs); i++)
        if (strcmp(configs[i].name, name) == 0)
            return &configs[i];
    abort();
}

static void hold(const char *name)
{
    struct search s = {.conf = config(name)};

    run(&s);
    printf("\n    %u states", s.n);
    if (s.violated != NULL)
        print_violation(&s);
    CU_ASSERT_PTR_NULL(s.violated);
    CU_ASSERT(s.n > 1000); /* a search that ends at once has searched nothing */
    end(&s);
}

#define HOLD(function, name)                                                                       \
    static void function(void)                                                                     \
    {                                                                                              \
        hold(name);                                                                                \
    }
HOLD(one_crash, "crash")
HOLD(two_crashes_and_a_lost_answer, "crash-twice")
HOLD(five_events_in_batches, "five-events")
HOLD(an_overflow, "overflow")
HOLD(an_overflow_and_a_refusal, "overflow-one")
HOLD(a_refusing_endpoint, "down")
HOLD(a_zombie, "zombie-one")
HOLD(a_zombie_of_two_subscriptions, "zombie-two")
HOLD(retention_while_it_lags, "retention")
HOLD(retention_beside_a_survivor, "retention-aside")
HOLD(retention_and_a_refusal, "retention-down")
HOLD(retention_below_the_checkpoint, "retention-late")
HOLD(retention_below_the_live_reader, "retention-live")
HOLD(a_replaced_log, "replaced")

/* -- with one rule removed ---------------------------------------------------------------------------------------- */

/* What is removed; where it must be found; the invariants of recovery.md 3 that it breaks. */
static const struct {
    enum broken rule;
    const char *name, *config, *invariants;
} removals[] = {
    {NEXT_LAGS, "a cursor with a next starts as live (C2)", "crash", "I1 I3"},
    {COUNTED, "the count restarts at what was delivered", "crash", "I5"},
    {COUNT_LAGGING, "a lagging subscription is not counted", "down", "I5 I1 I2"},
    {FLUSH_ALL, "a flush holds live subscriptions only", "down", "I5"},
    {ATOMIC_FLUSH, "the checkpoint may persist without its cursors (C2)", "crash", "I5"},
    {FENCE, "a zombie's flush is taken (C1)", "zombie-one", "I5 I7"},
    {STABLE_WAIT, "loading does not wait for an open flush (C1)", "zombie-one", "I5 I7"},
    {SCAN_BEHIND_LIVE, "a scan reads past the live reader (C3)", "overflow-one", "I5 I7"},
    {SCAN_BELOW_J, "a scan hands over the record at J", "overflow-one", "I7"},
    {JOIN_POSITION, "a feed joins before its scan is at J (C4)", "overflow-one", "I1 I3"},
    {JOIN_CHUNK, "a feed joins before its chunk is delivered", "overflow-one", "I1 I3"},
    {OVERFLOW_LAGS, "a full queue is cut", "overflow-one", "I1 I3"},
    {KEEP_SENDING, "an overflow takes the events of a request", "overflow-one", "I7"},
    {ACK_BEFORE_PASS, "delivered moves before the answer", "crash", "I1 I3"},
    {GAP_BY_NUMBER, "a next below the start is taken for a gap (C4)", "retention-aside", "I4"},
    {GAP_COUNT_BACK, "the first surviving number is not counted back", "retention-down", "I2"},
    {GAP_BELOW_QUEUE, "a gap while joining includes what is queued (C4)", "retention-down",
     "I4 I7"},
    {GAP_CHUNK, "a gap does not wait for the chunk", "retention-down", "I7"},
    {OUT_OF_RANGE, "a range read below the start goes on at the start", "retention-down", "I2"},
    {JUMP, "a checkpoint below the start is passed over (C5)", "retention-late", "I2 I5"},
    {JUMP_TO_END, "the jump goes by the distance to the start (C5)", "retention", "I2"},
    {JUMP_ACKED, "a jump is not committed before counting goes on (C5)", "retention-late", "I2"},
    {JUMP_IN_FLUSH, "a flush begun before the jump ends its hold", "retention-live", "I2"},
    {REPLACED, "a replaced log is read on with the old offsets", "replaced", "I1 I2 I3"},
};

static void each_removed_rule_is_missed(void)
{
    for (size_t i = 0; i < CDX_COUNT(removals); i++) {
        struct search s = {.conf = config(removals[i].config), .broken = removals[i].rule};

        run(&s);
        printf("\n    without: %-58s %-6s after %u states", removals[i].name,
               s.violated != NULL ? s.violated : "NONE", s.n);
        CU_ASSERT_PTR_NOT_NULL(s.violated);
        CU_ASSERT(s.violated == NULL || strstr(removals[i].invariants, s.violated) != NULL);
        end(&s);
    }
}

static CU_TestInfo tests[] = {
    {"one crash loses and repeats nothing wrongly", one_crash},
    {"two crashes and a lost answer do not", two_crashes_and_a_lost_answer},
    {"five events in batches do not", five_events_in_batches},
    {"an overflow does not", an_overflow},
    {"an overflow and a refusal do not", an_overflow_and_a_refusal},
    {"a refusing endpoint does not", a_refusing_endpoint},
    {"a zombie does not", a_zombie},
    {"a zombie of two subscriptions does not", a_zombie_of_two_subscriptions},
    {"retention while it lags does not", retention_while_it_lags},
    {"retention beside a survivor does not", retention_beside_a_survivor},
    {"retention and a refusal do not", retention_and_a_refusal},
    {"retention below the checkpoint does not", retention_below_the_checkpoint},
    {"retention below the live reader does not", retention_below_the_live_reader},
    {"a replaced log does not", a_replaced_log},
    {"each removed rule is missed", each_removed_rule_is_missed},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_feed_model = {.pName = "state/feed_model", .pTests = tests};
