/* model/conf_read.h -- private to model/conf*.c: JSON to struct cdx_conf by the table, and how a mistake is told. */
#ifndef CDX_MODEL_CONF_READ_H
#define CDX_MODEL_CONF_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_conf; /* model/conf.h */

/* One reading, from text to verdict: read on after a mistake, the caller looks at the last two. */
struct cdx_conf_reader {
    struct cdx_conf *conf;
    const char *file; /* before each message, or NULL */
    const char *dir;  /* of relative paths, or NULL */
    void (*say)(void *arg, const char *text);
    void *arg;
    struct cdx_err *err;
    size_t mistakes;
    bool nomem;
};

/* Tells "<file>: <path>: <what>"; path "" for the whole file. The first stands in r->err too. */
void cdx_conf_mistake(struct cdx_conf_reader *r, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns p; NULL is remembered as out of memory. */
void *cdx_conf_keep(struct cdx_conf_reader *r, void *p);
/* A copy in the configuration's arena; NULL as above. */
char *cdx_conf_keep_text(struct cdx_conf_reader *r, struct cdx_text text);
/* A file that cdx_file_read could not read. */
void cdx_conf_unreadable(struct cdx_conf_reader *r, const char *path, const struct cdx_err *why);
/* Reads every option of the file's outermost object into r->conf, defaults included; what is wrong stays empty. */
void cdx_conf_read(struct cdx_conf_reader *r, const json_t *root);

#endif
