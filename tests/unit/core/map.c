/* A map under random puts and takes holds what a plain array would hold. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/map.h"

#define KEYS 600
#define STEPS 60000

static char names[KEYS][32];
static int values[KEYS][2];

static struct cdx_text key_of(size_t i)
{
    snprintf(names[i], sizeof names[i], "key-%zu", i);
    return cdx_text_z(names[i]);
}

/* xorshift32: the same steps at every run. */
static uint32_t next(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

static size_t walked(const struct cdx_map *map, const int *const *model)
{
    size_t at = 0, n = 0;
    bool seen[KEYS] = {false};

    for (const int *v; (v = cdx_map_next(map, &at)) != NULL; n++) {
        size_t i = (size_t)(v - &values[0][0]) / 2;
        CU_ASSERT_FATAL(i < KEYS && model[i] == v && !seen[i]); /* its newest value, once */
        seen[i] = true;
    }
    return n;
}

static void random_operations_agree_with_a_plain_array(void)
{
    const int *model[KEYS] = {NULL};
    struct cdx_map map = {0};
    uint32_t random = 20300501;
    size_t used = 0, differ = 0;

    for (int step = 0; step < STEPS; step++) {
        size_t i = next(&random) % KEYS;
        uint32_t what = next(&random) % 100;
        uint32_t puts = step / 6000 % 2 == 0 ? 60 : 20; /* it fills, it drains, it fills ... */
        if (what < puts) {
            int *v = &values[i][what % 2];
            differ += !cdx_map_put(&map, key_of(i), v);
            used += model[i] == NULL;
            model[i] = v;
        } else if (what < 80) {
            differ += cdx_map_take(&map, key_of(i)) != model[i];
            used -= model[i] != NULL;
            model[i] = NULL;
        } else {
            differ += cdx_map_get(&map, key_of(i)) != model[i];
        }
        differ += map.used != used;
        if (step % 500 == 0)
            CU_ASSERT_EQUAL(walked(&map, model), used);
    }
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT(map.cap <= 4 * KEYS); /* removed slots do not make it grow for ever */
    cdx_map_fini(&map);
}

static void an_empty_map_has_nothing(void)
{
    struct cdx_map map = {0};
    size_t at = 0;

    CU_ASSERT_PTR_NULL(cdx_map_get(&map, CDX_LIT("a")));
    CU_ASSERT_PTR_NULL(cdx_map_take(&map, CDX_LIT("a")));
    CU_ASSERT_PTR_NULL(cdx_map_next(&map, &at));
    cdx_map_fini(&map);
}

static void keys_are_bytes_and_may_be_empty(void)
{
    static int a, b, c;
    struct cdx_map map = {0};

    CU_ASSERT_TRUE(cdx_map_put(&map, cdx_text(NULL, 0), &a));
    CU_ASSERT_TRUE(cdx_map_put(&map, cdx_text("x\0y", 3), &b));
    CU_ASSERT_TRUE(cdx_map_put(&map, cdx_text("x\0z", 3), &c));
    CU_ASSERT_PTR_EQUAL(cdx_map_get(&map, CDX_LIT("")), &a);
    CU_ASSERT_PTR_EQUAL(cdx_map_get(&map, cdx_text("x\0y", 3)), &b);
    CU_ASSERT_PTR_EQUAL(cdx_map_get(&map, cdx_text("x\0z", 3)), &c);
    CU_ASSERT_PTR_NULL(cdx_map_get(&map, CDX_LIT("x")));
    CU_ASSERT_PTR_EQUAL(cdx_map_take(&map, CDX_LIT("")), &a);
    CU_ASSERT_PTR_NULL(cdx_map_get(&map, CDX_LIT("")));
    cdx_map_fini(&map);
}

/* The key belongs to the value's owner: when the value is replaced, the old owner's key may go. */
static void a_replaced_value_brings_its_own_key(void)
{
    static int a, b;
    struct cdx_map map = {0};
    char old[] = "key", new[] = "key";

    CU_ASSERT_TRUE(cdx_map_put(&map, cdx_text_z(old), &a));
    CU_ASSERT_TRUE(cdx_map_put(&map, cdx_text_z(new), &b));
    memset(old, '?', 3);
    CU_ASSERT_PTR_EQUAL(cdx_map_get(&map, CDX_LIT("key")), &b);
    CU_ASSERT_EQUAL(map.used, 1);
    cdx_map_fini(&map);
}

static void the_entry_just_walked_may_be_removed(void)
{
    struct cdx_map map = {0};
    size_t at = 0, n = 0;

    for (size_t i = 0; i < KEYS; i++)
        CU_ASSERT_TRUE_FATAL(cdx_map_put(&map, key_of(i), values[i]));
    for (int *v; (v = cdx_map_next(&map, &at)) != NULL; n++) {
        size_t i = (size_t)(v - &values[0][0]) / 2;
        if (i % 2 == 0)
            CU_ASSERT_PTR_EQUAL(cdx_map_take(&map, key_of(i)), v);
    }
    CU_ASSERT_EQUAL(n, KEYS);
    CU_ASSERT_EQUAL(map.used, KEYS / 2);
    for (size_t i = 0; i < KEYS; i++)
        CU_ASSERT_PTR_EQUAL(cdx_map_get(&map, key_of(i)), i % 2 == 0 ? NULL : values[i]);
    cdx_map_fini(&map);
}

static CU_TestInfo tests[] = {
    {"random operations agree with a plain array", random_operations_agree_with_a_plain_array},
    {"an empty map has nothing", an_empty_map_has_nothing},
    {"keys are bytes and may be empty", keys_are_bytes_and_may_be_empty},
    {"a replaced value brings its own key", a_replaced_value_brings_its_own_key},
    {"the entry just walked may be removed", the_entry_just_walked_may_be_removed},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_map = {.pName = "core/map", .pTests = tests};
