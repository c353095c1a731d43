/*
 * tests/fuzz/roster.c -- any bytes as a Group, and as a record of cdex.rosters (a line of key, then the value).
 *
 * Whatever comes: what a Group hands out is a record that is taken, and a roster that nobody closed lets nobody through.
 */
#include <stdlib.h>

#include "core/buf.h"
#include "core/limits.h"
#include "state/roster.h"

#include "fuzz.h"

#define NOON_MS INT64_C(1770000000000)

static bool apply_member(void *arg, struct cdx_text member_key, struct cdx_text value)
{
    struct cdx_rosters *r = arg;
    struct cdx_buf key;
    uint32_t id;

    cdx_buf_init(&key, CDX_MAX_RECORD_BYTES);
    cdx_buf_add_z(&key, "from-group|");
    cdx_buf_add_text(&key, member_key);
    if (key.failed || cdx_rosters_apply(r, cdx_buf_text(&key), value, NOON_MS, NULL) != CDX_OK)
        abort();
    cdx_buf_fini(&key);
    id = cdx_rosters_id(r, CDX_LIT("from-group"));
    if (cdx_rosters_member(r, member_key) == UINT32_MAX ||
        cdx_rosters_has_all(r, id, &member_key, 1))
        abort();
    return true;
}

static void apply_record(struct cdx_rosters *r, struct cdx_text record)
{
    const char *end = record.n != 0 ? memchr(record.p, '\n', record.n) : NULL;
    struct cdx_text value = {0};

    if (end != NULL) {
        value = cdx_text(end + 1, record.n - (size_t)(end - record.p) - 1);
        record.n = (size_t)(end - record.p);
    }
    if (cdx_rosters_apply(r, record, value, NOON_MS, NULL) != CDX_OK)
        return;
    for (int64_t year = -2; year <= 2; year++)
        cdx_rosters_tick(r, NOON_MS + year * INT64_C(31536000000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cdx_text text = cdx_text((const char *)data, size);
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    char *name = NULL;

    if (r == NULL)
        return 0;
    if (cdx_roster_read_group(text, "https://ehr.example.org/fhir", apply_member, r, &name, NULL) ==
            CDX_OK &&
        cdx_rosters_id(r, cdx_text_z(name)) >= UINT32_MAX - 1)
        abort(); /* every Group.id is a roster's name */
    free(name);
    apply_record(r, text);
    cdx_rosters_destroy(r);
    return 0;
}
