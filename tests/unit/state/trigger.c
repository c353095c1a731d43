/* state/trigger.c: what is kept, and above all when what is kept may not be believed. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/limits.h"
#include "state/trigger_boot.h"
#include "state/trigger.h"

#define BOOT_A CDX_LIT("11111111-1111-1111-1111-111111111111")
#define BOOT_B CDX_LIT("11111111-1111-1111-1111-111111111112") /* differs in the last byte only */
#define HOUR_MS INT64_C(3600000)
#define T0 INT64_C(1770000000000)
#define KEY CDX_LIT("https://ehr.example.org/fhir/Encounter/e1")

/* A folder of its own for one test, and what it reads into. */
struct place {
    char dir[64];
    char file[96];
    struct cdx_arena *arena;
};

static struct place *place(void)
{
    struct place *p = calloc(1, sizeof *p);

    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    snprintf(p->dir, sizeof p->dir, "/tmp/cdx-trigger-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p->dir));
    snprintf(p->file, sizeof p->file, "%s/trigger-3.mdb", p->dir);
    p->arena = cdx_arena_create(1 << 20, NULL);
    return p;
}

static void clean(struct place *p)
{
    char lock[128];

    snprintf(lock, sizeof lock, "%s-lock", p->file);
    unlink(p->file);
    unlink(lock);
    CU_ASSERT_EQUAL(rmdir(p->dir), 0);
    cdx_arena_destroy(p->arena);
    free(p);
}

static struct cdx_trigger *open_at(const struct place *p, struct cdx_text boot, int64_t wall_ms)
{
    struct cdx_err err = {0};
    struct cdx_trigger *t = cdx_trigger_open_boot(p->dir, 3, boot, wall_ms, &err);

    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    return t;
}

static void put(struct cdx_trigger *t, struct cdx_text key, const char *value, int64_t filled,
                int64_t wall_ms)
{
    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_put(t, key, cdx_text_z(value), NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_commit(t, filled, wall_ms, NULL), CDX_OK);
}

/* expected NULL: unknown. */
static void holds(struct cdx_trigger *t, struct place *p, struct cdx_text key, const char *expected)
{
    struct cdx_text value = CDX_LIT("untouched");

    CU_ASSERT_EQUAL(cdx_trigger_get(t, key, p->arena, &value, NULL), CDX_OK);
    if (expected == NULL) {
        CU_ASSERT_PTR_NULL(value.p);
        CU_ASSERT_EQUAL(value.n, 0);
    } else {
        CU_ASSERT_TRUE(value.p != NULL && cdx_text_is(value, expected));
    }
}

/* A closed cache with one value, filled up to 42 at T0. */
static struct place *filled_place(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0 - HOUR_MS);

    put(t, KEY, "v 1\n", 42, T0);
    cdx_trigger_close(t);
    return p;
}

static void new_cache_is_empty(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    cdx_trigger_close(t);
    clean(p);
}

static void folder_is_made_for_the_owner_alone(void)
{
    struct place *p = place();
    struct stat st;

    rmdir(p->dir);
    cdx_trigger_close(open_at(p, BOOT_A, T0));
    CU_ASSERT_EQUAL(stat(p->dir, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 077, 0); /* member keys lie in it */
    CU_ASSERT_EQUAL(stat(p->file, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 077, 0);
    clean(p);
}

static void value_is_replaced_and_removed(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    put(t, KEY, "v 1\n", -1, T0);
    holds(t, p, KEY, "v 1\n");
    put(t, KEY, "v 2\n", -1, T0);
    holds(t, p, KEY, "v 2\n");
    holds(t, p, CDX_LIT("https://ehr.example.org/fhir/Encounter/e"), NULL);
    put(t, KEY, NULL, -1, T0);
    holds(t, p, KEY, NULL);
    put(t, KEY, NULL, -1, T0); /* a tombstone of what is not there */
    put(t, KEY, "", -1, T0);   /* an empty value is a value */
    holds(t, p, KEY, "");
    cdx_trigger_close(t);
    clean(p);
}

static void cache_is_found_again_after_reopening(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0 + HOUR_MS);

    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 42);
    holds(t, p, KEY, "v 1\n");
    cdx_trigger_close(t);
    clean(p);
}

/* trigger.h: power may have been lost with the other boot. */
static void cache_of_another_boot_is_thrown_away(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_B, T0 + HOUR_MS);

    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    put(t, KEY, "v 9\n", 5, T0 + HOUR_MS); /* and is this boot's from now on */
    cdx_trigger_close(t);
    t = open_at(p, BOOT_B, T0 + HOUR_MS);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 5);
    holds(t, p, KEY, "v 9\n");
    cdx_trigger_close(t);
    clean(p);
}

static void unknown_boot_equals_no_other(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, CDX_LIT(""), T0);

    put(t, KEY, "v 1\n", 42, T0);
    cdx_trigger_close(t);
    t = open_at(p, CDX_LIT(""), T0);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    cdx_trigger_close(t);
    clean(p);
}

/* trigger.h: 12 h unread; the commit with an offset is the read that counts. */
static void cache_unread_for_twelve_hours_is_thrown_away(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0 + 12 * HOUR_MS);

    holds(t, p, KEY, "v 1\n");
    put(t, KEY, "v 2\n", -1, T0 + 12 * HOUR_MS); /* no reading */
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0 + 12 * HOUR_MS + 1);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    cdx_trigger_close(t);
    clean(p);
}

static void reading_on_keeps_the_cache(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0 + 10 * HOUR_MS);

    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK); /* nothing new, but it was looked */
    CU_ASSERT_EQUAL(cdx_trigger_commit(t, cdx_trigger_filled(t), T0 + 10 * HOUR_MS, NULL), CDX_OK);
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0 + 20 * HOUR_MS);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 42);
    holds(t, p, KEY, "v 1\n");
    cdx_trigger_close(t);
    clean(p);
}

/* A clock that was set back far says nothing about the age. */
static void cache_from_the_far_future_is_thrown_away(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0 - 12 * HOUR_MS);

    holds(t, p, KEY, "v 1\n");
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0 - 12 * HOUR_MS - 1);
    holds(t, p, KEY, NULL);
    cdx_trigger_close(t);
    clean(p);
}

static void cleared_cache_is_empty_and_stays_so(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK); /* dropped with the rest */
    CU_ASSERT_EQUAL(cdx_trigger_put(t, CDX_LIT("x"), CDX_LIT("y"), NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_clear(t, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    holds(t, p, CDX_LIT("x"), NULL);
    put(t, KEY, "v 3\n", 7, T0);
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 7);
    holds(t, p, KEY, "v 3\n");
    cdx_trigger_close(t);
    clean(p);
}

static void overwrite(const char *file, off_t at, const void *bytes, size_t n)
{
    int fd = open(file, O_WRONLY | O_CREAT, 0600);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

static void replaced(struct place *p)
{
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    holds(t, p, KEY, NULL);
    put(t, KEY, "v 5\n", 3, T0);
    holds(t, p, KEY, "v 5\n");
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 3);
    cdx_trigger_close(t);
    clean(p);
}

static void foreign_file_is_replaced(void)
{
    struct place *p = place();
    char text[8192];

    memset(text, 'x', sizeof text);
    overwrite(p->file, 0, text, sizeof text);
    replaced(p);
}

static void empty_file_is_replaced(void)
{
    struct place *p = place();

    overwrite(p->file, 0, "", 0);
    replaced(p);
}

static void damaged_head_is_replaced(void)
{
    struct place *p = filled_place();
    char zeros[64] = {0};

    overwrite(p->file, 0, zeros, sizeof zeros);
    replaced(p);
}

/* Reading a page behind the end of the file would be a SIGBUS. */
static void file_that_lacks_pages_is_replaced(void)
{
    struct place *p = filled_place();

    CU_ASSERT_EQUAL(truncate(p->file, 2 * 4096),
                    0); /* both meta pages, nothing that they point to */
    replaced(p);
    p = filled_place();
    CU_ASSERT_EQUAL(truncate(p->file, 100), 0);
    replaced(p);
}

/* A sound LMDB file that somebody else wrote. */
static void database_of_somebody_else_is_replaced(void)
{
    struct place *p = place();
    MDB_val key = {5, (void *)(uintptr_t) "about"}, data = {3, (void *)(uintptr_t) "xyz"};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    CU_ASSERT_EQUAL_FATAL(mdb_env_create(&env), 0);
    CU_ASSERT_EQUAL_FATAL(mdb_env_open(env, p->file, MDB_NOSUBDIR, 0600), 0);
    CU_ASSERT_EQUAL_FATAL(mdb_txn_begin(env, NULL, 0, &txn), 0);
    CU_ASSERT_EQUAL_FATAL(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    CU_ASSERT_EQUAL(mdb_put(txn, dbi, &key, &data, 0), 0);
    CU_ASSERT_EQUAL(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    replaced(p);
}

static void folder_that_cannot_be_is_told_with_its_path(void)
{
    struct cdx_err err = {0};

    CU_ASSERT_PTR_NULL(cdx_trigger_open("/proc/no/such", 0, T0, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/proc/no/such"));
}

static void file_that_is_a_folder_is_told_with_its_path(void)
{
    struct place *p = place();
    struct cdx_err err = {0};

    CU_ASSERT_EQUAL(mkdir(p->file, 0700), 0);
    CU_ASSERT_PTR_NULL(cdx_trigger_open(p->dir, 3, T0, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, p->file));
    rmdir(p->file);
    clean(p);
}

/* The same boot by the system's own word. */
static void system_boot_id_is_stable(void)
{
    struct place *p = place();
    struct cdx_trigger *t = cdx_trigger_open(p->dir, 3, T0, NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    put(t, KEY, "v 1\n", 42, T0);
    cdx_trigger_close(t);
    t = cdx_trigger_open(p->dir, 3, T0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 42);
    cdx_trigger_close(t);
    clean(p);
}

/* LMDB holds keys of 1..511 bytes; others, and those that look like a kept hash, go by their hash. */
static void keys_of_any_length_are_kept_apart(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);
    char a[2000], b[2000];
    /* SHA-256 of "" (FIPS 180-4 example values): what the empty key is kept as */
    struct cdx_text hash =
        CDX_LIT("#e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    b[1999] = 'b';
    put(t, cdx_text(a, 2000), "long a", -1, T0);
    put(t, cdx_text(b, 2000), "long b", -1, T0);
    put(t, cdx_text(a, 511), "511", -1, T0);
    put(t, cdx_text(a, 512), "512", -1, T0);
    put(t, CDX_LIT(""), "empty", -1, T0);
    put(t, hash, "hash", -1, T0);
    holds(t, p, cdx_text(a, 2000), "long a");
    holds(t, p, cdx_text(b, 2000), "long b");
    holds(t, p, cdx_text(a, 511), "511");
    holds(t, p, cdx_text(a, 512), "512");
    holds(t, p, cdx_text(a, 513), NULL);
    holds(t, p, CDX_LIT(""), "empty");
    holds(t, p, hash, "hash");
    put(t, cdx_text(a, 2000), NULL, -1, T0);
    holds(t, p, cdx_text(a, 2000), NULL);
    cdx_trigger_close(t);
    clean(p);
}

static void open_transaction_is_read_through_and_dropped_whole(void)
{
    struct place *p = filled_place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_put(t, KEY, CDX_LIT("v 2\n"), NULL), CDX_OK);
    holds(t, p, KEY, "v 2\n");
    cdx_trigger_abort(t);
    holds(t, p, KEY, "v 1\n");
    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_put(t, KEY, CDX_LIT("v 3\n"), NULL), CDX_OK);
    cdx_trigger_close(t); /* drops it */
    t = open_at(p, BOOT_A, T0);
    holds(t, p, KEY, "v 1\n");
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 42);
    cdx_trigger_close(t);
    clean(p);
}

static void steps_out_of_order_are_refused(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);

    CU_ASSERT_NOT_EQUAL(cdx_trigger_put(t, KEY, CDX_LIT("v 1\n"), NULL), CDX_OK);
    CU_ASSERT_NOT_EQUAL(cdx_trigger_commit(t, 1, T0, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    CU_ASSERT_NOT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_commit(t, -1, T0, NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 0);
    cdx_trigger_close(t);
    clean(p);
}

static void arena_without_room_is_no_memory(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);
    struct cdx_arena *none = cdx_arena_create(0, NULL);
    struct cdx_text value = CDX_LIT("untouched");

    put(t, KEY, "v 1\n", -1, T0);
    CU_ASSERT_EQUAL(cdx_trigger_get(t, KEY, none, &value, NULL), CDX_NOMEM);
    CU_ASSERT_TRUE(cdx_text_is(value, "untouched"));
    holds(t, p, KEY, "v 1\n"); /* the reader is not left open */
    cdx_arena_destroy(none);
    cdx_trigger_close(t);
    clean(p);
}

static void many_values_survive_reopening(void)
{
    struct place *p = place();
    struct cdx_trigger *t = open_at(p, BOOT_A, T0);
    char key[64], value[64];

    CU_ASSERT_EQUAL(cdx_trigger_begin(t, NULL), CDX_OK);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "https://b/Encounter/%d", i);
        snprintf(value, sizeof value, "v %d\nm https://b/Patient/%d\n", i, i % 100);
        CU_ASSERT_EQUAL(cdx_trigger_put(t, cdx_text_z(key), cdx_text_z(value), NULL), CDX_OK);
    }
    CU_ASSERT_EQUAL(cdx_trigger_commit(t, 20000, T0, NULL), CDX_OK);
    cdx_trigger_close(t);
    t = open_at(p, BOOT_A, T0);
    CU_ASSERT_EQUAL(cdx_trigger_filled(t), 20000);
    holds(t, p, CDX_LIT("https://b/Encounter/0"), "v 0\nm https://b/Patient/0\n");
    holds(t, p, CDX_LIT("https://b/Encounter/19999"), "v 19999\nm https://b/Patient/99\n");
    holds(t, p, CDX_LIT("https://b/Encounter/20000"), NULL);
    cdx_trigger_close(t);
    clean(p);
}

/* -- values ------------------------------------------------------------------------------------------------------- */

static const struct cdx_text members[] = {CDX_LIT("https://b/Patient/1"),
                                          CDX_LIT("https://b/Patient/2")};
static const struct cdx_text receivers[] = {CDX_LIT("sub-1")};

static void value_is_written_one_line_a_fact(void)
{
    struct cdx_trigger_value v = {CDX_LIT("7"), members, 2, receivers, 1};
    struct cdx_buf buf;

    cdx_buf_init(&buf, 1000);
    cdx_trigger_write(&v, &buf);
    CU_ASSERT_TRUE(cdx_text_is(cdx_buf_text(&buf),
                               "v 7\nm https://b/Patient/1\nm https://b/Patient/2\nr sub-1\n"));
    cdx_buf_reset(&buf);
    v = (struct cdx_trigger_value){0};
    cdx_trigger_write(&v, &buf);
    CU_ASSERT_TRUE(cdx_text_is(cdx_buf_text(&buf), "v \n"));
    cdx_buf_fini(&buf);
}

static void value_is_read_as_written(void)
{
    struct cdx_arena *arena = cdx_arena_create(1 << 20, NULL);
    struct cdx_trigger_value v = {0};

    CU_ASSERT_EQUAL(
        cdx_trigger_parse(CDX_LIT("v 7\nm https://b/Patient/1\nm https://b/Patient/2\nr sub-1\n"),
                          arena, &v, NULL),
        CDX_OK);
    CU_ASSERT_TRUE(cdx_text_is(v.version, "7"));
    CU_ASSERT_EQUAL_FATAL(v.members_n, 2);
    CU_ASSERT_TRUE(cdx_text_eq(v.members[0], members[0]));
    CU_ASSERT_TRUE(cdx_text_eq(v.members[1], members[1]));
    CU_ASSERT_EQUAL_FATAL(v.receivers_n, 1);
    CU_ASSERT_TRUE(cdx_text_eq(v.receivers[0], receivers[0]));
    CU_ASSERT_EQUAL(cdx_trigger_parse(CDX_LIT("v \n"), arena, &v, NULL), CDX_OK);
    CU_ASSERT_EQUAL(v.version.n + v.members_n + v.receivers_n, 0);
    cdx_arena_destroy(arena);
}

/* Else a version of "1\nr other-subscription" would make a receiver. */
static void text_with_a_line_end_is_not_written(void)
{
    struct cdx_trigger_value v = {CDX_LIT("1\nr sub-2"), NULL, 0, NULL, 0};
    struct cdx_buf buf;

    cdx_buf_init(&buf, 1000);
    cdx_trigger_write(&v, &buf);
    CU_ASSERT_TRUE(buf.failed);
    cdx_buf_fini(&buf);
}

static void value_that_is_none_is_refused_by_line(void)
{
    static const struct {
        const char *value, *line;
    } rows[] = {
        {"", "line 1"},
        {"v 1", "line 1"},
        {"v1\n", "line 1"},
        {"\n", "line 1"},
        {"m a\nv 1\n", "line 1"},
        {"v 1\nv 2\n", "line 2"},
        {"v 1\nx 2\n", "line 2"},
        {"v 1\nm \n", "line 2"},
        {"v 1\nr \n", "line 2"},
        {"v 1\nm a\nr", "line 3"},
        {"v 1\n\nm a\n", "line 2"},
        {"v 1\nm a", "line 2"},
    };
    struct cdx_arena *arena = cdx_arena_create(1 << 20, NULL);

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_trigger_value v = {.members_n = 77};
        struct cdx_err err = {0};
        CU_ASSERT_EQUAL(cdx_trigger_parse(cdx_text_z(rows[i].value), arena, &v, &err), CDX_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].line));
        CU_ASSERT_EQUAL(v.members_n, 77);
    }
    cdx_arena_destroy(arena);
}

/* core/limits.h */
static void value_beyond_the_limits_is_refused(void)
{
    struct cdx_arena *arena = cdx_arena_create(8 << 20, NULL);
    struct cdx_trigger_value v;
    struct cdx_buf buf;

    cdx_buf_init(&buf, 1 << 20);
    cdx_buf_add_z(&buf, "v 1\n");
    for (int i = 0; i < CDX_MAX_EVENT_MEMBERS; i++)
        cdx_buf_add_z(&buf, "m a\n");
    for (int i = 0; i < CDX_MAX_RECEIVERS; i++)
        cdx_buf_add_z(&buf, "r s\n");
    CU_ASSERT_EQUAL(cdx_trigger_parse(cdx_buf_text(&buf), arena, &v, NULL), CDX_OK);
    CU_ASSERT_EQUAL(v.members_n, CDX_MAX_EVENT_MEMBERS);
    CU_ASSERT_EQUAL(v.receivers_n, CDX_MAX_RECEIVERS);
    cdx_buf_add_z(&buf, "m a\n");
    CU_ASSERT_EQUAL(cdx_trigger_parse(cdx_buf_text(&buf), arena, &v, NULL), CDX_INPUT);
    buf.n -= 4;
    cdx_buf_add_z(&buf, "r s\n");
    CU_ASSERT_EQUAL(cdx_trigger_parse(cdx_buf_text(&buf), arena, &v, NULL), CDX_INPUT);
    cdx_buf_fini(&buf);
    cdx_arena_destroy(arena);
}

static CU_TestInfo tests[] = {
    {"new cache is empty", new_cache_is_empty},
    {"folder is made for the owner alone", folder_is_made_for_the_owner_alone},
    {"value is replaced and removed", value_is_replaced_and_removed},
    {"cache is found again after reopening", cache_is_found_again_after_reopening},
    {"cache of another boot is thrown away", cache_of_another_boot_is_thrown_away},
    {"unknown boot equals no other", unknown_boot_equals_no_other},
    {"cache unread for twelve hours is thrown away", cache_unread_for_twelve_hours_is_thrown_away},
    {"reading on keeps the cache", reading_on_keeps_the_cache},
    {"cache from the far future is thrown away", cache_from_the_far_future_is_thrown_away},
    {"cleared cache is empty and stays so", cleared_cache_is_empty_and_stays_so},
    {"foreign file is replaced", foreign_file_is_replaced},
    {"empty file is replaced", empty_file_is_replaced},
    {"damaged head is replaced", damaged_head_is_replaced},
    {"file that lacks pages is replaced", file_that_lacks_pages_is_replaced},
    {"database of somebody else is replaced", database_of_somebody_else_is_replaced},
    {"folder that cannot be is told with its path", folder_that_cannot_be_is_told_with_its_path},
    {"file that is a folder is told with its path", file_that_is_a_folder_is_told_with_its_path},
    {"system boot id is stable", system_boot_id_is_stable},
    {"keys of any length are kept apart", keys_of_any_length_are_kept_apart},
    {"open transaction is read through and dropped whole",
     open_transaction_is_read_through_and_dropped_whole},
    {"steps out of order are refused", steps_out_of_order_are_refused},
    {"arena without room is no memory", arena_without_room_is_no_memory},
    {"many values survive reopening", many_values_survive_reopening},
    {"value is written one line a fact", value_is_written_one_line_a_fact},
    {"value is read as written", value_is_read_as_written},
    {"text with a line end is not written", text_with_a_line_end_is_not_written},
    {"value that is none is refused by line", value_that_is_none_is_refused_by_line},
    {"value beyond the limits is refused", value_beyond_the_limits_is_refused},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_state_trigger = {.pName = "state/trigger", .pTests = tests};
