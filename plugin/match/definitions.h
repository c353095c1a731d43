/* match/definitions.h -- search parameters and the patient compartment as data, looked up by type and name. */
#ifndef CDX_MATCH_DEFINITIONS_H
#define CDX_MATCH_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"

struct cdx_definitions;

enum cdx_ptype { CDX_P_TOKEN, CDX_P_STRING, CDX_P_REFERENCE, CDX_P_OTHER };

/* One alternative of an expression, ready for cdx_path_walk. All texts are borrowed from the definitions. */
struct cdx_ppath {
    struct cdx_text path; /* "subject", "valueCodeableConcept", "component.code" */
    struct cdx_text only; /* where(resolve() is X): "X", else empty */
    bool contact;         /* ends in a ContactPoint: its system is no token system */
    bool id;              /* the resource's own id: compared with its case */
};

struct cdx_param {
    struct cdx_text code;
    struct cdx_text type_name; /* "token", "date", ... as written */
    struct cdx_text expression;
    struct cdx_text targets; /* "Patient|Group", or empty: any */
    struct cdx_text target;  /* the only target type, or empty */
    enum cdx_ptype type;
    const struct cdx_ppath *paths; /* NULL when `reason` is set */
    size_t paths_n;
    const char *reason; /* why it is not compiled; static; NULL: it is */
    uint32_t slot;      /* its place among the type's parameters */
};

/* One row of the compartment for a type. */
struct cdx_compartment {
    const struct cdx_param *param;
    bool
        subject; /* says whom the resource is about: a reference here that names no type is taken for a patient */
};

struct cdx_restype {
    struct cdx_text name;
    struct cdx_param *params;
    size_t params_n;
    struct cdx_compartment *compartment;
    size_t compartment_n;
    bool self; /* the type is the patient ({def}) */
};

/* NULL: no such type. Thread: any, as below. */
const struct cdx_restype *cdx_definitions_type(const struct cdx_definitions *defs,
                                               struct cdx_text name);
const struct cdx_param *cdx_restype_param(const struct cdx_restype *type, struct cdx_text code);
/* Is `type` one of the parameter's targets? True for any when it lists none. */
bool cdx_param_targets(const struct cdx_param *param, struct cdx_text type);

#endif
