/* core/instant.c -- civil dates to milliseconds and back, without the C library's zone state. */
#include "core/instant.h"

#include <time.h>

/* Days since 1970-01-01 of a proleptic Gregorian date (era arithmetic; exact for all years). */
static int64_t days_of(int64_t y, int m, int d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* `n` digits of v and what follows them. */
static void put(char *out, int v, int n, char follows)
{
    out[n] = follows;
    for (; n > 0; v /= 10)
        out[--n] = (char)('0' + v % 10);
}

const char *cdx_instant_format(int64_t ms, char out[CDX_INSTANT_BYTES])
{
    int64_t days = ms / 86400000, rest = ms % 86400000, era, doe, yoe, doy, mp, y;
    int d, m;

    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    d = (int)(doy - (153 * mp + 2) / 5 + 1);
    m = (int)(mp < 10 ? mp + 3 : mp - 9);
    y = yoe + era * 400 + (m <= 2);
    put(out, (int)(y % 10000), 4, '-'); /* by hand: on the event path, where printf shows */
    put(out + 5, m, 2, '-');
    put(out + 8, d, 2, 'T');
    put(out + 11, (int)(rest / 3600000), 2, ':');
    put(out + 14, (int)(rest / 60000 % 60), 2, ':');
    put(out + 17, (int)(rest / 1000 % 60), 2, '.');
    put(out + 20, (int)(rest % 1000), 3, 'Z');
    out[24] = '\0';
    return out;
}

/* `n` digits at *p; advances. */
static bool digits(const char **p, const char *end, int n, int *out)
{
    int v = 0;

    if (end - *p < n)
        return false;
    for (int i = 0; i < n; i++) {
        if ((*p)[i] < '0' || (*p)[i] > '9')
            return false;
        v = v * 10 + (*p)[i] - '0';
    }
    *p += n;
    *out = v;
    return true;
}

static bool one(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

static bool days_ok(int y, int m, int d)
{
    static const int len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= len[m - 1] + (m == 2 && leap);
}

bool cdx_instant_parse(struct cdx_text text, int64_t *ms)
{
    const char *p = text.p, *end = text.n ? text.p + text.n : text.p;
    int y, m, d, h, min, s, zh = 0, zm = 0, frac = 0, scale = 100, sign = 0;

    if (text.n == 0 || !digits(&p, end, 4, &y) || !one(&p, end, '-') || !digits(&p, end, 2, &m) ||
        !one(&p, end, '-') || !digits(&p, end, 2, &d) || !one(&p, end, 'T') ||
        !digits(&p, end, 2, &h) || !one(&p, end, ':') || !digits(&p, end, 2, &min) ||
        !one(&p, end, ':') || !digits(&p, end, 2, &s))
        return false;
    if (one(&p, end, '.')) {
        if (p == end || *p < '0' || *p > '9')
            return false;
        for (; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
            frac += (*p - '0') * scale;
    }
    if (!one(&p, end, 'Z')) {
        if (p == end || (*p != '+' && *p != '-'))
            return false;
        sign = *p++ == '-' ? -1 : 1;
        if (!digits(&p, end, 2, &zh) || !one(&p, end, ':') || !digits(&p, end, 2, &zm))
            return false;
    }
    if (p != end || !days_ok(y, m, d) || h > 23 || min > 59 || s > 60 || zh * 60 + zm > 14 * 60 ||
        zm > 59)
        return false;
    *ms =
        ((days_of(y, m, d) * 24 + h) * 60 + min - sign * (zh * 60 + zm)) * 60000 + s * 1000 + frac;
    return true;
}

bool cdx_http_date_parse(struct cdx_text text, int64_t *ms)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    char z[64];

    if (text.n == 0 || text.n >= sizeof z)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *rest = strptime(z, forms[i], &tm);
        if (rest == z + text.n && days_ok(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday)) {
            *ms = ((days_of(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * 24 + tm.tm_hour) * 60 +
                   tm.tm_min) *
                      60000 +
                  tm.tm_sec * 1000;
            return true;
        }
    }
    return false;
}
