/* core/count.h -- counters of the whole process: one table row each, added to from any thread. */
#ifndef CDX_CORE_COUNT_H
#define CDX_CORE_COUNT_H

#include <stdint.h>

/* id, Prometheus name, label pair or "", help. Rows of one family stand together. */
#define CDX_COUNTER_MAP(X)                                                                         \
    X(SOURCE_RECORDS, "cdex_source_records_total", "", "Source records read")                      \
    X(EVENTS, "cdex_events_total", "", "Changes found in source records, dead letters included")   \
    X(MATCHED, "cdex_events_matched_total", "", "Changes that went to at least one subscription")  \
    X(UNMATCHED_NO_TOPIC, "cdex_events_unmatched_total", "reason=\"no-topic\"",                    \
      "Changes that went nowhere, by reason")                                                      \
    X(UNMATCHED_NO_SUBSCRIPTION, "cdex_events_unmatched_total", "reason=\"no-subscription\"", "")  \
    X(UNMATCHED_NO_PATIENT, "cdex_events_unmatched_total", "reason=\"no-patient\"", "")            \
    X(UNMATCHED_UNRESOLVED, "cdex_events_unmatched_total", "reason=\"unresolved-patient\"", "")    \
    X(UNMATCHED_NOT_MEMBER, "cdex_events_unmatched_total", "reason=\"not-member\"", "")            \
    X(UNMATCHED_UNKNOWN_DELETE, "cdex_events_unmatched_total", "reason=\"unknown-delete\"", "")    \
    X(LOGGED, "cdex_notifications_logged_total", "", "Records written to the notifications log")   \
    X(DLQ_DECODE, "cdex_dlq_records_total", "class=\"decode\"", "Dead letters written, by class")  \
    X(DLQ_MESSAGE, "cdex_dlq_records_total", "class=\"message\"", "")                              \
    X(DLQ_TOO_LARGE, "cdex_dlq_records_total", "class=\"too-large\"", "")                          \
    X(DLQ_GAP, "cdex_dlq_records_total", "class=\"gap\"", "")                                      \
    X(TXN_COMMITS, "cdex_transactions_total", "result=\"commit\"",                                 \
      "Stage 1 transactions, by result")                                                           \
    X(TXN_ABORTS, "cdex_transactions_total", "result=\"abort\"", "")                               \
    X(FLUSHES, "cdex_cursor_flushes_total", "result=\"commit\"",                                   \
      "Cursor flush transactions, by result")                                                      \
    X(FLUSH_ABORTS, "cdex_cursor_flushes_total", "result=\"abort\"", "")                           \
    X(FLUSH_REFUSED, "cdex_cursor_flushes_total", "result=\"refused\"", "")                        \
    X(REBALANCES, "cdex_rebalances_total", "", "Assignments received by either consumer group")    \
    X(NOTIFICATIONS, "cdex_notifications_delivered_total", "",                                     \
      "Notifications acknowledged by an endpoint")                                                 \
    X(DELIVERED_EVENTS, "cdex_events_delivered_total", "", "Events acknowledged by an endpoint")   \
    X(WITHHELD, "cdex_events_withheld_total", "",                                                  \
      "Events sent without content because the member had left or the subscription was made anew") \
    X(ATTEMPTS_FAILED, "cdex_delivery_failures_total", "", "Delivery attempts that failed")        \
    X(RETRIES, "cdex_delivery_retries_total", "",                                                  \
      "Delivery attempts that repeated an earlier one")                                            \
    X(SSRF_BLOCKED, "cdex_ssrf_blocked_total", "", "Connections refused by the dial guard")        \
    X(CONN_NEW, "cdex_connections_total", "reused=\"false\"",                                      \
      "Requests by whether their connection was reused")                                           \
    X(CONN_REUSED, "cdex_connections_total", "reused=\"true\"", "")                                \
    X(GAPS, "cdex_gap_events_total", "",                                                           \
      "Event numbers reported as gone from the log before delivery")                               \
    X(LOG_REPLACED, "cdex_log_replaced_total", "", "Log partitions found replaced by a new log")   \
    X(SCANS, "cdex_range_scans_total", "", "Turns of the range reader")                            \
    X(CPU_MATCH_US, "cdex_stage_cpu_seconds_total", "stage=\"match\"",                             \
      "CPU time of the engine's own threads, by stage")                                            \
    X(CPU_PUSH_US, "cdex_stage_cpu_seconds_total", "stage=\"push\"", "")                           \
    X(CPU_FLUSH_US, "cdex_stage_cpu_seconds_total", "stage=\"flush\"", "")                         \
    X(CPU_RANGE_US, "cdex_stage_cpu_seconds_total", "stage=\"range\"", "")                         \
    X(CPU_VIEW_US, "cdex_stage_cpu_seconds_total", "stage=\"view\"", "")

enum cdx_counter {
#define X(id, name, label, help) CDX_C_##id,
    CDX_COUNTER_MAP(X)
#undef X
        CDX_COUNTERS
};

/* Thread: any, never blocks. */
void cdx_count(enum cdx_counter c, uint64_t n);
uint64_t cdx_counted(enum cdx_counter c);
/* Sets a counter that mirrors one kept elsewhere (a thread's CPU time in microseconds); it never goes down. */
void cdx_count_to(enum cdx_counter c, uint64_t n);

struct cdx_counter_row {
    const char *name, *label, *help;
};
extern const struct cdx_counter_row cdx_counter_rows[CDX_COUNTERS];

/* Histograms in milliseconds, with Prometheus buckets 1 ms .. 60 s. */
#define CDX_HISTOGRAM_MAP(X)                                                                       \
    X(LATENCY_MATCHED, "cdex_event_latency_seconds", "stage=\"matched\"",                          \
      "Age of an event since its source record's timestamp, by stage")                             \
    X(LATENCY_ACKED, "cdex_event_latency_seconds", "stage=\"acked\"", "")                          \
    X(DELIVERY, "cdex_delivery_duration_seconds", "", "Duration of a delivery attempt")            \
    X(FLUSH, "cdex_cursor_flush_seconds", "", "Duration of a cursor flush transaction")            \
    X(COMMIT, "cdex_commit_seconds", "", "Duration of a stage 1 commit")

enum cdx_histogram {
#define X(id, name, label, help) CDX_H_##id,
    CDX_HISTOGRAM_MAP(X)
#undef X
        CDX_HISTOGRAMS
};

#define CDX_BUCKETS 16
extern const int64_t cdx_bucket_ms[CDX_BUCKETS]; /* upper bounds */
struct cdx_histogram_data {
    uint64_t bucket[CDX_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t sum_ms, count;
};
extern const struct cdx_counter_row cdx_histogram_rows[CDX_HISTOGRAMS];

/* Thread: any, never blocks. */
void cdx_observe_ms(enum cdx_histogram h, int64_t ms);
void cdx_histogram_read(enum cdx_histogram h, struct cdx_histogram_data *out);

#endif
