/*
 * model/conf_read.c -- what does each member of the file stand for?
 *
 * In:    the file's JSON, the table of options, the environment and the secret files that are named.
 * Out:   the fields of struct cdx_conf, and a sentence for each member that is not what its row asks for.
 * Owns:  nothing; what it makes lies in the configuration's arena.
 *
 * One reader for each type of option. The hard thing is to go on after a mistake, so that one run
 * tells all: a reader that fails leaves its field empty. A default is read from its JSON text by the
 * same reader, so it is held to the same bounds. Messages name the path and never the value, which
 * may be a secret. Not a schema validator beside a parser: two lists of names drift apart.
 */
#include "model/conf_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/buf.h"
#include "model/conf.h"
#include "model/conf_table.h"

#define SECRET_BYTES (64u << 10) /* one expanded text: a key with its chain fits */

typedef void read_fn(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                     const json_t *value, void *base);

static read_fn read_bool, read_int, read_ints, read_text, read_url, read_path, read_file, read_word,
    read_choice, read_list, read_paths, read_roles, read_listen, read_property, read_object,
    read_items;

static read_fn *const readers[CDX_CONF_TYPES] = {
    [CDX_CONF_BOOL] = read_bool,     [CDX_CONF_INT] = read_int,
    [CDX_CONF_INTS] = read_ints,     [CDX_CONF_TEXT] = read_text,
    [CDX_CONF_URL] = read_url,       [CDX_CONF_PATH] = read_path,
    [CDX_CONF_READABLE] = read_file, [CDX_CONF_WORD] = read_word,
    [CDX_CONF_CHOICE] = read_choice, [CDX_CONF_LIST] = read_list,
    [CDX_CONF_PATHS] = read_paths,   [CDX_CONF_ROLES] = read_roles,
    [CDX_CONF_LISTEN] = read_listen, [CDX_CONF_PROPERTY] = read_property,
    [CDX_CONF_OBJECT] = read_object, [CDX_CONF_ITEMS] = read_items,
};

/* Properties that the guarantees rest on. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"group.id", "is made of `prefix`; the groups of all processes must agree"},
    {"transactional.id", "is made of `prefix` and `instance`; set `instance`"},
    {"enable.auto.commit",
     "must be false: offsets are committed in the transaction of their results"},
    {"enable.auto.offset.store",
     "must be false: offsets are committed in the transaction of their results"},
    {"isolation.level", "must be read_committed: an aborted record was never logged"},
    {"auto.offset.reset", "is decided for each reader: a lost position is reported, never skipped"},
};

/* -- messages and texts ------------------------------------------------------------------------------------------ */

void cdx_conf_mistake(struct cdx_conf_reader *r, const char *path, const char *format, ...)
{
    char what[CDX_ERR_TEXT_BYTES], text[CDX_ERR_TEXT_BYTES];
    va_list ap;

    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    if (snprintf(text, sizeof text, "%s%s%s%s%s", r->file != NULL ? r->file : "",
                 r->file != NULL ? ": " : "", path, path[0] != '\0' ? ": " : "", what) < 0)
        text[0] = '\0';
    for (char *p = text; *p != '\0'; p++) /* an unknown name may hold anything */
        if (iscntrl((unsigned char)*p))
            *p = '?';
    r->mistakes++;
    cdx_fail(r->err, CDX_CONFIG, "%s", text);
    if (r->say != NULL)
        r->say(r->arg, text);
}

void *cdx_conf_keep(struct cdx_conf_reader *r, void *p)
{
    if (p == NULL) {
        r->nomem = true;
        cdx_fail(r->err, CDX_NOMEM, "configuration: out of memory");
    }
    return p;
}

char *cdx_conf_keep_text(struct cdx_conf_reader *r, struct cdx_text text)
{
    return cdx_conf_keep(r, (char *)(uintptr_t)cdx_arena_copy(r->conf->arena, text).p);
}

static void *keep_list(struct cdx_conf_reader *r, size_t n, size_t bytes)
{
    return cdx_conf_keep(r, cdx_arena_zalloc(r->conf->arena, n != 0 ? n : 1, bytes));
}

static void set(void *base, size_t at, const void *value, size_t bytes)
{
    if (at != CDX_CONF_NOWHERE)
        memcpy((char *)base + at, value, bytes);
}

static void set_text(void *base, const struct cdx_conf_row *row, char *text)
{
    set(base, row->at, &text, sizeof text);
}

static void set_list(void *base, const struct cdx_conf_row *row, void *list, size_t n)
{
    set(base, row->at, &list, sizeof list);
    if (row->at != CDX_CONF_NOWHERE)
        set(base, row->count_at, &n, sizeof n);
}

static void wrong_type(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path)
{
    char text[CDX_CONF_TEXT_BYTES];

    cdx_conf_mistake(r, path, "must be %s", cdx_conf_describe(row, false, text));
}

static void wrong_item(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path)
{
    char text[CDX_CONF_TEXT_BYTES];

    cdx_conf_mistake(r, path, "must be %s", cdx_conf_describe(row, true, text));
}

/* Adds to the text being expanded. False: a mistake was told, or there is no memory. */
static bool add(struct cdx_conf_reader *r, const char *path, struct cdx_buf *out,
                struct cdx_text text)
{
    if (text.n > out->max - out->n) {
        cdx_conf_mistake(r, path, "is longer than %zu bytes", out->max);
        return false;
    }
    cdx_buf_add_text(out, text);
    return !out->failed || cdx_conf_keep(r, NULL) != NULL;
}

/* Replaces each ${NAME}. False as for add. */
static bool expand_environment(struct cdx_conf_reader *r, const char *path, const char *raw,
                               struct cdx_buf *out)
{
    const char *from;

    while ((from = strstr(raw, "${")) != NULL) {
        char name[CDX_CONF_NAME_BYTES];
        const char *end = strchr(from, '}'), *value;
        size_t n = end != NULL ? (size_t)(end - from) - 2 : 0;

        if (n == 0 || n >= sizeof name || strspn(from + 2, CDX_CONF_LETTERS) < n) {
            cdx_conf_mistake(r, path, "has a ${ that names no environment variable; write ${NAME}");
            return false;
        }
        snprintf(name, sizeof name, "%.*s", (int)n, from + 2);
        value = getenv(name);
        if (value == NULL) {
            cdx_conf_mistake(r, path, "the environment variable %s is not set", name);
            return false;
        }
        if (!add(r, path, out, cdx_text(raw, (size_t)(from - raw))) ||
            !add(r, path, out, cdx_text_z(value)))
            return false;
        raw = end + 1;
    }
    return add(r, path, out, cdx_text_z(raw));
}

static char *resolve(struct cdx_conf_reader *r, const char *path)
{
    if (path[0] == '/' || r->dir == NULL || strcmp(r->dir, ".") == 0)
        return cdx_conf_keep_text(r, cdx_text_z(path));
    return cdx_conf_keep(
        r, (char *)(uintptr_t)cdx_arena_printf(r->conf->arena, "%s/%s", r->dir, path).p);
}

/* A file could not be read; the text names it. */
void cdx_conf_unreadable(struct cdx_conf_reader *r, const char *path, const struct cdx_err *why)
{
    if (why->code == CDX_NOMEM)
        cdx_conf_keep(r, NULL);
    else
        cdx_conf_mistake(r, path, "%s", why->text);
}

static char *secret_file(struct cdx_conf_reader *r, const char *path, const char *name)
{
    struct cdx_err err = {0};
    char *file = resolve(r, name), *bytes, *text;
    size_t n;

    if (file == NULL)
        return NULL;
    bytes = cdx_file_read(file, SECRET_BYTES, &n, &err);
    if (bytes == NULL) {
        cdx_conf_unreadable(r, path, &err);
        return NULL;
    }
    if (strlen(bytes) != n) {
        cdx_conf_mistake(r, path, "%s holds a NUL byte; a secret is one line of text", name);
        free(bytes);
        return NULL;
    }
    text = cdx_conf_keep_text(r, cdx_text(bytes, n != 0 && bytes[n - 1] == '\n' ? n - 1 : n));
    explicit_bzero(bytes, n);
    free(bytes);
    return text;
}

/* The text that a JSON string stands for; NULL after a mistake. What a variable holds is not read as "@file" again. */
static char *expand(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                    const json_t *value)
{
    const char *raw = json_string_value(value);
    struct cdx_buf buf;
    char *text = NULL;

    if (raw == NULL) {
        wrong_item(r, row, path);
        return NULL;
    }
    cdx_buf_init(&buf, SECRET_BYTES);
    if (expand_environment(r, path, raw[0] == '@' ? raw + 1 : raw, &buf))
        text =
            raw[0] == '@' ? secret_file(r, path, buf.p) : cdx_conf_keep_text(r, cdx_buf_text(&buf));
    if (buf.p != NULL)
        explicit_bzero(buf.p, buf.n);
    cdx_buf_fini(&buf);
    return text;
}

/* Expanded and checked; NULL after a mistake. */
static char *checked(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                     const json_t *value)
{
    char *text = expand(r, row, path, value);
    const char *wrong = text != NULL && row->check != NULL ? row->check(text) : NULL;

    if (wrong == NULL)
        return text;
    cdx_conf_mistake(r, path, "%s", wrong);
    return NULL;
}

/* -- readers, one a type ------------------------------------------------------------------------------------------ */

static void read_bool(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    bool on = json_is_true(value);

    if (!json_is_boolean(value))
        wrong_type(r, row, path);
    else
        set(base, row->at, &on, sizeof on);
}

static bool integer(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                    const json_t *value, int64_t *out)
{
    int64_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < row->min || n > row->max) {
        wrong_item(r, row, path);
        return false;
    }
    *out = n;
    return true;
}

static void read_int(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                     const json_t *value, void *base)
{
    int64_t n;

    if (integer(r, row, path, value, &n))
        set(base, row->at, &n, sizeof n);
}

/* True when `value` is a list with as many entries as it needs. */
static bool is_list(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                    const json_t *value)
{
    if (!json_is_array(value)) {
        wrong_type(r, row, path);
        return false;
    }
    if (row->min > 0 && json_array_size(value) == 0) {
        cdx_conf_mistake(r, path, "needs at least one entry: %s", row->help);
        return false;
    }
    return true;
}

static const char *entry(const char *path, size_t i, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s[%zu]", path, i);
    return out;
}

static void read_ints(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    char at[CDX_CONF_TEXT_BYTES];
    int64_t *list;
    size_t i, n = json_array_size(value);
    json_t *item;

    if (!is_list(r, row, path, value) || (list = keep_list(r, n, sizeof *list)) == NULL)
        return;
    json_array_foreach ((json_t *)(uintptr_t)value, i, item)
        (void)integer(r, row, entry(path, i, at, sizeof at), item, &list[i]);
    set_list(base, row, list, n);
}

static void read_text(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    set_text(base, row, checked(r, row, path, value));
}

/* Bases are joined with '/', so one at the end goes. */
static void read_url(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                     const json_t *value, void *base)
{
    char *url = checked(r, row, path, value);
    size_t n = url != NULL ? strlen(url) : 0;

    if (n != 0 && url[n - 1] == '/')
        url[n - 1] = '\0';
    set_text(base, row, url);
}

static void read_path(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    char *text = checked(r, row, path, value);

    if (text != NULL)
        set_text(base, row, resolve(r, text));
}

static void read_file(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    char *text = checked(r, row, path, value), *file = text != NULL ? resolve(r, text) : NULL;

    if (file != NULL && access(file, R_OK) != 0)
        cdx_conf_mistake(r, path, "%s cannot be read: %s", file, strerror(errno));
    set_text(base, row, file);
}

static bool is_word(const struct cdx_conf_row *row, const char *text)
{
    for (size_t i = 0; row->words[i] != NULL; i++)
        if (strcmp(row->words[i], text) == 0)
            return true;
    return false;
}

static char *word(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                  const json_t *value)
{
    char *text = checked(r, row, path, value);

    if (text == NULL || is_word(row, text))
        return text;
    wrong_item(r, row, path);
    return NULL;
}

static void read_word(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    set_text(base, row, word(r, row, path, value));
}

static void read_choice(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                        const json_t *value, void *base)
{
    char *text = word(r, row, path, value);
    bool first = text != NULL && strcmp(text, row->words[0]) == 0;

    set(base, row->at, &first, sizeof first);
}

static void read_texts(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                       const json_t *value, void *base, bool paths)
{
    char at[CDX_CONF_TEXT_BYTES];
    char **list;
    size_t i, n = json_array_size(value);
    json_t *item;

    if (!is_list(r, row, path, value) || (list = keep_list(r, n, sizeof *list)) == NULL)
        return;
    json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
        list[i] = checked(r, row, entry(path, i, at, sizeof at), item);
        if (paths && list[i] != NULL)
            list[i] = resolve(r, list[i]);
    }
    set_list(base, row, list, n);
}

static void read_list(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                      const json_t *value, void *base)
{
    read_texts(r, row, path, value, base, false);
}

static void read_paths(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                       const json_t *value, void *base)
{
    read_texts(r, row, path, value, base, true);
}

static void read_roles(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                       const json_t *value, void *base)
{
    struct cdx_conf *conf = base;
    bool *const roles[] = {&conf->role_match, &conf->role_push,
                           &conf->role_api}; /* as the row's words */
    char at[CDX_CONF_TEXT_BYTES];
    size_t i;
    json_t *item;

    if (!is_list(r, row, path, value))
        return;
    json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
        char *role = word(r, row, entry(path, i, at, sizeof at), item);

        for (size_t w = 0; role != NULL && w < CDX_COUNT(roles); w++)
            *roles[w] |= strcmp(row->words[w], role) == 0;
    }
}

/* "host:port" or "[v6]:port". */
static void read_listen(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                        const json_t *value, void *base)
{
    char *host = checked(r, row, path, value), *colon = host != NULL ? strrchr(host, ':') : NULL,
         *end;
    unsigned long number = 65536;
    int port;

    if (host == NULL)
        return;
    if (colon != NULL && isdigit((unsigned char)colon[1])) {
        number = strtoul(colon + 1, &end, 10);
        number = *end != '\0' ? 65536 : number;
    }
    if (number > 65535 || colon == host) {
        cdx_conf_mistake(r, path,
                         "must be host:port with a port from 0 to 65535, such as 127.0.0.1:9464");
        return;
    }
    *colon = '\0';
    if (host[0] == '[' && colon[-1] == ']') {
        host++;
        colon[-1] = '\0';
    }
    if (strspn(host, CDX_CONF_LETTERS ":") != strlen(host) || host[0] == '\0') {
        cdx_conf_mistake(
            r, path, "must start with a host name or address; an IPv6 address stands in brackets");
        return;
    }
    port = (int)number;
    set_text(base, row, host);
    if (row->at != CDX_CONF_NOWHERE)
        set(base, row->count_at, &port, sizeof port);
}

static const char *why_refused(const char *name)
{
    for (size_t i = 0; i < CDX_COUNT(refused); i++)
        if (strcmp(refused[i].name, name) == 0)
            return refused[i].why;
    return NULL;
}

static char *property_value(struct cdx_conf_reader *r, const struct cdx_conf_row *row,
                            const char *path, const json_t *value)
{
    char *text, *kept;

    if (json_is_string(value) || json_is_object(value) || json_is_array(value) ||
        json_is_null(value))
        return checked(r, row, path, value);
    text = cdx_conf_keep(r, json_dumps(value, JSON_ENCODE_ANY));
    kept = text != NULL ? cdx_conf_keep_text(r, cdx_text_z(text)) : NULL;
    free(text);
    return kept;
}

/* path: "kafka.<name>". */
static void read_property(struct cdx_conf_reader *r, const struct cdx_conf_row *row,
                          const char *path, const json_t *value, void *base)
{
    struct cdx_conf *conf = base;
    const char *name = path + strlen(row->section) + 1, *why = why_refused(name);
    struct cdx_property p;

    if (why != NULL) {
        cdx_conf_mistake(r, path, "%s", why);
        return;
    }
    p.value = property_value(r, row, path, value);
    p.name = cdx_conf_keep_text(r, cdx_text_z(name));
    if (p.name != NULL)                   /* without a value too: it is there, only wrong */
        conf->kafka[conf->kafka_n++] = p; /* room for each member of `kafka` was made before */
}

/* -- sections ------------------------------------------------------------------------------------------------------ */

static const char *member(const char *path, const char *key, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s%s%.*s", path, path[0] != '\0' ? "." : "", CDX_CONF_NAME_BYTES, key);
    return out;
}

static void read_fallback(struct cdx_conf_reader *r, const struct cdx_conf_row *row,
                          const char *path, void *base)
{
    json_auto_t *value = NULL;

    if (row->required)
        cdx_conf_mistake(r, path, "is missing: %s", row->help);
    if (row->fallback == NULL)
        return;
    value = cdx_conf_keep(r, json_loads(row->fallback, JSON_DECODE_ANY, NULL));
    if (value != NULL)
        readers[row->type](r, row, path, value, base);
}

static void read_section(struct cdx_conf_reader *r, const char *section, const char *path,
                         const json_t *object, void *base)
{
    char at[CDX_CONF_TEXT_BYTES];
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        const struct cdx_conf_row *row = cdx_conf_find(section, key);

        member(path, key, at, sizeof at);
        if (row == NULL)
            cdx_conf_mistake(r, at, "no such option; the nearest is '%s'",
                             cdx_conf_nearest(section, key));
        else
            readers[row->type](r, row, at, value, base);
    }
    for (size_t i = 0; i < cdx_conf_rows_n; i++)
        if (strcmp(cdx_conf_rows[i].section, section) == 0 &&
            json_object_get(object, cdx_conf_rows[i].key) == NULL)
            read_fallback(r, &cdx_conf_rows[i], member(path, cdx_conf_rows[i].key, at, sizeof at),
                          base);
}

static void read_object(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                        const json_t *value, void *base)
{
    if (!json_is_object(value))
        wrong_type(r, row, path);
    else
        read_section(r, row->inner, path, value, base);
}

static void read_items(struct cdx_conf_reader *r, const struct cdx_conf_row *row, const char *path,
                       const json_t *value, void *base)
{
    char at[CDX_CONF_TEXT_BYTES];
    size_t i, n = json_array_size(value);
    json_t *item;
    char *list;

    if (!is_list(r, row, path, value) || (list = keep_list(r, n, row->item_bytes)) == NULL)
        return;
    json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
        entry(path, i, at, sizeof at);
        if (json_is_object(item))
            read_section(r, row->inner, at, item, list + i * row->item_bytes);
        else
            cdx_conf_mistake(r, at, "must be an object");
    }
    set_list(base, row, list, n);
}

void cdx_conf_read(struct cdx_conf_reader *r, const json_t *root)
{
    size_t n = json_object_size(json_object_get(root, "kafka"));

    r->conf->kafka = keep_list(r, n, sizeof *r->conf->kafka);
    if (r->conf->kafka != NULL)
        read_section(r, "", "", root, r->conf);
}
