/* decode/formats.h -- private to decode/: the formats behind the table, and what they share. */
#ifndef CDX_DECODE_FORMATS_H
#define CDX_DECODE_FORMATS_H

#include "fhir/json.h"
#include "model/change.h"
#include "model/record.h"

struct cdx_arena; /* core/arena.h */

/* What every reader of one record is given. */
struct cdx_decoding {
    const struct cdx_record *rec;
    struct cdx_text base;
    struct cdx_arena *arena;
    struct cdx_changes *out; /* written on CDX_OK only */
};

/*
 * decode/fhir.c: FHIR JSON, or a tombstone. Errors: as cdx_decode. Thread: any, as for all below.
 */
enum cdx_code cdx_decode_fhir(const struct cdx_decoding *d, struct cdx_err *err) CDX_MUST_CHECK;
/* The same for a value that is indexed already; `j` is in the arena. */
enum cdx_code cdx_decode_fhir_json(const struct cdx_decoding *d, const struct cdx_json *j,
                                   struct cdx_err *err) CDX_MUST_CHECK;
/* decode/bundle.c: a Bundle as root of `j`. */
enum cdx_code cdx_decode_bundle(const struct cdx_decoding *d, const struct cdx_json *j,
                                struct cdx_err *err) CDX_MUST_CHECK;
/* decode/auto.c: looks first. */
enum cdx_code cdx_decode_auto(const struct cdx_decoding *d, struct cdx_err *err) CDX_MUST_CHECK;

/**
 * The resource at `root` as an upsert, index 0. `where` stands before the sentence of an error (""
 * or "Bundle.entry[3]: "). Errors: CDX_INPUT, it has no type or id or its meta cannot be used.
 */
enum cdx_code cdx_decode_resource(const struct cdx_decoding *d, const struct cdx_json *j,
                                  cdx_node root, const char *where, struct cdx_change *out,
                                  struct cdx_err *err) CDX_MUST_CHECK;

/* A string's characters, empty when `v` is no string. Errors: CDX_NOMEM. */
enum cdx_code cdx_decode_text(const struct cdx_decoding *d, const struct cdx_json *j, cdx_node v,
                              struct cdx_text *out, struct cdx_err *err) CDX_MUST_CHECK;

/* `url` without the source's base and the '/' behind it; as it is when it does not begin so. */
struct cdx_text cdx_decode_relative(struct cdx_text url, struct cdx_text base);

/*
 * Indexes a value into the arena; a byte order mark before it (RFC 8259 section 8.1) is passed
 * over.
 */
enum cdx_code cdx_decode_index(const struct cdx_decoding *d, struct cdx_text value,
                               const struct cdx_json **out, struct cdx_err *err) CDX_MUST_CHECK;

#endif
