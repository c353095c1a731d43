/*
 * decode/decode -- the folders of tests/cases/decode, and what a folder cannot say: headers, times,
 * bounds, memory.
 *
 * A folder holds `input.json` (the value; a tombstone has none), `key`, `format` (default fhir) and
 * `expect`: one line a change ("upsert Patient/p1 2"), then one a urn ("urn urn:uuid:...
 * Patient/p1"), or "error <part of its text>"; lines with # name the rule. Every folder is also run
 * with too little memory at each place.
 */
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/limits.h"
#include "decode/decode.h"
#include "model/change.h"
#include "model/record.h"

#define CASES "tests/cases/decode"
#define MAX_FILE_BYTES 65536
#define ARENA_BLOCK_BYTES 65536 /* of core/arena.c: what one block of it holds */

static const struct cdx_text base = {"https://ehr.example.org/fhir", 28};

static const char *const words[] = {[CDX_UPSERT] = "upsert",
                                    [CDX_CREATE] = "create",
                                    [CDX_UPDATE] = "update",
                                    [CDX_DELETE] = "delete"};

/* ---- folders ---- */

struct folder {
    struct cdx_text value, key, format, expect; /* owned; p NULL: no such file */
};

static struct cdx_text read_file(const char *name, const char *file)
{
    char path[512];
    char *p;
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, CASES "/%s/%s", name, file);
    f = fopen(path, "rb");
    if (f == NULL)
        return cdx_text(NULL, 0);
    p = malloc(MAX_FILE_BYTES);
    n = p != NULL ? fread(p, 1, MAX_FILE_BYTES, f) : 0;
    fclose(f);
    return cdx_text(p, n);
}

static void read_folder(const char *name, struct folder *in)
{
    in->value = read_file(name, "input.json");
    in->key = read_file(name, "key");
    in->format = read_file(name, "format");
    in->expect = read_file(name, "expect");
}

static void free_folder(struct folder *in)
{
    free((char *)in->value.p);
    free((char *)in->key.p);
    free((char *)in->format.p);
    free((char *)in->expect.p);
}

static int is_folder(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* Calls `each` for every folder; returns how many there are. */
static int each_folder(void (*each)(const char *name, const struct folder *in))
{
    struct dirent **found;
    int n = scandir(CASES, &found, is_folder, alphasort);

    for (int i = 0; i < n; i++) {
        struct folder in;
        read_folder(found[i]->d_name, &in);
        each(found[i]->d_name, &in);
        free_folder(&in);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    return n;
}

static enum cdx_code decode_folder(const struct folder *in, struct cdx_arena *arena,
                                   struct cdx_changes *out, struct cdx_err *err)
{
    const struct cdx_record rec = {.key = in->key, .value = in->value, .timestamp_ms = 7};
    struct cdx_text format =
        in->format.p != NULL ? cdx_text(in->format.p, in->format.n - 1) : CDX_LIT("fhir");

    return cdx_decode(format, &rec, base, arena, out, err);
}

/* The changes in the words of `expect`. */
static void print_changes(const struct cdx_changes *changes, struct cdx_buf *to)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct cdx_change *c = &changes->items[i];
        cdx_buf_printf(to, "%s %.*s/%.*s%s%.*s\n", words[c->interaction], CDX_TEXT(c->type),
                       CDX_TEXT(c->id), c->version.n != 0 ? " " : "", CDX_TEXT(c->version));
    }
    for (size_t i = 0; changes->n != 0 && i < changes->items[0].urns_n; i++)
        cdx_buf_printf(to, "urn %.*s %.*s\n", CDX_TEXT(changes->items[0].urns[i].urn),
                       CDX_TEXT(changes->items[0].urns[i].reference));
}

/* `expect` without the lines that name rules. */
static void strip_rules(struct cdx_text expect, struct cdx_buf *to)
{
    while (expect.n != 0) {
        const char *nl = memchr(expect.p, '\n', expect.n);
        size_t n = nl != NULL ? (size_t)(nl - expect.p) + 1 : expect.n;
        if (expect.p[0] != '#')
            cdx_buf_add(to, expect.p, n);
        expect = cdx_text(expect.p + n, expect.n - n);
    }
}

static bool as_expected(enum cdx_code rc, struct cdx_text want, struct cdx_text got,
                        const struct cdx_err *err)
{
    const struct cdx_text head = CDX_LIT("error ");

    if (!cdx_text_starts(want, head))
        return rc == CDX_OK && cdx_text_eq(want, got);
    return rc == CDX_INPUT && want.n > head.n + 1 &&
           memmem(err->text, strlen(err->text), want.p + head.n, want.n - head.n - 1) != NULL;
}

static void check_folder(const char *name, const struct folder *in)
{
    struct cdx_arena *arena = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL);
    struct cdx_changes changes;
    struct cdx_err err = {0};
    struct cdx_buf want, got;
    enum cdx_code rc = decode_folder(in, arena, &changes, &err);
    bool same;

    cdx_buf_init(&want, MAX_FILE_BYTES);
    cdx_buf_init(&got, MAX_FILE_BYTES);
    CU_ASSERT_PTR_NOT_NULL(in->expect.p);
    strip_rules(in->expect, &want);
    if (rc == CDX_OK)
        print_changes(&changes, &got);
    same = as_expected(rc, cdx_buf_text(&want), cdx_buf_text(&got), &err);
    CU_ASSERT_TRUE(same);
    if (!same)
        fprintf(stderr, "\n" CASES "/%s: got (%d %s)\n%.*s", name, rc, err.text,
                CDX_TEXT(cdx_buf_text(&got)));
    cdx_buf_fini(&want);
    cdx_buf_fini(&got);
    cdx_arena_destroy(arena);
}

static void every_folder_decodes_as_it_expects(void)
{
    CU_ASSERT(each_folder(check_folder) > 50);
}

/* An arena of one block with only `left` bytes of it to take. */
static struct cdx_arena *small_arena(size_t left)
{
    struct cdx_arena *arena = cdx_arena_create(ARENA_BLOCK_BYTES, NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    CU_ASSERT_PTR_NOT_NULL(cdx_arena_alloc(arena, ARENA_BLOCK_BYTES - left));
    return arena;
}

static void starve_folder(const char *name, const struct folder *in)
{
    struct cdx_arena *plenty = cdx_arena_create(CDX_MAX_ARENA_BYTES, NULL);
    struct cdx_changes changes;
    enum cdx_code rc = CDX_NOMEM, want = decode_folder(in, plenty, &changes, NULL);
    size_t left;

    for (left = 0; left < ARENA_BLOCK_BYTES && rc == CDX_NOMEM; left += 16) {
        struct cdx_arena *arena = small_arena(left);
        struct cdx_err err = {0};
        rc = decode_folder(in, arena, &changes, &err);
        CU_ASSERT_EQUAL(rc, err.code);
        cdx_arena_destroy(arena);
    }
    CU_ASSERT_EQUAL(rc, want); /* the first that is not NOMEM has all that it needs */
    if (rc != want)
        fprintf(stderr, "\n" CASES "/%s: with %zu bytes: %d\n", name, left, rc);
    cdx_arena_destroy(plenty);
}

/* decode.h: a record is wholly in the log or wholly not, so a half-read one may not pass for whole. */
static void too_little_memory_at_any_place_is_nomem(void)
{
    each_folder(starve_folder);
}

/* ---- what a folder cannot say ---- */

static struct cdx_arena *arena; /* of the test that runs */

static enum cdx_code decode_z(const char *format, const char *value, struct cdx_changes *out,
                              struct cdx_err *err)
{
    const struct cdx_record rec = {.value = cdx_text_z(value), .timestamp_ms = 7};

    return cdx_decode(cdx_text_z(format), &rec, base, arena, out, err);
}

static void only_the_words_of_the_table_are_formats(void)
{
    struct cdx_changes out;
    struct cdx_err err = {0};

    CU_ASSERT_TRUE(cdx_decode_knows(CDX_LIT("fhir")));
    CU_ASSERT_TRUE(cdx_decode_knows(CDX_LIT("auto")));
    CU_ASSERT_FALSE(cdx_decode_knows(CDX_LIT("FHIR")));
    CU_ASSERT_FALSE(cdx_decode_knows(CDX_LIT("")));
    CU_ASSERT_EQUAL(decode_z("csv", "{}", &out, &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "csv"));
}

/* model/change.h: event_ms is lastUpdated where it can be read, else the record's timestamp. */
static void event_time_is_last_updated_or_the_records(void)
{
    struct cdx_changes out;

    CU_ASSERT_EQUAL_FATAL(
        decode_z("fhir",
                 "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"meta\":{\"lastUpdated\":"
                 "\"1970-01-01T00:00:01.500Z\"}}",
                 &out, NULL),
        CDX_OK);
    CU_ASSERT_EQUAL(out.items[0].event_ms, 1500);
    CU_ASSERT_TRUE(cdx_text_is(out.items[0].updated, "1970-01-01T00:00:01.500Z"));
    CU_ASSERT_EQUAL_FATAL(
        decode_z("fhir",
                 "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"meta\":{\"lastUpdated\":"
                 "\"yesterday\"}}",
                 &out, NULL),
        CDX_OK);
    CU_ASSERT_EQUAL(out.items[0].event_ms, 7);
    CU_ASSERT_TRUE(cdx_text_is(out.items[0].updated, "yesterday"));
    CU_ASSERT_EQUAL_FATAL(
        decode_z("fhir", "{\"resourceType\":\"Patient\",\"id\":\"p1\"}", &out, NULL), CDX_OK);
    CU_ASSERT_EQUAL(out.items[0].event_ms, 7);
    CU_ASSERT_EQUAL(out.items[0].updated.n, 0);
}

/* design section 9: what is sent is spliced from the bytes that came. */
static void a_change_holds_its_resources_own_bytes(void)
{
    static const char value[] =
        "{\"resourceType\":\"Bundle\",\"type\":\"history\",\"entry\":["
        "{\"request\":{\"method\":\"DELETE\",\"url\":\"Patient/p2\"}},"
        "{\"resource\": {\"resourceType\":\"Patient\", \"id\":\"p1\", \"x\":1.50} ,"
        "\"request\":{\"method\":\"POST\",\"url\":\"Patient\"}}]}";
    struct cdx_changes out;

    CU_ASSERT_EQUAL_FATAL(decode_z("fhir", value, &out, NULL), CDX_OK);
    CU_ASSERT_EQUAL_FATAL(out.n, 2);
    CU_ASSERT_TRUE(cdx_text_is(cdx_json_raw(out.items[0].json, out.items[0].root),
                               "{\"resourceType\":\"Patient\", \"id\":\"p1\", \"x\":1.50}"));
    CU_ASSERT_EQUAL(out.items[0].index, 1); /* the entry that it was, though it happened first */
    CU_ASSERT_EQUAL(out.items[1].index, 0);
    CU_ASSERT_PTR_NULL(out.items[1].json);
    CU_ASSERT_TRUE(cdx_text_eq(out.items[0].base, base) && cdx_text_eq(out.items[1].base, base));
}

/* events.md 2 steps 2 to 4: headers come before the value. */
static void cloud_events_and_schema_ids_are_seen_in_headers(void)
{
    static const struct {
        struct cdx_header header;
        const char *value, *says; /* says NULL: decoded */
    } rows[] = {
        {{{"content-type", 12}, {"Application/CloudEvents+json; charset=UTF-8", 43}},
         "{\"id\":\"1\"}",
         "structured"},
        {{{"ce_specversion", 14}, {"1.0", 3}},
         "{\"resourceType\":\"Patient\",\"id\":\"p1\"}",
         "binary"},
        {{{"content-type", 12}, {"application/fhir+json", 21}},
         "{\"resourceType\":\"Patient\",\"id\":\"p1\"}",
         NULL},
        {{{"content-type", 12}, {NULL, 0}}, "{\"resourceType\":\"Patient\",\"id\":\"p1\"}", NULL},
        {{{"__value_schema_id", 17}, {"\0\0\0\0\1", 5}},
         "{\"resourceType\":\"Patient\",\"id\":\"p1\"}",
         NULL},
        {{{"__value_schema_id", 17}, {"\0\0\0\0\1", 5}}, "\x04p1", "schema id in its header"},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        const struct cdx_record rec = {
            .value = cdx_text_z(rows[i].value), .headers = &rows[i].header, .headers_n = 1};
        struct cdx_changes out;
        struct cdx_err err = {0};
        enum cdx_code rc = cdx_decode(CDX_LIT("auto"), &rec, base, arena, &out, &err);
        CU_ASSERT_EQUAL(rc, rows[i].says != NULL ? CDX_INPUT : CDX_OK);
        CU_ASSERT_TRUE(rows[i].says == NULL || strstr(err.text, rows[i].says) != NULL);
        /* a stated format skips detection */
        rc = cdx_decode(CDX_LIT("fhir"), &rec, base, arena, &out, NULL);
        CU_ASSERT_EQUAL(rc, strstr(rows[i].value, "Patient") != NULL ? CDX_OK : CDX_INPUT);
    }
}

/* core/err.h: never a patient's data. Every row has the word where its content stands. */
static void an_error_holds_nothing_of_the_record(void)
{
    static const char *const values[] = {
        "{\"resourceType\":\"Zebedee\",\"id\":\"Zebedee Zebedee\"}",
        "{\"resourceType\":\"Zebedee Zebedee\",\"id\":\"Zebedee\"}",
        "{\"resourceType\":\"Zebedee\",\"id\":\"Zebedee\",\"meta\":{\"versionId\":\"Zebedee "
        "Zebedee\"}}",
        "{\"Zebedee\":1,\"Zebedee\":2}",
        "{\"Zebedee\":Zebedee}",
        "{\"resourceType\":\"Bundle\",\"type\":\"Zebedee\"}",
        "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":"
        "\"Zebedee\",\"url\":\"Zebedee\"}}]}",
        "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":"
        "\"DELETE\",\"url\":\"Zebedee\"}}]}",
        "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{"
        "\"resourceType\":\"Zebedee\",\"id\":\"Zebedee\"},"
        "\"request\":{\"method\":\"PUT\",\"url\":\"Zebedee/1\"}}]}",
        "Zebedee",
    };
    static const char *const formats[] = {"fhir", "auto"};

    for (size_t i = 0; i < CDX_COUNT(values) * CDX_COUNT(formats); i++) {
        struct cdx_changes out;
        struct cdx_err err = {0};
        CU_ASSERT_EQUAL(decode_z(formats[i % 2], values[i / 2], &out, &err), CDX_INPUT);
        CU_ASSERT_PTR_NULL(strstr(err.text, "Zebedee"));
    }
    for (size_t i = 0; i < CDX_COUNT(formats); i++) {
        const struct cdx_record rec = {.key = CDX_LIT("Zebedee")};
        struct cdx_changes out;
        struct cdx_err err = {0};
        CU_ASSERT_EQUAL(cdx_decode(cdx_text_z(formats[i]), &rec, base, arena, &out, &err),
                        CDX_INPUT);
        CU_ASSERT_PTR_NULL(strstr(err.text, "Zebedee"));
    }
}

/* A collection of n Patients. */
static void build_collection(struct cdx_buf *to, unsigned n)
{
    cdx_buf_init(to, CDX_MAX_RECORD_BYTES);
    cdx_buf_add_z(to, "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[");
    for (unsigned i = 0; i < n; i++)
        cdx_buf_printf(to,
                       "%s{\"fullUrl\":\"urn:x:%u\",\"resource\":{\"resourceType\":\"Patient\","
                       "\"id\":\"%u\"}}",
                       i != 0 ? "," : "", i, i);
    cdx_buf_add_z(to, "]}");
    CU_ASSERT_FALSE(to->failed);
}

/* core/limits.h CDX_MAX_BUNDLE_ENTRIES. */
static void entries_are_bounded(void)
{
    for (unsigned more = 0; more < 2; more++) {
        struct cdx_buf value;
        struct cdx_changes out;
        struct cdx_record rec = {0};
        struct cdx_err err = {0};
        build_collection(&value, CDX_MAX_BUNDLE_ENTRIES + more);
        rec.value = cdx_buf_text(&value);
        CU_ASSERT_EQUAL(cdx_decode(CDX_LIT("fhir"), &rec, base, arena, &out, &err),
                        more ? CDX_INPUT : CDX_OK);
        if (more == 0) {
            CU_ASSERT_EQUAL(out.n, CDX_MAX_BUNDLE_ENTRIES);
            CU_ASSERT_EQUAL(out.items[out.n - 1].index, CDX_MAX_BUNDLE_ENTRIES - 1);
            CU_ASSERT_EQUAL(out.items[0].urns_n, CDX_MAX_BUNDLE_ENTRIES);
        }
        cdx_buf_fini(&value);
        cdx_arena_reset(arena);
    }
}

/* decode.h: out is written on CDX_OK only. */
static void a_failure_leaves_out_as_it_was(void)
{
    struct cdx_changes out = {NULL, 42};

    CU_ASSERT_EQUAL(
        decode_z("fhir",
                 "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":"
                 "{\"resourceType\":\"Patient\",\"id\":\"p1\"}},{}]}",
                 &out, NULL),
        CDX_INPUT);
    CU_ASSERT_EQUAL(out.n, 42);
}

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

static CU_TestInfo tests[] = {
    {"every folder decodes as it expects", every_folder_decodes_as_it_expects},
    {"too little memory at any place is NOMEM", too_little_memory_at_any_place_is_nomem},
    {"only the words of the table are formats", only_the_words_of_the_table_are_formats},
    {"event time is lastUpdated or the record's", event_time_is_last_updated_or_the_records},
    {"a change holds its resource's own bytes", a_change_holds_its_resources_own_bytes},
    {"CloudEvents and schema ids are seen in headers",
     cloud_events_and_schema_ids_are_seen_in_headers},
    {"an error holds nothing of the record", an_error_holds_nothing_of_the_record},
    {"entries are bounded", entries_are_bounded},
    {"a failure leaves out as it was", a_failure_leaves_out_as_it_was},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_decode_decode = {
    .pName = "decode/decode", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests};
