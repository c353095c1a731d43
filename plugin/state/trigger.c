/*
 * state/trigger.c -- what did we know of this resource before the change in hand?
 *
 * In:    keys and values of cdex.trigger-state, those that were read and those that were just written.
 * Out:   the newest value of a key, copied into the event's arena.
 * Owns:  one LMDB file a state partition: the values, and one record about them (boot, filled, read when).
 *
 * The hard thing is to know when a cache lies. It is never synced, so after a loss of power anything may stand in it:
 * it holds the id of the boot that wrote it, and another boot starts empty. It must have been read while tombstones
 * were still in the topic (delete.retention.ms, 24 h), so 12 h unread start empty too. A file that is shorter than its
 * own count of pages would be a SIGBUS at a read, so that is looked for at open. A kill -9 costs nothing: what was
 * committed is in the page cache.
 *
 * Not synced writes, which cost milliseconds a commit for what can be read again. Not a table in memory: a partition
 * may hold millions of resources. Reads renew one snapshot in place of making one, which halves their cost.
 */
#include "state/trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/digest.h"
#include "core/limits.h"
#include "state/trigger_boot.h"

#define MAX_KEY_BYTES 511 /* LMDB's compiled default */
#define BOOT_BYTES 40     /* a UUID's text with its NUL, rounded up */
#define MAX_UNREAD_MS INT64_C(43200000)
/* Address space, not disk: the file grows with what is put. Halved while the system refuses it. */
#define MAP_BYTES (UINT64_C(64) << 30)
#define MIN_MAP_BYTES (UINT64_C(64) << 20)
#define MAGIC "cdxtrig1"

/* The record about the cache. Native byte order: it never outlives a boot. */
struct about {
    char magic[8];
    char boot[BOOT_BYTES];
    int64_t filled;
    int64_t read_ms;
};

struct cdx_trigger {
    char path[PATH_MAX];
    char boot[BOOT_BYTES];
    MDB_env *env;     /* NULL after a clear that failed */
    MDB_dbi main_dbi; /* the record about the cache, and the name of the other */
    MDB_dbi state;
    MDB_txn *reader; /* reset between two reads */
    MDB_txn *writer; /* NULL: no write transaction is open */
    struct about about;
};

/* -- values ------------------------------------------------------------------------------------------------------ */

static void write_line(struct cdx_buf *out, char letter, struct cdx_text text)
{
    const char head[] = {letter, ' '};

    if (text.n != 0 && memchr(text.p, '\n', text.n) != NULL)
        out->failed = true;
    cdx_buf_add(out, head, sizeof head);
    cdx_buf_add_text(out, text);
    cdx_buf_add(out, "\n", 1);
}

void cdx_trigger_write(const struct cdx_trigger_value *v, struct cdx_buf *out)
{
    write_line(out, 'v', v->version);
    for (size_t i = 0; i < v->members_n; i++)
        write_line(out, 'm', v->members[i]);
    for (size_t i = 0; i < v->receivers_n; i++)
        write_line(out, 'r', v->receivers[i]);
}

/* The next "<letter> <text>\n"; false: none. */
static bool next_line(struct cdx_text *rest, char *letter, struct cdx_text *text)
{
    const char *end = rest->n != 0 ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n;

    if (end == NULL)
        return false;
    n = (size_t)(end - rest->p);
    if (n < 2 || rest->p[1] != ' ')
        return false;
    *letter = rest->p[0];
    *text = cdx_text(rest->p + 2, n - 2);
    *rest = cdx_text(end + 1, rest->n - n - 1);
    return true;
}

struct list {
    size_t n, max;
    struct cdx_text *items; /* NULL while counting */
};

/* One walk over the lines: checks and counts, and keeps where there is room for it. */
static enum cdx_code walk(struct cdx_text rest, struct cdx_text *version, struct list *members,
                          struct list *receivers, struct cdx_err *err)
{
    members->n = receivers->n = 0;
    for (size_t line = 1; line == 1 || rest.n != 0; line++) {
        struct list *list;
        struct cdx_text text;
        char letter;

        if (!next_line(&rest, &letter, &text))
            return cdx_fail(err, CDX_INPUT,
                            "trigger state: line %zu is not a letter, a space and a text", line);
        if (line == 1 && letter == 'v') {
            *version = text;
            continue;
        }
        list = letter == 'm' ? members : letter == 'r' ? receivers : NULL;
        if (line == 1 || list == NULL)
            return cdx_fail(err, CDX_INPUT, "trigger state: line %zu does not start with %s", line,
                            line == 1 ? "v" : "m or r");
        if (text.n == 0 || list->n == list->max)
            return cdx_fail(err, CDX_INPUT, "trigger state: line %zu is empty or one more than %zu",
                            line, list->max);
        if (list->items != NULL)
            list->items[list->n] = text;
        list->n++;
    }
    return CDX_OK;
}

enum cdx_code cdx_trigger_parse(struct cdx_text value, struct cdx_arena *arena,
                                struct cdx_trigger_value *out, struct cdx_err *err)
{
    struct list members = {.max = CDX_MAX_EVENT_MEMBERS}, receivers = {.max = CDX_MAX_RECEIVERS};
    struct cdx_text version = {0};
    enum cdx_code rc = walk(value, &version, &members, &receivers, err);

    if (rc != CDX_OK)
        return rc;
    members.items = cdx_arena_zalloc(arena, members.n, sizeof(struct cdx_text));
    receivers.items = cdx_arena_zalloc(arena, receivers.n, sizeof(struct cdx_text));
    if (members.items == NULL || receivers.items == NULL)
        return cdx_fail(err, CDX_NOMEM, "trigger state: a value of %zu lines",
                        members.n + receivers.n + 1);
    rc = walk(value, &version, &members, &receivers, err);
    if (rc == CDX_OK)
        *out = (struct cdx_trigger_value){version, members.items, members.n, receivers.items,
                                          receivers.n};
    return rc;
}

/* -- the file ---------------------------------------------------------------------------------------------------- */

static enum cdx_code fail(const struct cdx_trigger *t, int rc, const char *what,
                          struct cdx_err *err)
{
    switch (rc) {
    case ENOMEM: return cdx_fail(err, CDX_NOMEM, "%s: %s", t->path, what);
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return cdx_fail(err, CDX_FULL, "%s: %s: %s; make room, or delete the file and restart",
                        t->path, what, mdb_strerror(rc));
    default:
        return cdx_fail(err, CDX_CONFIG,
                        "%s: %s: %s; check data_dir, or delete the file and restart", t->path, what,
                        mdb_strerror(rc));
    }
}

/* Does this say that the file's content is no good, so that a new one helps? */
static bool is_damage(int rc)
{
    static const int codes[] = {
        MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CORRUPTED,    MDB_PAGE_NOTFOUND,
        MDB_PANIC,   MDB_NOTFOUND,         MDB_INCOMPATIBLE, MDB_BAD_DBI};

    for (size_t i = 0; i < CDX_COUNT(codes); i++)
        if (rc == codes[i])
            return true;
    return false;
}

static void env_close(struct cdx_trigger *t)
{
    if (t->writer != NULL)
        mdb_txn_abort(t->writer);
    if (t->reader != NULL)
        mdb_txn_abort(t->reader);
    if (t->env != NULL)
        mdb_env_close(t->env);
    t->writer = t->reader = NULL;
    t->env = NULL;
}

/* Are all pages that the file counts in it? */
static int check_length(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t fd;
    struct stat st;
    int rc;

    if ((rc = mdb_env_info(env, &info)) != 0 || (rc = mdb_env_stat(env, &stat)) != 0 ||
        (rc = mdb_env_get_fd(env, &fd)) != 0)
        return rc;
    if (fstat(fd, &st) != 0)
        return errno;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize > (uint64_t)st.st_size ? MDB_CORRUPTED
                                                                                    : 0;
}

/* MDB_NOTLS: a handle may move to another thread, and a read may stand beside an open write. */
static int env_open(struct cdx_trigger *t)
{
    const unsigned flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOTLS | MDB_NORDAHEAD;
    int rc = ENOMEM;

    for (uint64_t bytes = MAP_BYTES; bytes >= MIN_MAP_BYTES && rc == ENOMEM; bytes /= 2) {
        if (bytes > SIZE_MAX)
            continue;
        rc = mdb_env_create(&t->env);
        if (rc != 0)
            return rc;
        if ((rc = mdb_env_set_maxdbs(t->env, 1)) == 0 &&
            (rc = mdb_env_set_mapsize(t->env, (size_t)bytes)) == 0)
            rc = mdb_env_open(t->env, t->path, flags, 0600);
        if (rc != 0)
            env_close(t);
    }
    return rc;
}

static MDB_val val(const void *p, size_t n)
{
    return (MDB_val){.mv_size = n,
                     .mv_data = (void *)(uintptr_t)p}; /* LMDB does not write through it */
}

static int about_put(MDB_txn *txn, MDB_dbi dbi, const struct about *about)
{
    MDB_val key = val("about", 5), data = val(about, sizeof *about);

    return mdb_put(txn, dbi, &key, &data, 0);
}

/* MDB_INVALID: an LMDB file, but not one of ours. */
static int about_get(MDB_txn *txn, MDB_dbi dbi, struct about *about)
{
    MDB_val key = val("about", 5), data;
    int rc = mdb_get(txn, dbi, &key, &data);

    if (rc != 0)
        return rc;
    if (data.mv_size != sizeof *about || memcmp(data.mv_data, MAGIC, sizeof about->magic) != 0)
        return MDB_INVALID;
    memcpy(about, data.mv_data, sizeof *about);
    return 0;
}

/* Opens the two tables; makes them when `fresh`. */
static int tables_open(struct cdx_trigger *t, bool fresh)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    if ((rc = mdb_dbi_open(txn, NULL, 0, &t->main_dbi)) != 0 ||
        (rc = fresh ? about_put(txn, t->main_dbi, &t->about)
                    : about_get(txn, t->main_dbi, &t->about)) != 0 ||
        (rc = mdb_dbi_open(txn, "state", fresh ? MDB_CREATE : 0, &t->state)) != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int file_open(struct cdx_trigger *t, bool fresh)
{
    int rc;

    if ((rc = env_open(t)) != 0 || (rc = check_length(t->env)) != 0 ||
        (rc = tables_open(t, fresh)) != 0 ||
        (rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->reader)) != 0) {
        env_close(t);
        return rc;
    }
    mdb_txn_reset(t->reader);
    return 0;
}

/* Without the old file; LMDB keeps its lock table beside it. */
static int file_replace(struct cdx_trigger *t)
{
    char lock[PATH_MAX + 8];

    env_close(t);
    snprintf(lock, sizeof lock, "%s-lock", t->path);
    if ((unlink(t->path) != 0 && errno != ENOENT) || (unlink(lock) != 0 && errno != ENOENT))
        return errno;
    memcpy(t->about.magic, MAGIC, sizeof t->about.magic);
    memcpy(t->about.boot, t->boot, sizeof t->about.boot);
    t->about.filled = 0;
    return file_open(t, true);
}

/* Was it written in this boot and read not too long ago, by a clock that may have been set meanwhile? */
static bool is_current(const struct cdx_trigger *t, int64_t wall_ms)
{
    const struct about *about = &t->about;

    return t->boot[0] != '\0' && memcmp(about->boot, t->boot, sizeof t->boot) == 0 &&
           about->filled >= 0 && about->read_ms >= wall_ms - MAX_UNREAD_MS &&
           about->read_ms <= wall_ms + MAX_UNREAD_MS;
}

static enum cdx_code open_or_replace(struct cdx_trigger *t, int64_t wall_ms, struct cdx_err *err)
{
    int rc = access(t->path, F_OK) == 0 ? file_open(t, false) : MDB_NOTFOUND;

    if (is_damage(rc) || (rc == 0 && !is_current(t, wall_ms))) {
        t->about.read_ms = wall_ms;
        rc = file_replace(t);
    }
    return rc == 0 ? CDX_OK : fail(t, rc, "cannot open", err);
}

struct cdx_trigger *cdx_trigger_open_boot(const char *dir, int32_t partition, struct cdx_text boot,
                                          int64_t wall_ms, struct cdx_err *err)
{
    struct cdx_trigger *t = calloc(1, sizeof *t);
    int n;

    if (t == NULL) {
        cdx_fail(err, CDX_NOMEM, "state: trigger cache");
        return NULL;
    }
    n = snprintf(t->path, sizeof t->path, "%s/trigger-%d.mdb", dir, (int)partition);
    if (n < 0 || (size_t)n >= sizeof t->path) {
        cdx_fail(err, CDX_CONFIG, "data_dir: its path is longer than the system allows");
        free(t);
        return NULL;
    }
    if (boot.n != 0)
        memcpy(t->boot, boot.p, boot.n < sizeof t->boot ? boot.n : sizeof t->boot - 1);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        cdx_fail(err, CDX_CONFIG, "data_dir %s: %s", dir, strerror(errno));
        free(t);
        return NULL;
    }
    if (open_or_replace(t, wall_ms, err) != CDX_OK) {
        cdx_trigger_close(t);
        return NULL;
    }
    return t;
}

struct cdx_trigger *cdx_trigger_open(const char *dir, int32_t partition, int64_t wall_ms,
                                     struct cdx_err *err)
{
    char boot[36];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, boot, sizeof boot) : -1;

    if (fd >= 0)
        close(fd);
    return cdx_trigger_open_boot(
        dir, partition, cdx_text(boot, n == (ssize_t)sizeof boot ? sizeof boot : 0), wall_ms, err);
}

void cdx_trigger_close(struct cdx_trigger *t)
{
    if (t == NULL)
        return;
    env_close(t);
    free(t);
}

int64_t cdx_trigger_filled(const struct cdx_trigger *t)
{
    return t->about.filled;
}

enum cdx_code cdx_trigger_clear(struct cdx_trigger *t, struct cdx_err *err)
{
    int rc = file_replace(t);

    return rc == 0 ? CDX_OK : fail(t, rc, "cannot clear", err);
}

/* -- reads and writes -------------------------------------------------------------------------------------------- */

/* Fills `kept` when the key is none that LMDB can hold: '#' and its SHA-256. Nor does a key keep a '#' of its own. */
static enum cdx_code lmdb_key(struct cdx_text key, char kept[66], MDB_val *out, struct cdx_err *err)
{
    enum cdx_code rc;

    if (key.n != 0 && key.n <= MAX_KEY_BYTES && key.p[0] != '#') {
        *out = val(key.p, key.n);
        return CDX_OK;
    }
    kept[0] = '#';
    rc = cdx_sha256_hex(key.p, key.n, kept + 1, err);
    *out = val(kept, 65);
    return rc;
}

static int look(struct cdx_trigger *t, MDB_val *key, struct cdx_arena *arena,
                struct cdx_text *value)
{
    MDB_txn *txn = t->writer != NULL ? t->writer : t->reader;
    MDB_val data;
    int rc = mdb_get(txn, t->state, key, &data);

    if (rc == MDB_NOTFOUND) {
        *value = cdx_text(NULL, 0);
        return 0;
    }
    if (rc != 0)
        return rc;
    *value = cdx_arena_copy(arena, cdx_text(data.mv_data, data.mv_size));
    return value->p != NULL ? 0 : ENOMEM;
}

enum cdx_code cdx_trigger_get(struct cdx_trigger *t, struct cdx_text key, struct cdx_arena *arena,
                              struct cdx_text *value, struct cdx_err *err)
{
    char kept[66];
    MDB_val k;
    struct cdx_text found;
    enum cdx_code code = lmdb_key(key, kept, &k, err);
    int rc;

    if (code != CDX_OK)
        return code;
    rc = t->env == NULL ? EBADF : t->writer != NULL ? 0 : mdb_txn_renew(t->reader);
    if (rc == 0) {
        rc = look(t, &k, arena, &found);
        if (t->writer == NULL)
            mdb_txn_reset(t->reader);
    }
    if (rc != 0)
        return fail(t, rc, "cannot read", err);
    *value = found;
    return CDX_OK;
}

enum cdx_code cdx_trigger_begin(struct cdx_trigger *t, struct cdx_err *err)
{
    int rc = t->env == NULL      ? EBADF
             : t->writer != NULL ? EBUSY
                                 : mdb_txn_begin(t->env, NULL, 0, &t->writer);

    return rc == 0 ? CDX_OK : fail(t, rc, "cannot begin to write", err);
}

void cdx_trigger_abort(struct cdx_trigger *t)
{
    if (t->writer != NULL)
        mdb_txn_abort(t->writer);
    t->writer = NULL;
}

enum cdx_code cdx_trigger_put(struct cdx_trigger *t, struct cdx_text key, struct cdx_text value,
                              struct cdx_err *err)
{
    char kept[66];
    MDB_val k, data = val(value.p, value.n);
    enum cdx_code code = lmdb_key(key, kept, &k, err);
    int rc;

    if (code != CDX_OK) {
        cdx_trigger_abort(t);
        return code;
    }
    if (t->writer == NULL)
        return fail(t, EBADF, "no write transaction", err);
    rc = value.p != NULL ? mdb_put(t->writer, t->state, &k, &data, 0)
                         : mdb_del(t->writer, t->state, &k, NULL);
    if (rc == 0 || (value.p == NULL && rc == MDB_NOTFOUND))
        return CDX_OK;
    cdx_trigger_abort(t);
    return fail(t, rc, "cannot write", err);
}

enum cdx_code cdx_trigger_commit(struct cdx_trigger *t, int64_t filled, int64_t wall_ms,
                                 struct cdx_err *err)
{
    struct about about = t->about;
    int rc = 0;

    if (t->writer == NULL)
        return fail(t, EBADF, "no write transaction", err);
    if (filled >= 0) {
        about.filled = filled;
        about.read_ms = wall_ms;
        rc = about_put(t->writer, t->main_dbi, &about);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(t->writer);
        t->writer = NULL; /* freed, whatever came of it */
    }
    if (rc != 0) {
        cdx_trigger_abort(t);
        return fail(t, rc, "cannot commit", err);
    }
    t->about = about;
    return CDX_OK;
}
