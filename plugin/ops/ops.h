/* ops/ops.h -- the command line: one table of commands, one of options, help printed from both. */
#ifndef CDX_OPS_OPS_H
#define CDX_OPS_OPS_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every command. */
enum cdx_exit { CDX_EXIT_OK = 0, CDX_EXIT_FINDING = 1, CDX_EXIT_USE = 2 };

/* What was given on the command line; all borrowed from argv. */
struct cdx_args {
    const char *config; /* --config; "cdex-push.json" */
    const char *data;   /* --data; NULL */
    const char *out;    /* --out; NULL */
    const char *
        root; /* --root: where topics/ and mappings/ lie; NULL: beside the program or the working directory */
    const char *subscription; /* --subscription; NULL */
    bool json, log_json, verbose, create, options, document;
};

struct cdx_command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* some lines: what it does, what to do next, an example */
    const char *options; /* names of the options that it takes, separated by spaces */
    int (*run)(const struct cdx_args *args); /* an enum cdx_exit */
};
extern const struct cdx_command cdx_commands[];
extern const size_t cdx_commands_n;

/* Finds the command, parses its options, runs it. Thread: main. */
int cdx_ops_main(int argc, char **argv);
/* The folder that holds topics/ and mappings/: --root, the working directory, or beside the program (../share/cdex-push, ../..). malloc'd; NULL: none. */
char *cdx_ops_root(const struct cdx_args *args);

int cdx_ops_run(const struct cdx_args *args);
int cdx_ops_check(const struct cdx_args *args);
int cdx_ops_topics(const struct cdx_args *args);
int cdx_ops_lag(const struct cdx_args *args);
int cdx_ops_demo(const struct cdx_args *args);

#endif
