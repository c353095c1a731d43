/*
 * fhir/view.c -- what does this place of a resource hold, and what does this reference name?
 *
 * In:    an index of a resource, or the text of a Reference.reference.
 * Out:   the values of a path, one call each; the parts of a reference as views into its text.
 * Owns:  nothing and allocates nothing.
 *
 * The hard thing is that a reference is any URI, so it is read from its end: the last segments say
 * whether it is a RESTful URL (FHIR R4 references.html 2.3.0), whatever path a server puts before
 * them. Not the regular expression that FHIR gives there: it lists the resource types of one
 * release.
 */
#include "fhir/view.h"

#include <strings.h>

#include "core/limits.h"

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool cdx_id_valid(struct cdx_text id)
{
    if (id.n == 0 || id.n > CDX_MAX_ID_BYTES)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!is_letter(id.p[i]) && !is_digit(id.p[i]) && id.p[i] != '-' && id.p[i] != '.')
            return false;
    return true;
}

bool cdx_type_name_valid(struct cdx_text type)
{
    if (type.n == 0 || type.n > CDX_MAX_ID_BYTES || !is_upper(type.p[0]))
        return false;
    for (size_t i = 1; i < type.n; i++)
        if (!is_letter(type.p[i]) && !is_digit(type.p[i]))
            return false;
    return true;
}

/* ---- text ---- */

static struct cdx_text skip(struct cdx_text t, size_t n)
{
    return cdx_text(t.p + n, t.n - n);
}

/*
 * Cuts `*t` at its first `c`: returns what stands before, leaves what stands behind ("" when there
 * is no c).
 */
static struct cdx_text cut(struct cdx_text *t, char c)
{
    const char *at = t->n != 0 ? memchr(t->p, c, t->n) : NULL;
    struct cdx_text head = *t;

    if (at == NULL) {
        *t = cdx_text(NULL, 0);
        return head;
    }
    head.n = (size_t)(at - t->p);
    *t = skip(*t, head.n + 1);
    return head;
}

/*
 * Cuts the last segment off: returns what stands behind the last '/', leaves what stands before (""
 * when there is none).
 */
static struct cdx_text cut_last(struct cdx_text *t)
{
    const char *at = t->n != 0 ? memrchr(t->p, '/', t->n) : NULL;
    struct cdx_text tail = *t;

    if (at == NULL) {
        *t = cdx_text(NULL, 0);
        return tail;
    }
    t->n = (size_t)(at - t->p);
    return skip(tail, t->n + 1);
}

static bool holds(struct cdx_text t, char c)
{
    return t.n != 0 && memchr(t.p, c, t.n) != NULL;
}

/* Bytes of a scheme and its colon (RFC 3986 section 3.1), 0 when there is none. */
static size_t scheme_length(struct cdx_text t)
{
    if (t.n == 0 || !is_letter(t.p[0]))
        return 0;
    for (size_t i = 1; i < t.n; i++) {
        if (t.p[i] == ':')
            return i + 1;
        if (!is_letter(t.p[i]) && !is_digit(t.p[i]) && t.p[i] != '+' && t.p[i] != '-' &&
            t.p[i] != '.')
            return 0;
    }
    return 0;
}

static bool starts_nocase(struct cdx_text t, struct cdx_text head)
{
    return t.n >= head.n && strncasecmp(t.p, head.p, head.n) == 0;
}

/* ---- references ---- */

/* [base/]Type/id[/_history/version]; false when the text has no such end. */
static bool split_restful(struct cdx_text text, struct cdx_reference *out)
{
    struct cdx_text rest = text, id = cut_last(&rest), type = cut_last(&rest), version = {NULL, 0};

    if (cdx_text_is(type, "_history")) {
        version = id;
        if (!cdx_id_valid(version))
            return false;
        id = cut_last(&rest);
        type = cut_last(&rest);
    }
    if (!cdx_id_valid(id) || !cdx_type_name_valid(type))
        return false;
    if (rest.n == 0 && type.p != text.p) /* "/Patient/1": an empty segment before the type */
        return false;
    *out = (struct cdx_reference){.base = rest, .type = type, .id = id, .version = version};
    return true;
}

/*
 * An http(s) URL with a host before the type, and no query or fragment there that only looks like a
 * path.
 */
static bool split_absolute(struct cdx_text text, struct cdx_reference *out)
{
    size_t scheme = starts_nocase(text, CDX_LIT("https://"))  ? 8
                    : starts_nocase(text, CDX_LIT("http://")) ? 7
                                                              : 0;

    return scheme != 0 && !holds(text, '?') && !holds(text, '#') && split_restful(text, out) &&
           out->base.n > scheme;
}

static bool is_conditional(struct cdx_text text, struct cdx_reference *out)
{
    struct cdx_text query = text, type;

    if (!holds(text, '?'))
        return false;
    type = cut(&query, '?');
    if (query.n == 0 || !cdx_type_name_valid(type))
        return false;
    *out = (struct cdx_reference){.kind = CDX_REF_CONDITIONAL, .type = type};
    return true;
}

void cdx_reference_split(struct cdx_text text, struct cdx_reference *out)
{
    *out = (struct cdx_reference){.kind = CDX_REF_NONE};
    if (text.n == 0)
        return;
    if (text.p[0] == '#') {
        out->kind = CDX_REF_CONTAINED;
    } else if (starts_nocase(text, CDX_LIT("urn:"))) {
        out->kind = CDX_REF_URN;
    } else if (scheme_length(text) != 0) {
        if (!split_absolute(text, out))
            *out = (struct cdx_reference){0};
        out->kind = CDX_REF_ABSOLUTE;
    } else if (!is_conditional(text, out)) {
        if (split_restful(text, out) && out->base.n == 0)
            out->kind = CDX_REF_RELATIVE;
        else
            *out = (struct cdx_reference){.kind = CDX_REF_NONE};
    }
}

/* ---- paths ---- */

struct walk {
    const struct cdx_json *j;
    bool (*each)(void *arg, cdx_node value);
    void *arg;
};

static bool walk_from(const struct walk *w, cdx_node from, struct cdx_text path);

/*
 * Every member whose name is the stem and a capital letter: the choice of types of FHIR's [x]
 * elements.
 */
static bool walk_choice(const struct walk *w, cdx_node object, struct cdx_text stem,
                        struct cdx_text path)
{
    int next;

    for (cdx_node v = cdx_json_first(w->j, object); v != CDX_NO_NODE;
         v = cdx_json_next(w->j, object, v))
        if (cdx_json_name_starts(w->j, v, stem, &next) && next >= 'A' && next <= 'Z' &&
            !walk_from(w, v, path))
            return false;
    return true;
}

/* Goes one level of the text deeper with each call, so it is bounded by CDX_MAX_JSON_DEPTH. */
static bool walk_from(const struct walk *w, cdx_node from, struct cdx_text path)
{
    const struct cdx_text choice = CDX_LIT("[x]");
    struct cdx_text step;
    cdx_node v;

    if (cdx_json_kind(w->j, from) == CDX_JSON_ARRAY) {
        for (v = cdx_json_first(w->j, from); v != CDX_NO_NODE; v = cdx_json_next(w->j, from, v))
            if (!walk_from(w, v, path))
                return false;
        return true;
    }
    if (path.n == 0)
        return w->each(w->arg, from);
    if (cdx_json_kind(w->j, from) != CDX_JSON_OBJECT)
        return true;
    step = cut(&path, '.');
    if (step.n > choice.n && cdx_text_eq(skip(step, step.n - choice.n), choice))
        return walk_choice(w, from, cdx_text(step.p, step.n - choice.n), path);
    v = cdx_json_member(w->j, from, step);
    return v == CDX_NO_NODE || walk_from(w, v, path);
}

bool cdx_path_walk(const struct cdx_json *j, cdx_node from, struct cdx_text path,
                   bool (*each)(void *arg, cdx_node value), void *arg)
{
    const struct walk w = {j, each, arg};

    return from == CDX_NO_NODE || walk_from(&w, from, path);
}
