/* tests/fuzz/cursor.c -- any bytes as a cursor or checkpoint: refused, or what is written back reads as the same. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "state/cursor.h"

#include "fuzz.h"

static void drop(void *rec)
{
    (void)rec;
}

/* A cursor that a feed takes is the cursor that the feed would persist, but for marks that it needs no more. */
static void must_load_as_itself(const struct cdx_cursor *cursor)
{
    struct cdx_cursor back;
    struct cdx_feed f;

    if (cdx_feed_load(&f, cursor, drop, NULL) != CDX_OK)
        return;
    cdx_feed_cursor(&f, &back);
    if (back.delivered != cursor->delivered || back.counted_number != cursor->counted_number ||
        (back.next_offset != cursor->next_offset && cursor->counted_number > cursor->delivered))
        abort();
    cdx_feed_fini(&f);
}

static void must_come_back(const struct cdx_cursor *cursor)
{
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor back;
    struct cdx_buf buf;

    cdx_buf_init(&buf, CDX_MAX_CURSOR_BYTES);
    cdx_cursor_write(cursor, &buf);
    if (buf.failed || cdx_cursor_read(cdx_buf_text(&buf), marks, &back, NULL) != CDX_OK)
        abort();
    if (back.delivered != cursor->delivered || back.next_offset != cursor->next_offset ||
        back.marks_n != cursor->marks_n ||
        (back.marks_n != 0 &&
         memcmp(back.marks, cursor->marks, back.marks_n * sizeof *back.marks) != 0))
        abort();
    cdx_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cdx_text value = cdx_text((const char *)data, size);
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor cursor;
    int64_t position;

    if (cdx_checkpoint_read(value, &position, NULL) == CDX_OK && position < 0)
        abort();
    if (cdx_cursor_read(value, marks, &cursor, NULL) != CDX_OK)
        return 0;
    must_come_back(&cursor);
    must_load_as_itself(&cursor);
    return 0;
}
