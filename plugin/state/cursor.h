/* state/cursor.h -- a cursor and a checkpoint as record values: one line of JSON that a person can read with kcat. */
#ifndef CDX_STATE_CURSOR_H
#define CDX_STATE_CURSOR_H

#include "core/buf.h"
#include "core/err.h"
#include "state/feed.h"

/* A value of cdex.cursors: CDX_MAX_MARKS marks of two 19-digit numbers are below 1500 bytes; the rest is for newer members. */
#define CDX_MAX_CURSOR_BYTES 4096

/**
 * {"delivered":7,"next":{"offset":19,"number":8},"counted":{"offset":33,"number":9},"marks":[[1000,1432],...],"retryAfter":ms,"sent":ms};
 * a mark is [number, offset]. delivered and counted are always there, other absent members are 0 or none; counted.offset is -1 when the first cursor met an empty log.
 */
void cdx_cursor_write(const struct cdx_cursor *cursor, struct cdx_buf *out);
/**
 * marks_out (CDX_MAX_MARKS) is filled and borrowed by out->marks. Unknown members are passed over. Whether the numbers
 * agree with each other is judged by cdx_feed_load. Errors: CDX_INPUT naming the member, CDX_NOMEM. Thread: any.
 */
enum cdx_code cdx_cursor_read(struct cdx_text value, struct cdx_mark *marks_out,
                              struct cdx_cursor *out, struct cdx_err *err) CDX_MUST_CHECK;
/* {"position":n}: the checkpoint, key "#<partition>". */
void cdx_checkpoint_write(int64_t position, struct cdx_buf *out);
enum cdx_code cdx_checkpoint_read(struct cdx_text value, int64_t *position,
                                  struct cdx_err *err) CDX_MUST_CHECK;

#endif
