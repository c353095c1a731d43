/*
 * fhir/view -- FHIR R4 references.html 2.3.0 (literal references), datatypes.html id, json.html
 * (arrays, choices).
 */
#include <CUnit/CUnit.h>

#include "core/arena.h"
#include "core/buf.h"
#include "fhir/view.h"

/* ---- references ---- */

static const struct {
    const char *text;
    int kind;
    const char *base, *type, *id, *version;
} references[] = {
    {"Patient/123", CDX_REF_RELATIVE, "", "Patient", "123", ""},
    {"Patient/123/_history/4", CDX_REF_RELATIVE, "", "Patient", "123", "4"},
    {"MedicationOrder/a.b-C", CDX_REF_RELATIVE, "", "MedicationOrder", "a.b-C", ""},
    {"https://h.example.org/fhir/Patient/123", CDX_REF_ABSOLUTE, "https://h.example.org/fhir",
     "Patient", "123", ""},
    {"http://h.example.org/Patient/1/_history/2", CDX_REF_ABSOLUTE, "http://h.example.org",
     "Patient", "1", "2"},
    {"HTTPS://h.example.org:8443/a/b/Group/g", CDX_REF_ABSOLUTE, "HTTPS://h.example.org:8443/a/b",
     "Group", "g", ""},
    {"http://h.example.org/fhir/Patient?identifier=1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"http://h.example.org/x?y=/Patient/1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"http://h.example.org/x#/Patient/1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"http://h.example.org/patient/1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"http://Patient/1", CDX_REF_ABSOLUTE, "", "", "", ""}, /* Patient is the host */
    {"http:///Patient/1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"mailto:a@example.org", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"ftp://h.example.org/Patient/1", CDX_REF_ABSOLUTE, "", "", "", ""},
    {"urn:uuid:1d0e0c1c-52a1-4b7b-8a5e-000000000001", CDX_REF_URN, "", "", "", ""},
    {"URN:oid:1.2.3", CDX_REF_URN, "", "", "", ""}, /* RFC 3986 3.1: schemes have no case */
    {"#med1", CDX_REF_CONTAINED, "", "", "", ""},
    {"#", CDX_REF_CONTAINED, "", "", "", ""},
    {"Patient?identifier=m|1", CDX_REF_CONDITIONAL, "", "Patient", "", ""},
    {"Patient?", CDX_REF_NONE, "", "", "", ""},
    {"?x=1", CDX_REF_NONE, "", "", "", ""},
    {"", CDX_REF_NONE, "", "", "", ""},
    {"Patient", CDX_REF_NONE, "", "", "", ""},
    {"Patient/", CDX_REF_NONE, "", "", "", ""},
    {"/Patient/1", CDX_REF_NONE, "", "", "", ""},
    {"Patient/1/", CDX_REF_NONE, "", "", "", ""},
    {"fhir/Patient/1", CDX_REF_NONE, "", "", "", ""},
    {"patient/1", CDX_REF_NONE, "", "", "", ""},
    {"Patient/a b", CDX_REF_NONE, "", "", "", ""},
    {"Patient/1/_history/", CDX_REF_NONE, "", "", "", ""},
    {"Patient/1/_history/a_b", CDX_REF_NONE, "", "", "", ""},
    {"_history/2", CDX_REF_NONE, "", "", "", ""},
    {"Patient/_history/2", CDX_REF_NONE, "", "", "", ""},
};

static void references_are_split_as_they_are_written(void)
{
    for (size_t i = 0; i < CDX_COUNT(references); i++) {
        struct cdx_reference ref;
        bool same;
        cdx_reference_split(cdx_text_z(references[i].text), &ref);
        same = (int)ref.kind == references[i].kind && cdx_text_is(ref.base, references[i].base) &&
               cdx_text_is(ref.type, references[i].type) && cdx_text_is(ref.id, references[i].id) &&
               cdx_text_is(ref.version, references[i].version);
        CU_ASSERT_TRUE(same);
        if (!same)
            fprintf(stderr, "\n%s: kind %d\n", references[i].text, ref.kind);
    }
}

/* The text of a reference ends where its length says: no NUL is read behind it. */
static void a_reference_ends_at_its_length(void)
{
    struct cdx_reference ref;

    cdx_reference_split(cdx_text("Patient/1234", 9), &ref);
    CU_ASSERT_TRUE(cdx_text_is(ref.id, "1"));
    cdx_reference_split(cdx_text(NULL, 0), &ref);
    CU_ASSERT_EQUAL(ref.kind, CDX_REF_NONE);
}

static void ids_are_1_to_64_of_their_alphabet(void)
{
    static const char longest[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.X";

    CU_ASSERT_TRUE(cdx_id_valid(cdx_text(longest, 64)));
    CU_ASSERT_FALSE(cdx_id_valid(cdx_text(longest, 65)));
    CU_ASSERT_FALSE(cdx_id_valid(cdx_text(NULL, 0)));
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool allowed = c != 0 && c < 128 && strchr(longest, c) != NULL;
        CU_ASSERT_EQUAL(cdx_id_valid(cdx_text(&one, 1)), allowed);
    }
}

static void type_names_begin_with_a_capital_letter(void)
{
    CU_ASSERT_TRUE(cdx_type_name_valid(CDX_LIT("Patient")));
    CU_ASSERT_TRUE(cdx_type_name_valid(CDX_LIT("X1")));
    CU_ASSERT_FALSE(cdx_type_name_valid(CDX_LIT("patient")));
    CU_ASSERT_FALSE(cdx_type_name_valid(CDX_LIT("Pat-ient")));
    CU_ASSERT_FALSE(cdx_type_name_valid(CDX_LIT("1Patient")));
    CU_ASSERT_FALSE(cdx_type_name_valid(CDX_LIT("")));
}

/* ---- paths ---- */

static struct cdx_arena *arena;

static void set_up(void)
{
    arena = cdx_arena_create(1 << 20, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
}

static void tear_down(void)
{
    cdx_arena_destroy(arena);
    arena = NULL;
}

struct seen {
    const struct cdx_json *j;
    struct cdx_buf text; /* each value's bytes and a space */
    unsigned left;       /* values until it stops */
};

static bool note(void *arg, cdx_node value)
{
    struct seen *s = arg;

    cdx_buf_add_text(&s->text, cdx_json_raw(s->j, value));
    cdx_buf_add(&s->text, " ", 1);
    return --s->left != 0;
}

/*
 * What `path` reaches in `json`, stopping after `most` values, is `want`, and the walk returns
 * `whole`.
 */
static bool reaches(const char *json, const char *path, unsigned most, const char *want, bool whole)
{
    struct cdx_json j;
    struct seen s = {.j = &j, .left = most};
    bool ok;

    if (cdx_json_parse(json, strlen(json), arena, &j, NULL) != CDX_OK)
        return false;
    cdx_buf_init(&s.text, 4096);
    ok = cdx_path_walk(&j, 0, cdx_text_z(path), note, &s) == whole;
    ok = ok && cdx_text_is(cdx_buf_text(&s.text), want);
    cdx_buf_fini(&s.text);
    return ok;
}

static void a_path_flattens_arrays_on_its_way_and_at_its_end(void)
{
    static const char json[] = "{\"code\":{\"coding\":[{\"code\":\"a\"},{\"x\":1},{\"code\":\"b\"}]"
                               "},\"n\":[1,[2,3],[]],\"e\":{}}";

    CU_ASSERT_TRUE(reaches(json, "code.coding.code", 99, "\"a\" \"b\" ", true));
    CU_ASSERT_TRUE(reaches(json, "n", 99, "1 2 3 ", true));
    CU_ASSERT_TRUE(reaches(json, "e", 99, "{} ", true));
    CU_ASSERT_TRUE(reaches(json, "code.coding.code.deeper", 99, "", true));
    CU_ASSERT_TRUE(reaches(json, "none", 99, "", true));
    CU_ASSERT_TRUE(reaches(json, "e.none", 99, "", true));
    CU_ASSERT_TRUE(reaches("7", "", 99, "7 ", true));
    CU_ASSERT_TRUE(reaches("7", "a", 99, "", true));
    CU_ASSERT_TRUE(reaches("[{\"a\":1},{\"a\":null}]", "a", 99, "1 null ", true));
}

static void a_choice_step_meets_every_type(void)
{
    static const char json[] =
        "{\"value\":0,\"valueQuantity\":{\"value\":1},\"valueString\":\"s\",\"valueset\":2,"
        "\"value\\u0053\\u0063\":3,\"valu\":4,\"v\\u0061lueCode\":5,\"_valueString\":6}";

    /* FHIR R4 formats.html#choice: value[x] is value and the capitalised type */
    CU_ASSERT_TRUE(reaches(json, "value[x]", 99, "{\"value\":1} \"s\" 3 5 ", true));
    CU_ASSERT_TRUE(reaches(json, "value[x].value", 99, "1 ", true));
    CU_ASSERT_TRUE(reaches(json, "value", 99, "0 ", true));
}

static void a_walk_stops_when_it_is_told_to(void)
{
    CU_ASSERT_TRUE(reaches("{\"a\":[{\"b\":1},{\"b\":2},{\"b\":3}]}", "a.b", 2, "1 2 ", false));
    CU_ASSERT_TRUE(reaches("{\"aX\":1,\"aY\":2}", "a[x]", 1, "1 ", false));
}

static void a_walk_from_nothing_reaches_nothing(void)
{
    struct cdx_json j;
    struct seen s = {.j = &j, .left = 99};

    CU_ASSERT_EQUAL_FATAL(cdx_json_parse("{}", 2, arena, &j, NULL), CDX_OK);
    cdx_buf_init(&s.text, 64);
    CU_ASSERT_TRUE(cdx_path_walk(&j, CDX_NO_NODE, CDX_LIT(""), note, &s));
    CU_ASSERT_EQUAL(s.text.n, 0);
    cdx_buf_fini(&s.text);
}

static CU_TestInfo tests[] = {
    {"references are split as they are written", references_are_split_as_they_are_written},
    {"a reference ends at its length", a_reference_ends_at_its_length},
    {"ids are 1 to 64 of their alphabet", ids_are_1_to_64_of_their_alphabet},
    {"type names begin with a capital letter", type_names_begin_with_a_capital_letter},
    {"a path flattens arrays on its way and at its end",
     a_path_flattens_arrays_on_its_way_and_at_its_end},
    {"a choice step meets every type", a_choice_step_meets_every_type},
    {"a walk stops when it is told to", a_walk_stops_when_it_is_told_to},
    {"a walk from nothing reaches nothing", a_walk_from_nothing_reaches_nothing},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_fhir_view = {
    .pName = "fhir/view", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests};
