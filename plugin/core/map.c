/* core/map.c -- linear probing with tombstones; rehashed when three quarters are filled. */
#include "core/map.h"

#include <stdlib.h>

#include "core/digest.h"

static const char gone[1]; /* key.p of a removed slot */

void cdx_map_fini(struct cdx_map *map)
{
    free(map->slots);
    *map = (struct cdx_map){0};
}

static struct cdx_map_slot *find(const struct cdx_map *map, struct cdx_text key, uint64_t hash)
{
    if (map->cap == 0)
        return NULL;
    for (size_t i = hash & (map->cap - 1);; i = (i + 1) & (map->cap - 1)) {
        struct cdx_map_slot *s = &map->slots[i];
        if (s->value == NULL && s->key.p != gone)
            return NULL;
        if (s->value != NULL && s->hash == hash && cdx_text_eq(s->key, key))
            return s;
    }
}

void *cdx_map_get(const struct cdx_map *map, struct cdx_text key)
{
    struct cdx_map_slot *s = find(map, key, cdx_hash(key.p, key.n, 0));

    return s != NULL ? s->value : NULL;
}

static void place(struct cdx_map *map, struct cdx_map_slot slot)
{
    size_t i = slot.hash & (map->cap - 1);

    while (map->slots[i].value != NULL)
        i = (i + 1) & (map->cap - 1);
    map->slots[i] = slot;
}

static bool grow(struct cdx_map *map)
{
    struct cdx_map bigger = {.cap = map->cap == 0               ? 16
                                    : map->used * 2 >= map->cap ? map->cap * 2
                                                                : map->cap};

    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].value != NULL)
            place(&bigger, map->slots[i]);
    bigger.used = bigger.filled = map->used;
    free(map->slots);
    *map = bigger;
    return true;
}

bool cdx_map_put(struct cdx_map *map, struct cdx_text key, void *value)
{
    uint64_t hash = cdx_hash(key.p, key.n, 0);
    struct cdx_map_slot *s = find(map, key, hash);

    if (s != NULL) {
        s->key = key;
        s->value = value;
        return true;
    }
    if ((map->filled + 1) * 4 > map->cap * 3 && !grow(map))
        return false;
    place(map, (struct cdx_map_slot){key, value, hash});
    map->used++;
    map->filled++; /* an over-count where a removed slot was used again: it only rehashes a little early */
    return true;
}

void *cdx_map_take(struct cdx_map *map, struct cdx_text key)
{
    struct cdx_map_slot *s = find(map, key, cdx_hash(key.p, key.n, 0));
    void *value;

    if (s == NULL)
        return NULL;
    value = s->value;
    s->value = NULL;
    s->key = cdx_text(gone, 0);
    map->used--;
    return value;
}

void *cdx_map_next(const struct cdx_map *map, size_t *i)
{
    while (*i < map->cap) {
        struct cdx_map_slot *s = &map->slots[(*i)++];
        if (s->value != NULL)
            return s->value;
    }
    return NULL;
}
