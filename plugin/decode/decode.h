/*
 * decode/decode.h -- which changes are in this record?
 *
 * Pure: record in, changes out, memory from the event's arena. Formats are rows of one table; `fhir` and `auto` today
 * (auto detects by the order of the formats' own marks and takes what it finds; a format it knows by sight but cannot
 * read yet is an error that names it).
 */
#ifndef CDX_DECODE_DECODE_H
#define CDX_DECODE_DECODE_H

#include "core/err.h"
#include "core/text.h"

struct cdx_arena;   /* core/arena.h */
struct cdx_changes; /* model/change.h */
struct cdx_record;  /* model/record.h */

/* True when `format` is a row of the table. */
bool cdx_decode_knows(struct cdx_text format);

/**
 * base: the source's FHIR base, without a trailing '/'; borrowed by the changes.
 * Shapes: one resource (UPSERT); a Bundle of type transaction, batch, collection, history, searchset (each entry is a
 * change; history is newest first and is turned round; PUT and PATCH with a body UPSERT unless response.status says 201
 * (CREATE) or 200 (UPDATE); POST CREATE; DELETE a delete; GET, HEAD and search entries of mode outcome are no change,
 * nor is a PATCH without a resource an error: it names one that cannot be read, INPUT); a tombstone whose key is
 * `Type/id` (or an absolute URL or JSON string of it) a delete. A tombstone with another key is INPUT. A Bundle whose
 * first entry is a SubscriptionStatus or a Parameters of a notification is INPUT: it is one already.
 * A request of any kind is honoured in any of these types; transaction, batch and history must have one. An entry whose
 * response.status is 4xx or 5xx is no change. A POST must be to the resource's type (an operation is INPUT). An absolute
 * URL is one under `base`, or INPUT. In a history a URL may name the version, which is then that of the change. `index`
 * is the entry's place in the Bundle; `urns` are the entries' fullUrls that begin with urn:, and two resources with one
 * are INPUT. meta.versionId must be an id. `auto` also takes FHIR JSON behind a schema registry's five byte frame.
 * A resource must have resourceType and a valid id (a POST entry of a transaction may be known by its urn:uuid alone: then
 * INPUT too, since nobody knows its id); PUT/DELETE urls must agree with the resource.
 * One bad entry makes the whole record INPUT: a record is wholly in the log or wholly not.
 * Errors: CDX_INPUT; the text says what, at which byte or entry, and what to do, with no content of the record. The caller adds topic/partition/offset.
 * Thread: any.
 */
enum cdx_code cdx_decode(struct cdx_text format, const struct cdx_record *rec, struct cdx_text base,
                         struct cdx_arena *arena, struct cdx_changes *out,
                         struct cdx_err *err) CDX_MUST_CHECK;

#endif
