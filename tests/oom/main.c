/*
 * tests/oom/main.c -- what becomes of each story when memory runs out at its first, second, third ... allocation?
 *
 * In:    the scenarios; `oom [NAME]` runs those whose names begin so.
 * Out:   one line a finding, totals; exit 1 when there is one.
 *
 * Each scenario runs in a process of its own, so that a crash ends it alone. For k = 1, 2, 3 ... the k-th allocation is
 * refused, until a run meets no refusal. Each run must end with CDX_NOMEM or with the result of an undisturbed run, give
 * back all that it took, and the run after it, undisturbed, must give the same result as ever.
 *
 * Not refused, because they do not come back from it, though what they take is counted: jansson (2.14 follows a NULL when
 * its own malloc fails inside json_loadb). Neither refused nor counted, being shared objects that --wrap does not reach:
 * roaring (its containers are used unchecked), LMDB and OpenSSL (their own tests' concern; their errors come to us as codes).
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/conf.h"
#include "oom.h"

#define MAX_SCENARIOS 1000
#define MAX_KEPT 10000
#define MAX_K 100000

static struct oom_scenario scenarios[MAX_SCENARIOS];
static size_t scenarios_n;
static void *kept[MAX_KEPT];
static size_t kept_n;

/* Shared with the child: where it is. */
static struct {
    size_t k, runs, findings;
} * progress;

static char result[OOM_RESULT_BYTES], expected[OOM_RESULT_BYTES], trouble[512];
static size_t result_n;

void oom_add(struct oom_scenario scenario)
{
    if (scenarios_n == MAX_SCENARIOS)
        abort();
    scenarios[scenarios_n++] = scenario;
}

void oom_print(const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(result + result_n, sizeof result - result_n, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof result - result_n)
        abort();
    result_n += (size_t)n;
}

void oom_wrong(const char *format, ...)
{
    va_list ap;

    if (trouble[0] != '\0')
        return;
    va_start(ap, format);
    vsnprintf(trouble, sizeof trouble, format, ap);
    va_end(ap);
}

void *oom_keep(void *p)
{
    if (p == NULL || kept_n == MAX_KEPT) {
        fputs("oom: no memory for the scenarios\n", stderr);
        exit(2);
    }
    kept[kept_n++] = p;
    return p;
}

struct cdx_text oom_file(const char *path)
{
    struct cdx_err err = {0};
    size_t n = 0;
    char *p = cdx_file_read(path, 1u << 20, &n, &err);

    if (p == NULL) {
        fprintf(stderr, "oom: %s\n", err.text);
        exit(2);
    }
    return cdx_text(oom_keep(p), n);
}

static void *counted_malloc(size_t n)
{
    void *p;

    oom_pause();
    p = malloc(n);
    oom_resume();
    return p;
}

static void finding(const struct oom_scenario *s, const char *what)
{
    printf("oom: %s: allocation %zu refused: %s\n", s->name, progress->k, what);
    progress->findings++;
}

static void show(const char *which, const char *text, size_t from)
{
    printf("  %s: ...%.120s\n", which, text + from);
}

/* Where the result leaves the expected one. */
static void show_difference(enum cdx_code code)
{
    size_t at = 0;

    while (expected[at] != '\0' && expected[at] == result[at])
        at++;
    at = at > 40 ? at - 40 : 0;
    printf("  it ended with: %s\n", cdx_code_text(code));
    show("expected", expected, at);
    show("got", result, at);
}

/* One run; returns whether an allocation was refused. */
static bool run_once(const struct oom_scenario *s, size_t k, enum cdx_code *code)
{
    bool refused;

    result_n = 0;
    result[0] = trouble[0] = '\0';
    progress->runs++;
    oom_arm(k);
    *code = s->run(s->arg);
    refused = oom_disarm();
    if (trouble[0] != '\0')
        finding(s, trouble);
    if (oom_left(false) != 0) {
        finding(s, "memory is not given back");
        oom_left(true);
    }
    return refused;
}

static void run_undisturbed(const struct oom_scenario *s)
{
    enum cdx_code code;

    run_once(s, 0, &code);
    if (code != s->expect || strcmp(result, expected) != 0) {
        finding(s, "the undisturbed run behind it ends otherwise");
        show_difference(code);
    }
}

static void run_scenario(const struct oom_scenario *s)
{
    enum cdx_code code;
    bool refused = true;

    if (s->prepare != NULL)
        s->prepare();
    run_once(s, 0, &code);
    snprintf(expected, sizeof expected, "%s", result);
    if (code != s->expect)
        finding(s, "(none) the undisturbed run fails");
    for (size_t k = 1; refused && k < MAX_K && progress->findings < 5; k++) {
        progress->k = k;
        refused = run_once(s, k, &code);
        if (code != CDX_NOMEM && (code != s->expect || strcmp(result, expected) != 0)) {
            finding(s, "it is neither out of memory nor the expected result");
            show_difference(code);
        }
        run_undisturbed(s);
    }
}

/* Returns the findings of one scenario. */
static size_t run_apart(const struct oom_scenario *s)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    progress->k = progress->findings = 0;
    child = fork();
    if (child == 0) {
        run_scenario(s);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("oom: %s: allocation %zu refused: the process ended (signal %d)\n", s->name,
               progress->k, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        progress->findings++;
    }
    return progress->findings;
}

int main(int argc, char **argv)
{
    size_t findings = 0, ran = 0, allocations = 0;

    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    json_set_alloc_funcs(counted_malloc, free);
    oom_core();
    oom_pure();
    oom_match();
    oom_state();
    for (size_t i = 0; i < scenarios_n; i++)
        if (argc < 2 || strncmp(scenarios[i].name, argv[1], strlen(argv[1])) == 0) {
            findings += run_apart(&scenarios[i]);
            allocations += progress->k > 0 ? progress->k - 1 : 0;
            ran++;
        }
    oom_match_end();
    while (kept_n > 0)
        free(kept[--kept_n]);
    printf("oom: %zu scenarios, %zu allocations refused, %zu runs, %zu findings\n", ran,
           allocations, progress->runs, findings);
    return findings == 0 && ran > 0 && allocations > 0 ? 0 : 1;
}
