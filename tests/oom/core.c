/* tests/oom/core.c -- the containers: what was in them before a refusal is in them after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/map.h"
#include "flow/flush.h"
#include "flow/timers.h"
#include "oom.h"

#define KEYS 200

static enum cdx_code map_story(const void *arg)
{
    static char names[KEYS][8];
    struct cdx_map map = {0};
    size_t n = 0;

    (void)arg;
    for (; n < KEYS; n++) {
        snprintf(names[n], sizeof names[n], "%zu", n);
        if (!cdx_map_put(&map, cdx_text_z(names[n]), names[n]))
            break;
        if (n % 3 == 2)
            oom_check(cdx_map_take(&map, cdx_text_z(names[n - 1])) == names[n - 1]);
    }
    for (size_t i = 0; i < KEYS; i++)
        oom_check(cdx_map_get(&map, cdx_text_z(names[i])) ==
                  (i < n && !(i % 3 == 1 && i + 1 < n) ? names[i] : NULL));
    oom_print("%zu entries", map.used);
    cdx_map_fini(&map);
    return n == KEYS ? CDX_OK : CDX_NOMEM;
}

static enum cdx_code buf_story(const void *arg)
{
    enum cdx_code code;
    struct cdx_buf b;
    size_t n;
    char *p;

    (void)arg;
    cdx_buf_init(&b, 1u << 20);
    for (int i = 0; i < 200; i++) {
        cdx_buf_add_json(&b, CDX_LIT("a \"quoted\"\nword"));
        cdx_buf_printf(&b, ",%d,", i);
        cdx_buf_add_i64(&b, i);
    }
    code = b.failed ? CDX_NOMEM : CDX_OK;
    oom_check(b.p == NULL || b.p[b.n] == '\0');
    p = cdx_buf_steal(&b, &n);
    oom_check((p == NULL) == (code == CDX_NOMEM) && (p == NULL) == (n == 0));
    oom_print("%zu bytes", n);
    free(p);
    cdx_buf_fini(&b);
    return code;
}

static enum cdx_code arena_story(const void *arg)
{
    struct cdx_err err = {0};
    struct cdx_arena *arena = cdx_arena_create(4u << 20, &err);
    enum cdx_code code = CDX_OK;
    unsigned char *first;

    (void)arg;
    if (arena == NULL)
        return err.code;
    first = cdx_arena_alloc(arena, 64);
    if (first != NULL)
        memset(first, 7, 64);
    for (size_t i = 1; i < 100; i++) {
        unsigned char *p = cdx_arena_alloc(arena, i * 300);
        if (p == NULL)
            code = CDX_NOMEM; /* and on: a later piece may fit */
        else
            memset(p, 9, i * 300);
    }
    for (size_t i = 0; first != NULL && i < 64; i++)
        oom_check(first[i] == 7);
    cdx_arena_reset(arena);
    if (cdx_arena_printf(arena, "%05000d", 1).p == NULL || first == NULL)
        code = CDX_NOMEM;
    cdx_arena_destroy(arena);
    return code;
}

/* A decision is logged even then. */
static enum cdx_code log_story(const void *arg)
{
    char text[512];
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t n;

    (void)arg;
    if (kept < 0 || pipe(ends) != 0)
        abort();
    dup2(ends[1], STDERR_FILENO);
    cdx_log(CDX_ERROR, "some.id", "a sentence", CDX_KN("n", 1));
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[n > 0 ? n : 0] = '\0';
    oom_check(strstr(text, " error some.id ") != NULL &&
              strchr(text, '\n') == text + strlen(text) - 1);
    return CDX_OK;
}

static void count_fired(void *arg, struct cdx_timer *timer)
{
    (void)timer;
    ++*(size_t *)arg;
}

/* timers.h: a timer that cannot be set for want of memory is not set; the others are as they were. */
static enum cdx_code timers_story(const void *arg)
{
    static struct cdx_timer timer[150];
    struct cdx_timers timers = {0};
    size_t set = 0, fired = 0;

    (void)arg;
    for (size_t i = 0; i < CDX_COUNT(timer); i++) {
        timer[i] = (struct cdx_timer){.fire = count_fired};
        cdx_timer_set(&timers, &timer[i], (int64_t)(CDX_COUNT(timer) - i));
        set += timer[i].at != 0;
    }
    cdx_timers_run(&timers, INT64_MAX, &fired);
    oom_check(fired == set);
    oom_print("%zu", fired);
    cdx_timers_fini(&timers);
    return set == CDX_COUNT(timer) ? CDX_OK : CDX_NOMEM;
}

static bool add_to_flush(struct cdx_flush *flush, bool sticky)
{
    static const struct cdx_header headers[] = {{{"name", 4}, {"value", 5}}};
    const struct cdx_out out = {.topic = CDX_T_DELIVERIES,
                                .key = {"key", 3},
                                .value = {"value", 5},
                                .headers = headers,
                                .headers_n = 1};

    return cdx_flush_add(flush, &out, sticky);
}

static enum cdx_code flush_story(const void *arg)
{
    struct cdx_flush *from = cdx_flush_create(), *to = cdx_flush_create();
    bool ok = from != NULL && to != NULL;

    (void)arg;
    for (int i = 0; ok && i < 100; i++)
        ok = add_to_flush(from, i % 2 == 0) && cdx_flush_position(from, i, i);
    ok = ok && add_to_flush(to, false);
    if (ok) {
        ok = cdx_flush_carry_over(to, from);
        oom_check(!cdx_flush_empty(from) && !cdx_flush_empty(to));
    }
    cdx_flush_free(from);
    cdx_flush_free(to);
    return ok ? CDX_OK : CDX_NOMEM;
}

void oom_core(void)
{
    oom_add((struct oom_scenario){"core/map", map_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"core/buf", buf_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"core/arena", arena_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"core/log", log_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"flow/timers", timers_story, NULL, CDX_OK, NULL});
    oom_add((struct oom_scenario){"flow/flush", flush_story, NULL, CDX_OK, NULL});
}
