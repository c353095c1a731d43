/* core/buf.c -- the growing buffer: doubles up to its maximum, remembers a failure instead of asking for a check each time. */
#include "core/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cdx_buf_init(struct cdx_buf *buf, size_t max_bytes)
{
    *buf = (struct cdx_buf){.max = max_bytes};
}

void cdx_buf_fini(struct cdx_buf *buf)
{
    free(buf->p);
    *buf = (struct cdx_buf){.max = buf->max};
}

void cdx_buf_reset(struct cdx_buf *buf)
{
    buf->n = 0;
    buf->failed = false;
}

/* Room for n more and a NUL. */
static bool room(struct cdx_buf *buf, size_t n)
{
    size_t cap;
    char *p;

    if (buf->failed)
        return false;
    if (n > buf->max - buf->n) {
        buf->failed = true;
        return false;
    }
    if (buf->n + n < buf->cap)
        return true;
    cap = buf->cap < 128 ? 256 : buf->cap * 2;
    if (cap < buf->n + n + 1)
        cap = buf->n + n + 1;
    p = realloc(buf->p, cap);
    if (p == NULL) {
        buf->failed = true;
        return false;
    }
    buf->p = p;
    buf->cap = cap;
    return true;
}

void cdx_buf_add(struct cdx_buf *buf, const void *p, size_t n)
{
    if (!room(buf, n))
        return;
    if (n != 0)
        memcpy(buf->p + buf->n, p, n);
    buf->n += n;
    buf->p[buf->n] = '\0';
}

void cdx_buf_add_text(struct cdx_buf *buf, struct cdx_text text)
{
    cdx_buf_add(buf, text.p, text.n);
}

void cdx_buf_add_z(struct cdx_buf *buf, const char *z)
{
    cdx_buf_add(buf, z, strlen(z));
}

void cdx_buf_add_i64(struct cdx_buf *buf, int64_t v)
{
    char digits[24];
    char *end = digits + sizeof digits, *p = end;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (v < 0)
        *--p = '-';
    cdx_buf_add(buf, p, (size_t)(end - p));
}

void cdx_buf_add_json(struct cdx_buf *buf, struct cdx_text text)
{
    size_t from = 0;

    cdx_buf_add(buf, "\"", 1);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        char esc[8];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        cdx_buf_add(buf, text.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            snprintf(esc, sizeof esc, "\\%c", c);
        else
            snprintf(esc, sizeof esc, "\\u%04x", c);
        cdx_buf_add_z(buf, esc);
    }
    if (text.n > from)
        cdx_buf_add(buf, text.p + from, text.n - from);
    cdx_buf_add(buf, "\"", 1);
}

void cdx_buf_printf(struct cdx_buf *buf, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || !room(buf, (size_t)n))
        return;
    va_start(ap, format);
    vsnprintf(buf->p + buf->n, (size_t)n + 1, format, ap);
    va_end(ap);
    buf->n += (size_t)n;
}

char *cdx_buf_steal(struct cdx_buf *buf, size_t *n)
{
    char *p = buf->failed ? NULL : buf->p;

    if (buf->failed)
        free(buf->p);
    *n = p != NULL ? buf->n : 0;
    *buf = (struct cdx_buf){.max = buf->max};
    return p;
}
