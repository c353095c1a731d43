/* flow/trace.c -- traceparent by W3C Trace Context level 1: version, trace id, parent id, flags. */
#include "flow/trace.h"

#include <stdbool.h>
#include <string.h>

/* xorshift64*: span ids need no secrecy. */
static uint64_t next(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 2685821657736338717u;
}

static void hex16(uint64_t v, char *out)
{
    static const char digit[] = "0123456789abcdef";

    for (int i = 15; i >= 0; i--, v >>= 4)
        out[i] = digit[v & 15];
}

static bool is_hex(const char *p, size_t n, bool *zero)
{
    *zero = true;
    for (size_t i = 0; i < n; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
        *zero = *zero && p[i] == '0';
    }
    return true;
}

/* 3.2.2: ids of zeroes only are none; a version that we do not know may have more behind its flags (4.3). */
static bool valid(struct cdx_text t)
{
    bool zero, no_trace, no_parent;

    if (t.n < 55 || t.p[2] != '-' || t.p[35] != '-' || t.p[52] != '-' || memcmp(t.p, "ff", 2) == 0)
        return false;
    if (!is_hex(t.p, 2, &zero) || (t.n > 55 && (zero || t.p[55] != '-')))
        return false;
    return is_hex(t.p + 3, 32, &no_trace) && is_hex(t.p + 36, 16, &no_parent) &&
           is_hex(t.p + 53, 2, &zero) && !no_trace && !no_parent;
}

void cdx_trace_child(struct cdx_text parent, uint64_t *random, char out[CDX_TRACEPARENT_BYTES])
{
    memcpy(out, "00-", 3);
    if (valid(parent)) {
        memcpy(out + 3, parent.p + 3, 52);
    } else {
        hex16(next(random), out + 3);
        hex16(next(random), out + 19);
        memcpy(out + 52, "-00", 3);
    }
    out[35] = '-';
    hex16(next(random), out + 36);
    out[55] = '\0';
}

void cdx_trace_continue(const struct cdx_record *rec, uint64_t *random,
                        char out[CDX_TRACEPARENT_BYTES])
{
    const struct cdx_header *h = cdx_record_header(rec, "traceparent");

    if (h == NULL)
        h = cdx_record_header(rec, "ce_traceparent");
    cdx_trace_child(h != NULL ? h->value : cdx_text(NULL, 0), random, out);
}
