/* model/conf_table.h -- private to model/conf*.c: the one table of options. */
#ifndef CDX_MODEL_CONF_TABLE_H
#define CDX_MODEL_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDX_CONF_NAME_BYTES 64        /* of an unknown name: what is compared and shown of it */
#define CDX_CONF_TEXT_BYTES 256       /* a path or a described type */
#define CDX_CONF_NOWHERE ((size_t)-1) /* read and checked; nobody uses it yet */
#define CDX_CONF_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* Id, what a value must be, what an entry or string of it must be. NULL: one of the row's words. */
#define CDX_CONF_TYPE_MAP(X)                                                                       \
    X(BOOL, "true or false", NULL)                                                                 \
    X(INT, "an integer", "an integer")                                                             \
    X(INTS, "a list of integers", "an integer")                                                    \
    X(TEXT, "a string", "a string")                                                                \
    X(URL, "a URL", "a string")                                                                    \
    X(PATH, "a path", "a string")                                                                  \
    X(READABLE, "a path of a readable file", "a string")                                           \
    X(WORD, NULL, NULL)                                                                            \
    X(CHOICE, NULL, NULL) /* a bool: is it the first word? */                                      \
    X(LIST, "a list of strings", "a string")                                                       \
    X(PATHS, "a list of paths", "a string")                                                        \
    X(ROLES, "a list of", NULL)                                                                    \
    X(LISTEN, "host:port", "a string")                                                             \
    X(PROPERTY, "a string, number or boolean", "a string, number or boolean")                      \
    X(OBJECT, "an object", "an object")                                                            \
    X(ITEMS, "a list of objects", "an object")

enum cdx_conf_type {
#define X(id, name, item) CDX_CONF_##id,
    CDX_CONF_TYPE_MAP(X)
#undef X
        CDX_CONF_TYPES
};

struct cdx_conf_row {
    const char *section, *key; /* key "*": any other member of the section */
    enum cdx_conf_type type;
    size_t at, count_at;  /* offsets in the section's struct; count_at also holds a port */
    const char *fallback; /* JSON; NULL: stays empty, or is worked out by `derive` */
    int64_t min, max;     /* of integers; min of a list: its least entries */
    const char *unit;
    const char *const *words;
    const char *(*check)(const char *text); /* NULL: fine; otherwise what it must be */
    const char *inner;                      /* section of an object or of a list's items */
    size_t item_bytes;
    bool required;
    bool reload; /* a running process takes a changed value */
    const char *help;
};

extern const struct cdx_conf_row cdx_conf_rows[];
extern const size_t cdx_conf_rows_n;

/* The row of this option, else the section's "*", else NULL. */
const struct cdx_conf_row *cdx_conf_find(const char *section, const char *key);
/* The section's name that is most like `key`. Borrowed; never NULL. */
const char *cdx_conf_nearest(const char *section, const char *key);
/* "an integer from 1 to 10 (ms)", "one of auto, client"; item: of an entry in place of the whole. Returns out. */
const char *cdx_conf_describe(const struct cdx_conf_row *row, bool item,
                              char out[CDX_CONF_TEXT_BYTES]);

/* What a Kafka name or an id must be, or NULL: it is. */
const char *cdx_conf_check_name(const char *text);

#endif
