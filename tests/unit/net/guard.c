/* tests/unit/net/guard.c -- delivery.md 8 SSRF: what is dialled, what is not, and what an operator may open. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/guard.h"

static struct cdx_guard *make(const char *const *allow, size_t n, bool http)
{
    struct cdx_err err = {0};
    struct cdx_guard *guard = cdx_guard_create(allow, n, http, &err);

    CU_ASSERT_PTR_NOT_NULL_FATAL(guard);
    return guard;
}

static enum cdx_code dial(const struct cdx_guard *guard, const char *ip, uint16_t port, bool tls,
                          struct cdx_err *err)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&sa;

    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
    } else {
        CU_ASSERT_FATAL(inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
    }
    return cdx_guard_address(guard, (const struct sockaddr *)&sa, tls, err);
}

static bool open_to(const struct cdx_guard *guard, const char *ip, uint16_t port, bool tls)
{
    return dial(guard, ip, port, tls, NULL) == CDX_OK;
}

/* First and last address of each network of the list, delivery.md 8 "Deny". */
static void special_networks_are_not_dialled(void)
{
    static const char *const denied[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "2001::",
        "2001:1ff:ffff::",
        "2001:db8::",
        "2001:db8:ffff::1",
        "3fff::",
        "3fff:fff:ffff::1",
        "5f00::",
        "5f00:ffff::1",
        "fc00::",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff00::",
        "ffff::1",
    };
    struct cdx_guard *guard = make(NULL, 0, false);

    for (size_t i = 0; i < CDX_COUNT(denied); i++) {
        CU_ASSERT_EQUAL(dial(guard, denied[i], 443, true, NULL), CDX_CONFIG);
        if (open_to(guard, denied[i], 443, true))
            CU_FAIL(denied[i]);
    }
    cdx_guard_destroy(guard);
}

/* The addresses right beside those networks are public. */
static void their_neighbours_are_dialled(void)
{
    static const char *const public[] = {
        "1.0.0.0",          "9.255.255.255", "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
        "126.255.255.255",  "128.0.0.0",     "169.253.255.255", "169.255.0.0",     "172.15.255.255",
        "172.32.0.0",       "192.0.1.0",     "192.0.3.0",       "192.88.98.255",   "192.88.100.0",
        "192.167.255.255",  "192.169.0.0",   "198.17.255.255",  "198.20.0.0",      "198.51.99.255",
        "198.51.101.0",     "203.0.112.255", "203.0.114.0",     "223.255.255.255", "2001:200::1",
        "2001:db7:ffff::1", "2001:db9::1",   "2003::1",         "2606:4700::1111", "3ffe:ffff::1",
        "3fff:1000::1",
    };
    struct cdx_guard *guard = make(NULL, 0, false);

    for (size_t i = 0; i < CDX_COUNT(public); i++)
        if (!open_to(guard, public[i], 443, true))
            CU_FAIL(public[i]);
    CU_ASSERT_TRUE(open_to(guard, "93.184.216.34", 8443, true));
    cdx_guard_destroy(guard);
}

/* ::ffff:0:0/96: judge the inner v4; 64:ff9b::/96 and 2002::/16: deny by default, then judge the inner one. */
static void an_embedded_v4_address_is_judged_by_itself(void)
{
    static const char *const tunnels[] = {"64:ff9b::/96", "2002::/16"};
    struct cdx_guard *guard = make(NULL, 0, false), *through = make(tunnels, 2, false);

    CU_ASSERT_TRUE(open_to(guard, "::ffff:93.184.216.34", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "::ffff:127.0.0.1", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "::ffff:169.254.169.254", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "::127.0.0.1", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "::ffff:0:7f00:1", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "64:ff9b::5db8:d822", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "2002:5db8:d822::1", 443, true));
    CU_ASSERT_TRUE(open_to(through, "64:ff9b::5db8:d822", 443, true));
    CU_ASSERT_FALSE(open_to(through, "64:ff9b::7f00:1", 443, true));
    CU_ASSERT_TRUE(open_to(through, "2002:5db8:d822::1", 443, true));
    CU_ASSERT_FALSE(open_to(through, "2002:a00:1::1", 443, true));
    cdx_guard_destroy(guard);
    cdx_guard_destroy(through);
}

/* design 7: "networks that may be dialled, on any port". */
static void an_allowed_network_is_dialled_on_any_port(void)
{
    static const char *const allow[] = {"10.20.0.0/16", "::1/128", "127.0.0.1", "fd00:20::/33",
                                        "::ffff:172.16.0.0/108"};
    struct cdx_guard *guard = make(allow, CDX_COUNT(allow), false);

    CU_ASSERT_TRUE(open_to(guard, "10.20.255.255", 9000, true));
    CU_ASSERT_TRUE(open_to(guard, "::ffff:10.20.0.1", 9000, true));
    CU_ASSERT_FALSE(open_to(guard, "10.21.0.0", 443, true));
    CU_ASSERT_TRUE(open_to(guard, "::1", 1, true));
    CU_ASSERT_TRUE(open_to(guard, "127.0.0.1", 8080, true));
    CU_ASSERT_FALSE(open_to(guard, "127.0.0.2", 443, true));
    CU_ASSERT_TRUE(open_to(guard, "fd00:20:7fff::1", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "fd00:20:8000::1", 443, true));
    CU_ASSERT_TRUE(open_to(guard, "172.31.0.1", 443, true));
    CU_ASSERT_FALSE(open_to(guard, "93.184.216.34", 9000, true));
    CU_ASSERT_FALSE(open_to(guard, "93.184.216.34", 80, true));
    cdx_guard_destroy(guard);
}

/* design 7: "push.http allows plain http there, and only there". */
static void plain_http_needs_the_switch_and_an_allowed_network(void)
{
    static const char *const allow[] = {"127.0.0.0/8"};
    struct cdx_guard *no_switch = make(allow, 1, false), *both = make(allow, 1, true),
                     *no_net = make(NULL, 0, true);
    struct cdx_err err = {0};

    CU_ASSERT_FALSE(open_to(no_switch, "127.0.0.1", 80, false));
    CU_ASSERT_TRUE(open_to(both, "127.0.0.1", 80, false));
    CU_ASSERT_FALSE(open_to(both, "93.184.216.34", 443, false));
    CU_ASSERT_FALSE(open_to(no_net, "93.184.216.34", 443, false));
    CU_ASSERT_EQUAL(dial(no_net, "93.184.216.34", 443, false, &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "push.http"));
    cdx_guard_destroy(no_switch);
    cdx_guard_destroy(both);
    cdx_guard_destroy(no_net);
}

static void an_error_names_the_address_and_the_option(void)
{
    struct cdx_guard *guard = make(NULL, 0, false);
    struct cdx_err err = {0}, port = {0}, other = {0};
    struct sockaddr_un path = {.sun_family = AF_UNIX};

    CU_ASSERT_EQUAL(dial(guard, "10.1.2.3", 443, true, &err), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "10.1.2.3"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "push.allow"));
    CU_ASSERT_EQUAL(dial(guard, "93.184.216.34", 22, true, &port), CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(port.text, "22"));
    CU_ASSERT_EQUAL(cdx_guard_address(guard, (const struct sockaddr *)&path, true, &other),
                    CDX_CONFIG);
    cdx_guard_destroy(guard);
}

static void a_network_that_cannot_be_read_is_named(void)
{
    static const char *const bad[] = {
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/a",
        "10.0.0/8",
        "::1/129",
        "::1/1000",
        "",
        "/8",
        "localhost",
        "010.0.0.0/8",
        "10.0.0.0/-1",
        "fe80::1%eth0/10",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/1",
    };

    for (size_t i = 0; i < CDX_COUNT(bad); i++) {
        const char *allow[] = {"10.0.0.0/8", bad[i]};
        struct cdx_err err = {0};

        CU_ASSERT_PTR_NULL(cdx_guard_create(allow, 2, false, &err));
        CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "push.allow[1]"));
    }
}

static bool url_ok(const struct cdx_guard *guard, const char *url)
{
    return cdx_guard_url(guard, cdx_text_z(url), NULL) == CDX_OK;
}

static void a_plain_https_url_passes(void)
{
    static const char *const good[] = {
        "https://hooks.payer.example",
        "https://hooks.payer.example/",
        "https://hooks.payer.example./a?b=c@d:e",
        "HTTPS://Hooks.Payer.Example:8443/a/b%20c",
        "https://93.184.216.34/",
        "https://[2606:4700::1111]/x",
        "https://[2606:4700::1111]:8443",
        "https://xn--mnchen-3ya.example/",
        "https://1a.2b.example:443?q",
        "https://a_b.c-d",
        "https://0x7f.example/",
        "https://0xfg/",
    };
    struct cdx_guard *guard = make(NULL, 0, false);

    for (size_t i = 0; i < CDX_COUNT(good); i++)
        if (!url_ok(guard, good[i]))
            CU_FAIL(good[i]);
    cdx_guard_destroy(guard);
}

/* delivery.md 8: "Reject userinfo in URLs, fragments, hosts that are numeric in odd notations". */
static void a_url_that_could_be_read_in_two_ways_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "https://",
        "https:///a",
        "http://hooks.payer.example/",
        "ftp://hooks.payer.example/",
        "hooks.payer.example",
        "https:/hooks",
        "https://user@hooks.payer.example/",
        "https://user:pw@hooks.payer.example/",
        "https://hooks.payer.example@127.0.0.1/",
        "https://hooks.payer.example/#f",
        "https://hooks.payer.example#f",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.0x1/",
        "https://1.2.3.4.5/",
        "https://093.184.216.34/",
        "https://0x/",
        "https://a.0X7F/",
        "https://256.1.1.1/",
        "https://hooks.payer.example:80/",
        "https://hooks.payer.example:/",
        "https://hooks.payer.example:0443/",
        "https://hooks.payer.example:65979/",
        "https://hooks.payer.example:123456/",
        "https://hooks.payer.example:44a/",
        "https://hooks.payer.example:443:443/",
        "https://[::1",
        "https://[::1]x/",
        "https://[::1]443/",
        "https://[2606:4700::1111%25eth0]/",
        "https://[hooks]/",
        "https://[]/",
        "https://ho oks/",
        "https://hooks\\.evil/",
        "https://ho\noks/",
        "https://ho%6Fks/",
        "https://h\xc3\xb6oks/",
        "https://.hooks/",
        "https://a..b/",
        "https://./",
        "https://a,b/",
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/",
    };
    struct cdx_guard *guard = make(NULL, 0, false);

    for (size_t i = 0; i < CDX_COUNT(bad); i++)
        if (url_ok(guard, bad[i]))
            CU_FAIL(bad[i]);
    cdx_guard_destroy(guard);
}

static void a_literal_address_in_a_url_is_judged_like_a_dialled_one(void)
{
    static const char *const allow[] = {"127.0.0.0/8", "::1"};
    struct cdx_guard *shut = make(NULL, 0, false), *open = make(allow, 2, true);
    static const char *const local[] = {
        "https://127.0.0.1:9000/", "http://127.0.0.1:9000/",     "https://[::1]:9000/",
        "http://[::1]/",           "http://[::ffff:127.0.0.1]/",
    };

    for (size_t i = 0; i < CDX_COUNT(local); i++) {
        CU_ASSERT_FALSE(url_ok(shut, local[i]));
        CU_ASSERT_TRUE(url_ok(open, local[i]));
    }
    CU_ASSERT_FALSE(url_ok(shut, "https://169.254.169.254/latest/meta-data"));
    CU_ASSERT_FALSE(url_ok(open, "https://169.254.169.254/latest/meta-data"));
    cdx_guard_destroy(shut);
    cdx_guard_destroy(open);
}

/* What a name resolves to is judged when it is dialled; before that only what no network could allow is refused. */
static void a_name_waits_for_its_address_where_networks_are_allowed(void)
{
    static const char *const allow[] = {"10.20.0.0/16"};
    struct cdx_guard *net = make(allow, 1, false), *http = make(allow, 1, true),
                     *only_http = make(NULL, 0, true);

    CU_ASSERT_TRUE(url_ok(net, "https://hooks.payer.example:9000/"));
    CU_ASSERT_FALSE(url_ok(net, "http://hooks.payer.example/"));
    CU_ASSERT_TRUE(url_ok(http, "http://hooks.payer.example/"));
    CU_ASSERT_FALSE(url_ok(only_http, "http://hooks.payer.example/"));
    cdx_guard_destroy(net);
    cdx_guard_destroy(http);
    cdx_guard_destroy(only_http);
}

/* guard.h: "the text holds scheme, host and port at most". */
static void the_error_of_a_url_keeps_its_path_and_password_to_itself(void)
{
    struct cdx_guard *guard = make(NULL, 0, false);
    static const char *const secret[] = {
        "https://user:s3cret@h.example/",
        "http://h.example/s3cret",
        "https://h.example:99/s3cret?s3cret",
        "https://10.0.0.1/s3cret",
        "https://127.1/s3cret",
    };

    for (size_t i = 0; i < CDX_COUNT(secret); i++) {
        struct cdx_err err = {0};

        CU_ASSERT_EQUAL(cdx_guard_url(guard, cdx_text_z(secret[i]), &err), CDX_CONFIG);
        CU_ASSERT_PTR_NULL(strstr(err.text, "s3cret"));
        CU_ASSERT_TRUE(err.text[0] != '\0');
    }
    cdx_guard_destroy(guard);
}

static void an_overlong_url_or_host_is_refused(void)
{
    static char url[5000], host[400];
    struct cdx_guard *guard = make(NULL, 0, false);

    memset(url, 'a', sizeof url);
    memcpy(url, "https://h.example/", 18);
    CU_ASSERT_EQUAL(cdx_guard_url(guard, cdx_text(url, 4096), NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_guard_url(guard, cdx_text(url, 4097), NULL), CDX_CONFIG);
    memset(host, 'a', sizeof host);
    memcpy(host, "https://", 8);
    for (size_t i = 8 + 50; i < sizeof host; i += 50)
        host[i] = '.';
    CU_ASSERT_EQUAL(cdx_guard_url(guard, cdx_text(host, 8 + 253), NULL), CDX_OK);
    CU_ASSERT_EQUAL(cdx_guard_url(guard, cdx_text(host, 8 + 254), NULL), CDX_CONFIG);
    cdx_guard_destroy(guard);
}

static CU_TestInfo tests[] = {
    {"special networks are not dialled", special_networks_are_not_dialled},
    {"their neighbours are dialled", their_neighbours_are_dialled},
    {"an embedded v4 address is judged by itself", an_embedded_v4_address_is_judged_by_itself},
    {"an allowed network is dialled on any port", an_allowed_network_is_dialled_on_any_port},
    {"plain http needs the switch and an allowed network",
     plain_http_needs_the_switch_and_an_allowed_network},
    {"an error names the address and the option", an_error_names_the_address_and_the_option},
    {"a network that cannot be read is named", a_network_that_cannot_be_read_is_named},
    {"a plain https url passes", a_plain_https_url_passes},
    {"a url that could be read in two ways is refused",
     a_url_that_could_be_read_in_two_ways_is_refused},
    {"a literal address in a url is judged like a dialled one",
     a_literal_address_in_a_url_is_judged_like_a_dialled_one},
    {"a name waits for its address where networks are allowed",
     a_name_waits_for_its_address_where_networks_are_allowed},
    {"the error of a url keeps its path and password to itself",
     the_error_of_a_url_keeps_its_path_and_password_to_itself},
    {"an overlong url or host is refused", an_overlong_url_or_host_is_refused},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_net_guard = {.pName = "net/guard", .pTests = tests};
