/*
 * fuzz/url.c -- the URL guard against any bytes: no crash, and what it lets through libcurl must read the same way.
 *
 * With nothing allowed, an accepted URL is https on 443 or 8443 without user or fragment, and a host that the C library
 * takes for a number (inet_aton: "127.1", "0x7f.1", octal) is a plain dotted quad.
 */
#include <arpa/inet.h>
#include <curl/curl.h>

#include "fuzz.h"
#include "net/guard.h"

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *out = NULL;

    return curl_url_get(u, what, &out, flags) == CURLUE_OK ? out : NULL;
}

static bool plain_number(const char *host)
{
    struct in_addr any, strict;

    return inet_aton(host, &any) == 0 ||
           (inet_pton(AF_INET, host, &strict) == 1 && any.s_addr == strict.s_addr);
}

static void agree(const char *url)
{
    CURLU *u = curl_url();
    char *host, *port, *user, *fragment, *scheme;

    if (u == NULL || curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK) {
        curl_url_cleanup(u); /* libcurl is stricter: nothing is dialled */
        return;
    }
    scheme = part(u, CURLUPART_SCHEME, 0);
    host = part(u, CURLUPART_HOST, 0);
    port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    user = part(u, CURLUPART_USER, 0);
    fragment = part(u, CURLUPART_FRAGMENT, 0);
    if (scheme == NULL || strcmp(scheme, "https") != 0 || host == NULL || !plain_number(host) ||
        user != NULL || fragment != NULL || port == NULL ||
        (strcmp(port, "443") != 0 && strcmp(port, "8443") != 0)) {
        fprintf(stderr, "accepted, but libcurl reads otherwise: %s\n", url);
        abort();
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct cdx_guard *guard; /* of the process: never freed */
    struct cdx_err err = {0};
    char *url;

    if (guard == NULL && (guard = cdx_guard_create(NULL, 0, false, NULL)) == NULL)
        abort();
    if (cdx_guard_url(guard, cdx_text((const char *)p, n), &err) != CDX_OK) {
        if (err.code != CDX_CONFIG || err.text[0] == '\0')
            abort();
        return 0;
    }
    url = strndup((const char *)p, n);
    if (url == NULL || strlen(url) != n) /* a NUL is no URL character */
        abort();
    agree(url);
    free(url);
    return 0;
}
