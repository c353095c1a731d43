/* core/text.h -- a borrowed run of bytes. Never NUL-terminated by promise, never owned. */
#ifndef CDX_CORE_TEXT_H
#define CDX_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct cdx_text {
    const char *p; /* borrowed; NULL only when n is 0 */
    size_t n;      /* bytes */
};

/* printf("%.*s", CDX_TEXT(t)) */
#define CDX_TEXT(t) (int)(t).n, ((t).n ? (t).p : "")
#define CDX_LIT(s) ((struct cdx_text){(s), sizeof(s) - 1})

static inline struct cdx_text cdx_text(const char *p, size_t n)
{
    return (struct cdx_text){p, n};
}

static inline struct cdx_text cdx_text_z(const char *z)
{
    return (struct cdx_text){z, z != NULL ? strlen(z) : 0};
}

static inline bool cdx_text_eq(struct cdx_text a, struct cdx_text b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool cdx_text_is(struct cdx_text a, const char *z)
{
    return cdx_text_eq(a, cdx_text_z(z));
}

static inline bool cdx_text_starts(struct cdx_text a, struct cdx_text head)
{
    return a.n >= head.n && (head.n == 0 || memcmp(a.p, head.p, head.n) == 0);
}

/* Cuts at the first `c`; false: there is none, nothing is written. */
static inline bool cdx_text_cut(struct cdx_text t, char c, struct cdx_text *head,
                                struct cdx_text *tail)
{
    const char *at = t.n != 0 ? (const char *)memchr(t.p, c, t.n) : NULL;

    if (at == NULL)
        return false;
    *head = cdx_text(t.p, (size_t)(at - t.p));
    *tail = cdx_text(at + 1, t.n - head->n - 1);
    return true;
}

/* 1..max bytes of ASCII letters, digits and what `more` holds. */
static inline bool cdx_text_is_word(struct cdx_text t, const char *more, size_t max)
{
    for (size_t i = 0; i < t.n; i++)
        if (!((t.p[i] | 32) >= 'a' && (t.p[i] | 32) <= 'z') && !(t.p[i] >= '0' && t.p[i] <= '9') &&
            (t.p[i] == '\0' || strchr(more, t.p[i]) == NULL))
            return false;
    return t.n != 0 && t.n <= max;
}

#endif
