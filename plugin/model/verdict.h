/* model/verdict.h -- what one delivery attempt came to (delivery.md 3). */
#ifndef CDX_MODEL_VERDICT_H
#define CDX_MODEL_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/* class, word in logs, metrics and delivery records */
#define CDX_OUTCOME_MAP(X)                                                                         \
    X(SUCCESS, "success")                                                                          \
    X(DUPLICATE_OK, "duplicate-ok")                                                                \
    X(ENDPOINT_FAILURE, "endpoint-failure")                                                        \
    X(AUTH_FAILURE, "auth-failure")                                                                \
    X(CONFIG_FAILURE, "configuration-failure")                                                     \
    X(GONE, "gone")                                                                                \
    X(TOO_LARGE_BODY, "too-large")                                                                 \
    X(ENCODING, "encoding")                                                                        \
    X(MESSAGE_FAILURE, "message-failure")                                                          \
    X(CANCELLED, "cancelled")

enum cdx_outcome {
#define X(id, word) CDX_##id,
    CDX_OUTCOME_MAP(X)
#undef X
        CDX_OUTCOMES
};

struct cdx_verdict {
    enum cdx_outcome outcome;
    int http_status; /* 0: no response */
    const char *
        error_code; /* of subscription-error: "dns-resolution-error", "no-response", "error-response"; NULL on success. Static */
    const char *detail; /* what failed, for logs and Subscription.error; no response text. Static */
    int64_t retry_after_ms; /* from now; -1: none */
    int64_t duration_ms;
    bool reused; /* the connection was an old one */
};

/* Never NULL. Thread: any. */
const char *cdx_outcome_text(enum cdx_outcome outcome);

#endif
