/*
 * core/arena.c -- a bump allocator over a chain of blocks.
 *
 * The chain is kept at reset up to a bound, so a steady flow of events allocates nothing from the system. A block that
 * one huge event needed is returned, so that one 16 MiB record does not stay in memory for ever.
 */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES 65536
#define KEEP_BYTES (1u << 20)
#define ALIGN 16

struct block {
    struct block *next;
    size_t size;
    _Alignas(ALIGN) unsigned char bytes[];
};

struct cdx_arena {
    struct block *first; /* owned chain */
    struct block *now;   /* the one being filled */
    size_t used;         /* bytes of `now` */
    size_t total;        /* bytes of all blocks */
    size_t max;
};

struct cdx_arena *cdx_arena_create(size_t max_bytes, struct cdx_err *err)
{
    struct cdx_arena *arena = calloc(1, sizeof *arena);

    if (arena == NULL) {
        cdx_fail(err, CDX_NOMEM, "core: arena");
        return NULL;
    }
    arena->max = max_bytes;
    return arena;
}

static void free_chain(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

void cdx_arena_destroy(struct cdx_arena *arena)
{
    if (arena == NULL)
        return;
    free_chain(arena->first);
    free(arena);
}

void cdx_arena_reset(struct cdx_arena *arena)
{
    size_t kept = 0;
    struct block **at = &arena->first;

    while (*at != NULL && kept + (*at)->size <= KEEP_BYTES) {
        kept += (*at)->size;
        at = &(*at)->next;
    }
    free_chain(*at);
    *at = NULL;
    arena->total = kept;
    arena->now = arena->first;
    arena->used = 0;
}

/* Makes `now` a block with room for n; blocks left over from before a reset are used again when they are large enough. */
static int next_block(struct cdx_arena *arena, size_t n)
{
    struct block *b;
    size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;

    while (arena->now != NULL && arena->now->next != NULL) {
        arena->now = arena->now->next;
        arena->used = 0;
        if (arena->now->size >= n)
            return 0;
    }
    if (size > arena->max - arena->total)
        return -1;
    b = malloc(sizeof *b + size);
    if (b == NULL)
        return -1;
    b->next = NULL;
    b->size = size;
    if (arena->now == NULL)
        arena->first = b;
    else
        arena->now->next = b;
    arena->now = b;
    arena->used = 0;
    arena->total += size;
    return 0;
}

void *cdx_arena_alloc(struct cdx_arena *arena, size_t n)
{
    void *p;

    if (n > SIZE_MAX - ALIGN)
        return NULL;
    n = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((arena->now == NULL || arena->now->size - arena->used < n) && next_block(arena, n) != 0)
        return NULL;
    p = arena->now->bytes + arena->used;
    arena->used += n;
    return p;
}

void *cdx_arena_zalloc(struct cdx_arena *arena, size_t count, size_t size)
{
    size_t n;
    void *p;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    p = cdx_arena_alloc(arena, n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

struct cdx_text cdx_arena_copy(struct cdx_arena *arena, struct cdx_text text)
{
    char *p = text.n < SIZE_MAX ? cdx_arena_alloc(arena, text.n + 1) : NULL;

    if (p == NULL)
        return cdx_text(NULL, 0);
    if (text.n != 0)
        memcpy(p, text.p, text.n);
    p[text.n] = '\0';
    return cdx_text(p, text.n);
}

struct cdx_text cdx_arena_printf(struct cdx_arena *arena, const char *format, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || (p = cdx_arena_alloc(arena, (size_t)n + 1)) == NULL)
        return cdx_text(NULL, 0);
    va_start(ap, format);
    vsnprintf(p, (size_t)n + 1, format, ap);
    va_end(ap);
    return cdx_text(p, (size_t)n);
}
