/*
 * tests/unit/main.c -- runs the suites: all of them, or those whose names begin as an argument says.
 *
 * Prints one line a failure (file:line, what was not so) and the totals; exit 1 when anything failed.
 */
#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Every suite of the tree; tests/check-suites holds this list against it. */
#define SUITES(X)                                                                                  \
    X(core_arena)                                                                                  \
    X(core_buf)                                                                                    \
    X(core_count)                                                                                  \
    X(core_digest)                                                                                 \
    X(core_err)                                                                                    \
    X(core_instant)                                                                                \
    X(core_log)                                                                                    \
    X(core_map)                                                                                    \
    X(fhir_json)                                                                                   \
    X(fhir_view)                                                                                   \
    X(model_conf)                                                                                  \
    X(model_filter)                                                                                \
    X(model_logrec)                                                                                \
    X(model_subscription)                                                                          \
    X(net_guard)                                                                                   \
    X(decode_decode)                                                                               \
    X(match_definitions)                                                                           \
    X(match_index)                                                                                 \
    X(match_topics)                                                                                \
    X(notify_cut)                                                                                  \
    X(notify_render)                                                                               \
    X(push_hold)                                                                                   \
    X(push_limit)                                                                                  \
    X(push_outcome)                                                                                \
    X(push_push)                                                                                   \
    X(state_cursor)                                                                                \
    X(state_feed)                                                                                  \
    X(state_feed_model)                                                                            \
    X(state_roster)                                                                                \
    X(state_subs)                                                                                  \
    X(state_trigger)                                                                               \
    X(flow_deadletter)                                                                             \
    X(flow_flush)                                                                                  \
    X(flow_timers)                                                                                 \
    X(flow_trace)                                                                                  \
    X(ops_check_kafka)                                                                             \
    X(ops_http)                                                                                    \
    X(ops_kafka_topics)                                                                            \
    X(ops_metrics)

#define X(name) extern const CU_SuiteInfo suite_##name;
SUITES(X)
#undef X

static const CU_SuiteInfo *const suites[] = {
#define X(name) &suite_##name,
    SUITES(X)
#undef X
};

static bool asked_for(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(name, argv[i], strlen(argv[i])) == 0)
            return true;
    return argc < 2;
}

static void say_failures(void)
{
    for (CU_pFailureRecord f = CU_get_failure_list(); f != NULL; f = f->pNext)
        printf("not ok %s: %s\n  %s:%u: %s\n", f->pSuite != NULL ? f->pSuite->pName : "",
               f->pTest != NULL ? f->pTest->pName : "",
               f->strFileName != NULL ? f->strFileName : "", f->uiLineNumber,
               f->strCondition != NULL ? f->strCondition : "");
}

int main(int argc, char **argv)
{
    unsigned passed, failed;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        CU_SuiteInfo one[] = {*suites[i], CU_SUITE_INFO_NULL};
        if (asked_for(suites[i]->pName, argc, argv) && CU_register_suites(one) != CUE_SUCCESS) {
            fprintf(stderr, "unit: suite %s: %s\n", suites[i]->pName, CU_get_error_msg());
            return 2;
        }
    }
    CU_run_all_tests();
    say_failures();
    failed = CU_get_number_of_tests_failed() + CU_get_number_of_suites_failed();
    passed = CU_get_number_of_tests_run() - CU_get_number_of_tests_failed();
    printf("\nunit: %u passed, %u failed (%u assertions)\n", passed, failed,
           CU_get_number_of_asserts());
    CU_cleanup_registry();
    return failed == 0 && passed > 0 ? 0 : 1;
}
