/*
 * flow/flush.h -- private to flow/: one cursor flush at a time, as a transaction, on a thread of its own.
 *
 * The push thread gathers records (cursors, checkpoints, status records, delivery records, dead letters) into a flush,
 * hands it over whole and goes on; the outcome comes back through an eventfd. recovery.md "flush".
 */
#ifndef CDX_FLOW_FLUSH_H
#define CDX_FLOW_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/buf.h"

struct cdx_flush;
struct cdx_flusher;

/* -- a flush ------------------------------------------------------------------------------------------------------ */

struct cdx_flush *cdx_flush_create(void);
void cdx_flush_free(struct cdx_flush *flush);
bool cdx_flush_empty(const struct cdx_flush *flush);
/* Adds one record; everything is copied. sticky: it is handed on to the next flush when this one is rolled back (a delivery
 * record, a dead letter); the others are rendered anew then. False: no memory. */
bool cdx_flush_add(struct cdx_flush *flush, const struct cdx_out *out, bool sticky);
/* The offset of the log consumer's group to commit with it. */
bool cdx_flush_position(struct cdx_flush *flush, int32_t partition, int64_t offset);
/* Moves the sticky records of `from` to the front of `to`. */
bool cdx_flush_carry_over(struct cdx_flush *to, struct cdx_flush *from);

/* -- the thread --------------------------------------------------------------------------------------------------- */

/* bus and consumer (embedded mode's commits) are borrowed. Opens the producer: leftovers of a former self are aborted before this returns. */
struct cdx_flusher *cdx_flusher_create(struct cdx_bus *bus, struct cdx_err *err);
/* Hands a flush over; only when none is open. group: of the assignment; borrowed until the outcome is taken. */
void cdx_flusher_begin(struct cdx_flusher *f, struct cdx_flush *flush,
                       const struct cdx_group *group, struct cdx_consumer *consumer);
bool cdx_flusher_busy(const struct cdx_flusher *f);
/* Readable when an outcome waits. */
int cdx_flusher_fd(const struct cdx_flusher *f);
/* The flush and how it ended; NULL: nothing ended. wait: until one has. */
struct cdx_flush *cdx_flusher_take(struct cdx_flusher *f, bool wait, enum cdx_committed *how,
                                   struct cdx_err *err);
void cdx_flusher_destroy(struct cdx_flusher *f);

#endif
