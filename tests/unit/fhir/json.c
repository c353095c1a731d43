/*
 * fhir/json -- RFC 8259 to the letter, the same answers as jansson, and the bounds of
 * core/limits.h.
 *
 * Where the reader and jansson may differ stands in oracle.h.
 */
#include <CUnit/CUnit.h>
#include <ftw.h>
#include <time.h>

#define FUZZ_WITHOUT_MAIN /* its mutations only */
#include "../../fuzz/fuzz.h"
#include "core/buf.h"
#include "core/limits.h"
#include "oracle.h"

#define ARENA_BLOCK_BYTES 65536 /* of core/arena.c: what one block of it holds */

static struct cdx_arena *arena;

static void set_up(void)
{
    arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
}

static void tear_down(void)
{
    cdx_arena_destroy(arena);
    arena = NULL;
}

static enum cdx_code parse(struct cdx_text text, struct cdx_json *j, struct cdx_err *err)
{
    *err = (struct cdx_err){0};
    return cdx_json_parse(text.p, text.n, arena, j, err);
}

/* A literal with its NULs. */
#define ROW(s)                                                                                     \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

/* ---- acceptance ---- */

static const struct cdx_text accepted[] = {
    ROW("0"),
    ROW("-0"),
    ROW("12.50"),
    ROW("1e5"),
    ROW("1E+5"),
    ROW("-1.5e-3"),
    ROW("123456789012345678901234567890"),
    ROW("1e999"),
    ROW("true"),
    ROW("false"),
    ROW("null"),
    ROW("\"\""),
    ROW(" \t\r\n{ } \n"),
    ROW("[]"),
    ROW("[ ]"),
    ROW("[1 , 2]"),
    ROW("[[],{}]"),
    ROW("{\"\":1}"),
    ROW("{\"a\":1,\"b\":{\"a\":1}}"),
    ROW("{\"a\":1,\"A\":2}"),
    ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    ROW("\"\\u0001\\uFFFF\\ud83d\\ude00\""),
    ROW("\"\x7F\""),
    ROW("\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F"
        "\xBF\xBF\""),
};

static const struct {
    struct cdx_text text;
    size_t at; /* the byte that the error names */
} refused[] = {
    {ROW(""), 0},
    {ROW(" "), 1},
    {ROW("{"), 1},
    {ROW("["), 1},
    {ROW("[1"), 2},
    {ROW("]"), 0},
    {ROW("[1}"), 2},
    {ROW("{\"a\":1]"), 6},
    {ROW("[1,]"), 3},
    {ROW("[,1]"), 1},
    {ROW("[1 2]"), 3},
    {ROW("{,}"), 1},
    {ROW("{\"a\"}"), 4},
    {ROW("{\"a\":}"), 5},
    {ROW("{\"a\":1,}"), 7},
    {ROW("{a:1}"), 1},
    {ROW("{1:1}"), 1},
    {ROW("{\"a\":1 \"b\":2}"), 7},
    {ROW("{\"a\" 1}"), 5},
    {ROW("1 2"), 2},
    {ROW("{}{}"), 2},
    {ROW("{} x"), 3},
    /* section 3: the words are these */
    {ROW("True"), 0},
    {ROW("tru"), 0},
    {ROW("truex"), 4},
    {ROW("nul"), 0},
    {ROW("NaN"), 0},
    {ROW("'a'"), 0},
    /* section 6 */
    {ROW("01"), 0},
    {ROW("-"), 1},
    {ROW("-01"), 1},
    {ROW("+1"), 0},
    {ROW(".5"), 0},
    {ROW("1."), 2},
    {ROW("1.e5"), 2},
    {ROW("1e"), 2},
    {ROW("1e+"), 3},
    {ROW("1.5.5"), 3},
    {ROW("0x1"), 1},
    {ROW("-Infinity"), 1},
    /* section 7 */
    {ROW("\""), 1},
    {ROW("\"a"), 2},
    {ROW("\"\\\""), 3},
    {ROW("\"\\"), 1},
    {ROW("\"\\x\""), 1},
    {ROW("\"\\u12\""), 1},
    {ROW("\"\\u12G4\""), 1},
    {ROW("\"\\U0041\""), 1},
    {ROW("\"a\nb\""), 2},
    {ROW("\"\x1F\""), 1},
    /* half a surrogate pair has no UTF-8 form (section 8.2) */
    {ROW("\"\\ud800\""), 1},
    {ROW("\"\\udc00\""), 1},
    {ROW("\"\\ud800\\u0041\""), 1},
    {ROW("\"\\ud800\\ud800\""), 1},
    {ROW("\"\\ud800x\""), 1},
    {ROW("\"\\udc00\\udc00\""), 1},
    {ROW("\"\\ud800\\ue000\""), 1},
    /* json.h: no NUL, raw or escaped; in a name neither */
    {ROW("\"\\u0000\""), 1},
    {ROW("\"\0\""), 1},
    {ROW("{\"\\u0000\":1}"), 2},
    {ROW("\0"), 0},
    {ROW("1\0"), 1},
    {ROW("[1\0,2]"), 2},
    /*
     * section 8.1: UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF), no
     * byte order mark
     */
    {ROW("\xEF\xBB\xBF{}"), 0},
    {ROW("\"\x80\""), 1},
    {ROW("\"\xC0\xAF\""), 1},
    {ROW("\"\xC1\xBF\""), 1},
    {ROW("\"\xE0\x9F\xBF\""), 1},
    {ROW("\"\xED\xA0\x80\""), 1},
    {ROW("\"\xF0\x8F\xBF\xBF\""), 1},
    {ROW("\"\xF4\x90\x80\x80\""), 1},
    {ROW("\"\xF5\x80\x80\x80\""), 1},
    {ROW("\"\xC2\""), 1},
    {ROW("\"\xE2\x82\""), 1},
    {ROW("\"\xC2"), 1},
    {ROW("\"\xF0\x9F\x98"), 1},
    {ROW("\xC2\xA0{}"), 0},
    /* names: at the second one, inside its quotes; escapes are resolved */
    {ROW("{\"a\":1,\"a\":2}"), 8},
    {ROW("{\"a\":1,\"b\":2,\"\\u0061\":3}"), 14},
    {ROW("{\"\":1,\"\":2}"), 7},
    {ROW("{\"\\n\":1,\"\\u000a\":2}"), 9},
    {ROW("{\"\xC3\xA9\":1,\"\\u00E9\":2}"), 9},
    {ROW("[{\"x\":{\"a\":[{}],\"a\":1}}]"), 17},
};

static void what_rfc_8259_allows_is_accepted(void)
{
    for (size_t i = 0; i < CDX_COUNT(accepted); i++) {
        struct cdx_json j;
        struct cdx_err err;
        CU_ASSERT_EQUAL(parse(accepted[i], &j, &err), CDX_OK);
        if (err.code != CDX_OK)
            fprintf(stderr, "\naccepted[%zu]: %s\n", i, err.text);
    }
}

static void what_it_does_not_is_refused_at_its_byte(void)
{
    for (size_t i = 0; i < CDX_COUNT(refused); i++) {
        struct cdx_json j;
        struct cdx_err err;
        char place[32];
        bool named;
        CU_ASSERT_EQUAL(parse(refused[i].text, &j, &err), CDX_INPUT);
        snprintf(place, sizeof place, " at byte %zu", refused[i].at);
        named = strncmp(err.text, "JSON: ", 6) == 0 && strlen(err.text) > strlen(place) &&
                strcmp(err.text + strlen(err.text) - strlen(place), place) == 0;
        CU_ASSERT_TRUE(named);
        if (!named)
            fprintf(stderr, "\nrefused[%zu]: wanted%s, got %s\n", i, place, err.text);
    }
}

/*
 * Section 7: what may stand unescaped; wherever it falls among the bytes that are looked at
 * together.
 */
static void any_byte_at_any_place_of_a_string_is_judged_alike(void)
{
    char text[34];

    for (int c = 0; c < 256; c++) {
        for (size_t at = 1; at < sizeof text - 1; at++) {
            struct cdx_json j;
            struct cdx_err err;
            bool allowed = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            memset(text, 'a', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[at] = (char)c;
            CU_ASSERT_EQUAL(parse(cdx_text(text, sizeof text), &j, &err),
                            allowed ? CDX_OK : CDX_INPUT);
        }
    }
}

/* Any prefix of an object is none: the reader never looks behind the end that it was given. */
static void every_truncation_is_refused(void)
{
    static const char whole[] =
        "{\"a\":[1.5e3,true,\"x\\ud83d\\ude00\xE2\x82\xAC\"],\"b\":{\"c\":null}}";

    for (size_t n = 0; n <= sizeof whole - 1; n++) {
        struct cdx_json j;
        struct cdx_err err;
        char *copy = malloc(n + 1); /* of its own, so that the sanitizer sees a byte too far */
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        copy = n != 0 ? realloc(copy, n) : copy;
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, whole, n);
        CU_ASSERT_EQUAL(parse(cdx_text(copy, n), &j, &err),
                        n == sizeof whole - 1 ? CDX_OK : CDX_INPUT);
        free(copy);
    }
}

/* ---- the index ---- */

static void an_index_leads_to_every_value(void)
{
    static const char text[] = " {\"a\" : [1.50, {\"b\":\"x\"}, []], \"c\":\"\" } ";
    struct cdx_json j;
    struct cdx_err err;
    cdx_node a, item, c;

    CU_ASSERT_EQUAL_FATAL(parse(cdx_text_z(text), &j, &err), CDX_OK);
    CU_ASSERT_EQUAL(j.count, 7);
    CU_ASSERT_TRUE(
        cdx_text_is(cdx_json_raw(&j, 0), "{\"a\" : [1.50, {\"b\":\"x\"}, []], \"c\":\"\" }"));
    a = cdx_json_get(&j, 0, "a");
    CU_ASSERT_EQUAL(cdx_json_kind(&j, a), CDX_JSON_ARRAY);
    item = cdx_json_first(&j, a);
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_raw(&j, item), "1.50")); /* decimals keep their digits */
    item = cdx_json_next(&j, a, item);
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_string(&j, cdx_json_get(&j, item, "b"), arena), "x"));
    item = cdx_json_next(&j, a, item);
    CU_ASSERT_EQUAL(cdx_json_kind(&j, item), CDX_JSON_ARRAY);
    CU_ASSERT_EQUAL(cdx_json_first(&j, item), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_next(&j, a, item), CDX_NO_NODE);
    c = cdx_json_next(&j, 0, a);
    CU_ASSERT_EQUAL(c, cdx_json_get(&j, 0, "c"));
    CU_ASSERT_EQUAL(cdx_json_next(&j, 0, c), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0, "b"), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_get(&j, a, "b"), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_get(&j, CDX_NO_NODE, "b"), CDX_NO_NODE);
}

static void a_string_is_a_view_unless_it_has_escapes(void)
{
    static const char text[] =
        "{\"plain\":\"x\",\"empty\":\"\",\"esc\":\"\\u20ac\\n\\ud83d\\ude00\\u00e9\\u0041\",\"n\":-"
        "1.0,\"t\":true,\"z\":null}";
    struct cdx_json j;
    struct cdx_err err;
    struct cdx_text s;

    CU_ASSERT_EQUAL_FATAL(parse(cdx_text_z(text), &j, &err), CDX_OK);
    s = cdx_json_string(&j, cdx_json_get(&j, 0, "plain"), arena);
    CU_ASSERT(s.p > text && s.p < text + sizeof text);
    s = cdx_json_string(&j, cdx_json_get(&j, 0, "empty"), arena);
    CU_ASSERT(s.p != NULL && s.n == 0);
    s = cdx_json_string(&j, cdx_json_get(&j, 0, "esc"), arena);
    CU_ASSERT_TRUE(cdx_text_is(s, "\xE2\x82\xAC\n\xF0\x9F\x98\x80\xC3\xA9"
                                  "A")); /* RFC 3629 section 3 */
    CU_ASSERT_PTR_NULL(cdx_json_string(&j, cdx_json_get(&j, 0, "n"), arena).p);
    CU_ASSERT_PTR_NULL(cdx_json_string(&j, CDX_NO_NODE, arena).p);
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_scalar(&j, cdx_json_get(&j, 0, "n"), arena), "-1.0"));
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_scalar(&j, cdx_json_get(&j, 0, "t"), arena), "true"));
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_scalar(&j, cdx_json_get(&j, 0, "plain"), arena), "x"));
    CU_ASSERT_PTR_NULL(cdx_json_scalar(&j, cdx_json_get(&j, 0, "z"), arena).p);
    CU_ASSERT_PTR_NULL(cdx_json_scalar(&j, 0, arena).p);
    CU_ASSERT_PTR_NULL(cdx_json_scalar(&j, CDX_NO_NODE, arena).p);
}

static void names_are_compared_with_escapes_resolved(void)
{
    static const char text[] = "{\"\\u00e9\\ud83d\\ude00a\":1,\"ab\":2,\"a\":3,\"\":4}";
    struct cdx_json j;
    struct cdx_err err;
    int next = 0;

    CU_ASSERT_EQUAL_FATAL(parse(cdx_text_z(text), &j, &err), CDX_OK);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0,
                                 "\xC3\xA9\xF0\x9F\x98\x80"
                                 "a"),
                    1);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0, "\xC3\xA9\xF0\x9F\x98\x80"), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0, "\xC3"), CDX_NO_NODE);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0, "a"), 3);
    CU_ASSERT_EQUAL(cdx_json_get(&j, 0, ""), 4);
    CU_ASSERT_TRUE(cdx_json_name_starts(&j, 1, CDX_LIT("\xC3\xA9"), &next));
    CU_ASSERT_EQUAL(next, 0xF0);
    CU_ASSERT_TRUE(cdx_json_name_starts(&j, 2, CDX_LIT("a"), &next));
    CU_ASSERT_EQUAL(next, 'b');
    CU_ASSERT_TRUE(cdx_json_name_starts(&j, 3, CDX_LIT("a"), &next));
    CU_ASSERT_EQUAL(next, -1);
    CU_ASSERT_FALSE(cdx_json_name_starts(&j, 3, CDX_LIT("ab"), &next));
    CU_ASSERT_TRUE(cdx_json_name_starts(&j, 4, CDX_LIT(""), &next));
    CU_ASSERT_EQUAL(next, -1);
}

/* ---- bounds ---- */

/* core/limits.h CDX_MAX_JSON_DEPTH. */
static void depth_is_bounded(void)
{
    char text[2 * (CDX_MAX_JSON_DEPTH + 1)];

    for (size_t more = 0; more < 2; more++) {
        size_t depth = CDX_MAX_JSON_DEPTH + more;
        struct cdx_json j;
        struct cdx_err err;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CU_ASSERT_EQUAL(parse(cdx_text(text, 2 * depth), &j, &err), more != 0 ? CDX_INPUT : CDX_OK);
    }
}

/* core/limits.h CDX_MAX_JSON_NODES. */
static void the_number_of_values_is_bounded(void)
{
    char *text = malloc(2 * CDX_MAX_JSON_NODES + 2);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t more = 0; more < 2; more++) {
        size_t items = CDX_MAX_JSON_NODES - 1 + more, n = 0; /* the array is a value too */
        struct cdx_json j;
        struct cdx_err err;
        for (size_t i = 0; i < items; i++) {
            text[n++] = i == 0 ? '[' : ',';
            text[n++] = '0';
        }
        text[n++] = ']';
        CU_ASSERT_EQUAL(parse(cdx_text(text, n), &j, &err), more != 0 ? CDX_INPUT : CDX_OK);
        cdx_arena_reset(arena);
    }
    free(text);
}

/* core/limits.h CDX_MAX_RECORD_BYTES; a name may fill the record (key_n has 24 bits). */
static void the_size_is_bounded(void)
{
    char *text = malloc(CDX_MAX_RECORD_BYTES + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t more = 0; more < 2; more++) {
        size_t n = CDX_MAX_RECORD_BYTES + more;
        struct cdx_json j;
        struct cdx_err err;
        memset(text, 'x', n);
        memcpy(text, "{\"", 2);
        memcpy(text + n - 4, "\":0}", 4);
        CU_ASSERT_EQUAL(parse(cdx_text(text, n), &j, &err), more != 0 ? CDX_INPUT : CDX_OK);
        if (more == 0)
            CU_ASSERT_EQUAL(cdx_json_member(&j, 0, cdx_text(text + 2, n - 6)), 1);
        cdx_arena_reset(arena);
    }
    free(text);
}

/* An object of n members k0..., the last of them named `last`. */
static void build_object(struct cdx_buf *to, unsigned n, const char *last)
{
    cdx_buf_init(to, CDX_MAX_RECORD_BYTES);
    for (unsigned i = 0; i + 1 < n; i++)
        cdx_buf_printf(to, "%c\"k%u\":%u", i == 0 ? '{' : ',', i, i);
    cdx_buf_printf(to, ",\"%s\":0}", last);
    CU_ASSERT_FALSE(to->failed);
}

/* On both sides of the number at which the way of comparing changes, whatever it is. */
static void a_duplicate_is_found_in_an_object_of_any_size(void)
{
    static const char *const same[] = {"k0", "k3", "\\u006b1", "\\u006B\\u0034"};

    for (unsigned n = 6; n < 200; n++) {
        struct cdx_json j;
        struct cdx_err err;
        struct cdx_buf text;
        build_object(&text, n, "other");
        CU_ASSERT_EQUAL(parse(cdx_buf_text(&text), &j, &err), CDX_OK);
        cdx_buf_fini(&text);
        build_object(&text, n, same[n % CDX_COUNT(same)]);
        CU_ASSERT_EQUAL(parse(cdx_buf_text(&text), &j, &err), CDX_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "name"));
        cdx_buf_fini(&text);
    }
}

/*
 * Each name against each other one would be 5,000,000,000 comparisons: many seconds where these
 * take milliseconds.
 */
static void a_large_object_costs_no_square_of_its_size(void)
{
    static const struct {
        const char *last;
        enum cdx_code want;
    } rows[] = {{"other", CDX_OK}, {"k7", CDX_INPUT}};
    clock_t start = clock();

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_json j;
        struct cdx_err err;
        struct cdx_buf text;
        build_object(&text, 100000, rows[i].last);
        CU_ASSERT_EQUAL(parse(cdx_buf_text(&text), &j, &err), rows[i].want);
        cdx_buf_fini(&text);
    }
    CU_ASSERT((double)(clock() - start) / CLOCKS_PER_SEC < 3);
}

/* CPU time of 40,000 objects of 33 members with one of 300,000 before or behind them. */
static clock_t time_beside_large(bool before)
{
    struct cdx_arena *tight = cdx_arena_create(40u << 20, NULL);
    struct cdx_json j;
    struct cdx_buf text, large, one;
    clock_t start;

    cdx_buf_init(&text, CDX_MAX_RECORD_BYTES);
    build_object(&large, 300000, "other");
    build_object(&one, 33, "other");
    cdx_buf_add_text(&text, before ? CDX_LIT("[") : CDX_LIT("[0"));
    if (before)
        cdx_buf_add_text(&text, cdx_buf_text(&large));
    for (unsigned i = 0; i < 40000; i++) {
        cdx_buf_add_z(&text, ",");
        cdx_buf_add_text(&text, cdx_buf_text(&one));
    }
    if (!before) {
        cdx_buf_add_z(&text, ",");
        cdx_buf_add_text(&text, cdx_buf_text(&large));
    }
    cdx_buf_add_z(&text, "]");
    CU_ASSERT_FALSE(text.failed);
    start = clock();
    CU_ASSERT_EQUAL(cdx_json_parse(text.p, text.n, tight, &j, NULL), CDX_OK);
    start = clock() - start;
    cdx_buf_fini(&text);
    cdx_buf_fini(&large);
    cdx_buf_fini(&one);
    cdx_arena_destroy(tight);
    return start;
}

/*
 * A large object must not make each that follows it as dear as itself, neither in time (its table
 * of 4 MiB cleared for each is 20 times the whole) nor in memory (33 MiB of index and one table fit
 * the arena, a table for each does not).
 */
static void many_objects_behind_a_large_one_cost_what_they_cost_before_it(void)
{
    clock_t behind = time_beside_large(true), ahead = time_beside_large(false);

    CU_ASSERT(behind < 4 * ahead);
}

/* An arena of one block is left with less and less: each allocation fails in turn. */
static void starve(unsigned members)
{
    struct cdx_buf text;
    struct cdx_json j;
    enum cdx_code rc = CDX_NOMEM;
    size_t left = 0;

    build_object(&text, members, "\\u0061");
    while (rc == CDX_NOMEM && left < ARENA_BLOCK_BYTES) {
        struct cdx_arena *small = cdx_arena_create(ARENA_BLOCK_BYTES, NULL);
        struct cdx_err err = {0};
        CU_ASSERT_PTR_NOT_NULL_FATAL(small);
        CU_ASSERT_PTR_NOT_NULL(cdx_arena_alloc(small, ARENA_BLOCK_BYTES - left));
        rc = cdx_json_parse(text.p, text.n, small, &j, &err);
        CU_ASSERT_EQUAL(rc, err.code);
        cdx_arena_destroy(small);
        left += 16;
    }
    CU_ASSERT_EQUAL(rc, CDX_OK);
    CU_ASSERT(left > members * sizeof(struct cdx_json_node)); /* it did fail before */
    cdx_buf_fini(&text);
}

static void too_little_memory_at_any_place_is_nomem(void)
{
    starve(4);  /* the index, a name with escapes */
    starve(60); /* and a table of names */
}

static void a_string_without_memory_is_null(void)
{
    struct cdx_arena *none = cdx_arena_create(0, NULL);
    struct cdx_json j;
    struct cdx_err err;

    CU_ASSERT_EQUAL_FATAL(parse(CDX_LIT("\"\\n\""), &j, &err), CDX_OK);
    CU_ASSERT_PTR_NULL(cdx_json_string(&j, 0, none).p);
    CU_ASSERT_PTR_NULL(cdx_json_scalar(&j, 0, none).p);
    cdx_arena_destroy(none);
}

/* ---- beside jansson ---- */

static void agrees(struct cdx_text text, const char *name)
{
    const char *differs;

    cdx_arena_reset(arena);
    differs = oracle_differs(text.p, text.n, arena);
    CU_ASSERT_PTR_NULL(differs);
    if (differs != NULL)
        fprintf(stderr, "\n%s: the reader, unlike jansson: %s\n", name, differs);
}

static void the_tables_above_agree_with_jansson(void)
{
    for (size_t i = 0; i < CDX_COUNT(accepted); i++)
        agrees(accepted[i], "accepted");
    for (size_t i = 0; i < CDX_COUNT(refused); i++)
        agrees(refused[i].text, "refused");
}

static int files; /* that agree_on_file met */

static int agree_on_file(const char *path, const struct stat *st, int kind)
{
    struct fuzz_input in;

    (void)st;
    if (kind != FTW_F)
        return 0;
    in = fuzz_read(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(in.p);
    agrees(cdx_text((const char *)in.p, in.n), path);
    free(in.p);
    files++;
    return 0;
}

/* Realistic resources of seven types, a line each: the sample that the demo feeds. */
static void the_sample_feed_agrees_with_jansson(void)
{
    FILE *f = fopen("tests/demo/feed.ndjson", "r");
    char *line = NULL;
    size_t cap = 0, lines = 0;
    ssize_t n;

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while ((n = getline(&line, &cap, f)) > 0) {
        agrees(cdx_text(line, (size_t)n), "tests/demo/feed.ndjson");
        lines++;
    }
    CU_ASSERT(lines > 200);
    free(line);
    fclose(f);
}

static void the_case_files_agree_with_jansson(void)
{
    files = 0;
    CU_ASSERT_EQUAL(ftw("tests/cases/decode", agree_on_file, 8), 0);
    CU_ASSERT(files > 50);
}

static void mutations_of_a_resource_agree_with_jansson(void)
{
    static const char *const texts[] = {
        "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"meta\":{\"versionId\":\"3\"},\"status\":"
        "\"final\",\n"
        "  "
        "\"code\":{\"coding\":[{\"system\":\"http://"
        "loinc.org\",\"code\":\"2823-3\",\"display\":\"Kalium \\u00b5\"}]},\n"
        "  "
        "\"subject\":{\"reference\":\"Patient/"
        "p1\"},\"valueQuantity\":{\"value\":6.10,\"unit\":\"mmol/L\"},\n"
        "  \"note\":[{\"text\":\"na\xC3\xAFve \\ud83d\\ude00 \xE2\x82\xAC "
        "\\\"x\\\"\"}],\"component\":[]}",
        "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"active\":true,\"deceasedBoolean\":false,"
        "\"x\":null,"
        "\"extension\":[{\"url\":\"u\",\"valueDecimal\":-1.5E-3},{\"url\":\"u\",\"valueInteger\":-"
        "0}],\"\":{\"\\u0061\":[[],[{}],0]}}",
    };
    static unsigned char room[FUZZ_MAX_BYTES];
    struct fuzz_input seeds[CDX_COUNT(texts)], in = {room, 0};
    char name[32];

    for (size_t i = 0; i < CDX_COUNT(texts); i++)
        seeds[i] = (struct fuzz_input){(unsigned char *)(uintptr_t)texts[i], strlen(texts[i])};
    for (unsigned round = 0; round < 6000; round++) {
        uint64_t state = round;
        fuzz_mutate(&in, &seeds[round % 2], &seeds[(round + 1) % 2], &state);
        snprintf(name, sizeof name, "mutation %u", round);
        agrees(cdx_text((const char *)in.p, in.n), name);
    }
}

static CU_TestInfo tests[] = {
    {"what RFC 8259 allows is accepted", what_rfc_8259_allows_is_accepted},
    {"what it does not is refused at its byte", what_it_does_not_is_refused_at_its_byte},
    {"any byte at any place of a string is judged alike",
     any_byte_at_any_place_of_a_string_is_judged_alike},
    {"every truncation is refused", every_truncation_is_refused},
    {"an index leads to every value", an_index_leads_to_every_value},
    {"a string is a view unless it has escapes", a_string_is_a_view_unless_it_has_escapes},
    {"names are compared with escapes resolved", names_are_compared_with_escapes_resolved},
    {"depth is bounded", depth_is_bounded},
    {"the number of values is bounded", the_number_of_values_is_bounded},
    {"the size is bounded", the_size_is_bounded},
    {"a duplicate is found in an object of any size",
     a_duplicate_is_found_in_an_object_of_any_size},
    {"a large object costs no square of its size", a_large_object_costs_no_square_of_its_size},
    {"many objects behind a large one cost what they cost before it",
     many_objects_behind_a_large_one_cost_what_they_cost_before_it},
    {"too little memory at any place is NOMEM", too_little_memory_at_any_place_is_nomem},
    {"a string without memory is NULL", a_string_without_memory_is_null},
    {"the tables above agree with jansson", the_tables_above_agree_with_jansson},
    {"the case files agree with jansson", the_case_files_agree_with_jansson},
    {"the sample feed agrees with jansson", the_sample_feed_agrees_with_jansson},
    {"mutations of a resource agree with jansson", mutations_of_a_resource_agree_with_jansson},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_fhir_json = {
    .pName = "fhir/json", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests};
