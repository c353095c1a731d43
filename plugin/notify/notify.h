/*
 * notify/notify.h -- renders a match into a log record (stage 1), cuts notification Bundles from log records (stage 2).
 *
 * R4 backport bundles by the Subscriptions R5 Backport IG 1.1.0 (type history; entry 0 the status Parameters; request
 * and response in every entry). The focus is spliced as the bytes that came. Pure: a repeat yields the same bytes.
 */
#ifndef CDX_NOTIFY_NOTIFY_H
#define CDX_NOTIFY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/digest.h"
#include "core/err.h"
#include "core/text.h"

struct cdx_change; /* model/change.h */

struct cdx_record; /* model/record.h */
struct cdx_sub;    /* model/subscription.h */
struct cdx_logrec; /* model/logrec.h */

/* An Organization as Provenance.agent.who; from the configuration, borrowed. */
struct cdx_organization {
    const char *reference; /* "Organization/hospital" or absolute */
    const char *display;   /* or NULL */
};

struct cdx_render {
    const struct cdx_record *rec; /* where the change came from */
    const char *record_sha256;    /* hex of rec's value */
    const char *cluster;          /* for kafka://<cluster>/<topic>/<partition>/<offset> */
    const struct cdx_change *change;
    int interaction; /* enum cdx_interaction: CREATE, UPDATE, DELETE */
    const struct cdx_text *members;
    size_t members_n;
    struct cdx_organization author;      /* sources[].organization */
    struct cdx_organization transmitter; /* organization */
    const char *base;                    /* api.base: completes a relative transmitter; or NULL */
};

/**
 * The part of a log record that all subscriptions of one level share (everything below the `i` line is the same):
 * flow calls this once per level and event, then puts `cdx1\ni <incarnation>\n` before it for each subscription.
 * level: enum cdx_level_of_content. `withheld` non-NULL: render without content, with an `x` line (too large); the event
 * goes out as number and timestamp. (To send it id-only instead, render CDX_ID_ONLY with `withheld` NULL.)
 * A relative Organization reference is completed with the base of its own server: the author's with change->base, the
 * transmitter's with `base`; the receiver could resolve it against neither.
 * Adds to `out`. Errors: CDX_NOMEM (buffer's bound), CDX_INPUT (an address or member key that is empty or holds a line
 * break, more members than a log record holds). Thread: any.
 */
enum cdx_code cdx_notify_render(const struct cdx_render *r, int level, const char *withheld,
                                struct cdx_buf *out, struct cdx_err *err) CDX_MUST_CHECK;

/* One event of a bundle: its number and its log record as read. */
struct cdx_event {
    int64_t number;
    int64_t timestamp_ms; /* of the log record: Provenance.recorded */
    const struct cdx_logrec *rec;
    bool bare; /* send without focus and content (member left, other incarnation) */
};

/* What every bundle of this server shares; borrowed. */
struct cdx_server {
    const char *base; /* api.base without trailing '/' */
};

/**
 * Cut an event-notification from 1..n consecutive events (ascending). Level is the lower of the subscription's and the
 * record's own; a record with content that is lowered to id-only keeps focus and context but brings no entries (they
 * are optional there). Bare events and those withheld when logged are number and timestamp only.
 * Bundle.id, the status entry's id and Provenance ids as design 4.3: derived, so a repeat is identical. Their names:
 * Bundle `Subscription/<id>|event|<first>-<last>`; status entry, the `$status` URL; Provenance `<focus>|<number>`.
 * out: appended; id: Bundle.id. Errors: CDX_NOMEM. Thread: any.
 */
enum cdx_code cdx_notify_cut(const struct cdx_server *server, const struct cdx_sub *sub,
                             const struct cdx_event *events, size_t n, struct cdx_buf *out,
                             struct cdx_uuid *id, struct cdx_err *err) CDX_MUST_CHECK;

/* handshake: number = versionId of the subscription; heartbeat: number = due time in ms. It is first and last of the
 * name that Bundle.id is made of. */
enum cdx_signal { CDX_HANDSHAKE, CDX_HEARTBEAT };
/**
 * status: enum cdx_sub_status shown; counted: events-since-subscription-start; wall_ms: Bundle.timestamp.
 * error_code: code of http://terminology.hl7.org/CodeSystem/subscription-error, or NULL.
 */
enum cdx_code cdx_notify_signal(const struct cdx_server *server, const struct cdx_sub *sub,
                                enum cdx_signal kind, int64_t number, int status, int64_t counted,
                                int64_t wall_ms, const char *error_code, struct cdx_buf *out,
                                struct cdx_uuid *id, struct cdx_err *err) CDX_MUST_CHECK;

#endif
