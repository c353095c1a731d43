/*
 * fuzz/decode.c -- the decoder against any value and any key: no crash, and only changes that keep
 * their promises.
 */
#include "core/arena.h"
#include "core/limits.h"
#include "decode/decode.h"
#include "fhir/view.h"
#include "fuzz.h"
#include "model/change.h"
#include "model/record.h"

/* What match, notify and the trigger state rely on: model/change.h. */
static void check(const struct cdx_changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct cdx_change *c = &changes->items[i];
        if (!cdx_type_name_valid(c->type) || !cdx_id_valid(c->id))
            abort();
        if ((c->interaction == CDX_DELETE) != (c->json == NULL))
            abort();
        if (c->json != NULL &&
            (c->root >= c->json->count || cdx_json_kind(c->json, c->root) != CDX_JSON_OBJECT))
            abort();
    }
}

static void decode(struct cdx_text format, const struct cdx_record *rec, struct cdx_arena *arena)
{
    struct cdx_changes changes;
    struct cdx_err err = {0};
    enum cdx_code rc;

    cdx_arena_reset(arena);
    rc = cdx_decode(format, rec, CDX_LIT("https://ehr.example.org/fhir"), arena, &changes, &err);
    if (rc == CDX_OK)
        check(&changes);
    else if (rc != CDX_INPUT || err.text[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct cdx_arena *arena; /* of the process: never freed */
    const struct cdx_text text = {n != 0 ? (const char *)p : "", n};

    if (arena == NULL && (arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL)) == NULL)
        abort();
    decode(CDX_LIT("fhir"), &(struct cdx_record){.value = text}, arena);
    decode(CDX_LIT("auto"), &(struct cdx_record){.value = text}, arena);
    decode(CDX_LIT("fhir"), &(struct cdx_record){.key = text}, arena);
    return 0;
}
