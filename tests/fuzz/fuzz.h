/*
 * fuzz.h -- what a target needs where libFuzzer is not: a deterministic stream of mutations, and a
 * main around it.
 *
 * Round i depends on the seeds and i alone, so a crash is found again by the same command line. The
 * input that was being tried is written to fuzz-crash.bin when the program aborts.
 */
#ifndef CDX_TESTS_FUZZ_FUZZ_H
#define CDX_TESTS_FUZZ_FUZZ_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FUZZ_MAX_SEEDS 256
#define FUZZ_MAX_BYTES 65536 /* of one input; larger seeds are cut */

struct fuzz_input {
    unsigned char *p;
    size_t n;
};

/* splitmix64: any state is a good one, so a round's number can be it. */
static inline uint64_t fuzz_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t fuzz_below(uint64_t *state, size_t n)
{
    return n != 0 ? (size_t)(fuzz_random(state) % n) : 0;
}

/*
 * One change of in->p (room for FUZZ_MAX_BYTES): a bit, a byte, a cut, a repeat, an end that is
 * missing, a piece of `other`.
 */
static inline void fuzz_mutate_once(struct fuzz_input *in, const struct fuzz_input *other,
                                    uint64_t *state)
{
    static const char marks[] = "{}[]\",:\\u0eE+-.tfn \x00\x80\xBF\xC0\xED\xA0\xF4\xFF\x1F\x0B<|";
    size_t at = fuzz_below(state, in->n), n = 1 + fuzz_below(state, 16), from;

    switch (fuzz_below(state, 7)) {
    case 0:
        if (in->n != 0)
            in->p[at] ^= (unsigned char)(1u << fuzz_below(state, 8));
        return;
    case 1:
        if (in->n != 0)
            in->p[at] = (unsigned char)marks[fuzz_below(state, sizeof marks - 1)];
        return;
    case 2: /* insert a mark */
        if (in->n == FUZZ_MAX_BYTES)
            return;
        memmove(in->p + at + 1, in->p + at, in->n - at);
        in->p[at] = (unsigned char)marks[fuzz_below(state, sizeof marks - 1)];
        in->n++;
        return;
    case 3: /* delete */
        n = n < in->n - at ? n : in->n - at;
        memmove(in->p + at, in->p + at + n, in->n - at - n);
        in->n -= n;
        return;
    case 4: /* truncate, seldom: little is left to learn behind it */
        if (fuzz_below(state, 8) == 0)
            in->n = at;
        return;
    case 5: /* repeat what stands here */
        n = n < in->n - at ? n : in->n - at;
        if (in->n + n > FUZZ_MAX_BYTES)
            return;
        memmove(in->p + at + n, in->p + at, in->n - at);
        in->n += n;
        return;
    default: /* splice */
        from = fuzz_below(state, other->n);
        n = fuzz_below(state, 64);
        n = n < other->n - from ? n : other->n - from;
        n = n < in->n - at ? n : in->n - at;
        if (n != 0)
            memcpy(in->p + at, other->p + from, n);
    }
}

/* in: `seed` with one to four changes; its p has room for FUZZ_MAX_BYTES. */
static inline void fuzz_mutate(struct fuzz_input *in, const struct fuzz_input *seed,
                               const struct fuzz_input *other, uint64_t *state)
{
    in->n = seed->n < FUZZ_MAX_BYTES ? seed->n : FUZZ_MAX_BYTES;
    if (in->n != 0)
        memcpy(in->p, seed->p, in->n);
    for (size_t k = 1 + fuzz_below(state, 4); k > 0; k--)
        fuzz_mutate_once(in, other, state);
}

/* The whole file, owned; p is NULL when it cannot be read. */
static inline struct fuzz_input fuzz_read(const char *path)
{
    struct fuzz_input in = {NULL, 0};
    FILE *f = fopen(path, "rb");

    if (f == NULL)
        return in;
    in.p = malloc(FUZZ_MAX_BYTES);
    if (in.p != NULL)
        in.n = fread(in.p, 1, FUZZ_MAX_BYTES, f);
    fclose(f);
    return in;
}

static struct fuzz_input fuzz_now; /* what is being tried */

static inline void fuzz_on_abort(int signal_number)
{
    int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd >= 0 && write(fd, fuzz_now.p, fuzz_now.n) == (ssize_t)fuzz_now.n)
        close(fd);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Usage: target ROUNDS|SECONDSs SEED-FILE... Tries each seed as it is, then its mutations. */
static inline int fuzz_main(int argc, char **argv, int (*target)(const uint8_t *p, size_t n))
{
    static unsigned char room[FUZZ_MAX_BYTES];
    struct fuzz_input seeds[FUZZ_MAX_SEEDS];
    size_t seeds_n = 0;
    char *unit;
    unsigned long limit, round = 0;
    time_t start = time(NULL);

    if (argc < 3 || (limit = strtoul(argv[1], &unit, 10)) == 0) {
        fprintf(stderr, "usage: %s ROUNDS|SECONDSs SEED-FILE...\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, fuzz_on_abort);
    signal(SIGSEGV, fuzz_on_abort);
    for (int i = 2; i < argc && seeds_n < FUZZ_MAX_SEEDS; i++) {
        fuzz_now = seeds[seeds_n] = fuzz_read(argv[i]);
        if (fuzz_now.p == NULL) {
            fprintf(stderr, "%s: %s cannot be read\n", argv[0], argv[i]);
            return 2;
        }
        target(fuzz_now.p, fuzz_now.n);
        seeds_n++;
    }
    fuzz_now = (struct fuzz_input){room, 0};
    for (; *unit == 's' ? time(NULL) - start < (time_t)limit : round < limit; round++) {
        uint64_t state = round;
        const struct fuzz_input *seed = &seeds[fuzz_below(&state, seeds_n)];
        fuzz_mutate(&fuzz_now, seed, &seeds[fuzz_below(&state, seeds_n)], &state);
        target(fuzz_now.p, fuzz_now.n);
    }
    printf("%s: %lu rounds from %zu seeds\n", argv[0], round, seeds_n);
    for (size_t i = 0; i < seeds_n; i++)
        free(seeds[i].p);
    return 0;
}

/* What each target defines: one input, borrowed. Returns 0; aborts on a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if !defined CDX_LIBFUZZER && !defined FUZZ_WITHOUT_MAIN
int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, LLVMFuzzerTestOneInput);
}
#endif

#endif
