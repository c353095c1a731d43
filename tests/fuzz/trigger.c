/* tests/fuzz/trigger.c -- any bytes as a trigger-state value: refused, or facts that are written and read as the same. */
#include <stdlib.h>

#include "core/arena.h"
#include "core/limits.h"
#include "state/trigger.h"

#include "fuzz.h"

static void must_lie_inside(struct cdx_text whole, struct cdx_text part)
{
    if (part.n != 0 && (part.p < whole.p || part.n > whole.n - (size_t)(part.p - whole.p)))
        abort();
}

static void must_be_equal(const struct cdx_text *a, size_t a_n, const struct cdx_text *b,
                          size_t b_n)
{
    if (a_n != b_n)
        abort();
    for (size_t i = 0; i < a_n; i++)
        if (!cdx_text_eq(a[i], b[i]))
            abort();
}

static void write_and_read_again(const struct cdx_trigger_value *v, struct cdx_arena *arena)
{
    struct cdx_trigger_value again;
    struct cdx_buf out;

    cdx_buf_init(&out, CDX_MAX_RECORD_BYTES);
    cdx_trigger_write(v, &out);
    if (out.failed || cdx_trigger_parse(cdx_buf_text(&out), arena, &again, NULL) != CDX_OK)
        abort();
    must_be_equal(&v->version, 1, &again.version, 1);
    must_be_equal(v->members, v->members_n, again.members, again.members_n);
    must_be_equal(v->receivers, v->receivers_n, again.receivers, again.receivers_n);
    cdx_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cdx_text value = cdx_text((const char *)data, size);
    struct cdx_arena *arena = cdx_arena_create(1 << 20, NULL);
    struct cdx_trigger_value v;

    if (arena != NULL && cdx_trigger_parse(value, arena, &v, NULL) == CDX_OK) {
        must_lie_inside(value, v.version);
        for (size_t i = 0; i < v.members_n; i++)
            must_lie_inside(value, v.members[i]);
        for (size_t i = 0; i < v.receivers_n; i++)
            must_lie_inside(value, v.receivers[i]);
        write_and_read_again(&v, arena);
    }
    cdx_arena_destroy(arena);
    return 0;
}
