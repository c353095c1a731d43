/* tests/validate/samples.c -- one notification of each kind as a file, for the FHIR validator: samples FOLDER */
#include <stdio.h>

#include "../unit/notify/sample.h"

#define NOW_MS 1903867200250 /* 2030-05-01T12:00:00.250Z */

static int failures;

static void write_file(const char *folder, const char *name, struct cdx_buf *bundle)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    f = fopen(path, "w");
    if (f == NULL || fwrite(bundle->p, 1, bundle->n, f) != bundle->n || fclose(f) != 0) {
        fprintf(stderr, "samples: cannot write %s\n", path);
        failures++;
    }
    cdx_buf_fini(bundle);
}

static void signal_file(const char *folder, const char *name, enum cdx_signal kind,
                        enum cdx_sub_status status, const char *error_code)
{
    struct cdx_sub sub = sample_sub(CDX_FULL_RESOURCE);
    struct cdx_buf out;
    struct cdx_uuid id;

    cdx_buf_init(&out, 1u << 20);
    if (cdx_notify_signal(&sample_server, &sub, kind, 12, status, 7, NOW_MS, error_code, &out, &id,
                          NULL) != CDX_OK)
        abort();
    write_file(folder, name, &out);
}

static void event_file(const char *folder, const char *name, const struct sample *s,
                       enum cdx_level_of_content level)
{
    struct cdx_sub sub = sample_sub(level);
    struct cdx_logrec rec;
    struct cdx_buf log, out;
    struct cdx_uuid id;

    sample_log(s, level, NULL, &log, &rec);
    cdx_buf_init(&out, 1u << 20);
    if (cdx_notify_cut(&sample_server, &sub, &(struct cdx_event){41, NOW_MS, &rec, false}, 1, &out,
                       &id, NULL) != CDX_OK)
        abort();
    write_file(folder, name, &out);
    cdx_buf_fini(&log);
}

/* Three changes of one Encounter: sent, not to be shown any more, sent. */
static void batch_file(const char *folder, const char *name, const struct sample *s)
{
    struct cdx_sub sub = sample_sub(CDX_FULL_RESOURCE);
    struct cdx_logrec rec;
    struct cdx_buf log, out;
    struct cdx_uuid id;

    sample_log(s, CDX_FULL_RESOURCE, NULL, &log, &rec);
    cdx_buf_init(&out, 1u << 20);
    if (cdx_notify_cut(&sample_server, &sub,
                       (struct cdx_event[]){{41, NOW_MS - 2, &rec, false},
                                            {42, NOW_MS - 1, &rec, true},
                                            {43, NOW_MS, &rec, false}},
                       3, &out, &id, NULL) != CDX_OK)
        abort();
    write_file(folder, name, &out);
    cdx_buf_fini(&log);
}

int main(int argc, char **argv)
{
    const char *folder = argc == 2 ? argv[1] : NULL;
    struct sample s;

    if (folder == NULL) {
        fprintf(stderr, "usage: samples FOLDER\n");
        return 2;
    }
    signal_file(folder, "handshake", CDX_HANDSHAKE, CDX_REQUESTED, NULL);
    signal_file(folder, "heartbeat", CDX_HEARTBEAT, CDX_ACTIVE, NULL);
    signal_file(folder, "heartbeat-error", CDX_HEARTBEAT, CDX_ERROR_STATUS, "no-response");
    sample_init(&s);
    event_file(folder, "event-empty", &s, CDX_EMPTY);
    event_file(folder, "event-id-only", &s, CDX_ID_ONLY);
    event_file(folder, "event-full", &s, CDX_FULL_RESOURCE);
    batch_file(folder, "batch", &s);
    s.render.interaction = CDX_CREATE;
    event_file(folder, "event-created", &s, CDX_FULL_RESOURCE);
    sample_delete(&s);
    event_file(folder, "delete-id-only", &s, CDX_ID_ONLY);
    event_file(folder, "delete-full", &s, CDX_FULL_RESOURCE);
    sample_fini(&s);
    return failures != 0;
}
