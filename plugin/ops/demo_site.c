/*
 * ops/demo_site.c -- what would the operator of this gateway have written?
 *
 * In:    the feed's members, the endpoints' URLs, the folder of topics and mappings.
 * Out:   a folder with configuration, Group and Subscription files that `cdex-push check` can read.
 * Owns:  nothing.
 *
 * Everything is a file, as it would be at a site, so that whoever has seen the demo can go on from it. The hard thing is to
 * begin empty without deleting what is not ours: only what an earlier demo wrote by name goes, and only below its mark.
 */
#include "ops/demo_site.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "model/conf.h"
#include "ops/demo_feed.h"

#define API_BASE "https://gateway.example.org/fhir/r4"
#define BACKPORT "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define MARK ".cdex-demo"
#define PATH_BYTES 4096

/* Rosters overlap, so that one event goes to several payers; the feed's last members are nobody's. */
const struct cdx_demo_payer cdx_demo_payers[CDX_DEMO_PAYERS] = {
    {"alder", "full-resource", "patient-data-feed", 5, 0, 14},
    {"birch", "id-only", "encounter", 0, 8, 20},
    {"cedar", "empty", "observation", 0, 4, 16},
};

/* -- the folder --------------------------------------------------------------------------------------------------- */

static const char *const folders[] = {"alder",         "birch", "cedar",       "rosters",
                                      "subscriptions", "data",  "dead-letters"};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

/* Is there nothing in it? (A folder that cannot be read is not empty.) */
static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n == 2;
}

static bool make_folders(const char *out, const char *mark)
{
    char path[PATH_BYTES];
    FILE *f = fopen(mark, "w");

    if (f == NULL || fclose(f) != 0)
        return false;
    for (size_t i = 0; i < CDX_COUNT(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", out, folders[i]);
        if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
            return false;
        if (mkdir(path, 0700) != 0)
            return false;
    }
    return true;
}

char *cdx_demo_site_open(const char *out, struct cdx_err *err)
{
    char mark[PATH_BYTES];
    bool made = mkdir(out, 0700) == 0;

    if (!made && errno != EEXIST) {
        cdx_fail(err, CDX_CONFIG, "--out %s: %s; its parent folder must exist and be writable", out,
                 strerror(errno));
        return NULL;
    }
    if (snprintf(mark, sizeof mark, "%s/" MARK, out) >= (int)sizeof mark - 64) {
        cdx_fail(err, CDX_CONFIG, "--out: the path is too long");
        return NULL;
    }
    if (!made && access(mark, F_OK) != 0 && !is_empty(out)) {
        cdx_fail(err, CDX_CONFIG,
                 "--out %s holds files that no demo wrote, and they stay; name another folder",
                 out);
        return NULL;
    }
    if (!make_folders(out, mark)) {
        cdx_fail(err, CDX_CONFIG, "--out %s: %s", out, strerror(errno));
        return NULL;
    }
    return realpath(out, NULL);
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

enum cdx_code cdx_demo_topic_read(const char *root, const char *topic, struct cdx_demo_topic *out,
                                  struct cdx_err *err)
{
    char path[PATH_BYTES];
    json_error_t at;
    json_auto_t *json = NULL;
    const json_t *triggers;

    snprintf(path, sizeof path, "%s/topics/%s.json", root, topic);
    json = json_load_file(path, 0, &at);
    triggers = json_object_get(json, "resourceTrigger");
    *out =
        (struct cdx_demo_topic){.url = json_string_value(json_object_get(json, "url")) != NULL
                                           ? strdup(json_string_value(json_object_get(json, "url")))
                                           : NULL,
                                .types = calloc(json_array_size(triggers) + 1, sizeof(char *))};
    for (size_t i = 0; out->types != NULL && i < json_array_size(triggers); i++) {
        const char *url =
            json_string_value(json_object_get(json_array_get(triggers, i), "resource"));
        const char *slash = url != NULL ? strrchr(url, '/') : NULL;
        if (slash != NULL && (out->types[out->types_n] = strdup(slash + 1)) != NULL)
            out->types_n++;
    }
    return out->url != NULL && out->types_n > 0
               ? CDX_OK
               : cdx_fail(err, CDX_CONFIG, "%s: %s", path, json == NULL ? at.text : "no topic");
}

void cdx_demo_topic_fini(struct cdx_demo_topic *topic)
{
    for (size_t i = 0; i < topic->types_n; i++)
        free(topic->types[i]);
    free(topic->types);
    free(topic->url);
}

/* -- the files ---------------------------------------------------------------------------------------------------- */

/* Takes the value. */
static bool write_file(const char *out, const char *folder, const char *name, json_t *value,
                       struct cdx_err *err)
{
    char path[PATH_BYTES];
    bool ok;

    snprintf(path, sizeof path, "%s/%s%s.json", out, folder, name);
    ok = value != NULL && json_dump_file(value, path, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0;
    json_decref(value);
    if (!ok)
        cdx_fail(err, CDX_CONFIG, "%s: cannot be written: %s", path, strerror(errno));
    return ok;
}

static json_t *roster(const struct cdx_demo_payer *payer, const struct cdx_demo_feed *feed)
{
    json_t *members = json_array();

    for (size_t i = payer->members_from; i < payer->members_to && i < feed->members_n; i++)
        json_array_append_new(members,
                              json_pack("{s{ss}}", "entity", "reference", feed->members[i]));
    return json_pack("{ss ss ss sb so}", "resourceType", "Group", "id", payer->name, "type",
                     "person", "actual", 1, "member", members);
}

static json_t *subscription(const struct cdx_demo_payer *payer, const char *topic, const char *url)
{
    json_t *more = json_array();

    if (payer->max_count > 0)
        json_array_append_new(more, json_pack("{ss si}", "url", BACKPORT "backport-max-count",
                                              "valuePositiveInt", payer->max_count));
    if (json_array_size(more) == 0) {
        json_decref(more);
        more = NULL;
    }
    return json_pack(
        "{ss ss s{s[s] s[{ss ss}]} ss ss ss s{so* ss ss ss s{s[{ss ss}]}}}", "resourceType",
        "Subscription", "id", payer->name, "meta", "profile", BACKPORT "backport-subscription",
        "tag", "system", "urn:cdex:client", "code", payer->name, "status", "requested", "reason",
        "Changes in the records of our members", "criteria", topic, "channel", "extension", more,
        "type", "rest-hook", "endpoint", url, "payload", "application/fhir+json", "_payload",
        "extension", "url", BACKPORT "backport-payload-content", "valueCode", payer->level);
}

static json_t *configuration(const char *root)
{
    char topics[PATH_BYTES], mappings[PATH_BYTES];
    json_t *clients = json_array();

    snprintf(topics, sizeof topics, "%s/topics/*.json", root);
    snprintf(mappings, sizeof mappings, "%s/mappings", root);
    for (size_t i = 0; i < CDX_DEMO_PAYERS; i++)
        json_array_append_new(clients, json_pack("{ss ss}", "id", cdx_demo_payers[i].name, "roster",
                                                 cdx_demo_payers[i].name));
    return json_pack("{s{sb} ss ss si si s[{s[s] ss ss s{ss ss}}] s{ss ss} s[s] s[s] s[s] s[s] so "
                     "s{ss} s{ss} s{sb s[s]} s[ss]}",
                     "kafka", "embedded", 1, "instance", "demo", "data_dir", "data", "partitions",
                     4, "state.partitions", 4, "sources", "topics", CDX_DEMO_SOURCE, "format",
                     "auto", "base", CDX_DEMO_BASE, "organization", "reference",
                     "Organization/hospital", "display", "General Hospital", "organization",
                     "reference", "Organization/gateway", "display", "Health Information Gateway",
                     "topics", topics, "mappings", mappings, "subscriptions",
                     "subscriptions/*.json", "rosters", "rosters/*.json", "clients", clients, "api",
                     "base", API_BASE, "ops", "listen", "127.0.0.1:0", "push", "http", 1, "allow",
                     "127.0.0.1/32", "roles", "match", "push");
}

static bool write_payer(const char *out, const char *root, const struct cdx_demo_payer *payer,
                        const struct cdx_demo_feed *feed, const char *url, struct cdx_err *err)
{
    struct cdx_demo_topic topic;
    bool ok =
        cdx_demo_topic_read(root, payer->topic, &topic, err) == CDX_OK &&
        write_file(out, "rosters/", payer->name, roster(payer, feed), err) &&
        write_file(out, "subscriptions/", payer->name, subscription(payer, topic.url, url), err);

    cdx_demo_topic_fini(&topic);
    return ok;
}

char *cdx_demo_site_write(const char *out, const char *root, const struct cdx_demo_feed *feed,
                          const char *const *urls, struct cdx_err *err)
{
    char *absolute = realpath(root, NULL), *path = NULL;
    bool ok = absolute != NULL && write_file(out, "", "cdex-push", configuration(absolute), err);

    for (size_t i = 0; ok && i < CDX_DEMO_PAYERS; i++)
        ok = write_payer(out, absolute, &cdx_demo_payers[i], feed, urls[i], err);
    if (ok && asprintf(&path, "%s/cdex-push.json", out) < 0)
        path = NULL;
    free(absolute);
    if (path == NULL)
        cdx_fail(err, CDX_NOMEM, "demo: files in %s", out);
    return path;
}
