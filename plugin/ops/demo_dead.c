/*
 * ops/demo_dead.c -- is what could not be read still there, as it came?
 *
 * In:    the dead letter topic.
 * Out:   two files a record: its bytes, and its headers, which say where it came from and why it was refused.
 * Owns:  a reader, during the call.
 *
 * The bytes are compared with what the demo sent: a dead letter that was mended or cut would be no evidence.
 */
#include "ops/demo_dead.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"

#define PATH_BYTES 4096
#define READ_MS 10000
#define PREFETCH_KBYTES 1024

struct looking {
    const char *dir;
    struct cdx_text poison;
    int64_t n, kept;
    bool failed; /* a file could not be written */
};

static FILE *open_file(struct looking *l, const char *suffix)
{
    char path[PATH_BYTES];
    FILE *f;

    snprintf(path, sizeof path, "%s/%lld.%s", l->dir, (long long)l->n, suffix);
    f = fopen(path, "w");
    l->failed |= f == NULL;
    return f;
}

static void close_file(struct looking *l, FILE *f)
{
    l->failed |= f != NULL && fclose(f) != 0;
}

static bool look(void *arg, const struct cdx_record *rec)
{
    struct looking *l = arg;
    FILE *f;

    l->n++;
    l->kept += cdx_text_eq(rec->value, l->poison);
    f = open_file(l, "bin");
    if (f != NULL && rec->value.n > 0)
        fwrite(rec->value.p, 1, rec->value.n, f);
    close_file(l, f);
    f = open_file(l, "txt");
    for (size_t i = 0; f != NULL && i < rec->headers_n; i++)
        fprintf(f, "%.*s: %.*s\n", CDX_TEXT(rec->headers[i].name), CDX_TEXT(rec->headers[i].value));
    close_file(l, f);
    return true;
}

enum cdx_code cdx_demo_dead_letters(struct cdx_bus *bus, const char *dir, struct cdx_text poison,
                                    int64_t *kept, struct cdx_err *err)
{
    struct looking l = {.dir = dir, .poison = poison};
    const char *topic = cdx_bus_topic(bus, CDX_T_DEAD_LETTERS);
    struct cdx_consumer *c =
        cdx_consumer_open(bus, "demo", (struct cdx_prefetch){PREFETCH_KBYTES, 10}, err);
    int32_t n = c != NULL ? cdx_consumer_partitions(c, topic, err) : 0;
    struct cdx_place *places = n > 0 ? calloc((size_t)n, sizeof *places) : NULL;
    enum cdx_code rc =
        places != NULL ? CDX_OK
                       : cdx_fail(err, CDX_REMOTE, "demo: the dead letter topic cannot be read");

    for (int32_t i = 0; rc == CDX_OK && i < n; i++)
        places[i] = (struct cdx_place){topic, i, CDX_BEGINNING};
    if (rc == CDX_OK)
        rc = cdx_consumer_read_all(c, places, (size_t)n, READ_MS, look, &l, err);
    if (rc == CDX_OK && l.failed)
        rc = cdx_fail(err, CDX_CONFIG, "%s: %s", dir, strerror(errno));
    *kept = l.kept;
    free(places);
    cdx_consumer_close(c);
    cdx_consumer_destroy(c);
    return rc;
}
