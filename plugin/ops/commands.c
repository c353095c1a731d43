/* ops/commands.c -- the table of commands, the table of options, and the help that both make. */
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cdx_command cdx_commands[] = {
    {"run", "serve: source topics to payers' endpoints, until SIGTERM",
     "Reads the configuration, joins the two consumer groups and runs until SIGTERM (drains, then ends within 10 s).\n"
     "SIGHUP reads subscriptions, rosters and topics again. The ops port serves /livez, /readyz and /metrics.\n"
     "Before the first run: cdex-push check, then cdex-push topics --create.",
     "--config --root --log-json --verbose", cdx_ops_run},
    {"check",
     "say everything that is wrong in the configuration, its topics, subscriptions and rosters",
     "Nothing is sent anywhere and no broker is asked. Exit 1 when there was a finding.\n"
     "--options prints the name of every option, --document the reference as a Markdown table.",
     "--config --root --json --options --document", cdx_ops_check},
    {"topics", "verify the Kafka topics that cdex-push needs, or create them",
     "Without --create it only looks. Exit 1 when one is missing or differs in cleanup.policy, retention.ms or max.message.bytes.",
     "--config --root --create --json", cdx_ops_topics},
    {"lag",
     "where every subscription stands: status, counted, delivered, lag in events and seconds",
     "Reads the committed cursors, statuses and the log's ends from Kafka; the processes that run are not asked.",
     "--config --root --json --subscription", cdx_ops_lag},
    {"demo",
     "the main job in one process, nothing to install: a hospital's feed, three payers, an outage, a poison record",
     "Starts librdkafka's mock cluster inside the process (in memory, a few MB a partition: for trial only), three endpoints on\n"
     "loopback and the gateway between them, shows a live table, and ends with a summary that adds up.",
     "--root --data --out --json --log-json --verbose", cdx_ops_demo},
};
const size_t cdx_commands_n = sizeof cdx_commands / sizeof *cdx_commands;

static const struct option_row {
    const char *name, *value, *help; /* value: what it takes, NULL: nothing */
    size_t at;                       /* in struct cdx_args */
} option_rows[] = {
    {"--config", "FILE", "the configuration (default cdex-push.json)",
     offsetof(struct cdx_args, config)},
    {"--root", "DIR",
     "the folder that holds topics/ and mappings/ (default: found beside the program)",
     offsetof(struct cdx_args, root)},
    {"--data", "DIR", "the sample feed", offsetof(struct cdx_args, data)},
    {"--out", "DIR", "where notifications are written", offsetof(struct cdx_args, out)},
    {"--subscription", "ID", "only this one", offsetof(struct cdx_args, subscription)},
    {"--create", NULL, "create what is missing", offsetof(struct cdx_args, create)},
    {"--json", NULL, "machine output", offsetof(struct cdx_args, json)},
    {"--log-json", NULL, "log lines as JSON objects", offsetof(struct cdx_args, log_json)},
    {"--verbose", NULL, "log every attempt", offsetof(struct cdx_args, verbose)},
    {"--options", NULL, "print the option names", offsetof(struct cdx_args, options)},
    {"--document", NULL, "print the option reference", offsetof(struct cdx_args, document)},
};

static void help_all(FILE *out)
{
    fprintf(
        out,
        "cdex-push " CDX_VERSION
        ": EHR change events on Kafka become FHIR Subscription notifications, pushed to payers\n"
        "in order, with provenance, and nothing lost.\n\nusage: cdex-push COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < cdx_commands_n; i++)
        fprintf(out, "  %-8s %s\n", cdx_commands[i].name, cdx_commands[i].summary);
    fprintf(out, "\ncdex-push COMMAND --help tells more. Start with: cdex-push demo\n");
}

static bool takes(const struct cdx_command *c, const char *name)
{
    const char *at = strstr(c->options, name);
    size_t n = strlen(name);

    return at != NULL && (at[n] == ' ' || at[n] == '\0');
}

static void help_one(FILE *out, const struct cdx_command *c)
{
    fprintf(out, "cdex-push %s: %s\n\n%s\n\noptions:\n", c->name, c->summary, c->help);
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++)
        if (takes(c, option_rows[i].name)) {
            char left[40];
            snprintf(left, sizeof left, "%s%s%s", option_rows[i].name,
                     option_rows[i].value ? " " : "",
                     option_rows[i].value ? option_rows[i].value : "");
            fprintf(out, "  %-20s %s\n", left, option_rows[i].help);
        }
    fprintf(out, "\nexit: 0 success, 1 a finding, 2 wrong use\n");
}

static const struct option_row *find_option(const struct cdx_command *c, const char *name)
{
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++)
        if (strcmp(option_rows[i].name, name) == 0 && takes(c, name))
            return &option_rows[i];
    return NULL;
}

static int parse(const struct cdx_command *c, int argc, char **argv, struct cdx_args *args)
{
    for (int i = 0; i < argc; i++) {
        const struct option_row *row = find_option(c, argv[i]);
        if (row == NULL || (row->value != NULL && i + 1 == argc)) {
            fprintf(stderr, "cdex-push %s: %s '%s'; see cdex-push %s --help\n", c->name,
                    row == NULL ? "unknown option" : "a value is missing after", argv[i], c->name);
            return CDX_EXIT_USE;
        }
        if (row->value != NULL)
            *(const char **)((char *)args + row->at) = argv[++i];
        else
            *(bool *)((char *)args + row->at) = true;
    }
    return CDX_EXIT_OK;
}

int cdx_ops_main(int argc, char **argv)
{
    struct cdx_args args = {.config = "cdex-push.json"};
    const struct cdx_command *c = NULL;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help_all(argc < 2 ? stderr : stdout);
        return argc < 2 ? CDX_EXIT_USE : CDX_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("cdex-push " CDX_VERSION);
        return CDX_EXIT_OK;
    }
    for (size_t i = 0; i < cdx_commands_n; i++)
        if (strcmp(cdx_commands[i].name, argv[1]) == 0)
            c = &cdx_commands[i];
    if (c == NULL) {
        fprintf(stderr, "cdex-push: no command '%s'; see cdex-push --help\n", argv[1]);
        return CDX_EXIT_USE;
    }
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help_one(stdout, c);
            return CDX_EXIT_OK;
        }
    if (parse(c, argc - 2, argv + 2, &args) != CDX_EXIT_OK)
        return CDX_EXIT_USE;
    return c->run(&args);
}

/* Does this folder hold both data folders? */
static bool is_root(const char *dir)
{
    char path[4096];

    return snprintf(path, sizeof path, "%s/topics/kafka/topics.json", dir) < (int)sizeof path &&
           access(path, R_OK) == 0;
}

char *cdx_ops_root(const struct cdx_args *args)
{
    static const char *const beside[] = {"", "/..", "/../..", "/../share/cdex-push",
                                         "/../../share/cdex-push"};
    char self[4096], dir[4200];
    ssize_t n;

    if (args->root != NULL)
        return is_root(args->root) ? strdup(args->root) : NULL;
    if (is_root("."))
        return strdup(".");
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        snprintf(dir, sizeof dir, "%s%s", self, beside[i]);
        if (is_root(dir))
            return strdup(dir);
    }
    return NULL;
}
