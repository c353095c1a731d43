/* ops/http.h -- the ops listener: /livez, /readyz, /metrics. Knows HTTP, asks its owner for every answer. */
#ifndef CDX_OPS_HTTP_H
#define CDX_OPS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

struct cdx_buf;      /* core/buf.h */
struct cdx_ops_http; /* opaque; its fields live in http.c */

/* Called in the listener's thread, one at a time; they must not block. */
struct cdx_ops_handler {
    void *arg;
    bool (*live)(void *arg); /* false: /livez answers 503 */
    bool (*ready)(void *arg, char *why,
                  size_t n); /* false: /readyz answers 503 with the sentence put into `why` */
    void (*metrics)(void *arg, struct cdx_buf *out);
};

/**
 * Listen on host (a name, an IPv4 or an IPv6 address) and port (0: any free one) and answer from a thread of its own.
 * handler is copied; its arg is borrowed until cdx_ops_http_destroy returns. At most 64 connections, each closed after 10 s
 * without traffic. Returns owned, or NULL: CDX_CONFIG (the address cannot be had; the text names it) or CDX_NOMEM.
 * Thread: main, as all below.
 */
struct cdx_ops_http *cdx_ops_http_create(const char *host, int port,
                                         const struct cdx_ops_handler *handler,
                                         struct cdx_err *err);
/* The port that it listens on. */
int cdx_ops_http_port(const struct cdx_ops_http *http);
/* Refuses new connections, waits for the answer being given, ends the thread, frees. Accepts NULL. */
void cdx_ops_http_destroy(struct cdx_ops_http *http);

#endif
