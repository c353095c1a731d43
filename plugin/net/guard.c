/*
 * net/guard.c -- which addresses may be dialled?
 *
 * In:    a URL before anything is dialled; then the socket address that is really dialled.
 * Out:   yes, or a sentence that says why not and what the operator may do.
 * Owns:  the parsed networks; built once, only read afterwards, so any thread may ask.
 *
 * The hard thing is that one IPv4 address has many spellings: inside an IPv6 address (mapped, NAT64, 6to4) and as text
 * ("0x7f.1"). So an address is judged in binary, embedded ones by the address inside, and a host whose last label is a
 * number must be a plain dotted quad. Not a list of refused host names: what a name means is only known when it is
 * dialled, and may be something else a second later.
 */
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define MAX_HOST_BYTES 253 /* RFC 1035 2.3.4, in text */
#define MAX_LABEL_BYTES 63
#define MAX_URL_BYTES 4096 /* more than any proxy takes */
#define MAX_CIDR_BYTES 64

struct network {
    int family; /* AF_INET or AF_INET6; a mapped IPv4 network is AF_INET */
    uint8_t b[16];
    unsigned prefix; /* bits */
};

struct address {
    int family;
    uint8_t b[16];
    uint16_t port;
};

/* delivery.md 8, and three that the IANA registries call deprecated or translation-only. */
static const struct {
    const char *cidr, *what;
} special[] = {
    {"0.0.0.0/8", "this network"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "carrier NAT"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "protocol assignments"},
    {"192.0.2.0/24", "documentation"},
    {"192.88.99.0/24", "6to4 relays"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved or broadcast"},
    {"::/96", "unspecified, loopback or IPv4-compatible"},
    {"::ffff:0:0:0/96", "IPv4-translated"},
    {"64:ff9b:1::/48", "local NAT64"},
    {"100::/64", "discard-only"},
    {"2001::/23", "protocol assignments"},
    {"2001:db8::/32", "documentation"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "unique local"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};

/* IPv6 networks that carry an IPv4 address: refused unless allowed, and then the inner one is judged too. */
static const struct {
    const char *cidr;
    size_t at; /* of the inner address, bytes */
} tunnels[] = {
    {"64:ff9b::/96", 12}, /* NAT64, RFC 6052 */
    {"2002::/16", 2},     /* 6to4, RFC 3056 */
};

struct cdx_guard {
    bool http;
    struct network special[CDX_COUNT(special)];
    struct network tunnels[CDX_COUNT(tunnels)];
    size_t allow_n;
    struct network allow[];
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* ::ffff:0:0/96 */

/* "a.b.c.d/n", "x::y/n", or one address without "/n". */
static bool network_parse(const char *cidr, struct network *out)
{
    char host[MAX_CIDR_BYTES];
    const char *slash = strchr(cidr, '/');
    size_t n = slash != NULL ? (size_t)(slash - cidr) : strlen(cidr);
    unsigned bits, prefix = 0;

    if (n >= sizeof host)
        return false;
    memcpy(host, cidr, n);
    host[n] = '\0';
    out->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    memset(out->b, 0, sizeof out->b);
    if (inet_pton(out->family, host, out->b) != 1)
        return false;
    bits = out->family == AF_INET ? 32 : 128;
    if (slash == NULL) {
        prefix = bits;
    } else {
        if (slash[1] == '\0' || strlen(slash + 1) > 3)
            return false;
        for (const char *p = slash + 1; *p != '\0'; p++) {
            if (*p < '0' || *p > '9')
                return false;
            prefix = prefix * 10 + (unsigned)(*p - '0');
        }
    }
    if (prefix > bits)
        return false;
    if (out->family == AF_INET6 && prefix >= 96 && memcmp(out->b, mapped, sizeof mapped) == 0) {
        memmove(out->b, out->b + 12, 4);
        out->family = AF_INET;
        prefix -= 96;
    }
    out->prefix = prefix;
    return true;
}

static bool network_has(const struct network *net, const struct address *a)
{
    unsigned whole = net->prefix / 8, rest = net->prefix % 8;

    if (net->family != a->family || memcmp(net->b, a->b, whole) != 0)
        return false;
    return rest == 0 || ((net->b[whole] ^ a->b[whole]) & (0xffu << (8 - rest)) & 0xffu) == 0;
}

struct cdx_guard *cdx_guard_create(const char *const *allow, size_t n, bool http,
                                   struct cdx_err *err)
{
    struct cdx_guard *guard = calloc(1, sizeof *guard + n * sizeof guard->allow[0]);

    if (guard == NULL) {
        cdx_fail(err, CDX_NOMEM, "net: dial guard");
        return NULL;
    }
    guard->http = http;
    guard->allow_n = n;
    for (size_t i = 0; i < CDX_COUNT(special); i++)
        (void)network_parse(special[i].cidr, &guard->special[i]);
    for (size_t i = 0; i < CDX_COUNT(tunnels); i++)
        (void)network_parse(tunnels[i].cidr, &guard->tunnels[i]);
    for (size_t i = 0; i < n; i++) {
        if (network_parse(allow[i], &guard->allow[i]))
            continue;
        cdx_fail(
            err, CDX_CONFIG,
            "push.allow[%zu]: '%.64s' is no network; write it like 10.20.0.0/16 or fd00:20::/32", i,
            allow[i]);
        cdx_guard_destroy(guard);
        return NULL;
    }
    return guard;
}

void cdx_guard_destroy(struct cdx_guard *guard)
{
    free(guard);
}

static bool address_of(const struct sockaddr *sa, struct address *out)
{
    memset(out, 0, sizeof *out);
    out->family = sa->sa_family;
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;

        memcpy(out->b, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;

        memcpy(out->b, &v6->sin6_addr, 16);
        out->port = ntohs(v6->sin6_port);
        if (memcmp(out->b, mapped, sizeof mapped) == 0) {
            memmove(out->b, out->b + 12, 4);
            out->family = AF_INET;
        }
        return true;
    }
    return false;
}

static bool allowed(const struct cdx_guard *guard, const struct address *a)
{
    for (size_t i = 0; i < guard->allow_n; i++)
        if (network_has(&guard->allow[i], a))
            return true;
    return false;
}

/* What kind of special network this address is in; NULL: none, or an allowed one. */
static const char *special_kind(const struct cdx_guard *guard, const struct address *a)
{
    if (allowed(guard, a))
        return NULL;
    for (size_t i = 0; i < CDX_COUNT(special); i++)
        if (network_has(&guard->special[i], a))
            return special[i].what;
    return NULL;
}

static const char *address_kind(const struct cdx_guard *guard, const struct address *a)
{
    for (size_t i = 0; i < CDX_COUNT(tunnels); i++) {
        struct address inner = {.family = AF_INET, .port = a->port};

        if (!network_has(&guard->tunnels[i], a))
            continue;
        if (!allowed(guard, a))
            return "an IPv4 address inside IPv6";
        memcpy(inner.b, a->b + tunnels[i].at, 4);
        return special_kind(guard, &inner);
    }
    return special_kind(guard, a);
}

enum cdx_code cdx_guard_address(const struct cdx_guard *guard, const struct sockaddr *address,
                                bool tls, struct cdx_err *err)
{
    struct address a;
    char text[INET6_ADDRSTRLEN] = "";
    const char *kind;
    bool ours;

    if (!address_of(address, &a))
        return cdx_fail(err, CDX_CONFIG,
                        "push: neither an IPv4 nor an IPv6 address; it is not dialled");
    kind = address_kind(guard, &a);
    ours = allowed(guard, &a);
    if (kind == NULL && (tls || (guard->http && ours)) && (ours || a.port == 443 || a.port == 8443))
        return CDX_OK;
    (void)inet_ntop(a.family, a.b, text, sizeof text);
    if (kind != NULL)
        return cdx_fail(
            err, CDX_CONFIG,
            "push: %s is not dialled (%s); name its network in push.allow if it should be", text,
            kind);
    if (!tls)
        return cdx_fail(
            err, CDX_CONFIG,
            "push: plain http to %s is refused; use https, or set push.http and name the network in push.allow",
            text);
    return cdx_fail(
        err, CDX_CONFIG,
        "push: port %u of %s is refused; use 443 or 8443, or name the network in push.allow",
        a.port, text);
}

/* A URL's parts, borrowed from it. */
struct parts {
    bool tls;
    bool v6;              /* host stood in brackets */
    struct cdx_text host; /* without brackets */
    struct cdx_text port; /* digits; p NULL: none given */
};

static bool scheme_is(struct cdx_text url, const char *scheme)
{
    size_t n = strlen(scheme);

    return url.n > n && strncasecmp(url.p, scheme, n) == 0;
}

static bool printable(struct cdx_text url)
{
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f || url.p[i] == '\\')
            return false;
    return true;
}

/* RFC 3986 3.2, and strict: what two parsers might read differently is refused. */
static enum cdx_code split(struct cdx_text url, struct parts *out, struct cdx_err *err)
{
    const char *p, *end, *stop, *colon;

    if (url.n == 0 || url.n > MAX_URL_BYTES || !printable(url))
        return cdx_fail(err, CDX_CONFIG,
                        "push: the URL is empty, longer than %d bytes, or has blanks, '\\' or "
                        "non-ASCII characters; write it percent-encoded and the host in punycode",
                        MAX_URL_BYTES);
    out->tls = scheme_is(url, "https://");
    if (!out->tls && !scheme_is(url, "http://"))
        return cdx_fail(err, CDX_CONFIG, "push: the URL does not start with https:// and a host");
    if (memchr(url.p, '#', url.n) != NULL)
        return cdx_fail(err, CDX_CONFIG, "push: the URL has a fragment ('#'); leave it out");
    p = url.p + (out->tls ? 8 : 7);
    end = url.p + url.n;
    for (stop = p; stop < end && *stop != '/' && *stop != '?'; stop++)
        ;
    if (memchr(p, '@', (size_t)(stop - p)) != NULL)
        return cdx_fail(err, CDX_CONFIG,
                        "push: the URL has a user name or password; send them in channel.header");
    out->v6 = p < stop && *p == '[';
    if (out->v6) {
        const char *close = memchr(p, ']', (size_t)(stop - p));

        if (close == NULL)
            return cdx_fail(err, CDX_CONFIG, "push: the URL's host lacks its ']'");
        out->host = cdx_text(p + 1, (size_t)(close - p - 1));
        p = close + 1;
        colon = p < stop ? p : NULL;
    } else {
        colon = memchr(p, ':', (size_t)(stop - p));
        out->host = cdx_text(p, (size_t)((colon != NULL ? colon : stop) - p));
    }
    out->port = colon != NULL ? cdx_text(colon, (size_t)(stop - colon)) : cdx_text(NULL, 0);
    return CDX_OK;
}

/* ":8443" -> 8443. */
static bool port_parse(struct cdx_text text, uint16_t *out)
{
    unsigned v = 0;

    if (text.n < 2 || text.n > 6 || text.p[0] != ':' || text.p[1] == '0')
        return false;
    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    *out = (uint16_t)v;
    return v >= 1 && v <= 65535;
}

static bool label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Letters, digits, '-', '_' in non-empty labels; one final dot may stand. */
static bool name_ok(struct cdx_text host)
{
    size_t label = 0;

    if (host.n == 0 || host.n > MAX_HOST_BYTES)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!label_char(host.p[i]) || ++label > MAX_LABEL_BYTES) {
            return false;
        }
    }
    return true;
}

/* Would some resolver read this as a number? Then its last label is digits or 0x and hex digits. */
static bool ends_in_number(struct cdx_text host)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    size_t end = host.p[host.n - 1] == '.' ? host.n - 1 : host.n, at = end;
    bool hexed, digits = true;

    while (at > 0 && host.p[at - 1] != '.')
        at--;
    hexed = end - at >= 2 && host.p[at] == '0' && (host.p[at + 1] | 0x20) == 'x';
    for (size_t i = at; i < end; i++) {
        digits = digits && host.p[i] >= '0' && host.p[i] <= '9';
        hexed = hexed && (i < at + 2 || memchr(hex, host.p[i], sizeof hex - 1) != NULL);
    }
    return digits || hexed;
}

/* Is the host an address? Then `out` has it. CDX_CONFIG: neither a name nor a plain address. */
static enum cdx_code host_parse(const struct parts *u, uint16_t port, struct sockaddr_storage *out,
                                bool *literal, struct cdx_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    char host[MAX_HOST_BYTES + 1];

    memset(out, 0, sizeof *out);
    *literal = false;
    if (u->host.n > MAX_HOST_BYTES || (!u->v6 && !name_ok(u->host)))
        return cdx_fail(err, CDX_CONFIG, "push: the URL's host is no DNS name and no address");
    memcpy(host, u->host.p, u->host.n);
    host[u->host.n] = '\0';
    if (u->v6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
            return cdx_fail(err, CDX_CONFIG,
                            "push: the URL's host is no IPv6 address (a zone is not taken)");
        *literal = true;
    } else if (ends_in_number(u->host)) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
            return cdx_fail(
                err, CDX_CONFIG,
                "push: the URL's host %s is an odd spelling of a number; write a name or "
                "four decimal numbers",
                host);
        *literal = true;
    }
    return CDX_OK;
}

enum cdx_code cdx_guard_url(const struct cdx_guard *guard, struct cdx_text url, struct cdx_err *err)
{
    struct parts u = {0};
    struct sockaddr_storage address;
    bool literal;
    uint16_t port;
    enum cdx_code rc = split(url, &u, err);

    if (rc != CDX_OK)
        return rc;
    port = u.tls ? 443 : 80;
    if (u.port.p != NULL && !port_parse(u.port, &port))
        return cdx_fail(err, CDX_CONFIG, "push: the URL's port is not a number from 1 to 65535");
    rc = host_parse(&u, port, &address, &literal, err);
    if (rc != CDX_OK)
        return rc;
    if (literal)
        return cdx_guard_address(guard, (const struct sockaddr *)&address, u.tls, err);
    /* A name may turn out to lie in an allowed network; where none is, it cannot. */
    if (!u.tls && (!guard->http || guard->allow_n == 0))
        return cdx_fail(err, CDX_CONFIG, "push: plain http to %.*s is refused; use https",
                        CDX_TEXT(u.host));
    if (port != 443 && port != 8443 && guard->allow_n == 0)
        return cdx_fail(err, CDX_CONFIG, "push: port %u of %.*s is refused; use 443 or 8443", port,
                        CDX_TEXT(u.host));
    return CDX_OK;
}
