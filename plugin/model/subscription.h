/*
 * model/subscription.h -- a payer's standing order, read from a FHIR R4 backport Subscription.
 * Source: Subscriptions R5 Backport IG 1.1.0, R4 profile; native criteria subscriptions come later.
 */
#ifndef CDX_MODEL_SUBSCRIPTION_H
#define CDX_MODEL_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

enum cdx_level_of_content { CDX_EMPTY, CDX_ID_ONLY, CDX_FULL_RESOURCE };

/* One term of a filter-criteria extension: `Type.param:modifier=v1,v2` (backport 1.1.0 "filter-criteria"). */
struct cdx_filter {
    char *type;     /* "Encounter", or NULL: any */
    char *param;    /* "patient" */
    char *modifier; /* without ':', or NULL */
    char **
        values; /* or-list, search escapes (\, \| \$ \\) kept so that \| is told from |; at least one */
    size_t values_n;
};

enum cdx_sub_status { CDX_REQUESTED, CDX_ACTIVE, CDX_ERROR_STATUS, CDX_OFF };
/* "requested", ...; and back (false: none of them). */
const char *cdx_sub_status_text(enum cdx_sub_status status);
bool cdx_sub_status_parse(struct cdx_text text, enum cdx_sub_status *out);

/* Immutable once parsed; counted references. All pointers owned. */
struct cdx_sub {
    int refs; /* by cdx_sub_ref/unref only */
    char *id;
    char *client;        /* meta.tag urn:cdex:client; "" when none */
    char *topic;         /* canonical without version */
    char *topic_version; /* or NULL */
    struct cdx_filter *filters;
    size_t filters_n;
    enum cdx_sub_status wanted; /* the client's status: REQUESTED or OFF */
    enum cdx_level_of_content level;
    char *endpoint; /* URL */
    char *payload;  /* MIME type: Content-Type of notifications */
    char **headers; /* "Name: value", verbatim */
    size_t headers_n;
    int64_t end_ms;      /* 0: none */
    int32_t heartbeat_s; /* 0: none */
    int32_t timeout_s;   /* 0: the endpoint's default */
    int32_t max_count;   /* 0: our choice */
    /* from the record in cdex.subscriptions, not from the resource: */
    int64_t incarnation; /* versionId (offset) of its creation */
    int64_t version;     /* offset of the newest resource record */
    int64_t version_ms;  /* its timestamp */
    int32_t partition;   /* log partition, chosen once */
    bool from_file;
};

/**
 * Read one Subscription resource (its JSON text). Returns owned with one reference, or NULL.
 * Refused (CDX_INPUT, text names the element path and what is accepted): not a Subscription, bad id, criteria that is
 * no topic canonical, a filter outside the grammar of subscriptions.md 1.4, channel type other than rest-hook, payload
 * content missing or unknown, unknown backport or cross-version extension on criteria, bad header, bad end.
 * Whether topic, filters and endpoint are allowed is not judged here (match, net).
 * Thread: any.
 */
struct cdx_sub *cdx_sub_parse(struct cdx_text json, struct cdx_err *err);
struct cdx_sub *cdx_sub_ref(struct cdx_sub *sub);
/* Accepts NULL. */
void cdx_sub_unref(struct cdx_sub *sub);

/**
 * Parse one filter-criteria text into one or more terms, appended to *filters (malloc'd, owned by the caller).
 * Errors: CDX_INPUT naming the position.
 */
enum cdx_code cdx_filter_parse(struct cdx_text text, struct cdx_filter **filters, size_t *n,
                               struct cdx_err *err) CDX_MUST_CHECK;
void cdx_filters_free(struct cdx_filter *filters, size_t n);

#endif
