/* core/buf.h -- a growing buffer with a stated maximum. Errors stick: check once, at the end. */
#ifndef CDX_CORE_BUF_H
#define CDX_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"

struct cdx_buf {
    char *p;     /* owned; NUL-terminated behind `n` once anything was added */
    size_t n;    /* bytes used */
    size_t cap;  /* bytes allocated */
    size_t max;  /* bytes it may use */
    bool failed; /* an add did not fit or found no memory; all later adds are ignored */
};

/* Thread: one at a time, as for all below. */
void cdx_buf_init(struct cdx_buf *buf, size_t max_bytes);
/* Frees; the buffer may be used again after init. */
void cdx_buf_fini(struct cdx_buf *buf);
/* Empty again, memory kept, error cleared. */
void cdx_buf_reset(struct cdx_buf *buf);
void cdx_buf_add(struct cdx_buf *buf, const void *p, size_t n);
void cdx_buf_add_text(struct cdx_buf *buf, struct cdx_text text);
void cdx_buf_add_z(struct cdx_buf *buf, const char *z);
void cdx_buf_add_i64(struct cdx_buf *buf, int64_t v);
/* As a JSON string with its quotes; bytes must be UTF-8. */
void cdx_buf_add_json(struct cdx_buf *buf, struct cdx_text text);
void cdx_buf_printf(struct cdx_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline struct cdx_text cdx_buf_text(const struct cdx_buf *buf)
{
    return cdx_text(buf->p, buf->n);
}
/* Hands the bytes over (malloc'd, NUL-terminated; NULL when failed or empty) and leaves the buffer empty. */
char *cdx_buf_steal(struct cdx_buf *buf, size_t *n);

#endif
