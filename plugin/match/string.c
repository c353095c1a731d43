/*
 * match/string.c -- when are two texts the same to a string search?
 *
 * In:    UTF-8 text of a filter or a resource.
 * Out:   its normal form (subscriptions.md 4.3): lower case, no diacritics, no punctuation, runs of white space as one.
 * Owns:  nothing.
 *
 * The rule asks for NFKD and full case folding. This is the part of it that names and places in the United States use:
 * ASCII, Latin-1 and Latin Extended-A letters by one table, combining marks U+0300..U+036F dropped. Letters of other
 * scripts are compared as they are written, so a filter in them can miss what differs in case only; it never finds
 * more than the full rule would. Not libicu: 30 MB for one function that no shipped topic calls.
 */
#include "match/value.h"

/* NFKD without marks, case folded, of U+00C0..U+017F (Unicode 15). */
static const char latin[192][4] = {
    "a",         "a",         "a",        "a",        "a", "a", "\303\246", "c",
    "e",         "e",         "e",        "e",        "i", "i", "i",        "i",
    "\303\260",  "n",         "o",        "o",        "o", "o", "o",        "\303\227",
    "\303\270",  "u",         "u",        "u",        "u", "y", "\303\276", "ss",
    "a",         "a",         "a",        "a",        "a", "a", "\303\246", "c",
    "e",         "e",         "e",        "e",        "i", "i", "i",        "i",
    "\303\260",  "n",         "o",        "o",        "o", "o", "o",        "\303\267",
    "\303\270",  "u",         "u",        "u",        "u", "y", "\303\276", "y",
    "a",         "a",         "a",        "a",        "a", "a", "c",        "c",
    "c",         "c",         "c",        "c",        "c", "c", "d",        "d",
    "\304\221",  "\304\221",  "e",        "e",        "e", "e", "e",        "e",
    "e",         "e",         "e",        "e",        "g", "g", "g",        "g",
    "g",         "g",         "g",        "g",        "h", "h", "\304\247", "\304\247",
    "i",         "i",         "i",        "i",        "i", "i", "i",        "i",
    "i",         "\304\261",  "ij",       "ij",       "j", "j", "k",        "k",
    "\304\270",  "l",         "l",        "l",        "l", "l", "l",        "l\302\267",
    "l\302\267", "\305\202",  "\305\202", "n",        "n", "n", "n",        "n",
    "n",         "\312\274n", "\305\213", "\305\213", "o", "o", "o",        "o",
    "o",         "o",         "\305\223", "\305\223", "r", "r", "r",        "r",
    "r",         "r",         "s",        "s",        "s", "s", "s",        "s",
    "s",         "s",         "t",        "t",        "t", "t", "\305\247", "\305\247",
    "u",         "u",         "u",        "u",        "u", "u", "u",        "u",
    "u",         "u",         "u",        "u",        "w", "w", "y",        "y",
    "y",         "z",         "z",        "z",        "z", "z", "z",        "s",
};

/* Takes one code point off; bytes that are no UTF-8 (the reader refuses them) count as themselves. */
static uint32_t next_point(const unsigned char **p, const unsigned char *end)
{
    uint32_t c = *(*p)++;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

    c = more == 0 ? c : c & (0x3Fu >> more);
    while (more-- > 0 && *p < end && (**p & 0xC0) == 0x80)
        c = c << 6 | (*(*p)++ & 0x3F);
    return c;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0;
}

/* ASCII and Latin-1 punctuation, and U+2010..U+2027 (dashes and quotation marks). */
static bool is_dropped(uint32_t c)
{
    if (c < 0x80)
        return c > ' ' && strchr("!\"#%&'()*,-./:;?@[\\]_{}", (int)c) != NULL;
    return c == 0xA1 || c == 0xA7 || c == 0xAB || c == 0xB6 || c == 0xB7 || c == 0xBB ||
           c == 0xBF || (c >= 0x300 && c <= 0x36F) || (c >= 0x2010 && c <= 0x2027);
}

size_t cdx_string_normal(struct cdx_text text, char *out)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n;
    bool space = false;
    size_t n = 0;

    while (p < end) {
        const unsigned char *start = p;
        uint32_t c = next_point(&p, end);

        if (is_space(c)) {
            space = n != 0;
            continue;
        }
        if (is_dropped(c))
            continue;
        if (space)
            out[n++] = ' ';
        space = false;
        if (c >= 0xC0 && c < 0x180) {
            size_t len = strlen(latin[c - 0xC0]);
            memcpy(out + n, latin[c - 0xC0], len);
            n += len;
        } else if (c < 0x80) {
            out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        } else {
            memcpy(out + n, start, (size_t)(p - start));
            n += (size_t)(p - start);
        }
    }
    return n;
}
