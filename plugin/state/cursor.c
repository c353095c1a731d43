/*
 * state/cursor.c -- how is a cursor written down, and what does a written one say?
 *
 * In:    a cursor of a feed; record values of cdex.cursors.
 * Out:   one line of JSON; a cursor, or the member that cannot be one.
 * Owns:  nothing; the marks of a cursor read live with the caller.
 *
 * The hard thing is the difference in pace: every flush writes the cursors of all subscriptions that moved, a load reads
 * each once. So writing is additions to a buffer, without jansson, and reading may take its time to refuse what is not a
 * cursor. Not a binary format: whoever asks why a subscription stands still looks at this record first.
 */
#include "state/cursor.h"

#include <jansson.h>

#include "core/limits.h"

/* -- writing ------------------------------------------------------------------------------------------------------ */

static void add_number(struct cdx_buf *out, const char *before, int64_t v)
{
    cdx_buf_add_z(out, before);
    cdx_buf_add_i64(out, v);
}

static void add_marks(struct cdx_buf *out, const struct cdx_cursor *cursor)
{
    if (cursor->marks_n == 0)
        return;
    for (size_t i = 0; i < cursor->marks_n; i++) {
        add_number(out, i == 0 ? ",\"marks\":[[" : ",[", cursor->marks[i].number);
        add_number(out, ",", cursor->marks[i].offset);
        cdx_buf_add(out, "]", 1);
    }
    cdx_buf_add(out, "]", 1);
}

void cdx_cursor_write(const struct cdx_cursor *cursor, struct cdx_buf *out)
{
    add_number(out, "{\"delivered\":", cursor->delivered);
    if (cursor->next_offset != CDX_NO_OFFSET) {
        add_number(out, ",\"next\":{\"offset\":", cursor->next_offset);
        add_number(out, ",\"number\":", cursor->next_number);
        cdx_buf_add(out, "}", 1);
    }
    add_number(out, ",\"counted\":{\"offset\":", cursor->counted_offset);
    add_number(out, ",\"number\":", cursor->counted_number);
    cdx_buf_add(out, "}", 1);
    add_marks(out, cursor);
    if (cursor->retry_after_ms != 0)
        add_number(out, ",\"retryAfter\":", cursor->retry_after_ms);
    if (cursor->sent_ms != 0)
        add_number(out, ",\"sent\":", cursor->sent_ms);
    cdx_buf_add(out, "}", 1);
}

void cdx_checkpoint_write(int64_t position, struct cdx_buf *out)
{
    add_number(out, "{\"position\":", position);
    cdx_buf_add(out, "}", 1);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static enum cdx_code refuse(struct cdx_err *err, const char *member, const char *what)
{
    return cdx_fail(err, CDX_INPUT, "cursor record: %s is %s; put back an older value of its key",
                    member, what);
}

/* An absent member keeps *out. Whole numbers from `least` only. */
static enum cdx_code whole(const json_t *object, const char *member, int64_t least, int64_t *out,
                           struct cdx_err *err)
{
    const json_t *v = json_object_get(object, member);

    if (v == NULL)
        return CDX_OK;
    if (!json_is_integer(v) || json_integer_value(v) < least)
        return refuse(err, member, "no whole number in its range");
    *out = json_integer_value(v);
    return CDX_OK;
}

/* {"offset":..,"number":..}, both present. */
static enum cdx_code place(const json_t *object, const char *member, int64_t least_offset,
                           int64_t *offset, int64_t *number, struct cdx_err *err)
{
    const json_t *v = json_object_get(object, member);
    enum cdx_code rc;

    if (!json_is_object(v) || json_object_get(v, "offset") == NULL ||
        json_object_get(v, "number") == NULL)
        return refuse(err, member, "no object with offset and number");
    rc = whole(v, "offset", least_offset, offset, err);
    return rc == CDX_OK ? whole(v, "number", 0, number, err) : rc;
}

static bool mark(const json_t *v, const struct cdx_mark *before, struct cdx_mark *out)
{
    const json_t *number = json_array_get(v, 0), *offset = json_array_get(v, 1);

    if (json_array_size(v) != 2 || !json_is_integer(number) || !json_is_integer(offset))
        return false;
    *out = (struct cdx_mark){json_integer_value(number), json_integer_value(offset)};
    return out->number > 0 && out->offset >= 0 &&
           (before == NULL || (out->number > before->number && out->offset > before->offset));
}

static enum cdx_code read_marks(const json_t *object, struct cdx_mark *marks,
                                struct cdx_cursor *out, struct cdx_err *err)
{
    const json_t *array = json_object_get(object, "marks");
    size_t n = json_array_size(array);

    if (array == NULL)
        return CDX_OK;
    if (!json_is_array(array) || n > CDX_MAX_MARKS)
        return refuse(err, "marks", "no array or too long");
    for (size_t i = 0; i < n; i++)
        if (!mark(json_array_get(array, i), i != 0 ? &marks[i - 1] : NULL, &marks[i]))
            return refuse(err, "marks", "not ascending pairs of number and offset");
    if (n != 0 &&
        (marks[n - 1].number > out->counted_number || marks[n - 1].offset > out->counted_offset))
        return refuse(err, "marks", "beyond what is counted");
    out->marks = marks;
    out->marks_n = n;
    return CDX_OK;
}

/* One JSON object and nothing else. Returns owned in *out. */
static enum cdx_code object_of(struct cdx_text value, json_t **out, struct cdx_err *err)
{
    json_error_t why;
    json_t *root;

    if (value.n > CDX_MAX_CURSOR_BYTES)
        return refuse(err, "the value", "too long");
    root = json_loadb(value.n != 0 ? value.p : "", value.n, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL && json_error_code(&why) == json_error_out_of_memory)
        return cdx_fail(err, CDX_NOMEM, "cursor record");
    if (!json_is_object(root)) {
        json_decref(root);
        return refuse(err, "the value", "no JSON object");
    }
    *out = root;
    return CDX_OK;
}

/* A member that is always written. */
static enum cdx_code whole_present(const json_t *object, const char *member, int64_t *out,
                                   struct cdx_err *err)
{
    return json_object_get(object, member) == NULL ? refuse(err, member, "absent")
                                                   : whole(object, member, 0, out, err);
}

static enum cdx_code read_numbers(const json_t *object, struct cdx_cursor *out, struct cdx_err *err)
{
    enum cdx_code rc = whole_present(object, "delivered", &out->delivered, err);

    if (rc == CDX_OK)
        rc = place(object, "counted", CDX_NO_OFFSET, &out->counted_offset, &out->counted_number,
                   err);
    if (rc == CDX_OK && json_object_get(object, "next") != NULL)
        rc = place(object, "next", 0, &out->next_offset, &out->next_number, err);
    if (rc == CDX_OK)
        rc = whole(object, "retryAfter", 0, &out->retry_after_ms, err);
    if (rc == CDX_OK)
        rc = whole(object, "sent", 0, &out->sent_ms, err);
    return rc;
}

enum cdx_code cdx_cursor_read(struct cdx_text value, struct cdx_mark *marks_out,
                              struct cdx_cursor *out, struct cdx_err *err)
{
    struct cdx_cursor cursor = {.next_offset = CDX_NO_OFFSET};
    json_auto_t *object = NULL;
    enum cdx_code rc = object_of(value, &object, err);

    if (rc == CDX_OK)
        rc = read_numbers(object, &cursor, err);
    if (rc == CDX_OK)
        rc = read_marks(object, marks_out, &cursor, err);
    if (rc == CDX_OK)
        *out = cursor;
    return rc;
}

enum cdx_code cdx_checkpoint_read(struct cdx_text value, int64_t *position, struct cdx_err *err)
{
    json_auto_t *object = NULL;
    enum cdx_code rc = object_of(value, &object, err);

    return rc == CDX_OK ? whole_present(object, "position", position, err) : rc;
}
