/* core/map.h -- text to pointer: open addressing, grows by doubling, keys borrowed. */
#ifndef CDX_CORE_MAP_H
#define CDX_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"

struct cdx_map_slot {
    struct cdx_text key; /* borrowed from the value's owner; must live as long as the entry */
    void *value;         /* NULL: free, or removed when key.p is not NULL */
    uint64_t hash;
};

struct cdx_map {
    struct cdx_map_slot *slots; /* owned */
    size_t cap;                 /* a power of two, or 0 */
    size_t used;                /* entries */
    size_t filled;              /* entries and removed slots */
};

/* {0} is an empty map. Thread: one writer, or readers only. */
void cdx_map_fini(struct cdx_map *map);
void *cdx_map_get(const struct cdx_map *map, struct cdx_text key);
/* Sets (replaces) and returns true; false: no memory, nothing changed. value is not NULL; the key is borrowed. */
bool cdx_map_put(struct cdx_map *map, struct cdx_text key, void *value)
    __attribute__((warn_unused_result));
/* Removes and returns the value; NULL: none. */
void *cdx_map_take(struct cdx_map *map, struct cdx_text key);
/* Walk: start with *i = 0; NULL at the end. Removing the entry just returned is allowed, adding is not. */
void *cdx_map_next(const struct cdx_map *map, size_t *i);

#endif
