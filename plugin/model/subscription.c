/*
 * model/subscription.c -- what did this payer ask for?
 *
 * In:    the JSON text of a FHIR R4 backport Subscription; the text of a filter-criteria extension.
 * Out:   one counted, unchanging struct cdx_sub, or the element that is refused and what is accepted there.
 * Owns:  each subscription is one block: the struct, its filters and their text. What a payer's subscriptions have in
 *        common (topic, endpoint, payload, headers, client) is kept once, in a table under a lock of its own, since
 *        a payer with a million subscriptions repeats it a million times.
 *
 * The hard thing is to refuse whatever would widen what is disclosed if it were passed over: a filter that cannot be
 * read, an empty value, an extension on `criteria` that is unknown. Not what is allowed here: topics and filter names
 * are match's, endpoints are net's.
 */
#include "model/subscription.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/instant.h"
#include "core/limits.h"
#include "core/map.h"
#include "fhir/view.h"

#define BP "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define XV "http://hl7.org/fhir/5.0/StructureDefinition/"

/* -- status --------------------------------------------------------------------------------------------------- */

static const char *const statuses[] = {
    [CDX_REQUESTED] = "requested",
    [CDX_ACTIVE] = "active",
    [CDX_ERROR_STATUS] = "error",
    [CDX_OFF] = "off",
};

const char *cdx_sub_status_text(enum cdx_sub_status status)
{
    return statuses[status];
}

bool cdx_sub_status_parse(struct cdx_text text, enum cdx_sub_status *out)
{
    for (size_t i = 0; i < CDX_COUNT(statuses); i++)
        if (cdx_text_is(text, statuses[i])) {
            *out = (enum cdx_sub_status)i;
            return true;
        }
    return false;
}

/* -- what many subscriptions have in common ------------------------------------------------------------------- */

struct common {
    size_t refs;         /* under the lock */
    size_t bytes;        /* of the whole block */
    struct cdx_text key; /* all texts with their NULs */
    char *topic, *topic_version, *client, *endpoint, *payload;
    size_t headers_n;
    char *headers[]; /* then the texts */
};

static pthread_mutex_t commons_lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards commons and each common's refs */
static struct cdx_map commons; /* key -> struct common */

/* A Subscription while it is read; texts are borrowed from the JSON tree. */
struct draft {
    const json_t *root, *channel;
    struct cdx_sub sub; /* plain values only */
    struct cdx_text id, client, topic, topic_version, endpoint, payload;
    struct cdx_text headers[CDX_MAX_HEADERS];
    size_t headers_n;
    struct cdx_filter *filters; /* owned */
    size_t filters_n;
    struct cdx_err *err;
};

static char *put_text(char **at, struct cdx_text t)
{
    char *start = *at;

    if (t.n != 0)
        memcpy(start, t.p, t.n);
    start[t.n] = '\0';
    *at += t.n + 1;
    return start;
}

static struct common *make_common(const struct draft *d)
{
    const struct cdx_text texts[] = {d->topic, d->topic_version, d->client, d->endpoint,
                                     d->payload};
    size_t bytes = sizeof(struct common) + d->headers_n * sizeof(char *), text_n = 0;
    struct common *common;
    char *at;

    for (size_t i = 0; i < CDX_COUNT(texts); i++)
        text_n += texts[i].n + 1;
    for (size_t i = 0; i < d->headers_n; i++)
        text_n += d->headers[i].n + 1;
    common = malloc(bytes + text_n);
    if (common == NULL)
        return NULL;
    at = (char *)common + bytes;
    *common = (struct common){
        .refs = 1, .bytes = bytes + text_n, .key = cdx_text(at, text_n), .headers_n = d->headers_n};
    common->topic = put_text(&at, d->topic);
    common->topic_version = put_text(&at, d->topic_version);
    common->client = put_text(&at, d->client);
    common->endpoint = put_text(&at, d->endpoint);
    common->payload = put_text(&at, d->payload);
    for (size_t i = 0; i < d->headers_n; i++)
        common->headers[i] = put_text(&at, d->headers[i]);
    if (d->topic_version.n == 0)
        common->topic_version = NULL;
    return common;
}

static void free_common(struct common *common)
{
    OPENSSL_cleanse(common, common->bytes); /* headers hold tokens */
    free(common);
}

/* The one that is there already, or this one. */
static struct common *common_of(const struct draft *d)
{
    struct common *made = make_common(d), *found;

    if (made == NULL)
        return NULL;
    pthread_mutex_lock(&commons_lock);
    found = cdx_map_get(&commons, made->key);
    if (found != NULL)
        found->refs++;
    else if (cdx_map_put(&commons, made->key, made)) {
        found = made;
        made = NULL;
    }
    pthread_mutex_unlock(&commons_lock);
    if (made != NULL)
        free_common(made);
    return found;
}

static void common_unref(struct common *common)
{
    bool last;

    pthread_mutex_lock(&commons_lock);
    last = --common->refs == 0;
    if (last) {
        (void)cdx_map_take(&commons, common->key);
        if (commons.used == 0)
            cdx_map_fini(&commons);
    }
    pthread_mutex_unlock(&commons_lock);
    if (last)
        free_common(common);
}

/* -- one block ------------------------------------------------------------------------------------------------ */

struct block {
    struct cdx_sub sub;
    struct common *common;
    size_t bytes;
    struct cdx_filter filters[]; /* then the values' pointers, then the texts */
};

static size_t text_bytes(const char *z)
{
    return z != NULL ? strlen(z) + 1 : 0;
}

static size_t block_bytes(const struct draft *d)
{
    size_t n = sizeof(struct block) + d->filters_n * sizeof(struct cdx_filter) + d->id.n + 1;

    for (size_t i = 0; i < d->filters_n; i++) {
        const struct cdx_filter *f = &d->filters[i];
        n += f->values_n * sizeof(char *) + text_bytes(f->type) + text_bytes(f->param) +
             text_bytes(f->modifier);
        for (size_t k = 0; k < f->values_n; k++)
            n += text_bytes(f->values[k]);
    }
    return n;
}

static char *put_z(char **at, const char *z)
{
    return z != NULL ? put_text(at, cdx_text_z(z)) : NULL;
}

static void put_filters(struct block *b, const struct draft *d, char **values, char **at)
{
    for (size_t i = 0; i < d->filters_n; i++) {
        const struct cdx_filter *from = &d->filters[i];
        struct cdx_filter *f = &b->filters[i];
        f->type = put_z(at, from->type);
        f->param = put_z(at, from->param);
        f->modifier = put_z(at, from->modifier);
        f->values = values;
        f->values_n = from->values_n;
        for (size_t k = 0; k < from->values_n; k++)
            *values++ = put_z(at, from->values[k]);
    }
}

static struct cdx_sub *pack(const struct draft *d)
{
    size_t bytes = block_bytes(d), values_n = 0;
    struct common *common = common_of(d);
    struct block *b = common != NULL ? malloc(bytes) : NULL;
    char *at;

    if (b == NULL) {
        if (common != NULL)
            common_unref(common);
        cdx_fail(d->err, CDX_NOMEM, "Subscription: no memory");
        return NULL;
    }
    for (size_t i = 0; i < d->filters_n; i++)
        values_n += d->filters[i].values_n;
    b->sub = d->sub;
    b->common = common;
    b->bytes = bytes;
    at = (char *)((char **)(b->filters + d->filters_n) + values_n);
    b->sub.refs = 1;
    b->sub.id = put_text(&at, d->id);
    b->sub.filters = b->filters;
    b->sub.filters_n = d->filters_n;
    put_filters(b, d, (char **)(b->filters + d->filters_n), &at);
    b->sub.client = common->client;
    b->sub.topic = common->topic;
    b->sub.topic_version = common->topic_version;
    b->sub.endpoint = common->endpoint;
    b->sub.payload = common->payload;
    b->sub.headers = common->headers;
    b->sub.headers_n = common->headers_n;
    return &b->sub;
}

struct cdx_sub *cdx_sub_ref(struct cdx_sub *sub)
{
    __atomic_add_fetch(&sub->refs, 1, __ATOMIC_RELAXED);
    return sub;
}

void cdx_sub_unref(struct cdx_sub *sub)
{
    struct block *b = (struct block *)(void *)sub; /* sub is its first member */

    if (sub == NULL || __atomic_sub_fetch(&sub->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    common_unref(b->common);
    OPENSSL_cleanse(b, b->bytes); /* filters name patients */
    free(b);
}

/* -- the resource --------------------------------------------------------------------------------------------- */

static struct cdx_text string_of(const json_t *v)
{
    return json_is_string(v) ? cdx_text(json_string_value(v), json_string_length(v))
                             : cdx_text(NULL, 0);
}

static struct cdx_text member(const json_t *object, const char *name)
{
    return string_of(json_object_get(object, name));
}

static bool has(const json_t *object, const char *name)
{
    return json_object_get(object, name) != NULL;
}

/* Printable ASCII without space, as URLs are; nothing that could end a request line or a header. */
static bool is_url_text(struct cdx_text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] >= 0x7F)
            return false;
    return t.n != 0;
}

static bool starts_nocase(struct cdx_text t, const char *head)
{
    size_t n = strlen(head);

    return t.n >= n && strncasecmp(t.p, head, n) == 0;
}

static bool is_http(struct cdx_text t)
{
    return (starts_nocase(t, "http://") && t.n > 7) || (starts_nocase(t, "https://") && t.n > 8);
}

static enum cdx_code read_id(struct draft *d)
{
    d->id = member(d->root, "id");
    if (!cdx_id_valid(d->id))
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.id: 1 to 64 of letters, digits, '-' and '.' are needed");
    return CDX_OK;
}

/* A client may submit requested or off; active and error mean that it wants to hear (subscriptions.md 1.6). */
static enum cdx_code read_status(struct draft *d)
{
    enum cdx_sub_status status;

    if (!cdx_sub_status_parse(member(d->root, "status"), &status))
        return cdx_fail(d->err, CDX_INPUT, "Subscription.status: must be requested or off");
    d->sub.wanted = status == CDX_OFF ? CDX_OFF : CDX_REQUESTED;
    return CDX_OK;
}

static enum cdx_code read_client(struct draft *d)
{
    const json_t *tags = json_object_get(json_object_get(d->root, "meta"), "tag"), *tag;
    size_t i;

    json_array_foreach (tags, i, tag) {
        if (!cdx_text_is(member(tag, "system"), "urn:cdex:client"))
            continue;
        if (d->client.n != 0 || member(tag, "code").n == 0)
            return cdx_fail(
                d->err, CDX_INPUT,
                "Subscription.meta.tag[%zu]: one tag of system urn:cdex:client, with a code, is"
                " allowed",
                i);
        d->client = member(tag, "code");
    }
    return CDX_OK;
}

static enum cdx_code read_end(struct draft *d)
{
    if (!has(d->root, "end"))
        return CDX_OK;
    if (!cdx_instant_parse(member(d->root, "end"), &d->sub.end_ms) || d->sub.end_ms == 0)
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.end: must be an instant, such as 2031-01-01T00:00:00Z");
    return CDX_OK;
}

static enum cdx_code read_criteria(struct draft *d)
{
    struct cdx_text criteria = member(d->root, "criteria"), version;

    d->topic = criteria;
    if (cdx_text_cut(criteria, '|', &d->topic, &version)) {
        d->topic_version = version;
        if (version.n == 0 || !is_url_text(version) || memchr(version.p, '|', version.n) != NULL)
            return cdx_fail(d->err, CDX_INPUT,
                            "Subscription.criteria: a version is needed behind '|', or no '|'");
    }
    if (!is_url_text(d->topic) ||
        (!is_http(d->topic) && !(starts_nocase(d->topic, "urn:") && d->topic.n > 4)))
        return cdx_fail(
            d->err, CDX_INPUT,
            "Subscription.criteria: the canonical URL of a SubscriptionTopic is needed; search"
            " criteria are not supported here");
    return CDX_OK;
}

/* Any extension here may narrow what is asked for, so only the one that is understood is taken (traps T7, T9). */
static enum cdx_code read_filters(struct draft *d)
{
    const json_t *extensions = json_object_get(json_object_get(d->root, "_criteria"), "extension"),
                 *ext;
    size_t i;

    if (extensions != NULL && !json_is_array(extensions))
        return cdx_fail(d->err, CDX_INPUT, "Subscription._criteria.extension: must be an array");
    json_array_foreach (extensions, i, ext) {
        struct cdx_err why = {0};
        enum cdx_code rc;
        if (!cdx_text_is(member(ext, "url"), BP "backport-filter-criteria"))
            return cdx_fail(d->err, CDX_INPUT,
                            "Subscription._criteria.extension[%zu].url: only " BP
                            "backport-filter-criteria is"
                            " accepted",
                            i);
        rc = cdx_filter_parse(member(ext, "valueString"), &d->filters, &d->filters_n, &why);
        if (rc != CDX_OK)
            return cdx_fail(d->err, rc, "Subscription._criteria.extension[%zu].valueString: %s", i,
                            why.text);
        if (d->filters_n > CDX_MAX_FILTERS)
            return cdx_fail(d->err, CDX_INPUT,
                            "Subscription._criteria.extension[%zu]: more than %d filter terms", i,
                            CDX_MAX_FILTERS);
    }
    return CDX_OK;
}

/* Of the R5 elements that the cross-version package carries: what the backport says otherwise is refused (2.6). */
static const char *const refused_root[] = {
    XV "extension-Subscription.topic",
    XV "extension-Subscription.filterBy",
    XV "extension-Subscription.parameter",
    XV "extension-Subscription.status",
};

static enum cdx_code read_root_extensions(struct draft *d)
{
    const json_t *list = json_object_get(d->root, "extension"), *ext;
    size_t i;

    json_array_foreach (list, i, ext) {
        struct cdx_text url = member(ext, "url");
        bool refused = cdx_text_starts(url, CDX_LIT(BP));
        for (size_t k = 0; k < CDX_COUNT(refused_root); k++)
            refused = refused || cdx_text_is(url, refused_root[k]);
        if (refused)
            return cdx_fail(
                d->err, CDX_INPUT,
                "Subscription.extension[%zu].url: not accepted here; use the elements and extensions"
                " of the backport profile",
                i);
    }
    if (has(d->root, "modifierExtension") || has(d->root, "implicitRules") ||
        has(d->channel, "modifierExtension"))
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription: modifierExtension and implicitRules are not accepted");
    return CDX_OK;
}

/* -- channel -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *url, *value;
    size_t at; /* in struct cdx_sub */
    int64_t min;
} channel_extensions[] = {
    {BP "backport-heartbeat-period", "valueUnsignedInt", offsetof(struct cdx_sub, heartbeat_s), 0},
    {BP "backport-timeout", "valueUnsignedInt", offsetof(struct cdx_sub, timeout_s), 0},
    {BP "backport-max-count", "valuePositiveInt", offsetof(struct cdx_sub, max_count), 1},
};

static enum cdx_code read_channel_extension(struct draft *d, const json_t *ext, size_t i,
                                            unsigned *seen)
{
    struct cdx_text url = member(ext, "url");

    for (size_t k = 0; k < CDX_COUNT(channel_extensions); k++) {
        const json_t *v = json_object_get(ext, channel_extensions[k].value);
        if (!cdx_text_is(url, channel_extensions[k].url))
            continue;
        if (!json_is_integer(v) || json_integer_value(v) < channel_extensions[k].min ||
            json_integer_value(v) > INT32_MAX || (*seen & 1u << k) != 0)
            return cdx_fail(d->err, CDX_INPUT,
                            "Subscription.channel.extension[%zu]: %s from %d is needed, once", i,
                            channel_extensions[k].value, (int)channel_extensions[k].min);
        *seen |= 1u << k;
        *(int32_t *)(void *)((char *)&d->sub + channel_extensions[k].at) =
            (int32_t)json_integer_value(v);
        return CDX_OK;
    }
    if (cdx_text_starts(url, CDX_LIT(BP)) || cdx_text_starts(url, CDX_LIT(XV)))
        return cdx_fail(
            d->err, CDX_INPUT,
            "Subscription.channel.extension[%zu].url: only heartbeat-period, timeout and max-count"
            " of the backport profile are accepted",
            i);
    return CDX_OK;
}

static enum cdx_code read_channel_extensions(struct draft *d)
{
    const json_t *list = json_object_get(d->channel, "extension"), *ext;
    unsigned seen = 0;
    size_t i;

    json_array_foreach (list, i, ext) {
        enum cdx_code rc = read_channel_extension(d, ext, i, &seen);
        if (rc != CDX_OK)
            return rc;
    }
    return CDX_OK;
}

static enum cdx_code read_type_and_endpoint(struct draft *d)
{
    const json_t *list = json_object_get(json_object_get(d->channel, "_type"), "extension"), *ext;
    size_t i;

    if (!cdx_text_is(member(d->channel, "type"), "rest-hook"))
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.channel.type: only rest-hook is supported");
    json_array_foreach (list, i, ext)
        if (cdx_text_starts(member(ext, "url"), CDX_LIT(BP)) ||
            cdx_text_starts(member(ext, "url"), CDX_LIT(XV)))
            return cdx_fail(
                d->err, CDX_INPUT,
                "Subscription.channel._type.extension[%zu]: custom channels are not supported", i);
    d->endpoint = member(d->channel, "endpoint");
    if (!is_url_text(d->endpoint) || !is_http(d->endpoint))
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.channel.endpoint: an http or https URL is needed");
    return CDX_OK;
}

/* The value of fhirVersion in a MIME type's parameters; empty: none. */
static struct cdx_text fhir_version(struct cdx_text params)
{
    struct cdx_text one, rest = params, name, value;

    while (rest.n != 0) {
        struct cdx_text tail = cdx_text(NULL, 0);
        one = rest;
        (void)cdx_text_cut(rest, ';', &one, &tail);
        rest = tail;
        while (one.n != 0 && one.p[0] == ' ')
            one = cdx_text(one.p + 1, one.n - 1);
        if (cdx_text_cut(one, '=', &name, &value) && name.n == 11 &&
            strncasecmp(name.p, "fhirVersion", 11) == 0)
            return value;
    }
    return cdx_text(NULL, 0);
}

/* Notifications are R4 JSON; another release or syntax must not be accepted (subscriptions.md 1.15). */
static enum cdx_code read_mime(struct draft *d)
{
    struct cdx_text mime = member(d->channel, "payload"), type = mime, params = cdx_text(NULL, 0),
                    version;

    (void)cdx_text_cut(mime, ';', &type, &params);
    while (type.n != 0 && type.p[type.n - 1] == ' ')
        type.n--;
    version = fhir_version(params);
    for (size_t i = 0; i < mime.n; i++)
        if ((unsigned char)mime.p[i] < ' ' || (unsigned char)mime.p[i] >= 0x7F)
            type.n = 0;
    if (mime.n > 128 ||
        (!cdx_text_is(type, "application/fhir+json") && !cdx_text_is(type, "application/json")))
        return cdx_fail(
            d->err, CDX_INPUT,
            "Subscription.channel.payload: must be application/fhir+json or application/json");
    if (version.p != NULL && !cdx_text_is(version, "4.0") && !cdx_text_is(version, "4.0.1"))
        return cdx_fail(d->err, CDX_INPUT, "Subscription.channel.payload: fhirVersion must be 4.0");
    d->payload = mime;
    return CDX_OK;
}

static const char *const levels[] = {
    [CDX_EMPTY] = "empty",
    [CDX_ID_ONLY] = "id-only",
    [CDX_FULL_RESOURCE] = "full-resource",
};

static enum cdx_code read_content(struct draft *d)
{
    const json_t *list = json_object_get(json_object_get(d->channel, "_payload"), "extension"),
                 *ext;
    size_t i, found = 0, known = 0;

    json_array_foreach (list, i, ext) {
        struct cdx_text url = member(ext, "url"), code = member(ext, "valueCode");
        if (cdx_text_is(url, BP "backport-payload-content")) {
            found++;
            for (size_t k = 0; k < CDX_COUNT(levels); k++)
                if (cdx_text_is(code, levels[k])) {
                    d->sub.level = (enum cdx_level_of_content)k;
                    known++;
                }
        } else if (cdx_text_starts(url, CDX_LIT(BP))) {
            return cdx_fail(d->err, CDX_INPUT,
                            "Subscription.channel._payload.extension[%zu].url: only " BP
                            "backport-payload-content"
                            " is accepted",
                            i);
        }
    }
    if (found != 1 || known != 1)
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.channel._payload.extension: one " BP
                        "backport-payload-content with empty,"
                        " id-only or full-resource is needed");
    return CDX_OK;
}

/* Names that frame the request or its connection (RFC 9110 7.6.1, RFC 9112 6), or that we set. */
static const char *const reserved_headers[] = {
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Content-Type",
    "Expect",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Content-Encoding",
    "webhook-id",
    "traceparent",
};

/* A reason, or NULL. */
static const char *bad_header(struct cdx_text header)
{
    struct cdx_text name, value;

    for (size_t i = 0; i < header.n; i++)
        if (((unsigned char)header.p[i] < ' ' && header.p[i] != '\t') || header.p[i] == 0x7F)
            return "holds a line break or control character";
    if (!cdx_text_cut(header, ':', &name, &value))
        return "has no ':'; write Name: value";
    if (!cdx_text_is_word(name, "!#$%&'*+-.^_`|~", CDX_MAX_ID_BYTES)) /* RFC 9110 5.6.2 token */
        return "has no valid name before ':'";
    for (size_t i = 0; i < CDX_COUNT(reserved_headers); i++)
        if (strlen(reserved_headers[i]) == name.n &&
            strncasecmp(reserved_headers[i], name.p, name.n) == 0)
            return "names a header that the sender sets itself";
    return NULL;
}

static enum cdx_code read_headers(struct draft *d)
{
    const json_t *list = json_object_get(d->channel, "header"), *v;
    size_t i, bytes = 0;

    if (list != NULL && (!json_is_array(list) || json_array_size(list) > CDX_MAX_HEADERS))
        return cdx_fail(d->err, CDX_INPUT,
                        "Subscription.channel.header: must be an array of at most %d",
                        CDX_MAX_HEADERS);
    json_array_foreach (list, i, v) {
        struct cdx_text header = string_of(v);
        const char *why = header.n != 0 ? bad_header(header) : "must be a string that is not empty";
        if (why != NULL)
            return cdx_fail(d->err, CDX_INPUT, "Subscription.channel.header[%zu]: %s", i, why);
        bytes += header.n;
        d->headers[d->headers_n++] = header;
    }
    if (bytes > CDX_MAX_HEADER_BYTES)
        return cdx_fail(d->err, CDX_INPUT, "Subscription.channel.header: more than %d bytes",
                        CDX_MAX_HEADER_BYTES);
    return CDX_OK;
}

/* Each reads one thing of the draft; the first refusal is told. */
static enum cdx_code (*const steps[])(struct draft *d) = {
    read_id,
    read_status,
    read_client,
    read_end,
    read_criteria,
    read_filters,
    read_root_extensions,
    read_channel_extensions,
    read_type_and_endpoint,
    read_mime,
    read_content,
    read_headers,
};

static enum cdx_code read_draft(struct draft *d)
{
    enum cdx_code rc = CDX_OK;

    if (!cdx_text_is(member(d->root, "resourceType"), "Subscription"))
        return cdx_fail(d->err, CDX_INPUT, "resourceType: must be Subscription");
    d->channel = json_object_get(d->root, "channel");
    if (!json_is_object(d->channel))
        return cdx_fail(d->err, CDX_INPUT, "Subscription.channel: is needed");
    for (size_t i = 0; rc == CDX_OK && i < CDX_COUNT(steps); i++)
        rc = steps[i](d);
    return rc;
}

struct cdx_sub *cdx_sub_parse(struct cdx_text json, struct cdx_err *err)
{
    struct draft d = {.err = err};
    struct cdx_sub *sub = NULL;
    json_error_t where;
    json_t *root;

    if (json.n > CDX_MAX_SUBSCRIPTION_BYTES) {
        cdx_fail(err, CDX_INPUT, "Subscription: larger than %u bytes", CDX_MAX_SUBSCRIPTION_BYTES);
        return NULL;
    }
    root = json_loadb(json.n != 0 ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        cdx_fail(err, CDX_INPUT, "Subscription: no JSON at line %d, column %d", where.line,
                 where.column);
        return NULL;
    }
    d.root = root;
    if (read_draft(&d) == CDX_OK)
        sub = pack(&d);
    cdx_filters_free(d.filters, d.filters_n);
    json_decref(root);
    return sub;
}
