/*
 * model/filter.c -- which terms does a filter-criteria text hold?
 *
 * In:    the text of one backport-filter-criteria extension (subscriptions.md 1.4): `Type?param:modifier=v1,v2&...`,
 *        with the type before '?' or '.', or without one; percent-encoded or plain.
 * Out:   terms, in order; search escapes stay in the values, so that `\|` is told from `|`.
 * Owns:  nothing; the terms are the caller's.
 *
 * Grammar only: whether a topic lists the parameter is match's business. What is outside the grammar is refused with
 * its position; a term is never dropped (trap T7: it would disclose more).
 */
#include "model/subscription.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "fhir/view.h"

/* One filter text while it is read. */
struct criteria {
    struct cdx_text text;
    struct cdx_text type;       /* empty: any */
    struct cdx_filter *filters; /* owned until handed over */
    size_t n;
    struct cdx_err *err;
};

static void free_filter(struct cdx_filter *f)
{
    for (size_t i = 0; i < f->values_n; i++) {
        OPENSSL_cleanse(f->values[i], strlen(f->values[i])); /* it names a patient */
        free(f->values[i]);
    }
    free(f->values);
    free(f->type);
    free(f->param);
    free(f->modifier);
}

void cdx_filters_free(struct cdx_filter *filters, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_filter(&filters[i]);
    free(filters);
}

/* `at` is where in the text the refused part begins, from 1. The part itself may name a patient and is not repeated. */
static enum cdx_code refuse(const struct criteria *c, const char *at, const char *why)
{
    return cdx_fail(c->err, CDX_INPUT, "filter at character %zu: %s", (size_t)(at - c->text.p) + 1,
                    why);
}

static enum cdx_code no_memory(struct cdx_err *err)
{
    return cdx_fail(err, CDX_NOMEM, "model: subscription");
}

static char *copy_z(struct cdx_text t)
{
    char *p = malloc(t.n + 1);

    if (p == NULL)
        return NULL;
    if (t.n != 0)
        memcpy(p, t.p, t.n);
    p[t.n] = '\0';
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* %XX becomes its byte, everything else stays, '+' too (4.1 step 3). Writes at most t.n bytes. */
static size_t percent_decode(struct cdx_text t, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < t.n; i++) {
        int hi = t.p[i] == '%' && i + 2 < t.n ? hex_digit(t.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_digit(t.p[i + 2]) : -1;
        if (lo >= 0)
            i += 2;
        out[n++] = lo >= 0 ? (char)(hi << 4 | lo) : t.p[i];
    }
    return n;
}

/* "Type.param:modifier" without '='. */
static enum cdx_code read_name(struct criteria *c, struct cdx_text name, const char *at,
                               struct cdx_filter *f)
{
    struct cdx_text modifier = cdx_text(NULL, 0), type = c->type, head, tail;

    if (cdx_text_cut(name, ':', &head, &tail)) {
        name = head;
        modifier = tail;
        if (!cdx_text_is_word(modifier, "-", CDX_MAX_ID_BYTES))
            return refuse(
                c, at,
                "the modifier behind ':' is malformed, or a chain; chains are not supported");
    }
    if (cdx_text_cut(name, '.', &head, &tail) && cdx_type_name_valid(head)) {
        if (type.n != 0 && !cdx_text_eq(type, head))
            return refuse(
                c, at,
                "terms of one filter have different types; use one filter-criteria extension for each");
        type = head;
        name = tail;
    }
    if (!cdx_text_is_word(name, "_.-", CDX_MAX_ID_BYTES))
        return refuse(c, at, "a parameter name is needed: [Type.]name[:modifier]=value");
    f->param = copy_z(name);
    f->type = type.n != 0 ? copy_z(type) : NULL;
    f->modifier = modifier.n != 0 ? copy_z(modifier) : NULL;
    if (f->param == NULL || (type.n != 0 && f->type == NULL) ||
        (modifier.n != 0 && f->modifier == NULL))
        return no_memory(c->err);
    return CDX_OK;
}

/* Bytes up to the next comma that is not escaped, or an error's reason. */
static const char *next_alternative(struct cdx_text rest, size_t *n)
{
    for (*n = 0; *n < rest.n && rest.p[*n] != ','; ++*n) {
        if ((unsigned char)rest.p[*n] < ' ' || rest.p[*n] == 0x7F)
            return "a value holds a control character";
        if (rest.p[*n] != '\\')
            continue;
        if (++*n == rest.n || rest.p[*n] == '\0' || strchr(",|$\\", rest.p[*n]) == NULL)
            return "a backslash can only stand before , | $ or another backslash";
    }
    if (*n == 0)
        return "a value is empty";
    return *n <= CDX_MAX_FILTER_VALUE_BYTES ? NULL : "a value is too long";
}

static enum cdx_code read_values(struct criteria *c, struct cdx_text rest, const char *at,
                                 struct cdx_filter *f)
{
    f->values = calloc(CDX_MAX_FILTER_VALUES, sizeof *f->values);
    if (f->values == NULL)
        return no_memory(c->err);
    for (;;) {
        size_t n;
        const char *why = next_alternative(rest, &n);
        if (why != NULL)
            return refuse(c, at, why);
        if (f->values_n == CDX_MAX_FILTER_VALUES)
            return refuse(c, at,
                          "more values in one filter than are allowed; use several subscriptions");
        f->values[f->values_n] = copy_z(cdx_text(rest.p, n));
        if (f->values[f->values_n] == NULL)
            return no_memory(c->err);
        f->values_n++;
        if (n == rest.n)
            return CDX_OK;
        rest = cdx_text(rest.p + n + 1, rest.n - n - 1);
    }
}

/* name=value, decoded; on error the filter holds what was made so far. */
static enum cdx_code read_term(struct criteria *c, struct cdx_text term, struct cdx_filter *f)
{
    struct cdx_text name, value;
    char *decoded;
    size_t name_n;
    enum cdx_code rc;

    if (!cdx_text_cut(term, '=', &name, &value))
        return refuse(c, term.p, "there is no '='; write name=value");
    decoded = malloc(term.n + 1);
    if (decoded == NULL)
        return no_memory(c->err);
    name_n = percent_decode(name, decoded);
    rc = read_name(c, cdx_text(decoded, name_n), term.p, f);
    if (rc == CDX_OK)
        rc = read_values(c, cdx_text(decoded + name_n, percent_decode(value, decoded + name_n)),
                         value.p, f);
    OPENSSL_cleanse(decoded, term.n);
    free(decoded);
    return rc;
}

static enum cdx_code add_term(struct criteria *c, struct cdx_text term)
{
    struct cdx_filter *grown, f = {0};
    enum cdx_code rc;

    if (c->n == CDX_MAX_FILTERS)
        return refuse(c, term.p, "more terms than one Subscription may have");
    grown = realloc(c->filters, (c->n + 1) * sizeof *grown);
    if (grown == NULL)
        return no_memory(c->err);
    c->filters = grown;
    rc = read_term(c, term, &f);
    if (rc != CDX_OK) {
        free_filter(&f);
        return rc;
    }
    c->filters[c->n++] = f;
    if (c->n == 1 &&
        f.type != NULL) /* "Encounter.patient=1&class=IMP": the type is that of all terms */
        c->type = cdx_text_z(f.type);
    return CDX_OK;
}

/* "Type?" in front of the terms; a '?' behind the first '=' belongs to a value. */
static enum cdx_code read_type(struct criteria *c, struct cdx_text *rest)
{
    struct cdx_text head, tail, name, value;

    if (!cdx_text_cut(*rest, '?', &head, &tail) ||
        (cdx_text_cut(*rest, '=', &name, &value) && name.n < head.n))
        return CDX_OK;
    if (!cdx_type_name_valid(head))
        return refuse(c, rest->p, "a resource type is needed before '?'");
    c->type = head;
    *rest = tail;
    return CDX_OK;
}

static enum cdx_code read_terms(struct criteria *c)
{
    struct cdx_text rest = c->text;
    enum cdx_code rc;

    if (rest.n != 0 && rest.p[0] == '/')
        rest = cdx_text(rest.p + 1, rest.n - 1);
    rc = read_type(c, &rest);
    while (rc == CDX_OK && rest.n != 0) {
        struct cdx_text term = rest, tail = cdx_text(NULL, 0);
        (void)cdx_text_cut(rest, '&', &term, &tail);
        if (term.n != 0)
            rc = add_term(c, term);
        rest = tail;
    }
    return rc == CDX_OK && c->n == 0 ? refuse(c, c->text.p, "there is no term; write name=value")
                                     : rc;
}

enum cdx_code cdx_filter_parse(struct cdx_text text, struct cdx_filter **filters, size_t *n,
                               struct cdx_err *err)
{
    struct criteria c = {.text = text, .err = err};
    struct cdx_filter *grown;
    enum cdx_code rc;

    if (text.n == 0)
        return cdx_fail(err, CDX_INPUT,
                        "filter at character 1: there is no term; write name=value");
    rc = read_terms(&c);
    if (rc == CDX_OK) {
        grown = realloc(*filters, (*n + c.n) * sizeof *grown);
        if (grown != NULL) {
            memcpy(grown + *n, c.filters, c.n * sizeof *grown);
            *filters = grown;
            *n += c.n;
            free(c.filters);
            return CDX_OK;
        }
        rc = no_memory(err);
    }
    cdx_filters_free(c.filters, c.n);
    return rc;
}
