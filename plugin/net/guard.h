/*
 * net/guard.h -- which addresses may be dialled? (delivery.md 8 SSRF)
 *
 * Private, loopback, link-local, documentation and other special networks are refused unless the operator allows them
 * by CIDR; ports other than 443 and 8443 are refused except on allowed networks. The address that is really dialled is
 * judged, so a name that resolves elsewhere later is judged again.
 */
#ifndef CDX_NET_GUARD_H
#define CDX_NET_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct sockaddr;
struct cdx_guard; /* opaque */

/**
 * allow: CIDRs ("10.20.0.0/16", "::1/128", "127.0.0.1"); http: plain http may be used on allowed networks.
 * Returns owned or NULL (CDX_CONFIG naming the entry). Thread: one; read by any afterwards.
 */
struct cdx_guard *cdx_guard_create(const char *const *allow, size_t n, bool http,
                                   struct cdx_err *err);
void cdx_guard_destroy(struct cdx_guard *guard);

/* May this address be dialled on this port, and in plain http? Thread: any. `err` says why not (CDX_CONFIG). */
enum cdx_code cdx_guard_address(const struct cdx_guard *guard, const struct sockaddr *address,
                                bool tls, struct cdx_err *err) CDX_MUST_CHECK;

/**
 * Judge a URL before anything is dialled: https (or http where allowed at all), no userinfo, no fragment, a host that is no
 * odd spelling of a number ("0x7f.1", "2130706433", "127.1"), port allowed. A literal address is judged as above.
 * Errors: CDX_CONFIG; the text holds scheme, host and port at most.
 */
enum cdx_code cdx_guard_url(const struct cdx_guard *guard, struct cdx_text url,
                            struct cdx_err *err) CDX_MUST_CHECK;

#endif
