/*
 * ops/check.c -- everything that is wrong before it is started: configuration, Kafka properties, topics, subscriptions, rosters.
 *
 * Asks no broker and no endpoint. Every finding names its place; the count decides the exit code.
 */
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/map.h"
#include "decode/decode.h"
#include "match/match.h"
#include "model/conf.h"
#include "model/subscription.h"
#include "net/guard.h"
#include "ops/check_kafka.h"
#include "state/roster.h"

#define MAX_ROSTER_BYTES (256u << 20)

struct check {
    const struct cdx_args *args;
    struct cdx_conf *conf;
    struct cdx_definitions *defs;
    struct cdx_topics *topics;
    struct cdx_guard *guard;
    struct cdx_map rosters; /* names; owned */
    size_t findings, subscriptions, rosters_n;
    struct cdx_buf json;
};

static void find(void *arg, const char *text)
{
    struct check *c = arg;

    c->findings++;
    if (!c->args->json) {
        printf("%s\n", text);
        return;
    }
    cdx_buf_add_z(&c->json, c->json.n > 0 ? "," : "");
    cdx_buf_add_json(&c->json, cdx_text_z(text));
}

static void find_in(struct check *c, const char *file, const char *text)
{
    char line[1024];

    if (strncmp(text, file, strlen(file)) == 0)
        snprintf(line, sizeof line, "%s", text);
    else
        snprintf(line, sizeof line, "%s: %s", file, text);
    find(c, line);
}

static void each_file(struct check *c, const char *option, char *const *patterns, size_t n,
                      void (*look)(struct check *c, const char *file))
{
    struct cdx_err err = {0};
    char **files = NULL;
    size_t files_n = 0;

    if (cdx_conf_glob(patterns, n, &files, &files_n, &err) != CDX_OK)
        find_in(c, option, err.text);
    for (size_t i = 0; i < files_n; i++)
        look(c, files[i]);
    cdx_strings_free(files, files_n);
}

static void look_at_topic(struct check *c, const char *file)
{
    struct cdx_err err = {0};
    size_t n = 0;
    char *text = cdx_file_read(file, CDX_MAX_SUBSCRIPTION_BYTES, &n, &err);

    if (text == NULL || cdx_topics_add(c->topics, cdx_text(text, n), file, &err) != CDX_OK)
        find_in(c, file, err.text);
    free(text);
}

static void look_at_subscription(struct check *c, const char *file)
{
    struct cdx_err err = {0};
    size_t n = 0;
    char *text = cdx_file_read(file, CDX_MAX_SUBSCRIPTION_BYTES, &n, &err);
    struct cdx_sub *sub = text != NULL ? cdx_sub_parse(cdx_text(text, n), &err) : NULL;
    const struct cdx_client *client = sub != NULL ? cdx_conf_client(c->conf, sub->client) : NULL;

    c->subscriptions++;
    if (sub == NULL || (c->topics != NULL && cdx_topics_accepts(c->topics, sub, &err) != CDX_OK))
        find_in(c, file, err.text);
    err = (struct cdx_err){0};
    if (sub != NULL && c->guard != NULL &&
        cdx_guard_url(c->guard, cdx_text_z(sub->endpoint), &err) != CDX_OK)
        find_in(c, file, err.text);
    if (sub != NULL && client == NULL)
        find_in(
            c, file,
            "Subscription.meta.tag: no client of the configuration is named by system urn:cdex:client; its events go nowhere. Add the tag, or the client");
    else if (sub != NULL && client->roster[0] == '\0')
        find_in(c, file,
                "its client has no roster: nothing may be sent to it. Give the client a `roster`");
    cdx_sub_unref(sub);
    free(text);
}

static bool count_member(void *arg, struct cdx_text key, struct cdx_text value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return true;
}

static void look_at_roster(struct check *c, const char *file)
{
    struct cdx_err err = {0};
    size_t n = 0, members = 0;
    char *text = cdx_file_read(file, MAX_ROSTER_BYTES, &n, &err), *name = NULL;

    c->rosters_n++;
    if (text == NULL || cdx_roster_read_group(cdx_text(text, n), cdx_conf_single_base(c->conf),
                                              count_member, &members, &name, &err) != CDX_OK)
        find_in(c, file, err.text);
    else if (cdx_map_get(&c->rosters, cdx_text_z(name)) != NULL)
        find_in(c, file, "Group.id: another file has the same; one roster is one file");
    else if (cdx_map_put(&c->rosters, cdx_text_z(name), name))
        name = NULL;
    free(name);
    free(text);
}

static void look_at_clients(struct check *c)
{
    for (size_t i = 0; i < c->conf->clients_n; i++) {
        const struct cdx_client *client = &c->conf->clients[i];
        char line[400];
        if (client->roster[0] == '\0' || strcmp(client->roster, "*") == 0 ||
            cdx_map_get(&c->rosters, cdx_text_z(client->roster)) != NULL || c->rosters_n == 0)
            continue;
        snprintf(
            line, sizeof line,
            "clients[%zu].roster: no roster file is named '%s'; until a roster of that name is loaded nothing goes to %s",
            i, client->roster, client->id);
        find_in(c, c->conf->file, line);
    }
}

static void look_at_sources(struct check *c)
{
    for (size_t i = 0; i < c->conf->sources_n; i++) {
        char line[300];
        if (cdx_decode_knows(cdx_text_z(c->conf->sources[i].format)))
            continue;
        snprintf(line, sizeof line,
                 "sources[%zu].format: '%s' cannot be read by this version; use fhir or auto", i,
                 c->conf->sources[i].format);
        find_in(c, c->conf->file, line);
    }
}

static void load_definitions(struct check *c)
{
    struct cdx_err err = {0};

    for (size_t i = 0; c->defs == NULL && i < c->conf->mappings_n; i++) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s/r4", c->conf->mappings[i]);
        err = (struct cdx_err){0};
        c->defs = cdx_definitions_load(dir, &err);
    }
    if (c->defs == NULL)
        find_in(c, "mappings", err.text[0] != '\0' ? err.text : "no folder holds r4/search-r4.csv");
    else if ((c->topics = cdx_topics_create(c->defs, &err)) == NULL)
        find_in(c, "topics", err.text);
}

static void look_at_all(struct check *c)
{
    struct cdx_err err = {0};

    if (cdx_check_kafka_properties(c->conf, find, c) == CDX_NOMEM)
        find_in(c, "kafka", "out of memory");
    look_at_sources(c);
    c->guard = cdx_guard_create((const char *const *)c->conf->push_allow, c->conf->push_allow_n,
                                c->conf->push_http, &err);
    if (c->guard == NULL)
        find_in(c, c->conf->file, err.text);
    load_definitions(c);
    if (c->topics != NULL)
        each_file(c, "topics", c->conf->topics, c->conf->topics_n, look_at_topic);
    each_file(c, "rosters", c->conf->rosters, c->conf->rosters_n, look_at_roster);
    each_file(c, "subscriptions", c->conf->subscriptions, c->conf->subscriptions_n,
              look_at_subscription);
    look_at_clients(c);
}

static void conclude(struct check *c)
{
    size_t topics = c->topics != NULL ? cdx_topics_count(c->topics) : 0;

    if (c->args->json)
        printf("{\"findings\":[%.*s],\"topics\":%zu,\"subscriptions\":%zu,\"rosters\":%zu}\n",
               CDX_TEXT(cdx_buf_text(&c->json)), topics, c->subscriptions, c->rosters_n);
    else if (c->findings == 0)
        printf(
            "%s: fine: %zu topics, %zu subscriptions, %zu rosters. Next: cdex-push topics --config %s\n",
            c->args->config, topics, c->subscriptions, c->rosters_n, c->args->config);
    else
        printf("%zu finding%s\n", c->findings, c->findings == 1 ? "" : "s");
}

int cdx_ops_check(const struct cdx_args *args)
{
    struct check c = {.args = args};
    struct cdx_err err = {0};
    size_t i = 0;
    char *name;

    if (args->options || args->document) {
        if (args->options)
            cdx_conf_names(stdout);
        else
            cdx_conf_document(stdout);
        return CDX_EXIT_OK;
    }
    cdx_buf_init(&c.json, 16u << 20);
    c.conf = cdx_conf_load(args->config, find, &c, &err);
    if (c.conf != NULL)
        look_at_all(&c);
    else if (c.findings == 0)
        find(&c, err.text);
    conclude(&c);
    while ((name = cdx_map_next(&c.rosters, &i)) != NULL)
        free(name);
    cdx_map_fini(&c.rosters);
    cdx_buf_fini(&c.json);
    cdx_guard_destroy(c.guard);
    cdx_topics_unref(c.topics);
    cdx_definitions_destroy(c.defs);
    cdx_conf_free(c.conf);
    return c.findings == 0 ? CDX_EXIT_OK : CDX_EXIT_FINDING;
}
