/* tests/unit/push/outcome.c -- delivery.md 3, row by row, and 4's Retry-After. */
#include <CUnit/CUnit.h>
#include <curl/curl.h>
#include <string.h>

#include "core/err.h"
#include "push/outcome.h"

static const struct cdx_outcome_row *answer(int status)
{
    struct cdx_exchange x = {.transport = CDX_T_DONE, .status = status};

    return cdx_outcome_of(&x);
}

static void every_status_has_the_class_of_the_table(void)
{
    static const struct {
        int status;
        enum cdx_outcome outcome;
    } rows[] = {
        {200, CDX_SUCCESS},          {201, CDX_SUCCESS},          {202, CDX_SUCCESS},
        {204, CDX_SUCCESS},          {299, CDX_SUCCESS},          {300, CDX_CONFIG_FAILURE},
        {301, CDX_CONFIG_FAILURE},   {302, CDX_CONFIG_FAILURE},   {304, CDX_CONFIG_FAILURE},
        {308, CDX_CONFIG_FAILURE},   {399, CDX_CONFIG_FAILURE},   {400, CDX_MESSAGE_FAILURE},
        {401, CDX_AUTH_FAILURE},     {402, CDX_MESSAGE_FAILURE},  {403, CDX_AUTH_FAILURE},
        {404, CDX_CONFIG_FAILURE},   {405, CDX_CONFIG_FAILURE},   {406, CDX_CONFIG_FAILURE},
        {408, CDX_ENDPOINT_FAILURE}, {409, CDX_MESSAGE_FAILURE},  {410, CDX_GONE},
        {411, CDX_MESSAGE_FAILURE},  {412, CDX_MESSAGE_FAILURE},  {413, CDX_TOO_LARGE_BODY},
        {414, CDX_MESSAGE_FAILURE},  {415, CDX_MESSAGE_FAILURE},  {416, CDX_MESSAGE_FAILURE},
        {417, CDX_MESSAGE_FAILURE},  {418, CDX_MESSAGE_FAILURE},  {421, CDX_ENDPOINT_FAILURE},
        {422, CDX_MESSAGE_FAILURE},  {423, CDX_MESSAGE_FAILURE},  {424, CDX_MESSAGE_FAILURE},
        {425, CDX_ENDPOINT_FAILURE}, {429, CDX_ENDPOINT_FAILURE}, {431, CDX_TOO_LARGE_BODY},
        {451, CDX_MESSAGE_FAILURE},  {499, CDX_MESSAGE_FAILURE},  {500, CDX_ENDPOINT_FAILURE},
        {501, CDX_CONFIG_FAILURE},   {502, CDX_ENDPOINT_FAILURE}, {503, CDX_ENDPOINT_FAILURE},
        {504, CDX_ENDPOINT_FAILURE}, {505, CDX_CONFIG_FAILURE},   {507, CDX_ENDPOINT_FAILURE},
        {599, CDX_ENDPOINT_FAILURE}, {199, CDX_ENDPOINT_FAILURE}, {600, CDX_ENDPOINT_FAILURE},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++)
        CU_ASSERT_EQUAL(answer(rows[i].status)->outcome, rows[i].outcome);
}

/* subscriptions.md 1.9 note on subscription-error: any non-2xx is error-response. */
static void any_answer_but_2xx_is_an_error_response(void)
{
    for (int status = 200; status < 600; status++) {
        const struct cdx_outcome_row *row = answer(status);

        CU_ASSERT_PTR_NOT_NULL(row->detail);
        if (status < 300)
            CU_ASSERT_PTR_NULL(row->error_code)
        else
            CU_ASSERT_STRING_EQUAL(row->error_code, "error-response");
    }
}

static void a_conflict_is_success_where_configured(void)
{
    struct cdx_exchange x = {.transport = CDX_T_DONE, .status = 409, .duplicate_is_success = true};

    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_DUPLICATE_OK);
    CU_ASSERT_PTR_NULL(cdx_outcome_of(&x)->error_code);
    x.status = 410;
    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_GONE);
}

static void a_415_blames_the_encoding_only_where_one_was_sent(void)
{
    struct cdx_exchange x = {.transport = CDX_T_DONE, .status = 415, .encoded = true};

    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_ENCODING);
    x.status = 422;
    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_MESSAGE_FAILURE);
}

/* delivery.md 4: "On 429/503 without it: min 5 s"; 5: x0.7 on timeout/429/503; 3: 421 (new connection). */
static void overload_is_told_to_the_hold(void)
{
    static const int busy[] = {429, 503};

    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(answer(busy[i])->min_wait_ms, 5000);
        CU_ASSERT_TRUE(answer(busy[i])->back_pressure);
    }
    CU_ASSERT_EQUAL(answer(500)->min_wait_ms, 0);
    CU_ASSERT_FALSE(answer(500)->back_pressure);
    CU_ASSERT_TRUE(answer(421)->new_connection);
    CU_ASSERT_FALSE(answer(503)->new_connection);
}

/* delivery.md 3 for the class, subscriptions.md 1.9 for the code: could-not-resolve, else no-response. */
static void what_fails_below_http_has_its_class_and_code(void)
{
    static const struct {
        int code;
        bool connected, blocked;
        enum cdx_outcome outcome;
        const char *error_code;
    } rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, false, false, CDX_ENDPOINT_FAILURE, "dns-resolution-error"},
        {CURLE_COULDNT_CONNECT, false, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_COULDNT_CONNECT, false, true, CDX_CONFIG_FAILURE, "no-response"},
        {CURLE_ABORTED_BY_CALLBACK, false, true, CDX_CONFIG_FAILURE, "no-response"},
        {CURLE_OPERATION_TIMEDOUT, false, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_OPERATION_TIMEDOUT, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_SSL_CONNECT_ERROR, false, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_PEER_FAILED_VERIFICATION, false, false, CDX_CONFIG_FAILURE, "no-response"},
        {CURLE_SSL_CACERT_BADFILE, false, false, CDX_CONFIG_FAILURE, "no-response"},
        {CURLE_GOT_NOTHING, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_RECV_ERROR, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_SEND_ERROR, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_RECV_ERROR, false, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_HTTP2_STREAM, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_WEIRD_SERVER_REPLY, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_OUT_OF_MEMORY, false, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_WRITE_ERROR, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
        {CURLE_OK, true, false, CDX_ENDPOINT_FAILURE, "no-response"},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_exchange x = {
            .transport = cdx_transport_of(rows[i].code, rows[i].connected, rows[i].blocked)};

        CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, rows[i].outcome);
        CU_ASSERT_STRING_EQUAL(cdx_outcome_of(&x)->error_code, rows[i].error_code);
    }
}

/* One blocked address of several does not spoil a request that went out by another. */
static void a_good_answer_counts_though_an_address_was_blocked(void)
{
    CU_ASSERT_EQUAL(cdx_transport_of(CURLE_OK, true, true), CDX_T_DONE);
    CU_ASSERT_EQUAL(cdx_transport_of(CURLE_COULDNT_CONNECT, false, true), CDX_T_BLOCKED);
}

static void a_timeout_is_back_pressure_and_a_reset_is_not(void)
{
    struct cdx_exchange slow = {.transport =
                                    cdx_transport_of(CURLE_OPERATION_TIMEDOUT, true, false)};
    struct cdx_exchange reset = {.transport = cdx_transport_of(CURLE_RECV_ERROR, true, false)};

    CU_ASSERT_TRUE(cdx_outcome_of(&slow)->back_pressure);
    CU_ASSERT_FALSE(cdx_outcome_of(&reset)->back_pressure);
}

/* delivery.md 1: "final status 2xx fully received (headers suffice; body is drained up to the cap)"; 3: truncated. */
static void a_2xx_that_the_endpoint_breaks_off_is_not_success(void)
{
    static const struct {
        int code;
        enum cdx_outcome outcome;
    } rows[] = {
        {CURLE_OK, CDX_SUCCESS},
        {CURLE_WRITE_ERROR, CDX_SUCCESS},        /* our cap */
        {CURLE_OPERATION_TIMEDOUT, CDX_SUCCESS}, /* our deadline, head was whole */
        {CURLE_PARTIAL_FILE, CDX_ENDPOINT_FAILURE},
        {CURLE_RECV_ERROR, CDX_ENDPOINT_FAILURE},
        {CURLE_HTTP2_STREAM, CDX_ENDPOINT_FAILURE},
        {CURLE_WEIRD_SERVER_REPLY, CDX_ENDPOINT_FAILURE},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        struct cdx_exchange x = {.transport = cdx_transport_of(rows[i].code, true, false),
                                 .status = 200};

        CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, rows[i].outcome);
        if (rows[i].outcome != CDX_SUCCESS)
            CU_ASSERT_STRING_EQUAL(cdx_outcome_of(&x)->detail, "truncated response");
    }
}

static void a_refusal_stands_even_when_its_body_breaks_off(void)
{
    struct cdx_exchange x = {.transport = CDX_T_RESET, .status = 413};

    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_TOO_LARGE_BODY);
    x.status = 410;
    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_GONE);
}

static void a_cancelled_request_is_nobodys_fault(void)
{
    struct cdx_exchange x = {.transport = CDX_T_CANCELLED, .status = 500};

    CU_ASSERT_EQUAL(cdx_outcome_of(&x)->outcome, CDX_CANCELLED);
    CU_ASSERT_PTR_NULL(cdx_outcome_of(&x)->error_code);
}

/* delivery.md 4: "seconds or HTTP-date; fractions rounded up; past dates = 0 ... cap 24 h". */
static void retry_after_is_read_in_both_forms(void)
{
    static const int64_t now =
        INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110 5.6.7) */
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"1", 1000},
        {" 120\t\r\n", 120000},
        {"1.5", 2000},
        {"1.0", 1000},
        {"1.55", 2000},
        {"\t5", 5000},
        {"2.", 2000},
        {"0.001", 1000},
        {"86400", 86400000},
        {"86401", 86400000},
        {"99999999999999999999999999", 86400000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sun, 06 Nov 1994 08:40:00 GMT", 0},
        {"Tue, 06 Nov 2001 08:49:37 GMT", 86400000},
        {"Sunday, 06-Nov-94 08:49:47 GMT", 10000},
        {"Sun Nov  6 08:49:47 1994", 10000},
        {"", -1},
        {" ", -1},
        {"-1", -1},
        {"soon", -1},
        {"1s", -1},
        {"1,5", -1},
        {".5", -1},
        {"1.5.5", -1},
        {"1 2", -1},
    };

    for (size_t i = 0; i < CDX_COUNT(rows); i++)
        CU_ASSERT_EQUAL(cdx_retry_after_ms(cdx_text_z(rows[i].value), now), rows[i].ms);
}

static void outcomes_have_the_words_of_the_contract(void)
{
    CU_ASSERT_STRING_EQUAL(cdx_outcome_text(CDX_SUCCESS), "success");
    CU_ASSERT_STRING_EQUAL(cdx_outcome_text(CDX_CONFIG_FAILURE), "configuration-failure");
    CU_ASSERT_STRING_EQUAL(cdx_outcome_text(CDX_CANCELLED), "cancelled");
    CU_ASSERT_STRING_EQUAL(cdx_outcome_text((enum cdx_outcome)99), "unknown");
}

static CU_TestInfo tests[] = {
    {"every status has the class of the table", every_status_has_the_class_of_the_table},
    {"any answer but 2xx is an error response", any_answer_but_2xx_is_an_error_response},
    {"a conflict is success where configured", a_conflict_is_success_where_configured},
    {"a 415 blames the encoding only where one was sent",
     a_415_blames_the_encoding_only_where_one_was_sent},
    {"overload is told to the hold", overload_is_told_to_the_hold},
    {"what fails below http has its class and code", what_fails_below_http_has_its_class_and_code},
    {"a good answer counts though an address was blocked",
     a_good_answer_counts_though_an_address_was_blocked},
    {"a timeout is back-pressure and a reset is not",
     a_timeout_is_back_pressure_and_a_reset_is_not},
    {"a 2xx that the endpoint breaks off is not success",
     a_2xx_that_the_endpoint_breaks_off_is_not_success},
    {"a refusal stands even when its body breaks off",
     a_refusal_stands_even_when_its_body_breaks_off},
    {"a cancelled request is nobody's fault", a_cancelled_request_is_nobodys_fault},
    {"Retry-After is read in both forms", retry_after_is_read_in_both_forms},
    {"outcomes have the words of the contract", outcomes_have_the_words_of_the_contract},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_push_outcome = {.pName = "push/outcome", .pTests = tests};
