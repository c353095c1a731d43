/* tests/oom/oom.h -- every allocation of the engine counted, and one of them refused. */
#ifndef TESTS_OOM_H
#define TESTS_OOM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/text.h"

/* -- wrap.c: the linker's --wrap brings malloc and its kin here --------------------------------------------------- */

/* From now on allocations are counted and remembered; the k-th is refused (0: none). */
void oom_arm(size_t k);
/* Ends it. True: an allocation was refused. */
bool oom_disarm(void);
/* The test's own allocations between these two are remembered and never refused. */
void oom_pause(void);
void oom_resume(void);
/* Blocks that were taken since oom_arm and are not given back. say: prints where each was taken (for addr2line). */
size_t oom_left(bool say);

/* -- a scenario --------------------------------------------------------------------------------------------------- */

/* What a run made, as text; compared with that of a run in which nothing was refused. */
#define OOM_RESULT_BYTES (256u << 10)
void oom_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Something is wrong in this run, whatever was refused. */
void oom_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define oom_check(condition)                                                                       \
    ((condition) ? (void)0 : oom_wrong("%s:%d: not so: %s", __FILE__, __LINE__, #condition))

/**
 * One story, told from nothing to nothing: all that it takes it gives back. Returns CDX_OK or why it ended; `arg` is the
 * scenario's input. Inputs were read before.
 */
typedef enum cdx_code oom_run(const void *arg);

struct oom_scenario {
    const char *name;
    oom_run *run;
    const void *arg;
    enum cdx_code expect;  /* of a run in which nothing was refused */
    void (*prepare)(void); /* or NULL: makes what all its runs share; nothing of it is counted */
};
/* Adds one to what main runs. */
void oom_add(struct oom_scenario scenario);
/* A file of the tree, for the life of the program; ends the program when there is none. */
struct cdx_text oom_file(const char *path);
/* Frees p when the program ends; returns it. Ends the program when it is NULL. */
void *oom_keep(void *p);

/* One a file of scenarios. */
void oom_core(void);
void oom_pure(void);
void oom_match(void);
void oom_match_end(void);
void oom_state(void);

#endif
