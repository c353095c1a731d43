/* state/subs.c: two records an id, and what follows from them. Rules: recovery.md 1 "Steps of the life of an id". */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

#include "state/subs.h"

/* The least that the backport's R4 profile asks for (Subscriptions R5 Backport IG 1.1.0, backport-subscription). */
#define RESOURCE(status, extra)                                                                    \
    "{\"resourceType\":\"Subscription\",\"id\":\"s1\"," extra                                      \
    "\"meta\":{\"profile\":[\"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"  \
    "backport-subscription\"]},"                                                                   \
    "\"status\":\"" status                                                                         \
    "\",\"reason\":\"care\",\"criteria\":\"http://example.org/topics/admit\","                     \
    "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://hooks.example.org/a\","            \
    "\"payload\":\"application/fhir+json\",\"_payload\":{\"extension\":[{\"url\":"                 \
    "\"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"                         \
    "backport-payload-content\","                                                                  \
    "\"valueCode\":\"id-only\"}]}}}"

static const char wanted[] = RESOURCE("requested", ""), stopped[] = RESOURCE("off", "");

static enum cdx_code apply(struct cdx_subs *subs, const char *key, const char *value,
                           int64_t offset, struct cdx_sub_entry **changed)
{
    return cdx_subs_apply(subs, cdx_text_z(key), cdx_text_z(value), offset, 1000 + offset, changed,
                          NULL);
}

/* The client's record. resource NULL: deleted. */
static struct cdx_sub_entry *client(struct cdx_subs *subs, const char *resource,
                                    int64_t incarnation, int64_t offset)
{
    struct cdx_sub_entry *e = NULL;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 10000);
    if (resource != NULL)
        cdx_sub_record_write(cdx_text_z(resource), incarnation, 5, false, &buf);
    CU_ASSERT_EQUAL(apply(subs, "s1", resource != NULL ? buf.p : NULL, offset, &e), CDX_OK);
    cdx_buf_fini(&buf);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    return e;
}

/* The owner's record. */
static struct cdx_sub_entry *owner(struct cdx_subs *subs, enum cdx_sub_status status,
                                   int64_t version, int64_t incarnation, bool activated,
                                   int64_t offset)
{
    struct cdx_status s = {
        .status = status, .version = version, .incarnation = incarnation, .activated = activated};
    struct cdx_sub_entry *e = NULL;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 10000);
    cdx_status_write(&s, &buf);
    CU_ASSERT_EQUAL(apply(subs, "s1#status", buf.p, offset, &e), CDX_OK);
    cdx_buf_fini(&buf);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    return e;
}

static void resource_record_gives_what_the_resource_does_not_hold(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = client(&subs, wanted, -1, 10);

    CU_ASSERT_PTR_NOT_NULL_FATAL(e->sub);
    CU_ASSERT_STRING_EQUAL(e->id, "s1");
    CU_ASSERT_STRING_EQUAL(e->sub->id, "s1");
    CU_ASSERT_EQUAL(e->sub->incarnation, 10); /* -1: its own offset */
    CU_ASSERT_EQUAL(e->sub->version, 10);
    CU_ASSERT_EQUAL(e->sub->version_ms, 1010);
    CU_ASSERT_EQUAL(e->sub->partition, 5);
    CU_ASSERT_FALSE(e->sub->from_file);
    CU_ASSERT_PTR_NULL(e->refused);
    CU_ASSERT_EQUAL(e->resource_offset, 10);
    client(&subs, wanted, 10, 20);
    CU_ASSERT_EQUAL(e->sub->incarnation, 10);
    CU_ASSERT_EQUAL(e->sub->version, 20);
    cdx_subs_fini(&subs);
    CU_ASSERT_EQUAL(subs.bytes, 0);
}

static void file_is_told_from_the_rest_face(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = NULL;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 10000);
    cdx_sub_record_write(cdx_text_z(wanted), 3, 0, true, &buf);
    CU_ASSERT_EQUAL(apply(&subs, "s1", buf.p, 8, &e), CDX_OK);
    CU_ASSERT_TRUE(e != NULL && e->sub != NULL && e->sub->from_file && e->sub->incarnation == 3);
    cdx_buf_fini(&buf);
    cdx_subs_fini(&subs);
}

/*
 * recovery.md "log or not" and recovery_model.py Lifecycle.wants, all of it: the newest resource record is version 20 of
 * incarnation 10; the status answers version 20 or the one before, is of this incarnation or the last, activated or not.
 */
static void logs_by_the_two_newest_records_only(void)
{
    static const enum cdx_sub_status statuses[] = {CDX_REQUESTED, CDX_ACTIVE, CDX_ERROR_STATUS,
                                                   CDX_OFF};

    for (int bits = 0; bits < 64; bits++) {
        enum cdx_sub_status status = statuses[bits & 3];
        bool newest = (bits & 4) != 0, mine = (bits & 8) != 0, activated = (bits & 16) != 0,
             off = (bits & 32) != 0;
        bool refused = mine && status == CDX_ERROR_STATUS && newest;
        struct cdx_subs subs = {0};
        struct cdx_sub_entry *e;

        client(&subs, off ? stopped : wanted, 10, 20);
        e = owner(&subs, status, newest ? 20 : 12, mine ? 10 : 2, activated, 30);
        CU_ASSERT_EQUAL(cdx_sub_logs(e), !off && ((mine && activated) || !refused));
        CU_ASSERT_EQUAL(cdx_sub_answered(e), mine && newest);
        CU_ASSERT_EQUAL(cdx_sub_shown(e), off ? CDX_OFF : mine && newest ? status : CDX_REQUESTED);
        cdx_subs_fini(&subs);
    }
}

/* C6: so it logs from `requested` on. */
static void logs_before_any_status(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = client(&subs, wanted, -1, 10);

    CU_ASSERT_FALSE(e->has_status);
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    CU_ASSERT_FALSE(cdx_sub_answered(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_REQUESTED);
    cdx_subs_fini(&subs);
}

/* The life of one id, in the order in which a client and an owner write it (subscriptions.md 1.6). */
static void life_of_an_id_step_by_step(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = client(&subs, wanted, -1, 10);

    owner(&subs, CDX_ERROR_STATUS, 10, 10, false, 11); /* the handshake failed, never active */
    CU_ASSERT_FALSE(cdx_sub_logs(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_ERROR_STATUS);
    client(&subs, wanted, 10, 12); /* the client asks again */
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_REQUESTED);
    owner(&subs, CDX_ACTIVE, 12, 10, true, 13);
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_ACTIVE);
    owner(&subs, CDX_ERROR_STATUS, 12, 10, true,
          14); /* delivery fails: events go on being logged */
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    owner(&subs, CDX_OFF, 12, 10, true, 15); /* the server's off: the same */
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_OFF);
    client(&subs, stopped, 10, 16); /* the client's off ends it */
    CU_ASSERT_FALSE(cdx_sub_logs(e));
    client(&subs, wanted, 10, 17);
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_REQUESTED);
    client(&subs, NULL, 0, 18); /* deleted */
    CU_ASSERT_PTR_NULL(e->sub);
    CU_ASSERT_FALSE(cdx_sub_logs(e));
    CU_ASSERT_FALSE(cdx_sub_answered(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_OFF);
    client(&subs, wanted, -1, 19); /* made anew: the old `activated` is not its own (C8) */
    CU_ASSERT_TRUE(cdx_sub_logs(e));
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_REQUESTED);
    owner(&subs, CDX_ERROR_STATUS, 19, 19, false, 20);
    CU_ASSERT_FALSE(cdx_sub_logs(e));
    cdx_subs_fini(&subs);
}

/* A reader that starts again at the beginning must not take us back, not even a deleted id. */
static void older_records_change_nothing(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = client(&subs, wanted, -1, 10), *again = (void *)1;

    owner(&subs, CDX_ACTIVE, 10, 10, true, 12);
    client(&subs, NULL, 0, 20);
    CU_ASSERT_EQUAL(apply(&subs, "s1", "not even JSON", 10, &again), CDX_OK);
    CU_ASSERT_PTR_NULL(again);
    CU_ASSERT_EQUAL(apply(&subs, "s1#status", NULL, 12, &again), CDX_OK);
    CU_ASSERT_PTR_NULL(again);
    CU_ASSERT_PTR_NULL(e->sub);
    CU_ASSERT_TRUE(e->has_status);
    cdx_subs_fini(&subs);
}

static void status_may_come_before_its_resource(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = owner(&subs, CDX_ACTIVE, 10, 10, true, 12);

    CU_ASSERT_PTR_NULL(e->sub);
    CU_ASSERT_EQUAL(e->resource_offset, -1);
    CU_ASSERT_FALSE(cdx_sub_logs(e));
    CU_ASSERT_PTR_EQUAL(client(&subs, wanted, 10, 10),
                        e); /* lower than the status's offset, but the newest of its own */
    CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_ACTIVE);
    cdx_subs_fini(&subs);
}

static void keys_of_others_are_passed_over(void)
{
    static const char *const keys[] = {
        "",        "#",
        "#status", "#applied",
        "s1#",     "s1#statusx",
        "s1#x",    "12345678901234567890123456789012345678901234567890123456789012345"};
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = (void *)1;

    for (size_t i = 0; i < CDX_COUNT(keys); i++) {
        CU_ASSERT_EQUAL(apply(&subs, keys[i], "{}", 1, &e), CDX_OK);
        CU_ASSERT_PTR_NULL(e);
    }
    CU_ASSERT_EQUAL(subs.by_id.used, 0);
    cdx_subs_fini(&subs);
}

/* subs.h: kept as refused and nothing is logged for it (fail closed), though it was active a moment ago. */
static void resource_that_cannot_be_read_is_refused_and_not_logged(void)
{
#define WITH(rest) "{\"resource\":" RESOURCE("requested", "") rest "}"
    static const char *const values[] = {
        "",
        "[]",
        "{}",
        "{\"resource\":7}",
        "{\"resource\":{},\"incarnation\":1,\"partition\":1,\"source\":\"rest\"}",
        WITH(",\"partition\":1,\"source\":\"rest\""),
        WITH(",\"incarnation\":-2,\"partition\":1,\"source\":\"rest\""),
        WITH(",\"incarnation\":\"1\",\"partition\":1,\"source\":\"rest\""),
        WITH(",\"incarnation\":1,\"source\":\"rest\""),
        WITH(",\"incarnation\":1,\"partition\":-1,\"source\":\"rest\""),
        WITH(",\"incarnation\":1,\"partition\":2147483648,\"source\":\"rest\""),
        WITH(",\"incarnation\":1,\"partition\":1"),
        WITH(",\"incarnation\":1,\"partition\":1,\"source\":\"mail\""),
        WITH(",\"incarnation\":1,\"partition\":1,\"source\":\"rest\",\"source\":\"file\""),
    };

    for (size_t i = 0; i < CDX_COUNT(values); i++) {
        struct cdx_subs subs = {0};
        struct cdx_sub_entry *e = client(&subs, wanted, -1, 10), *changed = NULL;
        struct cdx_err err = {0};

        owner(&subs, CDX_ACTIVE, 10, 10, true, 12);
        CU_ASSERT_EQUAL(
            cdx_subs_apply(&subs, CDX_LIT("s1"), cdx_text_z(values[i]), 20, 0, &changed, &err),
            CDX_INPUT);
        CU_ASSERT_PTR_EQUAL(changed, e); /* whoever keeps an index must hear of it */
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "Subscription/s1 at offset 20"));
        CU_ASSERT_PTR_NULL(e->sub);
        CU_ASSERT_PTR_NOT_NULL(e->refused);
        CU_ASSERT_FALSE(cdx_sub_logs(e));
        CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_ERROR_STATUS);
        client(&subs, wanted, 10, 21); /* and mended by the next */
        CU_ASSERT_PTR_NULL(e->refused);
        CU_ASSERT_TRUE(cdx_sub_logs(e));
        cdx_subs_fini(&subs);
    }
}

static void resource_of_another_id_is_refused(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = NULL;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 10000);
    cdx_sub_record_write(cdx_text_z(wanted), -1, 5, false, &buf);
    CU_ASSERT_EQUAL(apply(&subs, "s2", buf.p, 10, &e), CDX_INPUT);
    CU_ASSERT_TRUE(e != NULL && e->sub == NULL && e->refused != NULL);
    cdx_buf_fini(&buf);
    cdx_subs_fini(&subs);
}

/* subs.h: as if there were none, so the owner owes a handshake; nothing is sent meanwhile and nothing is lost. */
static void status_that_cannot_be_read_counts_as_none(void)
{
    static const char *const values[] = {
        "",
        "{}",
        "{\"status\":\"entered-in-error\",\"since\":1,\"version\":10,\"incarnation\":10,"
        "\"activated\":true}",
        "{\"status\":\"active\",\"since\":1,\"version\":10,\"incarnation\":10}",
        "{\"status\":\"active\",\"since\":1,\"version\":10,\"activated\":true}",
        "{\"status\":\"active\",\"since\":1,\"incarnation\":10,\"activated\":true}",
        "{\"status\":\"active\",\"version\":10,\"incarnation\":10,\"activated\":true}",
        "{\"status\":\"active\",\"since\":1,\"version\":10,\"incarnation\":10,\"activated\":1}",
        "{\"status\":\"active\",\"since\":1,\"version\":10,\"incarnation\":10,\"activated\":true,"
        "\"error\":7}",
        "{\"status\":\"active\",\"since\":1,\"version\":10,\"incarnation\":10,\"activated\":true,"
        "\"error\":\"e\",\"errorCode\":7}",
    };

    for (size_t i = 0; i < CDX_COUNT(values); i++) {
        struct cdx_subs subs = {0};
        struct cdx_sub_entry *e = client(&subs, wanted, -1, 10), *changed = NULL;

        owner(&subs, CDX_ACTIVE, 10, 10, true, 12);
        CU_ASSERT_EQUAL(apply(&subs, "s1#status", values[i], 13, &changed), CDX_INPUT);
        CU_ASSERT_PTR_EQUAL(changed, e);
        CU_ASSERT_FALSE(e->has_status);
        CU_ASSERT_FALSE(cdx_sub_answered(e));
        CU_ASSERT_TRUE(cdx_sub_logs(e));
        CU_ASSERT_EQUAL(cdx_sub_shown(e), CDX_REQUESTED);
        cdx_subs_fini(&subs);
    }
}

static void status_is_read_as_written(void)
{
    char error[] = "the endpoint says \"no\"\n", code[] = "error-response";
    struct cdx_status s = {CDX_ERROR_STATUS, error, code, -7, 10, 9, true};
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = NULL;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 1000);
    cdx_status_write(&s, &buf);
    CU_ASSERT_EQUAL_FATAL(apply(&subs, "s1#status", buf.p, 12, &e), CDX_OK);
    CU_ASSERT_TRUE(e->has_status);
    CU_ASSERT_EQUAL(e->status.status, CDX_ERROR_STATUS);
    CU_ASSERT_STRING_EQUAL(e->status.error, error);
    CU_ASSERT_STRING_EQUAL(e->status.error_code, code);
    CU_ASSERT_EQUAL(e->status.since_ms, -7);
    CU_ASSERT_EQUAL(e->status.version, 10);
    CU_ASSERT_EQUAL(e->status.incarnation, 9);
    CU_ASSERT_TRUE(e->status.activated);
    owner(&subs, CDX_ACTIVE, 10, 9, true, 13);
    CU_ASSERT_PTR_NULL(e->status.error);
    CU_ASSERT_EQUAL(apply(&subs, "s1#status", NULL, 14, NULL), CDX_OK);
    CU_ASSERT_FALSE(e->has_status);
    cdx_buf_fini(&buf);
    cdx_subs_fini(&subs);
}

/* subs.h gives the two values; other programs and people read them. */
static void records_have_the_members_that_are_promised(void)
{
    struct cdx_status s = {
        .status = CDX_ACTIVE, .since_ms = 5, .version = 6, .incarnation = 7, .activated = true};
    struct cdx_buf buf;

    cdx_buf_init(&buf, 1000);
    cdx_status_write(&s, &buf);
    CU_ASSERT_STRING_EQUAL(
        buf.p,
        "{\"status\":\"active\",\"since\":5,\"version\":6,\"incarnation\":7,\"activated\":true}");
    cdx_buf_reset(&buf);
    cdx_sub_record_write(CDX_LIT("{\"a\": 1.0}"), -1, 3, true, &buf);
    CU_ASSERT_STRING_EQUAL(
        buf.p,
        "{\"resource\":{\"a\": 1.0},\"incarnation\":-1,\"partition\":3,\"source\":\"file\"}");
    cdx_buf_fini(&buf);
}

static void references_outlive_the_entries(void)
{
    struct cdx_subs subs = {0};
    struct cdx_sub *sub = cdx_sub_ref(client(&subs, wanted, -1, 10)->sub);

    client(&subs, NULL, 0, 11);
    cdx_subs_fini(&subs);
    CU_ASSERT_STRING_EQUAL(sub->id, "s1");
    cdx_sub_unref(sub);
}

static void bytes_follow_the_entries(void)
{
    struct cdx_subs subs = {0};
    int64_t one;

    client(&subs, wanted, -1, 10);
    one = subs.bytes;
    CU_ASSERT(one > (int64_t)(sizeof(struct cdx_sub_entry) + sizeof(struct cdx_sub)));
    client(&subs, wanted, 10, 11);
    CU_ASSERT_EQUAL(subs.bytes, one);
    client(&subs, NULL, 0, 12);
    CU_ASSERT(subs.bytes < one - (int64_t)sizeof(struct cdx_sub));
    cdx_subs_fini(&subs);
}

static uint64_t hash(const char *json)
{
    uint64_t out = 0;

    CU_ASSERT_EQUAL(cdx_sub_resource_hash(cdx_text_z(json), &out, NULL), CDX_OK);
    return out;
}

/* design.md 7: compared without status, error and meta.versionId/lastUpdated. */
static void file_equals_what_is_stored_but_for_the_servers_part(void)
{
    uint64_t file = hash("{\"resourceType\":\"Subscription\",\"id\":\"a\",\"status\":\"requested\","
                         "\"end\":\"2030\"}");

    CU_ASSERT_EQUAL(
        file,
        hash("{\"end\":\"2030\", "
             "\"id\":\"a\",\"resourceType\":\"Subscription\",\"status\":\"active\",\"error\":\"x\","
             "\"meta\":{\"versionId\":\"7\",\"lastUpdated\":\"2026-01-01T00:00:00Z\"}}"));
    CU_ASSERT_EQUAL(file,
                    hash("{\"resourceType\":\"Subscription\",\"id\":\"a\",\"end\":\"2030\"}"));
    CU_ASSERT_NOT_EQUAL(file, hash("{\"resourceType\":\"Subscription\",\"id\":\"a\",\"status\":"
                                   "\"requested\",\"end\":\"2031\"}"));
    CU_ASSERT_NOT_EQUAL(file, hash("{\"resourceType\":\"Subscription\",\"id\":\"a\",\"end\":"
                                   "\"2030\",\"meta\":{\"tag\":[{\"code\":\"x\"}]}}"));
}

/* design.md 7: a file's status `off` is a difference; any other means `requested`. */
static void file_that_is_off_differs_from_one_that_is_not(void)
{
    CU_ASSERT_NOT_EQUAL(hash(wanted), hash(stopped));
    CU_ASSERT_EQUAL(hash(RESOURCE("active", "")), hash(wanted));
    CU_ASSERT_EQUAL(hash(RESOURCE("error", "\"error\":\"y\",")), hash(wanted));
}

/* So that a refused file is not written again and again. */
static void stored_hash_is_the_files_even_when_it_was_refused(void)
{
    static const char refused[] =
        "{\"resourceType\":\"Subscription\",\"id\":\"s1\"}"; /* criteria is 1..1 */
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e = client(&subs, wanted, -1, 10);
    struct cdx_buf buf;

    CU_ASSERT_EQUAL(e->resource_hash, hash(RESOURCE("active", "\"error\":\"z\",")));
    cdx_buf_init(&buf, 1000);
    cdx_sub_record_write(cdx_text_z(refused), 10, 5, true, &buf);
    CU_ASSERT_EQUAL(apply(&subs, "s1", buf.p, 11, NULL), CDX_INPUT);
    CU_ASSERT_EQUAL(e->resource_hash, hash(refused));
    cdx_buf_fini(&buf);
    cdx_subs_fini(&subs);
}

static void hash_of_what_is_no_object_is_refused(void)
{
    static const char *const texts[] = {"", "[]", "{", "\"a\"", "{\"a\":1,\"a\":2}"};
    uint64_t out = 77;

    for (size_t i = 0; i < CDX_COUNT(texts); i++)
        CU_ASSERT_EQUAL(cdx_sub_resource_hash(cdx_text_z(texts[i]), &out, NULL), CDX_INPUT);
    CU_ASSERT_EQUAL(out, 77);
}

static CU_TestInfo tests[] = {
    {"resource record gives what the resource does not hold",
     resource_record_gives_what_the_resource_does_not_hold},
    {"file is told from the REST face", file_is_told_from_the_rest_face},
    {"logs by the two newest records only", logs_by_the_two_newest_records_only},
    {"logs before any status", logs_before_any_status},
    {"life of an id step by step", life_of_an_id_step_by_step},
    {"older records change nothing", older_records_change_nothing},
    {"status may come before its resource", status_may_come_before_its_resource},
    {"keys of others are passed over", keys_of_others_are_passed_over},
    {"resource that cannot be read is refused and not logged",
     resource_that_cannot_be_read_is_refused_and_not_logged},
    {"resource of another id is refused", resource_of_another_id_is_refused},
    {"status that cannot be read counts as none", status_that_cannot_be_read_counts_as_none},
    {"status is read as written", status_is_read_as_written},
    {"records have the members that are promised", records_have_the_members_that_are_promised},
    {"references outlive the entries", references_outlive_the_entries},
    {"bytes follow the entries", bytes_follow_the_entries},
    {"file equals what is stored but for the server's part",
     file_equals_what_is_stored_but_for_the_servers_part},
    {"file that is off differs from one that is not",
     file_that_is_off_differs_from_one_that_is_not},
    {"stored hash is the file's even when it was refused",
     stored_hash_is_the_files_even_when_it_was_refused},
    {"hash of what is no object is refused", hash_of_what_is_no_object_is_refused},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_subs = {.pName = "state/subs", .pTests = tests};
