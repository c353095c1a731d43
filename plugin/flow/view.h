/*
 * flow/view.h -- private to flow/: what this process knows of subscriptions and rosters, and how old that knowledge is.
 *
 * One thread reads cdex.subscriptions and cdex.rosters to their ends and follows them; it builds the match index aside
 * and swaps it. Where this process owns log partition 0 it also applies the operator's files (files.c).
 */
#ifndef CDX_FLOW_VIEW_H
#define CDX_FLOW_VIEW_H

#include "core/err.h"
#include "match/match.h"
#include "model/subscription.h"
#include "state/roster.h"
#include "state/subs.h"

struct cdx_bus;
struct cdx_clock;
struct cdx_conf;
struct cdx_view;

struct cdx_view *cdx_view_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                 const struct cdx_clock *clock, struct cdx_err *err);
enum cdx_code cdx_view_start(struct cdx_view *view, struct cdx_err *err) CDX_MUST_CHECK;
void cdx_view_close(struct cdx_view *view);
void cdx_view_join(struct cdx_view *view);
void cdx_view_destroy(struct cdx_view *view);

/* The index of now; a reference for the caller. Thread: any, as all below. */
struct cdx_index *cdx_view_index(struct cdx_view *view);
struct cdx_topics *cdx_view_topics(struct cdx_view *view);
struct cdx_rosters *cdx_view_rosters(struct cdx_view *view);
/* The index holds all that was committed before this instant (mono ms); INT64_MIN: not loaded yet. */
int64_t cdx_view_fresh_ms(const struct cdx_view *view);
/* Waits until fresh_ms >= since, at most timeout_ms. */
bool cdx_view_wait_fresh(struct cdx_view *view, int64_t since_ms, int64_t timeout_ms);
/* The roster id of a client: CDX_ROSTER_ALL, CDX_ROSTER_NONE or one of the store. */
uint32_t cdx_view_client_roster(struct cdx_view *view, const char *client);

/* What the owner of a log partition needs of one subscription. */
struct cdx_order {
    const char *id;      /* borrowed for the call */
    struct cdx_sub *sub; /* borrowed for the call: take a reference; NULL: deleted or unreadable */
    const char *refused; /* borrowed: why it cannot be served; NULL: fine */
    const struct cdx_status *status; /* newest status record; NULL: none */
};
/* Calls `each` for every known subscription of a log partition, under the view's lock. */
void cdx_view_each(struct cdx_view *view, int32_t partition,
                   void (*each)(void *arg, const struct cdx_order *order), void *arg);
/* Calls `each` for the subscriptions that changed since the last call; cdx_view_fd becomes readable when there are some. */
void cdx_view_changes(struct cdx_view *view, void (*each)(void *arg, const struct cdx_order *order),
                      void *arg);
int cdx_view_fd(const struct cdx_view *view);

/* This process owns log partition 0 (or no longer): it applies the files. */
void cdx_view_own_files(struct cdx_view *view, bool own);
/* Read topics and files again. */
void cdx_view_reload(struct cdx_view *view);
/* Monotonic time of the thread's last turn. */
int64_t cdx_view_beat_ms(const struct cdx_view *view);

/* -- files.c ------------------------------------------------------------------------------------------------------ */

/* What a closing record of a roster says. */
struct cdx_roster_close {
    char *name;    /* owned */
    char hash[65]; /* SHA-256 of the Group file, hex */
    bool from_file;
};
/* What the applier compares with; all borrowed from the view's thread. */
struct cdx_files {
    const struct cdx_conf *conf;
    struct cdx_bus *bus;
    const struct cdx_subs *subs;
    struct cdx_rosters *rosters;
    const struct cdx_map *roster_closes; /* struct cdx_roster_close by name */
    int64_t applied_version;             /* of the configuration that was last applied; -1 none */
    int32_t partitions, roster_partitions;
};
/* Applies subscription and roster files: writes only differences. Errors were logged; CDX_REMOTE: try again. */
enum cdx_code cdx_files_apply(const struct cdx_files *files, struct cdx_err *err) CDX_MUST_CHECK;
/* The record in cdex.subscriptions, partition 0, that remembers the configuration's version. */
#define CDX_APPLIED_KEY "#applied"

#endif
