/*
 * match/match.c -- of all that happens, who may and wants to hear of this?
 *
 * In:    a change, what the trigger state knows of its resource, the index, the rosters as a gate.
 * Out:   the subscriptions in id order (bytewise, so a replayed event gives the same deliveries), the patients that
 *        the event names, whether it is a create, update or delete, and why nobody gets it when nobody does.
 * Owns:  nothing; the result lives in the event's arena.
 *
 * Wanting comes before being allowed only in the order of the reasons: whoever is returned has passed both. A delete
 * carries no body, so it goes to those who got the last version and may still hear of all its patients; their filters
 * were met by that version (subscriptions.md 1.13: filters of a delete are evaluated on the last state).
 */
#include "match/match.h"

#include <stdlib.h>

#include "core/arena.h"
#include "match/index.h"
#include "match/members.h"
#include "match/topics.h"

/* One event on its way through. */
struct matching {
    const struct cdx_index *index;
    const struct cdx_change *change;
    const struct cdx_before *before; /* NULL: nothing is known */
    const struct cdx_gate *gate;
    int64_t wall_ms;
    struct cdx_arena *arena;
    struct cdx_match *out;
    struct cdx_err *err;
    struct cdx_hits hits;
    uint32_t *members; /* interned ids of out->members, in the arena */
};

static bool known(const struct matching *m)
{
    return m->before != NULL && m->before->known;
}

static enum cdx_interaction decide(const struct matching *m)
{
    if (m->change->interaction != CDX_UPSERT)
        return m->change->interaction;
    return known(m) ? CDX_UPDATE : CDX_CREATE;
}

static bool triggers(const struct cdx_topic_of *of, enum cdx_interaction interaction)
{
    return (of->topic->types[of->type].interactions & CDX_TRIGGERS(interaction)) != 0;
}

static enum cdx_code no_memory(struct matching *m)
{
    return cdx_fail(m->err, CDX_NOMEM, "match: the result of one event does not fit its memory");
}

/* -- allowed -------------------------------------------------------------------------------------------------- */

static bool ended(const struct matching *m, const struct cdx_sub *sub)
{
    return sub->end_ms != 0 && m->wall_ms >= sub->end_ms;
}

/* Every patient must be in the roster; no patient at all is nobody's event. */
static bool allowed(const struct matching *m, uint32_t roster)
{
    if (roster == CDX_ROSTER_NONE || m->out->members_n == 0)
        return false;
    if (roster == CDX_ROSTER_ALL)
        return true;
    for (size_t i = 0; i < m->out->members_n; i++)
        if (m->members[i] == UINT32_MAX || !m->gate->has(m->gate->arg, roster, m->members[i]))
            return false;
    return true;
}

static bool intern_members(struct matching *m)
{
    m->members = cdx_arena_alloc(m->arena, (m->out->members_n + 1) * sizeof *m->members);
    if (m->members == NULL)
        return false;
    for (size_t i = 0; i < m->out->members_n; i++)
        m->members[i] = m->gate->member(m->gate->arg, m->out->members[i]);
    return true;
}

static int by_id(const void *a, const void *b)
{
    const struct cdx_sub *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

/* The hits that have not ended, in id order, each once; many of one roster ask the gate once in a row. */
static enum cdx_code admit(struct matching *m)
{
    struct cdx_match *out = m->out;
    uint32_t last = CDX_ROSTER_NONE;
    bool last_allowed = false;
    size_t n = 0;

    out->subs = cdx_arena_alloc(m->arena, (m->hits.n + 1) * sizeof *out->subs);
    if (out->subs == NULL || !intern_members(m))
        return no_memory(m);
    for (size_t i = 0; i < m->hits.n; i++) {
        if (m->hits.items[i].roster != last) {
            last = m->hits.items[i].roster;
            last_allowed = allowed(m, last);
        }
        if (last_allowed)
            out->subs[n++] = m->hits.items[i].sub;
    }
    qsort(out->subs, n, sizeof *out->subs, by_id);
    for (size_t i = 0; i < n; i++)
        if (out->subs_n == 0 || out->subs[out->subs_n - 1] != out->subs[i])
            out->subs[out->subs_n++] = out->subs[i];
    return CDX_OK;
}

static void drop_ended(struct matching *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->hits.n; i++)
        if (!ended(m, m->hits.items[i].sub))
            m->hits.items[n++] = m->hits.items[i];
    m->hits.n = n;
}

/* -- a delete ------------------------------------------------------------------------------------------------- */

static enum cdx_code keep_members(struct matching *m)
{
    const struct cdx_before *before = m->before;

    m->out->members = cdx_arena_alloc(m->arena, (before->members_n + 1) * sizeof *m->out->members);
    if (m->out->members == NULL)
        return no_memory(m);
    for (size_t i = 0; i < before->members_n; i++)
        m->out->members[i] = before->members[i];
    m->out->members_n = before->members_n;
    return CDX_OK;
}

static bool topic_triggers(const struct cdx_topic_of *of, const struct cdx_topic *topic,
                           enum cdx_interaction interaction)
{
    for (; of != NULL; of = of->next)
        if (of->topic == topic)
            return triggers(of, interaction);
    return false;
}

/* Those who got the last version, still exist, and whose topic tells of deletes. */
static enum cdx_code find_receivers(struct matching *m, const struct cdx_topic_of *of)
{
    for (size_t i = 0; i < m->before->receivers_n; i++) {
        const struct cdx_topic *topic;
        struct cdx_hit hit;
        if (!cdx_index_find(m->index, m->before->receivers[i], &hit, &topic) ||
            !topic_triggers(of, topic, CDX_DELETE))
            continue;
        if (!cdx_hits_add(&m->hits, m->arena, hit))
            return no_memory(m);
    }
    return CDX_OK;
}

/* -- a create or update --------------------------------------------------------------------------------------- */

static enum cdx_code find_wanting(struct matching *m, const struct cdx_topic_of *of)
{
    struct cdx_looking looking = {
        .change = m->change, .arena = m->arena, .hits = &m->hits, .err = m->err};
    const struct cdx_restype *type = of->topic->types[of->type].type;
    enum cdx_code rc = CDX_OK;

    looking.values = cdx_arena_zalloc(m->arena, type->params_n + 1, sizeof *looking.values);
    if (looking.values == NULL)
        return no_memory(m);
    for (; rc == CDX_OK && of != NULL; of = of->next)
        if (triggers(of, m->out->interaction))
            rc = cdx_index_look(m->index, of, &looking);
    return rc;
}

static enum cdx_code find_members(struct matching *m, const struct cdx_restype *type,
                                  bool *unresolved)
{
    struct cdx_members members;
    enum cdx_code rc = cdx_members_of(cdx_topics_definitions(cdx_index_topics(m->index)), type,
                                      m->change, m->arena, &members, m->err);

    if (rc != CDX_OK)
        return rc;
    m->out->members = members.keys;
    m->out->members_n = members.n;
    *unresolved = members.unresolved;
    return CDX_OK;
}

/* -- the order of reasons ------------------------------------------------------------------------------------- */

static bool any_triggers(const struct cdx_topic_of *of, enum cdx_interaction interaction)
{
    for (; of != NULL; of = of->next)
        if (triggers(of, interaction))
            return true;
    return false;
}

static bool any_subscribed(const struct matching *m, const struct cdx_topic_of *of)
{
    for (; of != NULL; of = of->next)
        if (triggers(of, m->out->interaction) && cdx_index_has_topic(m->index, of->topic))
            return true;
    return false;
}

static enum cdx_code conclude(struct matching *m, bool unresolved)
{
    struct cdx_match *out = m->out;
    enum cdx_code rc;

    drop_ended(m);
    if (m->hits.n == 0)
        out->why = CDX_WHY_NO_SUBSCRIPTION;
    else if (unresolved)
        out->why = CDX_WHY_UNRESOLVED;
    else if (out->members_n == 0)
        out->why = CDX_WHY_NO_PATIENT;
    else {
        rc = admit(m);
        if (rc != CDX_OK)
            return rc;
        out->why = out->subs_n != 0 ? CDX_WHY_MATCHED : CDX_WHY_NOT_MEMBER;
    }
    return CDX_OK;
}

static enum cdx_code match_delete(struct matching *m, const struct cdx_topic_of *of)
{
    enum cdx_code rc = known(m) ? keep_members(m) : CDX_OK;

    if (rc != CDX_OK)
        return rc;
    if (!any_triggers(of, CDX_DELETE)) {
        m->out->why = CDX_WHY_NO_TOPIC;
        return CDX_OK;
    }
    if (!known(m)) {
        m->out->why = any_subscribed(m, of) ? CDX_WHY_UNKNOWN_DELETE : CDX_WHY_NO_SUBSCRIPTION;
        return CDX_OK;
    }
    rc = find_receivers(m, of);
    return rc == CDX_OK ? conclude(m, false) : rc;
}

static enum cdx_code match_write(struct matching *m, const struct cdx_topic_of *of)
{
    bool unresolved = false;
    enum cdx_code rc;

    if (m->change->json == NULL)
        return cdx_fail(m->err, CDX_INPUT, "match: a %.*s is created or updated without a body",
                        CDX_TEXT(m->change->type));
    rc = find_members(m, of->topic->types[of->type].type, &unresolved);
    if (rc != CDX_OK)
        return rc;
    if (!any_triggers(of, m->out->interaction)) {
        m->out->why = CDX_WHY_NO_TOPIC;
        return CDX_OK;
    }
    rc = find_wanting(m, of);
    return rc == CDX_OK ? conclude(m, unresolved) : rc;
}

enum cdx_code cdx_match(const struct cdx_index *index, const struct cdx_change *change,
                        const struct cdx_before *before, const struct cdx_gate *gate,
                        int64_t wall_ms, struct cdx_arena *arena, struct cdx_match *out,
                        struct cdx_err *err)
{
    const struct cdx_topic_of *of = cdx_topics_of(cdx_index_topics(index), change->type);
    struct matching m = {.index = index,
                         .change = change,
                         .before = before,
                         .gate = gate,
                         .wall_ms = wall_ms,
                         .arena = arena,
                         .out = out,
                         .err = err};

    *out = (struct cdx_match){.why = CDX_WHY_NO_TOPIC};
    out->interaction = decide(&m);
    if (of == NULL) /* before the patients are looked for: a roster Group on the bus is no error */
        return CDX_OK;
    return out->interaction == CDX_DELETE ? match_delete(&m, of) : match_write(&m, of);
}
