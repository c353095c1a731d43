/*
 * model/conf.c -- what did the operator ask for, and is it right as a whole?
 *
 * In:    one JSON file.
 * Out:   struct cdx_conf with every option set, or every mistake at once.
 * Owns:  nothing; a configuration lies in its own arena.
 *
 * conf_read.c takes each option for itself; here are the rules that need several. The hard thing is
 * that they run after mistakes too, over fields that stayed empty. Not stopped at the first mistake:
 * an operator corrects a file once, not ten times.
 */
#include "model/conf.h"

#include <regex.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/map.h"
#include "model/conf_read.h"
#include "model/conf_table.h"

#define FILE_BYTES (1u << 20) /* a few hundred endpoints stay far below */
#define ARENA_BYTES (16u << 20)

/* -- what several options must agree on; any of them may be NULL after a mistake --------------------------------------- */

static bool has_property(const struct cdx_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->kafka_n; i++)
        if (strcmp(conf->kafka[i].name, name) == 0)
            return true;
    return false;
}

static void check_brokers(struct cdx_conf_reader *r)
{
    bool named = has_property(r->conf, "bootstrap.servers") ||
                 has_property(r->conf, "metadata.broker.list"); /* librdkafka's older name */

    if (r->conf->embedded && named)
        cdx_conf_mistake(r, "kafka.embedded",
                         "starts a cluster of its own: remove bootstrap.servers, or embedded");
    if (!r->conf->embedded && !named)
        cdx_conf_mistake(
            r, "kafka.bootstrap.servers",
            "is missing: name the brokers, host:port, or set kafka.embedded for a trial");
}

/* Does an expression begin with this text, taken literally? Others may meet our topics too; the bus leaves them out. */
static bool expression_begins(const char *expression, const char *text)
{
    for (expression++; *text != '\0'; expression++, text++) {
        if (*expression == '\\')
            expression++;
        if (*expression != *text)
            return false;
    }
    return true;
}

static void check_expression(struct cdx_conf_reader *r, const char *path, const char *expression)
{
    char why[128];
    regex_t re;
    int rc = regcomp(&re, expression, REG_EXTENDED | REG_NOSUB);

    if (rc == 0) {
        regfree(&re);
        return;
    }
    if (rc == REG_ESPACE) {
        cdx_conf_keep(r, NULL);
        return;
    }
    regerror(rc, &re, why, sizeof why);
    cdx_conf_mistake(r, path, "is no extended regular expression: %s", why);
}

static void check_source_topic(struct cdx_conf_reader *r, const char *path, const char *topic)
{
    const char *prefix = r->conf->prefix;
    bool expression = topic[0] == '^', ours = false;

    if (prefix != NULL)
        ours = expression ? expression_begins(topic, prefix)
                          : strncmp(topic, prefix, strlen(prefix)) == 0;
    if (ours)
        cdx_conf_mistake(r, path, "starts with our own prefix; our topics are never sources");
    else if (expression)
        check_expression(r, path, topic);
    else if (cdx_conf_check_name(topic) != NULL || strcmp(topic, ".") == 0 ||
             strcmp(topic, "..") == 0)
        cdx_conf_mistake(r, path, "is no topic name; an expression starts with ^");
}

static void check_sources(struct cdx_conf_reader *r)
{
    char path[CDX_CONF_TEXT_BYTES];

    for (size_t i = 0; i < r->conf->sources_n; i++)
        for (size_t t = 0; t < r->conf->sources[i].topics_n; t++) {
            snprintf(path, sizeof path, "sources[%zu].topics[%zu]", i, t);
            if (r->conf->sources[i].topics[t] != NULL)
                check_source_topic(r, path, r->conf->sources[i].topics[t]);
        }
}

/* seen: ids met so far, by text. */
static void check_unique(struct cdx_conf_reader *r, struct cdx_map *seen, const char *list,
                         size_t i, char *id)
{
    char path[CDX_CONF_TEXT_BYTES];

    if (id == NULL)
        return;
    snprintf(path, sizeof path, "%s[%zu].id", list, i);
    if (cdx_map_get(seen, cdx_text_z(id)) != NULL)
        cdx_conf_mistake(r, path, "stands there twice; ids must be unique");
    else if (!cdx_map_put(seen, cdx_text_z(id), id))
        cdx_conf_keep(r, NULL);
}

static void check_clients(struct cdx_conf_reader *r)
{
    struct cdx_map seen = {0};

    for (size_t i = 0; i < r->conf->clients_n; i++)
        check_unique(r, &seen, "clients", i, r->conf->clients[i].id);
    cdx_map_fini(&seen);
}

static void check_endpoints(struct cdx_conf_reader *r)
{
    struct cdx_map seen = {0};
    char path[CDX_CONF_TEXT_BYTES];

    for (size_t i = 0; i < r->conf->endpoints_n; i++) {
        const struct cdx_endpoint_option *e = &r->conf->endpoints[i];

        check_unique(r, &seen, "endpoints", i, e->id);
        snprintf(path, sizeof path, "endpoints[%zu]", i);
        if ((e->certificate == NULL) != (e->key == NULL))
            cdx_conf_mistake(r, path, "certificate and key need each other");
    }
    cdx_map_fini(&seen);
}

static void check_replication(struct cdx_conf_reader *r)
{
    if (r->conf->replication == 0)
        cdx_conf_mistake(r, "replication", "must be -1 or at least 1");
}

static void (*const checks[])(struct cdx_conf_reader *r) = {
    check_brokers, check_sources, check_clients, check_endpoints, check_replication};

/* Defaults that depend on other options. */
static void derive(struct cdx_conf_reader *r)
{
    struct cdx_conf *conf = r->conf;
    char host[256] = "localhost";

    if (conf->instance == NULL) {
        if (gethostname(host, sizeof host - 1) != 0)
            snprintf(host, sizeof host, "localhost");
        conf->instance = cdx_conf_keep(
            r, (char *)(uintptr_t)cdx_arena_printf(conf->arena, "%s-%d", host, conf->ops_port).p);
    }
    for (size_t i = 0; i < conf->sources_n; i++)
        if (conf->sources[i].base == NULL)
            conf->sources[i].base = conf->api_base;
}

/* -- the whole ---------------------------------------------------------------------------------------------------- */

/* jansson quotes what it met behind " near ", which may be a secret; without a line it ran out of memory. */
static void syntax_error(struct cdx_conf_reader *r, const json_error_t *e)
{
    const char *near = strstr(e->text, " near ");

    if (e->line < 1)
        cdx_conf_keep(r, NULL);
    else
        cdx_conf_mistake(r, "", "line %d, column %d: %.*s", e->line, e->column,
                         near != NULL ? (int)(near - e->text) : (int)strlen(e->text), e->text);
}

static void read_all(struct cdx_conf_reader *r, const char *text, size_t n)
{
    json_error_t e;
    json_auto_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

    if (root == NULL)
        syntax_error(r, &e);
    else if (!json_is_object(root))
        cdx_conf_mistake(r, "", "line 1, column 1: must be one JSON object");
    if (r->mistakes != 0 || r->nomem)
        return;
    cdx_conf_read(r, root);
    for (size_t i = 0; i < CDX_COUNT(checks); i++)
        checks[i](r);
    if (r->mistakes == 0 && !r->nomem)
        derive(r);
}

static struct cdx_conf *parse(struct cdx_conf_reader *r, const char *text, size_t n)
{
    r->conf = calloc(1, sizeof *r->conf);
    if (cdx_conf_keep(r, r->conf) == NULL)
        return NULL;
    r->conf->arena = cdx_arena_create(ARENA_BYTES, r->err);
    if (cdx_conf_keep(r, r->conf->arena) != NULL)
        read_all(r, text, n);
    if (r->file != NULL && !r->nomem)
        r->conf->file = cdx_conf_keep_text(r, cdx_text_z(r->file));
    if (r->mistakes == 0 && !r->nomem)
        return r->conf;
    cdx_conf_free(r->conf);
    return NULL;
}

struct cdx_conf *cdx_conf_parse(const char *text, const char *dir,
                                void (*say)(void *arg, const char *text), void *arg,
                                struct cdx_err *err)
{
    struct cdx_conf_reader r = {.dir = dir, .say = say, .arg = arg, .err = err};

    return parse(&r, text, strlen(text));
}

struct cdx_conf *cdx_conf_load(const char *file, void (*say)(void *arg, const char *text),
                               void *arg, struct cdx_err *err)
{
    struct cdx_conf_reader r = {.file = file, .say = say, .arg = arg, .err = err};
    const char *slash = strrchr(file, '/');
    struct cdx_err why = {0};
    struct cdx_conf *conf = NULL;
    char *text, *dir;
    size_t n;

    text = cdx_file_read(file, FILE_BYTES, &n, &why);
    dir = slash != NULL ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : strdup(".");
    r.dir = dir;
    if (text == NULL) {
        r.file = NULL; /* the text names it */
        cdx_conf_unreadable(&r, "", &why);
    } else if (cdx_conf_keep(&r, dir) != NULL) {
        conf = parse(&r, text, n);
    }
    if (text != NULL)
        explicit_bzero(text, n);
    free(text);
    free(dir);
    return conf;
}

void cdx_conf_free(struct cdx_conf *conf)
{
    if (conf == NULL)
        return;
    for (size_t i = 0; i < conf->kafka_n; i++) /* passwords and keys are among them */
        if (conf->kafka[i].value != NULL)
            explicit_bzero(conf->kafka[i].value, strlen(conf->kafka[i].value));
    cdx_arena_destroy(conf->arena);
    free(conf);
}

const struct cdx_client *cdx_conf_client(const struct cdx_conf *conf, const char *id)
{
    for (size_t i = 0; i < conf->clients_n; i++)
        if (strcmp(conf->clients[i].id, id) == 0)
            return &conf->clients[i];
    return NULL;
}

const char *cdx_conf_single_base(const struct cdx_conf *conf)
{
    for (size_t i = 1; i < conf->sources_n; i++)
        if (strcmp(conf->sources[i].base, conf->sources[0].base) != 0)
            return NULL;
    return conf->sources_n != 0 ? conf->sources[0].base : NULL;
}
