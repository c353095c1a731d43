/*
 * match/value.c -- does this resource hold what that filter asks for?
 *
 * In:    a filter's alternative as it was written; a compiled parameter and a change.
 * Out:   the alternative read (want), the resource's values, and the answer; hash keys that are equal whenever the
 *        answer can be yes, so that the index never misses. The answer itself never rests on a key.
 * Owns:  nothing; values live in the event's arena.
 *
 * The hard thing is that a parameter's datatype is told by the resource's JSON and not by its definition: an object
 * with `coding` is a CodeableConcept, one with `value` an Identifier, a string under `telecom` a ContactPoint's.
 * Keys for a token are made of its code alone, whatever the system: the codes of two systems rarely meet, and one key
 * a coding in place of three keeps the number of look-ups small.
 */
#include "match/value.h"

#include <strings.h>

#include "core/arena.h"
#include "core/digest.h"
#include "core/limits.h"
#include "model/change.h"

/* -- keys ----------------------------------------------------------------------------------------------------- */

/* Hashes a text that comes in pieces, so that no key is ever put together in memory. */
struct hasher {
    uint64_t h;
    size_t n;
    char buf[128];
};

static void feed(struct hasher *hs, struct cdx_text t, bool fold)
{
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        if (hs->n == sizeof hs->buf) {
            hs->h = cdx_hash(hs->buf, hs->n, hs->h);
            hs->n = 0;
        }
        hs->buf[hs->n++] = fold && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
}

static uint64_t hashed(const struct hasher *hs)
{
    return cdx_hash(hs->buf, hs->n, hs->h);
}

static uint64_t key_of(struct cdx_text t, bool fold)
{
    struct hasher hs = {.h = 0};

    feed(&hs, t, fold);
    return hashed(&hs);
}

static bool starts_nocase(struct cdx_text t, const char *head)
{
    size_t n = strlen(head);

    return t.n >= n && strncasecmp(t.p, head, n) == 0;
}

static struct cdx_text from(struct cdx_text t, size_t n)
{
    return cdx_text(t.p + n, t.n - n);
}

/* http and https name the same object (FHIR R4 http.html 3.1.0.2); a base may end in '/'. */
static struct cdx_text without_scheme(struct cdx_text url)
{
    if (starts_nocase(url, "https://"))
        return from(url, 8);
    return starts_nocase(url, "http://") ? from(url, 7) : url;
}

static struct cdx_text without_slash(struct cdx_text url)
{
    while (url.n != 0 && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

bool cdx_base_same(struct cdx_text a, struct cdx_text b)
{
    return cdx_text_eq(without_slash(without_scheme(a)), without_slash(without_scheme(b)));
}

static uint64_t restful_key(struct cdx_text base, struct cdx_text type, struct cdx_text id)
{
    struct hasher hs = {.h = 0};

    if (base.n != 0) {
        feed(&hs, without_slash(without_scheme(base)), false);
        feed(&hs, CDX_LIT("/"), false);
    }
    feed(&hs, type, false);
    feed(&hs, CDX_LIT("/"), false);
    feed(&hs, id, false);
    return hashed(&hs);
}

/* A urn is folded: urn:uuid is compared without case (RFC 9562 section 4), and the check sorts out the others. */
static uint64_t url_key(struct cdx_text url)
{
    return key_of(without_scheme(url), starts_nocase(url, "urn:"));
}

uint64_t cdx_want_key(const struct cdx_want *want)
{
    switch (want->form) {
    case CDX_FORM_CODE: return key_of(want->code, true);
    case CDX_FORM_SYSTEM: return key_of(want->system, false);
    case CDX_FORM_LOCAL: return restful_key(cdx_text(NULL, 0), want->type, want->id);
    case CDX_FORM_URL:
        return want->id.n != 0 ? restful_key(want->base, want->type, want->id) : url_key(want->url);
    case CDX_FORM_NONE: break;
    }
    return 0;
}

/* -- what a filter asks for ----------------------------------------------------------------------------------- */

/* Splits at the first unescaped '|' and resolves escapes (4.1 steps 5, 6). *bars: how many there were. */
static bool unescape(struct cdx_text raw, char *to, struct cdx_text *head, struct cdx_text *tail,
                     unsigned *bars)
{
    char *start = to;

    *head = *tail = cdx_text(NULL, 0);
    *bars = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '|' && (*bars)++ == 0) {
            *head = cdx_text(start, (size_t)(to - start));
            start = to;
            continue;
        }
        if (c == '\\' && (++i == raw.n || strchr(",|$\\", c = raw.p[i]) == NULL || c == '\0'))
            return false;
        *to++ = c;
    }
    *tail = cdx_text(start, (size_t)(to - start));
    return true;
}

static const char *parse_token(const struct cdx_param *param, struct cdx_text raw, char *scratch,
                               struct cdx_want *out)
{
    unsigned bars;

    if (!unescape(raw, scratch, &out->system, &out->code, &bars))
        return "a backslash stands before something else than , | $ \\";
    if (bars > 1)
        return "more than one '|'; write system|code";
    if (bars == 1 && param->paths_n == 1 && (param->paths[0].id || param->paths[0].contact))
        return "this parameter has no system; write the value without '|'";
    if (out->system.n == 0 && out->code.n == 0)
        return "the value is empty";
    out->pipe = bars == 1;
    out->form = out->code.n != 0 ? CDX_FORM_CODE : CDX_FORM_SYSTEM;
    return NULL;
}

static const char *parse_string(struct cdx_text raw, char *scratch, struct cdx_want *out)
{
    char plain[CDX_MAX_FILTER_VALUE_BYTES];
    struct cdx_text head, tail;
    unsigned bars;

    if (!unescape(raw, plain, &head, &tail, &bars))
        return "a backslash stands before something else than , | $ \\";
    /* '|' means nothing in a string: the pieces lie one behind the other, and it would be dropped as a symbol is not */
    if (bars != 0)
        return "a '|' in a string is written \\|";
    out->code = cdx_text(scratch, cdx_string_normal(tail, scratch));
    out->form = CDX_FORM_NONE;
    return out->code.n != 0
               ? NULL
               : "nothing is left of the value without punctuation, so it would match everything";
}

static const char *want_local(const struct cdx_param *param, struct cdx_text type,
                              struct cdx_text id, struct cdx_want *out)
{
    if (!cdx_param_targets(param, type))
        return "this parameter does not point to that resource type";
    out->form = CDX_FORM_LOCAL;
    out->type = type;
    out->id = id;
    return NULL;
}

static const char *parse_reference(const struct cdx_param *param, struct cdx_text raw,
                                   char *scratch, struct cdx_want *out)
{
    struct cdx_text head, tail, text;
    struct cdx_reference ref;
    unsigned bars;

    if (!unescape(raw, scratch, &head, &tail, &bars))
        return "a backslash stands before something else than , | $ \\";
    text = bars != 0 ? head : tail;
    cdx_reference_split(text, &ref);
    if (bars > 1 || (bars == 1 && (ref.kind != CDX_REF_ABSOLUTE || tail.n == 0)))
        return "a '|' can only stand between a canonical URL and its version";
    out->version = bars != 0 ? tail : ref.version;
    switch (ref.kind) {
    case CDX_REF_RELATIVE: return want_local(param, ref.type, ref.id, out);
    case CDX_REF_ABSOLUTE:
    case CDX_REF_URN:
        out->form = CDX_FORM_URL;
        out->base = ref.base;
        out->type = ref.type;
        out->id = ref.id;
        out->url = text;
        return NULL;
    case CDX_REF_NONE:
        if (!cdx_id_valid(text))
            return "write Type/id, an absolute URL or a urn";
        if (param->target.n == 0)
            return "an id alone is ambiguous here; write Type/id";
        return want_local(param, param->target, text, out);
    case CDX_REF_CONTAINED:
    case CDX_REF_CONDITIONAL: break;
    }
    return "contained and conditional references cannot be matched; write Type/id or an absolute URL";
}

const char *cdx_want_parse(const struct cdx_param *param, struct cdx_text raw,
                           char scratch[CDX_WANT_BYTES], struct cdx_want *out)
{
    *out = (struct cdx_want){.form = CDX_FORM_NONE};
    if (raw.n == 0)
        return "the value is empty";
    if (raw.n > CDX_MAX_FILTER_VALUE_BYTES)
        return "the value is too long";
    switch (param->type) {
    case CDX_P_TOKEN: return parse_token(param, raw, scratch, out);
    case CDX_P_STRING: return parse_string(raw, scratch, out);
    case CDX_P_REFERENCE: return parse_reference(param, raw, scratch, out);
    case CDX_P_OTHER: break;
    }
    return "this type of parameter is not evaluated";
}

/* -- what a resource holds ------------------------------------------------------------------------------------ */

/* One evaluation under way. */
struct reading {
    const struct cdx_change *change;
    const struct cdx_ppath *path;
    struct cdx_arena *arena;
    struct cdx_values *out;
    bool failed;
};

static bool add(struct reading *r, const struct cdx_value *value)
{
    struct cdx_values *out = r->out;

    if (out->n == out->cap) {
        size_t cap = out->cap == 0 ? 4 : out->cap * 2;
        struct cdx_value *items = cdx_arena_alloc(r->arena, cap * sizeof *items);
        if (items == NULL) {
            r->failed = true;
            return false;
        }
        if (out->n != 0)
            memcpy(items, out->items, out->n * sizeof *items);
        out->items = items;
        out->cap = cap;
    }
    out->items[out->n++] = *value;
    return true;
}

/* A member's text; {NULL, 0} when it is none. Memory out is told from absence by `failed`. */
static struct cdx_text text_at(struct reading *r, cdx_node v)
{
    const struct cdx_json *j = r->change->json;
    struct cdx_text t = v == CDX_NO_NODE ? cdx_text(NULL, 0) : cdx_json_scalar(j, v, r->arena);

    if (t.p == NULL && v != CDX_NO_NODE && cdx_json_kind(j, v) == CDX_JSON_STRING)
        r->failed = true;
    return t;
}

static bool add_coding(struct reading *r, cdx_node coding)
{
    const struct cdx_json *j = r->change->json;
    struct cdx_value value = {.system = text_at(r, cdx_json_get(j, coding, "system")),
                              .code = text_at(r, cdx_json_get(j, coding, "code"))};

    return !r->failed && (value.system.n + value.code.n == 0 || add(r, &value));
}

/* Identifier and ContactPoint: the value, with its case. */
static bool add_identifier(struct reading *r, cdx_node object)
{
    const struct cdx_json *j = r->change->json;
    struct cdx_value value = {.exact = !r->path->contact,
                              .bare = r->path->contact,
                              .code = text_at(r, cdx_json_get(j, object, "value"))};

    if (!r->path->contact)
        value.system = text_at(r, cdx_json_get(j, object, "system"));
    return !r->failed && (value.system.n + value.code.n == 0 || add(r, &value));
}

static bool add_codings(struct reading *r, cdx_node codings)
{
    const struct cdx_json *j = r->change->json;

    if (cdx_json_kind(j, codings) != CDX_JSON_ARRAY)
        return true;
    for (cdx_node v = cdx_json_first(j, codings); v != CDX_NO_NODE;
         v = cdx_json_next(j, codings, v))
        if (!add_coding(r, v))
            return false;
    return true;
}

static bool each_token(void *arg, cdx_node v)
{
    struct reading *r = arg;
    const struct cdx_json *j = r->change->json;
    struct cdx_value value = {0};
    cdx_node codings;

    switch (cdx_json_kind(j, v)) {
    case CDX_JSON_OBJECT:
        codings = cdx_json_get(j, v, "coding");
        if (codings != CDX_NO_NODE)
            return add_codings(r, codings);
        return cdx_json_get(j, v, "value") != CDX_NO_NODE || r->path->contact ? add_identifier(r, v)
                                                                              : add_coding(r, v);
    case CDX_JSON_STRING:
        value = (struct cdx_value){.exact = r->path->id, .bare = r->path->id, .implied = true};
        break;
    case CDX_JSON_TRUE:
    case CDX_JSON_FALSE:
    case CDX_JSON_NUMBER: value.bare = true; break;
    case CDX_JSON_ARRAY:
    case CDX_JSON_NULL: return true;
    }
    value.code = text_at(r, v);
    return !r->failed && (value.code.n == 0 || add(r, &value));
}

/* The parts of HumanName and Address that a string search looks at (4.3); never `use` or `period`. */
static const char *const string_parts[] = {
    "family", "given",    "prefix", "suffix",     "text",    "line",
    "city",   "district", "state",  "postalCode", "country",
};

static bool add_normal(struct reading *r, struct cdx_text text)
{
    char *out = cdx_arena_alloc(r->arena, 2 * text.n + 1);
    struct cdx_value value = {0};

    if (out == NULL) {
        r->failed = true;
        return false;
    }
    value.code = cdx_text(out, cdx_string_normal(text, out));
    return value.code.n == 0 || add(r, &value);
}

/* `family` also word by word: "Quinones" finds "Carreno Quinones" (4.3). */
static bool add_words(struct reading *r)
{
    struct cdx_text rest = r->out->n != 0 ? r->out->items[r->out->n - 1].code : cdx_text(NULL, 0);
    const char *space;

    while (rest.n != 0 && (space = memchr(rest.p, ' ', rest.n)) != NULL) {
        struct cdx_value value = {.code = from(rest, (size_t)(space - rest.p) + 1)};
        if (!add(r, &value))
            return false;
        rest = value.code;
    }
    return true;
}

static bool each_string(void *arg, cdx_node v);

static bool add_parts(struct reading *r, cdx_node object)
{
    const struct cdx_json *j = r->change->json;

    for (size_t i = 0; i < CDX_COUNT(string_parts); i++) {
        cdx_node part = cdx_json_member(j, object, cdx_text_z(string_parts[i]));
        size_t before = r->out->n;
        if (part == CDX_NO_NODE)
            continue;
        if (!cdx_path_walk(j, part, cdx_text(NULL, 0), each_string, r))
            return false;
        if (i == 0 && r->out->n != before && !add_words(r))
            return false;
    }
    return true;
}

static bool each_string(void *arg, cdx_node v)
{
    struct reading *r = arg;
    struct cdx_text text;

    if (cdx_json_kind(r->change->json, v) == CDX_JSON_OBJECT)
        return add_parts(r, v);
    text = text_at(r, v);
    return !r->failed && (text.p == NULL || add_normal(r, text));
}

static bool each_string_top(void *arg, cdx_node v)
{
    struct reading *r = arg;
    bool family = cdx_text_eq(r->path->path, CDX_LIT("name.family"));
    size_t before = r->out->n;

    return each_string(r, v) && (!family || r->out->n == before || add_words(r));
}

struct cdx_text cdx_urn_resolve(const struct cdx_change *change, struct cdx_text urn)
{
    bool fold = starts_nocase(urn, "urn:uuid:");

    for (size_t i = 0; i < change->urns_n; i++) {
        struct cdx_text u = change->urns[i].urn;
        if (cdx_text_eq(u, urn) || (fold && u.n == urn.n && strncasecmp(u.p, urn.p, u.n) == 0))
            return change->urns[i].reference;
    }
    return cdx_text(NULL, 0);
}

/* canonical and uri elements are plain strings: "url|version". */
static void read_canonical(struct cdx_text text, struct cdx_value *value)
{
    const char *bar = text.n != 0 ? memchr(text.p, '|', text.n) : NULL;

    value->url = text;
    if (bar == NULL)
        return;
    value->url.n = (size_t)(bar - text.p);
    value->version = from(text, value->url.n + 1);
}

/* Fills in what the reference text points to; false: nothing that a filter can name. */
static bool read_reference(const struct cdx_change *change, struct cdx_text text,
                           struct cdx_value *value)
{
    struct cdx_reference ref;

    cdx_reference_split(text, &ref);
    if (ref.kind == CDX_REF_URN) {
        struct cdx_text resolved = cdx_urn_resolve(change, text);
        value->url = value->urn = text;
        if (resolved.p == NULL)
            return true;
        cdx_reference_split(resolved, &ref);
    }
    if (ref.kind != CDX_REF_RELATIVE && ref.kind != CDX_REF_ABSOLUTE)
        return false;
    value->local =
        ref.kind == CDX_REF_RELATIVE || (ref.id.n != 0 && cdx_base_same(ref.base, change->base));
    value->base = ref.kind == CDX_REF_RELATIVE ? change->base : ref.base;
    value->type = ref.type;
    value->id = ref.id;
    value->version = ref.version;
    value->url = ref.id.n == 0 ? text : cdx_text(NULL, 0);
    return true;
}

static bool each_reference(void *arg, cdx_node v)
{
    struct reading *r = arg;
    const struct cdx_json *j = r->change->json;
    struct cdx_value value = {0};
    struct cdx_text text, type;

    if (cdx_json_kind(j, v) == CDX_JSON_STRING) {
        text = text_at(r, v);
        if (text.n != 0 && !r->failed) {
            struct cdx_reference ref;
            read_canonical(text, &value);
            cdx_reference_split(value.url, &ref);
            value.base = ref.base;
            value.type = ref.type;
            value.id = ref.id;
        }
        return !r->failed && (text.n == 0 || add(r, &value));
    }
    text = text_at(r, cdx_json_get(j, v, "reference"));
    if (r->failed)
        return false;
    if (text.n == 0 || !read_reference(r->change, text, &value))
        return true;
    if (r->path->only.n !=
        0) { /* where(resolve() is X): told from the reference, else from Reference.type (4.4) */
        type = value.type.n != 0 ? value.type : text_at(r, cdx_json_get(j, v, "type"));
        if (r->failed || !cdx_text_eq(type, r->path->only))
            return !r->failed;
    }
    return add(r, &value);
}

static bool (*const readers[])(void *arg, cdx_node v) = {
    [CDX_P_TOKEN] = each_token,
    [CDX_P_STRING] = each_string_top,
    [CDX_P_REFERENCE] = each_reference,
};

/* A repeated key costs a look-up twice; past the first few, looking for it costs more. */
static void add_key(struct cdx_values *out, enum cdx_form form, uint64_t key)
{
    for (size_t i = 0; i < out->keys_n[form] && i < 16; i++)
        if (out->keys[form][i] == key)
            return;
    out->keys[form][out->keys_n[form]++] = key;
}

static void key_value(struct cdx_values *out, enum cdx_ptype type, const struct cdx_value *value)
{
    if (type == CDX_P_TOKEN) {
        if (value->code.n != 0)
            add_key(out, CDX_FORM_CODE, key_of(value->code, true));
        if (value->system.n != 0)
            add_key(out, CDX_FORM_SYSTEM, key_of(value->system, false));
        return;
    }
    if (value->local)
        add_key(out, CDX_FORM_LOCAL, restful_key(cdx_text(NULL, 0), value->type, value->id));
    if (value->id.n != 0)
        add_key(out, CDX_FORM_URL, restful_key(value->base, value->type, value->id));
    else if (value->url.n != 0)
        add_key(out, CDX_FORM_URL, url_key(value->url));
    if (value->urn.n != 0)
        add_key(out, CDX_FORM_URL, url_key(value->urn));
}

static bool add_keys(enum cdx_ptype type, struct cdx_values *out, struct cdx_arena *arena)
{
    if (type == CDX_P_STRING || out->n == 0)
        return true;
    for (size_t f = 0; f < CDX_FORM_NONE; f++) {
        out->keys[f] = cdx_arena_alloc(arena, 2 * out->n * sizeof *out->keys[f]);
        if (out->keys[f] == NULL)
            return false;
    }
    for (size_t i = 0; i < out->n; i++)
        key_value(out, type, &out->items[i]);
    return true;
}

enum cdx_code cdx_values_of(const struct cdx_param *param, const struct cdx_change *change,
                            struct cdx_arena *arena, struct cdx_values *out, struct cdx_err *err)
{
    struct reading r = {.change = change, .arena = arena, .out = out};

    *out = (struct cdx_values){0};
    for (size_t i = 0; i < param->paths_n && !r.failed; i++) {
        r.path = &param->paths[i];
        (void)cdx_path_walk(change->json, change->root, r.path->path, readers[param->type], &r);
    }
    if (r.failed || !add_keys(param->type, out, arena))
        return cdx_fail(err, CDX_NOMEM, "match: the values of one event do not fit its memory");
    return CDX_OK;
}

/* -- the answer ----------------------------------------------------------------------------------------------- */

static bool eq_nocase(struct cdx_text a, struct cdx_text b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static bool token_met(const struct cdx_want *want, const struct cdx_value *value)
{
    if (want->code.n != 0 &&
        !(value->exact ? cdx_text_eq(want->code, value->code) : eq_nocase(want->code, value->code)))
        return false;
    if (!want->pipe)
        return true;
    if (value->bare)
        return false;
    if (value->implied)
        return want->code.n != 0;
    return cdx_text_eq(want->system, value->system);
}

static bool url_met(const struct cdx_want *want, const struct cdx_value *value)
{
    if (want->id.n != 0)
        return value->id.n != 0 && cdx_text_eq(want->id, value->id) &&
               cdx_text_eq(want->type, value->type) && cdx_base_same(want->base, value->base);
    if (starts_nocase(want->url, "urn:uuid:"))
        return eq_nocase(want->url, value->urn.n != 0 ? value->urn : value->url);
    if (starts_nocase(want->url, "urn:"))
        return cdx_text_eq(want->url, value->urn.n != 0 ? value->urn : value->url);
    return value->url.n != 0 && cdx_text_eq(without_scheme(want->url), without_scheme(value->url));
}

static bool reference_met(const struct cdx_want *want, const struct cdx_value *value)
{
    if (want->version.n != 0 && !cdx_text_eq(want->version, value->version))
        return false;
    if (want->form == CDX_FORM_LOCAL)
        return value->local && cdx_text_eq(want->id, value->id) &&
               cdx_text_eq(want->type, value->type);
    return url_met(want, value);
}

bool cdx_want_met(const struct cdx_param *param, const struct cdx_want *want,
                  const struct cdx_values *values)
{
    for (size_t i = 0; i < values->n; i++) {
        const struct cdx_value *value = &values->items[i];
        bool met = param->type == CDX_P_TOKEN       ? token_met(want, value)
                   : param->type == CDX_P_REFERENCE ? reference_met(want, value)
                                                    : cdx_text_starts(value->code, want->code);
        if (met)
            return true;
    }
    return false;
}
