/*
 * model/conf_files.c -- what lies under the paths that a configuration names?
 *
 * In:    paths and patterns.
 * Out:   a file's bytes, or the sorted names that exist.
 * Owns:  nothing; what is returned is the caller's.
 *
 * The hard thing is what a path may turn out to be: a FIFO that never ends, a folder, a file that grows while it is read. So
 * only regular files are read, without waiting, and never more than the bound. Not mmap: a file that shrinks would kill us.
 */
#include "model/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void cdx_strings_free(char **strings, size_t n)
{
    for (size_t i = 0; strings != NULL && i < n; i++)
        free(strings[i]);
    free(strings);
}

/* Adds what one pattern finds to `found`, which glob keeps. */
static enum cdx_code glob_one(const char *pattern, glob_t *found, struct cdx_err *err)
{
    size_t before = found->gl_pathc;
    int rc = glob(pattern, before != 0 ? GLOB_APPEND : 0, NULL, found);

    if (rc == GLOB_NOSPACE)
        return cdx_fail(err, CDX_NOMEM, "%s: out of memory", pattern);
    if (rc == GLOB_ABORTED)
        return cdx_fail(err, CDX_CONFIG, "%s: its folder cannot be read", pattern);
    if (found->gl_pathc == before && pattern[strcspn(pattern, "*?[")] == '\0')
        return cdx_fail(err, CDX_CONFIG,
                        "%s: no such file or folder; correct the path in the configuration",
                        pattern);
    return CDX_OK;
}

/* Sorted copies of what was found, each once. */
static enum cdx_code copy_found(const glob_t *found, char ***files, size_t *files_n,
                                struct cdx_err *err)
{
    char **list = calloc(found->gl_pathc != 0 ? found->gl_pathc : 1, sizeof *list);
    size_t n = 0;

    if (list == NULL)
        return cdx_fail(err, CDX_NOMEM, "configuration: list of files");
    if (found->gl_pathc != 0)
        qsort(found->gl_pathv, found->gl_pathc, sizeof *found->gl_pathv, by_text);
    for (size_t i = 0; i < found->gl_pathc; i++) {
        if (n != 0 && strcmp(list[n - 1], found->gl_pathv[i]) == 0)
            continue;
        list[n] = strdup(found->gl_pathv[i]);
        if (list[n] == NULL) {
            cdx_strings_free(list, n);
            return cdx_fail(err, CDX_NOMEM, "configuration: list of files");
        }
        n++;
    }
    *files = list;
    *files_n = n;
    return CDX_OK;
}

enum cdx_code cdx_conf_glob(char *const *patterns, size_t n, char ***files, size_t *files_n,
                            struct cdx_err *err)
{
    enum cdx_code rc = CDX_OK;
    glob_t found = {0};

    for (size_t i = 0; i < n && rc == CDX_OK; i++)
        rc = glob_one(patterns[i], &found, err);
    if (rc == CDX_OK)
        rc = copy_found(&found, files, files_n, err);
    globfree(&found);
    return rc;
}

/* Reads until the end or one byte more than max, which tells a file that is too long. Returns bytes, or -1. */
static ssize_t read_up_to(int fd, char *p, size_t max)
{
    size_t n = 0;

    while (n <= max) {
        ssize_t got = read(fd, p + n, max + 1 - n);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        n += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)n;
}

char *cdx_file_read(const char *path, size_t max, size_t *n, struct cdx_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    size_t room = max;
    struct stat st;
    char *bytes = NULL;
    ssize_t got = -1;

    if (fd < 0 || fstat(fd, &st) != 0) {
        cdx_fail(err, errno == ENOMEM ? CDX_NOMEM : CDX_CONFIG, "%s: cannot be read: %s", path,
                 strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        cdx_fail(err, CDX_CONFIG, "%s: is no regular file", path);
        goto out;
    }
    if (st.st_size > 0 && (uint64_t)st.st_size < max)
        room = (size_t)st.st_size;
    bytes = malloc(room + 2);
    if (bytes == NULL) {
        cdx_fail(err, CDX_NOMEM, "%s: no memory for %zu bytes", path, room);
        goto out;
    }
    got = read_up_to(fd, bytes, room);
    if (got < 0)
        cdx_fail(err, errno == ENOMEM ? CDX_NOMEM : CDX_CONFIG, "%s: cannot be read: %s", path,
                 strerror(errno));
    else if ((size_t)got > room)
        cdx_fail(err, CDX_CONFIG, "%s: is larger than %zu bytes", path, room);
out:
    if (fd >= 0)
        close(fd);
    if (got < 0 || (size_t)got > room) {
        free(bytes);
        return NULL;
    }
    bytes[got] = '\0';
    *n = (size_t)got;
    return bytes;
}
