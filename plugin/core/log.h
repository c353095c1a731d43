/* core/log.h -- one line per decision: an id, a level, key=value pairs. The sink is set once, by main. */
#ifndef CDX_CORE_LOG_H
#define CDX_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

enum cdx_level { CDX_ERROR, CDX_WARN, CDX_INFO, CDX_DEBUG };

/* One key and its value; made by the macros below. Values never hold a patient's data or a secret. */
struct cdx_kv {
    const char *key;
    enum { CDX_KV_TEXT, CDX_KV_I64 } kind;
    struct cdx_text text;
    int64_t i64;
};
#define CDX_KV(k, z) ((struct cdx_kv){.key = (k), .kind = CDX_KV_TEXT, .text = cdx_text_z(z)})
#define CDX_KT(k, t) ((struct cdx_kv){.key = (k), .kind = CDX_KV_TEXT, .text = (t)})
#define CDX_KN(k, n) ((struct cdx_kv){.key = (k), .kind = CDX_KV_I64, .i64 = (int64_t)(n)})

/**
 * Write one line to standard error. `id` is a stable word ("push.attempt"), `text` a sentence for a person or "".
 * Thread: any; a line is written whole.
 */
void cdx_log_write(enum cdx_level level, const char *id, const char *text, const struct cdx_kv *kv,
                   size_t n);
#define cdx_log(level, id, text, ...)                                                              \
    cdx_log_write(level, id, text, (const struct cdx_kv[]){__VA_ARGS__},                           \
                  sizeof((const struct cdx_kv[]){__VA_ARGS__}) / sizeof(struct cdx_kv))

/* Before any thread starts. level: the most that is written; json: one JSON object a line in place of key=value. */
void cdx_log_setup(enum cdx_level level, bool json);

#endif
