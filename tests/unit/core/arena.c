/* What an arena hands out is aligned, apart from everything else, and never more than its bound. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <string.h>

#include "core/arena.h"

#define BOUND (1u << 20)
#define PIECES 4000

static struct cdx_arena *arena_of(size_t max_bytes)
{
    struct cdx_arena *arena = cdx_arena_create(max_bytes, NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    return arena;
}

static size_t piece_bytes(size_t i)
{
    return i * 37 % 211;
}

/* Every piece is filled with its own byte; what was filled first must still stand when all are. */
static void pieces_are_aligned_and_do_not_overlap(void)
{
    static unsigned char *pieces[PIECES];
    struct cdx_arena *arena = arena_of(BOUND);
    bool aligned = true, whole = true;

    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = cdx_arena_alloc(arena, piece_bytes(i));
        CU_ASSERT_PTR_NOT_NULL_FATAL(pieces[i]);
        aligned &= (uintptr_t)pieces[i] % _Alignof(max_align_t) == 0;
        memset(pieces[i], (int)(i % 251), piece_bytes(i));
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < piece_bytes(i); k++)
            whole &= pieces[i][k] == i % 251;
    CU_ASSERT_TRUE(aligned);
    CU_ASSERT_TRUE(whole);
    cdx_arena_destroy(arena);
}

static size_t bytes_until_null(struct cdx_arena *arena, size_t piece)
{
    size_t got = 0;

    while (cdx_arena_alloc(arena, piece) != NULL)
        got += piece;
    return got;
}

static void it_never_holds_more_than_its_bound(void)
{
    static const size_t pieces[] = {16, 1000, 65536, 100000, BOUND / 2};

    for (size_t i = 0; i < CDX_COUNT(pieces); i++) {
        struct cdx_arena *arena = arena_of(BOUND);
        size_t got = bytes_until_null(arena, pieces[i]);
        CU_ASSERT(got <= BOUND);
        CU_ASSERT(got >= BOUND / 2); /* and not much less */
        cdx_arena_destroy(arena);
    }
}

static void one_piece_may_take_the_whole_bound_and_no_byte_more(void)
{
    struct cdx_arena *arena = arena_of(BOUND);

    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, BOUND + 1));
    CU_ASSERT_PTR_NOT_NULL(cdx_arena_alloc(arena, BOUND));
    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, BOUND));
    cdx_arena_destroy(arena);
}

static void a_refused_piece_leaves_the_arena_fit(void)
{
    struct cdx_arena *arena = arena_of(BOUND);
    char *p = cdx_arena_alloc(arena, 8);

    memset(p, 'p', 8);
    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, SIZE_MAX));
    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, SIZE_MAX - 8));
    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, 2 * BOUND));
    CU_ASSERT_PTR_NOT_NULL(cdx_arena_alloc(arena, 8));
    CU_ASSERT_EQUAL(memcmp(p, "pppppppp", 8), 0);
    cdx_arena_destroy(arena);
}

static void reset_gives_the_whole_bound_back(void)
{
    struct cdx_arena *arena = arena_of(BOUND);
    size_t first = bytes_until_null(arena, 1024);

    for (int round = 0; round < 5; round++) {
        cdx_arena_reset(arena);
        CU_ASSERT_EQUAL(bytes_until_null(arena, 1024), first);
        cdx_arena_reset(arena);
        CU_ASSERT_PTR_NOT_NULL(
            cdx_arena_alloc(arena, 100)); /* small after large, large after small */
        cdx_arena_reset(arena);
    }
    cdx_arena_reset(arena);
    cdx_arena_reset(arena);
    cdx_arena_destroy(arena);
    cdx_arena_destroy(NULL);
}

static void zalloc_clears_used_memory_and_refuses_overflow(void)
{
    struct cdx_arena *arena = arena_of(BOUND);
    unsigned char *p = cdx_arena_alloc(arena, 512);
    bool clear = true;

    memset(p, 0xff, 512);
    cdx_arena_reset(arena);
    p = cdx_arena_zalloc(arena, 64, 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    for (size_t i = 0; i < 512; i++)
        clear &= p[i] == 0;
    CU_ASSERT_TRUE(clear);
    CU_ASSERT_PTR_NULL(cdx_arena_zalloc(arena, SIZE_MAX / 2, 3));
    CU_ASSERT_PTR_NOT_NULL(cdx_arena_zalloc(arena, 0, 8));
    cdx_arena_destroy(arena);
}

static void copies_and_formatted_texts_end_with_nul(void)
{
    struct cdx_arena *arena = arena_of(BOUND);
    struct cdx_text copy = cdx_arena_copy(arena, cdx_text("abcd", 3));
    struct cdx_text empty = cdx_arena_copy(arena, cdx_text(NULL, 0));
    struct cdx_text made = cdx_arena_printf(arena, "%s-%d", "x", 3);

    CU_ASSERT_STRING_EQUAL(copy.p, "abc");
    CU_ASSERT_EQUAL(copy.n, 3);
    CU_ASSERT_STRING_EQUAL(empty.p, "");
    CU_ASSERT_EQUAL(empty.n, 0);
    CU_ASSERT_STRING_EQUAL(made.p, "x-3");
    CU_ASSERT_EQUAL(made.n, 3);
    cdx_arena_destroy(arena);
}

static void without_room_a_copy_is_null(void)
{
    struct cdx_arena *arena = arena_of(0);
    struct cdx_text copy = cdx_arena_copy(arena, CDX_LIT("abc")),
                    made = cdx_arena_printf(arena, "abc");

    CU_ASSERT_PTR_NULL(copy.p);
    CU_ASSERT_EQUAL(copy.n, 0);
    CU_ASSERT_PTR_NULL(made.p);
    CU_ASSERT_PTR_NULL(cdx_arena_alloc(arena, 0));
    cdx_arena_destroy(arena);
}

static CU_TestInfo tests[] = {
    {"pieces are aligned and do not overlap", pieces_are_aligned_and_do_not_overlap},
    {"it never holds more than its bound", it_never_holds_more_than_its_bound},
    {"one piece may take the whole bound and no byte more",
     one_piece_may_take_the_whole_bound_and_no_byte_more},
    {"a refused piece leaves the arena fit", a_refused_piece_leaves_the_arena_fit},
    {"reset gives the whole bound back", reset_gives_the_whole_bound_back},
    {"zalloc clears used memory and refuses overflow",
     zalloc_clears_used_memory_and_refuses_overflow},
    {"copies and formatted texts end with NUL", copies_and_formatted_texts_end_with_nul},
    {"without room a copy is NULL", without_room_a_copy_is_null},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_core_arena = {.pName = "core/arena", .pTests = tests};
