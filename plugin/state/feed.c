/*
 * state/feed.c -- what has this subscription got, what waits, and where does it go on after a crash?
 *
 * In:    records in log order from the live reader, records from a scan, acknowledgements, the log's start.
 * Out:   numbers for events, the cursor that a flush persists, the numbers that are gone.
 * Owns:  the records in memory and the marks.
 *
 * The hard thing is that two readers feed one order. The live reader alone counts; a scan derives its numbers from
 * `delivered`, which holds only while it starts at the first undelivered record and never meets one that the live
 * reader has queued. J is where the two meet: the scan stays below it, the queue begins at or above it, so what is in
 * memory is chunk, then queue, and no event is in both. `delivered` of a live feed always stands right before its head.
 *
 * Not a pause of the live reader until the scan has caught up: one slow endpoint would then stop a whole partition.
 */
#include "state/feed.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

#define LEAST_RING 4

/* -- items -------------------------------------------------------------------------------------------------------- */

static struct cdx_item *item_at(const struct cdx_items *items, uint32_t i)
{
    return &items->ring[(items->head + i) & (items->cap - 1)];
}

static bool items_fit(const struct cdx_items *items, size_t bytes,
                      const struct cdx_feed_bounds *bounds)
{
    return items->n < bounds->events && bytes <= bounds->bytes &&
           items->bytes <= bounds->bytes - bytes;
}

static bool items_grow(struct cdx_items *items)
{
    uint32_t cap = items->cap == 0 ? LEAST_RING : items->cap * 2;
    struct cdx_item *ring;

    if (cap <= items->cap || (ring = calloc(cap, sizeof *ring)) == NULL)
        return false;
    for (uint32_t i = 0; i < items->n; i++)
        ring[i] = *item_at(items, i);
    free(items->ring);
    items->ring = ring;
    items->cap = cap;
    items->head = 0;
    return true;
}

static bool items_push(struct cdx_items *items, struct cdx_item item)
{
    if (items->n == items->cap && !items_grow(items))
        return false;
    items->n++;
    *item_at(items, items->n - 1) = item;
    items->bytes += item.bytes;
    return true;
}

/* An empty ring is freed: most subscriptions are idle most of the time. */
static void items_emptied(struct cdx_items *items)
{
    if (items->n != 0)
        return;
    free(items->ring);
    *items = (struct cdx_items){0};
}

static void items_pop(struct cdx_items *items, void (*drop)(void *rec))
{
    const struct cdx_item *item = item_at(items, 0);

    items->bytes -= item->bytes;
    drop(item->rec);
    items->head = (items->head + 1) & (items->cap - 1);
    items->n--;
    items_emptied(items);
}

/* Only the first `n` stay. */
static void items_cut(struct cdx_items *items, uint32_t n, void (*drop)(void *rec))
{
    while (items->n > n) {
        const struct cdx_item *item = item_at(items, items->n - 1);

        items->bytes -= item->bytes;
        drop(item->rec);
        items->n--;
    }
    items_emptied(items);
}

/* -- marks -------------------------------------------------------------------------------------------------------- */

/* Drops every mark whose number is no multiple of the doubled distance; a load leaves the distance to be found again. */
static void thin_marks(struct cdx_feed *f)
{
    while (f->marks_n == CDX_MAX_MARKS && f->mark_every <= UINT32_MAX / 2) {
        uint32_t kept = 0;

        f->mark_every *= 2;
        for (uint32_t i = 0; i < f->marks_n; i++)
            if (f->marks[i].number % f->mark_every == 0)
                f->marks[kept++] = f->marks[i];
        f->marks_n = kept;
    }
}

/* Without memory there is no mark: a gap is then counted back from a later one, or from `counted`. */
static void mark_counted(struct cdx_feed *f)
{
    struct cdx_mark *marks;

    if (f->counted_number % f->mark_every != 0)
        return;
    thin_marks(f);
    if (f->counted_number % f->mark_every != 0 || f->marks_n == CDX_MAX_MARKS)
        return;
    marks = realloc(f->marks, (f->marks_n + 1) * sizeof *marks);
    if (marks == NULL)
        return;
    f->marks = marks;
    f->marks[f->marks_n++] = (struct cdx_mark){f->counted_number, f->counted_offset};
}

/* What is delivered is never counted back to. */
static void drop_marks(struct cdx_feed *f)
{
    uint32_t done = 0;

    while (done < f->marks_n && f->marks[done].number <= f->delivered)
        done++;
    f->marks_n -= done;
    if (done != 0 && f->marks_n != 0)
        memmove(f->marks, f->marks + done, f->marks_n * sizeof *f->marks);
    if (f->marks_n != 0)
        return;
    free(f->marks);
    f->marks = NULL;
    f->mark_every = CDX_MARK_EVERY;
}

/* -- the order ---------------------------------------------------------------------------------------------------- */

/* What is sent next comes from here. */
static struct cdx_items *source(const struct cdx_feed *f)
{
    return (struct cdx_items *)(f->chunk.n != 0 || !f->live ? &f->chunk : &f->queue);
}

/* The first event in memory, or NULL. */
static const struct cdx_item *head(const struct cdx_feed *f)
{
    const struct cdx_items *items = source(f);

    return items->n != 0 ? item_at(items, 0) : NULL;
}

/* A live feed needs nothing more for whatever is neither in memory nor still to be counted (after a jump: a hole). */
static void settle(struct cdx_feed *f)
{
    const struct cdx_item *first = head(f);

    if (f->live)
        f->delivered = first != NULL ? first->number - 1 : f->counted_number;
    drop_marks(f);
}

static void leave_join(struct cdx_feed *f)
{
    items_cut(&f->queue, 0, f->drop);
    f->join = CDX_NO_OFFSET;
}

/*
 * Lagging from the first event that is not in a request; from `empty` when nothing is in memory. Behind the request's
 * last event lies its own offset + 1, not its neighbour's offset: after a jump the neighbour's number is not the next.
 */
static void lag(struct cdx_feed *f, int64_t empty)
{
    struct cdx_items *items = source(f);

    f->scan = f->sending != 0 ? item_at(items, f->sending - 1)->offset + 1
              : items->n != 0 ? item_at(items, 0)->offset
                              : empty;
    items_cut(items, f->sending, f->drop);
    if (items == &f->queue) {
        f->chunk = f->queue; /* empty before: the queue was the source */
        f->queue = (struct cdx_items){0};
    }
    f->live = false;
    leave_join(f);
}

/* -- life --------------------------------------------------------------------------------------------------------- */

void cdx_feed_first(struct cdx_feed *f, int64_t log_end, void (*drop)(void *rec))
{
    *f = (struct cdx_feed){
        .counted_offset = log_end - 1,
        .live = true,
        .dirty = true,
        .scan = log_end,
        .join = CDX_NO_OFFSET,
        .mark_every = CDX_MARK_EVERY,
        .drop = drop,
    };
}

/* Why it would lose or renumber events; NULL: it would not. */
static const char *contradiction(const struct cdx_cursor *cursor)
{
    if (cursor->delivered < 0 || cursor->counted_number < cursor->delivered ||
        cursor->counted_offset < CDX_NO_OFFSET)
        return "more is delivered than counted";
    if (cursor->next_offset == CDX_NO_OFFSET)
        return cursor->counted_number == cursor->delivered
                   ? NULL
                   : "events are undelivered and there is no next";
    if (cursor->next_offset < 0 || cursor->next_number != cursor->delivered + 1)
        return "next does not follow delivered";
    return NULL;
}

enum cdx_code cdx_feed_load(struct cdx_feed *f, const struct cdx_cursor *cursor,
                            void (*drop)(void *rec), struct cdx_err *err)
{
    const char *why = contradiction(cursor);
    struct cdx_mark *marks = NULL;

    if (why != NULL)
        return cdx_fail(
            err, CDX_INPUT,
            "cursor: %s (delivered %lld, counted %lld, next %lld); put back an older value of its key",
            why, (long long)cursor->delivered, (long long)cursor->counted_number,
            (long long)cursor->next_number);
    if (cursor->marks_n > CDX_MAX_MARKS)
        return cdx_fail(err, CDX_INPUT,
                        "cursor: %zu marks, at most %d; put back an older value of its key",
                        cursor->marks_n, CDX_MAX_MARKS);
    if (cursor->marks_n != 0) {
        marks = malloc(cursor->marks_n * sizeof *marks);
        if (marks == NULL)
            return cdx_fail(err, CDX_NOMEM, "cursor: marks");
        memcpy(marks, cursor->marks, cursor->marks_n * sizeof *marks);
    }
    *f = (struct cdx_feed){
        .delivered = cursor->delivered,
        .counted_offset = cursor->counted_offset,
        .counted_number = cursor->counted_number,
        .live = cursor->next_offset == CDX_NO_OFFSET,
        .scan = cursor->next_offset,
        .join = CDX_NO_OFFSET,
        .marks = marks,
        .marks_n = (uint32_t)cursor->marks_n,
        .mark_every = CDX_MARK_EVERY,
        .drop = drop,
    };
    drop_marks(f);
    return CDX_OK;
}

void cdx_feed_fini(struct cdx_feed *f)
{
    items_cut(&f->chunk, 0, f->drop);
    items_cut(&f->queue, 0, f->drop);
    free(f->marks);
    f->marks = NULL;
    f->marks_n = 0;
    f->sending = 0;
}

void cdx_feed_cursor(const struct cdx_feed *f, struct cdx_cursor *out)
{
    const struct cdx_item *first = head(f);

    *out = (struct cdx_cursor){
        .delivered = f->delivered,
        .next_offset = CDX_NO_OFFSET,
        .counted_offset = f->counted_offset,
        .counted_number = f->counted_number,
        .marks = f->marks,
        .marks_n = f->marks_n,
    };
    if (first != NULL)
        out->next_offset = first->offset;
    else if (!f->live && f->counted_number > f->delivered)
        out->next_offset = f->scan; /* a lower bound (C4) */
    if (out->next_offset != CDX_NO_OFFSET)
        out->next_number = f->delivered + 1;
}

/* -- the live reader ---------------------------------------------------------------------------------------------- */

enum cdx_counted cdx_feed_count(struct cdx_feed *f, int64_t offset, void *rec, size_t bytes,
                                const struct cdx_feed_bounds *bounds)
{
    if (offset <= f->counted_offset)
        return CDX_PASSED;
    f->counted_offset = offset;
    f->counted_number++;
    f->dirty = true;
    mark_counted(f);
    if (!f->live && (f->join == CDX_NO_OFFSET || offset < f->join))
        return CDX_COUNTED;
    if (items_fit(&f->queue, bytes, bounds) &&
        items_push(&f->queue, (struct cdx_item){offset, f->counted_number, bytes, rec}))
        return CDX_QUEUED;
    if (f->live)
        lag(f, offset);
    else
        leave_join(f);
    return CDX_OVERFLOWED;
}

void cdx_feed_to_lagging(struct cdx_feed *f)
{
    lag(f, f->live ? f->counted_offset + 1 : f->scan);
}

/* -- sending ------------------------------------------------------------------------------------------------------ */

uint32_t cdx_feed_ready(const struct cdx_feed *f)
{
    const struct cdx_items *items = source(f);
    uint32_t n = items->n;

    if (n == 0 || item_at(items, n - 1)->number - item_at(items, 0)->number == n - 1)
        return n;
    for (n = 1; item_at(items, n)->number == item_at(items, n - 1)->number + 1; n++)
        ; /* a jump's hole lies before the last one */
    return n;
}

const struct cdx_item *cdx_feed_item(const struct cdx_feed *f, uint32_t i)
{
    return item_at(source(f), i);
}

void cdx_feed_sending(struct cdx_feed *f, uint32_t n)
{
    f->sending = n;
}

void cdx_feed_acked(struct cdx_feed *f, uint32_t n)
{
    struct cdx_items *items = source(f);

    if (n == 0)
        return;
    f->delivered = item_at(items, n - 1)->number;
    f->sending = f->sending > n ? f->sending - n : 0;
    f->dirty = true;
    for (; n > 0; n--)
        items_pop(items, f->drop);
    settle(f);
}

/* -- the range reader --------------------------------------------------------------------------------------------- */

/* The scan's position, not a record's offset: there may be none between the two (C4). */
static bool join_due(const struct cdx_feed *f)
{
    return !f->live && f->join != CDX_NO_OFFSET && f->scan >= f->join && f->chunk.n == 0;
}

bool cdx_feed_join(struct cdx_feed *f)
{
    if (!join_due(f))
        return false;
    f->live = true;
    f->join = CDX_NO_OFFSET;
    settle(f);
    return true;
}

void cdx_feed_pick_join(struct cdx_feed *f, int64_t live_position, int64_t window)
{
    if (f->live || f->join != CDX_NO_OFFSET || f->scan > live_position ||
        live_position - f->scan > window)
        return;
    f->join = live_position > f->counted_offset ? live_position : f->counted_offset + 1;
}

int64_t cdx_feed_scan_limit(const struct cdx_feed *f, int64_t live_position)
{
    return f->join != CDX_NO_OFFSET && f->join < live_position ? f->join : live_position;
}

bool cdx_feed_scan_record(struct cdx_feed *f, int64_t offset, void *rec, size_t bytes,
                          const struct cdx_feed_bounds *bounds)
{
    if (f->chunk.n != 0 && !items_fit(&f->chunk, bytes, bounds))
        return false;
    if (!items_push(&f->chunk,
                    (struct cdx_item){offset, f->delivered + 1 + f->chunk.n, bytes, rec}))
        return false;
    f->scan = offset + 1;
    return true;
}

void cdx_feed_scan_passed(struct cdx_feed *f, int64_t position, int64_t live_position)
{
    int64_t limit = cdx_feed_scan_limit(f, live_position);

    if (position > limit)
        position = limit;
    if (position > f->scan)
        f->scan = position;
}

/* -- what retention took ------------------------------------------------------------------------------------------ */

bool cdx_feed_below(const struct cdx_feed *f, int64_t log_start)
{
    return !f->live && f->chunk.n == 0 && f->scan < log_start && !join_due(f);
}

void cdx_feed_anchor(const struct cdx_feed *f, int64_t log_start, struct cdx_mark *out)
{
    *out = (struct cdx_mark){f->counted_number, f->counted_offset};
    for (uint32_t i = 0; i < f->marks_n; i++)
        if (f->marks[i].offset >= log_start) {
            *out = f->marks[i];
            return;
        }
}

bool cdx_feed_gap(struct cdx_feed *f, int64_t log_start, const struct cdx_mark *anchor,
                  int64_t alive, int64_t *from, int64_t *to)
{
    int64_t first = anchor->number - alive + 1, lost_from = f->delivered + 1;

    f->scan = log_start;
    if (f->queue.n != 0) { /* what is in memory is not lost (C4) */
        const struct cdx_item *queued = item_at(&f->queue, 0);

        first = first < queued->number ? first : queued->number;
        f->scan = log_start < queued->offset ? log_start : queued->offset;
    }
    f->dirty = true;
    if (first <= lost_from)
        return false;
    f->delivered = first - 1;
    drop_marks(f);
    *from = lost_from;
    *to = first - 1;
    return true;
}

size_t cdx_feed_jump(struct cdx_feed *f, int64_t log_start, int64_t distance,
                     struct cdx_numbers lost[2])
{
    int64_t old = f->counted_number;
    size_t n = 0;

    if (f->counted_offset >= log_start)
        return 0;
    f->counted_number += distance;
    f->counted_offset = log_start - 1;
    f->dirty = true;
    if (!f->live) { /* the backlog between chunk and queue is gone with the rest */
        int64_t from = f->delivered + 1 + f->chunk.n,
                to = f->queue.n != 0 ? item_at(&f->queue, 0)->number - 1 : old;

        if (from <= to)
            lost[n++] = (struct cdx_numbers){from, to};
        f->live = true;
        f->join = CDX_NO_OFFSET;
    }
    if (n != 0 && lost[0].to == old)
        lost[0].to = f->counted_number;
    else
        lost[n++] = (struct cdx_numbers){old + 1, f->counted_number};
    settle(f);
    return n;
}

bool cdx_feed_replaced(struct cdx_feed *f, int64_t log_start, int64_t *from, int64_t *to)
{
    int64_t lost_from = f->delivered + 1;

    f->sending = 0;
    items_cut(&f->chunk, 0, f->drop);
    leave_join(f);
    f->live = true;
    f->counted_offset = log_start - 1;
    f->dirty = true;
    settle(f);
    if (lost_from > f->counted_number)
        return false;
    *from = lost_from;
    *to = f->counted_number;
    return true;
}
