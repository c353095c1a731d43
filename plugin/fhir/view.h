/* fhir/view.h -- release-independent looks at a FHIR resource in its JSON index: paths, references, ids. */
#ifndef CDX_FHIR_VIEW_H
#define CDX_FHIR_VIEW_H

#include "core/err.h"
#include "fhir/json.h"

struct cdx_arena; /* core/arena.h */

/**
 * Call `each` for every value that a dotted path reaches from `from`; arrays on the way are flattened, the last array
 * too. "code.coding.code"; a step "value[x]" meets any member "value" + capital letter; "" is `from` itself.
 * `each` returns false to stop; then so does the walk. Returns false when stopped. Thread: any.
 */
bool cdx_path_walk(const struct cdx_json *j, cdx_node from, struct cdx_text path,
                   bool (*each)(void *arg, cdx_node value), void *arg);

/* What a Reference.reference text points to (FHIR R4 references.html 2.3.0). All borrowed from the text. */
struct cdx_reference {
    enum {
        CDX_REF_NONE,
        CDX_REF_RELATIVE,
        CDX_REF_ABSOLUTE,
        CDX_REF_CONTAINED,
        CDX_REF_URN,
        CDX_REF_CONDITIONAL
    } kind;
    struct cdx_text base;    /* absolute: up to and without the '/' before the type */
    struct cdx_text type;    /* relative, absolute, conditional: "Patient" */
    struct cdx_text id;      /* relative, absolute: "123" */
    struct cdx_text version; /* of /_history/version, else empty */
};

/* Splits; an absolute URL that is no RESTful resource URL has kind ABSOLUTE and empty type and id; NONE: not a reference at all. Thread: any. */
void cdx_reference_split(struct cdx_text text, struct cdx_reference *out);

/* 1..64 of [A-Za-z0-9.-] (FHIR id). */
bool cdx_id_valid(struct cdx_text id);
/* A capital letter, then letters and digits, at most 64: the form of a resource type's name (any release). */
bool cdx_type_name_valid(struct cdx_text type);

#endif
