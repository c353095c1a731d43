/*
 * match/topics.c -- what may be subscribed to, and would this subscription be understood?
 *
 * In:    SubscriptionTopic resources (R5 JSON; Subscriptions R5 Backport gives them to R4), subscriptions.
 * Out:   topics compiled against the definitions: types with interactions, filter names with a parameter per type.
 * Owns:  one arena for all topics of a set. Topics are added, never changed, so the index may keep their numbers.
 *
 * The hard thing is to refuse everything that is not understood whole: a criterion that is skipped sends events that
 * the topic excludes, a filter that is skipped sends those of other patients. A parameter that exists but cannot be
 * evaluated does not refuse its topic, since a topic's author lists what the topic offers; it refuses the subscription
 * that uses it. Not filterDefinition first: it is advisory (R4 has no clinical-code for Task), the name decides.
 */
#include "match/topics.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/limits.h"
#include "core/map.h"
#include "match/match.h"
#include "match/value.h"

#define MAX_ARENA_BYTES (32u << 20) /* a thousand topics take 4 MB */
#define MAX_TOPIC_FILTERS 256

struct cdx_topics {
    int refs;
    const struct cdx_definitions *defs; /* borrowed */
    struct cdx_arena *arena;            /* owned */
    struct cdx_topic **list;            /* owned array; topics in the arena */
    size_t n, cap;
    struct cdx_map by_type; /* type name -> struct cdx_topic_of, the first */
};

/* One topic while it is read. */
struct compiling {
    struct cdx_topics *topics;
    struct cdx_topic *topic;
    const char *name; /* its file */
    struct cdx_err *err;
};

struct cdx_topics *cdx_topics_create(const struct cdx_definitions *defs, struct cdx_err *err)
{
    struct cdx_topics *topics = calloc(1, sizeof *topics);

    if (topics == NULL) {
        cdx_fail(err, CDX_NOMEM, "match: topics");
        return NULL;
    }
    topics->refs = 1;
    topics->defs = defs;
    topics->arena = cdx_arena_create(MAX_ARENA_BYTES, err);
    if (topics->arena == NULL) {
        cdx_topics_unref(topics);
        return NULL;
    }
    return topics;
}

struct cdx_topics *cdx_topics_ref(struct cdx_topics *topics)
{
    __atomic_add_fetch(&topics->refs, 1, __ATOMIC_RELAXED);
    return topics;
}

void cdx_topics_unref(struct cdx_topics *topics)
{
    if (topics == NULL || __atomic_sub_fetch(&topics->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    cdx_map_fini(&topics->by_type);
    cdx_arena_destroy(topics->arena);
    free(topics->list);
    free(topics);
}

/* -- reading a topic ------------------------------------------------------------------------------------------ */

static enum cdx_code no_memory(const struct compiling *c)
{
    return cdx_fail(c->err, CDX_NOMEM, "%s: out of memory", c->name);
}

static struct cdx_text string_of(const json_t *v)
{
    return json_is_string(v) ? cdx_text(json_string_value(v), json_string_length(v))
                             : cdx_text(NULL, 0);
}

static bool keep(const struct compiling *c, struct cdx_text t, struct cdx_text *out)
{
    *out = cdx_arena_copy(c->topics->arena, t);
    return out->p != NULL;
}

/* What makes a topic more than this engine evaluates. */
static const struct {
    const char *path, *member;
} refused_members[] = {
    {"eventTrigger", "eventTrigger"},
    {"modifierExtension", "modifierExtension"},
    {"implicitRules", "implicitRules"},
};

static const char *const refused_criteria[] = {"queryCriteria", "fhirPathCriteria",
                                               "modifierExtension"};

static const char *const topic_statuses[] = {"draft", "active", "retired", "unknown"};

static enum cdx_code read_head(const struct compiling *c, const json_t *json)
{
    struct cdx_text url = string_of(json_object_get(json, "url")),
                    version = string_of(json_object_get(json, "version"));
    struct cdx_text status = string_of(json_object_get(json, "status"));
    bool known = false;

    if (!cdx_text_is(string_of(json_object_get(json, "resourceType")), "SubscriptionTopic"))
        return cdx_fail(c->err, CDX_CONFIG, "%s: resourceType must be SubscriptionTopic", c->name);
    if (url.n == 0 || memchr(url.p, '|', url.n) != NULL)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.url is needed, an absolute URL without '|'",
                        c->name);
    if (json_object_get(json, "version") != NULL && version.n == 0)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.version must be a string that is not empty",
                        c->name);
    for (size_t i = 0; i < CDX_COUNT(topic_statuses); i++)
        known = known || cdx_text_is(status, topic_statuses[i]);
    if (!known)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.status must be draft, active, retired or unknown",
                        c->name);
    for (size_t i = 0; i < CDX_COUNT(refused_members); i++)
        if (json_object_get(json, refused_members[i].member) != NULL)
            return cdx_fail(
                c->err, CDX_CONFIG,
                "%s: SubscriptionTopic.%s cannot be evaluated yet; the topic is not used", c->name,
                refused_members[i].path);
    for (size_t i = 0; i < c->topics->n; i++)
        if (cdx_text_eq(c->topics->list[i]->url, url) &&
            cdx_text_eq(c->topics->list[i]->version, version))
            return cdx_fail(c->err, CDX_CONFIG,
                            "%s: SubscriptionTopic.url: a topic with this url and version is loaded"
                            " already",
                            c->name);
    return keep(c, url, &c->topic->url) && keep(c, version, &c->topic->version) ? CDX_OK
                                                                                : no_memory(c);
}

/* "Encounter" and its canonical are the same (R5 SubscriptionTopic.resourceTrigger.resource). NULL: no such type. */
static const struct cdx_restype *type_of(const struct compiling *c, const json_t *v)
{
    static const char canonical[] = "http://hl7.org/fhir/StructureDefinition/";
    struct cdx_text t = string_of(v);

    if (cdx_text_starts(t, CDX_LIT(canonical)))
        t = cdx_text(t.p + sizeof canonical - 1, t.n - sizeof canonical + 1);
    return t.n != 0 ? cdx_definitions_type(c->topics->defs, t) : NULL;
}

static const struct {
    const char *code;
    enum cdx_interaction interaction;
} interactions[] = {{"create", CDX_CREATE}, {"update", CDX_UPDATE}, {"delete", CDX_DELETE}};

/* supportedInteraction; none: all (R5). */
static enum cdx_code read_interactions(const struct compiling *c, const json_t *trigger, size_t at,
                                       unsigned *out)
{
    const json_t *list = json_object_get(trigger, "supportedInteraction"), *v;
    size_t i;

    *out = 0;
    if (list == NULL) {
        *out = CDX_TRIGGERS(CDX_CREATE) | CDX_TRIGGERS(CDX_UPDATE) | CDX_TRIGGERS(CDX_DELETE);
        return CDX_OK;
    }
    json_array_foreach (list, i, v) {
        unsigned bit = 0;
        for (size_t k = 0; k < CDX_COUNT(interactions); k++)
            if (cdx_text_is(string_of(v), interactions[k].code))
                bit = CDX_TRIGGERS(interactions[k].interaction);
        if (bit == 0)
            return cdx_fail(
                c->err, CDX_CONFIG,
                "%s: SubscriptionTopic.resourceTrigger[%zu].supportedInteraction[%zu] must"
                " be create, update or delete",
                c->name, at, i);
        *out |= bit;
    }
    if (*out == 0)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.resourceTrigger[%zu].supportedInteraction must be an"
                        " array that is not empty",
                        c->name, at);
    return CDX_OK;
}

static size_t type_at(const struct cdx_topic *topic, const struct cdx_restype *type)
{
    for (size_t i = 0; i < topic->types_n; i++)
        if (topic->types[i].type == type)
            return i;
    return SIZE_MAX;
}

/* Triggers of one type are alternatives, so their interactions add up. */
static enum cdx_code read_trigger(const struct compiling *c, const json_t *trigger, size_t at)
{
    const struct cdx_restype *type = type_of(c, json_object_get(trigger, "resource"));
    unsigned mask;
    size_t slot;
    enum cdx_code rc;

    if (type == NULL)
        return cdx_fail(
            c->err, CDX_CONFIG,
            "%s: SubscriptionTopic.resourceTrigger[%zu].resource must be a resource type of"
            " FHIR R4 or its canonical",
            c->name, at);
    for (size_t i = 0; i < CDX_COUNT(refused_criteria); i++)
        if (json_object_get(trigger, refused_criteria[i]) != NULL)
            return cdx_fail(
                c->err, CDX_CONFIG,
                "%s: SubscriptionTopic.resourceTrigger[%zu].%s cannot be evaluated yet; the"
                " topic is not used",
                c->name, at, refused_criteria[i]);
    rc = read_interactions(c, trigger, at, &mask);
    if (rc != CDX_OK)
        return rc;
    slot = type_at(c->topic, type);
    if (slot == SIZE_MAX) {
        slot = c->topic->types_n++;
        c->topic->types[slot] = (struct cdx_topic_type){.type = type};
    }
    c->topic->types[slot].interactions |= mask;
    return CDX_OK;
}

static enum cdx_code read_triggers(const struct compiling *c, const json_t *json)
{
    const json_t *list = json_object_get(json, "resourceTrigger"), *v;
    size_t n = json_array_size(list), i;

    if (n == 0 || n > CDX_MAX_TOPIC_TYPES)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.resourceTrigger: 1 to %d are needed", c->name,
                        CDX_MAX_TOPIC_TYPES);
    c->topic->types = cdx_arena_zalloc(c->topics->arena, n, sizeof *c->topic->types);
    if (c->topic->types == NULL)
        return no_memory(c);
    json_array_foreach (list, i, v) {
        enum cdx_code rc = read_trigger(c, v, i);
        if (rc != CDX_OK)
            return rc;
    }
    return CDX_OK;
}

/* The code in a search parameter's canonical: ".../Observation-code", ".../clinical-patient" (R4 ids); else empty. */
static struct cdx_text code_of_canonical(struct cdx_text url)
{
    const char *slash = url.n != 0 ? memrchr(url.p, '/', url.n) : NULL, *dash;
    struct cdx_text last = slash != NULL ? cdx_text(slash + 1, url.n - (size_t)(slash - url.p) - 1)
                                         : cdx_text(NULL, 0);

    dash = last.n != 0 ? memchr(last.p, '-', last.n) : NULL;
    return dash != NULL ? cdx_text(dash + 1, last.n - (size_t)(dash - last.p) - 1)
                        : cdx_text(NULL, 0);
}

/* By name first, then by the canonical that the name is, or that filterDefinition gives for a local name. */
static const struct cdx_param *param_of(const struct cdx_restype *type, struct cdx_text name,
                                        struct cdx_text definition)
{
    const struct cdx_param *param = cdx_restype_param(type, name);

    if (param == NULL)
        param = cdx_restype_param(type, code_of_canonical(definition.n != 0 ? definition : name));
    return param;
}

static struct cdx_topic_filter *filter_named(const struct compiling *c, struct cdx_text name)
{
    size_t at = cdx_topic_filter_at(c->topic, name);
    struct cdx_topic_filter *filter;

    if (at != SIZE_MAX)
        return &c->topic->filters[at];
    filter = &c->topic->filters[c->topic->filters_n];
    filter->params = cdx_arena_zalloc(c->topics->arena, c->topic->types_n, sizeof *filter->params);
    if (filter->params == NULL || !keep(c, name, &filter->name))
        return NULL;
    c->topic->filters_n++;
    return filter;
}

static enum cdx_code read_filter(const struct compiling *c, const json_t *json, size_t at)
{
    struct cdx_text name = string_of(json_object_get(json, "filterParameter"));
    struct cdx_text definition = string_of(json_object_get(json, "filterDefinition"));
    const json_t *resource = json_object_get(json, "resource");
    const struct cdx_restype *only = resource != NULL ? type_of(c, resource) : NULL;
    struct cdx_topic_filter *filter;
    size_t found = 0;

    if (name.n == 0 || memchr(name.p, '=', name.n) != NULL)
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.canFilterBy[%zu].filterParameter is needed", c->name,
                        at);
    if (json_object_get(json, "modifierExtension") != NULL)
        return cdx_fail(
            c->err, CDX_CONFIG,
            "%s: SubscriptionTopic.canFilterBy[%zu].modifierExtension cannot be evaluated", c->name,
            at);
    if (resource != NULL && (only == NULL || type_at(c->topic, only) == SIZE_MAX))
        return cdx_fail(
            c->err, CDX_CONFIG,
            "%s: SubscriptionTopic.canFilterBy[%zu].resource must be the resource of one of"
            " the topic's triggers",
            c->name, at);
    filter = filter_named(c, name);
    if (filter == NULL)
        return no_memory(c);
    for (size_t i = 0; i < c->topic->types_n; i++) {
        const struct cdx_restype *type = c->topic->types[i].type;
        const struct cdx_param *param =
            only == NULL || only == type ? param_of(type, name, definition) : NULL;
        if (param != NULL)
            filter->params[i] = param;
        found += param != NULL;
    }
    if (found == 0)
        return cdx_fail(
            c->err, CDX_CONFIG,
            "%s: SubscriptionTopic.canFilterBy[%zu].filterParameter: no such search parameter"
            " of FHIR R4 on its resource",
            c->name, at);
    return CDX_OK;
}

static enum cdx_code read_filters(const struct compiling *c, const json_t *json)
{
    const json_t *list = json_object_get(json, "canFilterBy"), *v;
    size_t n = json_array_size(list), i;

    if (n > MAX_TOPIC_FILTERS || (list != NULL && n == 0))
        return cdx_fail(c->err, CDX_CONFIG,
                        "%s: SubscriptionTopic.canFilterBy: 1 to %d, or leave it out", c->name,
                        MAX_TOPIC_FILTERS);
    c->topic->filters = cdx_arena_zalloc(c->topics->arena, n + 1, sizeof *c->topic->filters);
    if (c->topic->filters == NULL)
        return no_memory(c);
    json_array_foreach (list, i, v) {
        enum cdx_code rc = read_filter(c, v, i);
        if (rc != CDX_OK)
            return rc;
    }
    return CDX_OK;
}

/* -- the set -------------------------------------------------------------------------------------------------- */

static bool link_type(struct cdx_topics *topics, const struct cdx_topic *topic, size_t at)
{
    struct cdx_text name = topic->types[at].type->name;
    struct cdx_topic_of *of = cdx_arena_zalloc(topics->arena, 1, sizeof *of), *last;

    if (of == NULL)
        return false;
    of->topic = topic;
    of->type = at;
    last = cdx_map_get(&topics->by_type, name);
    if (last == NULL)
        return cdx_map_put(&topics->by_type, name, of);
    while (last->next != NULL)
        last = last->next;
    last->next = of;
    return true;
}

static enum cdx_code publish(const struct compiling *c)
{
    struct cdx_topics *topics = c->topics;

    if (topics->n == topics->cap) {
        size_t cap = topics->cap == 0 ? 16 : topics->cap * 2;
        struct cdx_topic **list = realloc(topics->list, cap * sizeof *list);
        if (list == NULL)
            return no_memory(c);
        topics->list = list;
        topics->cap = cap;
    }
    c->topic->index = (uint32_t)topics->n;
    topics->list[topics->n++] = c->topic;
    for (size_t i = 0; i < c->topic->types_n; i++)
        if (!link_type(topics, c->topic, i)) {
            for (size_t k = 0; k < c->topic->types_n;
                 k++) /* a topic that is half linked triggers nothing */
                c->topic->types[k].interactions = 0;
            c->topic->url = cdx_text(NULL, 0);
            return no_memory(c);
        }
    return CDX_OK;
}

enum cdx_code cdx_topics_add(struct cdx_topics *topics, struct cdx_text json, const char *name,
                             struct cdx_err *err)
{
    json_error_t where;
    json_auto_t *root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &where);
    struct compiling c = {.topics = topics, .name = name, .err = err};
    enum cdx_code rc;

    if (root == NULL)
        return cdx_fail(err, CDX_CONFIG, "%s line %d column %d: no JSON: %s", name, where.line,
                        where.column, where.text);
    if (!json_is_object(root))
        return cdx_fail(err, CDX_CONFIG, "%s: a SubscriptionTopic resource is needed", name);
    c.topic = cdx_arena_zalloc(topics->arena, 1, sizeof *c.topic);
    if (c.topic == NULL)
        return no_memory(&c);
    rc = read_head(&c, root);
    if (rc == CDX_OK)
        rc = read_triggers(&c, root);
    if (rc == CDX_OK)
        rc = read_filters(&c, root);
    return rc == CDX_OK ? publish(&c) : rc;
}

size_t cdx_topics_count(const struct cdx_topics *topics)
{
    return topics->n;
}

const struct cdx_topic_of *cdx_topics_of(const struct cdx_topics *topics, struct cdx_text type)
{
    return cdx_map_get(&topics->by_type, type);
}

/*
 * Any trigger needs it: the source may not say whether it creates or updates, the notification must (subscriptions.md
 * 1.8), and a delete goes to those who got the last version.
 */
bool cdx_topics_needs_state(const struct cdx_topics *topics, struct cdx_text type)
{
    return cdx_topics_of(topics, type) != NULL;
}

const struct cdx_topic *cdx_topics_at(const struct cdx_topics *topics, uint32_t index)
{
    return topics->list[index];
}

const struct cdx_definitions *cdx_topics_definitions(const struct cdx_topics *topics)
{
    return topics->defs;
}

const struct cdx_topic *cdx_topics_find(const struct cdx_topics *topics, const struct cdx_sub *sub)
{
    for (size_t i = topics->n; i-- > 0;) {
        const struct cdx_topic *topic = topics->list[i];
        if (cdx_text_is(topic->url, sub->topic) &&
            (sub->topic_version == NULL || cdx_text_is(topic->version, sub->topic_version)))
            return topic;
    }
    return NULL;
}

size_t cdx_topic_filter_at(const struct cdx_topic *topic, struct cdx_text name)
{
    for (size_t i = 0; i < topic->filters_n; i++)
        if (cdx_text_eq(topic->filters[i].name, name))
            return i;
    return SIZE_MAX;
}

const struct cdx_param *cdx_topic_param(const struct cdx_topic *topic, size_t type,
                                        const struct cdx_filter *filter)
{
    size_t at;

    if (filter->type != NULL && !cdx_text_is(topic->types[type].type->name, filter->type))
        return NULL;
    at = cdx_topic_filter_at(topic, cdx_text_z(filter->param));
    return at != SIZE_MAX ? topic->filters[at].params[type] : NULL;
}

/* -- would it be understood? ---------------------------------------------------------------------------------- */

static enum cdx_code refuse_topic(const struct cdx_topics *topics, struct cdx_err *err)
{
    struct cdx_buf list;
    enum cdx_code rc;

    cdx_buf_init(&list, 4096);
    for (size_t i = 0; i < topics->n; i++)
        cdx_buf_printf(&list, "%s%.*s", i != 0 ? ", " : "", CDX_TEXT(topics->list[i]->url));
    rc = cdx_fail(err, CDX_INPUT, "Subscription.criteria: no such topic here; topics are: %s",
                  list.p != NULL ? list.p : "none");
    cdx_buf_fini(&list);
    return rc;
}

/* A filter that the topic does not have (on this type): the text lists those that it has. */
static enum cdx_code refuse_filter(const struct cdx_topic *topic, const struct cdx_filter *filter,
                                   size_t at, struct cdx_err *err)
{
    struct cdx_buf list;
    enum cdx_code rc;

    cdx_buf_init(&list, 4096);
    for (size_t i = 0; i < topic->filters_n; i++)
        cdx_buf_printf(&list, "%s%.*s", i != 0 ? ", " : "", CDX_TEXT(topic->filters[i].name));
    rc = cdx_fail(
        err, CDX_INPUT,
        "Subscription._criteria filter %zu: '%s%s%s' is no filter of this topic; filters are: %s",
        at + 1, filter->type != NULL ? filter->type : "", filter->type != NULL ? "." : "",
        filter->param, list.p != NULL ? list.p : "none");
    cdx_buf_fini(&list);
    return rc;
}

static enum cdx_code accept_values(const struct cdx_param *param, const struct cdx_filter *filter,
                                   size_t at, struct cdx_err *err)
{
    char scratch[CDX_WANT_BYTES];
    struct cdx_want want;

    if (param->reason != NULL)
        return cdx_fail(err, CDX_INPUT,
                        "Subscription._criteria filter %zu: '%s' cannot be used here: %s", at + 1,
                        filter->param, param->reason);
    for (size_t i = 0; i < filter->values_n; i++) {
        const char *why = cdx_want_parse(param, cdx_text_z(filter->values[i]), scratch, &want);
        if (why != NULL)
            return cdx_fail(err, CDX_INPUT, "Subscription._criteria filter %zu: '%s' value %zu: %s",
                            at + 1, filter->param, i + 1, why);
    }
    return CDX_OK;
}

static bool applies(const struct cdx_topic *topic, const struct cdx_filter *filter)
{
    for (size_t type = 0; type < topic->types_n; type++)
        if (cdx_topic_param(topic, type, filter) != NULL)
            return true;
    return false;
}

static enum cdx_code accept_filter(const struct cdx_topic *topic, const struct cdx_filter *filter,
                                   size_t at, struct cdx_err *err)
{
    enum cdx_code rc = CDX_OK;

    if (!applies(topic, filter))
        return refuse_filter(topic, filter, at, err);
    if (filter->modifier != NULL)
        return cdx_fail(
            err, CDX_INPUT,
            "Subscription._criteria filter %zu: '%s' with the modifier ':%s' is not supported;"
            " write it without a modifier",
            at + 1, filter->param, filter->modifier);
    for (size_t type = 0; rc == CDX_OK && type < topic->types_n; type++) {
        const struct cdx_param *param = cdx_topic_param(topic, type, filter);
        if (param != NULL)
            rc = accept_values(param, filter, at, err);
    }
    return rc;
}

enum cdx_code cdx_topics_accepts(const struct cdx_topics *topics, const struct cdx_sub *sub,
                                 struct cdx_err *err)
{
    const struct cdx_topic *topic = cdx_topics_find(topics, sub);

    if (topic == NULL)
        return refuse_topic(topics, err);
    if (sub->filters_n > CDX_MAX_FILTERS)
        return cdx_fail(err, CDX_INPUT, "Subscription._criteria: more than %d filters",
                        CDX_MAX_FILTERS);
    for (size_t i = 0; i < sub->filters_n; i++) {
        enum cdx_code rc = accept_filter(topic, &sub->filters[i], i, err);
        if (rc != CDX_OK)
            return rc;
    }
    return CDX_OK;
}
