/* model/change.h -- one change of one FHIR resource, as found in a source record. */
#ifndef CDX_MODEL_CHANGE_H
#define CDX_MODEL_CHANGE_H

#include "fhir/json.h"

enum cdx_interaction {
    CDX_UPSERT, /* the source does not say whether create or update; the trigger state decides */
    CDX_CREATE,
    CDX_UPDATE,
    CDX_DELETE,
};

/* "urn:uuid:..." of a transaction Bundle's entry and the "Type/id" that it stands for. */
struct cdx_urn {
    struct cdx_text urn;
    struct cdx_text reference;
};

/* All texts are borrowed: from the record, the source's configuration, or the event's arena. */
struct cdx_change {
    enum cdx_interaction interaction;
    uint32_t index;              /* place in its record: 0 for a single one */
    struct cdx_text base;        /* sources[].base, without a trailing '/' */
    struct cdx_text type, id;    /* "Encounter", "e1" */
    struct cdx_text version;     /* meta.versionId, or empty */
    struct cdx_text updated;     /* meta.lastUpdated as written, or empty */
    int64_t event_ms;            /* lastUpdated where it can be read, else the record's timestamp */
    const struct cdx_json *json; /* NULL for a delete */
    cdx_node root;               /* the resource in `json`; its raw bytes are what is sent */
    const struct cdx_urn *urns;  /* of the whole record */
    size_t urns_n;
};

struct cdx_changes {
    struct cdx_change *items; /* in the arena, in the order in which they happened */
    size_t n;
};

#endif
