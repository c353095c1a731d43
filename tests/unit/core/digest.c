/* Names made of content: the vectors of the standards that define them. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/digest.h"

/* RFC 9562 6.6, table of namespaces. */
static const struct cdx_uuid dns = {{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4,
                                     0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

static void uuid5_gives_the_standards_example(void)
{
    struct cdx_uuid u;
    char text[CDX_UUID_BYTES];

    /* RFC 9562 appendix A.4 */
    CU_ASSERT_EQUAL(cdx_uuid5(&dns, CDX_LIT("www.example.com"), &u, NULL), CDX_OK);
    CU_ASSERT_STRING_EQUAL(cdx_uuid_text(&u, text), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void the_url_namespace_is_the_standards(void)
{
    char text[CDX_UUID_BYTES];

    CU_ASSERT_STRING_EQUAL(cdx_uuid_text(&cdx_uuid_url, text),
                           "6ba7b811-9dad-11d1-80b4-00c04fd430c8"); /* RFC 9562 6.6 */
}

/* Names on both sides of the one-shot buffer. python3: uuid.uuid5(uuid.NAMESPACE_DNS, "n" * length) */
static void long_names_have_another_implementations_uuid(void)
{
    static const struct {
        size_t n;
        const char *text;
    } cases[] = {
        {0, "4ebd0208-8328-5d69-8c44-ec50939c0967"},
        {495, "410f9c37-1cf1-53fa-b458-ef6d77a1a803"},
        {496, "60d85315-51c6-561f-91cc-c0afe5eddc0f"},
        {497, "a64cae93-bdbe-50d4-83f6-b9fd62fff10d"},
        {2000, "596c1193-8165-53f2-8e4d-8d535bb9e3c7"},
    };
    static char name[2000];

    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < CDX_COUNT(cases); i++) {
        struct cdx_uuid u;
        char text[CDX_UUID_BYTES];
        CU_ASSERT_EQUAL(cdx_uuid5(&dns, cdx_text(name, cases[i].n), &u, NULL), CDX_OK);
        CU_ASSERT_STRING_EQUAL(cdx_uuid_text(&u, text), cases[i].text);
    }
}

/* RFC 4648 section 10: BASE32("fooba") = MZXW6YTB, BASE32("f") = MY======; three groups of the first, one of the second. */
static void webhook_ids_are_base32(void)
{
    struct cdx_uuid u;
    char out[CDX_WEBHOOK_ID_BYTES];

    memcpy(u.b, "foobafoobafoobaf", 16);
    CU_ASSERT_STRING_EQUAL(cdx_webhook_id(&u, out), "msg_MZXW6YTBMZXW6YTBMZXW6YTBMY");
    memset(u.b, 0xff, 16);
    CU_ASSERT_STRING_EQUAL(cdx_webhook_id(&u, out),
                           "msg_77777777777777777777777774"); /* table 3: 31 is '7', 28 is '4' */
    memset(u.b, 0, 16);
    CU_ASSERT_STRING_EQUAL(cdx_webhook_id(&u, out), "msg_AAAAAAAAAAAAAAAAAAAAAAAAAA");
}

/* FIPS 180-4, NIST's example values. */
static void sha256_gives_the_standards_examples(void)
{
    char out[65];

    CU_ASSERT_EQUAL(cdx_sha256_hex("abc", 3, out, NULL), CDX_OK);
    CU_ASSERT_STRING_EQUAL(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CU_ASSERT_EQUAL(cdx_sha256_hex(NULL, 0, out, NULL), CDX_OK);
    CU_ASSERT_STRING_EQUAL(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CU_ASSERT_EQUAL(
        cdx_sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out, NULL),
        CDX_OK);
    CU_ASSERT_STRING_EQUAL(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* Kafka: clients UtilsTest.testMurmur2; Utils.toPositive is `& 0x7fffffff`. */
static const struct {
    const char *key;
    int32_t murmur2;
} vectors[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
};

static void partitions_are_kafkas(void)
{
    static const int32_t counts[] = {1, 2, 3, 12, 50, 1000, INT32_MAX};

    for (size_t i = 0; i < CDX_COUNT(vectors); i++)
        for (size_t c = 0; c < CDX_COUNT(counts); c++)
            CU_ASSERT_EQUAL(cdx_partition_of(cdx_text_z(vectors[i].key), counts[c]),
                            (vectors[i].murmur2 & 0x7fffffff) % counts[c]);
}

static void the_empty_key_has_a_partition(void)
{
    int32_t p = cdx_partition_of(cdx_text(NULL, 0), 12);

    CU_ASSERT(p >= 0 && p < 12);
}

static void hashes_depend_on_bytes_length_and_seed(void)
{
    CU_ASSERT_EQUAL(cdx_hash("abcd", 3, 1), cdx_hash("abcx", 3, 1));
    CU_ASSERT_NOT_EQUAL(cdx_hash("abc", 3, 1), cdx_hash("abd", 3, 1));
    CU_ASSERT_NOT_EQUAL(cdx_hash("abc", 3, 1), cdx_hash("abc", 3, 2));
    CU_ASSERT_NOT_EQUAL(cdx_hash("\0\0", 1, 1), cdx_hash("\0\0", 2, 1));
    CU_ASSERT_EQUAL(cdx_hash(NULL, 0, 1), cdx_hash("", 0, 1));
}

static CU_TestInfo tests[] = {
    {"UUIDv5 gives the standard's example", uuid5_gives_the_standards_example},
    {"the URL namespace is the standard's", the_url_namespace_is_the_standards},
    {"long names have another implementation's UUID", long_names_have_another_implementations_uuid},
    {"webhook ids are base32", webhook_ids_are_base32},
    {"SHA-256 gives the standard's examples", sha256_gives_the_standards_examples},
    {"partitions are Kafka's", partitions_are_kafkas},
    {"the empty key has a partition", the_empty_key_has_a_partition},
    {"hashes depend on bytes, length and seed", hashes_depend_on_bytes_length_and_seed},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_digest = {.pName = "core/digest", .pTests = tests};
