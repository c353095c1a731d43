/*
 * core/log.c -- formats one line in one buffer and writes it with one write(2), so that lines of threads never mix.
 *
 * Hard: a line must also be written when there is no memory for it, or when a value is longer than a line may be: then its
 * head alone is formatted on the stack and says so.
 */
#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/instant.h"

static enum cdx_level limit = CDX_INFO;
static bool as_json;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void cdx_log_setup(enum cdx_level level, bool json)
{
    limit = level;
    as_json = json;
}

/* A value that needs no quotes in key=value form. */
static bool plain(struct cdx_text t)
{
    if (t.n == 0)
        return false;
    for (size_t i = 0; i < t.n; i++)
        if ((unsigned char)t.p[i] <= ' ' || t.p[i] == '"' || t.p[i] == '=' || t.p[i] == '\\')
            return false;
    return true;
}

static void add_value(struct cdx_buf *b, const struct cdx_kv *kv)
{
    if (kv->kind == CDX_KV_I64)
        cdx_buf_add_i64(b, kv->i64);
    else if (!as_json && plain(kv->text))
        cdx_buf_add_text(b, kv->text);
    else
        cdx_buf_add_json(b, kv->text);
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(STDERR_FILENO, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

/* In place of a line that could not be formatted. */
static void write_head(const char *when, enum cdx_level level, const char *id)
{
    static const char json[] =
        "{\"ts\":\"%s\",\"level\":\"%s\",\"id\":\"%.64s\",\"text\":\"%s\"}\n";
    static const char pairs[] = "%s %-5s %.64s text=\"%s\"\n";
    char line[256];
    int n = snprintf(line, sizeof line, as_json ? json : pairs, when, level_names[level], id,
                     "the rest is left out: too long, or no memory for it");

    if (n > 0)
        write_all(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void cdx_log_write(enum cdx_level level, const char *id, const char *text, const struct cdx_kv *kv,
                   size_t n)
{
    char when[CDX_INSTANT_BYTES];
    struct cdx_buf b;

    if (level > limit)
        return;
    cdx_buf_init(&b, 16384);
    cdx_instant_format(cdx_wall_ms(&cdx_clock_system), when);
    if (as_json)
        cdx_buf_printf(&b, "{\"ts\":\"%s\",\"level\":\"%s\",\"id\":\"%s\"", when,
                       level_names[level], id);
    else
        cdx_buf_printf(&b, "%s %-5s %s", when, level_names[level], id);
    for (size_t i = 0; i < n; i++) {
        if (kv[i].key == NULL)
            continue;
        cdx_buf_printf(&b, as_json ? ",\"%s\":" : " %s=", kv[i].key);
        add_value(&b, &kv[i]);
    }
    if (text[0] != '\0') {
        cdx_buf_add_z(&b, as_json ? ",\"text\":" : " text=");
        cdx_buf_add_json(&b, cdx_text_z(text));
    }
    cdx_buf_add_z(&b, as_json ? "}\n" : "\n");
    if (b.failed)
        write_head(when, level, id);
    else
        write_all(b.p, b.n);
    cdx_buf_fini(&b);
}
