/* core/digest.c -- OpenSSL for SHA, xxHash for tables; murmur2 is Kafka's own and short enough to stand here. */
#include "core/digest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const struct cdx_uuid cdx_uuid_url = {{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4,
                                       0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

/* -- OpenSSL: algorithms are looked up once, contexts kept a thread; both cost more than the hashing of a short text ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts;
static EVP_MD *sha1, *sha256;

static void free_context(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void look_up(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (pthread_key_create(&contexts, free_context) != 0)
        sha1 = sha256 = NULL; /* every digest fails then, with a sentence */
}

static EVP_MD_CTX *context(void)
{
    EVP_MD_CTX *ctx = pthread_getspecific(contexts);

    if (ctx != NULL)
        return ctx;
    ctx = EVP_MD_CTX_new();
    if (ctx != NULL && pthread_setspecific(contexts, ctx) != 0) {
        EVP_MD_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* The digest of two texts one behind the other. */
static bool digest(EVP_MD *const *md, struct cdx_text a, struct cdx_text b, unsigned char *out)
{
    EVP_MD_CTX *ctx;

    pthread_once(&once, look_up);
    ctx = *md != NULL ? context() : NULL;
    return ctx != NULL && EVP_DigestInit_ex2(ctx, *md, NULL) == 1 &&
           EVP_DigestUpdate(ctx, a.p, a.n) == 1 && EVP_DigestUpdate(ctx, b.p, b.n) == 1 &&
           EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

enum cdx_code cdx_uuid5(const struct cdx_uuid *ns, struct cdx_text name, struct cdx_uuid *out,
                        struct cdx_err *err)
{
    unsigned char md[SHA_DIGEST_LENGTH];

    if (!digest(&sha1, cdx_text((const char *)ns->b, sizeof ns->b), name, md))
        return cdx_fail(err, CDX_NOMEM, "core: uuid5");
    memcpy(out->b, md, 16);
    out->b[6] = (unsigned char)((out->b[6] & 0x0f) | 0x50);
    out->b[8] = (unsigned char)((out->b[8] & 0x3f) | 0x80);
    return CDX_OK;
}

static void hex(const unsigned char *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
}

const char *cdx_uuid_text(const struct cdx_uuid *u, char out[CDX_UUID_BYTES])
{
    static const int groups[] = {4, 2, 2, 2, 6};
    char *p = out;
    const unsigned char *b = u->b;

    for (size_t g = 0; g < CDX_COUNT(groups); g++) {
        hex(b, (size_t)groups[g], p);
        p += 2 * groups[g];
        b += groups[g];
        *p++ = '-';
    }
    p[-1] = '\0';
    return out;
}

const char *cdx_webhook_id(const struct cdx_uuid *u, char out[CDX_WEBHOOK_ID_BYTES])
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    int have = 0;
    char *p = out + 4;

    memcpy(out, "msg_", 4);
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | u->b[i];
        for (have += 8; have >= 5; have -= 5)
            *p++ = digit[bits >> (have - 5) & 31];
    }
    *p++ = digit[bits << (5 - have) & 31]; /* 128 bits leave three */
    *p = '\0';
    return out;
}

enum cdx_code cdx_sha256_hex(const void *p, size_t n, char out[65], struct cdx_err *err)
{
    unsigned char md[SHA256_DIGEST_LENGTH];

    if (!digest(&sha256, cdx_text(p, n), cdx_text(NULL, 0), md))
        return cdx_fail(err, CDX_NOMEM, "core: sha256");
    hex(md, sizeof md, out);
    out[64] = '\0';
    return CDX_OK;
}

uint64_t cdx_hash(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p != NULL ? p : "", n, seed);
}

int32_t cdx_partition_of(struct cdx_text key, int32_t partitions)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *b = (const unsigned char *)key.p;
    size_t n = key.n;
    uint32_t h = 0x9747b28c ^ (uint32_t)n;

    for (; n >= 4; n -= 4, b += 4) {
        uint32_t k =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    switch (n) {
    case 3: h ^= (uint32_t)b[2] << 16; /* fall through */
    case 2: h ^= (uint32_t)b[1] << 8;  /* fall through */
    case 1: h = (h ^ b[0]) * m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)((h & 0x7fffffff) % (uint32_t)partitions);
}
