/*
 * fhir/chars.c -- which character stands here in a JSON string?
 *
 * In:    bytes of a string, and how many there are.
 * Out:   a character's length, its code point, or its UTF-8 form.
 * Owns:  nothing.
 *
 * The hard thing is to say no to what only looks like a character: overlong forms, half a surrogate
 * pair, U+0000. So the forms of UTF-8 stand in a table as RFC 3629 has them. Not a decoder that
 * computes and then checks: it would find out too late that two spellings mean one character.
 */
#include "fhir/chars.h"

#include "core/err.h"

typedef unsigned char byte;

/*
 * RFC 3629 section 4: which second bytes a first byte allows; a third and a fourth are always
 * 80..BF.
 */
static const struct {
    byte first, last, bytes, low, high;
} utf8_forms[] = {
    {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF}, {0xE1, 0xEC, 3, 0x80, 0xBF},
    {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF}, {0xF0, 0xF0, 4, 0x90, 0xBF},
    {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
};

size_t cdx_utf8_length(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < CDX_COUNT(utf8_forms); i++) {
        if (p[0] < utf8_forms[i].first || p[0] > utf8_forms[i].last)
            continue;
        if (n < utf8_forms[i].bytes || p[1] < utf8_forms[i].low || p[1] > utf8_forms[i].high)
            return 0;
        for (size_t k = 2; k < utf8_forms[i].bytes; k++)
            if ((p[k] & 0xC0) != 0x80)
                return 0;
        return utf8_forms[i].bytes;
    }
    return 0;
}

size_t cdx_utf8_write(uint32_t c, byte out[4])
{
    if (c < 0x80) {
        out[0] = (byte)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (byte)(0xC0 | c >> 6);
        out[1] = (byte)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (byte)(0xE0 | c >> 12);
        out[1] = (byte)(0x80 | (c >> 6 & 0x3F));
        out[2] = (byte)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (byte)(0xF0 | c >> 18);
    out[1] = (byte)(0x80 | (c >> 12 & 0x3F));
    out[2] = (byte)(0x80 | (c >> 6 & 0x3F));
    out[3] = (byte)(0x80 | (c & 0x3F));
    return 4;
}

static int hex_digit(byte c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u" at p, or -1. */
static int32_t hex_unit(const byte *p, size_t n)
{
    int32_t unit = 0;

    if (n < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* RFC 8259 section 7, but for \u. */
static const byte short_escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

uint32_t cdx_escape_read(const byte *p, size_t n, size_t *used)
{
    int32_t unit, low;

    *used = 2;
    if (n >= 2 && p[1] != 'u')
        return short_escapes[p[1]];
    unit = hex_unit(p, n);
    *used = 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit > 0 ? (uint32_t)unit : 0;
    low = hex_unit(p + 6, n - 6);
    *used = 12;
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return 0;
    return 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

size_t cdx_unescape(const byte *p, size_t n, byte *out)
{
    const byte *end = p + n;
    byte *to = out;

    while (p < end) {
        size_t used = 1;
        if (*p == '\\')
            to += cdx_utf8_write(cdx_escape_read(p, (size_t)(end - p), &used), to);
        else
            *to++ = *p;
        p += used;
    }
    return (size_t)(to - out);
}
