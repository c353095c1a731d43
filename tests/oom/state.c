/* tests/oom/state.c -- what survives a restart: nothing is renumbered, nobody is let through, for want of memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/limits.h"
#include "oom.h"
#include "state/cursor.h"
#include "state/feed.h"
#include "state/roster.h"
#include "state/subs.h"
#include "state/trigger.h"

/* -- feed --------------------------------------------------------------------------------------------------------- */

#define EVENTS 40

static size_t dropped;

static void drop(void *rec)
{
    dropped++;
    free(rec);
}

static void *record(void)
{
    void *rec;

    oom_pause();
    rec = malloc(16);
    oom_resume();
    return rec;
}

/* Counts offset 2 * number; what the feed does not take is given back. */
static enum cdx_counted count(struct cdx_feed *f, int64_t number)
{
    static const struct cdx_feed_bounds bounds = {256, 1u << 20};
    void *rec = record();
    enum cdx_counted how = cdx_feed_count(f, 2 * number, rec, 16, &bounds);

    if (how != CDX_QUEUED)
        free(rec);
    oom_check(how != CDX_PASSED && f->counted_number == number && f->counted_offset == 2 * number);
    return how;
}

/* Reads what a lagging feed misses, as a scan does: every offset once, until it is live or there is no memory. */
static enum cdx_code catch_up(struct cdx_feed *f, int64_t *expected)
{
    static const struct cdx_feed_bounds bounds = {8, 1u << 20};
    const int64_t live = 2 * EVENTS + 1;

    for (int turns = 0; !f->live && turns < 1000; turns++) {
        int64_t limit;
        cdx_feed_pick_join(f, live, 1000);
        limit = cdx_feed_scan_limit(f, live);
        for (int64_t offset = f->scan; offset < limit; offset++) {
            void *rec;
            if (offset % 2 != 0 || offset == 0) {
                cdx_feed_scan_passed(f, offset + 1, live);
                continue;
            }
            rec = record();
            if (!cdx_feed_scan_record(f, offset, rec, 16, &bounds)) {
                free(rec);
                break;
            }
            cdx_feed_scan_passed(f, offset + 1, live);
        }
        for (uint32_t n = cdx_feed_ready(f); n > 0; n--) {
            oom_check(cdx_feed_item(f, 0)->number == *expected &&
                      cdx_feed_item(f, 0)->offset == 2 * *expected);
            cdx_feed_acked(f, 1);
            ++*expected;
        }
        cdx_feed_join(f);
    }
    return f->live ? CDX_OK : CDX_NOMEM;
}

/* feed.h: no memory in growing the queue counts as full. Every event is still sent once, in order, with its number. */
static enum cdx_code feed_story(const void *arg)
{
    struct cdx_feed f;
    int64_t next = 1;
    enum cdx_code code;

    (void)arg;
    cdx_feed_first(&f, 1, drop);
    for (int64_t n = 1; n <= EVENTS; n++)
        count(&f, n);
    while (f.live && cdx_feed_ready(&f) > 0) {
        oom_check(cdx_feed_item(&f, 0)->number == next);
        cdx_feed_acked(&f, 1);
        next++;
    }
    code = catch_up(&f, &next);
    oom_check(code == CDX_OK && next == EVENTS + 1 && f.delivered == EVENTS);
    oom_print("%lld %lld", (long long)f.counted_number, (long long)f.delivered);
    cdx_feed_fini(&f);
    return code;
}

static const struct cdx_mark some_marks[] = {{1000, 1432}, {2000, 3000}};
static const struct cdx_cursor some_cursor = {.delivered = 1500,
                                              .next_offset = 2001,
                                              .next_number = 1501,
                                              .counted_offset = 3400,
                                              .counted_number = 2400,
                                              .marks = some_marks,
                                              .marks_n = 2,
                                              .sent_ms = 1903867198000};

static enum cdx_code feed_load_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_feed f = {.delivered = 4711};
    enum cdx_code code = cdx_feed_load(&f, &some_cursor, drop, &err);

    (void)arg;
    oom_check(code == err.code);
    if (code != CDX_OK) {
        oom_check(f.delivered == 4711); /* written on CDX_OK only */
        return code;
    }
    oom_print("%lld %lld", (long long)f.delivered, (long long)f.counted_number);
    cdx_feed_fini(&f);
    return CDX_OK;
}

static enum cdx_code cursor_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_mark marks[CDX_MAX_MARKS];
    struct cdx_cursor back = {0};
    enum cdx_code code = CDX_NOMEM;
    struct cdx_buf b;

    (void)arg;
    cdx_buf_init(&b, CDX_MAX_CURSOR_BYTES);
    cdx_cursor_write(&some_cursor, &b);
    if (!b.failed) {
        code = cdx_cursor_read(cdx_buf_text(&b), marks, &back, &err);
        oom_check(code == err.code);
        oom_check(code != CDX_OK || (back.delivered == 1500 && back.next_number == 1501 &&
                                     back.counted_offset == 3400 && back.marks_n == 2));
    }
    cdx_buf_fini(&b);
    return code;
}

static enum cdx_code checkpoint_story(const void *arg)
{
    struct cdx_err err = {0};
    int64_t position = 0;
    enum cdx_code code = CDX_NOMEM;
    struct cdx_buf b;

    (void)arg;
    cdx_buf_init(&b, CDX_MAX_CURSOR_BYTES);
    cdx_checkpoint_write(77, &b);
    if (!b.failed)
        code = cdx_checkpoint_read(cdx_buf_text(&b), &position, &err);
    oom_print("%lld", code == CDX_OK ? (long long)position : 0);
    cdx_buf_fini(&b);
    return code;
}

/* -- rosters ------------------------------------------------------------------------------------------------------ */

#define WALL INT64_C(1903867198000)

static bool hand_over(void *arg, struct cdx_text key, struct cdx_text value)
{
    ++*(size_t *)arg;
    oom_print("%.*s %.*s\n", CDX_TEXT(key), CDX_TEXT(value));
    return true;
}

static enum cdx_code group_story(const void *arg)
{
    struct cdx_err err = {0};
    char *name = NULL;
    size_t n = 0;
    enum cdx_code code = cdx_roster_read_group(
        *(const struct cdx_text *)arg, "https://ehr.example.org/fhir", hand_over, &n, &name, &err);

    oom_check(code == err.code);
    oom_check(code == CDX_OK || name == NULL);
    if (code == CDX_OK)
        oom_print("%s", name);
    free(name);
    return code;
}

static enum cdx_code apply(struct cdx_rosters *r, const char *key, const char *value)
{
    struct cdx_err err = {0};
    enum cdx_code code = cdx_rosters_apply(r, cdx_text_z(key), cdx_text_z(value), WALL, &err);

    oom_check(code == err.code && (code == CDX_OK || code == CDX_NOMEM));
    return code;
}

static bool lets_through(struct cdx_rosters *r, const char *roster, const char *member)
{
    uint32_t id = cdx_rosters_id(r, cdx_text_z(roster));

    oom_check(id != UINT32_MAX); /* match.h CDX_ROSTER_ALL: a failure must not open the door */
    return cdx_rosters_has(r, id, cdx_rosters_member(r, cdx_text_z(member)));
}

/* Members come, one whose period is over, one leaves; whatever fails, nobody is let through who should not be. */
static enum cdx_code rosters_story(const void *arg)
{
    static const char close[] = "{\"count\":99,\"version\":1,\"source\":\"file\"}";
    struct cdx_err err = {0};
    struct cdx_rosters *r = cdx_rosters_create(&err);
    enum cdx_code code = CDX_OK, rc;
    char key[64];
    bool all = true;

    (void)arg;
    if (r == NULL)
        return err.code;
    oom_check(!lets_through(r, "a", "m0"));
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "a|m%d", i);
        rc =
            apply(r, key, i % 10 == 9 ? "{\"start\":\"2020-01-01\",\"end\":\"2021-01-01\"}" : "{}");
        code = code == CDX_OK ? rc : code;
    }
    oom_check(!lets_through(r, "a", "m0")); /* not closed yet */
    rc = apply(r, "a#", close);
    code = code == CDX_OK ? rc : code;
    rc = apply(r, "a|m1", NULL);
    code = code == CDX_OK ? rc : code;
    oom_check(rc != CDX_OK || !lets_through(r, "a", "m1"));
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "m%d", i);
        if (i % 10 == 9)
            oom_check(!lets_through(r, "a", key));
        else
            all &= lets_through(r, "a", key) || i == 1;
    }
    oom_check(!lets_through(r, "a", "m100") && !lets_through(r, "b", "m0"));
    oom_print("%d", all);
    cdx_rosters_destroy(r);
    return all ? code : CDX_NOMEM;
}

/* -- subscriptions ------------------------------------------------------------------------------------------------ */

#define RESOURCE                                                                                                               \
    "{\"resourceType\":\"Subscription\",\"id\":\"s1\",\"status\":\"requested\",\"criteria\":\"https://topics.example.org/t\"," \
    "\"channel\":{\"type\":\"rest-hook\",\"endpoint\":\"https://payer.example.org/h\",\"payload\":\"application/fhir+json\","  \
    "\"_payload\":{\"extension\":[{\"url\":\"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"               \
    "backport-payload-content\",\"valueCode\":\"id-only\"}]}}}"

/* subs.h: CDX_NOMEM: nothing was changed, so the same record can be applied again. */
static enum cdx_code applied(struct cdx_subs *subs, const char *key, struct cdx_text value,
                             int64_t offset)
{
    struct cdx_sub_entry *changed = NULL;
    struct cdx_err err = {0};
    size_t used = subs->by_id.used;
    enum cdx_code code = cdx_subs_apply(subs, cdx_text_z(key), value, offset, WALL, &changed, &err),
                  again;

    oom_check(code == err.code);
    if (code != CDX_NOMEM)
        return code;
    oom_check(subs->by_id.used == used);
    oom_pause();
    again = cdx_subs_apply(subs, cdx_text_z(key), value, offset, WALL, &changed, NULL);
    oom_check((again == CDX_OK || again == CDX_INPUT) && changed != NULL);
    oom_resume();
    return code;
}

static enum cdx_code subs_story(const void *arg)
{
    struct cdx_status status = {
        .status = CDX_ACTIVE, .since_ms = WALL, .version = 5, .incarnation = 5, .activated = true};
    static char why[] = "it answered 500", code_text[] = "error-response";
    struct cdx_subs subs = {0};
    struct cdx_sub_entry *e;
    struct cdx_buf resource, active, error;
    enum cdx_code code = CDX_OK, rc;

    (void)arg;
    oom_pause();
    cdx_buf_init(&resource, 1u << 20);
    cdx_buf_init(&active, 1u << 20);
    cdx_buf_init(&error, 1u << 20);
    cdx_sub_record_write(CDX_LIT(RESOURCE), -1, 3, true, &resource);
    cdx_status_write(&status, &active);
    status.error = why;
    status.error_code = code_text;
    status.status = CDX_ERROR_STATUS;
    cdx_status_write(&status, &error);
    oom_resume();
    const struct {
        const char *key;
        struct cdx_text value;
        int64_t offset;
    } records[] = {
        {"s1", cdx_buf_text(&resource), 5},      {"s1#status", cdx_buf_text(&active), 6},
        {"s1#status", cdx_buf_text(&error), 7},  {"s2", CDX_LIT("{}"), 8},
        {"s1#status", cdx_buf_text(&active), 9}, {"s3#status", cdx_buf_text(&error), 10}};
    for (size_t i = 0; i < CDX_COUNT(records); i++) {
        rc = applied(&subs, records[i].key, records[i].value, records[i].offset);
        code = rc == CDX_NOMEM ? rc : code;
    }
    e = cdx_map_get(&subs.by_id, CDX_LIT("s1"));
    oom_check(e != NULL && e->sub != NULL && cdx_sub_logs(e) && cdx_sub_shown(e) == CDX_ACTIVE &&
              cdx_sub_answered(e) && e->status.error == NULL);
    e = cdx_map_get(&subs.by_id, CDX_LIT("s2"));
    oom_check(e != NULL && e->sub == NULL && !cdx_sub_logs(e));
    oom_print("%zu", subs.by_id.used);
    cdx_subs_fini(&subs);
    cdx_buf_fini(&resource);
    cdx_buf_fini(&active);
    cdx_buf_fini(&error);
    return code;
}

static enum cdx_code hash_story(const void *arg)
{
    struct cdx_err err = {0};
    uint64_t hash = 0;
    enum cdx_code code = cdx_sub_resource_hash(CDX_LIT(RESOURCE), &hash, &err);

    (void)arg;
    oom_check(code == err.code);
    oom_print("%llx", code == CDX_OK ? (unsigned long long)hash : 0);
    return code;
}

/* -- trigger state ------------------------------------------------------------------------------------------------ */

static enum cdx_code trigger_value_story(const void *arg)
{
    static const struct cdx_text members[] = {{"https://b/Patient/1", 19},
                                              {"https://b/Patient/2", 19}},
                                 receivers[] = {{"s1", 2}};
    const struct cdx_trigger_value v = {{"7", 1}, members, 2, receivers, 1};
    struct cdx_err err = {0};
    struct cdx_trigger_value back = {0};
    struct cdx_arena *arena = cdx_arena_create(1u << 20, &err);
    enum cdx_code code = CDX_NOMEM;
    struct cdx_buf b;

    (void)arg;
    cdx_buf_init(&b, 1u << 20);
    cdx_trigger_write(&v, &b);
    if (!b.failed && arena != NULL) {
        code = cdx_trigger_parse(cdx_buf_text(&b), arena, &back, &err);
        oom_check(code == err.code);
        oom_check(code != CDX_OK || (back.members_n == 2 && back.receivers_n == 1 &&
                                     cdx_text_is(back.members[1], "https://b/Patient/2")));
    }
    cdx_buf_fini(&b);
    cdx_arena_destroy(arena);
    return code;
}

/* Opened, filled, read; after an error it only lags: what is there is what was committed. */
static enum cdx_code trigger_store(struct cdx_trigger *t, struct cdx_arena *arena,
                                   struct cdx_err *err)
{
    struct cdx_text value = {0};
    enum cdx_code code = cdx_trigger_begin(t, err);

    if (code == CDX_OK)
        code = cdx_trigger_put(t, CDX_LIT("https://b/Encounter/1"), CDX_LIT("v 1\n"), err);
    if (code == CDX_OK)
        code = cdx_trigger_commit(t, 9, WALL, err);
    oom_check(cdx_trigger_filled(t) == (code == CDX_OK ? 9 : 0));
    if (code == CDX_OK)
        code = cdx_trigger_get(t, CDX_LIT("https://b/Encounter/1"), arena, &value, err);
    oom_check(code != CDX_OK || cdx_text_is(value, "v 1\n"));
    return code;
}

static enum cdx_code trigger_story(const void *arg)
{
    char dir[] = "/tmp/cdx-oom-XXXXXX", path[64];
    struct cdx_err err = {0};
    struct cdx_arena *arena = cdx_arena_create(1u << 20, &err);
    struct cdx_trigger *t = NULL;

    (void)arg;
    if (mkdtemp(dir) == NULL)
        abort();
    if (arena != NULL)
        t = cdx_trigger_open(dir, 3, WALL, &err);
    oom_check((t == NULL) == (err.code != CDX_OK));
    if (t != NULL)
        trigger_store(t, arena, &err);
    cdx_trigger_close(t);
    cdx_arena_destroy(arena);
    snprintf(path, sizeof path, "%s/trigger-3.mdb", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/trigger-3.mdb-lock", dir);
    unlink(path);
    oom_check(rmdir(dir) == 0);
    return err.code;
}

void oom_state(void)
{
    static const struct cdx_text group = CDX_LIT(
        "{\"resourceType\":\"Group\",\"id\":\"payer-a\",\"type\":\"person\",\"actual\":true,\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}},"
        "{\"entity\":{\"reference\":\"https://b/Patient/p2\"},\"period\":{\"start\":\"2026-01-01\",\"end\":\"2027-01-01\"}},"
        "{\"entity\":{\"reference\":\"Patient/p3\"},\"inactive\":true}]}");
    static const struct cdx_text bad_group = CDX_LIT(
        "{\"resourceType\":\"Group\",\"id\":\"payer-a\",\"type\":\"person\",\"actual\":true,"
        "\"member\":[{\"entity\":{\"reference\":\"Patient/p1\"}},{\"entity\":{}}]}");

    oom_add((struct oom_scenario){"state/feed", feed_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/feed-load", feed_load_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/cursor", cursor_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/checkpoint", checkpoint_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/group", group_story, &group, CDX_OK, NULL});
    oom_add(
        (struct oom_scenario){"state/group-refused", group_story, &bad_group, CDX_CONFIG, NULL});
    oom_add((struct oom_scenario){"state/rosters", rosters_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/subs", subs_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/hash", hash_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/trigger-value", trigger_value_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"state/trigger", trigger_story, NULL, CDX_OK, NULL});
}
