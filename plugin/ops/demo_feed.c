/*
 * ops/demo_feed.c -- what does the demo's hospital say, and to which partition?
 *
 * In:    a file of resources, one a line; the address of a Kafka cluster.
 * Out:   records keyed by resource, as a FHIR server's change feed writes them; a delete is a tombstone.
 * Owns:  the events' texts; a producer of its own, so that the gateway reads from somebody else.
 *
 * A patient's resources go to one partition, so that a payer hears of them in the order in which they happened: Kafka keeps
 * order within a partition only. jansson reads the lines here, not the engine's reader: what must come out is later
 * recomputed from these events, and that answer may not share the engine's mistakes.
 */
#include "ops/demo_feed.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/map.h"
#include "model/conf.h"

#define MAX_FEED_BYTES (64u << 20)
#define FLUSH_MS 5000

/* -- the file ----------------------------------------------------------------------------------------------------- */

/* Elements that name the patient of a resource, in the types that the feed has (R4 patient compartment). */
static const char *const naming[] = {"subject", "patient", "beneficiary"};

static const char *named_patient(const json_t *resource)
{
    for (size_t i = 0; i < CDX_COUNT(naming); i++) {
        const char *reference =
            json_string_value(json_object_get(json_object_get(resource, naming[i]), "reference"));
        if (reference != NULL && strncmp(reference, "Patient/", 8) == 0)
            return reference;
    }
    return NULL;
}

/* The one spelling of a member that all events share; a Patient resource adds its own. False: no memory. */
static bool intern(struct cdx_demo_feed *feed, struct cdx_map *known, const char *patient,
                   const char **out)
{
    char *copy;

    *out = patient != NULL ? cdx_map_get(known, cdx_text_z(patient)) : NULL;
    if (patient == NULL || *out != NULL)
        return true;
    copy = strdup(patient);
    if (copy == NULL || !cdx_map_put(known, cdx_text_z(copy), copy)) {
        free(copy);
        return false;
    }
    *out = feed->members[feed->members_n++] = copy;
    return true;
}

/* A line with a resource. `owners`: reference -> member, for deletes that come later. */
static bool take_resource(struct cdx_demo_feed *feed, struct cdx_map *known, struct cdx_map *owners,
                          const json_t *json, const char *line, struct cdx_demo_event *ev)
{
    const char *type = json_string_value(json_object_get(json, "resourceType"));
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *patient;

    if (type == NULL || id == NULL || asprintf(&ev->reference, "%s/%s", type, id) < 0)
        return false;
    ev->type = strdup(type);
    ev->text = strdup(line);
    patient = strcmp(type, "Patient") == 0 ? ev->reference : named_patient(json);
    return ev->type != NULL && ev->text != NULL && intern(feed, known, patient, &ev->patient) &&
           (ev->patient == NULL ||
            cdx_map_put(owners, cdx_text_z(ev->reference), (void *)ev->patient));
}

static bool take_delete(const struct cdx_map *owners, const char *reference,
                        struct cdx_demo_event *ev)
{
    size_t n = strcspn(reference, "/");

    if (reference[n] != '/')
        return false;
    ev->reference = strdup(reference);
    ev->type = strndup(reference, n);
    ev->patient = cdx_map_get(owners, cdx_text_z(reference));
    return ev->reference != NULL && ev->type != NULL;
}

static enum cdx_code take_lines(struct cdx_demo_feed *feed, const char *file, char *text,
                                struct cdx_err *err)
{
    struct cdx_map known = {0}, owners = {0};
    enum cdx_code rc = CDX_OK;
    char *next;

    for (char *line = text; rc == CDX_OK && *line != '\0'; line = next) {
        char *end = strchrnul(line, '\n');
        next = *end == '\0' ? end : end + 1;
        *end = '\0';
        json_auto_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *gone = json_string_value(json_object_get(json, "delete"));
        struct cdx_demo_event *ev = &feed->events[feed->events_n++];
        if (gone != NULL ? !take_delete(&owners, gone, ev)
                         : !take_resource(feed, &known, &owners, json, line, ev))
            rc = cdx_fail(
                err, CDX_CONFIG,
                "%s:%zu: neither a resource with resourceType and id nor {\"delete\": \"Type/id\"}",
                file, feed->events_n);
    }
    cdx_map_fini(&known);
    cdx_map_fini(&owners);
    return rc;
}

struct cdx_demo_feed *cdx_demo_feed_load(const char *file, struct cdx_err *err)
{
    struct cdx_demo_feed *feed = calloc(1, sizeof *feed);
    size_t n, lines = 1;
    char *text = cdx_file_read(file, MAX_FEED_BYTES, &n, err);

    for (const char *p = text; p != NULL && (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    if (feed != NULL && text != NULL) {
        feed->events = calloc(lines, sizeof *feed->events);
        feed->members = calloc(lines, sizeof *feed->members);
        if (feed->events != NULL && feed->members != NULL &&
            take_lines(feed, file, text, err) == CDX_OK) {
            free(text);
            return feed;
        }
    }
    cdx_fail(err, CDX_NOMEM, "demo: feed");
    free(text);
    cdx_demo_feed_free(feed);
    return NULL;
}

void cdx_demo_feed_free(struct cdx_demo_feed *feed)
{
    if (feed == NULL)
        return;
    for (size_t i = 0; i < feed->events_n; i++) {
        free(feed->events[i].text);
        free(feed->events[i].type);
        free(feed->events[i].reference);
    }
    for (size_t i = 0; i < feed->members_n; i++)
        free((char *)feed->members[i]);
    free(feed->events);
    free(feed->members);
    free(feed);
}

/* -- the producer ------------------------------------------------------------------------------------------------- */

struct cdx_demo_feeder {
    rd_kafka_t *rk; /* owned */
    size_t failed;  /* counted in this thread: by polling */
};

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct cdx_demo_feeder *f = arg;

    (void)rk;
    f->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

struct cdx_demo_feeder *cdx_demo_feeder_create(const char *bootstrap, struct cdx_err *err)
{
    static const char *const settings[][2] = {
        {"client.id", "demo-hospital"}, {"linger.ms", "2"}, {"socket.nagle.disable", "true"}};
    struct cdx_demo_feeder *f = calloc(1, sizeof *f);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[200] = "out of memory";
    bool ok = f != NULL && rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text,
                                             sizeof text) == RD_KAFKA_CONF_OK;

    for (size_t i = 0; ok && i < CDX_COUNT(settings); i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) ==
             RD_KAFKA_CONF_OK;
    if (ok) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
        rd_kafka_conf_set_opaque(conf, f);
        rd_kafka_conf_set_log_cb(conf, NULL);
        f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    }
    if (f != NULL && f->rk != NULL)
        return f;
    rd_kafka_conf_destroy(conf);
    free(f);
    cdx_fail(err, CDX_CONFIG, "demo: the hospital's producer: %s", text);
    return NULL;
}

/* FNV-1a: any spreading will do, it only has to be the same for one patient. */
static int32_t partition_of(const struct cdx_demo_event *ev)
{
    uint32_t hash = 2166136261u;

    for (const char *p = ev->patient != NULL ? ev->patient : ev->reference; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    return (int32_t)(hash % CDX_DEMO_SOURCE_PARTITIONS);
}

static enum cdx_code produce(struct cdx_demo_feeder *f, const struct cdx_demo_event *ev, size_t n,
                             struct cdx_err *err)
{
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        f->rk, RD_KAFKA_V_TOPIC(CDX_DEMO_SOURCE), RD_KAFKA_V_PARTITION(partition_of(ev)),
        RD_KAFKA_V_KEY(ev->reference, strlen(ev->reference)), RD_KAFKA_V_VALUE(ev->text, n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);

    rd_kafka_poll(f->rk, 0);
    return rc == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CDX_OK
               : cdx_fail(err, CDX_REMOTE, "demo: %s: %s", CDX_DEMO_SOURCE, rd_kafka_err2str(rc));
}

enum cdx_code cdx_demo_feeder_send(struct cdx_demo_feeder *f, struct cdx_demo_event *ev,
                                   struct cdx_err *err)
{
    ev->fed_ms = cdx_wall_ms(&cdx_clock_system);
    return produce(f, ev, ev->text != NULL ? strlen(ev->text) : 0, err);
}

enum cdx_code cdx_demo_feeder_poison(struct cdx_demo_feeder *f, const struct cdx_demo_event *ev,
                                     struct cdx_err *err)
{
    return produce(f, ev, strlen(ev->text) / 2, err);
}

size_t cdx_demo_feeder_failed(struct cdx_demo_feeder *f)
{
    rd_kafka_poll(f->rk, 0);
    return f->failed;
}

void cdx_demo_feeder_destroy(struct cdx_demo_feeder *f)
{
    if (f == NULL)
        return;
    rd_kafka_flush(f->rk, FLUSH_MS);
    rd_kafka_destroy(f->rk);
    free(f);
}
