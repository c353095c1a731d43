/* One line a decision, in the form that was asked for; standard error is a pipe meanwhile. */
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/instant.h"
#include "core/log.h"

static int pipe_end, stderr_kept;

static void catch_lines(enum cdx_level level, bool json)
{
    int ends[2];

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    fflush(stderr);
    stderr_kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
    cdx_log_setup(level, json);
}

/* What was written since catch_lines; the default is set again. */
static const char *caught(void)
{
    static char text[40000];
    ssize_t n;
    size_t at = 0;

    dup2(stderr_kept, STDERR_FILENO);
    close(stderr_kept);
    while (at < sizeof text - 1 && (n = read(pipe_end, text + at, sizeof text - 1 - at)) > 0)
        at += (size_t)n;
    close(pipe_end);
    text[at] = '\0';
    cdx_log_setup(CDX_INFO, false);
    return text;
}

/* The line behind its timestamp, which must be an instant. */
static const char *after_time(const char *line)
{
    int64_t ms;

    CU_ASSERT_TRUE_FATAL(strlen(line) > 25);
    CU_ASSERT_TRUE(cdx_instant_parse(cdx_text(line, 24), &ms));
    return line + 24;
}

static void a_line_is_time_level_id_pairs_text(void)
{
    catch_lines(CDX_INFO, false);
    cdx_log(CDX_WARN, "push.attempt", "it failed", CDX_KV("sub", "s-1"), CDX_KN("status", 503),
            CDX_KN("left", INT64_MIN));
    CU_ASSERT_STRING_EQUAL(
        after_time(caught()),
        " warn  push.attempt sub=s-1 status=503 left=-9223372036854775808 text=\"it failed\"\n");
}

static void without_text_there_is_none(void)
{
    catch_lines(CDX_INFO, false);
    cdx_log_write(CDX_ERROR, "a.b", "", NULL, 0);
    CU_ASSERT_STRING_EQUAL(after_time(caught()), " error a.b\n");
}

/* A value that would end the pair or the line is quoted: one decision is one line whatever came from outside. */
static void values_that_would_break_the_line_are_quoted(void)
{
    static const struct {
        struct cdx_text value;
        const char *shown;
    } cases[] = {
        {{"plain/value:1", 13}, "plain/value:1"},
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"two words", 9}, "\"two words\""},
        {{"a=b", 3}, "\"a=b\""},
        {{"q\"q", 3}, "\"q\\\"q\""},
        {{"b\\b", 3}, "\"b\\\\b\""},
        {{"l\ne", 3}, "\"l\\u000ae\""},
        {{"z\0z", 3}, "\"z\\u0000z\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[128];
        catch_lines(CDX_INFO, false);
        cdx_log(CDX_INFO, "id", "", CDX_KT("k", cases[i].value));
        snprintf(want, sizeof want, " info  id k=%s\n", cases[i].shown);
        CU_ASSERT_STRING_EQUAL(after_time(caught()), want);
    }
}

static void a_pair_without_key_is_left_out(void)
{
    catch_lines(CDX_INFO, false);
    cdx_log(CDX_INFO, "id", "", CDX_KV(NULL, "x"), CDX_KV("k", "v"));
    CU_ASSERT_STRING_EQUAL(after_time(caught()), " info  id k=v\n");
}

static void json_lines_are_json(void)
{
    const char *text;
    json_t *line;
    int64_t ms;

    catch_lines(CDX_DEBUG, true);
    cdx_log(CDX_DEBUG, "a.b", "say \"x\"\n", CDX_KV("sub", "s 1"), CDX_KN("n", -7));
    text = caught();
    line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
    CU_ASSERT_TRUE(
        cdx_instant_parse(cdx_text_z(json_string_value(json_object_get(line, "ts"))), &ms));
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(line, "level")), "debug");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(line, "id")), "a.b");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(line, "sub")), "s 1");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(line, "n")), -7);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(line, "text")), "say \"x\"\n");
    json_decref(line);
}

static void what_is_below_the_level_is_not_written(void)
{
    catch_lines(CDX_WARN, false);
    cdx_log(CDX_INFO, "no", "", CDX_KN("n", 1));
    cdx_log(CDX_DEBUG, "no", "", CDX_KN("n", 1));
    cdx_log(CDX_WARN, "yes", "", CDX_KN("n", 1));
    CU_ASSERT_STRING_EQUAL(after_time(caught()), " warn  yes n=1\n");
}

/* A decision is never without a line: what is too long says so, with its id. */
static void a_line_that_is_too_long_is_cut_not_lost(void)
{
    static char longer[20000];
    const char *text;
    json_t *line;

    memset(longer, 'x', sizeof longer - 1);
    catch_lines(CDX_INFO, false);
    cdx_log(CDX_ERROR, "too.long", "", CDX_KV("k", longer));
    text = after_time(caught());
    CU_ASSERT_TRUE(cdx_text_starts(cdx_text_z(text), CDX_LIT(" error too.long ")));
    CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
    catch_lines(CDX_INFO, true);
    cdx_log(CDX_ERROR, "too.long", "", CDX_KV("k", longer));
    line = json_loads(caught(), 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(line, "id")), "too.long");
    json_decref(line);
}

static CU_TestInfo tests[] = {
    {"a line is time, level, id, pairs, text", a_line_is_time_level_id_pairs_text},
    {"without text there is none", without_text_there_is_none},
    {"values that would break the line are quoted", values_that_would_break_the_line_are_quoted},
    {"a pair without key is left out", a_pair_without_key_is_left_out},
    {"JSON lines are JSON", json_lines_are_json},
    {"what is below the level is not written", what_is_below_the_level_is_not_written},
    {"a line that is too long is cut, not lost", a_line_that_is_too_long_is_cut_not_lost},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_log = {.pName = "core/log", .pTests = tests};
