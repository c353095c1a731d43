/* model/verdict.c -- the words of an outcome; one table gives enum and word. */
#include "model/verdict.h"

static const char *const words[CDX_OUTCOMES] = {
#define X(id, word) [CDX_##id] = word,
    CDX_OUTCOME_MAP(X)
#undef X
};

const char *cdx_outcome_text(enum cdx_outcome outcome)
{
    return (unsigned)outcome < CDX_OUTCOMES ? words[outcome] : "unknown";
}
