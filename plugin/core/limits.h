/* core/limits.h -- every bound on what comes from outside, with its unit and reason. */
#ifndef CDX_CORE_LIMITS_H
#define CDX_CORE_LIMITS_H

/* A source record: larger ones are dead letters. Half of what `topics` allows, so that a notification about the
 * largest one (resource, Provenance, head) still fits the log. */
#define CDX_MAX_RECORD_BYTES (16u << 20)
/* max.message.bytes of notifications and dead letters (design section 3), matched by our producers. */
#define CDX_MAX_MESSAGE_BYTES 33554432
/* Nesting of JSON: FHIR resources stay below 40; each level costs the reader one stack slot. */
#define CDX_MAX_JSON_DEPTH 128
/* Values in one record: an index slot is 24 bytes, so 2 million stay below 48 MiB. */
#define CDX_MAX_JSON_NODES 2000000u
/* One event's arena: index, decoded text and renderings of one record of the largest size. */
#define CDX_MAX_ARENA_BYTES (256u << 20)
/* Entries of one Bundle that we take as changes. */
#define CDX_MAX_BUNDLE_ENTRIES 50000u
/* Ids are 1..64 of [A-Za-z0-9.-] (FHIR R4 2.24 id). */
#define CDX_MAX_ID_BYTES 64
/* Patients that one event may name; more than this is no member event but a list. */
#define CDX_MAX_EVENT_MEMBERS 64
/* Subscriptions remembered as receivers of a resource's last version (trigger state). */
#define CDX_MAX_RECEIVERS 10000
/* Filters of one Subscription, values of one or-list, tuples that one Subscription may take in the index. */
#define CDX_MAX_FILTERS 16
#define CDX_MAX_FILTER_VALUES 64
/* One value of a filter: a system URI and a code, with room. */
#define CDX_MAX_FILTER_VALUE_BYTES 1024
#define CDX_MAX_FILTER_TUPLES 256
/* A Subscription resource as a file or record. */
#define CDX_MAX_SUBSCRIPTION_BYTES (1u << 20)
/* Marks kept in a cursor: one per 1000 events, thinned to every second when full, so they span any backlog. */
#define CDX_MARK_EVERY 1000
#define CDX_MAX_MARKS 32
/* Live queue of one subscription, and of all of them (delivery.md 2.4). */
#define CDX_MAX_QUEUE_EVENTS 256
#define CDX_MAX_QUEUE_BYTES (4u << 20)
#define CDX_MAX_QUEUES_BYTES (16u << 20)
/* One notification body; events beyond the soft bound start the next (delivery.md 6). */
#define CDX_MAX_BATCH_BYTES (1u << 20)
#define CDX_MAX_BATCH_EVENTS 100
#define CDX_MAX_BODY_BYTES (CDX_MAX_MESSAGE_BYTES + (1u << 20))
/* Response bytes read of an endpoint before the connection is closed (delivery.md 6). */
#define CDX_MAX_RESPONSE_BYTES (64u << 10)
/* channel.header entries and their bytes. */
#define CDX_MAX_HEADERS 16
#define CDX_MAX_HEADER_BYTES 4096

#endif
