/*
 * tests/bench/feed.c -- a hospital's feed: Observations of 2 KB, keyed by patient.
 *
 * In:    feed BROKERS TOPIC COUNT RATE PATIENTS START: COUNT resources with ids from START on, RATE a second (0: as fast as
 *        the broker takes them), of PATIENTS patients in turn.
 * Out:   the records; one JSON line with how many and in how long. Exit 1 when one was not acknowledged.
 * Owns:  its producer.
 *
 * Each resource holds `bench-us-<wall microseconds>`, written right before the record is produced: the age that a sink sees
 * includes the feed's own way to the broker. The hard thing is an even rate: what is due is produced every millisecond,
 * by an absolute clock, so that a late turn is made up for and the next is not late as well.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_BYTES 2048 /* the issue of the benchmark: resources of 2 KB */

static unsigned long failed;

static int64_t now_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk;
    (void)arg;
    failed += m->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* A laboratory result as an EHR writes it, filled up to VALUE_BYTES by its note. */
static size_t resource(char *out, size_t cap, unsigned long id, unsigned long patient)
{
    static const char note[] =
        "Specimen received in good condition and processed within two hours of collection. ";
    int n = snprintf(
        out, cap,
        "{\"resourceType\":\"Observation\",\"id\":\"obs-%lu\",\"meta\":{\"versionId\":\"1\",\"lastUpdated\":\"2025-11-03T10:15:30.123Z\","
        "\"profile\":[\"http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab\"]},"
        "\"identifier\":[{\"system\":\"https://ehr.example.org/bench\",\"value\":\"bench-us-%lld\"}],\"status\":\"final\","
        "\"category\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":\"laboratory\","
        "\"display\":\"Laboratory\"}],\"text\":\"Laboratory\"}],"
        "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"4548-4\",\"display\":\"Hemoglobin A1c/Hemoglobin.total in Blood\"}],"
        "\"text\":\"Hemoglobin A1c\"},\"subject\":{\"reference\":\"Patient/p%lu\"},\"encounter\":{\"reference\":\"Encounter/e%lu\"},"
        "\"effectiveDateTime\":\"2025-11-03T09:30:00-05:00\",\"issued\":\"2025-11-03T10:15:30.123-05:00\","
        "\"performer\":[{\"reference\":\"Organization/lab\",\"display\":\"Central Laboratory\"}],"
        "\"valueQuantity\":{\"value\":6.10,\"unit\":\"%%\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"%%\"},"
        "\"interpretation\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation\",\"code\":\"H\","
        "\"display\":\"High\"}]}],"
        "\"referenceRange\":[{\"low\":{\"value\":4.0,\"unit\":\"%%\"},\"high\":{\"value\":5.6,\"unit\":\"%%\"},\"text\":\"4.0 - 5.6 %%\"}],"
        "\"note\":[{\"text\":\"",
        id, (long long)(now_ns(CLOCK_REALTIME) / 1000), patient, patient);
    size_t at = (size_t)n;

    for (size_t i = 0; at < VALUE_BYTES - 4; i++)
        out[at++] = note[i % (sizeof note - 1)];
    memcpy(out + at, "\"}]}", 4);
    return at + 4;
}

static bool produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, unsigned long id,
                    unsigned long patients)
{
    char value[VALUE_BYTES + 1024], key[40];
    unsigned long patient = id % patients;
    size_t n = resource(value, sizeof value, id, patient);
    int key_n = snprintf(key, sizeof key, "Patient/p%lu", patient);

    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, n, key,
                            (size_t)key_n, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return false;
        rd_kafka_poll(rk, 10);
    }
    return true;
}

static rd_kafka_t *open_client(const char *brokers)
{
    static const char *const settings[][2] = {
        {"linger.ms", "1"},
        {"queue.buffering.max.messages", "200000"},
        {"partitioner", "murmur2_random"},
        {"log_level", "3"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk = NULL;
    char text[256] = "";
    bool ok = rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text) ==
              RD_KAFKA_CONF_OK;

    for (size_t i = 0; ok && i < sizeof settings / sizeof settings[0]; i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) ==
             RD_KAFKA_CONF_OK;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (ok)
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL)
        fprintf(stderr, "feed: %s\n", text);
    return rk;
}

/* The first record of a topic not yet known would wait for a timer of 1 s. */
static bool know_topic(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *md = NULL;
    bool ok = rd_kafka_metadata(rk, 0, topic, &md, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR;

    if (md != NULL)
        rd_kafka_metadata_destroy(md);
    return ok;
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "feed: '%s' is no number\n", text);
        exit(2);
    }
    return n;
}

static unsigned long due_by_now(int64_t began, unsigned long rate, unsigned long count)
{
    unsigned long due =
        (unsigned long)((double)(now_ns(CLOCK_MONOTONIC) - began) / 1e9 * (double)rate) + 1;

    return rate == 0 || due > count ? count : due;
}

int main(int argc, char **argv)
{
    static const struct timespec turn = {0, 1000000};
    unsigned long count, rate, patients, start, done = 0;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    int64_t began;

    if (argc != 7) {
        fprintf(stderr, "usage: feed BROKERS TOPIC COUNT RATE PATIENTS START\n");
        return 2;
    }
    count = number(argv[3]);
    rate = number(argv[4]);
    patients = number(argv[5]);
    start = number(argv[6]);
    rk = open_client(argv[1]);
    topic = rk != NULL ? rd_kafka_topic_new(rk, argv[2], NULL) : NULL;
    if (topic == NULL || patients == 0 || !know_topic(rk, topic)) {
        fprintf(stderr, "feed: topic %s cannot be had\n", argv[2]);
        return 1;
    }
    began = now_ns(CLOCK_MONOTONIC);
    while (done < count) {
        unsigned long due = due_by_now(began, rate, count);

        for (; done < due; done++)
            if (!produce(rk, topic, start + done, patients))
                return 1;
        rd_kafka_poll(rk, 0);
        if (rate != 0)
            nanosleep(&turn, NULL);
    }
    if (rd_kafka_flush(rk, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR || failed != 0) {
        fprintf(stderr, "feed: %lu records were not acknowledged\n", failed);
        return 1;
    }
    printf("{\"records\":%lu,\"bytes\":%d,\"seconds\":%.3f}\n", done, VALUE_BYTES,
           (double)(now_ns(CLOCK_MONOTONIC) - began) / 1e9);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return 0;
}
