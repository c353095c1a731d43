/* core/digest.h -- names made of content: SHA-256, UUIDv5, base32, and the hashes that tables and partitions use. */
#ifndef CDX_CORE_DIGEST_H
#define CDX_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_uuid {
    unsigned char b[16];
};

#define CDX_UUID_BYTES 37 /* text with its NUL */

/* RFC 9562 namespace for URLs. */
extern const struct cdx_uuid cdx_uuid_url;

/* UUIDv5 (RFC 9562 5.5): SHA-1 of namespace and name. Thread: any. CDX_NOMEM when OpenSSL fails. */
enum cdx_code cdx_uuid5(const struct cdx_uuid *ns, struct cdx_text name, struct cdx_uuid *out,
                        struct cdx_err *err) CDX_MUST_CHECK;
/* Lower-case text. Returns out. Thread: any. */
const char *cdx_uuid_text(const struct cdx_uuid *u, char out[CDX_UUID_BYTES]);
/* "msg_" and base32 (RFC 4648, no padding) of the 16 bytes: 30 characters (design 4.3). */
#define CDX_WEBHOOK_ID_BYTES 32
const char *cdx_webhook_id(const struct cdx_uuid *u, char out[CDX_WEBHOOK_ID_BYTES]);

/* Lower-case hex SHA-256 of the bytes as they came; 65 bytes with NUL. Thread: any. */
enum cdx_code cdx_sha256_hex(const void *p, size_t n, char out[65],
                             struct cdx_err *err) CDX_MUST_CHECK;

/* A fast 64-bit hash for tables in memory; never persisted. Thread: any. */
uint64_t cdx_hash(const void *p, size_t n, uint64_t seed);
/* Kafka's default partitioner hash (murmur2, positive), modulo partitions. Thread: any. */
int32_t cdx_partition_of(struct cdx_text key, int32_t partitions);

#endif
