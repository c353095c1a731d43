/*
 * bus/bus.h -- Kafka in and out: consumers, transactional producers, topics. Knows records and offsets, no FHIR.
 *
 * Everything that librdkafka 2.0.2 needs to be told to behave (timeouts, the retry.backoff.ms that makes commits fast,
 * the warm-up of topics, eager assignment) is decided here. In embedded mode librdkafka's mock cluster runs inside the
 * process: real protocol, in memory; its transactions are not isolated and keep no offsets, so a commit there also
 * commits the same offsets by the consumer (at least once).
 */
#ifndef CDX_BUS_BUS_H
#define CDX_BUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"
#include "model/record.h"

struct cdx_bus;      /* how to reach the brokers */
struct cdx_consumer; /* a group member, or a reader of assigned partitions */
struct cdx_producer;
struct cdx_group; /* a group's metadata at one instant: generation and member */

/* -- the connection ----------------------------------------------------------------------------------------------- */

struct cdx_bus_property {
    const char *name, *value;
};

/* Topic names without the prefix; the bus adds it. */
#define CDX_TOPIC_MAP(X)                                                                           \
    X(NOTIFICATIONS, "notifications")                                                              \
    X(SUBSCRIPTIONS, "subscriptions")                                                              \
    X(CURSORS, "cursors")                                                                          \
    X(ROSTERS, "rosters")                                                                          \
    X(MEMBERS, "members")                                                                          \
    X(TRIGGER_STATE, "trigger-state")                                                              \
    X(DELIVERIES, "deliveries")                                                                    \
    X(DEAD_LETTERS, "dead-letters")
enum cdx_topic {
#define X(id, name) CDX_T_##id,
    CDX_TOPIC_MAP(X)
#undef X
        CDX_TOPICS
};

/**
 * properties: librdkafka's, passed to every client; borrowed for the bus's life, as is prefix. embedded: start a mock
 * cluster instead. Returns owned or NULL (CDX_CONFIG). Thread: main.
 */
struct cdx_bus *cdx_bus_create(const struct cdx_bus_property *properties, size_t n,
                               const char *prefix, const char *instance, bool embedded,
                               struct cdx_err *err);
/* After every client of it is gone. Accepts NULL. */
void cdx_bus_destroy(struct cdx_bus *bus);
bool cdx_bus_embedded(const struct cdx_bus *bus);
/* The brokers as configured, or the mock cluster's. Borrowed. */
const char *cdx_bus_bootstrap(const struct cdx_bus *bus);
/* The whole name of one of our topics. Borrowed. */
const char *cdx_bus_topic(const struct cdx_bus *bus, enum cdx_topic topic);

/* -- consumers ---------------------------------------------------------------------------------------------------- */

/* One partition and a position. `topic` is borrowed from the consumer or the caller. */
struct cdx_place {
    const char *topic;
    int32_t partition;
    int64_t offset; /* CDX_BEGINNING, or a log offset */
};
#define CDX_BEGINNING (-2)
#define CDX_NONE (-1001) /* nothing was committed */

/**
 * Called from cdx_consumer_poll and cdx_consumer_close. assign: set each place's offset before returning; it may block.
 * revoke: the places are taken away after it returns; lost: they are somebody else's already.
 */
struct cdx_rebalance {
    void (*assign)(void *arg, struct cdx_place *places, size_t n);
    void (*revoke)(void *arg, const struct cdx_place *places, size_t n, bool lost);
    void *arg;
};

/* How a reader of assigned partitions fetches. */
struct cdx_prefetch {
    int kbytes;  /* what it may hold in memory, besides one message */
    int wait_ms; /* how long the broker may hold a fetch at the end: long for one that follows, short for one that is placed anew
                    often, since a new place waits for the fetch that is out */
};

/**
 * A static member of `group` (instance id from the bus). topics: names or '^' expressions; our own topics are never met by an
 * expression. Returns owned or NULL (CDX_CONFIG, CDX_REMOTE).
 * Thread: the creating thread polls; nobody else calls anything but cdx_consumer_fd.
 */
struct cdx_consumer *cdx_consumer_join(struct cdx_bus *bus, const char *group, char *const *topics,
                                       size_t n, bool sources,
                                       const struct cdx_rebalance *rebalance, struct cdx_err *err);
/* A reader without a group: assign it places. read_committed, ends reported, out of range reported. */
struct cdx_consumer *cdx_consumer_open(struct cdx_bus *bus, const char *name,
                                       struct cdx_prefetch prefetch, struct cdx_err *err);
/* Leaves the group in order (calls revoke). Bounded. Idempotent. */
void cdx_consumer_close(struct cdx_consumer *c);
/* Accepts NULL. */
void cdx_consumer_destroy(struct cdx_consumer *c);

enum cdx_polled {
    CDX_POLL_NOTHING,
    CDX_POLL_RECORD, /* message->rec */
    CDX_POLL_END,    /* rec.topic, partition, offset: the end of what is committed was reached */
    CDX_POLL_OUT_OF_RANGE, /* rec.topic, partition: its position is not in the log any more */
    CDX_POLL_FATAL, /* this consumer is done for: destroy it and join again; `err` says why. A second time within a minute is
                              another process with our instance (CDX_CONFIG) */
};
struct cdx_message {
    struct cdx_record rec; /* borrowed until cdx_message_done */
    void *handle;
};
/* timeout_ms 0: only what is there. A RECORD must be given back with cdx_message_done before the next poll. */
enum cdx_polled cdx_consumer_poll(struct cdx_consumer *c, int timeout_ms, struct cdx_message *out,
                                  struct cdx_err *err);
void cdx_message_done(struct cdx_message *message);
/* An eventfd that becomes readable when polling is worthwhile; drain it, then poll until NOTHING. Made at first call. */
int cdx_consumer_fd(struct cdx_consumer *c);

/* (Re)places the whole assignment: for readers, and to rewind a group member to what it has (the same partitions). */
enum cdx_code cdx_consumer_assign(struct cdx_consumer *c, const struct cdx_place *places, size_t n,
                                  struct cdx_err *err) CDX_MUST_CHECK;
/* Committed offsets of the group (waits until pending transactional commits are decided). offset CDX_NONE: nothing. */
enum cdx_code cdx_consumer_committed(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                     int timeout_ms, struct cdx_err *err) CDX_MUST_CHECK;
/* First offset, and the end of what is committed. Blocks. */
enum cdx_code cdx_consumer_bounds(struct cdx_consumer *c, const char *topic, int32_t partition,
                                  int64_t *start, int64_t *end, struct cdx_err *err) CDX_MUST_CHECK;
/* The ends of several partitions by one request; sets offset of each. Blocks. */
enum cdx_code cdx_consumer_ends(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                int timeout_ms, struct cdx_err *err) CDX_MUST_CHECK;
/* How many partitions a topic has; 0 and an error when it is not there. Blocks. */
int32_t cdx_consumer_partitions(struct cdx_consumer *c, const char *topic, struct cdx_err *err);
/**
 * Reads partitions from their given offsets to their ends as of now, handing each record to `each` (false: stop, CDX_NOMEM);
 * places' offsets become the positions reached; the reader is left without places. Blocks, at most `timeout_ms` without progress (CDX_REMOTE).
 */
enum cdx_code cdx_consumer_read_all(struct cdx_consumer *c, struct cdx_place *places, size_t n,
                                    int timeout_ms,
                                    bool (*each)(void *arg, const struct cdx_record *rec),
                                    void *arg, struct cdx_err *err) CDX_MUST_CHECK;
/**
 * The group's metadata as it is now; owned. Take it inside the assign callback and use it for every commit of that
 * assignment: asked for later, it may be of a newer generation, and the broker would let a former owner's commit pass.
 * Thread: the polling thread.
 */
struct cdx_group *cdx_consumer_group(struct cdx_consumer *c);
/* Any thread. Accepts NULL. */
void cdx_group_free(struct cdx_group *g);

/* Does a source expression ('^' first, as librdkafka reads it: POSIX extended) match this topic? Thread: any. */
bool cdx_topic_matches(const char *expression, const char *topic);

/* -- producers ---------------------------------------------------------------------------------------------------- */

/**
 * transactional: `<prefix><name>.<instance>`; its leftovers are aborted and the topics that it will write to are warmed up before this returns
 * (so that the first commit is not slow). Otherwise idempotent. Returns owned or NULL.
 * Thread: one at a time.
 */
struct cdx_producer *cdx_producer_create(struct cdx_bus *bus, const char *name, bool transactional,
                                         struct cdx_err *err);
void cdx_producer_destroy(struct cdx_producer *p);

/* The id that the Kafka cluster gave itself; "unknown" when it does not say within 5 s. Borrowed. */
const char *cdx_producer_cluster(struct cdx_producer *p);

struct cdx_out {
    enum cdx_topic topic;
    int32_t partition;     /* -1: by key */
    struct cdx_text key;   /* p NULL: none */
    struct cdx_text value; /* p NULL: tombstone */
    const struct cdx_header *headers;
    size_t headers_n;
    int64_t timestamp_ms; /* 0: now */
};
/* Bytes are copied. Waits when the local queue is full. Errors: CDX_FULL (larger than CDX_MAX_MESSAGE_BYTES), CDX_REMOTE. */
enum cdx_code cdx_producer_send(struct cdx_producer *p, const struct cdx_out *out,
                                struct cdx_err *err) CDX_MUST_CHECK;

enum cdx_committed {
    CDX_COMMITTED,
    CDX_ABORTED, /* rolled back, and the producer is fit for the next: begin again from what was committed */
    CDX_REFUSED, /* the group's generation is over: what it wrote is void */
};
enum cdx_code cdx_producer_begin(struct cdx_producer *p, struct cdx_err *err) CDX_MUST_CHECK;
/**
 * Offsets to commit with the transaction (n 0: none) under `group`. c: only used in embedded mode, to commit the same offsets.
 * err says why it was not COMMITTED. Blocks, bounded by the transaction's timeout.
 */
enum cdx_committed cdx_producer_commit(struct cdx_producer *p, const struct cdx_place *places,
                                       size_t n, const struct cdx_group *group,
                                       struct cdx_consumer *c, struct cdx_err *err);
/* Always ABORTED: a client that cannot abort is replaced, and the broker aborts for it. */
enum cdx_committed cdx_producer_abort(struct cdx_producer *p, struct cdx_err *err);
/* Not transactional: waits until all that was sent is acknowledged. CDX_REMOTE: something was not. */
enum cdx_code cdx_producer_flush(struct cdx_producer *p, int timeout_ms,
                                 struct cdx_err *err) CDX_MUST_CHECK;

/* -- topics ------------------------------------------------------------------------------------------------------- */

struct cdx_topic_spec {
    const char *name; /* whole */
    int partitions;
    int replication; /* -1: the broker's default */
    const struct cdx_bus_property *config;
    size_t config_n;
};
enum cdx_topic_state {
    CDX_TOPIC_CREATED,
    CDX_TOPIC_PRESENT,
    CDX_TOPIC_DIFFERS,
    CDX_TOPIC_MISSING,
    CDX_TOPIC_FAILED
};
/**
 * Create what is missing (create false: only look), compare the rest: partitions at least one and cleanup.policy, retention.ms and
 * max.message.bytes as specified. `tell` gets one call a topic. Embedded: made through the mock's own interface.
 */
enum cdx_code cdx_bus_topics(struct cdx_bus *bus, const struct cdx_topic_spec *specs, size_t n,
                             bool create,
                             void (*tell)(void *arg, const struct cdx_topic_spec *spec,
                                          enum cdx_topic_state state, const char *text),
                             void *arg, struct cdx_err *err) CDX_MUST_CHECK;

#endif
