/* core/err.c -- the one way to say that a call failed. The first error wins, so cleanup code may speak too. */
#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>

enum cdx_code cdx_fail(struct cdx_err *err, enum cdx_code code, const char *format, ...)
{
    va_list ap;

    if (err == NULL)
        return code;
    if (err->code != CDX_OK)
        return err->code;
    err->code = code;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    return code;
}

const char *cdx_code_text(enum cdx_code code)
{
    static const char *const texts[] = {
#define X(name, text) text,
        CDX_CODE_MAP(X)
#undef X
    };
    return (size_t)code < CDX_COUNT(texts) ? texts[code] : "unknown";
}
