/* Rule: design.md section 7: `kafka` passes any librdkafka property through, and `check` says everything that is wrong. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "model/conf.h"
#include "ops/check_kafka.h"

struct told {
    char text[4][CDX_ERR_TEXT_BYTES];
    size_t n;
};

static void tell(void *arg, const char *text)
{
    struct told *told = arg;

    if (told->n < CDX_COUNT(told->text))
        snprintf(told->text[told->n], sizeof told->text[0], "%s", text);
    told->n++;
}

static enum cdx_code check(const char *kafka, struct told *told)
{
    struct cdx_err err = {0};
    char text[1024];
    struct cdx_conf *conf;
    enum cdx_code rc;

    *told = (struct told){0};
    snprintf(
        text, sizeof text,
        "{\"sources\": [{\"topics\": [\"a\"]}], \"kafka\": {\"bootstrap.servers\": \"a:1\"%s}}",
        kafka);
    conf = cdx_conf_parse(text, NULL, NULL, NULL, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    rc = cdx_check_kafka_properties(conf, tell, told);
    cdx_conf_free(conf);
    return rc;
}

static void known_properties_pass(void)
{
    struct told told;

    CU_ASSERT_EQUAL(check(", \"security.protocol\": \"sasl_ssl\", \"socket.timeout.ms\": 30000, "
                          "\"acks\": \"all\","
                          " \"socket.keepalive.enable\": true, \"sasl.password\": \"x\"",
                          &told),
                    CDX_OK);
    CU_ASSERT_EQUAL(told.n, 0);
}

static void a_misspelt_property_is_found(void)
{
    struct told told;

    CU_ASSERT_EQUAL(check(", \"security.protocl\": \"ssl\", \"sasl.usrname\": \"x\"", &told),
                    CDX_CONFIG);
    CU_ASSERT_EQUAL_FATAL(told.n, 2);
    CU_ASSERT_EQUAL(strncmp(told.text[0], "kafka.security.protocl: ", 24), 0);
    CU_ASSERT_EQUAL(strncmp(told.text[1], "kafka.sasl.usrname: ", 20), 0);
}

static void a_value_out_of_range_is_found_and_not_repeated(void)
{
    struct told told;

    CU_ASSERT_EQUAL(check(", \"security.protocol\": \"hunter2\"", &told), CDX_CONFIG);
    CU_ASSERT_EQUAL_FATAL(told.n, 1);
    CU_ASSERT_EQUAL(strncmp(told.text[0], "kafka.security.protocol: ", 25), 0);
    CU_ASSERT_PTR_NULL(strstr(told.text[0], "hunter2"));
}

static CU_TestInfo tests[] = {
    {"known properties pass", known_properties_pass},
    {"a misspelt property is found", a_misspelt_property_is_found},
    {"a value out of range is found and not repeated",
     a_value_out_of_range_is_found_and_not_repeated},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_ops_check_kafka = {.pName = "ops/check_kafka", .pTests = tests};
