/* core/err.h -- how a call says that it failed: a code for the program, a sentence for a person. */
#ifndef CDX_CORE_ERR_H
#define CDX_CORE_ERR_H

#include <stddef.h>

/* Name, and what the program does next. */
#define CDX_CODE_MAP(X)                                                                            \
    X(OK, "ok")                                                                                    \
    X(INPUT, "bad input; a retry cannot help")                                                     \
    X(REMOTE, "the other side failed; retry with backoff")                                         \
    X(FULL, "at a bound; stop taking work")                                                        \
    X(CONFIG, "the operator must act")                                                             \
    X(NOMEM, "out of memory")

enum cdx_code {
#define X(name, text) CDX_##name,
    CDX_CODE_MAP(X)
#undef X
};

#define CDX_ERR_TEXT_BYTES 384

/**
 * Storage by the caller; the first error wins. `text` names the place (topic/partition/offset, file and line, element
 * path) and what to do. Never a patient's name, identifier or data, never a secret.
 */
struct cdx_err {
    enum cdx_code code;
    char text[CDX_ERR_TEXT_BYTES];
};

#define CDX_MUST_CHECK __attribute__((warn_unused_result))
#define CDX_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/**
 * Record an error and return `code`. A no-op when `err` already holds one (its code is returned then); err may be NULL.
 * Thread: any.
 */
enum cdx_code cdx_fail(struct cdx_err *err, enum cdx_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "ok", "bad input; ...": never NULL. Thread: any. */
const char *cdx_code_text(enum cdx_code code);

#endif
