/*
 * state/subs.h -- what is known of each subscription: the newest `<id>` and the newest `<id>#status` record, composed.
 *
 * Filled from cdex.subscriptions by one thread. Values:
 *   <id>        {"resource": {Subscription}, "incarnation": n, "partition": n, "source": "file"|"rest"}; tombstone: deleted.
 *               incarnation -1 in the record of a creation: its own offset.
 *   <id>#status {"status": "active", "error": "...", "errorCode": "...", "since": ms, "version": n, "incarnation": n, "activated": bool}
 */
#ifndef CDX_STATE_SUBS_H
#define CDX_STATE_SUBS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/map.h"
#include "core/text.h"
#include "model/subscription.h"

struct cdx_status {
    enum cdx_sub_status status; /* shown */
    char *error;                /* owned, or NULL */
    char *error_code;           /* of subscription-error; owned, or NULL */
    int64_t since_ms;
    int64_t version; /* of the resource record that it answers */
    int64_t incarnation;
    bool activated; /* was ever active in this incarnation */
};

struct cdx_sub_entry {
    char *id;                /* owned */
    struct cdx_sub *sub;     /* owned reference; NULL: deleted, or not read yet */
    char *refused;           /* owned: why the resource could not be taken; NULL: fine */
    int64_t resource_offset; /* of the newest resource record; -1 */
    int64_t status_offset;   /* of the newest status record; -1: a replay never takes us back */
    uint64_t
        resource_hash; /* of the resource text without status, error, meta.versionId, meta.lastUpdated: files are compared by it */
    bool has_status;
    struct cdx_status status;
};

struct cdx_subs {
    struct cdx_map by_id; /* struct cdx_sub_entry */
    int64_t bytes;        /* memory of the entries and what they own, about */
};

/* {0} is empty. Thread: one. */
void cdx_subs_fini(struct cdx_subs *subs);
/**
 * Apply one record (value.p NULL: tombstone). *changed (may be NULL) gets the entry, which lives until fini, or NULL when
 * the record was older than what is known or not ours (keys "<id>" and "<id>#status" are).
 * Errors: CDX_INPUT, a record that cannot be read; *changed is set all the same, for what was known before is void:
 * of an <id> record the entry is kept as refused and nothing is logged for it (fail closed); of a status record it is as
 * if there were none, so the owner owes a handshake and writes a new one. CDX_NOMEM: nothing was changed.
 */
enum cdx_code cdx_subs_apply(struct cdx_subs *subs, struct cdx_text key, struct cdx_text value,
                             int64_t offset, int64_t timestamp_ms, struct cdx_sub_entry **changed,
                             struct cdx_err *err) CDX_MUST_CHECK;

/* Does stage 1 log for it? A function of the two newest records only (recovery.md "log or not"); end and index acceptance are judged elsewhere. */
bool cdx_sub_logs(const struct cdx_sub_entry *e);
/* What is shown: the client's `off` first, then the status that answers this version, else requested. Deleted: off. Refused: error. */
enum cdx_sub_status cdx_sub_shown(const struct cdx_sub_entry *e);
/* Does the newest status answer the newest resource version (same incarnation)? Else the owner owes a handshake. False without a resource. */
bool cdx_sub_answered(const struct cdx_sub_entry *e);

/* Values of the two records. resource_json goes in as it is. */
void cdx_sub_record_write(struct cdx_text resource_json, int64_t incarnation, int32_t partition,
                          bool from_file, struct cdx_buf *out);
void cdx_status_write(const struct cdx_status *status, struct cdx_buf *out);
/* The hash by which a file is compared with what is stored; of `status` only whether it is off counts. Errors: CDX_INPUT, CDX_NOMEM. */
enum cdx_code cdx_sub_resource_hash(struct cdx_text json, uint64_t *out,
                                    struct cdx_err *err) CDX_MUST_CHECK;

#endif
