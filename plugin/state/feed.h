/*
 * state/feed.h -- the recovery rules of one subscription on one log partition, and nothing else.
 *
 * Each function is one step of the protocol in recovery.md 1, named after it; no Kafka, no clock, no threads. Numbers
 * are event numbers (1..), offsets are log offsets. What is in memory is a list of items: (offset, number, record).
 * Thread: one at a time.
 */
#ifndef CDX_STATE_FEED_H
#define CDX_STATE_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

#define CDX_NO_OFFSET (-1)

struct cdx_mark {
    int64_t number, offset;
};

/* The persisted cursor (key: subscription id). */
struct cdx_cursor {
    int64_t delivered; /* every number up to it needs nothing more */
    int64_t next_offset,
        next_number; /* first undelivered event, or a lower bound of it; CDX_NO_OFFSET: none */
    int64_t counted_offset, counted_number;
    const struct cdx_mark *marks; /* ascending; borrowed */
    size_t marks_n;
    int64_t retry_after_ms; /* wall; 0: none */
    int64_t sent_ms;        /* wall, last send; 0: never */
};

/* One event in memory. `rec` is owned by the feed and given back with `drop`. */
struct cdx_item {
    int64_t offset, number;
    size_t bytes;
    void *rec;
};

struct cdx_items {
    struct cdx_item *ring; /* owned; NULL while empty */
    uint32_t cap, head, n; /* cap: a power of two */
    size_t bytes;
};

struct cdx_feed {
    int64_t delivered;
    int64_t counted_offset, counted_number; /* newest event counted */
    bool live;                              /* false: lagging */
    bool
        dirty; /* something that the cursor holds has changed since the last flush began; cleared by the
                                 caller then, set by it again when that flush was aborted */
    int64_t scan; /* lagging: position of the range reader; the next record found there is number
                                 delivered + 1 + chunk.n */
    int64_t join; /* lagging: J, or CDX_NO_OFFSET */
    uint32_t sending;       /* events from the head that are in a request: they stay in memory */
    struct cdx_items queue; /* live, or joining: records from J on */
    struct cdx_items
        chunk; /* handed over by the scan, not yet acknowledged; live only after a jump */
    struct cdx_mark *marks; /* owned; NULL: none */
    uint32_t marks_n;
    uint32_t mark_every;     /* CDX_MARK_EVERY, doubled at each thinning, until no mark is left */
    void (*drop)(void *rec); /* frees a record */
};

/* Bounds of a queue; over either: overflow. */
struct cdx_feed_bounds {
    uint32_t events;
    size_t bytes;
};

/* Event numbers, both ends included. */
struct cdx_numbers {
    int64_t from, to;
};

/* -- life --------------------------------------------------------------------------------------------------------- */

/* first cursor: end offset of the log - 1, number 0. Only where the key has none. Live. Dirty. */
void cdx_feed_first(struct cdx_feed *f, int64_t log_end, void (*drop)(void *rec));
/**
 * load: a cursor with a `next`, at whatever offset, starts as lagging from it. f is written on CDX_OK only.
 * Errors: CDX_INPUT, the cursor contradicts itself (it would lose or renumber events); CDX_NOMEM.
 */
enum cdx_code cdx_feed_load(struct cdx_feed *f, const struct cdx_cursor *cursor,
                            void (*drop)(void *rec), struct cdx_err *err) CDX_MUST_CHECK;
/* Drops all in memory. */
void cdx_feed_fini(struct cdx_feed *f);
/* What a flush persists now. Marks are borrowed from the feed. retry_after_ms and sent_ms are the caller's to fill. */
void cdx_feed_cursor(const struct cdx_feed *f, struct cdx_cursor *out);

/* -- the live reader ---------------------------------------------------------------------------------------------- */

enum cdx_counted { CDX_PASSED, CDX_COUNTED, CDX_QUEUED, CDX_OVERFLOWED };
/**
 * count, then queue: a record of this subscription at `offset`. PASSED: at or below `counted`, nothing done. COUNTED: its
 * number was taken; it is not kept (lagging, or joining below J). QUEUED: the feed owns `rec` now. OVERFLOWED: counted, and
 * the queue was full: now lagging from the first event that is not in a request, memory freed, `rec` not taken. While
 * joining the chunk stays.
 * CDX_NOMEM in growing the queue counts as full.
 */
enum cdx_counted cdx_feed_count(struct cdx_feed *f, int64_t offset, void *rec, size_t bytes,
                                const struct cdx_feed_bounds *bounds);
/**
 * Lagging from the first item that is not in a request: the endpoint does not accept, or memory is wanted back. Also while
 * joining. With nothing in memory the scan starts behind `counted` (live) or goes on where it is.
 */
void cdx_feed_to_lagging(struct cdx_feed *f);

/* -- sending ------------------------------------------------------------------------------------------------------ */

/* How many events wait in memory in order, without a hole in their numbers (chunk first; the queue only when live). */
uint32_t cdx_feed_ready(const struct cdx_feed *f);
/* The i-th of them, 0 the head. i < cdx_feed_ready. Valid until the next call on this feed. */
const struct cdx_item *cdx_feed_item(const struct cdx_feed *f, uint32_t i);
/**
 * `n` events from the head are in a request now, n <= cdx_feed_ready; 0: it has ended and nothing was accepted. Until
 * that, or cdx_feed_acked, they stay the head in memory whatever becomes of the rest: an answer always finds its events,
 * so an overflow during a POST repeats nothing.
 */
void cdx_feed_sending(struct cdx_feed *f, uint32_t n);
/* acknowledged (or dead-lettered): `n` events from the head need nothing more; n <= cdx_feed_ready. Ends `sending` of them. */
void cdx_feed_acked(struct cdx_feed *f, uint32_t n);

/* -- the range reader --------------------------------------------------------------------------------------------- */

/**
 * Test first, before out-of-range: joins (becomes live) when scan >= J and the chunk is delivered. True: it is live now.
 * `delivered` moves here only when records have vanished from the middle of the log: the caller reports what it skips.
 */
bool cdx_feed_join(struct cdx_feed *f);
/* pick J = max(live position, counted + 1), when none is picked and the scan is within `window` of the live position and not beyond it. */
void cdx_feed_pick_join(struct cdx_feed *f, int64_t live_position, int64_t window);
/* Where a scan must stop: below J and never beyond the live position. May be below the scan: nothing to read then. */
int64_t cdx_feed_scan_limit(const struct cdx_feed *f, int64_t live_position);
/**
 * scan: a record of this subscription at `offset` (scan <= offset < cdx_feed_scan_limit). True: taken as number delivered + 1 + chunk.n.
 * False: the chunk is at its bounds (an empty chunk takes any one record) or there is no memory; nothing done.
 * The caller never reads on from the log's start when the scan lies below it: see cdx_feed_below. The reader has handed
 * over every record of this subscription from `scan` on: after OVERFLOWED or cdx_feed_to_lagging a reader that other feeds
 * share may stand beyond the scan, so the feed leaves it and is read again from `scan`.
 */
bool cdx_feed_scan_record(struct cdx_feed *f, int64_t offset, void *rec, size_t bytes,
                          const struct cdx_feed_bounds *bounds);
/* The scan has passed everything below `position` (records of others, control records); never moves back, never over the limit. */
void cdx_feed_scan_passed(struct cdx_feed *f, int64_t position, int64_t live_position);

/* -- what retention took ------------------------------------------------------------------------------------------ */

/**
 * Is the scan below the log's start (and the chunk empty, and no join due)? While the chunk waits the answer is false and
 * the scan can still not be read: it waits for the chunk.
 */
bool cdx_feed_below(const struct cdx_feed *f, int64_t log_start);
/* From where to count back: the first mark at or above the start, or `counted`. */
void cdx_feed_anchor(const struct cdx_feed *f, int64_t log_start, struct cdx_mark *out);
/**
 * gap, when cdx_feed_below: `alive` records of this subscription lie in [log_start, anchor->offset]. The first surviving number is
 * anchor->number - alive + 1, clipped to the first number in the queue. True: numbers *from..*to are gone and to be
 * reported (dead letter in the same flush); false: nothing was lost. The scan goes on at the start, or at the queue's
 * head if that is lower.
 * Anchor and alive must belong to this log_start; the feed may have counted on and been acknowledged meanwhile.
 */
bool cdx_feed_gap(struct cdx_feed *f, int64_t log_start, const struct cdx_mark *anchor,
                  int64_t alive, int64_t *from, int64_t *to);
/**
 * jump: the checkpoint (or the live position) lies below the log's start; `distance` = log end - that position. A feed not
 * counted beyond the start: number += distance, counted offset = start - 1, its scan ends (live); what is in memory is
 * kept and sent. Returns how many ranges of numbers are to be reported, the first ends where its scan's backlog did.
 * Must be committed before anything is counted or sent, by a flush that began after it: an older one that commits
 * meanwhile does not hold it.
 */
size_t cdx_feed_jump(struct cdx_feed *f, int64_t log_start, int64_t distance,
                     struct cdx_numbers lost[2]);
/**
 * The log was replaced (checkpoint above its end): numbers go on unchanged, what was undelivered is gone (*from..*to when
 * true), in memory or not: its offsets mean nothing in the new log. Counting goes on from the new log's start. No request
 * may be in flight, and an answer that comes later is ignored. Committed before anything is counted or sent, as a jump is.
 */
bool cdx_feed_replaced(struct cdx_feed *f, int64_t log_start, int64_t *from, int64_t *to);

#endif
