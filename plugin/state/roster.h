/*
 * state/roster.h -- who is a member of whom, now? One compressed bitmap a payer over interned member ids. Fails closed.
 *
 * Filled from cdex.rosters: key "<roster>|<member key>", value a period or a tombstone; "<roster>#" closes a load with
 * count and version. A roster without its closing record lets nobody through.
 */
#ifndef CDX_STATE_ROSTER_H
#define CDX_STATE_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_rosters; /* opaque; has its own read-write lock */

struct cdx_rosters *cdx_rosters_create(struct cdx_err *err);
void cdx_rosters_destroy(struct cdx_rosters *r);

/**
 * The id of a roster's name, made at first use (a name that no record has closed lets nobody through).
 * Without memory, or for a name that is none (empty, over 64 bytes, with '|' or '#'), it is CDX_ROSTER_NONE of
 * match/match.h, never CDX_ROSTER_ALL: a failure must not open the door. Thread: any.
 */
uint32_t cdx_rosters_id(struct cdx_rosters *r, struct cdx_text name);
/**
 * Apply one record of cdex.rosters (value.p NULL: tombstone). wall_ms: to judge periods.
 * Errors: CDX_INPUT for a record that is none (the caller logs it and goes on; a member whose value cannot be read is
 * out, a roster whose closing record cannot be read is open again). CDX_NOMEM: the roster is no longer what the topic
 * says, and too small; the caller ends or reads the topic again. Thread: one writer.
 */
enum cdx_code cdx_rosters_apply(struct cdx_rosters *r, struct cdx_text key, struct cdx_text value,
                                int64_t wall_ms, struct cdx_err *err) CDX_MUST_CHECK;
/* Periods that begin or end by now, in either direction that the clock moved. Costs nothing when none does. Thread: the writer. */
void cdx_rosters_tick(struct cdx_rosters *r, int64_t wall_ms);

/* The interned member id, UINT32_MAX: never in any roster. Ids stay for the life of the process. Thread: any. */
uint32_t cdx_rosters_member(struct cdx_rosters *r, struct cdx_text member_key);
/* Is this member in the roster now? CDX_ROSTER_ALL has every member, known or not. Thread: any. */
bool cdx_rosters_has(struct cdx_rosters *r, uint32_t roster, uint32_t member);
/* Are all these members in the roster now? all: false when n is 0. CDX_ROSTER_ALL/NONE of match.h are answered too. Thread: any. */
bool cdx_rosters_has_all(struct cdx_rosters *r, uint32_t roster, const struct cdx_text *members,
                         size_t n);
/* Members of a roster now, and whether it is closed. Thread: any. */
uint64_t cdx_rosters_count(struct cdx_rosters *r, uint32_t roster, bool *closed);

/* Every member of a roster that has a record, period passed or not; `each` must not call back into the store. Thread: the writer. */
void cdx_rosters_each(struct cdx_rosters *r, uint32_t roster,
                      void (*each)(void *arg, struct cdx_text member_key, bool has_period),
                      void *arg);

/*
 * Value of a member record: {} or {"start":"...","end":"..."}, nothing else. FHIR R4 dateTime as written; both ends are
 * inclusive with their precision (Period.end "2026-03" counts to the end of March); a date without a time zone is UTC's.
 * Judged to the second, never longer than written.
 */
/* Value of the closing record: {"count":n,"version":n,"source":"file"}. */

/* One member of a Group file, handed to `each`: its key and its record value. */
typedef bool cdx_roster_each(void *arg, struct cdx_text member_key, struct cdx_text value);
/**
 * Read a Group resource as a roster (Group.id is its name; member.entity.reference, member.period, member.inactive).
 * base: sources' base for relative references (NULL: they are refused: CDX_CONFIG).
 * The whole is checked before the first `each`, so nobody acts on half a file. Not handed out: members that are inactive
 * or dropped (Da Vinci ATR ext-changeType), and all members of a Group with active false. A member may come twice.
 * name_out: malloc'd Group.id. Errors: CDX_CONFIG with the element path. `each` returning false stops (CDX_NOMEM).
 * Thread: any.
 */
enum cdx_code cdx_roster_read_group(struct cdx_text json, const char *base, cdx_roster_each *each,
                                    void *arg, char **name_out, struct cdx_err *err) CDX_MUST_CHECK;

#endif
