/*
 * flow/worker.h -- private to flow/: what the match thread keeps, shared by stage1.c (loop, transactions), sources.c (its
 * partitions and their trigger state) and take.c (one record). Match thread only, but for the first few fields.
 */
#ifndef CDX_FLOW_WORKER_H
#define CDX_FLOW_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/count.h"
#include "core/map.h"
#include "flow/view.h"
#include "match/match.h"
#include "state/trigger.h"

/* One source partition of ours. */
struct source_part {
    char *topic; /* owned */
    int32_t partition;
    int64_t next; /* offset to read next */
    int64_t safe; /* the same as of the last commit; CDX_BEGINNING: nothing was committed */
    const struct cdx_source *source; /* borrowed from the configuration */
    struct state_part *state;        /* borrowed */
    bool touched;                    /* `next` moved in this transaction */
};

/* One partition of cdex.trigger-state that belongs to source partitions of ours. */
struct state_part {
    int32_t partition;
    struct cdx_trigger *cache; /* owned */
    struct state_part *next;
    bool open; /* a cache transaction is open (while committing) */
};

/* A trigger state of the open transaction. */
struct pending {
    struct cdx_text key, value; /* in the batch's arena; value.p NULL: deleted */
    struct state_part *part;
};

/* A record that cannot be taken; found half-way, dealt with when it comes again. */
struct poison {
    bool set;
    char topic[250];
    int32_t partition;
    int64_t offset;
    struct cdx_err err;
};

struct cdx_stage1 {
    const struct cdx_conf *conf; /* borrowed, as the next three */
    struct cdx_bus *bus;
    struct cdx_view *view;
    const struct cdx_clock *clock;
    pthread_t thread;
    bool started;
    atomic_bool closing, ready;
    _Atomic int64_t beat;
    char failed[CDX_ERR_TEXT_BYTES];
    atomic_bool has_failed;

    /* match thread only */
    struct cdx_consumer *consumer;
    struct cdx_consumer *loader; /* reads state partitions */
    int64_t fenced_ms;           /* mono, of the last fence; INT64_MIN */
    struct cdx_producer *producer;
    struct cdx_group *
        group; /* owned; taken at assign, of this assignment only: what is asked later may be of a newer generation */
    int32_t state_partitions;
    struct source_part *parts; /* owned */
    size_t parts_n;
    struct state_part *states; /* owned list */
    struct cdx_index *index;   /* reference; of this batch */
    struct cdx_topics *topics; /* reference; of this batch */
    struct cdx_arena *event, *batch;
    struct cdx_map overlay;   /* struct pending by key */
    struct cdx_buf levels[3]; /* one rendering a payload level, of the change at hand */
    struct cdx_buf value;
    bool open; /* a transaction */
    int64_t opened_ms;
    size_t batch_records, batch_bytes;
    struct poison poison;
    uint64_t random;
    /* counts of the open transaction; they become true with the commit */
    uint64_t counts[CDX_COUNTERS];
};

/* -- stage1.c ----------------------------------------------------------------------------------------------------- */
/* Back to what was committed; the transaction is aborted already. */
void cdx_worker_roll_back(struct cdx_stage1 *s, const char *why);

/* -- sources.c ---------------------------------------------------------------------------------------------------- */
/* Committed offsets of the places, then their state partitions to the ends. False: try again. */
bool cdx_sources_load(struct cdx_stage1 *s, struct cdx_place *places, size_t n);
void cdx_sources_drop(struct cdx_stage1 *s);
/* NULL: not ours. */
struct source_part *cdx_sources_find(struct cdx_stage1 *s, const struct cdx_record *rec);
/* The overlay of a committed transaction becomes the caches' truth. CDX_NOMEM and the like: the caches are behind now. */
enum cdx_code cdx_sources_keep(struct cdx_stage1 *s, struct cdx_err *err) CDX_MUST_CHECK;

/* -- take.c ------------------------------------------------------------------------------------------------------- */
/* Takes one record into the open transaction. False: it was rolled back. */
bool cdx_take_record(struct cdx_stage1 *s, const struct cdx_record *rec, struct source_part *part);

#endif
