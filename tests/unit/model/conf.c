/* Rules: design.md section 7 (names, defaults, what check refuses), delivery.md (values of the push options). */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buf.h"
#include "model/conf.h"

#define CASES "tests/cases/conf/"

struct told {
    char text[32][CDX_ERR_TEXT_BYTES];
    size_t n;
};

static void tell(void *arg, const char *text)
{
    struct told *told = arg;

    if (told->n < CDX_COUNT(told->text))
        snprintf(told->text[told->n], sizeof told->text[0], "%s", text);
    told->n++;
}

static struct cdx_conf *parsed(const char *text, struct told *told)
{
    struct cdx_err err = {0};

    *told = (struct told){0};
    return cdx_conf_parse(text, "etc", tell, told, &err);
}

static struct cdx_conf *loaded(const char *name)
{
    struct cdx_err err = {0};
    char path[256];

    snprintf(path, sizeof path, CASES "%s/cdex-push.json", name);
    return cdx_conf_load(path, NULL, NULL, &err);
}

/* Each line of `expect` stands in the mistake of the same number (members in the file's order, then the checks of several
 * options); there are no others. */
static void run_case(const char *folder)
{
    struct cdx_err err = {0};
    struct told told = {0};
    struct cdx_conf *conf;
    char path[512], *expect, *rest, *line;
    size_t n, lines = 0;

    snprintf(path, sizeof path, "%s/cdex-push.json", folder);
    conf = cdx_conf_load(path, tell, &told, &err);
    CU_ASSERT_EQUAL(conf == NULL, told.n != 0);
    CU_ASSERT_EQUAL(err.code, told.n != 0 ? CDX_CONFIG : CDX_OK);
    if (told.n != 0)
        CU_ASSERT_STRING_EQUAL(err.text, told.text[0]);
    cdx_conf_free(conf);
    snprintf(path, sizeof path, "%s/expect", folder);
    expect = cdx_file_read(path, 1 << 16, &n, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(expect);
    for (rest = expect; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0'; lines++) {
        bool same = lines < told.n && strstr(told.text[lines], line) != NULL;

        if (!same)
            printf("\n  %s: expected '%s', got '%s'", folder, line,
                   lines < told.n ? told.text[lines] : "");
        CU_ASSERT_TRUE(same);
    }
    if (lines != told.n)
        printf("\n  %s: %zu mistakes expected, %zu told", folder, lines, told.n);
    CU_ASSERT_EQUAL(lines, told.n);
    free(expect);
}

static void each_case_is_told_as_expected(void)
{
    char pattern[] = CASES "*", *patterns[] = {pattern}, **folders = NULL;
    struct cdx_err err = {0};
    size_t n = 0;

    setenv("CDX_TEST_BROKERS", "broker-1:9092,broker-2:9092", 1);
    unsetenv("CDX_TEST_NEVER_SET");
    CU_ASSERT_EQUAL_FATAL(cdx_conf_glob(patterns, 1, &folders, &n, &err), CDX_OK);
    CU_ASSERT(n >= 25); /* the folder was found */
    for (size_t i = 0; i < n; i++)
        run_case(folders[i]);
    cdx_strings_free(folders, n);
}

static void every_option_but_sources_and_brokers_has_a_default(void)
{
    struct cdx_conf *conf = loaded("only-what-has-no-default");
    char host[256] = "", instance[300];

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    gethostname(host, sizeof host - 1);
    snprintf(instance, sizeof instance, "%s-9464", host); /* design 4.1: host name and ops port */
    CU_ASSERT_STRING_EQUAL(conf->instance, instance);
    CU_ASSERT_STRING_EQUAL(conf->prefix, "cdex.");
    CU_ASSERT_STRING_EQUAL(conf->data_dir, CASES "only-what-has-no-default/data");
    CU_ASSERT_STRING_EQUAL(conf->sources[0].format, "auto");
    CU_ASSERT_STRING_EQUAL(conf->sources[0].base, conf->api_base); /* design 7: default api.base */
    CU_ASSERT_STRING_EQUAL(conf->ops_host, "127.0.0.1");
    CU_ASSERT_EQUAL(conf->ops_port, 9464);
    CU_ASSERT(conf->role_match && conf->role_push && conf->role_api);
    CU_ASSERT_EQUAL(conf->commit_ms, 20);             /* delivery.md 2 */
    CU_ASSERT_EQUAL(conf->cursor_flush_ms, 200);      /* delivery.md 1 */
    CU_ASSERT_EQUAL(conf->timeout_ms, 30000);         /* delivery.md 8 */
    CU_ASSERT_EQUAL(conf->connect_timeout_ms, 5000);  /* delivery.md 8 */
    CU_ASSERT_EQUAL(conf->max_in_flight, 1024);       /* delivery.md 5 */
    CU_ASSERT_EQUAL(conf->max_connections, 2048);     /* delivery.md 5 */
    CU_ASSERT_EQUAL(conf->message_retries, 2);        /* delivery.md 3 */
    CU_ASSERT_EQUAL(conf->error_after_ms, 60 * 1000); /* delivery.md 7 */
    CU_ASSERT_EQUAL(conf->off_after_ms, 72 * 3600 * 1000);
    CU_ASSERT(conf->recovery_auto); /* delivery.md 2.9 */
    CU_ASSERT_FALSE(conf->push_http);
    CU_ASSERT_EQUAL(conf->push_allow_n, 0);
    CU_ASSERT_EQUAL(conf->replication, -1);
    cdx_conf_free(conf);
}

/* delivery.md 4: 1, 2, 5, 15, 30 s, 1, 2, 5, 10, 15, 30 min, then every 60 min. */
static void the_default_schedule_is_the_one_of_the_rules(void)
{
    static const int seconds[] = {1, 2, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600};
    struct cdx_conf *conf = loaded("only-what-has-no-default");

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_EQUAL_FATAL(conf->schedule_n, CDX_COUNT(seconds));
    for (size_t i = 0; i < CDX_COUNT(seconds); i++)
        CU_ASSERT_EQUAL(conf->schedule_ms[i], seconds[i] * 1000);
    cdx_conf_free(conf);
}

static void the_contract_s_example_is_read_whole(void)
{
    struct cdx_conf *conf = loaded("names-of-the-contract");

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_EQUAL(conf->sources[0].topics_n, 2);
    CU_ASSERT_STRING_EQUAL(conf->sources[0].topics[1], "^ehr\\.adt\\..*");
    CU_ASSERT_STRING_EQUAL(conf->sources[0].org_display, "General Hospital");
    CU_ASSERT_STRING_EQUAL(conf->org_reference, "Organization/gateway");
    CU_ASSERT_STRING_EQUAL(conf->topics[0], CASES "names-of-the-contract/topics/*.json");
    CU_ASSERT_STRING_EQUAL(conf->endpoints[0].url, "https://hooks.payer-a.example/");
    CU_ASSERT_PTR_NULL(conf->endpoints[0].ca);
    CU_ASSERT_STRING_EQUAL(conf->api_base, "https://gateway.example.org/fhir/r4");
    CU_ASSERT_STRING_EQUAL(conf->push_allow[0], "10.20.0.0/16");
    CU_ASSERT_STRING_EQUAL(cdx_conf_client(conf, "payer-a")->roster, "payer-a");
    CU_ASSERT_PTR_NULL(cdx_conf_client(conf, "payer-b"));
    cdx_conf_free(conf);
}

static void secrets_come_from_the_environment_and_from_files(void)
{
    static const struct {
        const char *name, *value;
    } want[] = {
        {"bootstrap.servers", "broker-1:9092,broker-2:9092"},
        {"sasl.password", "two words"}, /* without its last newline */
        {"socket.keepalive.enable", "true"},
        {"statistics.interval.ms", "5000"},
    };
    struct cdx_conf *conf;

    setenv("CDX_TEST_BROKERS", "broker-1:9092,broker-2:9092", 1);
    conf = loaded("secrets");
    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_EQUAL_FATAL(conf->kafka_n, CDX_COUNT(want));
    for (size_t i = 0; i < CDX_COUNT(want); i++) {
        CU_ASSERT_STRING_EQUAL(conf->kafka[i].name, want[i].name);
        CU_ASSERT_STRING_EQUAL(conf->kafka[i].value, want[i].value);
    }
    cdx_conf_free(conf);
}

/* What a variable holds is a value: were it read again, who sets the one could read every file. */
static void a_variable_s_value_is_not_read_as_a_file_name(void)
{
    struct told told;
    struct cdx_conf *conf;

    setenv("CDX_TEST_AT", "@/etc/hostname", 1);
    conf = parsed("{\"kafka\": {\"bootstrap.servers\": \"a:1\", \"client.id\": \"${CDX_TEST_AT}\"},"
                  " \"sources\": [{\"topics\": [\"a\"]}]}",
                  &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_STRING_EQUAL(conf->kafka[1].value, "@/etc/hostname");
    cdx_conf_free(conf);
}

static void no_message_repeats_a_value(void)
{
    struct told told;
    struct cdx_conf *conf = parsed(
        "{\"kafka\": {\"bootstrap.servers\": [\"hunter2\"], \"group.id\": \"hunter2\"},"
        " \"roles\": [\"hunter2\"], \"prefix\": \"hunter2 \", \"api\": {\"base\": \"hunter2\"},"
        " \"sources\": [{\"topics\": [\"hunter2 \", \"^(hunter2\"]}],"
        " \"ops\": {\"listen\": \"hunter2\"}, \"push\": {\"allow\": [\"hunter2\"]}}",
        &told);

    CU_ASSERT_PTR_NULL(conf);
    CU_ASSERT_EQUAL(told.n, 9); /* one for each place above */
    for (size_t i = 0; i < told.n; i++)
        CU_ASSERT_PTR_NULL(strstr(told.text[i], "hunter2"));
    CU_ASSERT_PTR_NULL(parsed("{\"kafka\": {\"sasl.password\": \"a\" \"hunter2\"}}", &told));
    CU_ASSERT_EQUAL_FATAL(told.n, 1);
    CU_ASSERT_PTR_NULL(strstr(told.text[0], "hunter2"));
}

static void a_control_character_in_a_name_does_not_reach_the_terminal(void)
{
    struct told told;

    CU_ASSERT_PTR_NULL(parsed("{\"kafka\": {\"embedded\": true}, \"sources\": [{\"topics\": "
                              "[\"a\"]}], \"\\u001b[31m\": 1}",
                              &told));
    CU_ASSERT_EQUAL_FATAL(told.n, 1);
    CU_ASSERT_PTR_NULL(strchr(told.text[0], '\033'));
}

static void one_slash_at_the_end_of_a_base_is_dropped(void)
{
    struct told told;
    struct cdx_conf *conf = parsed(
        "{\"kafka\": {\"embedded\": true}, \"api\": {\"base\": \"https://gw.example.org/fhir/\"},"
        " \"sources\": [{\"topics\": [\"a\"], \"base\": \"https://ehr.example.org/fhir/\"},"
        " {\"topics\": [\"b\"]}]}",
        &told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_STRING_EQUAL(conf->sources[0].base, "https://ehr.example.org/fhir");
    CU_ASSERT_STRING_EQUAL(conf->sources[1].base, "https://gw.example.org/fhir");
    CU_ASSERT_PTR_NULL(cdx_conf_single_base(conf));
    cdx_conf_free(conf);
}

static void sources_with_the_same_base_have_one(void)
{
    struct told told;
    struct cdx_conf *conf = parsed("{\"kafka\": {\"embedded\": true}, \"sources\": [{\"topics\": "
                                   "[\"a\"]}, {\"topics\": [\"b\"]}]}",
                                   &told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_STRING_EQUAL(cdx_conf_single_base(conf), conf->api_base);
    cdx_conf_free(conf);
}

static void paths_are_relative_to_the_file_unless_absolute(void)
{
    struct told told;
    struct cdx_conf *conf =
        parsed("{\"kafka\": {\"embedded\": true}, \"sources\": [{\"topics\": [\"a\"]}],"
               " \"mappings\": [\"/usr/share/m\", \"m\"], \"data_dir\": \"/var/lib/x\"}",
               &told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_STRING_EQUAL(conf->mappings[0], "/usr/share/m");
    CU_ASSERT_STRING_EQUAL(conf->mappings[1], "etc/m");
    CU_ASSERT_STRING_EQUAL(conf->data_dir, "/var/lib/x");
    cdx_conf_free(conf);
}

static void a_listener_may_be_ipv6_and_any_port(void)
{
    struct told told;
    struct cdx_conf *conf =
        parsed("{\"kafka\": {\"embedded\": true}, \"sources\": [{\"topics\": [\"a\"]}],"
               " \"ops\": {\"listen\": \"[::1]:0\"}}",
               &told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT_STRING_EQUAL(conf->ops_host, "::1");
    CU_ASSERT_EQUAL(conf->ops_port, 0);
    cdx_conf_free(conf);
}

static void roles_are_only_those_named(void)
{
    struct told told;
    struct cdx_conf *conf =
        parsed("{\"kafka\": {\"embedded\": true}, \"sources\": [{\"topics\": [\"a\"]}],"
               " \"roles\": [\"push\"], \"push\": {\"recovery\": \"client\"}}",
               &told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    CU_ASSERT(!conf->role_match && conf->role_push && !conf->role_api);
    CU_ASSERT_FALSE(conf->recovery_auto);
    cdx_conf_free(conf);
}

static void a_configuration_that_is_not_there_is_said_once_with_its_path(void)
{
    struct cdx_err err = {0};
    struct told told = {0};

    CU_ASSERT_PTR_NULL(cdx_conf_load("tests/cases/conf/none.json", tell, &told, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_EQUAL_FATAL(told.n, 1);
    CU_ASSERT_EQUAL(strncmp(told.text[0], "tests/cases/conf/none.json: ", 28), 0);
}

static void glob_sorts_and_takes_each_file_once(void)
{
    char a[] = CASES "syntax/*", b[] = CASES "syntax/expect", *patterns[] = {b, a}, **files = NULL;
    struct cdx_err err = {0};
    size_t n = 0;

    CU_ASSERT_EQUAL_FATAL(cdx_conf_glob(patterns, 2, &files, &n, &err), CDX_OK);
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_STRING_EQUAL(files[0], CASES "syntax/cdex-push.json");
    CU_ASSERT_STRING_EQUAL(files[1], CASES "syntax/expect");
    cdx_strings_free(files, n);
}

static void glob_finds_nothing_only_by_a_wildcard(void)
{
    char wild[] = CASES "syntax/*.none", plain[] = CASES "none", *first[] = {wild},
         *second[] = {plain}, **files = NULL;
    struct cdx_err err = {0};
    size_t n = 1;

    CU_ASSERT_EQUAL_FATAL(cdx_conf_glob(first, 1, &files, &n, &err), CDX_OK);
    CU_ASSERT_EQUAL(n, 0);
    cdx_strings_free(files, n);
    CU_ASSERT_EQUAL(cdx_conf_glob(second, 1, &files, &n, &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, CASES "none"));
}

static void a_file_is_read_up_to_its_bound_and_not_beyond(void)
{
    struct cdx_err err = {0};
    size_t n = 0;
    char *text = cdx_file_read(CASES "secrets/password", 10, &n, &err); /* "two words\n" */

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(n, 10);
    CU_ASSERT_EQUAL(text[10], '\0');
    free(text);
    CU_ASSERT_PTR_NULL(cdx_file_read(CASES "secrets/password", 9, &n, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
}

static void a_folder_is_no_file(void)
{
    struct cdx_err err = {0};
    size_t n = 0;

    CU_ASSERT_PTR_NULL(cdx_file_read(CASES "secrets", 100, &n, &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
}

/* Prints by `print` into memory. */
static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    print(out);
    fclose(out);
    return text;
}

static void every_name_stands_in_the_reference(void)
{
    char *names = printed(cdx_conf_names), *table = printed(cdx_conf_document), *rest = names,
         *name;
    int n = 0;

    for (; (name = strsep(&rest, "\n")) != NULL && name[0] != '\0'; n++) {
        char cell[128];

        snprintf(cell, sizeof cell, "| `%s` | ", name);
        CU_ASSERT_PTR_NOT_NULL(strstr(table, cell));
    }
    CU_ASSERT(n > 40); /* the struct has more fields than that */
    CU_ASSERT_PTR_NOT_NULL(strstr(
        table, "| `push.timeout.ms` | an integer from 1 to 120000 (ms) | `30000` | at start | "));
    free(names);
    free(table);
}

static CU_TestInfo tests[] = {
    {"each case is told as expected", each_case_is_told_as_expected},
    {"every option but sources and brokers has a default",
     every_option_but_sources_and_brokers_has_a_default},
    {"the default schedule is the one of the rules", the_default_schedule_is_the_one_of_the_rules},
    {"the contract's example is read whole", the_contract_s_example_is_read_whole},
    {"secrets come from the environment and from files",
     secrets_come_from_the_environment_and_from_files},
    {"a variable's value is not read as a file name",
     a_variable_s_value_is_not_read_as_a_file_name},
    {"no message repeats a value", no_message_repeats_a_value},
    {"a control character in a name does not reach the terminal",
     a_control_character_in_a_name_does_not_reach_the_terminal},
    {"one slash at the end of a base is dropped", one_slash_at_the_end_of_a_base_is_dropped},
    {"sources with the same base have one", sources_with_the_same_base_have_one},
    {"paths are relative to the file unless absolute",
     paths_are_relative_to_the_file_unless_absolute},
    {"a listener may be IPv6 and any port", a_listener_may_be_ipv6_and_any_port},
    {"roles are only those named", roles_are_only_those_named},
    {"a configuration that is not there is said once, with its path",
     a_configuration_that_is_not_there_is_said_once_with_its_path},
    {"glob sorts and takes each file once", glob_sorts_and_takes_each_file_once},
    {"glob finds nothing only by a wildcard", glob_finds_nothing_only_by_a_wildcard},
    {"a file is read up to its bound and not beyond",
     a_file_is_read_up_to_its_bound_and_not_beyond},
    {"a folder is no file", a_folder_is_no_file},
    {"every name stands in the reference", every_name_stands_in_the_reference},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_model_conf = {.pName = "model/conf", .pTests = tests};
