/*
 * push/outcome.c -- what did this exchange come to?
 *
 * In:    how the transport ended, and the status of the response head if one arrived whole.
 * Out:   a row: outcome, error code, detail, and what the endpoint's hold must know.
 * Owns:  nothing; three constant tables (delivery.md 3, and libcurl's codes).
 *
 * The hard thing is a response that breaks after its head. A status other than 2xx has said what it had to say, so it
 * stands. A 2xx whose body the endpoint breaks off is "truncated response": an endpoint failure, so the notification is
 * sent again. A 2xx whose body we break off (the cap, the deadline) is a success: delivery.md 1, headers suffice.
 * Not a function of the CURLcode alone: 28 and 56 mean other things after a head than before one.
 */
#include "push/outcome.h"

#include <curl/curl.h>

#include "core/err.h"
#include "core/instant.h"

#define DNS "dns-resolution-error"
#define SILENT "no-response"
#define REFUSED "error-response"

static const struct cdx_outcome_row transports[CDX_TRANSPORTS] = {
    [CDX_T_DONE] = {CDX_ENDPOINT_FAILURE, SILENT, "no response head", 0, false, false},
    [CDX_T_CUT] = {CDX_ENDPOINT_FAILURE, SILENT, "response head too large", 0, false, false},
    [CDX_T_DNS] = {CDX_ENDPOINT_FAILURE, DNS, "host name not resolved", 0, false, false},
    [CDX_T_CONNECT] = {CDX_ENDPOINT_FAILURE, SILENT, "connection refused or host unreachable", 0,
                       false, false},
    [CDX_T_DIAL_TIMEOUT] = {CDX_ENDPOINT_FAILURE, SILENT, "timed out connecting", 0, true, false},
    [CDX_T_TIMEOUT] = {CDX_ENDPOINT_FAILURE, SILENT, "timed out waiting for the response", 0, true,
                       false},
    [CDX_T_TLS] = {CDX_ENDPOINT_FAILURE, SILENT, "TLS handshake failed", 0, false, false},
    [CDX_T_CERTIFICATE] = {CDX_CONFIG_FAILURE, SILENT,
                           "certificate not trusted, expired or for another host", 0, false, false},
    [CDX_T_LOCAL_TLS] = {CDX_CONFIG_FAILURE, SILENT,
                         "CA file, client certificate or key cannot be used", 0, false, false},
    [CDX_T_RESET] = {CDX_ENDPOINT_FAILURE, SILENT, "connection lost before the response", 0, false,
                     false},
    [CDX_T_PROTOCOL] = {CDX_ENDPOINT_FAILURE, SILENT, "the answer is not HTTP", 0, false, false},
    [CDX_T_BLOCKED] =
        {CDX_CONFIG_FAILURE, SILENT,
         "refused by the dial guard: special network, port or plain http; see push.allow", 0, false,
         false},
    [CDX_T_LOCAL] = {CDX_ENDPOINT_FAILURE, SILENT,
                     "the request could not be made (memory or descriptors)", 0, false, false},
    [CDX_T_CANCELLED] = {CDX_CANCELLED, NULL, "cancelled", 0, false, false},
};

static const struct cdx_outcome_row truncated = {
    CDX_ENDPOINT_FAILURE, SILENT, "truncated response", 0, false, false};
static const struct cdx_outcome_row duplicate = {
    CDX_DUPLICATE_OK, NULL, "duplicate", 0, false, false};
static const struct cdx_outcome_row encoding = {
    CDX_ENCODING, REFUSED, "content encoding refused (415)", 0, false, false};

/* The first row that holds the status. */
static const struct {
    int low, high;
    struct cdx_outcome_row row;
} statuses[] = {
    {200, 299, {CDX_SUCCESS, NULL, "accepted", 0, false, false}},
    {300,
     399,
     {CDX_CONFIG_FAILURE, REFUSED, "redirect; redirects are not followed", 0, false, false}},
    {401, 401, {CDX_AUTH_FAILURE, REFUSED, "unauthorized (401)", 0, false, false}},
    {403, 403, {CDX_AUTH_FAILURE, REFUSED, "forbidden (403)", 0, false, false}},
    {404, 404, {CDX_CONFIG_FAILURE, REFUSED, "not found (404)", 0, false, false}},
    {405, 405, {CDX_CONFIG_FAILURE, REFUSED, "method not allowed (405)", 0, false, false}},
    {406, 406, {CDX_CONFIG_FAILURE, REFUSED, "not acceptable (406)", 0, false, false}},
    {408, 408, {CDX_ENDPOINT_FAILURE, REFUSED, "request timeout (408)", 0, false, false}},
    {410, 410, {CDX_GONE, REFUSED, "gone (410)", 0, false, false}},
    {413, 413, {CDX_TOO_LARGE_BODY, REFUSED, "content too large (413)", 0, false, false}},
    {415, 415, {CDX_MESSAGE_FAILURE, REFUSED, "media type refused (415)", 0, false, false}},
    {421, 421, {CDX_ENDPOINT_FAILURE, REFUSED, "misdirected request (421)", 0, false, true}},
    {425, 425, {CDX_ENDPOINT_FAILURE, REFUSED, "too early (425)", 0, false, false}},
    {429, 429, {CDX_ENDPOINT_FAILURE, REFUSED, "too many requests (429)", 5000, true, false}},
    {431, 431, {CDX_TOO_LARGE_BODY, REFUSED, "header fields too large (431)", 0, false, false}},
    {400, 499, {CDX_MESSAGE_FAILURE, REFUSED, "notification refused (4xx)", 0, false, false}},
    {501, 501, {CDX_CONFIG_FAILURE, REFUSED, "not implemented (501)", 0, false, false}},
    {505, 505, {CDX_CONFIG_FAILURE, REFUSED, "HTTP version not supported (505)", 0, false, false}},
    {503, 503, {CDX_ENDPOINT_FAILURE, REFUSED, "service unavailable (503)", 5000, true, false}},
    {500, 599, {CDX_ENDPOINT_FAILURE, REFUSED, "server error (5xx)", 0, false, false}},
};

static const struct cdx_outcome_row *status_row(int status)
{
    for (size_t i = 0; i < CDX_COUNT(statuses); i++)
        if (status >= statuses[i].low && status <= statuses[i].high)
            return &statuses[i].row;
    return &transports[CDX_T_PROTOCOL];
}

/* Did the endpoint break off what it had begun to answer? */
static bool broke_off(enum cdx_transport t)
{
    return t == CDX_T_RESET || t == CDX_T_PROTOCOL;
}

const struct cdx_outcome_row *cdx_outcome_of(const struct cdx_exchange *x)
{
    const struct cdx_outcome_row *row;

    if (x->transport == CDX_T_CANCELLED || x->transport == CDX_T_BLOCKED || x->status == 0)
        return &transports[x->transport];
    if (x->status == 409 && x->duplicate_is_success)
        return &duplicate;
    if (x->status == 415 && x->encoded)
        return &encoding;
    row = status_row(x->status);
    return row->outcome == CDX_SUCCESS && broke_off(x->transport) ? &truncated : row;
}

/* Codes that are not here end as RESET once connected, else as CONNECT. */
static const struct {
    CURLcode code;
    enum cdx_transport transport;
} codes[] = {
    {CURLE_OK, CDX_T_DONE},
    {CURLE_WRITE_ERROR, CDX_T_CUT},
    {CURLE_COULDNT_RESOLVE_HOST, CDX_T_DNS},
    {CURLE_COULDNT_CONNECT, CDX_T_CONNECT},
    {CURLE_SSL_CONNECT_ERROR, CDX_T_TLS},
    {CURLE_USE_SSL_FAILED, CDX_T_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, CDX_T_CERTIFICATE},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, CDX_T_CERTIFICATE},
    {CURLE_SSL_INVALIDCERTSTATUS, CDX_T_CERTIFICATE},
    {CURLE_SSL_ISSUER_ERROR, CDX_T_CERTIFICATE},
    {CURLE_SSL_CERTPROBLEM, CDX_T_LOCAL_TLS},
    {CURLE_SSL_CACERT_BADFILE, CDX_T_LOCAL_TLS},
    {CURLE_SSL_CLIENTCERT, CDX_T_LOCAL_TLS},
    {CURLE_SSL_CIPHER, CDX_T_LOCAL_TLS},
    {CURLE_SSL_ENGINE_NOTFOUND, CDX_T_LOCAL_TLS},
    {CURLE_SSL_ENGINE_SETFAILED, CDX_T_LOCAL_TLS},
    {CURLE_UNSUPPORTED_PROTOCOL, CDX_T_PROTOCOL}, /* HTTP/0.9 */
    {CURLE_WEIRD_SERVER_REPLY, CDX_T_PROTOCOL},
    {CURLE_HTTP2, CDX_T_RESET},
    {CURLE_HTTP2_STREAM, CDX_T_RESET},
    {CURLE_HTTP3, CDX_T_RESET},
    {CURLE_OUT_OF_MEMORY, CDX_T_LOCAL},
    {CURLE_FAILED_INIT, CDX_T_LOCAL},
    {CURLE_URL_MALFORMAT, CDX_T_LOCAL},
    {CURLE_BAD_FUNCTION_ARGUMENT, CDX_T_LOCAL},
    {CURLE_NO_CONNECTION_AVAILABLE, CDX_T_LOCAL},
};

enum cdx_transport cdx_transport_of(int curl_code, bool connected, bool blocked)
{
    if (blocked && curl_code != CURLE_OK)
        return CDX_T_BLOCKED;
    if (curl_code == CURLE_OPERATION_TIMEDOUT)
        return connected ? CDX_T_TIMEOUT : CDX_T_DIAL_TIMEOUT;
    for (size_t i = 0; i < CDX_COUNT(codes); i++)
        if ((int)codes[i].code == curl_code)
            return codes[i].transport;
    return connected ? CDX_T_RESET : CDX_T_CONNECT;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "120" or "1.5" as milliseconds, rounded up to seconds; saturates at the cap. */
static bool seconds(struct cdx_text v, int64_t *ms)
{
    int64_t s = 0;
    size_t i = 0;

    for (; i < v.n && is_digit(v.p[i]); i++)
        if (s <= CDX_MAX_RETRY_AFTER_MS / 1000)
            s = s * 10 + (v.p[i] - '0');
    if (i == 0)
        return false;
    if (i < v.n && v.p[i] == '.') {
        bool up = false;

        for (i++; i < v.n && is_digit(v.p[i]); i++)
            up = up || v.p[i] != '0';
        s += up;
    }
    *ms = s * 1000;
    return i == v.n;
}

int64_t cdx_retry_after_ms(struct cdx_text value, int64_t wall_ms)
{
    int64_t ms;

    while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
        value = cdx_text(value.p + 1, value.n - 1);
    while (value.n > 0 && memchr(" \t\r\n", value.p[value.n - 1], 4) != NULL)
        value.n--;
    if (!seconds(value, &ms)) {
        if (!cdx_http_date_parse(value, &ms))
            return -1;
        ms = ms > wall_ms ? ms - wall_ms : 0;
    }
    return ms < CDX_MAX_RETRY_AFTER_MS ? ms : CDX_MAX_RETRY_AFTER_MS;
}
