/*
 * match/members.c -- which patients does this resource name, and can all of them be told?
 *
 * In:    a resource and its type's rows of the patient compartment (mappings/).
 * Out:   the member key of each patient, "<base>/Patient/<id>"; whether there is one who cannot be told.
 * Owns:  nothing; keys live in the event's arena.
 *
 * This is the privacy gate, so what is not understood counts as a patient who cannot be told. What a reference points
 * to is read from its text, else from Reference.type, else, for one inside the resource, from `contained`. A reference
 * without a text and a type (an identifier or a name alone) counts as a patient where the element says whom the
 * resource is about (subject, patient, beneficiary); as performer, author or payor it does not: there it is the usual
 * way to write a clinician or an organization, and nobody's record is opened by it.
 */
#include "match/members.h"

#include "core/arena.h"
#include "core/limits.h"
#include "fhir/view.h"
#include "match/value.h"
#include "model/change.h"

struct naming {
    const struct cdx_change *change;
    const struct cdx_compartment *row;
    struct cdx_arena *arena;
    struct cdx_members *out;
    struct cdx_err *err;
    enum cdx_code rc;
};

/* False: stop walking, rc says why. */
static bool add(struct naming *n, struct cdx_text base, struct cdx_text id)
{
    struct cdx_members *out = n->out;
    struct cdx_text key;

    if (cdx_base_same(base, n->change->base)) /* http or https, '/' or not: one base, one key */
        base = n->change->base;
    key = cdx_arena_printf(n->arena, "%.*s/Patient/%.*s", CDX_TEXT(base), CDX_TEXT(id));
    if (key.p == NULL) {
        n->rc = cdx_fail(n->err, CDX_NOMEM, "match: member keys of one event");
        return false;
    }
    for (size_t i = 0; i < out->n; i++)
        if (cdx_text_eq(out->keys[i], key))
            return true;
    if (out->n == CDX_MAX_EVENT_MEMBERS) {
        n->rc =
            cdx_fail(n->err, CDX_INPUT,
                     "match: %.*s names more than %d patients; it is a list and no member's event",
                     CDX_TEXT(n->change->type), CDX_MAX_EVENT_MEMBERS);
        return false;
    }
    out->keys[out->n++] = key;
    return true;
}

static bool cannot_tell(struct naming *n)
{
    n->out->unresolved = true;
    return true;
}

/* A member's text, or empty; when memory is out rc says so, so that an unread type is not taken for none. */
static struct cdx_text member_text(struct naming *n, cdx_node object, struct cdx_text name)
{
    const struct cdx_json *j = n->change->json;
    cdx_node v = cdx_json_member(j, object, name);
    struct cdx_text text = cdx_text(NULL, 0);

    if (v == CDX_NO_NODE || cdx_json_kind(j, v) != CDX_JSON_STRING)
        return text;
    text = cdx_json_string(j, v, n->arena);
    if (text.p == NULL)
        n->rc = cdx_fail(n->err, CDX_NOMEM, "match: references of one event");
    return text;
}

/* The type of "#id"; empty when it is not there. */
static struct cdx_text contained_type(struct naming *n, struct cdx_text fragment)
{
    const struct cdx_json *j = n->change->json;
    cdx_node list = cdx_json_get(j, n->change->root, "contained");
    struct cdx_text id = cdx_text(fragment.p + 1, fragment.n - 1);

    if (list == CDX_NO_NODE || cdx_json_kind(j, list) != CDX_JSON_ARRAY)
        return cdx_text(NULL, 0);
    for (cdx_node v = cdx_json_first(j, list); v != CDX_NO_NODE; v = cdx_json_next(j, list, v))
        if (cdx_text_eq(member_text(n, v, CDX_LIT("id")), id))
            return member_text(n, v, CDX_LIT("resourceType"));
    return cdx_text(NULL, 0);
}

/* A reference that is no RESTful URL: whom it names is unknown, and perhaps not even of which type. */
static bool vague(struct naming *n, struct cdx_text type, bool patient_when_untyped)
{
    if (type.n != 0 ? cdx_text_is(type, "Patient") : patient_when_untyped)
        return cannot_tell(n);
    return true;
}

static bool read(struct naming *n, cdx_node v)
{
    const struct cdx_json *j = n->change->json;
    struct cdx_text text, type;
    struct cdx_reference ref;
    cdx_node reference;

    if (cdx_json_kind(j, v) != CDX_JSON_OBJECT)
        return cannot_tell(n);
    type = member_text(n, v, CDX_LIT("type"));
    reference = cdx_json_get(j, v, "reference");
    if (reference == CDX_NO_NODE)
        return vague(n, type, n->row->subject);
    text = cdx_json_string(j, reference, n->arena);
    cdx_reference_split(text, &ref);
    if (ref.kind == CDX_REF_URN) {
        text = cdx_urn_resolve(n->change, text);
        if (text.p != NULL)
            cdx_reference_split(text, &ref);
    }
    switch (ref.kind) {
    case CDX_REF_RELATIVE:
    case CDX_REF_ABSOLUTE:
        if (ref.id.n == 0)
            return vague(n, type, true);
        if (!cdx_text_is(ref.type, "Patient"))
            return true;
        return add(n, ref.kind == CDX_REF_RELATIVE ? n->change->base : ref.base, ref.id);
    case CDX_REF_CONTAINED: return vague(n, contained_type(n, text), true);
    case CDX_REF_CONDITIONAL: return vague(n, ref.type, true);
    case CDX_REF_URN:
    case CDX_REF_NONE: break;
    }
    return vague(n, type, true);
}

static bool each(void *arg, cdx_node v)
{
    struct naming *n = arg;

    return read(n, v) && n->rc == CDX_OK;
}

static void walk_rows(struct naming *n, const struct cdx_restype *type, cdx_node resource)
{
    for (size_t i = 0; n->rc == CDX_OK && i < type->compartment_n; i++) {
        const struct cdx_param *param = type->compartment[i].param;
        n->row = &type->compartment[i];
        for (size_t k = 0; n->rc == CDX_OK && k < param->paths_n; k++)
            (void)cdx_path_walk(n->change->json, resource, param->paths[k].path, each, n);
    }
}

/* A contained resource goes out with the one around it; a contained Patient is nobody whom a roster could list. */
static void walk_contained(struct naming *n, const struct cdx_definitions *defs)
{
    const struct cdx_json *j = n->change->json;
    cdx_node list = cdx_json_get(j, n->change->root, "contained");

    if (list == CDX_NO_NODE || cdx_json_kind(j, list) != CDX_JSON_ARRAY)
        return;
    for (cdx_node v = cdx_json_first(j, list); n->rc == CDX_OK && v != CDX_NO_NODE;
         v = cdx_json_next(j, list, v)) {
        const struct cdx_restype *type =
            cdx_definitions_type(defs, member_text(n, v, CDX_LIT("resourceType")));
        if (type == NULL || type->self)
            n->out->unresolved = true;
        else
            walk_rows(n, type, v);
    }
}

enum cdx_code cdx_members_of(const struct cdx_definitions *defs, const struct cdx_restype *type,
                             const struct cdx_change *change, struct cdx_arena *arena,
                             struct cdx_members *out, struct cdx_err *err)
{
    struct naming n = {.change = change, .arena = arena, .out = out, .err = err, .rc = CDX_OK};

    *out = (struct cdx_members){
        .keys = cdx_arena_alloc(arena, CDX_MAX_EVENT_MEMBERS * sizeof *out->keys)};
    if (out->keys == NULL)
        return cdx_fail(err, CDX_NOMEM, "match: member keys of one event");
    if (type->self)
        (void)add(&n, change->base, change->id);
    walk_rows(&n, type, change->root);
    walk_contained(&n, defs);
    return n.rc;
}
