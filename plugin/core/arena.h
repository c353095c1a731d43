/* core/arena.h -- memory for one event, from poll to hand-over: taken piece by piece, given back at once. */
#ifndef CDX_CORE_ARENA_H
#define CDX_CORE_ARENA_H

#include <stddef.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_arena; /* opaque; its fields live in arena.c */

/**
 * max_bytes: what it may hold at most. Returns owned, or NULL (err: CDX_NOMEM).
 * Thread: one at a time.
 */
struct cdx_arena *cdx_arena_create(size_t max_bytes, struct cdx_err *err);
/* Accepts NULL. */
void cdx_arena_destroy(struct cdx_arena *arena);
/* Gives everything back; keeps its first blocks for the next event. */
void cdx_arena_reset(struct cdx_arena *arena);

/**
 * `n` bytes aligned for any type, not cleared; they live until reset. NULL when memory or the bound is exhausted: the
 * caller says CDX_NOMEM with its own place.
 */
void *cdx_arena_alloc(struct cdx_arena *arena, size_t n);
/* The same, cleared, for count items of size bytes; NULL on overflow too. */
void *cdx_arena_zalloc(struct cdx_arena *arena, size_t count, size_t size);
/* A copy, NUL-terminated behind its end; p is NULL when out of memory. */
struct cdx_text cdx_arena_copy(struct cdx_arena *arena, struct cdx_text text);
/* Formatted text, NUL-terminated; p is NULL when out of memory. */
struct cdx_text cdx_arena_printf(struct cdx_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
