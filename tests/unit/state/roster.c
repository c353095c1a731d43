/* state/roster.c, roster_names.c, roster_period.c and roster_group.c: who is let through, and above all who is not. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/instant.h"
#include "state/roster.h"

/* match/match.h, which state may not include: the two answers without a roster. */
#define EVERYONE UINT32_MAX
#define NOBODY (UINT32_MAX - 1)

#define CLOSE "{\"count\":1,\"version\":1,\"source\":\"file\"}"
#define P1 "https://ehr.example.org/fhir/Patient/p1"
#define P2 "https://ehr.example.org/fhir/Patient/p2"

static int64_t ms(const char *instant)
{
    int64_t out = -1;

    CU_ASSERT_FATAL(cdx_instant_parse(cdx_text_z(instant), &out));
    return out;
}

/* value NULL: a tombstone. */
static enum cdx_code put_at(struct cdx_rosters *r, const char *key, const char *value,
                            const char *now)
{
    return cdx_rosters_apply(r, cdx_text_z(key), cdx_text_z(value), ms(now), NULL);
}

static void put(struct cdx_rosters *r, const char *key, const char *value)
{
    CU_ASSERT_EQUAL(put_at(r, key, value, "2026-01-15T12:00:00Z"), CDX_OK);
}

static bool has(struct cdx_rosters *r, const char *roster, const char *member)
{
    struct cdx_text key = cdx_text_z(member);
    uint32_t id = cdx_rosters_id(r, cdx_text_z(roster));
    bool one = cdx_rosters_has(r, id, cdx_rosters_member(r, key));

    CU_ASSERT_EQUAL(cdx_rosters_has_all(r, id, &key, 1), one); /* both ways to ask agree */
    return one;
}

static bool has_at(struct cdx_rosters *r, const char *member, const char *now)
{
    cdx_rosters_tick(r, ms(now));
    return has(r, "payer-a", member);
}

/* A closed roster payer-a with P1 in it. */
static struct cdx_rosters *one_member(void)
{
    struct cdx_rosters *r = cdx_rosters_create(NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    put(r, "payer-a|" P1, "{}");
    put(r, "payer-a#", CLOSE);
    return r;
}

/* design.md 3: a roster without its closing record lets nobody through. */
static void roster_without_its_closing_record_lets_nobody_through(void)
{
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    bool closed = true;

    put(r, "payer-a|" P1, "{}");
    CU_ASSERT_FALSE(has(r, "payer-a", P1));
    CU_ASSERT_EQUAL(cdx_rosters_count(r, cdx_rosters_id(r, CDX_LIT("payer-a")), &closed), 1);
    CU_ASSERT_FALSE(closed);
    put(r, "payer-a#", CLOSE);
    CU_ASSERT_TRUE(has(r, "payer-a", P1));
    put(r, "payer-a#", NULL);
    CU_ASSERT_FALSE(has(r, "payer-a", P1));
    put(r, "payer-a#", CLOSE);
    CU_ASSERT_TRUE(has(r, "payer-a", P1));
    cdx_rosters_destroy(r);
}

static void member_of_one_roster_is_not_member_of_another(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-b|" P2, "{}");
    put(r, "payer-b#", CLOSE);
    CU_ASSERT_FALSE(has(r, "payer-b", P1));
    CU_ASSERT_FALSE(has(r, "payer-a", P2));
    CU_ASSERT_TRUE(has(r, "payer-b", P2));
    cdx_rosters_destroy(r);
}

/* design.md 4.6: Patient/p1 of one base is not that of another. */
static void same_id_at_another_base_is_another_member(void)
{
    struct cdx_rosters *r = one_member();

    CU_ASSERT_FALSE(has(r, "payer-a", "https://other.example.org/fhir/Patient/p1"));
    CU_ASSERT_FALSE(has(r, "payer-a", "Patient/p1"));
    CU_ASSERT_FALSE(has(r, "payer-a", "p1"));
    CU_ASSERT_FALSE(has(r, "payer-a", "https://ehr.example.org/fhir/Patient/"));
    CU_ASSERT_FALSE(has(r, "payer-a", P1 "0"));
    CU_ASSERT_FALSE(has(r, "payer-a", ""));
    cdx_rosters_destroy(r);
}

static void tombstone_takes_the_member_out(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-a|" P1, NULL);
    CU_ASSERT_FALSE(has(r, "payer-a", P1));
    put(r, "payer-a|" P1, "{}");
    CU_ASSERT_TRUE(has(r, "payer-a", P1));
    put(r, "nobody-knows-it|" P2, NULL);
    CU_ASSERT_EQUAL(cdx_rosters_member(r, CDX_LIT(P2)),
                    UINT32_MAX); /* a tombstone makes no member */
    cdx_rosters_destroy(r);
}

static void all_members_must_be_in_and_none_is_not_all(void)
{
    struct cdx_rosters *r = one_member();
    const struct cdx_text both[] = {CDX_LIT(P1), CDX_LIT(P2)};
    uint32_t id = cdx_rosters_id(r, CDX_LIT("payer-a"));

    CU_ASSERT_TRUE(cdx_rosters_has_all(r, id, both, 1));
    CU_ASSERT_FALSE(cdx_rosters_has_all(r, id, both, 2));
    CU_ASSERT_FALSE(cdx_rosters_has_all(r, id, both, 0));
    put(r, "payer-a|" P2, "{}");
    CU_ASSERT_TRUE(cdx_rosters_has_all(r, id, both, 2));
    cdx_rosters_destroy(r);
}

/* design.md 7: a client whose roster is "*" may see every member, one without a roster gets nothing. */
static void everyone_and_nobody_are_answered(void)
{
    struct cdx_rosters *r = one_member();
    const struct cdx_text p2 = CDX_LIT(P2);
    bool closed = true;

    CU_ASSERT_TRUE(cdx_rosters_has(r, EVERYONE, UINT32_MAX));
    CU_ASSERT_TRUE(cdx_rosters_has_all(r, EVERYONE, &p2, 1));
    CU_ASSERT_FALSE(cdx_rosters_has_all(r, EVERYONE, &p2, 0));
    CU_ASSERT_FALSE(cdx_rosters_has(r, NOBODY, 0));
    CU_ASSERT_FALSE(cdx_rosters_has_all(r, NOBODY, &p2, 1));
    CU_ASSERT_EQUAL(cdx_rosters_count(r, NOBODY, &closed), 0);
    CU_ASSERT_FALSE(closed);
    cdx_rosters_destroy(r);
}

/* A name that is none must not come out as "everyone". */
static void name_that_is_none_is_nobody(void)
{
    static const char *const names[] = {
        "", "a|b", "a#", "12345678901234567890123456789012345678901234567890123456789012345"};
    struct cdx_rosters *r = cdx_rosters_create(NULL);

    for (size_t i = 0; i < CDX_COUNT(names); i++)
        CU_ASSERT_EQUAL(cdx_rosters_id(r, cdx_text_z(names[i])), NOBODY);
    cdx_rosters_destroy(r);
}

static void roster_id_is_the_same_before_and_after_its_records(void)
{
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    uint32_t a = cdx_rosters_id(r, CDX_LIT("a.b-c")), b = cdx_rosters_id(r, CDX_LIT("a"));

    CU_ASSERT_NOT_EQUAL(a, b);
    put(r, "a.b-c|" P1, "{}");
    put(r, "a.b-c#", CLOSE);
    CU_ASSERT_EQUAL(cdx_rosters_id(r, CDX_LIT("a.b-c")), a);
    CU_ASSERT_TRUE(cdx_rosters_has(r, a, cdx_rosters_member(r, CDX_LIT(P1))));
    CU_ASSERT_FALSE(cdx_rosters_has(r, b, cdx_rosters_member(r, CDX_LIT(P1))));
    cdx_rosters_destroy(r);
}

/* roster.h: the first '|' divides; a member key may hold '|' and '#'. */
static void key_divides_at_the_first_bar(void)
{
    struct cdx_rosters *r = cdx_rosters_create(NULL);

    put(r, "a|urn:x|1#", "{}");
    put(r, "a#", CLOSE);
    CU_ASSERT_TRUE(has(r, "a", "urn:x|1#"));
    cdx_rosters_destroy(r);
}

static void key_that_is_none_is_refused(void)
{
    static const char *const keys[] = {"", "#", "|", "a", "a|", "|b", "a#b", "a#b|c", "a##"};
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    char *longest = calloc(1, 4000);

    for (size_t i = 0; i < CDX_COUNT(keys); i++)
        CU_ASSERT_EQUAL(put_at(r, keys[i], "{}", "2026-01-15T12:00:00Z"), CDX_INPUT);
    memset(longest, 'x', 3999);
    memcpy(longest, "a|", 2);
    CU_ASSERT_EQUAL(put_at(r, longest, "{}", "2026-01-15T12:00:00Z"), CDX_INPUT);
    free(longest);
    cdx_rosters_destroy(r);
}

/* roster.h: a value that cannot be read takes the member out, for the newest record is not a consent. */
static void value_that_cannot_be_read_takes_the_member_out(void)
{
    static const char *const values[] = {"",
                                         "[]",
                                         "null",
                                         "{",
                                         "{\"start\":1}",
                                         "{\"end\":null}",
                                         "{\"start\":\"yesterday\"}",
                                         "{\"end\":\"2026-13\"}",
                                         "{\"end\":\"2026-02-30\"}",
                                         "{\"start\":\"2026-01-01T10:00:00\"}",
                                         "{\"unless\":\"2026\"}",
                                         "{\"end\":\"2027\",\"end\":\"2028\"}",
                                         "{\"end\":\"2026-3\"}",
                                         "{\"end\":\"202\"}"};
    struct cdx_rosters *r = one_member();

    for (size_t i = 0; i < CDX_COUNT(values); i++) {
        put(r, "payer-a|" P1, "{}");
        CU_ASSERT_TRUE(has(r, "payer-a", P1));
        CU_ASSERT_EQUAL(put_at(r, "payer-a|" P1, values[i], "2026-01-15T12:00:00Z"), CDX_INPUT);
        CU_ASSERT_FALSE(has(r, "payer-a", P1));
    }
    cdx_rosters_destroy(r);
}

static void closing_record_that_cannot_be_read_opens_the_roster(void)
{
    static const char *const values[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"count\":-1,\"version\":1}",
                                         "{\"count\":1}",
                                         "{\"count\":1.5,\"version\":1}"};
    struct cdx_rosters *r = one_member();

    for (size_t i = 0; i < CDX_COUNT(values); i++) {
        put(r, "payer-a#", CLOSE);
        CU_ASSERT_TRUE(has(r, "payer-a", P1));
        CU_ASSERT_EQUAL(put_at(r, "payer-a#", values[i], "2026-01-15T12:00:00Z"), CDX_INPUT);
        CU_ASSERT_FALSE(has(r, "payer-a", P1));
    }
    cdx_rosters_destroy(r);
}

/* FHIR R4 Period: "If the end of the period has a precision of day (month, year), any time of it is included". */
static void period_counts_whole_at_its_precision(void)
{
    static const struct {
        const char *value, *before, *first, *last, *after;
    } rows[] = {
        {"{\"start\":\"2026-02\",\"end\":\"2026-03\"}", "2026-01-31T23:59:59.999Z",
         "2026-02-01T00:00:00Z", "2026-03-31T23:59:59.999Z", "2026-04-01T00:00:00Z"},
        {"{\"start\":\"2028-02-29\",\"end\":\"2028-02-29\"}", "2028-02-28T23:59:59Z",
         "2028-02-29T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"},
        {"{\"start\":\"2028-02\",\"end\":\"2028-02\"}", "2028-01-31T23:59:59Z",
         "2028-02-01T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"},
        {"{\"start\":\"2027\",\"end\":\"2027\"}", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z",
         "2027-12-31T23:59:59Z", "2028-01-01T00:00:00Z"},
        {"{\"start\":\"2026-05-01T10:00:00+02:00\",\"end\":\"2026-05-01T10:00:00Z\"}",
         "2026-05-01T07:59:59Z", "2026-05-01T08:00:00Z", "2026-05-01T10:00:00.999Z",
         "2026-05-01T10:00:01Z"},
    };
    struct cdx_rosters *r = one_member();

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        CU_ASSERT_EQUAL(put_at(r, "payer-a|" P1, rows[i].value, rows[i].before), CDX_OK);
        CU_ASSERT_FALSE(has(r, "payer-a", P1)); /* judged when it is applied, without a tick */
        CU_ASSERT_TRUE(has_at(r, P1, rows[i].first));
        CU_ASSERT_TRUE(has_at(r, P1, rows[i].last));
        CU_ASSERT_FALSE(has_at(r, P1, rows[i].after));
    }
    cdx_rosters_destroy(r);
}

static void period_may_lack_either_end(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-a|" P1, "{\"start\":\"2026-06-01\"}");
    CU_ASSERT_FALSE(has_at(r, P1, "2026-05-31T23:59:59Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2026-06-01T00:00:00Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2099-06-01T00:00:00Z"));
    put(r, "payer-a|" P1, "{\"end\":\"2026-06-01\"}");
    CU_ASSERT_TRUE(has_at(r, P1, "2000-01-01T00:00:00Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-06-02T00:00:00Z"));
    cdx_rosters_destroy(r);
}

/* 9999-12-31 is how many systems write "no end"; 1900 how they write "always was". */
static void far_dates_are_never_and_always(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-a|" P1, "{\"start\":\"1900-01-01\",\"end\":\"9999-12-31\"}");
    CU_ASSERT_TRUE(has_at(r, P1, "1970-01-01T00:00:00Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2099-01-01T00:00:00Z"));
    put(r, "payer-a|" P1, "{\"start\":\"9998\"}");
    CU_ASSERT_FALSE(has_at(r, P1, "2099-01-01T00:00:00Z"));
    put(r, "payer-a|" P1, "{\"end\":\"1899\"}");
    CU_ASSERT_FALSE(has_at(r, P1, "1970-01-01T00:00:00Z"));
    put(r, "payer-a|" P1, "{\"start\":\"2026-02-01\",\"end\":\"2026-01-31\"}");
    CU_ASSERT_FALSE(has_at(r, P1, "2026-02-01T00:00:00Z"));
    cdx_rosters_destroy(r);
}

/* roster.h: judged to the second, never longer than written. */
static void fraction_of_a_second_never_lengthens(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-a|" P1,
        "{\"start\":\"2026-05-01T10:00:00.500Z\",\"end\":\"2026-05-01T10:00:05.500Z\"}");
    CU_ASSERT_FALSE(has_at(r, P1, "2026-05-01T10:00:00.499Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2026-05-01T10:00:01Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2026-05-01T10:00:04.999Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-05-01T10:00:05.501Z"));
    cdx_rosters_destroy(r);
}

/* design.md 4: clock steps are among the usual faults. */
static void clock_set_back_is_followed(void)
{
    struct cdx_rosters *r = one_member();

    put(r, "payer-a|" P1, "{\"start\":\"2026-02-01\",\"end\":\"2026-02-28\"}");
    CU_ASSERT_TRUE(has_at(r, P1, "2026-02-10T00:00:00Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-03-01T00:00:00Z"));
    CU_ASSERT_TRUE(has_at(r, P1, "2026-02-10T00:00:00Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-01-10T00:00:00Z"));
    cdx_rosters_destroy(r);
}

static void newest_record_of_a_member_counts(void)
{
    struct cdx_rosters *r = one_member();

    for (int i = 0; i < 500; i++) { /* far more entries than the log of periods starts with */
        put(r, "payer-a|" P2, "{\"end\":\"2026-03\"}");
        put(r, "payer-a|" P1, i % 2 == 0 ? "{\"end\":\"2026-06\"}" : "{\"end\":\"2026-02\"}");
    }
    CU_ASSERT_TRUE(has_at(r, P1, "2026-02-28T23:59:59Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-03-01T00:00:00Z"));
    CU_ASSERT_TRUE(has_at(r, P2, "2026-03-31T23:59:59Z"));
    put(r, "payer-a|" P1, "{}"); /* no period any more */
    CU_ASSERT_TRUE(has_at(r, P1, "2026-12-31T00:00:00Z"));
    put(r, "payer-a|" P1, "{\"end\":\"2027-01\"}");
    put(r, "payer-a|" P1, NULL); /* a tick must not bring it back */
    CU_ASSERT_FALSE(has_at(r, P1, "2027-02-01T00:00:00Z"));
    CU_ASSERT_FALSE(has_at(r, P1, "2026-01-01T00:00:00Z"));
    cdx_rosters_destroy(r);
}

static void big_roster_knows_each_of_its_members_and_no_other(void)
{
    enum { MEMBERS = 200000 };
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    uint32_t id = cdx_rosters_id(r, CDX_LIT("big"));
    uint64_t in = 0, out = 0, expected = 0;
    bool closed;
    char key[96];

    for (int i = 0; i < MEMBERS; i++) {
        snprintf(key, sizeof key, "big|https://ehr%d.example.org/fhir/Patient/%d", i % 3, i);
        /* every tenth ends with January, every tenth but one starts with February */
        put(r, key,
            i % 10 == 0   ? "{\"end\":\"2026-01\"}"
            : i % 10 == 1 ? "{\"start\":\"2026-02\"}"
                          : "{}");
    }
    put(r, "big#", CLOSE);
    CU_ASSERT_EQUAL(cdx_rosters_count(r, id, &closed), MEMBERS / 10 * 9);
    cdx_rosters_tick(r, ms("2026-02-01T00:00:00Z"));
    CU_ASSERT_EQUAL(cdx_rosters_count(r, id, &closed), MEMBERS / 10 * 9);
    for (int i = 0; i < MEMBERS; i++) {
        struct cdx_text member;
        snprintf(key, sizeof key, "https://ehr%d.example.org/fhir/Patient/%d", i % 3, i);
        member = cdx_text_z(key);
        in += cdx_rosters_has_all(r, id, &member, 1);
        expected += i % 10 != 0;
        snprintf(key, sizeof key, "https://ehr%d.example.org/fhir/Patient/%d", (i + 1) % 3, i);
        member = cdx_text_z(key);
        out += cdx_rosters_has_all(r, id, &member, 1);
    }
    CU_ASSERT_EQUAL(in, expected);
    CU_ASSERT_EQUAL(out, 0);
    cdx_rosters_destroy(r);
}

/* More bases than a prefix number can tell apart: the rest is kept whole, and none is taken for another. */
static void more_bases_than_prefix_numbers_still_work(void)
{
    enum { BASES = 66000 };
    struct cdx_rosters *r = cdx_rosters_create(NULL);
    uint32_t id = cdx_rosters_id(r, CDX_LIT("a")), in = 0, out = 0;
    char key[64];

    put(r, "a#", CLOSE);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < BASES; i++) {
            struct cdx_text text;
            snprintf(key, sizeof key, "a|https://%d/Patient/1", i);
            text = cdx_text_z(key);
            if (pass == 0) {
                put(r, key, "{}");
                continue;
            }
            in += cdx_rosters_has(r, id, cdx_rosters_member(r, cdx_text(text.p + 2, text.n - 2)));
            out += cdx_rosters_member(r, cdx_text(text.p + 2, text.n - 3)) != UINT32_MAX;
        }
    CU_ASSERT_EQUAL(in, BASES);
    CU_ASSERT_EQUAL(out, 0);
    cdx_rosters_destroy(r);
}

static void *look_around(void *arg)
{
    struct cdx_rosters *r = arg;
    const struct cdx_text p1 = CDX_LIT(P1);
    uintptr_t missed = 0;

    for (int i = 0; i < 20000; i++)
        missed += !cdx_rosters_has_all(r, cdx_rosters_id(r, CDX_LIT("payer-a")), &p1, 1);
    return (void *)missed;
}

static void readers_see_a_member_while_others_are_added(void)
{
    struct cdx_rosters *r = one_member();
    void *missed = (void *)1;
    pthread_t reader;
    char key[64];

    CU_ASSERT_EQUAL_FATAL(pthread_create(&reader, NULL, look_around, r), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "payer-a|https://b/Patient/%d", i);
        put(r, key, "{\"end\":\"2026-02\"}");
        cdx_rosters_tick(r, ms(i % 100 == 0 ? "2026-03-02T00:00:00Z" : "2026-01-15T12:00:00Z"));
    }
    pthread_join(reader, &missed);
    CU_ASSERT_PTR_NULL(missed);
    cdx_rosters_destroy(r);
}

/* -- Group -------------------------------------------------------------------------------------------------------- */

struct handed {
    char text[512]; /* "key value\n" ... */
    size_t n;
    size_t room; /* members that are still taken */
};

static bool take(void *arg, struct cdx_text member_key, struct cdx_text value)
{
    struct handed *h = arg;

    if (h->room-- == 0)
        return false;
    h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%.*s %.*s\n",
                             CDX_TEXT(member_key), CDX_TEXT(value));
    return true;
}

#define GROUP(rest)                                                                                \
    "{\"resourceType\":\"Group\",\"id\":\"payer-a\",\"type\":\"person\",\"actual\":true" rest "}"
#define MEMBER(rest) GROUP(",\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}}," rest "]")

/* Reads; checks that on an error nothing at all was handed out, that the name is untouched and that `path` is named. */
static void refused(const char *json, const char *base, const char *path)
{
    struct handed h = {.room = 10};
    struct cdx_err err = {0};
    char *name = NULL;

    CU_ASSERT_EQUAL(cdx_roster_read_group(cdx_text_z(json), base, take, &h, &name, &err),
                    CDX_CONFIG);
    CU_ASSERT_EQUAL(h.n, 0);
    CU_ASSERT_PTR_NULL(name);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    CU_ASSERT_PTR_NULL(strstr(err.text, "p-secret"));
    free(name);
}

static void read_fine(const char *json, const char *base, const char *expected)
{
    struct handed h = {.room = 10};
    struct cdx_err err = {0};
    char *name = NULL;

    CU_ASSERT_EQUAL(cdx_roster_read_group(cdx_text_z(json), base, take, &h, &name, &err), CDX_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    CU_ASSERT_STRING_EQUAL(name, "payer-a");
    CU_ASSERT_STRING_EQUAL(h.text, expected);
    free(name);
}

static void group_yields_keys_and_periods_as_written(void)
{
    read_fine(GROUP(",\"member\":["
                    "{\"entity\":{\"reference\":\"Patient/p1\"}},"
                    "{\"entity\":{\"reference\":\"https://other.example.org/r4/Patient/"
                    "p.2-x\",\"identifier\":{\"value\":\"p-secret\"}},"
                    "\"period\":{\"start\":\"2026-01\",\"end\":\"2026-12-31\"}},"
                    "{\"entity\":{\"reference\":\"Patient/p3\"},\"inactive\":true},"
                    "{\"entity\":{\"reference\":\"Patient/"
                    "p4\"},\"inactive\":false,\"period\":{\"end\":\"2026\"}},"
                    "{\"entity\":{\"reference\":\"Patient/p1\"}}]"),
              "https://ehr.example.org/fhir",
              P1 " {}\n"
                 "https://other.example.org/r4/Patient/p.2-x "
                 "{\"start\":\"2026-01\",\"end\":\"2026-12-31\"}\n"
                 "https://ehr.example.org/fhir/Patient/p4 {\"end\":\"2026\"}\n" P1 " {}\n");
}

static void group_without_members_is_an_empty_roster(void)
{
    read_fine(GROUP(""), "https://b", "");
    read_fine(GROUP(",\"member\":[]"), "https://b", "");
}

/* FHIR R4 Group.active: whether the record is in use. */
static void inactive_group_has_no_members(void)
{
    read_fine(GROUP(",\"active\":false,\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}}]"),
              "https://b", "");
    read_fine(GROUP(",\"active\":true,\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}}]"),
              "https://b", "https://b/Patient/p1 {}\n");
}

/* davinci.md 1.8: on a `dropped` member the stream stops at once. */
static void dropped_member_of_an_attribution_list_is_no_member(void)
{
#define CHANGE(code)                                                                               \
    "\"extension\":[{\"url\":\"http://hl7.org/fhir/us/davinci-atr/StructureDefinition/"            \
    "ext-changeType\",\"valueCode\":\"" code "\"}]"
    read_fine(GROUP(",\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}," CHANGE(
                  "dropped") "},"
                             "{\"entity\":{\"reference\":\"Patient/p2\"}," CHANGE("new") "}]"),
              "https://b", "https://b/Patient/p2 {}\n");
}

static void group_errors_name_the_element(void)
{
    static const struct {
        const char *json, *path;
    } rows[] = {
        {"", "line"},
        {"[]", "resourceType"},
        {"{\"resourceType\":\"Patient\",\"id\":\"payer-a\"}", "resourceType"},
        {"{\"resourceType\":\"Group\"}", "Group.id"},
        {"{\"resourceType\":\"Group\",\"id\":\"a|b\"}", "Group.id"},
        {"{\"resourceType\":\"Group\",\"id\":\"a\",\"type\":\"device\"}", "Group.type"},
        {GROUP(",\"active\":\"no\""), "Group.active"},
        {GROUP(",\"modifierExtension\":[{\"url\":\"http://x\"}]"), "Group.modifierExtension"},
        {GROUP(",\"member\":{}"), "Group.member"},
        {MEMBER("7"), "Group.member[1]"},
        {MEMBER("{}"), "Group.member[1].entity"},
        {MEMBER("{\"entity\":{}}"), "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":7}}"), "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/\"}}"), "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"Practitioner/p-secret\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"xPatient/p-secret\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"fhir/Patient/p-secret\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"https://b/xPatient/p-secret\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p-secret/_history/1\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"#p-secret\"}}"), "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"urn:uuid:p-secret\"}}"),
         "Group.member[1].entity.reference"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p1\"},\"inactive\":\"yes\"}"),
         "Group.member[1].inactive"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p1\"},\"period\":[]}"),
         "Group.member[1].period"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p1\"},\"period\":{\"start\":\"p-secret\"}}"),
         "Group.member[1].period.start"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p1\"},\"period\":{\"end\":\"01/02/2026\"}}"),
         "Group.member[1].period.end"},
        {MEMBER("{\"entity\":{\"reference\":\"Patient/p1\"},\"modifierExtension\":[]}"),
         "Group.member[1].modifierExtension"},
        {GROUP(",\"member\":[],\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}}]"), "line"},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++)
        refused(rows[i].json, "https://ehr.example.org/fhir", rows[i].path);
}

static void member_by_identifier_is_refused_with_its_path(void)
{
    refused(MEMBER("{\"entity\":{\"identifier\":{\"system\":\"urn:x\",\"value\":\"p-secret\"}}}"),
            "https://b",
            "Group.member[1].entity: members by identifier are not supported by this version");
}

/* design.md 7: where sources have different bases, a relative roster reference is an error. */
static void relative_reference_without_a_base_is_refused(void)
{
    refused(GROUP(",\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}}]"), NULL,
            "Group.member[0].entity.reference is relative");
    read_fine(GROUP(",\"member\":[{\"entity\":{\"reference\":\"" P1 "\"}}]"), NULL, P1 " {}\n");
}

static void taker_that_is_full_stops_the_reading(void)
{
    struct handed h = {.room = 1};
    char *name = NULL;

    CU_ASSERT_EQUAL(
        cdx_roster_read_group(CDX_LIT(MEMBER("{\"entity\":{\"reference\":\"Patient/p2\"}}")),
                              "https://b", take, &h, &name, NULL),
        CDX_NOMEM);
    CU_ASSERT_PTR_NULL(name);
    CU_ASSERT_STRING_EQUAL(h.text, "https://b/Patient/p1 {}\n");
}

static CU_TestInfo tests[] = {
    {"roster without its closing record lets nobody through",
     roster_without_its_closing_record_lets_nobody_through},
    {"member of one roster is not member of another",
     member_of_one_roster_is_not_member_of_another},
    {"same id at another base is another member", same_id_at_another_base_is_another_member},
    {"tombstone takes the member out", tombstone_takes_the_member_out},
    {"all members must be in, and none is not all", all_members_must_be_in_and_none_is_not_all},
    {"everyone and nobody are answered", everyone_and_nobody_are_answered},
    {"name that is none is nobody", name_that_is_none_is_nobody},
    {"roster id is the same before and after its records",
     roster_id_is_the_same_before_and_after_its_records},
    {"key divides at the first bar", key_divides_at_the_first_bar},
    {"key that is none is refused", key_that_is_none_is_refused},
    {"value that cannot be read takes the member out",
     value_that_cannot_be_read_takes_the_member_out},
    {"closing record that cannot be read opens the roster",
     closing_record_that_cannot_be_read_opens_the_roster},
    {"period counts whole at its precision", period_counts_whole_at_its_precision},
    {"period may lack either end", period_may_lack_either_end},
    {"far dates are never and always", far_dates_are_never_and_always},
    {"fraction of a second never lengthens", fraction_of_a_second_never_lengthens},
    {"clock set back is followed", clock_set_back_is_followed},
    {"newest record of a member counts", newest_record_of_a_member_counts},
    {"big roster knows each of its members and no other",
     big_roster_knows_each_of_its_members_and_no_other},
    {"more bases than prefix numbers still work", more_bases_than_prefix_numbers_still_work},
    {"readers see a member while others are added", readers_see_a_member_while_others_are_added},
    {"group yields keys and periods as written", group_yields_keys_and_periods_as_written},
    {"group without members is an empty roster", group_without_members_is_an_empty_roster},
    {"inactive group has no members", inactive_group_has_no_members},
    {"dropped member of an attribution list is no member",
     dropped_member_of_an_attribution_list_is_no_member},
    {"group errors name the element", group_errors_name_the_element},
    {"member by identifier is refused with its path",
     member_by_identifier_is_refused_with_its_path},
    {"relative reference without a base is refused", relative_reference_without_a_base_is_refused},
    {"taker that is full stops the reading", taker_that_is_full_stops_the_reading},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_roster = {.pName = "state/roster", .pTests = tests};
