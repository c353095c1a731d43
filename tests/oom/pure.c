/* tests/oom/pure.c -- readers and renderers: value in, value out, or CDX_NOMEM and nothing else. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/limits.h"
#include "decode/decode.h"
#include "fhir/view.h"
#include "model/conf.h"
#include "notify/sample.h"
#include "oom.h"

static enum cdx_code json_story(const void *arg)
{
    const struct cdx_text *value = arg;
    struct cdx_err err = {0};
    struct cdx_arena *arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, &err);
    struct cdx_json json;
    enum cdx_code code;

    if (arena == NULL)
        return err.code;
    code = cdx_json_parse(value->p, value->n, arena, &json, &err);
    oom_check(code == err.code);
    for (cdx_node v = 0; code == CDX_OK && v < json.count; v++) {
        struct cdx_text text = cdx_json_scalar(&json, v, arena);
        if (json.nodes[v].kind == CDX_JSON_STRING && text.p == NULL)
            code = CDX_NOMEM;
        oom_print("%.*s\n", (int)text.n, text.p != NULL ? text.p : "");
    }
    cdx_arena_destroy(arena);
    return code;
}

/* -- decode ------------------------------------------------------------------------------------------------------- */

struct decode_case {
    struct cdx_text value, key, format;
};

static enum cdx_code decode_story(const void *arg)
{
    const struct decode_case *in = arg;
    const struct cdx_record rec = {.key = in->key, .value = in->value, .timestamp_ms = 7};
    struct cdx_err err = {0};
    struct cdx_arena *arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, &err);
    struct cdx_changes changes = {0};
    enum cdx_code code;

    if (arena == NULL)
        return err.code;
    code = cdx_decode(in->format, &rec, CDX_LIT("https://ehr.example.org/fhir"), arena, &changes,
                      &err);
    oom_check(code == err.code);
    for (size_t i = 0; code == CDX_OK && i < changes.n; i++)
        oom_print("%d %.*s/%.*s %.*s\n", changes.items[i].interaction,
                  CDX_TEXT(changes.items[i].type), CDX_TEXT(changes.items[i].id),
                  CDX_TEXT(changes.items[i].version));
    if (code == CDX_INPUT)
        oom_print("%s", err.text);
    cdx_arena_destroy(arena);
    return code;
}

static struct cdx_text optional_file(const char *folder, const char *file)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    f = fopen(path, "rb");
    if (f == NULL)
        return cdx_text(NULL, 0);
    fclose(f);
    return oom_file(path);
}

/* Calls `each` with the path of each folder below. */
static void each_folder(const char *parent, void (*each)(const char *name, const char *folder))
{
    struct dirent **found;
    int n = scandir(parent, &found, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%s", parent, found[i]->d_name);
        if (found[i]->d_name[0] != '.')
            each(found[i]->d_name, folder);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
}

static const char *named(const char *kind, const char *name)
{
    char *out = NULL;

    if (asprintf(&out, "%s/%s", kind, name) < 0)
        out = NULL;
    return oom_keep(out);
}

static void add_decode(const char *name, const char *folder)
{
    struct decode_case *in = oom_keep(calloc(1, sizeof *in));
    struct cdx_text expect = optional_file(folder, "expect");

    in->value = optional_file(folder, "input.json");
    in->key = optional_file(folder, "key");
    in->format = optional_file(folder, "format");
    if (in->format.p == NULL)
        in->format = CDX_LIT("fhir");
    else
        in->format.n--; /* its line end */
    oom_add((struct oom_scenario){
        named("decode", name), decode_story, in,
        expect.p != NULL && strstr(expect.p, "\nerror ") != NULL ? CDX_INPUT : CDX_OK, NULL});
}

/* -- subscriptions ------------------------------------------------------------------------------------------------ */

static enum cdx_code sub_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_sub *sub = cdx_sub_parse(*(const struct cdx_text *)arg, &err);

    oom_check((sub == NULL) == (err.code != CDX_OK));
    if (sub == NULL) {
        oom_print("%s", err.code == CDX_INPUT ? err.text : "");
        return err.code;
    }
    oom_print("%s %s %s %s %d %zu headers\n", sub->id, sub->client, sub->topic, sub->endpoint,
              sub->level, sub->headers_n);
    for (size_t i = 0; i < sub->filters_n; i++)
        oom_print("%s %zu %s\n", sub->filters[i].param, sub->filters[i].values_n,
                  sub->filters[i].values[0]);
    cdx_sub_unref(sub);
    return CDX_OK;
}

/* What was there before stays when more cannot be added. */
static enum cdx_code filter_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_filter *filters = NULL;
    size_t n = 0, before;
    enum cdx_code code = cdx_filter_parse(
        CDX_LIT("Encounter?patient=Patient/1,Patient/2&class=IMP"), &filters, &n, &err);

    (void)arg;
    before = n;
    if (code == CDX_OK)
        code = cdx_filter_parse(CDX_LIT("status:not=a\\,b,c|d&_id=7"), &filters, &n, &err);
    oom_check(code == err.code);
    oom_check(code == CDX_OK || n == before || n == 0);
    for (size_t i = 0; i < n; i++)
        oom_print("%s:%s %zu %s\n", filters[i].param,
                  filters[i].modifier != NULL ? filters[i].modifier : "", filters[i].values_n,
                  filters[i].values[0]);
    cdx_filters_free(filters, n);
    return code;
}

#define BACKPORT "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
static const struct cdx_text full_sub = CDX_LIT(
    "{\"resourceType\":\"Subscription\",\"id\":\"sub-1\",\"meta\":{\"tag\":[{\"system\":\"urn:cdex:client\",\"code\":\"payer-a\"}]},"
    "\"status\":\"requested\",\"reason\":\"test\",\"end\":\"2031-01-01T00:00:00Z\",\"criteria\":\"https://topics.example.org/t|1\","
    "\"_criteria\":{\"extension\":[{\"url\":\"" BACKPORT
    "backport-filter-criteria\",\"valueString\":\"Encounter?patient=Patient/1,Patient/2&class=IMP\"},"
    "{\"url\":\"" BACKPORT "backport-filter-criteria\",\"valueString\":\"status=finished\"}]},"
    "\"channel\":{\"extension\":[{\"url\":\"" BACKPORT
    "backport-heartbeat-period\",\"valueUnsignedInt\":60},"
    "{\"url\":\"" BACKPORT "backport-timeout\",\"valueUnsignedInt\":20},{\"url\":\"" BACKPORT
    "backport-max-count\",\"valuePositiveInt\":5}],"
    "\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.org/h\",\"payload\":\"application/fhir+json\","
    "\"_payload\":{\"extension\":[{\"url\":\"" BACKPORT
    "backport-payload-content\",\"valueCode\":\"full-resource\"}]},"
    "\"header\":[\"Authorization: Bearer x\",\"X-A: b\"]}}");
static const struct cdx_text bad_sub =
    CDX_LIT("{\"resourceType\":\"Subscription\",\"id\":\"sub-1\",\"status\":\"requested\","
            "\"criteria\":\"https://t\",\"channel\":{\"type\":\"email\"}}");

/* -- notifications ------------------------------------------------------------------------------------------------ */

static enum cdx_code print_bundle(enum cdx_code code, struct cdx_buf *out,
                                  const struct cdx_uuid *id)
{
    char text[CDX_UUID_BYTES];

    if (code == CDX_OK)
        oom_print("%s %.*s\n", cdx_uuid_text(id, text), CDX_TEXT(cdx_buf_text(out)));
    cdx_buf_fini(out);
    return code;
}

/* arg: enum cdx_level_of_content. The change was read before. */
static enum cdx_code notify_story(const void *arg)
{
    const enum cdx_level_of_content level = *(const enum cdx_level_of_content *)arg;
    struct cdx_sub sub = sample_sub(level);
    struct cdx_err err = {0};
    struct cdx_logrec rec;
    struct cdx_uuid id;
    struct sample s;
    struct cdx_buf log, out;
    enum cdx_code code;

    oom_pause();
    sample_init(&s);
    oom_resume();
    cdx_buf_init(&log, 1u << 20);
    cdx_buf_init(&out, 1u << 20);
    cdx_buf_add_z(&log, "cdx1\ni 12\n");
    code = cdx_notify_render(&s.render, level, NULL, &log, &err);
    if (code == CDX_OK)
        code = cdx_logrec_parse(cdx_buf_text(&log), &rec, &err);
    if (code == CDX_OK) {
        const struct cdx_event events[] = {
            {.number = 7, .timestamp_ms = 1903867198001, .rec = &rec},
            {.number = 8, .timestamp_ms = 1903867198002, .rec = &rec},
            {.number = 9, .timestamp_ms = 1903867198003, .rec = &rec, .bare = true}};
        code = cdx_notify_cut(&sample_server, &sub, events, CDX_COUNT(events), &out, &id, &err);
    }
    oom_check(code == err.code);
    code = print_bundle(code, &out, &id);
    cdx_buf_fini(&log);
    sample_fini(&s);
    return code;
}

static enum cdx_code signal_story(const void *arg)
{
    struct cdx_sub sub = sample_sub(CDX_EMPTY);
    struct cdx_err err = {0};
    struct cdx_uuid id;
    struct cdx_buf out;
    enum cdx_code code;

    (void)arg;
    cdx_buf_init(&out, 1u << 20);
    code = cdx_notify_signal(&sample_server, &sub, CDX_HEARTBEAT, 1903867198000, CDX_ERROR_STATUS,
                             12, 1903867198000, "no-response", &out, &id, &err);
    oom_check(code == err.code);
    return print_bundle(code, &out, &id);
}

static enum cdx_code logrec_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_logrec rec;
    enum cdx_code code = cdx_logrec_parse(*(const struct cdx_text *)arg, &rec, &err);

    if (code == CDX_OK)
        oom_print("%.*s %.*s %zu\n", CDX_TEXT(rec.focus), CDX_TEXT(rec.source), rec.entries.n);
    return code;
}

/* -- configuration ------------------------------------------------------------------------------------------------ */

static enum cdx_code conf_end(struct cdx_conf *conf, const struct cdx_err *err)
{
    oom_check((conf == NULL) == (err->code != CDX_OK));
    if (conf == NULL) {
        oom_print("%s", err->code == CDX_CONFIG ? err->text : "");
        return err->code;
    }
    oom_print("%s %s %zu %zu %s %s\n", conf->prefix, conf->instance, conf->sources_n, conf->kafka_n,
              conf->sources[0].base, conf->api_base);
    cdx_conf_free(conf);
    return CDX_OK;
}

static enum cdx_code conf_file_story(const void *arg)
{
    struct cdx_err err = {0};

    return conf_end(cdx_conf_load(arg, NULL, NULL, &err), &err);
}

static enum cdx_code conf_text_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_conf *conf;

    conf = cdx_conf_parse(((const struct cdx_text *)arg)->p, "etc", NULL, NULL, &err);
    return conf_end(conf, &err);
}

static enum cdx_code glob_story(const void *arg)
{
    static char first[] = "topics/*.json", second[] = "mappings";
    static char *const patterns[] = {first, second, first};
    struct cdx_err err = {0};
    char **files = NULL;
    size_t n = 0;
    enum cdx_code code = cdx_conf_glob(patterns, CDX_COUNT(patterns), &files, &n, &err);

    (void)arg;
    for (size_t i = 0; code == CDX_OK && i < n; i++)
        oom_print("%s\n", files[i]);
    if (code == CDX_OK)
        cdx_strings_free(files, n);
    return code;
}

static enum cdx_code file_story(const void *arg)
{
    struct cdx_err err = {0};
    size_t n = 0;
    char *text = cdx_file_read(arg, 1u << 20, &n, &err);

    oom_check((text == NULL) == (err.code != CDX_OK));
    oom_print("%zu", n);
    free(text);
    return err.code;
}

static void add_conf(const char *name, const char *folder)
{
    struct cdx_text *text = oom_keep(malloc(sizeof *text));
    struct cdx_err err = {0};
    struct cdx_conf *conf;
    char path[600];

    snprintf(path, sizeof path, "%s/cdex-push.json", folder);
    conf =
        cdx_conf_load(path, NULL, NULL, &err); /* what it is without refusals, its own suite says */
    cdx_conf_free(conf);
    oom_add((struct oom_scenario){named("conf/file", name), conf_file_story, oom_keep(strdup(path)),
                                  err.code, NULL});
    *text = oom_file(path);
    err = (struct cdx_err){0};
    conf = cdx_conf_parse(text->p, "etc", NULL, NULL, &err);
    cdx_conf_free(conf);
    oom_add((struct oom_scenario){named("conf/text", name), conf_text_story, text, err.code, NULL});
}

void oom_pure(void)
{
    static const enum cdx_level_of_content levels[] = {CDX_EMPTY, CDX_ID_ONLY, CDX_FULL_RESOURCE};
    static struct cdx_text topic, logrec;

    topic = oom_file("topics/patient-data-feed.json");
    logrec = oom_file("tests/cases/notify/logrec/full-resource");
    oom_add((struct oom_scenario){"fhir/json", json_story, &topic, CDX_OK, NULL});
    each_folder("tests/cases/decode", add_decode);
    oom_add((struct oom_scenario){"model/subscription", sub_story, &full_sub, CDX_OK, NULL});
    oom_add(
        (struct oom_scenario){"model/subscription-refused", sub_story, &bad_sub, CDX_INPUT, NULL});
    oom_add((struct oom_scenario){"model/filter", filter_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"model/logrec", logrec_story, &logrec, CDX_OK, NULL});
    for (size_t i = 0; i < CDX_COUNT(levels); i++)
        oom_add((struct oom_scenario){"notify/render-cut", notify_story, &levels[i], CDX_OK, NULL});
    oom_add((struct oom_scenario){"notify/signal", signal_story, NULL, CDX_OK, NULL});
    each_folder("tests/cases/conf", add_conf);
    oom_add((struct oom_scenario){"model/glob", glob_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"model/file", file_story, "topics/encounter.json", CDX_OK, NULL});
    oom_add(
        (struct oom_scenario){"model/no-file", file_story, "topics/none.json", CDX_CONFIG, NULL});
}
