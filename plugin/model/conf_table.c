/*
 * model/conf_table.c -- which options are there, and what may each be?
 *
 * In:    nothing but the names that are asked for.
 * Out:   each option's row: where it stands, type, bounds, default, help; the README's reference printed from the same rows.
 * Owns:  constants only.
 *
 * A row says all that is known of an option, so that parser, checks and reference cannot disagree. The hard thing is that an
 * option's place in the file (section and key) and in the struct (offset) differ; a row holds both. Not a getter function
 * per option: sixty of them would say the same.
 */
#include "model/conf_table.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "model/conf.h"

static const struct {
    const char *name, *item;
} types[] = {
#define X(id, name, item) {name, item},
    CDX_CONF_TYPE_MAP(X)
#undef X
};

/* -- checks of one text ------------------------------------------------------------------------------------------- */

static const char *check_filled(const char *text)
{
    return text[0] == '\0' ? "must not be empty" : NULL;
}

/* Kafka's topic names: 249 of [A-Za-z0-9._-]; 200 leaves room for ours. */
const char *cdx_conf_check_name(const char *text)
{
    size_t n = strspn(text, CDX_CONF_LETTERS);

    return n == 0 || text[n] != '\0' || n > 200
               ? "must be 1 to 200 letters, digits, dots, hyphens or underscores"
               : NULL;
}

/* RFC 3986 4.3 absolute, http or https, without userinfo, query and fragment: paths are joined to it. */
static const char *check_url(const char *text)
{
    size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    size_t host = scheme != 0 ? strcspn(text + scheme, "/:") : 0;

    if (scheme == 0 || host == 0)
        return "must be an absolute http or https URL";
    if (memchr(text + scheme, '@', strcspn(text + scheme, "/")) != NULL)
        return "must not hold a user or password; name secrets where they belong";
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '?' || *p == '#' || isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
            return "must be a URL without query, fragment and spaces";
    return NULL;
}

/* FHIR R4 Reference.reference: relative, absolute URL or URN. */
static const char *check_reference(const char *text)
{
    static const char relative[] = "Organization/";
    size_t head = sizeof relative - 1;

    if (strncmp(text, "urn:", 4) == 0 && text[4] != '\0')
        return NULL;
    if (strncmp(text, relative, head) == 0 && text[head] != '\0' &&
        text[head + strspn(text + head, CDX_CONF_LETTERS)] == '\0')
        return NULL;
    if (check_url(text) == NULL)
        return NULL;
    return "must be Organization/<id>, an absolute URL or a urn:";
}

static const char *check_network(const char *text)
{
    static const char wrong[] = "must be an address or a network such as 10.20.0.0/16 or ::1/128";
    unsigned char address[sizeof(struct in6_addr)];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char host[INET6_ADDRSTRLEN];
    unsigned long bits = 0;
    bool v6;
    char *end;

    if (n >= sizeof host)
        return wrong;
    snprintf(host, sizeof host, "%.*s", (int)n, text);
    v6 = inet_pton(AF_INET6, host, address) == 1;
    if (!v6 && inet_pton(AF_INET, host, address) != 1)
        return wrong;
    if (slash == NULL)
        return NULL;
    if (!isdigit((unsigned char)slash[1]))
        return wrong;
    bits = strtoul(slash + 1, &end, 10);
    return *end != '\0' || bits > (v6 ? 128 : 32) ? wrong : NULL;
}

/* -- the table ----------------------------------------------------------------------------------------------------- */

static const char *const words_format[] = {"auto", "fhir", "hl7v2", "cdc", "ccda", NULL};
static const char *const words_ordering[] = {"subscription", "patient", "none", NULL};
static const char *const words_auth[] = {"jwt", "none", NULL};
static const char *const words_recovery[] = {"auto", "client", NULL};
static const char *const words_roles[] = {"match", "push", "api", NULL};

#define IN(type, member) .at = offsetof(struct type, member)
#define CONF(member) IN(cdx_conf, member)
#define CONF_N(member) IN(cdx_conf, member), .count_at = offsetof(struct cdx_conf, member##_n)
#define DAY_MS 86400000

const struct cdx_conf_row cdx_conf_rows[] = {
    {"", "kafka", CDX_CONF_OBJECT, .inner = "kafka", .fallback = "{}",
     .help = "How to reach the brokers"},
    {"kafka", "embedded", CDX_CONF_BOOL, CONF(embedded), .fallback = "false",
     .help = "Start librdkafka's mock cluster inside the process: in memory, for trial and tests"},
    {"kafka", "bootstrap.servers", CDX_CONF_PROPERTY, .check = check_filled,
     .help = "Brokers, host:port, separated by commas; needed unless embedded"},
    {"kafka", "*", CDX_CONF_PROPERTY,
     .help = "Any librdkafka property is passed on, except `group.id`, `transactional.id`, "
             "`enable.auto.commit`, "
             "`enable.auto.offset.store`, `isolation.level` and `auto.offset.reset`"},
    {"", "prefix", CDX_CONF_TEXT, CONF(prefix), .fallback = "\"cdex.\"",
     .check = cdx_conf_check_name,
     .help = "Starts the name of every topic, group and transaction of ours"},
    {"", "instance", CDX_CONF_TEXT, CONF(instance), .check = cdx_conf_check_name,
     .help = "Name of this process, the same after a restart and unlike every other's. Default: "
             "host name and ops port"},
    {"", "data_dir", CDX_CONF_PATH, CONF(data_dir), .fallback = "\"data\"", .check = check_filled,
     .help = "Folder of the local state cache; deleting it is safe"},
    {"", "version", CDX_CONF_INT, CONF(version), .fallback = "0", .min = 0, .max = INT64_MAX,
     .help = "Of this configuration: a process with a lower one than was last applied applies no "
             "files"},
    {"", "partitions", CDX_CONF_INT, CONF(partitions), .fallback = "12", .min = 1, .max = 10000,
     .help = "Of the topics that `topics` creates: notifications, subscriptions, cursors, "
             "deliveries and dead letters"},
    {"", "state.partitions", CDX_CONF_INT, CONF(state_partitions), .fallback = "12", .min = 1,
     .max = 10000, .help = "Of trigger state, members and rosters"},
    {"", "replication", CDX_CONF_INT, CONF(replication), .fallback = "-1", .min = -1, .max = 32767,
     .help = "Replicas of a created topic; -1: the broker's default"},

    {"", "sources", CDX_CONF_ITEMS, CONF_N(sources), .inner = "sources[]",
     .item_bytes = sizeof(struct cdx_source), .fallback = "[]", .min = 1,
     .help = "The feeds to read"},
    {"sources[]", "topics", CDX_CONF_LIST, IN(cdx_source, topics),
     .count_at = offsetof(struct cdx_source, topics_n), .fallback = "[]", .min = 1,
     .help = "Topic names, or extended regular expressions that start with `^`"},
    {"sources[]", "format", CDX_CONF_WORD, IN(cdx_source, format), .fallback = "\"auto\"",
     .words = words_format, .help = "What the records are"},
    {"sources[]", "base", CDX_CONF_URL, IN(cdx_source, base), .check = check_url,
     .help = "FHIR base of the source: `focus` and `fullUrl` of clinical entries use it. Default: "
             "`api.base`"},
    {"sources[]", "organization", CDX_CONF_OBJECT, .inner = "sources[].organization",
     .fallback = "{}", .help = "Author in Provenance"},
    {"sources[].organization", "reference", CDX_CONF_TEXT, IN(cdx_source, org_reference),
     .fallback = "\"Organization/source\"", .check = check_reference,
     .help = "`Organization/<id>` at the source, or an absolute URL or URN"},
    {"sources[].organization", "display", CDX_CONF_TEXT, IN(cdx_source, org_display),
     .help = "Its name, for a reader"},
    {"", "organization", CDX_CONF_OBJECT, .inner = "organization", .fallback = "{}",
     .help = "Transmitter in Provenance"},
    {"organization", "reference", CDX_CONF_TEXT, CONF(org_reference),
     .fallback = "\"Organization/gateway\"", .check = check_reference,
     .help = "`Organization/<id>` at `api.base`, or an absolute URL or URN"},
    {"organization", "display", CDX_CONF_TEXT, CONF(org_display), .help = "Its name, for a reader"},

    {"", "topics", CDX_CONF_PATHS, CONF_N(topics), .fallback = "[\"topics/*.json\"]",
     .help = "SubscriptionTopic files"},
    {"", "mappings", CDX_CONF_PATHS, CONF_N(mappings), .fallback = "[\"mappings\"]",
     .help = "Folders of mappings and tables"},
    {"", "subscriptions", CDX_CONF_PATHS, CONF_N(subscriptions),
     .fallback = "[\"subscriptions/*.json\"]", .help = "Subscription files, kept by the operator"},
    {"", "rosters", CDX_CONF_PATHS, CONF_N(rosters), .fallback = "[\"rosters/*.json\"]",
     .help = "Group files: who is a member of whom"},

    {"", "clients", CDX_CONF_ITEMS, CONF_N(clients), .inner = "clients[]",
     .item_bytes = sizeof(struct cdx_client), .fallback = "[]",
     .help = "Who may subscribe, and to whose data"},
    {"clients[]", "id", CDX_CONF_TEXT, IN(cdx_client, id), .check = check_filled, .required = true,
     .help = "As a Subscription's client tag names it"},
    {"clients[]", "roster", CDX_CONF_TEXT, IN(cdx_client, roster), .fallback = "\"\"",
     .help = "`Group.id` of its members; `*`: every member is allowed; empty: nobody is"},
    {"", "endpoints", CDX_CONF_ITEMS, CONF_N(endpoints), .inner = "endpoints[]",
     .item_bytes = sizeof(struct cdx_endpoint_option), .fallback = "[]",
     .help = "Options of single endpoints; the longest `url` that starts an endpoint's URL wins"},
    {"endpoints[]", "id", CDX_CONF_TEXT, IN(cdx_endpoint_option, id), .check = check_filled,
     .required = true, .help = "Its name in metrics and logs"},
    {"endpoints[]", "url", CDX_CONF_TEXT, IN(cdx_endpoint_option, url), .check = check_url,
     .required = true, .help = "Start of the endpoint's URL"},
    {"endpoints[]", "ca", CDX_CONF_READABLE, IN(cdx_endpoint_option, ca), .check = check_filled,
     .help = "PEM file of a private certificate authority"},
    {"endpoints[]", "certificate", CDX_CONF_READABLE, IN(cdx_endpoint_option, certificate),
     .check = check_filled, .help = "PEM file of our client certificate"},
    {"endpoints[]", "key", CDX_CONF_READABLE, IN(cdx_endpoint_option, key), .check = check_filled,
     .help = "PEM file of its key"},
    {"endpoints[]", "ordering", CDX_CONF_WORD, IN(cdx_endpoint_option, ordering),
     .fallback = "\"subscription\"", .words = words_ordering,
     .help = "Within what order must hold; a stricter order than asked for may be kept"},

    {"", "api", CDX_CONF_OBJECT, .inner = "api", .fallback = "{}", .help = "The REST face"},
    {"api", "listen", CDX_CONF_LISTEN, .at = CDX_CONF_NOWHERE, .fallback = "\"127.0.0.1:8080\"",
     .help = "Address of the REST face"},
    {"api", "base", CDX_CONF_URL, CONF(api_base), .fallback = "\"http://127.0.0.1:8080/fhir/r4\"",
     .check = check_url,
     .help = "FHIR base of this gateway as others see it; part of every notification's identity: "
             "do not change it"},
    {"api", "auth", CDX_CONF_WORD, .at = CDX_CONF_NOWHERE, .fallback = "\"jwt\"",
     .words = words_auth,
     .help = "How a client proves who it is; `none` on loopback listeners only"},
    {"api", "anonymous", CDX_CONF_TEXT, .at = CDX_CONF_NOWHERE, .check = check_filled,
     .help = "With `none`: the client that every request acts as"},
    {"api", "issuers", CDX_CONF_ITEMS, .at = CDX_CONF_NOWHERE, .inner = "api.issuers[]",
     .item_bytes = 1, .fallback = "[]",
     .help = "Whose tokens are taken; without one every call is answered 401"},
    {"api.issuers[]", "issuer", CDX_CONF_TEXT, .at = CDX_CONF_NOWHERE, .check = check_url,
     .required = true, .help = "`iss` of the token"},
    {"api.issuers[]", "jwks", CDX_CONF_TEXT, .at = CDX_CONF_NOWHERE, .check = check_filled,
     .required = true, .help = "File or URL of its keys"},
    {"api.issuers[]", "audience", CDX_CONF_TEXT, .at = CDX_CONF_NOWHERE, .check = check_filled,
     .required = true, .help = "`aud` of the token"},

    {"", "ops", CDX_CONF_OBJECT, .inner = "ops", .fallback = "{}", .help = "Health and metrics"},
    {"ops", "listen", CDX_CONF_LISTEN, CONF(ops_host),
     .count_at = offsetof(struct cdx_conf, ops_port), .fallback = "\"127.0.0.1:9464\"",
     .help = "Address of /livez, /readyz and /metrics; port 0: any"},

    {"", "match", CDX_CONF_OBJECT, .inner = "match", .fallback = "{}",
     .help = "Stage 1: source topics to the notifications log"},
    {"match", "stage1.commit.ms", CDX_CONF_INT, CONF(commit_ms), .fallback = "20", .min = 1,
     .max = 5000, .unit = "ms", .help = "A transaction is committed when it is so old"},
    {"match", "stage1.batch.records", CDX_CONF_INT, CONF(batch_records), .fallback = "4000",
     .min = 1, .max = 100000, .unit = "records",
     .help = "A transaction is committed when it has so many source records"},

    {"", "push", CDX_CONF_OBJECT, .inner = "push", .fallback = "{}",
     .help = "Stage 2: the notifications log to endpoints"},
    {"push", "http", CDX_CONF_BOOL, CONF(push_http), .fallback = "false",
     .help = "Plain http may be used on the networks of `push.allow`"},
    {"push", "allow", CDX_CONF_LIST, CONF_N(push_allow), .fallback = "[]", .check = check_network,
     .help = "Private or loopback networks that may be dialled, on any port: `10.20.0.0/16`, "
             "`::1/128`"},
    {"push", "cursor.flush.ms", CDX_CONF_INT, CONF(cursor_flush_ms), .fallback = "200", .min = 1,
     .max = 60000, .unit = "ms",
     .help = "Time between cursor flushes: bounds the repeats after a crash"},
    {"push", "timeout.ms", CDX_CONF_INT, CONF(timeout_ms), .fallback = "30000", .min = 1,
     .max = 120000, .unit = "ms", .help = "A whole attempt, where the Subscription names no time"},
    {"push", "connect.timeout.ms", CDX_CONF_INT, CONF(connect_timeout_ms), .fallback = "5000",
     .min = 1, .max = 60000, .unit = "ms", .help = "Connection and TLS handshake of an attempt"},
    {"push", "max.inflight.requests", CDX_CONF_INT, CONF(max_in_flight), .fallback = "1024",
     .min = 1, .max = 65536, .unit = "requests", .help = "To all endpoints at once"},
    {"push", "max.connections", CDX_CONF_INT, CONF(max_connections), .fallback = "2048", .min = 1,
     .max = 65536, .unit = "connections", .help = "Kept to all endpoints"},
    {"push", "message.retries", CDX_CONF_INT, CONF(message_retries), .fallback = "2", .min = 0,
     .max = 10,
     .help = "Further tries of a notification that an endpoint refuses, before it becomes a dead "
             "letter"},
    {"push", "duplicate.is.success", CDX_CONF_BOOL, CONF(duplicate_is_success), .fallback = "false",
     .help = "Status 409 means that the endpoint has it already"},
    {"push", "error.after.ms", CDX_CONF_INT, CONF(error_after_ms), .fallback = "60000", .min = 0,
     .max = 30LL * DAY_MS, .unit = "ms",
     .help = "How long an endpoint may fail before its subscriptions show `error`"},
    {"push", "off.after.ms", CDX_CONF_INT, CONF(off_after_ms), .fallback = "259200000", .min = 1,
     .max = 365LL * DAY_MS, .unit = "ms",
     .help = "How long it may fail without a success before they are `off`"},
    {"push", "retry.schedule.ms", CDX_CONF_INTS, CONF(schedule_ms),
     .count_at = offsetof(struct cdx_conf, schedule_n),
     .fallback = "[1000, 2000, 5000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, "
                 "3600000]",
     .min = 1, .max = DAY_MS, .unit = "ms",
     .help = "Waits after the first, second ... failure; the last repeats. Up to half is taken off "
             "at random"},
    {"push", "batch.max.events", CDX_CONF_INT, CONF(batch_events), .fallback = "100", .min = 1,
     .max = CDX_MAX_BATCH_EVENTS, .unit = "events",
     .help = "In one notification, where the Subscription names no number"},
    {"push", "recovery", CDX_CONF_CHOICE, CONF(recovery_auto), .fallback = "\"auto\"",
     .words = words_recovery,
     .help = "What ends `error`: a probe that succeeds, or the client's update"},

    {"", "roles", CDX_CONF_ROLES, .fallback = "[\"match\", \"push\", \"api\"]", .min = 1,
     .words = words_roles, .help = "What this process does"},
};
const size_t cdx_conf_rows_n = CDX_COUNT(cdx_conf_rows);

const struct cdx_conf_row *cdx_conf_find(const char *section, const char *key)
{
    const struct cdx_conf_row *any = NULL;

    for (size_t i = 0; i < cdx_conf_rows_n; i++) {
        if (strcmp(cdx_conf_rows[i].section, section) != 0)
            continue;
        if (strcmp(cdx_conf_rows[i].key, key) == 0)
            return &cdx_conf_rows[i];
        if (strcmp(cdx_conf_rows[i].key, "*") == 0)
            any = &cdx_conf_rows[i];
    }
    return any;
}

/* How many characters must be added, dropped or replaced (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t an = strnlen(a, CDX_CONF_NAME_BYTES), bn = strnlen(b, CDX_CONF_NAME_BYTES),
           row[CDX_CONF_NAME_BYTES + 1];

    for (size_t j = 0; j <= bn; j++)
        row[j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t corner = row[0]; /* of the row above */

        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[bn];
}

const char *cdx_conf_nearest(const char *section, const char *key)
{
    const char *nearest = "";
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < cdx_conf_rows_n; i++) {
        size_t d = strcmp(cdx_conf_rows[i].section, section) == 0
                       ? distance(key, cdx_conf_rows[i].key)
                       : SIZE_MAX;

        if (d < least) {
            least = d;
            nearest = cdx_conf_rows[i].key;
        }
    }
    return nearest;
}

/* Behind what stands in out; no heap, so that a mistake is told whole when there is no memory. */
__attribute__((format(printf, 2, 3))) static void append(char out[CDX_CONF_TEXT_BYTES],
                                                         const char *format, ...)
{
    size_t n = strlen(out);
    va_list ap;

    va_start(ap, format);
    vsnprintf(out + n, CDX_CONF_TEXT_BYTES - n, format, ap);
    va_end(ap);
}

const char *cdx_conf_describe(const struct cdx_conf_row *row, bool item,
                              char out[CDX_CONF_TEXT_BYTES])
{
    const char *name = item ? types[row->type].item : types[row->type].name;

    out[0] = '\0';
    append(out, "%s", name != NULL ? name : "one of");
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++)
        append(out, "%s%s", i != 0 ? ", " : " ", row->words[i]);
    if (row->max == INT64_MAX)
        append(out, " from %" PRId64, row->min);
    else if (row->max != 0)
        append(out, " from %" PRId64 " to %" PRId64, row->min, row->max);
    if (row->unit != NULL)
        append(out, " (%s)", row->unit);
    return out;
}

/* -- the reference ------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct cdx_conf_row *row, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s%s%s", row->section, row->section[0] != '\0' ? "." : "", row->key);
    return out;
}

void cdx_conf_names(FILE *out)
{
    char name[CDX_CONF_TEXT_BYTES];

    for (size_t i = 0; i < cdx_conf_rows_n; i++)
        if (strcmp(cdx_conf_rows[i].key, "*") != 0)
            fprintf(out, "%s\n", name_of(&cdx_conf_rows[i], name, sizeof name));
}

void cdx_conf_document(FILE *out)
{
    char name[CDX_CONF_TEXT_BYTES], type[CDX_CONF_TEXT_BYTES];

    fputs("| option | is | default | changes take effect | what it does |\n| --- | --- | --- | --- "
          "| --- |\n",
          out);
    for (size_t i = 0; i < cdx_conf_rows_n; i++) {
        const struct cdx_conf_row *row = &cdx_conf_rows[i];
        bool shown = row->fallback != NULL && row->type != CDX_CONF_OBJECT;

        fprintf(out, "| `%s` | %s | %s%s%s | %s | %s |\n", name_of(row, name, sizeof name),
                cdx_conf_describe(row, false, type), shown ? "`" : "",
                shown           ? row->fallback
                : row->required ? "required"
                                : "",
                shown ? "`" : "", row->reload ? "on reload" : "at start", row->help);
    }
}
