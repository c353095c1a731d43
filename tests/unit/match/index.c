/* The index and cdx_match: cases as folders, an oracle that knows no index, differences, deletes, and memory that ends. */
#include "world.h"

#include <dirent.h>

#include "core/limits.h"
#include "model/conf.h"

#define PUT(s, r) ((struct cdx_index_put){.sub = (s), .roster = (r)})

static const char *const whys[] = {
    [CDX_WHY_MATCHED] = "matched",
    [CDX_WHY_NO_TOPIC] = "no-topic",
    [CDX_WHY_NO_SUBSCRIPTION] = "no-subscription",
    [CDX_WHY_NO_PATIENT] = "no-patient",
    [CDX_WHY_UNRESOLVED] = "unresolved",
    [CDX_WHY_NOT_MEMBER] = "not-member",
    [CDX_WHY_UNKNOWN_DELETE] = "unknown-delete",
};

static struct cdx_arena *arena;
static struct world_roster roster;
static const struct cdx_gate gate = {.arg = &roster, .member = world_member, .has = world_has};

static void set_up(void)
{
    arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    roster = (struct world_roster){.keys = {BASE "/Patient/1", BASE "/Patient/2"}, .n = 2};
}

static void tear_down(void)
{
    cdx_arena_destroy(arena);
}

#define HEAD "{\"resourceType\":\"SubscriptionTopic\",\"url\":\"" TOPIC "\",\"status\":\"active\","
#define FILTERS                                                                                                             \
    "\"canFilterBy\":[{\"filterParameter\":\"patient\"},{\"filterParameter\":\"code\"},{\"filterParameter\":\"category\"}," \
    "{\"filterParameter\":\"status\"}]}"
static const char *const plain =
    HEAD "\"resourceTrigger\":[{\"resource\":\"Observation\"}]," FILTERS;

#define OBSERVATION                                                                                \
    "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/1\"}}"

static struct cdx_match match_change(const struct cdx_index *index, const struct cdx_change *change,
                                     const struct cdx_before *before, int64_t wall_ms)
{
    struct cdx_err err = {0};
    struct cdx_match match;

    CU_ASSERT_EQUAL(cdx_match(index, change, before, &gate, wall_ms, arena, &match, &err), CDX_OK);
    return match;
}

static struct cdx_match match_json(const struct cdx_index *index, const char *json)
{
    struct cdx_change change = world_change("Observation", "o", json, arena);

    return match_change(index, &change, NULL, 0);
}

/* -- the cases ------------------------------------------------------------------------------------------------ */

static char *read_case(const char *dir, const char *file)
{
    char path[512];
    struct cdx_err err = {0};
    size_t n;
    char *text;

    snprintf(path, sizeof path, "tests/cases/match/%s/%s", dir, file);
    text = cdx_file_read(path, 1 << 20, &n, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static void fill_roster(char *text)
{
    roster.n = 0;
    for (char *line = text; *line != '\0' && roster.n < CDX_COUNT(roster.keys);) {
        char *end = line + strcspn(line, "\n");
        roster.keys[roster.n++] = line;
        line = *end != '\0' ? end + 1 : end;
        *end = '\0';
    }
}

static void run_case(const char *name)
{
    char *topic_json = read_case(name, "topic.json"),
         *sub_json = read_case(name, "subscription.json");
    char *event = read_case(name, "event.json"), *members = read_case(name, "roster"),
         *expect = read_case(name, "expect");
    const char *json = topic_json;
    struct cdx_topics *topics = world_topics(&json, 1);
    struct cdx_err err = {0};
    struct cdx_sub *sub = cdx_sub_parse(cdx_text_z(sub_json), &err);
    struct cdx_index *index;
    struct cdx_change change;
    struct cdx_match match;
    struct cdx_text type, id;

    CU_ASSERT_PTR_NOT_NULL_FATAL(sub);
    index = world_index(NULL, topics, &sub, 1, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(index);
    fill_roster(members);
    change = world_change("", "", event, arena);
    type = cdx_json_string(change.json, cdx_json_get(change.json, 0, "resourceType"), arena);
    id = cdx_json_string(change.json, cdx_json_get(change.json, 0, "id"), arena);
    change.type = type;
    change.id = id;
    match = match_change(index, &change, NULL, 0);
    expect[strcspn(expect, "\n")] = '\0';
    if (strcmp(whys[match.why], expect) != 0) {
        fprintf(stderr, "%s: %s\n", name, whys[match.why]);
        CU_FAIL("the case's expect differs");
    }
    CU_ASSERT_EQUAL(match.subs_n, strcmp(expect, "matched") == 0);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
    free(topic_json);
    free(sub_json);
    free(event);
    free(members);
    free(expect);
    cdx_arena_reset(arena);
}

static void every_case_comes_out_as_expected(void)
{
    DIR *dir = opendir("tests/cases/match");
    size_t n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') {
            run_case(e->d_name);
            n++;
        }
    closedir(dir);
    CU_ASSERT(n > 80);
}

/* -- the oracle ----------------------------------------------------------------------------------------------- */

static uint64_t dice_state;

static unsigned dice(unsigned n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((dice_state >> 33) % n);
}

/* What a subscription asks for and an event holds, as bits; written to FHIR by one function each. */
struct plan {
    unsigned patients; /* of 6 */
    unsigned codes;    /* of 5 codes */
    unsigned systems;  /* of 3 systems: system| */
    unsigned pairs;    /* of 15: system|code, system = i / 5, code = i % 5 */
    unsigned statuses; /* of 3 */
};

static const char *const status_names[] = {"final", "amended", "preliminary"};

static size_t add_list(char *out, const char *name, const char *const *values, size_t n)
{
    size_t at = (size_t)snprintf(out, 64, "%s=", name);

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, 64, "%s%s", i != 0 ? "," : "", values[i]);
    return n;
}

/* A random plan and its filters. */
static struct cdx_sub *random_sub(const char *id, struct plan *p)
{
    char filter[3][1024], text[32][64];
    const char *filters[3], *values[32];
    size_t n = 0, v = 0, t = 0;

    *p = (struct plan){0};
    if (dice(4) != 0) {
        for (unsigned k = 1 + dice(3); k > 0; k--)
            p->patients |= 1u << dice(6);
        for (unsigned i = 0; i < 6; i++)
            if ((p->patients >> i & 1) != 0) {
                snprintf(text[t], sizeof text[t], dice(2) != 0 ? "Patient/%u" : BASE "/Patient/%u",
                         i);
                values[v++] = text[t++];
            }
        add_list(filter[n], "patient", values, v);
        n++;
    }
    if (dice(2) != 0) {
        v = 0;
        for (unsigned k = 1 + dice(3); k > 0; k--) {
            unsigned form = dice(3), i = dice(15);
            if (form == 0) {
                p->codes |= 1u << i % 5;
                snprintf(text[t], sizeof text[t], "c%u", i % 5);
            } else if (form == 1) {
                p->systems |= 1u << i / 5;
                snprintf(text[t], sizeof text[t], "urn:s:%u|", i / 5);
            } else {
                p->pairs |= 1u << i;
                snprintf(text[t], sizeof text[t], "urn:s:%u|C%u", i / 5, i % 5);
            }
            values[v++] = text[t++];
        }
        add_list(filter[n], "code", values, v);
        n++;
    }
    if (dice(3) == 0) {
        unsigned s = dice(3);
        p->statuses = 1u << s;
        values[0] = status_names[s];
        add_list(filter[n], "Observation?status", values, 1);
        n++;
    }
    for (size_t i = 0; i < n; i++)
        filters[i] = filter[i];
    return world_sub_of(id, TOPIC, filters, n, "");
}

/* One patient, some pairs, one status. */
static char *random_event(struct plan *e)
{
    static char json[4096];
    unsigned patient = dice(6), status = dice(3);
    size_t at;

    *e = (struct plan){.patients = 1u << patient, .statuses = 1u << status};
    at = (size_t)snprintf(
        json, sizeof json,
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"%s\",\"subject\":{\"reference\":\"Patient/%u\"},"
        "\"code\":{\"coding\":[",
        status_names[status], patient);
    for (unsigned k = dice(4), i = 0; i < k; i++) {
        unsigned pair = dice(15);
        e->pairs |= 1u << pair;
        at += (size_t)snprintf(json + at, sizeof json - at,
                               "%s{\"system\":\"urn:s:%u\",\"code\":\"c%u\"}", i != 0 ? "," : "",
                               pair / 5, pair % 5);
    }
    snprintf(json + at, sizeof json - at, "]}}");
    return json;
}

static bool naive(const struct plan *s, const struct plan *e)
{
    unsigned codes = 0, systems = 0;

    for (unsigned i = 0; i < 15; i++)
        if ((e->pairs >> i & 1) != 0) {
            codes |= 1u << i % 5;
            systems |= 1u << i / 5;
        }
    if (s->patients != 0 && (s->patients & e->patients) == 0)
        return false;
    if (s->statuses != 0 && (s->statuses & e->statuses) == 0)
        return false;
    if ((s->codes | s->systems | s->pairs) == 0)
        return true;
    return (s->codes & codes) != 0 || (s->systems & systems) != 0 || (s->pairs & e->pairs) != 0;
}

#define SUBS 300

static void check_against_naive(const struct cdx_index *index, const struct plan *plans,
                                const bool *there)
{
    struct plan e;
    const char *json = random_event(&e);
    struct cdx_match match = match_json(index, json);
    size_t at = 0;

    for (size_t i = 0; i < SUBS; i++) {
        char id[32];
        if (!there[i] || !naive(&plans[i], &e))
            continue;
        snprintf(id, sizeof id, "s%03zu", i); /* three digits: bytewise order is this order */
        if (at == match.subs_n || strcmp(match.subs[at]->id, id) != 0) {
            CU_FAIL("a subscription is missing, or out of order");
            return;
        }
        at++;
    }
    CU_ASSERT_EQUAL(at, match.subs_n);
    cdx_arena_reset(arena);
}

/* The index answers as a naive check of every subscription does, through many differences. */
static void index_agrees_with_a_naive_evaluation(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    static struct plan plans[SUBS];
    static bool there[SUBS];
    struct cdx_index *index = NULL;
    struct cdx_err err = {0};

    dice_state = 20301;
    for (unsigned round = 0; round < 150; round++) {
        struct cdx_index_put put[40];
        const char *gone[4];
        char gone_ids[4][32];
        size_t put_n = round == 0 ? CDX_COUNT(put) : dice(round % 10 == 0 ? 40 : 4),
               gone_n = dice(3);
        struct cdx_index *next;
        for (size_t i = 0; i < gone_n; i++) {
            unsigned k = dice(SUBS);
            snprintf(gone_ids[i], sizeof gone_ids[i], "s%03u", k);
            gone[i] = gone_ids[i];
            there[k] = false;
        }
        for (size_t i = 0; i < put_n; i++) {
            unsigned k = dice(SUBS);
            char id[32];
            snprintf(id, sizeof id, "s%03u", k);
            put[i] = PUT(random_sub(id, &plans[k]), CDX_ROSTER_ALL);
            there[k] = true;
        }
        next = cdx_index_make(index, topics, put, put_n, gone, gone_n, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(next);
        for (size_t i = 0; i < put_n; i++)
            cdx_sub_unref(put[i].sub);
        cdx_index_unref(index);
        index = next;
        for (unsigned k = 0; k < 10; k++)
            check_against_naive(index, plans, there);
    }
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* -- differences ---------------------------------------------------------------------------------------------- */

/* s0..s<n-1>, all for Patient/1. */
static struct cdx_index *many(struct cdx_topics *topics, size_t n)
{
    struct cdx_sub **subs = calloc(n, sizeof(struct cdx_sub *));
    struct cdx_index *index;
    char id[32];

    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof id, "s%zu", i);
        subs[i] = world_sub(id, "patient=Patient/1");
    }
    index = world_index(NULL, topics, subs, n, 1);
    free(subs);
    return index;
}

static void a_replaced_one_shadows_the_base(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_index *old = many(topics, 100), *index;
    struct cdx_sub *sub = world_sub("s7", "patient=Patient/2");
    struct cdx_match match;
    uint32_t r = 0;

    index = world_index(old, topics, &sub, 1, 1);
    CU_ASSERT_EQUAL(cdx_index_count(index), 100);
    match = match_json(index, OBSERVATION);
    CU_ASSERT_EQUAL(match.subs_n, 99);
    match = match_json(old, OBSERVATION); /* the old index is as it was */
    CU_ASSERT_EQUAL(match.subs_n, 100);
    CU_ASSERT_PTR_EQUAL(cdx_index_sub(index, CDX_LIT("s7"), &r), sub);
    CU_ASSERT_EQUAL(r, 1);
    CU_ASSERT_PTR_NOT_EQUAL(cdx_index_sub(old, CDX_LIT("s7"), NULL), sub);
    cdx_index_unref(old);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

static void a_gone_one_is_not_found(void)
{
    const char *gone[] = {"s7", "s8", "unknown"};
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_index *old = many(topics, 100), *index;
    struct cdx_err err = {0};

    index = cdx_index_make(old, topics, NULL, 0, gone, 3, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(index);
    CU_ASSERT_EQUAL(cdx_index_count(index), 98);
    CU_ASSERT_PTR_NULL(cdx_index_sub(index, CDX_LIT("s7"), NULL));
    CU_ASSERT_EQUAL(match_json(index, OBSERVATION).subs_n, 98);
    cdx_index_unref(old);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

static void the_last_put_of_an_id_counts(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *subs[] = {world_sub("a", "patient=Patient/1"),
                              world_sub("a", "patient=Patient/2")};
    struct cdx_index *index = world_index(NULL, topics, subs, 2, 1);

    CU_ASSERT_EQUAL(cdx_index_count(index), 1);
    CU_ASSERT_EQUAL(match_json(index, OBSERVATION).why, CDX_WHY_NO_SUBSCRIPTION);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

static void a_subscription_that_is_not_understood_refuses_the_call(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *sub = world_sub("a", "performer=Patient/1");
    struct cdx_index_put put = PUT(sub, 1);
    struct cdx_err err = {0};

    CU_ASSERT_PTR_NULL(cdx_index_make(NULL, topics, &put, 1, NULL, 0, &err));
    CU_ASSERT_EQUAL(err.code, CDX_INPUT);
    cdx_sub_unref(sub);
    cdx_topics_unref(topics);
}

/* -- the result ----------------------------------------------------------------------------------------------- */

static void results_are_in_bytewise_id_order(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *subs[] = {world_sub("b", "patient=Patient/1"), world_sub("a10", NULL),
                              world_sub("a2", "status=final"),
                              world_sub("B", "patient=Patient/1,1"),
                              world_sub("-", "patient=Patient/1")};
    struct cdx_index *index = world_index(NULL, topics, subs, 5, 1);
    struct cdx_match match = match_json(index, OBSERVATION);

    CU_ASSERT_STRING_EQUAL(world_ids(&match),
                           "- B a10 a2 b"); /* each once, also where two values of a list are met */
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* design.md 3: first sight of a resource = create; what the source states stays. */
static void the_interaction_is_decided(void)
{
    static const struct {
        enum cdx_interaction stated;
        bool known;
        enum cdx_interaction decided;
    } rows[] = {
        {CDX_UPSERT, false, CDX_CREATE},
        {CDX_UPSERT, true, CDX_UPDATE},
        {CDX_CREATE, true, CDX_CREATE},
        {CDX_UPDATE, false, CDX_UPDATE},
    };
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *sub = world_sub("a", NULL);
    struct cdx_index *index = world_index(NULL, topics, &sub, 1, 1);

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_before before = {.known = rows[i].known};
        struct cdx_change change = world_change("Observation", "o", OBSERVATION, arena);
        change.interaction = rows[i].stated;
        CU_ASSERT_EQUAL(match_change(index, &change, &before, 0).interaction, rows[i].decided);
    }
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* R5 SubscriptionTopic.resourceTrigger.supportedInteraction: only those listed. */
static void only_supported_interactions_trigger(void)
{
    const char *json = HEAD
        "\"resourceTrigger\":[{\"resource\":\"Observation\",\"supportedInteraction\":[\"update\"]}]}";
    struct cdx_topics *topics = world_topics(&json, 1);
    struct cdx_sub *sub = world_sub("a", NULL);
    struct cdx_index *index = world_index(NULL, topics, &sub, 1, 1);
    struct cdx_before before = {.known = false};
    struct cdx_change change = world_change("Observation", "o", OBSERVATION, arena);
    struct cdx_match match = match_change(index, &change, &before, 0);

    CU_ASSERT_EQUAL(match.why, CDX_WHY_NO_TOPIC);
    CU_ASSERT_EQUAL(match.members_n, 1); /* the state is kept all the same */
    before.known = true;
    CU_ASSERT_EQUAL(match_change(index, &change, &before, 0).why, CDX_WHY_MATCHED);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* FHIR R4 Subscription.end: when the server turns it off. */
static void nothing_is_matched_from_the_end_on(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *sub = world_sub_of("a", TOPIC, NULL, 0, ",\"end\":\"1970-01-01T00:00:10Z\"");
    struct cdx_index *index = world_index(NULL, topics, &sub, 1, 1);
    struct cdx_change change = world_change("Observation", "o", OBSERVATION, arena);

    CU_ASSERT_EQUAL(match_change(index, &change, NULL, 9999).why, CDX_WHY_MATCHED);
    CU_ASSERT_EQUAL(match_change(index, &change, NULL, 10000).why, CDX_WHY_NO_SUBSCRIPTION);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* design.md 7: a client whose roster is "*" gets everyone, one without a roster nothing. */
static void rosters_of_all_and_of_none(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *all = world_sub("all", NULL), *none = world_sub("none", NULL);
    struct cdx_index *index = world_index(NULL, topics, &all, 1, CDX_ROSTER_ALL), *both;
    struct cdx_match match;

    both = world_index(index, topics, &none, 1, CDX_ROSTER_NONE);
    roster.n = 0;
    match = match_json(both, OBSERVATION);
    CU_ASSERT_STRING_EQUAL(world_ids(&match), "all");
    match = match_json(
        both, "{\"resourceType\":\"Observation\",\"id\":\"o\",\"subject\":{\"display\":\"x\"}}");
    CU_ASSERT_EQUAL(match.why, CDX_WHY_UNRESOLVED); /* "nobody gets it" */
    CU_ASSERT_EQUAL(match.subs_n, 0);
    cdx_index_unref(index);
    cdx_index_unref(both);
    cdx_topics_unref(topics);
}

static void subscriptions_of_one_roster_ask_it_once(void)
{
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_index *index = many(topics, 50);

    CU_ASSERT_EQUAL(match_json(index, OBSERVATION).subs_n, 50);
    CU_ASSERT_EQUAL(roster.asked, 1);
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* A transaction's urn stands for the entry that it names (FHIR R4 http.html 3.1.0.11.2). */
static void a_urn_of_the_record_is_its_patient(void)
{
    static const char json[] =
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"subject\":{\"reference\":\"urn:uuid:6B1A0C0E-0000-4000-8000-000000000001\"}}";
    const struct cdx_urn urn = {CDX_LIT("urn:uuid:6b1a0c0e-0000-4000-8000-000000000001"),
                                CDX_LIT("Patient/2")};
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_sub *subs[] = {
        world_sub("a", "patient=Patient/2"), world_sub("b", "patient=Patient/1"),
        world_sub("c", NULL),
        world_sub("d", "patient=urn:uuid:6b1a0c0e-0000-4000-8000-000000000001")};
    struct cdx_index *index = world_index(NULL, topics, subs, 4, 1);
    struct cdx_change change = world_change("Observation", "o", json, arena);
    struct cdx_match match;

    change.urns = &urn;
    change.urns_n = 1;
    match = match_change(index, &change, NULL, 0);
    CU_ASSERT_STRING_EQUAL(world_ids(&match), "a c d");
    CU_ASSERT_EQUAL_FATAL(match.members_n, 1);
    CU_ASSERT(cdx_text_is(match.members[0], BASE "/Patient/2"));
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

static void more_patients_than_the_bound_are_refused(void)
{
    const char *json = HEAD "\"resourceTrigger\":[{\"resource\":\"Group\"}]}";
    struct cdx_topics *topics = world_topics(&json, 1);
    struct cdx_sub *sub = world_sub("a", NULL);
    struct cdx_index *index = world_index(NULL, topics, &sub, 1, CDX_ROSTER_ALL);

    for (size_t n = CDX_MAX_EVENT_MEMBERS; n <= CDX_MAX_EVENT_MEMBERS + 1; n++) {
        static char text[8192];
        size_t at = (size_t)snprintf(text, sizeof text,
                                     "{\"resourceType\":\"Group\",\"id\":\"g\",\"member\":[");
        struct cdx_err err = {0};
        struct cdx_match match;
        struct cdx_change change;
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(text + at, sizeof text - at,
                                   "%s{\"entity\":{\"reference\":\"Patient/%zu\"}}",
                                   i != 0 ? "," : "", i);
        snprintf(text + at, sizeof text - at, "]}");
        change = world_change("Group", "g", text, arena);
        CU_ASSERT_EQUAL(cdx_match(index, &change, NULL, &gate, 0, arena, &match, &err),
                        n <= CDX_MAX_EVENT_MEMBERS ? CDX_OK : CDX_INPUT);
        if (n <= CDX_MAX_EVENT_MEMBERS)
            CU_ASSERT_EQUAL(match.members_n, n);
    }
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* An event with more combinations of values than subscriptions: they are looked at one by one, with the same answer. */
static void an_event_of_many_values_is_matched_too(void)
{
    static char text[1 << 16];
    size_t at =
        (size_t)snprintf(text, sizeof text,
                         "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"final\","
                         "\"subject\":{\"reference\":\"Patient/1\"},\"code\":{\"coding\":[");
    struct cdx_topics *topics = world_topics(&plain, 1);
    const char *both[] = {"code=c99", "category=k99"}, *one[] = {"code=c99", "category=k100"};
    struct cdx_sub *subs[] = {world_sub_of("a", TOPIC, both, 2, ""),
                              world_sub_of("b", TOPIC, one, 2, "")};
    struct cdx_index *index = world_index(NULL, topics, subs, 2, 1);
    struct cdx_match match;

    for (int i = 0; i < 100; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s{\"code\":\"c%d\"}",
                               i != 0 ? "," : "", i);
    at += (size_t)snprintf(text + at, sizeof text - at, "]},\"category\":[");
    for (int i = 0; i < 100; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s{\"coding\":[{\"code\":\"k%d\"}]}",
                               i != 0 ? "," : "", i);
    snprintf(text + at, sizeof text - at, "]}");
    match = match_json(index, text);
    CU_ASSERT_STRING_EQUAL(world_ids(&match), "a");
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

/* -- deletes (subscriptions.md 1.13) -------------------------------------------------------------------------- */

static struct cdx_match delete_for(const char *topic, const struct cdx_before *before,
                                   uint32_t of_roster)
{
    struct cdx_topics *topics = world_topics(&topic, 1);
    struct cdx_sub *subs[] = {world_sub("a", NULL), world_sub("b", NULL)};
    struct cdx_index *index = world_index(NULL, topics, subs, 2, of_roster);
    struct cdx_change change = world_change("Observation", "o", NULL, arena);
    struct cdx_match match = match_change(index, &change, before, 0);

    CU_ASSERT_EQUAL(match.interaction, CDX_DELETE);
    match.subs = NULL; /* the index goes */
    cdx_index_unref(index);
    cdx_topics_unref(topics);
    return match;
}

static void a_delete_goes_to_those_who_got_the_last_version(void)
{
    const struct cdx_text members[] = {CDX_LIT(BASE "/Patient/1"), CDX_LIT(BASE "/Patient/2")};
    const struct cdx_text receivers[] = {CDX_LIT("b"), CDX_LIT("no-longer-there")};
    struct cdx_before before = {.known = true,
                                .members = members,
                                .members_n = 2,
                                .receivers = receivers,
                                .receivers_n = 2};
    struct cdx_match match = delete_for(plain, &before, 1);

    CU_ASSERT_EQUAL(match.why, CDX_WHY_MATCHED);
    CU_ASSERT_EQUAL(match.subs_n, 1);
    CU_ASSERT_EQUAL(match.members_n, 2);
    roster.n = 1; /* Patient/2 has left */
    CU_ASSERT_EQUAL(delete_for(plain, &before, 1).why, CDX_WHY_NOT_MEMBER);
    CU_ASSERT_EQUAL(delete_for(plain, &before, CDX_ROSTER_NONE).why, CDX_WHY_NOT_MEMBER);
    before.receivers_n = 0;
    CU_ASSERT_EQUAL(delete_for(plain, &before, 1).why, CDX_WHY_NO_SUBSCRIPTION);
    before.receivers_n = 2;
    before.members_n = 0;
    CU_ASSERT_EQUAL(delete_for(plain, &before, CDX_ROSTER_ALL).why, CDX_WHY_NO_PATIENT);
}

static void a_delete_of_something_unknown_goes_to_nobody(void)
{
    const struct cdx_before before = {.known = false};

    CU_ASSERT_EQUAL(delete_for(plain, &before, CDX_ROSTER_ALL).why, CDX_WHY_UNKNOWN_DELETE);
    CU_ASSERT_EQUAL(delete_for(plain, NULL, CDX_ROSTER_ALL).why, CDX_WHY_UNKNOWN_DELETE);
}

static void a_topic_without_delete_tells_of_none(void)
{
    const struct cdx_text members[] = {CDX_LIT(BASE "/Patient/1")}, receivers[] = {CDX_LIT("a")};
    const struct cdx_before before = {.known = true,
                                      .members = members,
                                      .members_n = 1,
                                      .receivers = receivers,
                                      .receivers_n = 1};

    CU_ASSERT_EQUAL(
        delete_for(
            HEAD
            "\"resourceTrigger\":[{\"resource\":\"Observation\",\"supportedInteraction\":[\"create\"]}]}",
            &before, 1)
            .why,
        CDX_WHY_NO_TOPIC);
}

/* -- memory --------------------------------------------------------------------------------------------------- */

/* An arena that ends anywhere gives CDX_NOMEM and nobody, never a smaller truth. */
static void memory_that_ends_is_an_error(void)
{
    static char text[1 << 18];
    size_t at = (size_t)snprintf(
        text, sizeof text,
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"final\","
        "\"subject\":{\"type\":\"P\\u0061tient\",\"reference\":\"P\\u0061tient/1\"},\"code\":{\"coding\":[");
    struct cdx_topics *topics = world_topics(&plain, 1);
    struct cdx_index *index = many(topics, 10);
    struct cdx_change change;
    bool enough = false;

    for (int i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s{\"code\":\"\\u0063%d\"}",
                               i != 0 ? "," : "", i);
    snprintf(text + at, sizeof text - at, "]}}");
    change = world_change("Observation", "o", text, arena);
    for (size_t max = 0; !enough; max += 20000) {
        struct cdx_arena *small = cdx_arena_create(max, NULL);
        struct cdx_err err = {0};
        struct cdx_match match;
        enum cdx_code rc = cdx_match(index, &change, NULL, &gate, 0, small, &match, &err);
        CU_ASSERT(rc == CDX_OK || rc == CDX_NOMEM);
        if (rc == CDX_OK)
            CU_ASSERT_EQUAL(match.subs_n, 10);
        enough = rc == CDX_OK;
        cdx_arena_destroy(small);
        CU_ASSERT_FATAL(max < CDX_MAX_ARENA_BYTES);
    }
    cdx_index_unref(index);
    cdx_topics_unref(topics);
}

static void every_shipped_topic_is_taken(void)
{
    char *pattern[] = {(char *)(uintptr_t) "topics/*.json"}, **files = NULL;
    struct cdx_err err = {0};
    struct cdx_topics *topics = cdx_topics_create(world_definitions(), &err);
    size_t n = 0;

    CU_ASSERT_EQUAL_FATAL(cdx_conf_glob(pattern, 1, &files, &n, &err), CDX_OK);
    CU_ASSERT(n >= 7);
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        char *text = cdx_file_read(files[i], 1 << 20, &bytes, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT_EQUAL(cdx_topics_add(topics, cdx_text(text, bytes), files[i], &err), CDX_OK);
        free(text);
    }
    cdx_strings_free(files, n);
    cdx_topics_unref(topics);
}

static CU_TestInfo tests[] = {
    {"every case comes out as expected", every_case_comes_out_as_expected},
    {"index agrees with a naive evaluation", index_agrees_with_a_naive_evaluation},
    {"a replaced one shadows the base", a_replaced_one_shadows_the_base},
    {"a gone one is not found", a_gone_one_is_not_found},
    {"the last put of an id counts", the_last_put_of_an_id_counts},
    {"a subscription that is not understood refuses the call",
     a_subscription_that_is_not_understood_refuses_the_call},
    {"results are in bytewise id order", results_are_in_bytewise_id_order},
    {"the interaction is decided", the_interaction_is_decided},
    {"only supported interactions trigger", only_supported_interactions_trigger},
    {"nothing is matched from the end on", nothing_is_matched_from_the_end_on},
    {"rosters of all and of none", rosters_of_all_and_of_none},
    {"subscriptions of one roster ask it once", subscriptions_of_one_roster_ask_it_once},
    {"a urn of the record is its patient", a_urn_of_the_record_is_its_patient},
    {"more patients than the bound are refused", more_patients_than_the_bound_are_refused},
    {"an event of many values is matched too", an_event_of_many_values_is_matched_too},
    {"a delete goes to those who got the last version",
     a_delete_goes_to_those_who_got_the_last_version},
    {"a delete of something unknown goes to nobody", a_delete_of_something_unknown_goes_to_nobody},
    {"a topic without delete tells of none", a_topic_without_delete_tells_of_none},
    {"memory that ends is an error", memory_that_ends_is_an_error},
    {"every shipped topic is taken", every_shipped_topic_is_taken},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_match_index = {
    .pName = "match/index", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests};
