/*
 * state/roster_group.c -- who does this Group resource say is a member?
 *
 * In:    a Group (FHIR R4) as text, the base that its relative references belong to.
 * Out:   one member key and record value a member, and the roster's name.
 * Owns:  jansson's tree while it reads.
 *
 * The hard thing is not to let in more than was meant: everything that could make a member less of one (inactive,
 * dropped, a period, a modifier that we do not know) is understood or refused, and nothing is handed out before the
 * last member was checked. Not skipping what is not understood: a roster that is too small by a typing error would
 * look like a quiet payer.
 */
#include "state/roster.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/limits.h"
#include "state/roster_names.h"
#include "state/roster_period.h"

/* What one walk over Group.member needs. */
struct group {
    const char *base;      /* borrowed, or NULL */
    cdx_roster_each *each; /* NULL: only check */
    void *arg;
    struct cdx_buf key, value;
};

static struct cdx_text text_of(const json_t *string)
{
    return cdx_text(json_string_value(string), json_string_length(string));
}

/* FHIR R4 2.24 id. */
static bool is_id(struct cdx_text id)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

    for (size_t i = 0; i < id.n; i++)
        if (memchr(chars, id.p[i], sizeof chars - 1) == NULL)
            return false;
    return id.n >= 1 && id.n <= CDX_MAX_ID_BYTES;
}

/* "Patient/<id>" at the end of a reference: what stands before it (empty, or a URL with its last '/'). */
static bool patient_head(struct cdx_text reference, struct cdx_text *head)
{
    static const struct cdx_text type = CDX_LIT("Patient/");
    const char *slash = reference.n != 0 ? memrchr(reference.p, '/', reference.n) : NULL;
    struct cdx_text before =
        cdx_text(reference.p, slash != NULL ? (size_t)(slash - reference.p) + 1 : 0);
    size_t n;

    if (before.n < type.n || !is_id(cdx_text(reference.p + before.n, reference.n - before.n)))
        return false;
    n = before.n - type.n;
    *head = cdx_text(reference.p, n);
    if (!cdx_text_eq(cdx_text(before.p + n, type.n), type))
        return false;
    return n == 0 || (reference.p[n - 1] == '/' && (cdx_text_starts(*head, CDX_LIT("https://")) ||
                                                    cdx_text_starts(*head, CDX_LIT("http://"))));
}

static enum cdx_code member_key(struct group *g, const json_t *entity, size_t i,
                                struct cdx_err *err)
{
    const json_t *reference = json_object_get(entity, "reference");
    struct cdx_text head;
    size_t n;

    if (reference == NULL && json_object_get(entity, "identifier") != NULL)
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].entity: members by identifier are not supported by this "
                        "version; give entity.reference (Patient/<id>)",
                        i);
    if (!json_is_string(reference))
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].entity.reference is missing or no string; give "
                        "Patient/<id> or its absolute URL",
                        i);
    if (!patient_head(text_of(reference), &head))
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].entity.reference is neither Patient/<id> nor <base "
                        "URL>/Patient/<id>",
                        i);
    if (head.n == 0 && g->base == NULL)
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].entity.reference is relative, and the sources have "
                        "different bases; give the absolute URL",
                        i);
    n = json_string_length(reference) + (head.n == 0 ? strlen(g->base) + 1 : 0);
    cdx_buf_reset(&g->key);
    if (head.n == 0)
        cdx_buf_printf(&g->key, "%s/", g->base);
    cdx_buf_add_text(&g->key, text_of(reference));
    if (g->key.failed && n <= CDX_MAX_MEMBER_KEY_BYTES)
        return cdx_fail(err, CDX_NOMEM, "Group.member[%zu].entity.reference", i);
    if (g->key.failed)
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].entity.reference is longer than %d bytes with its base",
                        i, CDX_MAX_MEMBER_KEY_BYTES);
    return CDX_OK;
}

/* The period as it is written becomes the record's value. */
static enum cdx_code member_value(struct group *g, const json_t *period, size_t i,
                                  struct cdx_err *err)
{
    static const char *const ends[] = {"start", "end"};
    struct cdx_period checked;
    char place[64];
    enum cdx_code rc;

    cdx_buf_reset(&g->value);
    cdx_buf_add(&g->value, "{", 1);
    if (period != NULL) {
        snprintf(place, sizeof place, "Group.member[%zu].period", i);
        rc = cdx_period_read(period, place, CDX_CONFIG, &checked, err);
        if (rc != CDX_OK)
            return rc;
    }
    for (size_t k = 0; k < CDX_COUNT(ends); k++) {
        const json_t *end = json_object_get(period, ends[k]);
        if (end == NULL)
            continue;
        cdx_buf_printf(&g->value, "%s\"%s\":", g->value.n > 1 ? "," : "", ends[k]);
        cdx_buf_add_json(&g->value, text_of(end));
    }
    cdx_buf_add(&g->value, "}", 1);
    return g->value.failed ? cdx_fail(err, CDX_NOMEM, "Group.member[%zu].period", i) : CDX_OK;
}

/* Da Vinci ATR ext-changeType `dropped`: no longer a member, whatever else the entry says. */
static bool is_dropped(const json_t *member)
{
    static const char url[] =
        "http://hl7.org/fhir/us/davinci-atr/StructureDefinition/ext-changeType";
    const json_t *ext;
    size_t i;

    json_array_foreach (json_object_get(member, "extension"), i, ext) {
        const char *code = json_string_value(json_object_get(ext, "valueCode"));
        if (code != NULL && strcmp(code, "dropped") == 0 &&
            json_is_string(json_object_get(ext, "url")) &&
            strcmp(json_string_value(json_object_get(ext, "url")), url) == 0)
            return true;
    }
    return false;
}

/* FHIR R4 2.6.0.3: what holds a modifier that the reader does not know must not be processed. */
static bool has_modifier(const json_t *element)
{
    return json_object_get(element, "modifierExtension") != NULL ||
           json_object_get(element, "implicitRules") != NULL;
}

static enum cdx_code read_member(struct group *g, const json_t *member, size_t i,
                                 struct cdx_err *err)
{
    const json_t *inactive = json_object_get(member, "inactive"),
                 *entity = json_object_get(member, "entity");
    enum cdx_code rc;

    if (!json_is_object(member))
        return cdx_fail(err, CDX_CONFIG, "Group.member[%zu] is not an object", i);
    if (has_modifier(member))
        return cdx_fail(err, CDX_CONFIG,
                        "Group.member[%zu].modifierExtension is not understood; remove the member "
                        "or the extension",
                        i);
    if (inactive != NULL && !json_is_boolean(inactive))
        return cdx_fail(err, CDX_CONFIG, "Group.member[%zu].inactive is neither true nor false", i);
    if (json_is_true(inactive) || is_dropped(member))
        return CDX_OK;
    if (!json_is_object(entity))
        return cdx_fail(err, CDX_CONFIG, "Group.member[%zu].entity is missing or not an object", i);
    rc = member_key(g, entity, i, err);
    if (rc == CDX_OK)
        rc = member_value(g, json_object_get(member, "period"), i, err);
    if (rc == CDX_OK && g->each != NULL &&
        !g->each(g->arg, cdx_buf_text(&g->key), cdx_buf_text(&g->value)))
        return cdx_fail(err, CDX_NOMEM, "Group.member[%zu] was not taken", i);
    return rc;
}

static enum cdx_code check_head(const json_t *group, struct cdx_err *err)
{
    const json_t *active = json_object_get(group, "active"),
                 *member = json_object_get(group, "member");
    const json_t *id = json_object_get(group, "id"), *type = json_object_get(group, "type");

    if (!cdx_text_is(text_of(json_object_get(group, "resourceType")), "Group"))
        return cdx_fail(err, CDX_CONFIG, "resourceType is not Group; a roster is a Group resource");
    if (!is_id(text_of(id)))
        return cdx_fail(
            err, CDX_CONFIG,
            "Group.id is missing or no id (1 to 64 of A-Z a-z 0-9 - .); it is the roster's name");
    if (has_modifier(group))
        return cdx_fail(
            err, CDX_CONFIG,
            "Group.modifierExtension or Group.implicitRules is not understood; remove it");
    if (type != NULL && !cdx_text_is(text_of(type), "person"))
        return cdx_fail(err, CDX_CONFIG, "Group.type is not person");
    if (active != NULL && !json_is_boolean(active))
        return cdx_fail(err, CDX_CONFIG, "Group.active is neither true nor false");
    if (member != NULL && !json_is_array(member))
        return cdx_fail(err, CDX_CONFIG, "Group.member is not an array");
    return CDX_OK;
}

/* Twice over all members: once to check, once to hand them out. */
static enum cdx_code read_members(struct group *g, const json_t *group, struct cdx_err *err)
{
    cdx_roster_each *const passes[] = {NULL, g->each};
    const json_t *member;
    size_t i;

    for (size_t pass = 0; pass < CDX_COUNT(passes); pass++) {
        g->each = passes[pass];
        if (pass != 0 && json_is_false(json_object_get(group, "active")))
            break;
        json_array_foreach (json_object_get(group, "member"), i, member) {
            enum cdx_code rc = read_member(g, member, i, err);
            if (rc != CDX_OK)
                return rc;
        }
    }
    return CDX_OK;
}

enum cdx_code cdx_roster_read_group(struct cdx_text json, const char *base, cdx_roster_each *each,
                                    void *arg, char **name_out, struct cdx_err *err)
{
    struct group g = {.base = base, .each = each, .arg = arg};
    json_error_t where;
    json_auto_t *group =
        json_loadb(json.p != NULL ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &where);
    struct cdx_text id;
    char *name = NULL;
    enum cdx_code rc;

    if (group == NULL) /* jansson's own text may quote the file */
        return cdx_fail(err, CDX_CONFIG, "roster: not JSON, at line %d, column %d", where.line,
                        where.column);
    rc = check_head(group, err);
    if (rc != CDX_OK)
        return rc;
    cdx_buf_init(&g.key, CDX_MAX_MEMBER_KEY_BYTES);
    cdx_buf_init(&g.value, 256);
    id = text_of(json_object_get(group, "id"));
    name = strndup(id.p, id.n);
    rc = name == NULL ? cdx_fail(err, CDX_NOMEM, "Group.id") : read_members(&g, group, err);
    cdx_buf_fini(&g.key);
    cdx_buf_fini(&g.value);
    if (rc == CDX_OK)
        *name_out = name;
    else
        free(name);
    return rc;
}
