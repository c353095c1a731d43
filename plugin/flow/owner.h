/*
 * flow/owner.h -- private to flow/: what the owner of log partitions keeps, shared by stage2.c (loop, loading, flushing),
 * send.c (what to POST next, what a verdict means) and scan.c (range readers). Push thread only.
 */
#ifndef CDX_FLOW_OWNER_H
#define CDX_FLOW_OWNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "bus/bus.h"
#include "core/buf.h"
#include "core/map.h"
#include "flow/flush.h"
#include "flow/timers.h"
#include "flow/trace.h"
#include "flow/view.h"
#include "model/logrec.h"
#include "model/verdict.h"
#include "notify/notify.h"
#include "push/push.h"
#include "state/feed.h"
#include "state/subs.h"

#define CDX_SCANS 2

/* A log record in memory. One block. */
struct logged {
    size_t *total; /* what all queues hold, bytes */
    int64_t timestamp_ms;
    size_t n;
    char trace[CDX_TRACEPARENT_BYTES]; /* "" none */
    char value[];
};

/* All subscriptions of one endpoint. */
struct lane {
    struct cdx_endpoint *ep; /* one use */
    struct owned *subs;      /* list by lane_next */
    struct owned *waiting,
        **waiting_end;      /* FIFO by wait_next: want to send, the endpoint does not accept */
    struct owned *prober;   /* fetches its head to probe a broken endpoint */
    struct cdx_timer timer; /* when a held endpoint may be probed */
    enum cdx_health health; /* as last applied to the statuses */
};

struct part {
    int32_t id;
    int64_t position; /* live: next offset to read */
    int64_t flushed;  /* position as of the last committed checkpoint */
    bool held;        /* a jump is not committed yet: nothing is counted or sent */
    int64_t in_flush; /* position in the open flush, and whether it was held when that began */
    bool held_in_flush;
    struct cdx_map subs;   /* struct owned by id */
    struct cdx_map newest; /* while loading: newest cursor record by key */
    struct owned *wanting; /* list by want_next: want a scan */
    struct part *next;
};

enum flight { IDLE, ON_HANDSHAKE, ON_HEARTBEAT, ON_EVENTS };

struct owned {
    char *id; /* owned */
    struct part *part;
    struct cdx_feed feed;
    struct cdx_sub *sub;      /* reference; NULL: deleted or not known: it is only counted */
    char *refused;            /* owned: why it cannot be served */
    struct cdx_status status; /* ours; strings owned */
    bool status_dirty;
    bool cursor_committed; /* the first cursor is */
    bool dirty;            /* in the list of dirty ones */
    uint32_t roster;
    struct lane *lane;
    struct owned *lane_next, *wait_next, *want_next, *dirty_next;
    bool waiting, wanting;
    struct scan *scan;                  /* member of this scan */
    struct owned *scan_next, **scan_at; /* in its list */
    struct cdx_timer timer;             /* handshake, next try of a message, heartbeat, end */
    /* in flight */
    enum flight flight;
    uint32_t flight_n;   /* events */
    int64_t first, last; /* their numbers */
    uint32_t withheld;
    char bundle[CDX_UUID_BYTES];
    char webhook_id[CDX_WEBHOOK_ID_BYTES];
    /* handshake of this version */
    uint8_t handshakes;    /* tries made */
    int64_t handshake_due; /* mono */
    /* the head event's failures */
    uint8_t message_tries;
    int64_t message_due;       /* mono; 0: now */
    uint32_t attempts;         /* of the head, all kinds */
    int64_t first_try_ms;      /* wall */
    uint32_t batch_limit;      /* 0: none; halved by 413 and by bisection */
    int64_t batch_limit_until; /* mono */
    int64_t head_ms;           /* timestamp of the first undelivered record; 0: none or unknown */
    int64_t sent_ms;           /* wall */
    int64_t retries;
    int64_t hold_until_ms; /* wall, from the cursor; until its endpoint is known */
};

/* One turn of a range reader on one partition. */
struct scan {
    struct cdx_consumer *reader; /* owned; opened at first use */
    struct part *part;           /* NULL: idle */
    int64_t position;
    int64_t turn_ends;   /* mono */
    struct owned *first; /* list of members by scan_next */
    uint32_t members;
    struct cdx_message message; /* stalled: this one waits for room */
    bool stalled, more;
    bool broken; /* whoever was counted back has left: this turn hands over nothing more */
    /* counting back for a gap */
    struct owned *counting;
    struct cdx_mark anchor;
    int64_t alive, start;
};

struct cdx_stage2 {
    const struct cdx_conf *conf; /* borrowed, as the next three */
    struct cdx_bus *bus;
    struct cdx_view *view;
    const struct cdx_clock *clock;
    pthread_t thread;
    bool started;
    atomic_bool closing, ready, has_failed;
    _Atomic int64_t beat;
    char failed[CDX_ERR_TEXT_BYTES];
    int epoll, wake;

    struct cdx_consumer *consumer, *loader;
    int64_t fenced_ms;       /* mono, of the last fence; INT64_MIN */
    bool fenced;             /* join again at the end of this turn */
    struct cdx_group *group; /* of this assignment */
    struct cdx_flusher *flusher;
    struct cdx_flush *next_flush; /* delivery records and dead letters gather here */
    struct owned **flushing;      /* whose cursors are in the open flush */
    size_t flushing_n;
    int64_t flush_due;
    struct owned *dirty; /* list by dirty_next */
    struct cdx_guard *guard;
    struct cdx_endpoint_conf *endpoint_confs;
    struct cdx_push_conf push_conf;
    struct cdx_pusher *pusher;
    struct part *parts;
    struct cdx_map lanes; /* struct lane by its endpoint's address */
    struct cdx_timers timers;
    struct cdx_timer housekeeping;
    struct scan scans[CDX_SCANS];
    size_t queued_bytes; /* in all queues and chunks */
    bool draining;       /* no new requests */
    uint64_t random;
    struct cdx_buf text;     /* scratch */
    struct cdx_logrec *recs; /* scratch: one bundle's */
    struct cdx_event *events;

    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t cond;
    bool asked;
    struct cdx_standing *standings;
    size_t standings_n;
};

/* -- stage2.c ----------------------------------------------------------------------------------------------------- */
void cdx_owner_mark_dirty(struct cdx_stage2 *s, struct owned *o);
struct logged *cdx_owner_copy(struct cdx_stage2 *s, const struct cdx_record *rec);
void cdx_owner_report_gap(struct cdx_stage2 *s, struct owned *o, int64_t from, int64_t to,
                          const char *why);
struct owned *cdx_owner_find(struct part *part, struct cdx_text id);
/* A new one in this part; NULL: no memory. */
struct owned *cdx_owner_add(struct part *part, struct cdx_text id);

/**
 * Lagging from the first event that is not in a request. Leaves its scan first: that reader stands further on than the feed
 * will, and its next record would get the wrong number. Nobody else calls cdx_feed_to_lagging.
 */
void cdx_owner_lag(struct cdx_stage2 *s, struct owned *o);
/* Frees a record that a feed had. */
void cdx_owner_forget(void *rec);
struct part *cdx_owner_part(struct cdx_stage2 *s, int32_t id);
/* Ends everything of the present assignment. */
void cdx_owner_drop(struct cdx_stage2 *s);
/* What cdx_view_each and cdx_view_changes hand over; arg is this. */
struct taking {
    struct cdx_stage2 *s;
    struct part *part; /* while loading; else NULL: find it */
};
void cdx_owner_take(void *arg, const struct cdx_order *order);

/* -- load.c ------------------------------------------------------------------------------------------------------- */
/* assign, load, start; sets the places' offsets. False: nothing is owned, try again. */
bool cdx_owner_load(struct cdx_stage2 *s, struct cdx_place *places, size_t n);
/* A position outside the log: below its start (numbers jump) or above its end (the log was replaced). Holds the part then. */
void cdx_owner_mend(struct cdx_stage2 *s, struct part *part, int64_t position, int64_t start,
                    int64_t end);

/* -- send.c ------------------------------------------------------------------------------------------------------- */
/* Does whatever this subscription can do next. */
void cdx_send_pump(struct cdx_stage2 *s, struct owned *o);
/* New or changed knowledge of a subscription (resource, refusal); status: newest record, used when `loading`. */
void cdx_send_order(struct cdx_stage2 *s, struct owned *o, const struct cdx_order *order,
                    bool loading);
/* push's callback. */
void cdx_send_done(void *arg, struct cdx_delivery **del, const struct cdx_verdict *verdict);
/* Statuses follow their endpoints' health; every second. */
void cdx_send_health(struct cdx_stage2 *s);
/* Takes a subscription out of all lists. */
void cdx_send_forget(struct cdx_stage2 *s, struct owned *o);
void cdx_send_set_status(struct cdx_stage2 *s, struct owned *o, enum cdx_sub_status status,
                         const char *code, const char *text);

/* -- lane.c ------------------------------------------------------------------------------------------------------- */
/* The lane of its subscription's endpoint, left again when that has changed. o->lane is NULL without memory. */
void cdx_lane_join(struct cdx_stage2 *s, struct owned *o);
void cdx_lane_leave(struct cdx_stage2 *s, struct owned *o);
/* The endpoint may accept again: those who wait go on, in their order, for as long as it does. */
void cdx_lane_serve(struct cdx_stage2 *s, struct lane *lane);
/* Waits for the endpoint; a held one gets its memory back. */
void cdx_lane_wait(struct cdx_stage2 *s, struct owned *o);
/* What waits in memory is read again from the log when its time comes. */
void cdx_lane_rest(struct cdx_stage2 *s, struct owned *o);
/* It was to probe and has nothing to send: another one does. */
void cdx_lane_pass_probe_on(struct cdx_stage2 *s, struct owned *o);

/* -- scan.c ------------------------------------------------------------------------------------------------------- */
/* This lagging subscription wants its next records. */
void cdx_scan_want(struct cdx_stage2 *s, struct owned *o);
/* Starts and continues turns. True: there is more to do at once. */
bool cdx_scan_run(struct cdx_stage2 *s);
void cdx_scan_leave(struct cdx_stage2 *s, struct owned *o);
/* Ends all turns (partitions are taken away). */
void cdx_scan_stop(struct cdx_stage2 *s);

#endif
