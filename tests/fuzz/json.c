/*
 * fuzz/json.c -- the JSON reader against any bytes: it must not crash, and must see what jansson
 * sees.
 */
#include "../unit/fhir/oracle.h"
#include "core/limits.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct cdx_arena *arena; /* of the process: never freed */
    const char *differs;

    if (arena == NULL && (arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL)) == NULL)
        abort();
    cdx_arena_reset(arena);
    differs = oracle_differs((const char *)p, n, arena);
    if (differs != NULL) {
        fprintf(stderr, "the reader, unlike jansson: %s\n", differs);
        abort();
    }
    return 0;
}
