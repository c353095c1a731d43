/*
 * match/match.h -- of all that happens, who may and wants to hear of this?
 *
 * Topics (R5 SubscriptionTopic, JSON) and subscriptions are compiled into an index that never changes: flow makes a
 * new one from the old one and a few differences, and swaps it in. Pure: what it needs of the outside (create or
 * update, receivers of the last version, rosters) is passed in.
 */
#ifndef CDX_MATCH_MATCH_H
#define CDX_MATCH_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"
#include "model/change.h"

struct cdx_arena; /* core/arena.h */
struct cdx_sub;   /* model/subscription.h */
struct cdx_topics;
struct cdx_index;

/* -- definitions ---------------------------------------------------------------------------------------------- */

/**
 * The data that the engine knows FHIR by: `dir` is a folder of mappings/ that holds `search-r4.csv` (resource, code,
 * type, expression, targets) and `patient-compartment-r4.csv` (resource, param; `{def}` for Patient itself).
 * Expressions are compiled as far as the simple-path subset goes (dotted paths, `|`, `as`, `.where(resolve() is X)`,
 * `.as(X)`); others are kept with their reason, so that whoever names one is told.
 * Returns owned or NULL (CDX_CONFIG: file and line). Thread: one; read by any afterwards.
 */
struct cdx_definitions *cdx_definitions_load(const char *dir, struct cdx_err *err);
void cdx_definitions_destroy(struct cdx_definitions *defs);

/* -- topics --------------------------------------------------------------------------------------------------- */

/* defs is borrowed and must outlive the set. Returns owned. */
struct cdx_topics *cdx_topics_create(const struct cdx_definitions *defs, struct cdx_err *err);
/* Counted: an index holds one. */
struct cdx_topics *cdx_topics_ref(struct cdx_topics *topics);
void cdx_topics_unref(struct cdx_topics *topics);
/**
 * Add one SubscriptionTopic; `name` is its file, for error texts. Errors: CDX_CONFIG (path in the resource, reason).
 * What this engine cannot evaluate yet (queryCriteria, fhirPathCriteria, eventTrigger) refuses the topic: a topic is
 * never half understood.
 */
enum cdx_code cdx_topics_add(struct cdx_topics *topics, struct cdx_text json, const char *name,
                             struct cdx_err *err) CDX_MUST_CHECK;
size_t cdx_topics_count(const struct cdx_topics *topics);
/* Does any topic need the trigger state of this resource type? (an interaction that the source may not state, deletes) */
bool cdx_topics_needs_state(const struct cdx_topics *topics, struct cdx_text type);

/**
 * Would this subscription be understood? Topic known, each filter in the topic's canFilterBy (or type-qualified to one
 * of its triggers), parameter compiled, modifier allowed (none today), values well formed.
 * Errors: CDX_INPUT with the element path, the reason and what would be accepted.
 */
enum cdx_code cdx_topics_accepts(const struct cdx_topics *topics, const struct cdx_sub *sub,
                                 struct cdx_err *err) CDX_MUST_CHECK;

/* -- the index ------------------------------------------------------------------------------------------------ */

/* One subscription put into an index. `roster` is what its client may see. */
struct cdx_index_put {
    struct cdx_sub *sub; /* a reference is taken */
    uint32_t roster;     /* roster id of its client; CDX_ROSTER_ALL, CDX_ROSTER_NONE */
};
#define CDX_ROSTER_ALL UINT32_MAX
#define CDX_ROSTER_NONE (UINT32_MAX - 1)

/**
 * A new index: `old` (NULL: empty) with `put` added or replaced by id and `gone` (ids) removed. A subscription that
 * cdx_topics_accepts refuses is CDX_INPUT for the whole call and must be kept out by the caller.
 * Cost: proportional to the differences (base and delta; merged when the delta is an eighth of the base).
 * Returns owned (one reference) or NULL. `old` keeps its own reference. Thread: one builder at a time; readers any.
 */
struct cdx_index *cdx_index_make(struct cdx_index *old, struct cdx_topics *topics,
                                 const struct cdx_index_put *put, size_t put_n,
                                 const char *const *gone, size_t gone_n, struct cdx_err *err);
struct cdx_index *cdx_index_ref(struct cdx_index *index);
void cdx_index_unref(struct cdx_index *index);
size_t cdx_index_count(const struct cdx_index *index);
/* Bytes of memory held, subs excluded: for the bench. */
size_t cdx_index_bytes(const struct cdx_index *index);
/* The subscription with this id, or NULL; borrowed from the index. */
struct cdx_sub *cdx_index_sub(const struct cdx_index *index, struct cdx_text id, uint32_t *roster);

/* -- an event ------------------------------------------------------------------------------------------------- */

/* What flow knows of the rosters; calls are made while matching one event. */
struct cdx_gate {
    void *arg;
    /* The interned id of a member key ("<base>/Patient/<id>"), or UINT32_MAX when in no roster at all. */
    uint32_t (*member)(void *arg, struct cdx_text key);
    bool (*has)(void *arg, uint32_t roster, uint32_t member);
};

/* What the trigger state knows of the resource before this change. */
struct cdx_before {
    bool known;                     /* it exists (and was not deleted) */
    const struct cdx_text *members; /* member keys of its last version */
    size_t members_n;
    const struct cdx_text *receivers; /* ids of subscriptions that got its last version */
    size_t receivers_n;
};

enum cdx_why {
    CDX_WHY_MATCHED,
    CDX_WHY_NO_TOPIC,
    CDX_WHY_NO_SUBSCRIPTION,
    CDX_WHY_NO_PATIENT,
    CDX_WHY_UNRESOLVED,
    CDX_WHY_NOT_MEMBER,
    CDX_WHY_UNKNOWN_DELETE
};

struct cdx_match {
    enum cdx_interaction interaction; /* CREATE, UPDATE or DELETE: decided */
    enum cdx_why why;      /* the first reason in the order above that explains an empty result */
    struct cdx_sub **subs; /* in the arena, borrowed from the index, in id order (bytewise) */
    size_t subs_n;
    struct cdx_text
        *members; /* keys of every patient that the event names; of the last version for a delete */
    size_t members_n;
};

/**
 * Who gets this change? Every patient that it names by the R4 patient compartment (included resources too, once there
 * are any) must be in the subscriber's roster. A patient that cannot be told (contained, logical or conditional
 * reference) makes it UNRESOLVED: nobody gets it. A patient reference of another base is the member of that base.
 * wall_ms: for `end`. The result lives in `arena`.
 * Errors: CDX_INPUT (more patients than CDX_MAX_EVENT_MEMBERS), CDX_NOMEM.
 * Thread: any, the index is only read.
 */
enum cdx_code cdx_match(const struct cdx_index *index, const struct cdx_change *change,
                        const struct cdx_before *before, const struct cdx_gate *gate,
                        int64_t wall_ms, struct cdx_arena *arena, struct cdx_match *out,
                        struct cdx_err *err) CDX_MUST_CHECK;

#endif
