/*
 * state/trigger.h -- what is known of each resource's last version: presence, version, members, receivers.
 *
 * The truth is the topic cdex.trigger-state; this is its cache in LMDB under data_dir, one file a state partition, with
 * the offset up to which it was filled by reading. Deleting the files is safe. A cache of another boot (power may have
 * been lost), unread for more than 12 h (tombstones may have left the topic meanwhile), damaged or foreign is thrown
 * away at open. One that is ahead of its topic is thrown away by the caller with cdx_trigger_clear.
 *
 * Errors of all calls: CDX_NOMEM; CDX_FULL when the disk or the address space is; CDX_CONFIG when the file cannot be
 * used. After any of them the cache only lags behind: what was committed stays, and reading on from `filled` mends it.
 */
#ifndef CDX_STATE_TRIGGER_H
#define CDX_STATE_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/text.h"

struct cdx_arena;
struct cdx_trigger; /* opaque: one state partition */

/**
 * A record value of cdex.trigger-state, one line a fact; a deleted resource is a tombstone:
 *   v <versionId>     (may be empty)
 *   m <member key>    0..n
 *   r <subscription>  0..n receivers
 */
struct cdx_trigger_value {
    struct cdx_text version;
    const struct cdx_text *members;
    size_t members_n;
    const struct cdx_text *receivers;
    size_t receivers_n;
};
/* A text with a line end in it fails the buffer: it would be read back as another fact. */
void cdx_trigger_write(const struct cdx_trigger_value *v, struct cdx_buf *out);
/**
 * The texts are borrowed from `value`, the arrays live in the arena. Errors: CDX_INPUT naming the line (unknown letter,
 * no `v` first, a second `v`, an empty member or receiver, no line end, more than the limits), CDX_NOMEM. Thread: any.
 */
enum cdx_code cdx_trigger_parse(struct cdx_text value, struct cdx_arena *arena,
                                struct cdx_trigger_value *out, struct cdx_err *err) CDX_MUST_CHECK;

/**
 * Opens or makes <dir>/trigger-<partition>.mdb (and <dir>, one level). A damaged or foreign file is replaced; damage
 * inside a page that LMDB itself does not notice is not found. One handle a file and process. Returns owned, or NULL.
 * Thread: one at a time, as for all below.
 */
struct cdx_trigger *cdx_trigger_open(const char *dir, int32_t partition, int64_t wall_ms,
                                     struct cdx_err *err);
/* An open write transaction is dropped. Accepts NULL. */
void cdx_trigger_close(struct cdx_trigger *t);
/* Next offset to read to fill it; 0 when empty. */
int64_t cdx_trigger_filled(const struct cdx_trigger *t);
/* Starts empty: filled is 0, an open write transaction is dropped. On an error every later call but close fails. */
enum cdx_code cdx_trigger_clear(struct cdx_trigger *t, struct cdx_err *err) CDX_MUST_CHECK;
/**
 * The value of a key copied into the arena; {NULL,0}: unknown. Sees the puts of an open write transaction. Keys longer
 * than LMDB's 511 bytes are kept by their SHA-256.
 */
enum cdx_code cdx_trigger_get(struct cdx_trigger *t, struct cdx_text key, struct cdx_arena *arena,
                              struct cdx_text *value, struct cdx_err *err) CDX_MUST_CHECK;

/**
 * One write transaction: begin, put (value.p NULL removes) ..., commit with filled >= 0 to move the filled offset, or -1
 * to leave it. A commit with filled >= 0 also says that the topic was read up to there at wall_ms: the 12 h count anew.
 * After a failed put or commit the transaction is gone.
 */
enum cdx_code cdx_trigger_begin(struct cdx_trigger *t, struct cdx_err *err) CDX_MUST_CHECK;
enum cdx_code cdx_trigger_put(struct cdx_trigger *t, struct cdx_text key, struct cdx_text value,
                              struct cdx_err *err) CDX_MUST_CHECK;
enum cdx_code cdx_trigger_commit(struct cdx_trigger *t, int64_t filled, int64_t wall_ms,
                                 struct cdx_err *err) CDX_MUST_CHECK;
/* Drops the open write transaction, if any. */
void cdx_trigger_abort(struct cdx_trigger *t);

#endif
