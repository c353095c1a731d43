/*
 * ops/metrics.c -- what has this process done, in the text that Prometheus reads?
 *
 * In:    the counters and histograms of core/count.h, /proc/self, and the families of a callback.
 * Out:   exposition format 0.0.4: HELP and TYPE once a family, base units (seconds, bytes).
 * Owns:  nothing.
 *
 * The hard thing is that counters move while they are read: a histogram's count is the sum of the buckets just read, not
 * the counter beside them, so that `+Inf` and `_count` always agree. Not a client library: Debian has none for C, and the
 * format is a screenful.
 */
#include "ops/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/count.h"
#include "core/err.h"

/* A backslash before each character of `special`; a line feed as \n. */
static void add_escaped(struct cdx_buf *out, struct cdx_text text, const char *special)
{
    size_t from = 0;

    for (size_t i = 0; i < text.n; i++) {
        char escape[3] = {'\\', text.p[i] == '\n' ? 'n' : text.p[i], '\0'};

        if (text.p[i] == '\0' || strchr(special, text.p[i]) == NULL)
            continue;
        cdx_buf_add(out, text.p + from, i - from);
        cdx_buf_add_z(out, escape);
        from = i + 1;
    }
    if (text.n > from)
        cdx_buf_add(out, text.p + from, text.n - from);
}

/* The shortest text that is read back as the same number. */
static void add_value(struct cdx_buf *out, double value)
{
    char text[32];

    if (isnan(value) || isinf(value)) {
        cdx_buf_add_z(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    cdx_buf_add_z(out, text);
}

void cdx_metrics_family(struct cdx_buf *out, const char *name, const char *type, const char *help)
{
    cdx_buf_printf(out, "# HELP %s ", name);
    add_escaped(out, cdx_text_z(help), "\\\n");
    cdx_buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

void cdx_metrics_sample(struct cdx_buf *out, const char *name, const struct cdx_label *labels,
                        size_t n, double value)
{
    cdx_buf_add_z(out, name);
    for (size_t i = 0; i < n; i++) {
        cdx_buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].key);
        add_escaped(out, labels[i].value, "\\\"\n");
        cdx_buf_add_z(out, "\"");
    }
    cdx_buf_add_z(out, n != 0 ? "} " : " ");
    add_value(out, value);
    cdx_buf_add_z(out, "\n");
}

/* A sample whose label pair stands in a table as it is to be written. */
static void add_row(struct cdx_buf *out, const char *name, const char *label, double value)
{
    cdx_buf_printf(out, label[0] != '\0' ? "%s{%s} " : "%s%s ", name, label);
    add_value(out, value);
    cdx_buf_add_z(out, "\n");
}

static bool ends(const char *text, const char *tail)
{
    size_t n = strlen(text), t = strlen(tail);

    return n >= t && strcmp(text + n - t, tail) == 0;
}

/* Rows of one family stand together (core/count.h): a new name starts the next. */
static bool starts_family(const struct cdx_counter_row *rows, size_t i)
{
    return i == 0 || strcmp(rows[i - 1].name, rows[i].name) != 0;
}

/* Counters of time are kept in microseconds. */
static double counter_value(enum cdx_counter c)
{
    double n = (double)cdx_counted(c);

    return ends(cdx_counter_rows[c].name, "_seconds_total") ? n / 1e6 : n;
}

static void add_counters(struct cdx_buf *out)
{
    for (int c = 0; c < CDX_COUNTERS; c++) {
        const struct cdx_counter_row *row = &cdx_counter_rows[c];

        if (starts_family(cdx_counter_rows, (size_t)c))
            cdx_metrics_family(out, row->name, "counter", row->help);
        add_row(out, row->name, row->label, counter_value((enum cdx_counter)c));
    }
}

static void add_histogram(struct cdx_buf *out, const struct cdx_counter_row *row,
                          const struct cdx_histogram_data *data)
{
    const char *comma = row->label[0] != '\0' ? "," : "";
    uint64_t seen = 0;
    char name[96];

    for (int b = 0; b <= CDX_BUCKETS; b++) {
        seen += data->bucket[b];
        cdx_buf_printf(out, "%s_bucket{%s%sle=\"", row->name, row->label, comma);
        add_value(out, b < CDX_BUCKETS ? (double)cdx_bucket_ms[b] / 1e3 : INFINITY);
        cdx_buf_printf(out, "\"} %" PRIu64 "\n", seen);
    }
    snprintf(name, sizeof name, "%s_sum", row->name);
    add_row(out, name, row->label, (double)data->sum_ms / 1e3);
    snprintf(name, sizeof name, "%s_count", row->name);
    add_row(out, name, row->label, (double)seen);
}

static void add_histograms(struct cdx_buf *out)
{
    for (int h = 0; h < CDX_HISTOGRAMS; h++) {
        struct cdx_histogram_data data;

        if (starts_family(cdx_histogram_rows, (size_t)h))
            cdx_metrics_family(out, cdx_histogram_rows[h].name, "histogram",
                               cdx_histogram_rows[h].help);
        cdx_histogram_read((enum cdx_histogram)h, &data);
        add_histogram(out, &cdx_histogram_rows[h], &data);
    }
}

/* -- the process: NaN is left out ---------------------------------------------------------------------------------- */

/* The number in field `field` (from 1) of a /proc file, counted behind the last ')' where there is one (proc(5)). */
static double proc_number(const char *path, int field)
{
    FILE *f = fopen(path, "re");
    char line[1024], *p;
    size_t n;

    if (f == NULL)
        return NAN;
    n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    p = strrchr(line, ')');
    p = p != NULL ? p + 2 : line;
    while (--field > 0 && (p = strchr(p, ' ')) != NULL)
        p++;
    return p != NULL ? strtod(p, NULL) : NAN;
}

static double resident_bytes(void)
{
    return proc_number("/proc/self/statm", 2) * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void)
{
    return proc_number("/proc/self/statm", 1) * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) != 0)
        return NAN;
    return (double)ts.tv_sec + (double)(ts.tv_nsec / 1000) / 1e6;
}

static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (dir == NULL)
        return NAN;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and this folder's own */
}

static double max_fds(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

/* Now, less the time since the start: starttime is field 22 of stat, the 20th behind the name. */
static double start_seconds(void)
{
    struct timespec wall, up;

    if (clock_gettime(CLOCK_REALTIME, &wall) != 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0)
        return NAN;
    return (double)(wall.tv_sec - up.tv_sec) + (double)(wall.tv_nsec - up.tv_nsec) / 1e9 +
           proc_number("/proc/self/stat", 20) / (double)sysconf(_SC_CLK_TCK);
}

static const struct {
    const char *name, *type, *help;
    double (*value)(void);
} process[] = {
    {"process_cpu_seconds_total", "counter", "User and system CPU time of all threads",
     cpu_seconds},
    {"process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes},
    {"process_virtual_memory_bytes", "gauge", "Virtual memory", virtual_bytes},
    {"process_open_fds", "gauge", "Open file descriptors", open_fds},
    {"process_max_fds", "gauge", "Most file descriptors that may be open", max_fds},
    {"process_start_time_seconds", "gauge", "Start of the process, since 1970-01-01Z",
     start_seconds},
};

static void add_process(struct cdx_buf *out)
{
    for (size_t i = 0; i < CDX_COUNT(process); i++) {
        double value = process[i].value();

        if (isnan(value))
            continue;
        cdx_metrics_family(out, process[i].name, process[i].type, process[i].help);
        cdx_metrics_sample(out, process[i].name, NULL, 0, value);
    }
}

void cdx_metrics_render(struct cdx_buf *out, void (*more)(void *arg, struct cdx_buf *out),
                        void *arg)
{
    const struct cdx_label version = {"version", cdx_text_z(CDX_VERSION)};

    add_counters(out);
    add_histograms(out);
    cdx_metrics_family(out, "cdex_build_info", "gauge", "1, labelled with this program's version");
    cdx_metrics_sample(out, "cdex_build_info", &version, 1, 1);
    add_process(out);
    if (more != NULL)
        more(arg, out);
}
