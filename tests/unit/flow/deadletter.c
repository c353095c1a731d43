/* The headers of a dead letter are those of delivery.md 10, and what is not known is left out. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/err.h"
#include "flow/deadletter.h"

struct made {
    struct cdx_deadletter_texts texts;
    struct cdx_header headers[CDX_DEADLETTER_HEADERS];
    size_t n;
};

static void make(struct made *m, const struct cdx_deadletter *d)
{
    m->n = cdx_deadletter_headers(d, &m->texts, m->headers);
    CU_ASSERT_FATAL(m->n <= CDX_DEADLETTER_HEADERS);
}

/* The value, or NULL; a name that stands twice is found as none. */
static const struct cdx_text *value_of(const struct made *m, const char *name)
{
    const struct cdx_text *found = NULL;

    for (size_t i = 0; i < m->n; i++)
        if (cdx_text_is(m->headers[i].name, name)) {
            CU_ASSERT_PTR_NULL(found);
            found = &m->headers[i].value;
        }
    return found;
}

static const struct cdx_deadletter full = {
    .stage = "push",
    .klass = "message",
    .error = {"refused", 7},
    .subscription = {"sub-1", 5},
    .endpoint = {"https://hooks.example.org", 25},
    .webhook_id = {"msg_x", 5},
    .traceparent = {"00-a", 4},
    .status = 422,
    .attempts = 3,
    .first_ms = 1903867200000,
    .last_ms = 1903867200250,
    .event_first = 9223372036854775806,
    .event_last = INT64_MAX,
    .src_topic = {"ehr.fhir", 8},
    .src_partition = 7,
    .src_offset = 182044,
    .src_ms = 1903867200000,
    .note_name = {"cdex-dlq-sha256", 15},
    .note_value = {"ab", 2},
};

/* delivery.md 10: names, and ISO 8601 for the times. */
static const struct {
    const char *name, *value;
} expected[] = {
    {"cdex-dlq-version", "1"},
    {"cdex-dlq-stage", "push"},
    {"cdex-dlq-class", "message"},
    {"cdex-dlq-status", "422"},
    {"cdex-dlq-error", "refused"},
    {"cdex-dlq-attempts", "3"},
    {"cdex-dlq-first-ts", "2030-05-01T12:00:00.000Z"},
    {"cdex-dlq-last-ts", "2030-05-01T12:00:00.250Z"},
    {"cdex-subscription", "sub-1"},
    {"cdex-endpoint", "https://hooks.example.org"},
    {"cdex-event-first", "9223372036854775806"},
    {"cdex-event-last", "9223372036854775807"},
    {"cdex-src-topic", "ehr.fhir"},
    {"cdex-src-partition", "7"},
    {"cdex-src-offset", "182044"},
    {"cdex-src-ts", "2030-05-01T12:00:00.000Z"},
    {"webhook-id", "msg_x"},
    {"traceparent", "00-a"},
    {"cdex-dlq-sha256", "ab"},
};

static void every_header_of_the_specification_is_there(void)
{
    struct made m;

    make(&m, &full);
    CU_ASSERT_EQUAL(m.n, CDX_COUNT(expected));
    for (size_t i = 0; i < CDX_COUNT(expected); i++) {
        const struct cdx_text *value = value_of(&m, expected[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(value);
        CU_ASSERT_TRUE(cdx_text_is(*value, expected[i].value));
    }
}

static void what_is_not_known_is_left_out(void)
{
    const struct cdx_deadletter d = {.stage = "decode",
                                     .klass = "decode",
                                     .status = -1,
                                     .attempts = -1,
                                     .event_first = -1,
                                     .event_last = -1,
                                     .first_ms = -1,
                                     .last_ms = -1,
                                     .src_partition = -1,
                                     .src_offset = -1,
                                     .src_ms = -1};
    struct made m;

    make(&m, &d);
    CU_ASSERT_EQUAL(m.n, 3);
    CU_ASSERT_PTR_NOT_NULL(value_of(&m, "cdex-dlq-version"));
    CU_ASSERT_PTR_NOT_NULL(value_of(&m, "cdex-dlq-stage"));
    CU_ASSERT_PTR_NOT_NULL(value_of(&m, "cdex-dlq-class"));
}

static void the_first_record_of_a_partition_has_an_offset(void)
{
    const struct cdx_deadletter d = {.stage = "decode", .klass = "decode", .src_topic = {"t", 1}};
    struct made m;

    make(&m, &d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value_of(&m, "cdex-src-offset"));
    CU_ASSERT_TRUE(cdx_text_is(*value_of(&m, "cdex-src-offset"), "0"));
    CU_ASSERT_TRUE(cdx_text_is(*value_of(&m, "cdex-src-partition"), "0"));
}

/* delivery.md 10: at most 512 bytes, UTF-8. */
static void a_long_error_is_cut(void)
{
    static char text[600];
    struct cdx_deadletter d = {.stage = "push", .klass = "message", .error = {text, sizeof text}};
    struct made m;

    memset(text, 'e', sizeof text);
    make(&m, &d);
    CU_ASSERT_EQUAL(value_of(&m, "cdex-dlq-error")->n, 512);
    d.error.n = 512;
    make(&m, &d);
    CU_ASSERT_EQUAL(value_of(&m, "cdex-dlq-error")->n, 512);
}

static void texts_are_used_anew_each_time(void)
{
    struct made m;

    for (int i = 0; i < 20; i++)
        make(&m, &full);
    CU_ASSERT_TRUE(cdx_text_is(*value_of(&m, "cdex-src-offset"), "182044"));
}

static CU_TestInfo tests[] = {
    {"every header of the specification is there", every_header_of_the_specification_is_there},
    {"what is not known is left out", what_is_not_known_is_left_out},
    {"the first record of a partition has an offset",
     the_first_record_of_a_partition_has_an_offset},
    {"a long error is cut", a_long_error_is_cut},
    {"texts are used anew each time", texts_are_used_anew_each_time},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_flow_deadletter = {.pName = "flow/deadletter", .pTests = tests};
