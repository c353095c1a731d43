/*
 * model/conf.h -- the configuration: one JSON file, one table of options that parses, checks and documents it.
 *
 * `${ENV}` inside a string is replaced by the environment; a string that is "@file" by the file's text without its last
 * newline (for secrets). Relative paths are relative to the configuration file. Names are design section 7's contract.
 */
#ifndef CDX_MODEL_CONF_H
#define CDX_MODEL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_arena; /* core/arena.h */

struct cdx_property {
    char *name, *value;
};

struct cdx_source {
    char **topics; /* names, or regular expressions that start with '^' */
    size_t topics_n;
    char *format;                      /* "auto" */
    char *base;                        /* without trailing '/' */
    char *org_reference, *org_display; /* display may be NULL */
};

struct cdx_client {
    char *id, *roster; /* roster "" : none, "*": everyone */
};
/* Paths are resolved; ca, certificate and key may be NULL. */
struct cdx_endpoint_option {
    char *id, *url, *ca, *certificate, *key, *ordering;
};

struct cdx_conf {
    struct cdx_arena *arena;    /* owned; every text and list below lies in it */
    char *file;                 /* as given; NULL from cdx_conf_parse */
    bool embedded;              /* kafka.embedded */
    struct cdx_property *kafka; /* passed through */
    size_t kafka_n;
    char *prefix;   /* "cdex." */
    char *instance; /* default: host name and ops port */
    char *data_dir; /* absolute or relative to the working directory by now */
    struct cdx_source *sources;
    size_t sources_n;
    char *org_reference, *org_display; /* display may be NULL */
    char **topics, **mappings, **subscriptions,
        **rosters; /* path patterns, resolved against the file's folder */
    size_t topics_n, mappings_n, subscriptions_n, rosters_n;
    struct cdx_client *clients;
    size_t clients_n;
    struct cdx_endpoint_option *endpoints;
    size_t endpoints_n;
    int64_t version;
    char *api_base; /* without trailing '/' */
    char *ops_host;
    int ops_port; /* ops.listen; port 0: any */
    bool role_match, role_push, role_api;
    /* match */
    int64_t commit_ms;     /* match."stage1.commit.ms" 20 */
    int64_t batch_records; /* match."stage1.batch.records" 4000 */
    /* push */
    bool push_http;
    char **push_allow;
    size_t push_allow_n;
    int64_t cursor_flush_ms;    /* "cursor.flush.ms" 200 */
    int64_t timeout_ms;         /* "timeout.ms" 30000 */
    int64_t connect_timeout_ms; /* "connect.timeout.ms" 5000 */
    int64_t max_in_flight;      /* "max.inflight.requests" 1024 */
    int64_t max_connections;    /* "max.connections" 2048 */
    int64_t message_retries;    /* "message.retries" 2 */
    bool duplicate_is_success;  /* "duplicate.is.success" false */
    int64_t error_after_ms;     /* "error.after.ms" 60000 */
    int64_t off_after_ms;       /* "off.after.ms" 259200000 */
    int64_t *schedule_ms;
    size_t schedule_n;    /* "retry.schedule.ms" */
    int64_t batch_events; /* "batch.max.events" 100: where a Subscription has no max-count */
    bool recovery_auto;   /* "recovery" auto|client */
    /* topics: partition counts used by `topics` and embedded mode */
    int64_t partitions; /* "partitions" 12: notifications, subscriptions, cursors, deliveries */
    int64_t state_partitions; /* "state.partitions" 12 */
    int64_t replication;      /* "replication" -1: the broker's default */
};

/**
 * Read and check; every mistake is handed to `say` (NULL: none) as "<file>: <path>: <what> <what to do>" (a syntax error:
 * line and column in place of the path); the first is in err too. No text repeats a value, which may be a secret, but a
 * path of a file.
 * Returns owned, or NULL on any mistake (CDX_CONFIG) or CDX_NOMEM. Data files (topics, subscriptions) are not read here,
 * and librdkafka's properties are only passed on: ops/check_kafka.h holds them against the library.
 * Thread: main.
 */
struct cdx_conf *cdx_conf_load(const char *file, void (*say)(void *arg, const char *text),
                               void *arg, struct cdx_err *err);
/* The same from text, without "<file>: "; `dir` resolves relative paths (NULL: as they stand). */
struct cdx_conf *cdx_conf_parse(const char *text, const char *dir,
                                void (*say)(void *arg, const char *text), void *arg,
                                struct cdx_err *err);
/* Accepts NULL. */
void cdx_conf_free(struct cdx_conf *conf);

/**
 * Path patterns to what exists (files, or folders for `mappings`): sorted, each once; the caller frees them with
 * cdx_strings_free. A pattern with a wildcard may find nothing. Errors: CDX_CONFIG, one without names nothing.
 */
enum cdx_code cdx_conf_glob(char *const *patterns, size_t n, char ***files, size_t *files_n,
                            struct cdx_err *err) CDX_MUST_CHECK;
void cdx_strings_free(char **strings, size_t n);
/**
 * A whole regular file, NUL-terminated; the caller frees it. max: bytes, without the NUL.
 * Returns NULL: CDX_CONFIG (the text names the path) or CDX_NOMEM.
 */
char *cdx_file_read(const char *path, size_t max, size_t *n, struct cdx_err *err);

/* The option table as the README's reference (a Markdown table). */
void cdx_conf_document(FILE *out);
/* Every option's whole name, one a line ("push.timeout.ms", "sources[].topics"): what check-docs asks for. */
void cdx_conf_names(FILE *out);

/* The client with this id, or NULL. */
const struct cdx_client *cdx_conf_client(const struct cdx_conf *conf, const char *id);
/* The one base of all sources, or NULL when they differ. */
const char *cdx_conf_single_base(const struct cdx_conf *conf);

#endif
