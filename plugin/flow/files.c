/*
 * flow/files.c -- the operator's files become records: subscriptions and rosters, differences only.
 *
 * In:    files of the configuration; what the topics hold, as the view has read it to the end.
 * Out:   records of cdex.subscriptions and cdex.rosters, written by the owner of log partition 0 only.
 * Hard:  never to end somebody's subscription by mistake: a record is ended only if it came from a file, all of our own files
 *        were read without error, and there was at least one. A process with an older configuration applies nothing.
 * Not:   a write for each file at each start: stage 2 would owe a new handshake for it.
 */
#include "flow/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bus/bus.h"
#include "core/buf.h"
#include "core/digest.h"
#include "core/limits.h"
#include "core/log.h"
#include "model/conf.h"

#define MAX_ROSTER_BYTES (256u << 20)

struct apply {
    const struct cdx_files *files;
    struct cdx_producer *producer; /* owned; opened at the first write */
    struct cdx_err *err;
    struct cdx_buf value;
    size_t written, ended, wrong;
};

static enum cdx_code put(struct apply *a, enum cdx_topic topic, int32_t partition,
                         struct cdx_text key, struct cdx_text value)
{
    struct cdx_out out = {topic, partition, key, value, NULL, 0, 0};

    if (a->producer == NULL)
        a->producer = cdx_producer_create(a->files->bus, "files", false, a->err);
    if (a->producer == NULL)
        return CDX_REMOTE;
    a->written++;
    return cdx_producer_send(a->producer, &out, a->err);
}

/* -- subscriptions ------------------------------------------------------------------------------------------------ */

static enum cdx_code put_subscription(struct apply *a, struct cdx_text json,
                                      const struct cdx_sub *sub, const struct cdx_sub_entry *known)
{
    bool alive = known != NULL && known->sub != NULL;
    int32_t partition =
        alive ? known->sub->partition : cdx_partition_of(cdx_text_z(sub->id), a->files->partitions);

    cdx_buf_reset(&a->value);
    cdx_sub_record_write(json, alive ? known->sub->incarnation : -1, partition, true, &a->value);
    if (a->value.failed)
        return cdx_fail(a->err, CDX_NOMEM, "files: subscription %s", sub->id);
    cdx_log(CDX_INFO, "files.subscription", alive ? "changed" : "new",
            CDX_KV("subscription", sub->id), CDX_KN("partition", partition));
    return put(a, CDX_T_SUBSCRIPTIONS, partition, cdx_text_z(sub->id), cdx_buf_text(&a->value));
}

/* One file. *id: owned by the caller, NULL when the file is wrong. */
static enum cdx_code take_subscription(struct apply *a, const char *file, char **id)
{
    struct cdx_err why = {0};
    size_t n = 0;
    char *text = cdx_file_read(file, CDX_MAX_SUBSCRIPTION_BYTES, &n, &why);
    struct cdx_sub *sub = text != NULL ? cdx_sub_parse(cdx_text(text, n), &why) : NULL;
    enum cdx_code rc = CDX_OK;
    uint64_t hash;

    *id = NULL;
    if (sub == NULL || cdx_sub_resource_hash(cdx_text(text, n), &hash, &why) != CDX_OK) {
        a->wrong++;
        cdx_log(CDX_ERROR, "files.wrong", why.text, CDX_KV("file", file));
    } else {
        struct cdx_sub_entry *known = cdx_map_get(&a->files->subs->by_id, cdx_text_z(sub->id));
        if (known == NULL || known->sub == NULL || known->resource_hash != hash)
            rc = put_subscription(a, cdx_text(text, n), sub, known);
        *id = strdup(sub->id);
    }
    cdx_sub_unref(sub);
    free(text);
    return rc;
}

static bool listed(char *const *ids, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != NULL && strcmp(ids[i], id) == 0)
            return true;
    return false;
}

static enum cdx_code end_missing(struct apply *a, char *const *ids, size_t n)
{
    size_t i = 0;
    struct cdx_sub_entry *e;

    while ((e = cdx_map_next(&a->files->subs->by_id, &i)) != NULL) {
        if (e->sub == NULL || !e->sub->from_file || listed(ids, n, e->id))
            continue;
        cdx_log(CDX_INFO, "files.subscription", "ended: its file is gone",
                CDX_KV("subscription", e->id));
        a->ended++;
        if (put(a, CDX_T_SUBSCRIPTIONS, e->sub->partition, cdx_text_z(e->id), cdx_text(NULL, 0)) !=
            CDX_OK)
            return CDX_REMOTE;
    }
    return CDX_OK;
}

static enum cdx_code apply_subscriptions(struct apply *a)
{
    const struct cdx_conf *conf = a->files->conf;
    char **files = NULL, **ids;
    size_t n = 0, wrong = a->wrong;
    enum cdx_code rc = CDX_OK;
    struct cdx_err why = {0};

    if (cdx_conf_glob(conf->subscriptions, conf->subscriptions_n, &files, &n, &why) != CDX_OK) {
        a->wrong++;
        cdx_log(CDX_ERROR, "files.wrong", why.text, CDX_KV("option", "subscriptions"));
        return CDX_OK;
    }
    ids = calloc(n + 1, sizeof *ids);
    for (size_t i = 0; ids != NULL && rc == CDX_OK && i < n; i++)
        rc = take_subscription(a, files[i], &ids[i]);
    if (ids != NULL && rc == CDX_OK && n > 0 && a->wrong == wrong)
        rc = end_missing(a, ids, n);
    cdx_strings_free(ids, ids != NULL ? n : 0);
    cdx_strings_free(files, n);
    return rc;
}

/* -- rosters ------------------------------------------------------------------------------------------------------ */

/* A Group file being written: its members, so that those who left can be found. */
struct group {
    struct apply *apply;
    struct cdx_map members; /* key -> the key's own block */
    size_t n;
    char *name; /* owned */
    enum cdx_code rc;
    int32_t partition;
    uint32_t roster;
};

/* A member's key and value in one block; the map's key points into it. */
struct member {
    struct cdx_text key, value;
    char bytes[];
};

static bool take_member(void *arg, struct cdx_text key, struct cdx_text value)
{
    struct group *g = arg;
    struct member *m = cdx_map_get(&g->members, key);

    if (m != NULL)
        return true;
    m = malloc(sizeof *m + key.n + value.n);
    if (m == NULL)
        return false;
    memcpy(m->bytes, key.p, key.n);
    memcpy(m->bytes + key.n, value.p, value.n);
    m->key = cdx_text(m->bytes, key.n);
    m->value = cdx_text(m->bytes + key.n, value.n);
    if (!cdx_map_put(&g->members, m->key, m)) {
        free(m);
        return false;
    }
    g->n++;
    return true;
}

static void group_fini(struct group *g)
{
    size_t i = 0;
    struct member *m;

    while ((m = cdx_map_next(&g->members, &i)) != NULL)
        free(m);
    cdx_map_fini(&g->members);
    free(g->name);
}

static enum cdx_code put_member(struct group *g, struct cdx_text key, struct cdx_text value)
{
    struct apply *a = g->apply;
    char *record_key;
    int n = asprintf(&record_key, "%s|%.*s", g->name, CDX_TEXT(key));
    enum cdx_code rc;

    if (n < 0)
        return cdx_fail(a->err, CDX_NOMEM, "files: roster %s", g->name);
    rc = put(a, CDX_T_ROSTERS, g->partition, cdx_text(record_key, (size_t)n), value);
    free(record_key);
    return rc;
}

/* Members that the file no longer names leave; those that are there already, without a period, need no record. */
static void look_at_old(void *arg, struct cdx_text key, bool has_period)
{
    struct group *g = arg;
    struct member *m = cdx_map_get(&g->members, key);

    if (g->rc != CDX_OK)
        return;
    if (m == NULL)
        g->rc = put_member(g, key, cdx_text(NULL, 0));
    else if (!has_period && m->value.n == 2) /* {} */
        free(cdx_map_take(&g->members, key));
}

static enum cdx_code put_close(struct group *g, const char *hash)
{
    struct apply *a = g->apply;
    char key[CDX_MAX_ID_BYTES + 2];
    int n = snprintf(key, sizeof key, "%s#", g->name);

    cdx_buf_reset(&a->value);
    if (hash != NULL)
        cdx_buf_printf(&a->value,
                       "{\"count\":%zu,\"version\":%" PRId64
                       ",\"source\":\"file\",\"hash\":\"%s\"}",
                       g->n, a->files->conf->version, hash);
    return put(a, CDX_T_ROSTERS, g->partition, cdx_text(key, (size_t)n),
               hash != NULL ? cdx_buf_text(&a->value) : cdx_text(NULL, 0));
}

static void prepare(struct group *g)
{
    g->partition = cdx_partition_of(cdx_text_z(g->name), g->apply->files->roster_partitions);
    g->roster = cdx_rosters_id(g->apply->files->rosters, cdx_text_z(g->name));
}

static enum cdx_code put_group(struct group *g, const char *hash)
{
    struct member *m;
    size_t i = 0;

    prepare(g);
    cdx_rosters_each(g->apply->files->rosters, g->roster, look_at_old, g);
    while (g->rc == CDX_OK && (m = cdx_map_next(&g->members, &i)) != NULL)
        g->rc = put_member(g, m->key, m->value);
    if (g->rc == CDX_OK)
        g->rc = put_close(g, hash);
    cdx_log(CDX_INFO, "files.roster", "written", CDX_KV("roster", g->name),
            CDX_KN("members", g->n));
    return g->rc;
}

static enum cdx_code take_roster(struct apply *a, const char *file, char **name)
{
    struct cdx_err why = {0};
    size_t n = 0;
    char *text = cdx_file_read(file, MAX_ROSTER_BYTES, &n, &why), hash[65];
    struct group g = {.apply = a};
    enum cdx_code rc = CDX_OK;
    const struct cdx_roster_close *known;

    *name = NULL;
    if (text == NULL ||
        cdx_roster_read_group(cdx_text(text, n), cdx_conf_single_base(a->files->conf), take_member,
                              &g, &g.name, &why) != CDX_OK) {
        a->wrong++;
        cdx_log(CDX_ERROR, "files.wrong", why.text, CDX_KV("file", file));
    } else {
        known = cdx_map_get(a->files->roster_closes, cdx_text_z(g.name));
        rc = cdx_sha256_hex(text, n, hash, a->err);
        if (rc == CDX_OK && (known == NULL || !known->from_file || strcmp(known->hash, hash) != 0))
            rc = put_group(&g, hash);
        *name = strdup(g.name);
    }
    group_fini(&g);
    free(text);
    return rc;
}

static enum cdx_code end_rosters(struct apply *a, char *const *names, size_t n)
{
    const struct cdx_roster_close *c;
    enum cdx_code rc = CDX_OK;
    size_t i = 0;

    while (rc == CDX_OK && (c = cdx_map_next(a->files->roster_closes, &i)) != NULL) {
        struct group g = {.apply = a};
        if (!c->from_file || listed(names, n, c->name))
            continue;
        cdx_log(CDX_INFO, "files.roster", "ended: its file is gone", CDX_KV("roster", c->name));
        a->ended++;
        g.name = strdup(c->name);
        prepare(&g);
        rc = put_close(&g, NULL);
        cdx_rosters_each(a->files->rosters, g.roster, look_at_old, &g);
        rc = rc != CDX_OK ? rc : g.rc;
        group_fini(&g);
    }
    return rc;
}

static enum cdx_code apply_rosters(struct apply *a)
{
    const struct cdx_conf *conf = a->files->conf;
    char **files = NULL, **names;
    size_t n = 0, wrong = a->wrong;
    struct cdx_err why = {0};
    enum cdx_code rc = CDX_OK;

    if (cdx_conf_glob(conf->rosters, conf->rosters_n, &files, &n, &why) != CDX_OK) {
        a->wrong++;
        cdx_log(CDX_ERROR, "files.wrong", why.text, CDX_KV("option", "rosters"));
        return CDX_OK;
    }
    names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names != NULL && rc == CDX_OK && i < n; i++)
        rc = take_roster(a, files[i], &names[i]);
    if (names != NULL && rc == CDX_OK && n > 0 && a->wrong == wrong)
        rc = end_rosters(a, names, n);
    cdx_strings_free(names, names != NULL ? n : 0);
    cdx_strings_free(files, n);
    return rc;
}

/* -- all ---------------------------------------------------------------------------------------------------------- */

static enum cdx_code remember_version(struct apply *a)
{
    cdx_buf_reset(&a->value);
    cdx_buf_printf(&a->value, "{\"version\":%" PRId64 "}", a->files->conf->version);
    return put(a, CDX_T_SUBSCRIPTIONS, 0, CDX_LIT(CDX_APPLIED_KEY), cdx_buf_text(&a->value));
}

enum cdx_code cdx_files_apply(const struct cdx_files *files, struct cdx_err *err)
{
    struct apply a = {.files = files, .err = err};
    enum cdx_code rc;

    if (files->conf->version < files->applied_version) {
        cdx_log(
            CDX_WARN, "files.older",
            "a newer configuration was applied by another process; this one's files are left alone",
            CDX_KN("version", files->conf->version), CDX_KN("applied", files->applied_version));
        return CDX_OK;
    }
    cdx_buf_init(&a.value, 2 * CDX_MAX_SUBSCRIPTION_BYTES);
    rc = apply_rosters(&a); /* before the subscriptions that rest on them */
    if (rc == CDX_OK)
        rc = apply_subscriptions(&a);
    if (rc == CDX_OK && files->conf->version > files->applied_version)
        rc = remember_version(&a);
    if (rc == CDX_OK && a.producer != NULL)
        rc = cdx_producer_flush(a.producer, 10000, err);
    if (rc == CDX_OK)
        cdx_log(a.wrong > 0 ? CDX_WARN : CDX_INFO, "files.applied", "",
                CDX_KN("records", a.written), CDX_KN("ended", a.ended), CDX_KN("wrong", a.wrong));
    cdx_producer_destroy(a.producer);
    cdx_buf_fini(&a.value);
    return rc;
}
