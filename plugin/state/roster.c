/*
 * state/roster.c -- is this member in that roster, at this second?
 *
 * In:    records of cdex.rosters in order, the wall clock as an argument.
 * Out:   yes or no, from any thread, in well under a microsecond.
 * Owns:  the member keys (roster_names.h), one bitmap a roster over their numbers, the periods of those who have one.
 *
 * The hard thing is the periods of millions. They are a log: the newest entry of a member counts, and the log is sorted
 * and thinned when it is full or a boundary passed, so a load costs no search. A window [from, until) in which no
 * boundary lies tells tick that it has nothing to do; it also sees a clock that was set back.
 *
 * Not one map of members a payer: a member of five payers would be held five times. Not a timer a member: what ends at
 * midnight ends for half a million at once.
 */
#include "state/roster.h"

#include <jansson.h>
#include <pthread.h>
#include <roaring/roaring.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/map.h"
#include "state/roster_names.h"
#include "state/roster_period.h"

/* match/match.h CDX_ROSTER_ALL and CDX_ROSTER_NONE, which this layer may not include. */
#define EVERYONE UINT32_MAX
#define NOBODY (UINT32_MAX - 1)

/* -- one roster ------------------------------------------------------------------------------------------------- */

struct roster {
    char *name; /* owned */
    uint32_t id;
    bool closed;             /* its closing record was read: it lets members through */
    roaring_bitmap_t *now;   /* owned; who is in */
    roaring_bitmap_t *dated; /* owned; who has a period */
    struct cdx_period
        *periods; /* owned; a log, the newest of a member counts, if it is in `dated` */
    size_t periods_n, periods_cap;
    bool sorted;              /* the log ascends by member, each once */
    uint32_t from_s, until_s; /* `now` holds for any second in [from_s, until_s) */
};

static void roster_free(struct roster *ro)
{
    if (ro == NULL)
        return;
    if (ro->now != NULL)
        roaring_bitmap_free(ro->now);
    if (ro->dated != NULL)
        roaring_bitmap_free(ro->dated);
    free(ro->periods);
    free(ro->name);
    free(ro);
}

static struct roster *roster_new(struct cdx_text name)
{
    struct roster *ro = calloc(1, sizeof *ro);

    if (ro == NULL)
        return NULL;
    ro->name = strndup(name.p, name.n);
    ro->now = roaring_bitmap_create();
    ro->dated = roaring_bitmap_create();
    ro->sorted = true;
    ro->until_s = CDX_NEVER;
    if (ro->name != NULL && ro->now != NULL && ro->dated != NULL)
        return ro;
    roster_free(ro);
    return NULL;
}

/* Puts the member in or out, and narrows the window in which that holds. */
static void judge(struct roster *ro, const struct cdx_period *p, uint32_t now_s)
{
    const uint32_t bounds[] = {p->start_s, p->end_s};

    if (p->start_s <= now_s && now_s < p->end_s)
        roaring_bitmap_add(ro->now, p->member);
    else
        roaring_bitmap_remove(ro->now, p->member);
    for (size_t i = 0; i < CDX_COUNT(bounds); i++) {
        if (bounds[i] <= now_s && bounds[i] > ro->from_s)
            ro->from_s = bounds[i];
        if (bounds[i] > now_s && bounds[i] < ro->until_s)
            ro->until_s = bounds[i];
    }
}

static int by_member(const void *a, const void *b)
{
    const struct cdx_period *x = a, *y = b;

    if (x->member != y->member)
        return x->member < y->member ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Leaves the newest period of each member that still has one. */
static void periods_thin(struct roster *ro)
{
    size_t kept = 0;

    if (!ro->sorted) {
        for (size_t i = 0; i < ro->periods_n; i++)
            ro->periods[i].seq = (uint32_t)i;
        qsort(ro->periods, ro->periods_n, sizeof *ro->periods, by_member);
    }
    for (size_t i = 0; i < ro->periods_n; i++) {
        uint32_t member = ro->periods[i].member;
        bool newest = i + 1 == ro->periods_n || ro->periods[i + 1].member != member;
        if (newest && roaring_bitmap_contains(ro->dated, member))
            ro->periods[kept++] = ro->periods[i];
    }
    ro->periods_n = kept;
    ro->sorted = true;
}

static bool periods_add(struct roster *ro, const struct cdx_period *p)
{
    if (ro->periods_n == ro->periods_cap) {
        periods_thin(ro);
        if (ro->periods_n * 2 >= ro->periods_cap) {
            size_t cap = ro->periods_cap == 0 ? 64 : ro->periods_cap * 2;
            struct cdx_period *periods = realloc(ro->periods, cap * sizeof *periods);
            if (periods == NULL)
                return false;
            ro->periods = periods;
            ro->periods_cap = cap;
        }
    }
    if (ro->periods_n != 0 && ro->periods[ro->periods_n - 1].member >= p->member)
        ro->sorted = false;
    ro->periods[ro->periods_n++] = *p;
    return true;
}

static void member_drop(struct roster *ro, uint32_t member)
{
    roaring_bitmap_remove(ro->now, member);
    roaring_bitmap_remove(ro->dated, member);
}

static bool member_put(struct roster *ro, const struct cdx_period *p, uint32_t now_s)
{
    if (p->start_s == 0 && p->end_s == CDX_NEVER) {
        roaring_bitmap_remove(ro->dated, p->member);
        roaring_bitmap_add(ro->now, p->member);
        return true;
    }
    if (!periods_add(ro, p)) {
        member_drop(ro, p->member);
        return false;
    }
    roaring_bitmap_add(ro->dated, p->member);
    judge(ro, p, now_s);
    return true;
}

static void roster_tick(struct roster *ro, uint32_t now_s)
{
    periods_thin(ro);
    ro->from_s = 0;
    ro->until_s = CDX_NEVER;
    for (size_t i = 0; i < ro->periods_n; i++)
        judge(ro, &ro->periods[i], now_s);
}

static bool roster_has(const struct roster *ro, uint32_t member)
{
    return ro->closed && member != CDX_NO_MEMBER && roaring_bitmap_contains(ro->now, member);
}

/* -- all rosters ------------------------------------------------------------------------------------------------ */

struct cdx_rosters {
    pthread_rwlock_t lock; /* guards everything below; held for one record or one look */
    struct cdx_names names;
    struct cdx_map by_name; /* struct roster */
    struct roster **list;   /* owned, by id */
    uint32_t n, cap;
};

struct cdx_rosters *cdx_rosters_create(struct cdx_err *err)
{
    struct cdx_rosters *r = calloc(1, sizeof *r);

    if (r == NULL || pthread_rwlock_init(&r->lock, NULL) != 0) {
        cdx_fail(err, CDX_NOMEM, "state: rosters");
        free(r);
        return NULL;
    }
    return r;
}

void cdx_rosters_destroy(struct cdx_rosters *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        roster_free(r->list[i]);
    free(r->list);
    cdx_map_fini(&r->by_name);
    cdx_names_fini(&r->names);
    pthread_rwlock_destroy(&r->lock);
    free(r);
}

static bool is_roster_name(struct cdx_text name)
{
    return name.n != 0 && name.n <= CDX_MAX_ID_BYTES && memchr(name.p, '|', name.n) == NULL &&
           memchr(name.p, '#', name.n) == NULL;
}

/* Under the write lock. NULL: no memory. */
static struct roster *roster_of(struct cdx_rosters *r, struct cdx_text name)
{
    struct roster *ro = cdx_map_get(&r->by_name, name);

    if (ro != NULL)
        return ro;
    if (r->n == r->cap) {
        uint32_t cap = r->cap == 0 ? 16 : r->cap * 2;
        struct roster **list = realloc(r->list, cap * sizeof(struct roster *));
        if (list == NULL)
            return NULL;
        r->list = list;
        r->cap = cap;
    }
    ro = roster_new(name);
    if (ro == NULL || !cdx_map_put(&r->by_name, cdx_text_z(ro->name), ro)) {
        roster_free(ro);
        return NULL;
    }
    ro->id = r->n;
    r->list[r->n++] = ro;
    return ro;
}

uint32_t cdx_rosters_id(struct cdx_rosters *r, struct cdx_text name)
{
    const struct roster *ro;
    uint32_t id;

    if (!is_roster_name(name))
        return NOBODY;
    pthread_rwlock_rdlock(&r->lock);
    ro = cdx_map_get(&r->by_name, name);
    pthread_rwlock_unlock(&r->lock);
    if (ro != NULL)
        return ro->id; /* never changes, and a roster lives as long as we do */
    pthread_rwlock_wrlock(&r->lock);
    ro = roster_of(r, name);
    id = ro != NULL ? ro->id : NOBODY;
    pthread_rwlock_unlock(&r->lock);
    return id;
}

/* member.p NULL: the closing record's key. */
struct roster_key {
    struct cdx_text roster, member;
};

/* "<roster>|<member key>" or "<roster>#". A member key may hold any byte, so the first '|' divides. */
static bool key_parse(struct cdx_text key, struct roster_key *out)
{
    const char *bar = key.n != 0 ? memchr(key.p, '|', key.n) : NULL;

    if (bar == NULL) {
        if (key.n == 0 || key.p[key.n - 1] != '#')
            return false;
        *out = (struct roster_key){.roster = cdx_text(key.p, key.n - 1)};
        return is_roster_name(out->roster);
    }
    out->roster = cdx_text(key.p, (size_t)(bar - key.p));
    out->member = cdx_text(bar + 1, key.n - out->roster.n - 1);
    return is_roster_name(out->roster) && out->member.n != 0 &&
           out->member.n <= CDX_MAX_MEMBER_KEY_BYTES;
}

static enum cdx_code read_period(struct cdx_text value, struct cdx_period *out, struct cdx_err *err)
{
    json_auto_t *json = NULL;
    size_t known;

    if (cdx_text_is(value, "{}")) { /* nearly all of millions: no parser for them */
        *out = (struct cdx_period){.start_s = 0, .end_s = CDX_NEVER};
        return CDX_OK;
    }
    json = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL)
        return cdx_fail(
            err, CDX_INPUT,
            "rosters: a member's value is not JSON; write {} or {\"start\":date,\"end\":date}");
    known =
        (json_object_get(json, "start") != NULL) + (size_t)(json_object_get(json, "end") != NULL);
    if (json_object_size(json) !=
        known) /* a condition that we do not know may be one that shuts him out */
        return cdx_fail(err, CDX_INPUT,
                        "rosters: a member's value has an element other than start and end");
    return cdx_period_read(json, "rosters: a member's value", CDX_INPUT, out, err);
}

static enum cdx_code read_closing(struct cdx_text value, struct cdx_err *err)
{
    json_auto_t *json = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *count = json_object_get(json, "count"),
                 *version = json_object_get(json, "version");

    if (!json_is_integer(count) || json_integer_value(count) < 0 || !json_is_integer(version))
        return cdx_fail(err, CDX_INPUT,
                        "rosters: a closing record's value is not {\"count\":n,\"version\":n,...}; "
                        "load the roster again");
    return CDX_OK;
}

/* in: false takes the member out. Under the write lock. */
static bool set_member(struct cdx_rosters *r, const struct roster_key *key, bool in,
                       struct cdx_period *period, uint32_t now_s)
{
    struct roster *ro = in ? roster_of(r, key->roster) : cdx_map_get(&r->by_name, key->roster);

    if (ro == NULL)
        return !in;
    period->member =
        in ? cdx_names_add(&r->names, key->member) : cdx_names_find(&r->names, key->member);
    if (period->member == CDX_NO_MEMBER)
        return !in;
    if (in)
        return member_put(ro, period, now_s);
    member_drop(ro, period->member);
    return true;
}

static bool set_closed(struct cdx_rosters *r, const struct roster_key *key, bool closed)
{
    struct roster *ro = closed ? roster_of(r, key->roster) : cdx_map_get(&r->by_name, key->roster);

    if (ro != NULL)
        ro->closed = closed;
    return ro != NULL || !closed;
}

enum cdx_code cdx_rosters_apply(struct cdx_rosters *r, struct cdx_text key, struct cdx_text value,
                                int64_t wall_ms, struct cdx_err *err)
{
    enum cdx_code rc = CDX_OK;
    struct roster_key at = {0};
    struct cdx_period period = {0};
    bool member, in = false, done;

    if (!key_parse(key, &at))
        return cdx_fail(
            err, CDX_INPUT,
            "rosters: a record's key is neither <roster>|<member> nor <roster>#; remove it");
    member = at.member.p != NULL;
    if (value.p != NULL) {
        rc = member ? read_period(value, &period, err) : read_closing(value, err);
        in = rc == CDX_OK; /* what cannot be read counts as gone */
    }
    pthread_rwlock_wrlock(&r->lock);
    done =
        member ? set_member(r, &at, in, &period, cdx_period_now(wall_ms)) : set_closed(r, &at, in);
    pthread_rwlock_unlock(&r->lock);
    return done ? rc
                : cdx_fail(err, CDX_NOMEM, "rosters: a record of roster '%.*s'",
                           CDX_TEXT(at.roster));
}

void cdx_rosters_tick(struct cdx_rosters *r, int64_t wall_ms)
{
    uint32_t now_s = cdx_period_now(wall_ms);

    pthread_rwlock_rdlock(&r->lock); /* the list may grow in cdx_rosters_id */
    for (uint32_t i = 0; i < r->n; i++) {
        struct roster *ro = r->list[i];
        if (now_s >= ro->from_s && now_s < ro->until_s)
            continue;
        pthread_rwlock_unlock(&r->lock);
        pthread_rwlock_wrlock(&r->lock);
        roster_tick(ro, now_s);
        pthread_rwlock_unlock(&r->lock);
        pthread_rwlock_rdlock(&r->lock);
    }
    pthread_rwlock_unlock(&r->lock);
}

uint32_t cdx_rosters_member(struct cdx_rosters *r, struct cdx_text member_key)
{
    uint32_t member;

    pthread_rwlock_rdlock(&r->lock);
    member = cdx_names_find(&r->names, member_key);
    pthread_rwlock_unlock(&r->lock);
    return member;
}

bool cdx_rosters_has(struct cdx_rosters *r, uint32_t roster, uint32_t member)
{
    bool has;

    if (roster == EVERYONE)
        return true;
    pthread_rwlock_rdlock(&r->lock);
    has = roster < r->n && roster_has(r->list[roster], member);
    pthread_rwlock_unlock(&r->lock);
    return has;
}

bool cdx_rosters_has_all(struct cdx_rosters *r, uint32_t roster, const struct cdx_text *members,
                         size_t n)
{
    bool all = n != 0;

    if (roster == EVERYONE)
        return all;
    pthread_rwlock_rdlock(&r->lock);
    if (roster >= r->n)
        all = false;
    for (size_t i = 0; all && i < n; i++)
        all = roster_has(r->list[roster], cdx_names_find(&r->names, members[i]));
    pthread_rwlock_unlock(&r->lock);
    return all;
}

uint64_t cdx_rosters_count(struct cdx_rosters *r, uint32_t roster, bool *closed)
{
    uint64_t count = 0;

    *closed = false;
    pthread_rwlock_rdlock(&r->lock);
    if (roster < r->n) {
        count = roaring_bitmap_get_cardinality(r->list[roster]->now);
        *closed = r->list[roster]->closed;
    }
    pthread_rwlock_unlock(&r->lock);
    return count;
}

void cdx_rosters_each(struct cdx_rosters *r, uint32_t roster,
                      void (*each)(void *arg, struct cdx_text member_key, bool has_period),
                      void *arg)
{
    char key[CDX_MAX_MEMBER_KEY_BYTES];
    roaring_bitmap_t *all = NULL;
    roaring_uint32_iterator_t *it = NULL;

    pthread_rwlock_rdlock(&r->lock);
    if (roster < r->n)
        all = roaring_bitmap_or(r->list[roster]->now, r->list[roster]->dated);
    if (all != NULL)
        it = roaring_create_iterator(all);
    for (; it != NULL && it->has_value; roaring_advance_uint32_iterator(it)) {
        size_t n = cdx_names_text(&r->names, it->current_value, key);
        each(arg, cdx_text(key, n),
             roaring_bitmap_contains(r->list[roster]->dated, it->current_value));
    }
    if (it != NULL)
        roaring_free_uint32_iterator(it);
    if (all != NULL)
        roaring_bitmap_free(all);
    pthread_rwlock_unlock(&r->lock);
}
