/*
 * tests/oom/wrap.c -- which allocation is this, and who has not given his back?
 *
 * In:    --wrap of malloc, calloc, realloc, reallocarray, strdup, strndup, free, posix_memalign, asprintf, vasprintf.
 * Owns:  the table of live blocks: open addressing, in the program's own data, so that it allocates nothing.
 * Hard:  blocks that are not ours pass through free: scandir, glob and getline take theirs inside the C library.
 * Not:   LD_PRELOAD: it would also fail the insides of libraries that abort then (main.c says which).
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oom.h"

#define SLOTS (1u << 15) /* live blocks of any scenario stay below half */

/* The C library's own. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
int __real_posix_memalign(void **p, size_t align, size_t n);
int __real_vasprintf(char **out, const char *format, va_list ap);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
char *__wrap_strdup(const char *z);
char *__wrap_strndup(const char *z, size_t n);
void __wrap_free(void *p);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_vasprintf(char **out, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

static struct {
    uintptr_t p;    /* 0: free, 1: removed */
    uintptr_t from; /* the call */
    size_t number;
} live[SLOTS];
static size_t used; /* slots that are not free */
static bool armed, refused;
static int paused;
static size_t counted, refuse_at;

static size_t slot_of(uintptr_t p)
{
    return (p >> 4) * 0x9e3779b97f4a7c15u >> (64 - 15);
}

static void remember(const void *p, const void *from)
{
    size_t i = slot_of((uintptr_t)p);

    if (!armed || p == NULL)
        return;
    while (live[i].p > 1)
        i = (i + 1) % SLOTS;
    if (live[i].p == 0 && ++used > SLOTS / 2) {
        fputs("oom: the table of live blocks is full\n", stderr);
        abort();
    }
    live[i].p = (uintptr_t)p;
    live[i].from = (uintptr_t)from;
    live[i].number = counted;
}

static void forget(const void *p)
{
    for (size_t i = slot_of((uintptr_t)p); p != NULL && live[i].p != 0; i = (i + 1) % SLOTS)
        if (live[i].p == (uintptr_t)p) {
            live[i].p = 1;
            return;
        }
}

static bool refuse(void)
{
    if (!armed || paused > 0)
        return false;
    if (++counted != refuse_at)
        return false;
    refused = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    void *p = refuse() ? NULL : __real_malloc(n);

    remember(p, __builtin_return_address(0));
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = refuse() ? NULL : __real_calloc(count, size);

    remember(p, __builtin_return_address(0));
    return p;
}

static void *resize(void *old, size_t n, const void *from)
{
    void *p;

    if (refuse())
        return NULL;
    forget(old);
    p = __real_realloc(old, n);
    remember(p, from);
    return p;
}

void *__wrap_realloc(void *p, size_t n)
{
    return resize(p, n, __builtin_return_address(0));
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return resize(p, n, __builtin_return_address(0));
}

static char *copy(const char *z, size_t n, const void *from)
{
    char *p = refuse() ? NULL : __real_malloc(n + 1);

    if (p != NULL) {
        memcpy(p, z, n);
        p[n] = '\0';
        remember(p, from);
    }
    return p;
}

char *__wrap_strdup(const char *z)
{
    return copy(z, strlen(z), __builtin_return_address(0));
}

char *__wrap_strndup(const char *z, size_t n)
{
    return copy(z, strnlen(z, n), __builtin_return_address(0));
}

void __wrap_free(void *p)
{
    forget(p);
    __real_free(p);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    int rc = refuse() ? 12 /* ENOMEM */ : __real_posix_memalign(p, align, n);

    if (rc == 0)
        remember(*p, __builtin_return_address(0));
    return rc;
}

static int format_new(char **out, const char *format, va_list ap, const void *from)
{
    int n = refuse() ? -1 : __real_vasprintf(out, format, ap);

    if (n >= 0)
        remember(*out, from);
    return n;
}

int __wrap_vasprintf(char **out, const char *format, va_list ap)
{
    return format_new(out, format, ap, __builtin_return_address(0));
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = format_new(out, format, ap, __builtin_return_address(0));
    va_end(ap);
    return n;
}

void oom_arm(size_t k)
{
    memset(live, 0, sizeof live);
    used = 0;
    armed = true;
    refused = false;
    paused = 0;
    counted = 0;
    refuse_at = k;
}

bool oom_disarm(void)
{
    armed = false;
    return refused;
}

void oom_pause(void)
{
    paused++;
}

void oom_resume(void)
{
    paused--;
}

size_t oom_left(bool say)
{
    size_t n = 0;

    for (size_t i = 0; i < SLOTS; i++)
        if (live[i].p > 1) {
            n++;
            if (say)
                printf("  left: allocation %zu, taken at %p\n", live[i].number,
                       (void *)live[i].from);
        }
    return n;
}
