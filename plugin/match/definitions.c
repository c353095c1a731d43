/*
 * match/definitions.c -- what does the search parameter `code` of this type look at, and whom does the type name?
 *
 * In:    search-r4.csv (resource, code, type, expression, targets) and patient-compartment-r4.csv (resource, param).
 * Out:   per resource type its parameters, each compiled to paths or kept with the reason why not.
 * Owns:  both files' text and one arena; every text handed out is borrowed from them.
 *
 * The hard thing is to compile only what is understood whole: an expression of which one alternative is beyond the
 * simple-path subset is not compiled at all, since a filter on half an expression would disclose by its other half.
 * Not FHIRPath: nine in ten of the parameters that filters use are paths, and a path costs a walk and no interpreter.
 */
#include "match/definitions.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/map.h"
#include "match/match.h"
#include "model/conf.h"

#define MAX_FILE_BYTES (4u << 20) /* the R4 table is 200 KB */
#define MAX_ARENA_BYTES (8u << 20)
#define MAX_PATHS 24 /* alternatives of one expression; R4's longest has 13 */
#define COLUMNS 5

struct cdx_definitions {
    struct cdx_arena *arena; /* owned */
    char *search;            /* owned: the file */
    char *compartment;       /* owned: the file */
    struct cdx_map types;    /* name -> struct cdx_restype in the arena */
    struct cdx_param *params;
    size_t params_n;
};

/* A CSV file while it is read. */
struct csv {
    const char *path;
    char *at, *end;
    unsigned line;
    struct cdx_text field[COLUMNS];
    size_t fields;
};

/* -- CSV ------------------------------------------------------------------------------------------------------ */

/* Takes one field off the line (RFC 4180); a quoted one is unescaped in place. */
static struct cdx_text csv_field(struct csv *csv, bool *last)
{
    char *start = csv->at, *to;
    struct cdx_text field;

    if (start < csv->end && *start == '"') {
        to = ++start;
        csv->at = start;
        while (csv->at < csv->end) {
            if (*csv->at == '"' && (csv->at + 1 == csv->end || csv->at[1] != '"'))
                break;
            if (*csv->at == '"')
                csv->at++;
            *to++ = *csv->at++;
        }
        if (csv->at < csv->end)
            csv->at++;
        field = cdx_text(start, (size_t)(to - start));
    } else {
        while (csv->at < csv->end && *csv->at != ',' && *csv->at != '\n' && *csv->at != '\r')
            csv->at++;
        field = cdx_text(start, (size_t)(csv->at - start));
    }
    *last = csv->at == csv->end || *csv->at != ',';
    if (!*last)
        csv->at++;
    return field;
}

/* The next row that is not empty; false at the end. */
static bool csv_next(struct csv *csv)
{
    bool last = false;

    while (csv->at < csv->end && (*csv->at == '\n' || *csv->at == '\r')) {
        csv->line += *csv->at == '\n';
        csv->at++;
    }
    if (csv->at == csv->end)
        return false;
    csv->fields = 0;
    while (!last) {
        struct cdx_text field = csv_field(csv, &last);
        if (csv->fields < COLUMNS)
            csv->field[csv->fields] = field;
        csv->fields++;
    }
    while (csv->at < csv->end &&
           *csv->at != '\n') /* what follows a closing quote: csv_is tells the wrong count */
        csv->at++;
    return true;
}

static enum cdx_code csv_open(struct csv *csv, const char *path, char **text, const char *header,
                              size_t columns, struct cdx_err *err)
{
    size_t n = 0;
    struct cdx_text first;

    *text = cdx_file_read(path, MAX_FILE_BYTES, &n, err);
    if (*text == NULL)
        return cdx_fail(err, CDX_CONFIG, "%s: cannot be read", path);
    *csv = (struct csv){.path = path, .at = *text, .end = *text + n, .line = 1};
    first = cdx_text(csv->at, strcspn(csv->at, "\r\n"));
    if (!csv_next(csv) || csv->fields != columns || !cdx_text_is(first, header))
        return cdx_fail(err, CDX_CONFIG, "%s line 1: the header must be \"%s\"", path, header);
    return CDX_OK;
}

static bool csv_is(const struct csv *csv, size_t columns)
{
    return csv->fields == columns && csv->field[0].n != 0 && csv->field[1].n != 0;
}

/* -- expressions ---------------------------------------------------------------------------------------------- */

/* Choice elements that R4 expressions name without a type (elements-r4.csv); all others say `as`. */
static const char *const untyped_choices[] = {
    "Consent.source",
    "MessageDefinition.event",
    "MessageHeader.event",
    "PlanDefinition.action.definition",
};

static bool take(struct cdx_text *in, const char *head)
{
    struct cdx_text h = cdx_text_z(head);

    if (!cdx_text_starts(*in, h))
        return false;
    in->p += h.n;
    in->n -= h.n;
    return true;
}

static struct cdx_text take_word(struct cdx_text *in)
{
    struct cdx_text word = cdx_text(in->p, 0);

    while (word.n < in->n && ((in->p[word.n] | 32) >= 'a' && (in->p[word.n] | 32) <= 'z'
                                  ? true
                                  : in->p[word.n] >= '0' && in->p[word.n] <= '9'))
        word.n++;
    in->p += word.n;
    in->n -= word.n;
    return word;
}

/* "value" and "CodeableConcept" are the member "valueCodeableConcept", "onset" and "string" are "onsetString". */
static void add_type(struct cdx_buf *path, struct cdx_text type)
{
    char first =
        type.n != 0 && type.p[0] >= 'a' && type.p[0] <= 'z' ? (char)(type.p[0] - 32) : type.p[0];

    cdx_buf_add(path, &first, 1);
    cdx_buf_add(path, type.p + 1, type.n - 1);
}

/* One step behind the first: a member, as(Type), or where(resolve() is Type). */
static bool compile_step(struct cdx_text *in, struct cdx_buf *path, struct cdx_text *only)
{
    struct cdx_text word;

    if (take(in, "as(")) {
        word = take_word(in);
        if (word.n == 0 || path->n == 0 || !take(in, ")"))
            return false;
        add_type(path, word);
        return true;
    }
    if (take(in, "where(resolve() is ")) {
        *only = take_word(in);
        return only->n != 0 && take(in, ")");
    }
    word = take_word(in);
    if (word.n == 0 || (in->n != 0 && in->p[0] == '('))
        return false;
    if (path->n != 0)
        cdx_buf_add_z(path, ".");
    cdx_buf_add_text(path, word);
    return true;
}

/* The first word: the type itself and its bases are left out; another word is relative to it (InsurancePlan.name). */
static bool compile_head(struct cdx_text *in, struct cdx_text type, struct cdx_buf *path)
{
    struct cdx_text word = take_word(in);

    if (word.n == 0)
        return false;
    if (!cdx_text_eq(word, type) && !cdx_text_is(word, "Resource") &&
        !cdx_text_is(word, "DomainResource"))
        cdx_buf_add_text(path, word);
    return true;
}

/* One alternative into `path`; false: beyond the subset. */
static bool compile_alternative(struct cdx_text in, struct cdx_text type, struct cdx_buf *path,
                                struct cdx_text *only)
{
    bool paren = take(&in, "(");

    *only = cdx_text(NULL, 0);
    if (!compile_head(&in, type, path))
        return false;
    while (in.n != 0) {
        if (take(&in, ".")) {
            if (!compile_step(&in, path, only))
                return false;
        } else if (take(&in, " as ")) {
            struct cdx_text word = take_word(&in);
            if (word.n == 0 || path->n == 0)
                return false;
            add_type(path, word);
        } else if (paren && take(&in, ")")) {
            paren = false;
        } else {
            return false;
        }
    }
    return !paren && path->n != 0;
}

static struct cdx_text trim(struct cdx_text t)
{
    while (t.n != 0 && t.p[0] == ' ') {
        t.p++;
        t.n--;
    }
    while (t.n != 0 && t.p[t.n - 1] == ' ')
        t.n--;
    return t;
}

static bool ends_in(struct cdx_text path, const char *step)
{
    size_t n = strlen(step);

    return path.n >= n && memcmp(path.p + path.n - n, step, n) == 0 &&
           (path.n == n || path.p[path.n - n - 1] == '.');
}

static enum cdx_code keep_path(struct cdx_definitions *defs, struct cdx_text alternative,
                               struct cdx_buf *path, struct cdx_text only, struct cdx_ppath *out)
{
    for (size_t i = 0; i < CDX_COUNT(untyped_choices); i++)
        if (cdx_text_is(alternative, untyped_choices[i]))
            cdx_buf_add_z(path, "[x]");
    out->path = path->failed ? cdx_text(NULL, 0) : cdx_arena_copy(defs->arena, cdx_buf_text(path));
    if (out->path.p == NULL)
        return CDX_NOMEM;
    out->only = only;
    out->contact = ends_in(out->path, "telecom");
    out->id = cdx_text_is(out->path, "id");
    return CDX_OK;
}

/* Compiles all alternatives of the expression or none. CDX_INPUT: beyond the subset. */
static enum cdx_code compile_all(struct cdx_definitions *defs, struct cdx_text type,
                                 struct cdx_param *param)
{
    struct cdx_ppath found[MAX_PATHS], *paths;
    struct cdx_text rest = param->expression;
    struct cdx_buf path;
    enum cdx_code rc = CDX_OK;
    size_t n = 0;

    cdx_buf_init(&path, 1024);
    while (rc == CDX_OK && rest.n != 0) {
        const char *bar = memchr(rest.p, '|', rest.n);
        size_t len = bar != NULL ? (size_t)(bar - rest.p) : rest.n;
        struct cdx_text alternative = trim(cdx_text(rest.p, len)), only;

        cdx_buf_reset(&path);
        if (n == MAX_PATHS || !compile_alternative(alternative, type, &path, &only))
            rc = path.failed ? CDX_NOMEM : CDX_INPUT;
        else
            rc = keep_path(defs, alternative, &path, only, &found[n++]);
        rest = bar != NULL ? cdx_text(bar + 1, rest.n - len - 1) : cdx_text(NULL, 0);
    }
    cdx_buf_fini(&path);
    if (rc != CDX_OK || n == 0)
        return rc != CDX_OK ? rc : CDX_INPUT;
    paths = cdx_arena_alloc(defs->arena, n * sizeof *paths);
    if (paths == NULL)
        return CDX_NOMEM;
    memcpy(paths, found, n * sizeof *paths);
    param->paths = paths;
    param->paths_n = n;
    return CDX_OK;
}

/* -- search-r4.csv -------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum cdx_ptype type;
    const char *reason; /* why filters of this type are not evaluated */
} param_types[] = {
    {"token", CDX_P_TOKEN, NULL},
    {"string", CDX_P_STRING, NULL},
    {"reference", CDX_P_REFERENCE, NULL},
    {"date", CDX_P_OTHER, "filters of type date are not evaluated yet"},
    {"number", CDX_P_OTHER, "filters of type number are not evaluated yet"},
    {"quantity", CDX_P_OTHER, "filters of type quantity are not evaluated yet"},
    {"uri", CDX_P_OTHER, "filters of type uri are not evaluated yet"},
    {"composite", CDX_P_OTHER, "filters of type composite are not evaluated yet"},
    {"special", CDX_P_OTHER, "filters of type special are not evaluated yet"},
};

static bool set_type(struct cdx_param *param)
{
    for (size_t i = 0; i < CDX_COUNT(param_types); i++)
        if (cdx_text_is(param->type_name, param_types[i].name)) {
            param->type = param_types[i].type;
            param->reason = param_types[i].reason;
            return true;
        }
    return false;
}

static enum cdx_code read_param(struct cdx_definitions *defs, const struct csv *csv,
                                struct cdx_param *param, struct cdx_err *err)
{
    enum cdx_code rc;

    *param = (struct cdx_param){.code = csv->field[1],
                                .type_name = csv->field[2],
                                .expression = csv->field[3],
                                .targets = csv->field[4]};
    if (param->targets.n != 0 && memchr(param->targets.p, '|', param->targets.n) == NULL)
        param->target = param->targets;
    if (!set_type(param))
        return cdx_fail(err, CDX_CONFIG, "%s line %u: unknown parameter type '%.*s'", csv->path,
                        csv->line, CDX_TEXT(param->type_name));
    if (param->reason != NULL)
        return CDX_OK;
    rc = compile_all(defs, csv->field[0], param);
    if (rc == CDX_INPUT) {
        param->reason = param->expression.n == 0
                            ? "it has no expression"
                            : "its expression is beyond the paths that filters can use";
        return CDX_OK;
    }
    return rc == CDX_OK ? CDX_OK
                        : cdx_fail(err, rc, "%s line %u: out of memory", csv->path, csv->line);
}

static struct cdx_restype *add_restype(struct cdx_definitions *defs, struct cdx_text name)
{
    struct cdx_restype *type = cdx_arena_zalloc(defs->arena, 1, sizeof *type);

    if (type == NULL)
        return NULL;
    type->name = name;
    type->params = &defs->params[defs->params_n];
    return cdx_map_put(&defs->types, type->name, type) ? type : NULL;
}

static enum cdx_code load_search(struct cdx_definitions *defs, const char *path,
                                 struct cdx_err *err)
{
    struct csv csv;
    struct cdx_restype *type = NULL;
    size_t rows = 0;
    enum cdx_code rc =
        csv_open(&csv, path, &defs->search, "resource,code,type,expression,targets", 5, err);

    if (rc != CDX_OK)
        return rc;
    for (const char *p = csv.at; p < csv.end; p++)
        rows += *p == '\n';
    defs->params = cdx_arena_zalloc(defs->arena, rows + 1, sizeof *defs->params);
    if (defs->params == NULL)
        return cdx_fail(err, CDX_NOMEM, "match: search parameters");
    while (csv_next(&csv)) {
        struct cdx_text name = csv.field[0];
        if (!csv_is(&csv, 5))
            return cdx_fail(err, CDX_CONFIG, "%s line %u: five columns are needed", path, csv.line);
        if (type == NULL || !cdx_text_eq(type->name, name)) {
            if (cdx_map_get(&defs->types, name) != NULL)
                return cdx_fail(err, CDX_CONFIG,
                                "%s line %u: the rows of one resource must stand together", path,
                                csv.line);
            type = add_restype(defs, name);
            if (type == NULL)
                return cdx_fail(err, CDX_NOMEM, "match: search parameters");
        }
        if (cdx_restype_param(type, csv.field[1]) != NULL)
            return cdx_fail(err, CDX_CONFIG, "%s line %u: '%.*s' stands twice for its resource",
                            path, csv.line, CDX_TEXT(csv.field[1]));
        rc = read_param(defs, &csv, &defs->params[defs->params_n], err);
        if (rc != CDX_OK)
            return rc;
        defs->params[defs->params_n++].slot = (uint32_t)type->params_n++;
    }
    return CDX_OK;
}

/* -- patient-compartment-r4.csv ------------------------------------------------------------------------------- */

/* Does it say whom the resource is about? It can point to nobody but a patient, or it is where `patient` looks. */
static bool is_subject(const struct cdx_restype *type, const struct cdx_param *param)
{
    const struct cdx_param *patient = cdx_restype_param(type, CDX_LIT("patient"));

    if (cdx_text_is(param->target, "Patient"))
        return true;
    for (size_t i = 0; patient != NULL && i < patient->paths_n; i++)
        for (size_t k = 0; k < param->paths_n; k++)
            if (cdx_text_eq(patient->paths[i].path, param->paths[k].path))
                return true;
    return false;
}

static enum cdx_code add_compartment(struct cdx_definitions *defs, const struct csv *csv,
                                     struct cdx_err *err)
{
    struct cdx_restype *type = cdx_map_get(&defs->types, csv->field[0]);
    const struct cdx_param *param;
    struct cdx_compartment *grown;

    if (type == NULL)
        return cdx_fail(err, CDX_CONFIG, "%s line %u: no resource type '%.*s' in search-r4.csv",
                        csv->path, csv->line, CDX_TEXT(csv->field[0]));
    if (cdx_text_is(csv->field[1], "{def}")) {
        type->self = true;
        return CDX_OK;
    }
    param = cdx_restype_param(type, csv->field[1]);
    if (param == NULL || param->type != CDX_P_REFERENCE || param->reason != NULL)
        return cdx_fail(
            err, CDX_CONFIG,
            "%s line %u: '%.*s' is no reference parameter of %.*s that can be evaluated", csv->path,
            csv->line, CDX_TEXT(csv->field[1]), CDX_TEXT(type->name));
    grown = cdx_arena_alloc(defs->arena, (type->compartment_n + 1) * sizeof *grown);
    if (grown == NULL)
        return cdx_fail(err, CDX_NOMEM, "match: patient compartment");
    if (type->compartment_n != 0)
        memcpy(grown, type->compartment, type->compartment_n * sizeof *grown);
    grown[type->compartment_n++] =
        (struct cdx_compartment){.param = param, .subject = is_subject(type, param)};
    type->compartment = grown;
    return CDX_OK;
}

static enum cdx_code load_compartment(struct cdx_definitions *defs, const char *path,
                                      struct cdx_err *err)
{
    struct csv csv;
    enum cdx_code rc = csv_open(&csv, path, &defs->compartment, "resource,param", 2, err);

    while (rc == CDX_OK && csv_next(&csv)) {
        if (!csv_is(&csv, 2))
            return cdx_fail(err, CDX_CONFIG, "%s line %u: two columns are needed", path, csv.line);
        rc = add_compartment(defs, &csv, err);
    }
    return rc;
}

/* -- public --------------------------------------------------------------------------------------------------- */

static enum cdx_code load_file(struct cdx_definitions *defs, const char *dir, const char *file,
                               enum cdx_code (*load)(struct cdx_definitions *, const char *,
                                                     struct cdx_err *),
                               struct cdx_err *err)
{
    struct cdx_text path = cdx_arena_printf(defs->arena, "%s/%s", dir, file);

    if (path.p == NULL)
        return cdx_fail(err, CDX_NOMEM, "match: definitions");
    return load(defs, path.p, err);
}

struct cdx_definitions *cdx_definitions_load(const char *dir, struct cdx_err *err)
{
    struct cdx_definitions *defs = calloc(1, sizeof *defs);

    if (defs == NULL) {
        cdx_fail(err, CDX_NOMEM, "match: definitions");
        return NULL;
    }
    defs->arena = cdx_arena_create(MAX_ARENA_BYTES, err);
    if (defs->arena == NULL || load_file(defs, dir, "search-r4.csv", load_search, err) != CDX_OK ||
        load_file(defs, dir, "patient-compartment-r4.csv", load_compartment, err) != CDX_OK) {
        cdx_definitions_destroy(defs);
        return NULL;
    }
    return defs;
}

void cdx_definitions_destroy(struct cdx_definitions *defs)
{
    if (defs == NULL)
        return;
    cdx_map_fini(&defs->types);
    cdx_arena_destroy(defs->arena);
    free(defs->search);
    free(defs->compartment);
    free(defs);
}

const struct cdx_restype *cdx_definitions_type(const struct cdx_definitions *defs,
                                               struct cdx_text name)
{
    return cdx_map_get(&defs->types, name);
}

const struct cdx_param *cdx_restype_param(const struct cdx_restype *type, struct cdx_text code)
{
    for (size_t i = 0; i < type->params_n; i++)
        if (cdx_text_eq(type->params[i].code, code))
            return &type->params[i];
    return NULL;
}

bool cdx_param_targets(const struct cdx_param *param, struct cdx_text type)
{
    struct cdx_text rest = param->targets;

    while (rest.n != 0) {
        const char *bar = memchr(rest.p, '|', rest.n);
        size_t len = bar != NULL ? (size_t)(bar - rest.p) : rest.n;
        if (cdx_text_eq(cdx_text(rest.p, len), type))
            return true;
        rest = bar != NULL ? cdx_text(bar + 1, rest.n - len - 1) : cdx_text(NULL, 0);
    }
    return param->targets.n == 0;
}
