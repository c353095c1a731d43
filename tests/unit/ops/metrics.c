/* Rules: Prometheus text format 0.0.4 (HELP and TYPE once a family, escapes, cumulative buckets), delivery.md 12. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/count.h"
#include "ops/metrics.h"

#define MAX_BYTES (1u << 20)

static void more(void *arg, struct cdx_buf *out)
{
    const struct cdx_label labels[] = {{"endpoint", cdx_text_z("payer \"a\"\\b\nc")},
                                       {"state", cdx_text_z("open")}};

    (void)arg;
    cdx_metrics_family(out, "cdex_endpoint_state", "gauge", "1 for the state\nthat \\ it is in");
    cdx_metrics_sample(out, "cdex_endpoint_state", labels, 2, 1);
    cdx_metrics_sample(out, "cdex_endpoint_state", labels, 1, 0.25);
}

static char *rendered(void)
{
    struct cdx_buf out;
    size_t n;

    cdx_buf_init(&out, MAX_BYTES);
    cdx_metrics_render(&out, more, NULL);
    return cdx_buf_steal(&out, &n);
}

/* The number behind the line's name; -1: no such line. */
static double value_of(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n, NULL);
    }
    return -1;
}

static int times(const char *text, const char *what)
{
    int n = 0;

    while ((text = strstr(text, what)) != NULL) {
        text++;
        n++;
    }
    return n;
}

static void labels_and_help_are_escaped(void)
{
    char *text = rendered();

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "# HELP cdex_endpoint_state 1 for the state\\nthat \\\\ it is in\n"
                     "# TYPE cdex_endpoint_state gauge\n"
                     "cdex_endpoint_state{endpoint=\"payer \\\"a\\\"\\\\b\\nc\",state=\"open\"} 1\n"
                     "cdex_endpoint_state{endpoint=\"payer \\\"a\\\"\\\\b\\nc\"} 0.25\n"));
    free(text);
}

static void a_counter_is_shown_as_it_was_counted(void)
{
    char *before = rendered(), *after;

    cdx_count(CDX_C_DLQ_DECODE, 3);
    after = rendered();
    CU_ASSERT_EQUAL(value_of(after, "cdex_dlq_records_total{class=\"decode\"}"),
                    value_of(before, "cdex_dlq_records_total{class=\"decode\"}") + 3);
    CU_ASSERT_EQUAL(times(after, "# TYPE cdex_dlq_records_total counter\n"), 1);
    CU_ASSERT_EQUAL(times(after, "# HELP cdex_dlq_records_total "), 1);
    free(before);
    free(after);
}

/* Prometheus: base units; core/count.h keeps microseconds. */
static void cpu_time_is_shown_in_seconds(void)
{
    char *before = rendered(), *after;
    const char *name = "cdex_stage_cpu_seconds_total{stage=\"range\"}";

    cdx_count(CDX_C_CPU_RANGE_US, 1500000);
    after = rendered();
    CU_ASSERT_DOUBLE_EQUAL(value_of(after, name), value_of(before, name) + 1.5, 1e-9);
    free(before);
    free(after);
}

static void buckets_are_cumulative_and_end_in_the_count(void)
{
    char *before = rendered(), *after;

    cdx_observe_ms(CDX_H_FLUSH, 2);      /* le 0.002 and above */
    cdx_observe_ms(CDX_H_FLUSH, 45);     /* le 0.08 and above */
    cdx_observe_ms(CDX_H_FLUSH, 600000); /* +Inf only */
    after = rendered();
#define GREW(name, by)                                                                             \
    CU_ASSERT_DOUBLE_EQUAL(value_of(after, name), value_of(before, name) + (by), 1e-9)
    GREW("cdex_cursor_flush_seconds_bucket{le=\"0.001\"}", 0);
    GREW("cdex_cursor_flush_seconds_bucket{le=\"0.002\"}", 1);
    GREW("cdex_cursor_flush_seconds_bucket{le=\"0.04\"}", 1);
    GREW("cdex_cursor_flush_seconds_bucket{le=\"0.08\"}", 2);
    GREW("cdex_cursor_flush_seconds_bucket{le=\"60\"}", 2);
    GREW("cdex_cursor_flush_seconds_bucket{le=\"+Inf\"}", 3);
    GREW("cdex_cursor_flush_seconds_count", 3);
    GREW("cdex_cursor_flush_seconds_sum", 600.047);
#undef GREW
    free(before);
    free(after);
}

static void a_histogram_s_label_stands_before_le(void)
{
    char *text = rendered();

    CU_ASSERT(value_of(text, "cdex_event_latency_seconds_bucket{stage=\"acked\",le=\"+Inf\"}") >=
              0);
    CU_ASSERT(value_of(text, "cdex_event_latency_seconds_count{stage=\"acked\"}") >= 0);
    CU_ASSERT_EQUAL(times(text, "# TYPE cdex_event_latency_seconds histogram\n"), 1);
    free(text);
}

static void the_process_is_described_by_what_the_kernel_says(void)
{
    char *text = rendered();
    double now = (double)time(NULL) + 1 /* whole seconds */,
           start = value_of(text, "process_start_time_seconds");

    CU_ASSERT(start <= now && start > now - 3600);
    CU_ASSERT(value_of(text, "process_resident_memory_bytes") > 100000);
    CU_ASSERT(value_of(text, "process_virtual_memory_bytes") >=
              value_of(text, "process_resident_memory_bytes"));
    CU_ASSERT(value_of(text, "process_cpu_seconds_total") > 0);
    CU_ASSERT(value_of(text, "process_open_fds") >= 1);
    CU_ASSERT_EQUAL(value_of(text, "cdex_build_info{version=\"" CDX_VERSION "\"}"), 1);
    free(text);
}

static void an_open_descriptor_more_is_one_more(void)
{
    char *before = rendered(), *after;
    int fd = dup(STDOUT_FILENO);

    after = rendered();
    CU_ASSERT_EQUAL(value_of(after, "process_open_fds"), value_of(before, "process_open_fds") + 1);
    close(fd);
    free(before);
    free(after);
}

/* Skipped where promtool is not installed; tests/ on a full machine has it (make deps). */
static void promtool_finds_nothing_to_say(void)
{
    char *text = rendered();
    FILE *promtool;

    if (system("command -v promtool >/dev/null 2>&1") == 0) {
        promtool = popen("promtool check metrics", "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(promtool);
        fputs(text, promtool);
        CU_ASSERT_EQUAL(pclose(promtool), 0);
    }
    free(text);
}

static CU_TestInfo tests[] = {
    {"labels and help are escaped", labels_and_help_are_escaped},
    {"a counter is shown as it was counted", a_counter_is_shown_as_it_was_counted},
    {"CPU time is shown in seconds", cpu_time_is_shown_in_seconds},
    {"buckets are cumulative and end in the count", buckets_are_cumulative_and_end_in_the_count},
    {"a histogram's label stands before le", a_histogram_s_label_stands_before_le},
    {"the process is described by what the kernel says",
     the_process_is_described_by_what_the_kernel_says},
    {"an open descriptor more is one more", an_open_descriptor_more_is_one_more},
    {"promtool finds nothing to say", promtool_finds_nothing_to_say},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_ops_metrics = {.pName = "ops/metrics", .pTests = tests};
